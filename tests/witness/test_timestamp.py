# SPDX-License-Identifier: MIT
"""Time stamps of a real authority (`openssl ts`): one that holds, each way in which one does not, and what `openssl` says."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from earlid.cli import main
from earlid.ledger.store import Ledger
from earlid.witness import stamped_text, timestamp

from tests.ledger.synthetic_chains import BOARD, life
from tests.outputs import parse_output
from tests.witness.authority import Authority, serving

SLOTS = life(60)
OTHER = "ffff"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tsa"))


@pytest.fixture
def where(sqlite_location):
    """A ledger of two boards, as `--ledger` names it."""
    with Ledger(sqlite_location) as ledger:
        ledger.add(BOARD, SLOTS[:40])
        ledger.add(OTHER, life(9, board=OTHER))
        ledger.set_name(BOARD, "kitchen")
    return ["--ledger", str(sqlite_location.path)]


def acts(location):
    import sqlite3

    rows = sqlite3.connect(location.path).execute("SELECT body FROM acts WHERE kind = 'witness' ORDER BY place")
    return [json.loads(body) for (body,) in rows]


def test_one_stamp_vouches_for_every_board_and_openssl_agrees(authority, where, sqlite_location, tmp_path, capsys):
    queries = []

    def answer(query):
        queries.append(query)
        return 200, authority.reply(query)

    with serving(answer) as url:
        assert main(["anchor", "--tsa", url + "?key=secret", "--tsa-ca", str(authority.ca), "--json", *where]) == 0
    told = parse_output("anchor", capsys.readouterr().out)
    assert [(one["board"], one["kept"]) for one in told["outcomes"]] == [("kitchen", True), (OTHER, True)]
    kept = acts(sqlite_location)
    assert [(body["board"], body["boot"], body["seq"], body["link"], body["by"]) for body in kept] == [
        (BOARD, 1, 40, SLOTS[39][40:52].hex(), "tsa"), (OTHER, 1, 9, told["heads"][1]["link"], "tsa"),
    ]  # fmt: skip
    (query,) = queries
    assert BOARD.encode() not in query, "a hash goes, nothing else"
    assert "secret" not in json.dumps(kept)
    # What a third person recomputes, from the act alone.
    lines = [f"{body['board']} {body['boot']} {body['seq']} {body['link']}\n" for body in kept]
    digests = sorted(hashlib.sha256(line.encode()).hexdigest() for line in lines)
    assert kept[0]["heads"] == kept[1]["heads"] == digests
    text, token = tmp_path / "text", tmp_path / "token"
    text.write_text("earlid heads 1\n" + "".join(f"{digest}\n" for digest in digests))
    token.write_bytes(base64.b64decode(kept[0]["statement"]))
    judged = subprocess.run(
        ["openssl", "ts", "-verify", "-data", text, "-in", token, "-CAfile", authority.ca], capture_output=True, text=True
    )
    assert "Verification: OK" in judged.stdout, judged.stderr
    assert main(["verify", "--tsa-ca", str(authority.ca), *where]) == 0
    out = capsys.readouterr().out
    assert "Vouched for: records 1 to 40: time stamp by Test stamps" in out
    assert "Vouched for: records 1 to 9: time stamp by Test stamps" in out
    export = tmp_path / "one.jsonl"
    assert main(["export", "-o", str(export), "--board", "kitchen", *where]) == 0
    assert f'"{OTHER}' not in export.read_text(), "what was stamped shows of other boards only a hash"
    capsys.readouterr()
    assert main(["verify", str(export), "--tsa-ca", str(authority.ca), "--json"]) == 0
    judged_board = parse_output("verify", capsys.readouterr().out)[0]
    assert [(run["first"], run["last"], run["vouchers"][0]["name"]) for run in judged_board["vouched"]["runs"]] == [
        (1, 40, "Test stamps")
    ]
    runner = Path(__file__).parents[1] / "proof" / "node" / "verify.js"  # the page gives a third person the same two files
    shown = subprocess.run(["node", runner, export], capture_output=True, text=True, check=True).stdout
    (seen,) = json.loads(shown)[0]["witnesses"]
    files = {name: base64.b64decode(data) for name, data in seen["files"].items()}
    assert files == {"heads.txt": text.read_bytes(), "stamp.tsr": token.read_bytes()}


TEXT = stamped_text.text_of(["ab" * 32])


@pytest.fixture(scope="module")
def asked(authority):
    """A request, its nonce, and the answer to it."""
    query, nonce = timestamp.request(TEXT)
    return query, nonce, authority.reply(query)


def test_stamp_that_holds_outlives_its_certificate_only(authority, asked):
    _query, nonce, answer = asked
    stamp = timestamp.check(answer, TEXT, [authority.root], nonce)
    assert stamp.name == "Test stamps"
    with pytest.raises(timestamp.BadStamp, match="more than a day from"):
        timestamp.check(answer, TEXT, [authority.root], nonce, stamp.said_ms + 90_000_000)
    assert timestamp.check(answer, TEXT, [authority.root]) == stamp, "kept for years: no clock is asked"


def flipped(answer, at):
    return answer[:at] + bytes([answer[at] ^ 1]) + answer[at + 1 :]


WRONG = {
    "other-nonce": (lambda tsa, query, answer: tsa.reply(timestamp.request(TEXT)[0]), "wrong nonce"),
    "no-nonce": (lambda tsa, query, answer: tsa.reply(without_nonce()), "wrong nonce"),
    "garbage": (lambda tsa, query, answer: b"<html>no</html>", "is no time stamp"),
    "empty": (lambda tsa, query, answer: b"", "is no time stamp"),
    "cut": (lambda tsa, query, answer: answer[:-9], "is no time stamp"),
    "longer": (lambda tsa, query, answer: answer + b"x", "is no time stamp"),
    "refused": (lambda tsa, query, answer: tsa.reply(query, digests="sha512"), "the request was refused: .*digest"),
    "expired": (lambda tsa, query, answer: tsa.reply(query, "expired"), "certificate had expired"),
    "lapsed-above": (lambda tsa, query, answer: tsa.reply(query, "orphan"), "certificate above the authority's had expired"),
    "no-authority": (lambda tsa, query, answer: tsa.sign_as(answer, "server"), "is no time stamp authority's"),
    "signature": (lambda tsa, query, answer: flipped(answer, len(answer) - 3), "signature does not hold"),
}


def without_nonce():
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    return TimestampRequestBuilder().data(TEXT).hash_algorithm(HashAlgorithm.SHA256).nonce(nonce=False).build().as_bytes()


@pytest.mark.parametrize("kind", WRONG)
def test_answer_that_does_not_hold_is_named(authority, asked, kind):
    query, nonce, answer = asked
    change, says = WRONG[kind]
    with pytest.raises(timestamp.BadStamp, match=says):
        timestamp.check(change(authority, query, answer), TEXT, [authority.root], nonce)


def test_stamp_signed_by_another_hand_holds_where_its_certificate_may(authority, asked):
    _query, nonce, answer = asked
    assert timestamp.check(authority.sign_as(answer, "stamps"), TEXT, [authority.root], nonce).name == "Test stamps"


def test_authority_below_another_certificate_holds(authority, asked):
    query, nonce, _ = asked
    assert timestamp.check(authority.reply(query, "below"), TEXT, [authority.root], nonce).name == "Test below"


def test_stamp_of_another_message_or_below_another_root_is_named(authority, asked, tmp_path):
    _query, nonce, answer = asked
    with pytest.raises(timestamp.BadStamp, match="another message"):
        timestamp.check(answer, TEXT + b"x", [authority.root], nonce)
    with pytest.raises(timestamp.BadStamp, match="no root certificate that is trusted here"):
        timestamp.check(answer, TEXT, [Authority(tmp_path).root], nonce)
    with pytest.raises(timestamp.BadStamp, match="no root certificate is known"):
        timestamp.check(answer, TEXT, [], nonce)


def test_name_that_is_no_utf8_is_no_stamp(authority, asked):
    """The library panics at it, with what is no Exception."""
    answer = asked[2]
    for at in [at for at in range(len(answer)) if answer[at:].startswith(b"Test stamps")]:
        with pytest.raises(timestamp.BadStamp):
            timestamp.check(answer[:at] + b"\xff" + answer[at + 1 :], TEXT, [authority.root])


def test_root_of_a_version_that_there_is_not_is_a_sentence(authority, tmp_path, where, capsys):
    data = authority.root.public_bytes(Encoding.DER)
    pem = base64.encodebytes(data.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x0b", 1))
    path = tmp_path / "root.pem"
    path.write_bytes(b"-----BEGIN CERTIFICATE-----\n" + pem + b"-----END CERTIFICATE-----\n")
    assert main(["anchor", "--tsa", "http://127.0.0.1:1/", "--tsa-ca", str(path), *where]) == 2
    assert "holds no certificate" in capsys.readouterr().err


def test_no_byte_of_a_stamp_can_change_what_it_says(authority, asked):
    _query, nonce, answer = asked
    stamp = timestamp.check(answer, TEXT, [authority.root], nonce)
    for at in range(0, len(answer), 17):
        try:
            assert timestamp.check(flipped(answer, at), TEXT, [authority.root], nonce) == stamp, at
        except timestamp.BadStamp:
            pass


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (503, b"", "answered with HTTP 503: no time stamp"),
        (302, b"", "answered with HTTP 302: no time stamp"),
        (200, b"hello", "the answer is no time stamp"),
        (200, bytes(70_000), "answered with more than"),
    ],
)
def test_authority_that_answers_otherwise_leaves_no_act(authority, where, sqlite_location, capsys, status, body, says):
    with serving(lambda query: (status, body)) as url:
        assert main(["anchor", "--tsa", url, "--tsa-ca", str(authority.ca), *where]) == 1
    assert says in capsys.readouterr().err
    assert acts(sqlite_location) == []


def test_nobody_there_and_no_address_are_said(authority, where, capsys):
    assert main(["anchor", "--tsa", "http://127.0.0.1:1/", "--tsa-ca", str(authority.ca), *where]) == 1
    assert "no answer of 127.0.0.1:1" in capsys.readouterr().err
    for url in ("ftp://x/", "x", "http://", "http://a b/", "http://me:word@x/", "http://x:99999/"):
        assert main(["anchor", "--tsa", url, "--tsa-ca", str(authority.ca), *where]) == 2, url
    assert main(["anchor", "--tsa", "http://127.0.0.1:1/", "--tsa-ca", str(authority.folder / "serial"), *where]) == 2
    assert "holds no certificate" in capsys.readouterr().err


def test_stamp_is_believed_only_as_far_as_it_holds(authority, where, sqlite_location, capsys):
    with serving(lambda query: (200, authority.reply(query))) as url:
        assert main(["anchor", "--tsa", url, "--tsa-ca", str(authority.ca), *where]) == 0
    (body, other) = acts(sqlite_location)
    wrong = {
        "the head is not in what was stamped": {"heads": [*other["heads"][:1], "ab" * 32]},
        "the stamp is for another message": {"heads": [*body["heads"], "ab" * 32]},
        "the stamp is of another time": {"said_ms": body["said_ms"] - 1},
        "the answer is no time stamp": {"statement": "AAAA"},
        "the head is not in": {"statement": 5},
        "a witness of the kind 'moon' is not known here": {"by": "moon"},
    }
    with Ledger(sqlite_location) as ledger, ledger.transaction() as connection:
        for change in wrong.values():
            plain = {name: value for name, value in body.items() if name not in ("head", "at_ms", "synced", "salt")}
            ledger.act(connection, "witness", plain | change)
    capsys.readouterr()
    assert main(["verify", "--tsa-ca", str(authority.ca), "--json", *where]) == 0
    vouched = parse_output("verify", capsys.readouterr().out)[0]["vouched"]
    assert len(vouched["not_believed"]) == len(wrong)
    for says, told in zip(wrong, vouched["not_believed"], strict=True):
        assert says in told
    assert [(run["first"], run["last"], len(run["vouchers"])) for run in vouched["runs"]] == [(1, 40, 1)]
    assert main(["verify", *where]) == 0
    assert "Not believed: act 5 of" in (out := capsys.readouterr().out), out
    assert "no root certificate that is trusted here stands above it" in out


def test_small_install_says_what_it_lacks_to_check_a_stamp(authority, where, capsys, monkeypatch):
    with serving(lambda query: (200, authority.reply(query))) as url:
        assert main(["anchor", "--tsa", url, "--tsa-ca", str(authority.ca), *where]) == 0
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    capsys.readouterr()
    assert main(["verify", *where]) == 0
    out = capsys.readouterr().out
    assert 'pip install "earlid[tsa]"' in out
    assert "Vouched for: records 1 to 40: nobody yet" in out
