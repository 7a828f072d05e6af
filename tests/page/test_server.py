# SPDX-License-Identifier: MIT
"""Access rules and replies of the live page's server: token, host names, other sites, labels, events."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

import pytest
from earlid.errors import UserError
from earlid.ledger.boards import boards
from earlid.ledger.queries import labels
from earlid.ledger.reader import Reader
from earlid.page.pack import unpack
from earlid.page.serve import bind, parse_listen
from earlid.page.web import allowed_host

from tests.page.synthetic import KITCHEN, last_ms, store


def request(url, path="", *, method="GET", body=None, headers=None, absolute=False):
    """(status, headers, body) of a request below the page's address."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    try:
        connection.request(method, path if absolute else parts.path + path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def label(url, value, **headers):
    value = {"labels": [value]}
    return request(url, "label", method="POST", body=json.dumps(value), headers={"content-type": "application/json"} | headers)


@pytest.mark.parametrize(
    ("host", "listen", "fine"),
    [
        ("127.0.0.1:8000", "127.0.0.1", True), ("localhost:8000", "127.0.0.1", True), ("localhost", "127.0.0.1", True),
        ("[::1]:8000", "::1", True), ("[::1]", "::1", True), ("evil.example:8000", "127.0.0.1", False),
        ("127.0.0.1.evil.example", "127.0.0.1", False), ("192.168.1.5:8000", "127.0.0.1", False), ("", "127.0.0.1", False),
        ("192.168.1.5:8000", "0.0.0.0", True), ("evil.example:8000", "0.0.0.0", False),
    ],
)  # fmt: skip
def test_only_host_names_of_this_computer_are_allowed(host, listen, fine):
    assert allowed_host(host, listen) is fine


def test_listen_addresses_are_parsed():
    assert parse_listen("127.0.0.1:8000") == ("127.0.0.1", 8000)
    assert parse_listen("[::1]:0") == ("::1", 0)
    assert parse_listen("localhost:1") == ("127.0.0.1", 1)
    for bad in ("8000", "127.0.0.1", "example.org:80", "127.0.0.1:99999"):
        with pytest.raises(UserError):
            parse_listen(bad)
    taken = bind("127.0.0.1", 0)
    with pytest.raises(UserError, match="take another port"):
        bind("127.0.0.1", taken.getsockname()[1])
    taken.close()


def test_requests_without_token_or_of_other_sites_are_refused(served):
    url, _, _ = served
    assert urlsplit(url).hostname == "127.0.0.1"
    token = urlsplit(url).path
    assert len(token) >= 32
    status, headers, body = request(url)
    assert status == 200
    assert b"<h1>Earlid" in body
    for name, value in {
        "content-security-policy": "default-src 'none'; script-src 'sha256-", "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff", "cache-control": "no-store",
    }.items():  # fmt: skip
        assert headers[name].startswith(value)
    assert "server" not in headers
    for path in ("/", "/data", "/wrong/", "/wrong/data", token.upper(), token[:-2] + "/", token[:-1], "//", "/favicon.ico"):
        status, _, body = request(url, path, absolute=True)
        assert status == 404, path
        assert token.strip("/").encode() not in body
    assert request(url, headers={"host": "evil.example"})[0] == 403
    assert request(url, "data", headers={"host": "earlid.evil.example:80"})[0] == 403
    assert request(url, "data", headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"})[0] == 403
    assert request(url, "data", headers={"origin": "http://evil.example"})[0] == 403
    assert request(url, headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"})[0] == 200
    assert request(url, "no-such")[0] == 404
    assert request(url, method="POST")[0] == 405


def test_label_requests_are_checked_and_stored(served):
    url, location, _ = served
    header, tables = unpack(request(url, "data")[2])
    opening = {name: int(values[-1]) for name, values in tables["openings"].items()}
    board, boot, number = header["boards"][opening["board"]]["board"], opening["boot"], opening["seq"]
    good = {"board": board, "boot": boot, "seq": number, "label": False}
    assert label(url, good)[0] == 200

    def kept():
        with Reader(location) as reader:
            return {item.identifier: labels(reader, item) for item in boards(reader)}[board].get((boot, number))

    assert kept() is False
    bad = [
        ({**good, "seq": -1}, 400), ({**good, "label": "yes"}, 400), ({**good, "boot": True}, 400), ([], 400),
        ({**good, "seq": number + 1}, 404), ({**good, "board": "'; --"}, 404), ({**good, "more": "x" * 50_000}, 413),
    ]  # fmt: skip
    for value, status in bad:
        answer = label(url, value)
        assert (answer[0], bool(json.loads(answer[2])["say"])) == (status, True), value
    assert label(url, {**good, "label": True}, origin="http://evil.example")[0] == 403
    assert request(url, "label", method="POST", body=json.dumps(good), headers={"content-type": "text/plain"})[0] == 400
    assert kept() is False
    assert label(url, {**good, "label": None})[0] == 200
    assert kept() is None


def test_events_are_sent_at_once_and_after_a_reconnect(served):
    url, location, kitchen = served
    from earlid.ledger.store import Ledger

    parts = urlsplit(url)
    revision = unpack(request(url, "data")[2])[0]["revision"]
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    connection.request("GET", f"{parts.path}events?since={revision}")
    answer = connection.getresponse()
    assert answer.headers["content-type"].startswith("text/event-stream")

    def event():
        lines = {}
        while True:
            line = answer.readline().decode().strip()
            if not line and "data" in lines:
                return int(lines["id"]), json.loads(lines["data"])
            name, _, value = line.partition(": ")
            lines[name] = value

    with Ledger(location) as ledger:
        number = kitchen.opening(last_ms(kitchen) + 2000, "button", 3000, "button")
        store(ledger, kitchen)
        first, change = event()
        assert number in [row[4] for row in change["openings"]]
        ledger.set_label(KITCHEN, kitchen.boot, number, True)
        second, change = event()
        assert change == {"labels": [[KITCHEN, kitchen.boot, number, 1]]}
    connection.close()
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    connection.request("GET", f"{parts.path}events?since=0", headers={"last-event-id": str(first)})
    answer = connection.getresponse()
    assert event() == (second, change)
    connection.close()
