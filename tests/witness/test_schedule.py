# SPDX-License-Identifier: MIT
"""Witnesses that `watch` asks by itself: when each is due, what is told, and that neither silence nor trouble is in its way."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from earlid.cli import main
from earlid.ledger.boards import KnownBoard
from earlid.ledger.heads import BoardHead
from earlid.ledger.store import Ledger, now_ms
from earlid.witness import schedule
from earlid.witness.schedule import Renewal, Source, due

from tests.ledger.synthetic_chains import BOARD, life
from tests.witness.authority import Authority, serving
from tests.witness.test_host_witness import LIAR, lying, said_by, signs

SLOTS = life(60)
HOUR_MS = 3_600_000
URL = "http://127.0.0.1:9/"
HEAD = BoardHead(KnownBoard(1, BOARD, None, 0, 0), 1, 40, SLOTS[39][40:52])


def body(**more):
    return {"by": "host", "at": URL, "board": BOARD, "link": HEAD.link.hex(), "at_ms": 100 * HOUR_MS} | more


@pytest.mark.parametrize(
    ("bodies", "hours", "expected"),
    [
        ([], 0, True),
        ([body()], 125, False),  # it has seen that head
        ([body(link="ab" * 12)], 123, False),  # too soon
        ([body(link="ab" * 12)], 124, True),
        ([body(link="ab" * 12), body(board="ffff", at_ms=110 * HOUR_MS)], 125, False),  # one visit for all boards
        ([body(link="ab" * 12)], 99, True),  # this computer's clock was set back: nothing waits for years
        ([body(by="tsa")], 101, True),
        ([body(at="http://127.0.0.1:8/")], 101, True),
        ([body(contradicts=True)], 125, True),
        ([{"by": [], "at_ms": "x"}, {}], 1, True),
    ],
)
def test_witness_is_due_for_a_head_that_it_has_not_seen_once_its_time_has_come(bodies, hours, expected):
    assert due(Source("host", URL), [HEAD], bodies, 24 * HOUR_MS, hours * HOUR_MS) == ([HEAD] if expected else [])


@pytest.fixture
def ledger(sqlite_location):
    with Ledger(sqlite_location) as opened:
        opened.add(BOARD, SLOTS[:40])
        yield opened


def test_time_stamp_is_renewed_and_trouble_told_once(ledger, sqlite_location, tmp_path, monkeypatch):
    authority, told, down = Authority(tmp_path), [], [True]
    monkeypatch.setenv("EARLID_ANCHOR_TSA_CA", str(authority.ca))
    with serving(lambda query: (503, b"") if down else (200, authority.reply(query))) as url:
        source = Source("tsa", url)
        renewal = Renewal(ledger, [source], lambda kind, text: told.append((kind, text)))
        clock = [now_ms()]
        monkeypatch.setattr(schedule, "now_ms", lambda: clock[0])
        for _ in range(3):
            renewal.renew(source)
            clock[0] += schedule.RETRY_MS
        assert [(kind, "answered with HTTP 503" in text) for kind, text in told] == [("trouble", True)]
        down.clear()
        for _ in range(3):
            renewal.renew(source)
        assert told[1:] == [("note", f"{BOARD}: record 40 is in a time stamp by Test stamps.")]
        assert [kept["seq"] for kept in said_by(sqlite_location)] == [40]
        ledger.add(BOARD, SLOTS[:41])
        renewal.renew(source)
        clock[0] += 25 * HOUR_MS
        renewal.renew(source)
        assert [kept["seq"] for kept in said_by(sqlite_location)] == [40, 41]


def test_witness_that_nobody_agreed_to_is_not_asked(ledger, sqlite_location):
    told, heard = [], []
    with serving(lambda sent: heard.append(sent) or (500, b"")) as url:
        Renewal(ledger, [], lambda kind, text: told.append((kind, text))).renew(Source("host", url))
    assert heard == []
    ((kind, text),) = told
    assert kind == "trouble"
    assert "is new: `earlid anchor` says once what it will see" in text


def test_fault_of_a_witness_is_told_and_ends_nothing(ledger, monkeypatch):
    told = []
    renewal = Renewal(ledger, [Source("tsa", URL)], lambda kind, text: told.append(text))
    monkeypatch.setattr(schedule, "read_roots", lambda: 1 / 0)
    renewal.renew(Source("tsa", URL))
    assert told == [f"{URL} was not asked: ZeroDivisionError: division by zero"]


def test_watch_asks_its_witness_and_ends_at_once_while_another_is_silent(sqlite_location, ledger):
    ended = threading.Event()
    with lying(signs()) as good, serving(lambda sent: (200, bytes(ended.wait(30)))) as silent:
        for url in (good, silent):
            with Ledger(sqlite_location) as opened, opened.transaction() as connection:  # both were agreed to
                said = signs()({"seq": 1})
                kept = {"key": LIAR.public_key, "statement": base64.b64encode(said.data).decode(), "at": url, "by": "host"}
                seen = {"board": BOARD, "boot": 1, "seq": 1, "link": SLOTS[0][40:52], "said_ms": said.said_ms}
                opened.act(connection, "witness", kept | seen | {"witness": LIAR.name})
        words = ["watch", "-q", "--ledger", str(sqlite_location.path)]
        environment = os.environ | {"EARLID_ANCHOR_WITNESS": f"{good},{silent}", "EARLID_ANCHOR_EVERY_H": "1"}
        code = "import sys; from earlid.witness import schedule; schedule.HOUR_MS = 0; from earlid.cli import main\n"
        code += f"sys.exit(main({words}))"
        process = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.DEVNULL)
        end_s = time.monotonic() + 60
        while len(said_by(sqlite_location)) < 3 and time.monotonic() < end_s:
            time.sleep(0.05)
        time.sleep(0.3)  # now it waits for the silent one
        begun_s = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert time.monotonic() - begun_s < 10
        ended.set()
    assert [kept["seq"] for kept in said_by(sqlite_location)] == [1, 1, 40]


def test_watch_refuses_an_address_that_is_none(sqlite_location, monkeypatch, capsys):
    monkeypatch.setenv("EARLID_ANCHOR_TSA", "tsa.example")
    assert main(["watch", "-q", "--ledger", str(sqlite_location.path)]) == 2
    assert "is no address" in capsys.readouterr().err


def test_configured_witnesses_are_asked_by_anchor_without_options(sqlite_location, ledger, monkeypatch, capsys):
    with lying(signs()) as url:
        monkeypatch.setenv("EARLID_ANCHOR_WITNESS", url)
        assert main(["anchor", "--yes", "--json", "--ledger", str(sqlite_location.path)]) == 0
    assert [one["kept"] for one in json.loads(capsys.readouterr().out)["outcomes"]] == [True]
