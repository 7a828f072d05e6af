# SPDX-License-Identifier: MIT
"""Another host as a witness: an honest one in a process of its own, and each way in which one may lie."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import subprocess
import sys
import urllib.request

import pytest
from earlid.cli import main
from earlid.ledger import purge
from earlid.ledger.installation import Installation, installation
from earlid.ledger.store import Ledger, now_ms
from earlid.witness import keeper, statement

from tests.ledger.synthetic_chains import BOARD, life
from tests.outputs import parse_output
from tests.witness.authority import serving

SLOTS = life(60)
FORGED = life(60, step_ms=50_000)  # the same board, made anew from its first record on
LIAR = Installation(bytes(range(32)))


def link(slots, seq):
    return slots[seq - 1][40:52]


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """The address and the folder of a witness in a process of its own."""
    folder = tmp_path_factory.mktemp("witness")
    command = [sys.executable, "-m", "earlid.cli", "anchor", "--serve", "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(command, env=os.environ | {"EARLID_DATA_DIR": str(folder)}, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    words = process.stdout.readline().split()
    yield words[3], folder, words[1]
    process.terminate()
    process.wait()


@pytest.fixture
def where(sqlite_location, honest):
    """A ledger with 40 records; the witness has forgotten every board."""
    for path in (honest[1] / "witness" / "boards").glob("*"):
        path.unlink()
    with Ledger(sqlite_location) as ledger:
        ledger.add(BOARD, SLOTS[:40])
        ledger.set_name(BOARD, "kitchen")
    return ["--ledger", str(sqlite_location.path), "--yes"]


def said_by(location):
    rows = sqlite3.connect(location.path).execute("SELECT body FROM acts WHERE kind = 'witness' ORDER BY place")
    return [json.loads(body) for (body,) in rows]


def grow(location, last, slots=SLOTS):
    with Ledger(location) as ledger:
        ledger.add(BOARD, slots[:last])


def anchor(capsys, url, where, *words):
    capsys.readouterr()
    code = main(["anchor", "--witness", url, "--json", *words, *where])
    (one,) = parse_output("anchor", capsys.readouterr().out)["outcomes"]
    return code, one


def verify(capsys, where):
    capsys.readouterr()
    code = main(["verify", "--json", *where[:2]])
    return code, parse_output("verify", capsys.readouterr().out)[0]


def test_witness_vouches_for_what_extends_what_it_signed(honest, where, sqlite_location, capsys):
    url, _, name = honest
    for last in (40, 47, 47):
        grow(sqlite_location, last)
        code, one = anchor(capsys, url, where)
        assert (code, one["kept"], one["board"]) == (0, True, "kitchen"), one
        assert name in one["say"]
    kept = said_by(sqlite_location)
    assert [(body["seq"], body["link"], body["witness"]) for body in kept] == [
        (seq, link(SLOTS, seq).hex(), name) for seq in (40, 47, 47)
    ]
    # The statement as documented: a third person reads and checks it.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    for body in kept:
        data = base64.b64decode(body["statement"])
        fixed = b"earlid witness 1\n" + BOARD.encode() + body["seq"].to_bytes(4, "little") + bytes.fromhex(body["link"])
        assert data[:-64] == fixed + body["said_ms"].to_bytes(8, "little")
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(body["key"])).verify(data[-64:], data[:-64])
    grow(sqlite_location, 52)
    code, judged = verify(capsys, where)
    assert code == 0
    runs = [(run["first"], run["last"], [voucher["name"] for voucher in run["vouchers"]]) for run in judged["vouched"]["runs"]]
    assert runs == [(1, 40, [name]), (41, 47, [name]), (48, 52, [])]
    assert main(["verify", *where[:2]]) == 0
    out = capsys.readouterr().out
    assert f"Vouched for: records 1 to 47: witness {name}, " in out
    assert "Vouched for: records 48 to 52: nobody yet" in out
    assert urllib.request.urlopen(url).read().decode().startswith(f"A witness of Earlid: {name}\nkey ")


def test_many_records_go_in_steps(honest, where, sqlite_location, capsys, monkeypatch):
    from earlid.witness import host_witness

    monkeypatch.setattr(host_witness, "RECORDS_AT_ONCE", 7)
    assert anchor(capsys, honest[0], where)[0] == 0
    grow(sqlite_location, 60)
    assert anchor(capsys, honest[0], where)[0] == 0
    assert [body["seq"] for body in said_by(sqlite_location)] == [40, 60]


def test_ledger_made_anew_is_contradicted(honest, where, sqlite_location, tmp_path, capsys):
    assert anchor(capsys, honest[0], where)[0] == 0
    forged = ["--ledger", str(tmp_path / "forged.sqlite"), "--yes"]
    with Ledger(sqlite_location._replace(path=tmp_path / "forged.sqlite")) as ledger:
        ledger.add(BOARD, FORGED[:44])
    assert main(["verify", *forged[:2]]) == 0, "without a witness nothing tells"
    code, one = anchor(capsys, honest[0], forged)
    assert (code, one["contradicts"]) == (4, True), one
    assert "it signed record 40, and this ledger has another one" in one["say"]
    code, judged = verify(capsys, forged)
    assert (code, [(f["verdict"], f["first"]) for f in judged["findings"]]) == (4, [("altered", 40)])
    assert anchor(capsys, honest[0], forged)[0] == 4
    assert len(said_by(sqlite_location._replace(path=tmp_path / "forged.sqlite"))) == 1, "the same contradiction is kept once"


@pytest.mark.parametrize(("last", "vouches"), [(40, True), (45, False)])
def test_record_that_was_purged_is_no_contradiction(honest, where, sqlite_location, tmp_path, capsys, last, vouches):
    """On a computer that has none of the witness's statements: after an import."""
    assert anchor(capsys, honest[0], where)[0] == 0
    other = sqlite_location._replace(path=tmp_path / "other.sqlite")
    with Ledger(other) as ledger:
        ledger.add(BOARD, SLOTS[:50])
        purge.purge(ledger, [purge.Run(BOARD, (1, 31), (1, last), last - 30)], "test")
    words = ["--ledger", str(other.path), "--yes"]
    code, one = anchor(capsys, honest[0], words)
    assert (code == 0, one["kept"], one["contradicts"]) == (vouches, vouches, False), one
    assert vouches or "it saw record 40 last, which was purged here" in one["say"]
    assert verify(capsys, words)[0] == 0


def test_older_copy_of_a_ledger_is_contradicted(honest, where, sqlite_location, tmp_path, capsys):
    grow(sqlite_location, 50)
    assert anchor(capsys, honest[0], where)[0] == 0
    older = ["--ledger", str(tmp_path / "older.sqlite"), "--yes"]
    grow(sqlite_location._replace(path=tmp_path / "older.sqlite"), 45)
    code, one = anchor(capsys, honest[0], older)
    assert (code, one["contradicts"]) == (4, True), one
    code, judged = verify(capsys, older)
    assert (code, [(f["verdict"], f["first"], f["last"]) for f in judged["findings"]]) == (4, [("tail cut", 46, 50)])


def test_second_computer_goes_on_from_what_the_first_had_signed(honest, where, sqlite_location, tmp_path, capsys):
    assert anchor(capsys, honest[0], where)[0] == 0
    second = ["--ledger", str(tmp_path / "second.sqlite"), "--yes"]
    grow(sqlite_location._replace(path=tmp_path / "second.sqlite"), 55)
    assert anchor(capsys, honest[0], second)[0] == 0
    grow(sqlite_location, 58)
    assert anchor(capsys, honest[0], where)[0] == 0, "behind what the second had signed"


def test_witness_that_lost_its_memory_takes_its_own_signature_for_it(honest, where, sqlite_location, capsys):
    assert anchor(capsys, honest[0], where)[0] == 0
    (honest[1] / "witness" / "boards" / BOARD).unlink()
    grow(sqlite_location, 45)
    assert anchor(capsys, honest[0], where)[0] == 0


def test_gap_is_none_that_a_witness_follows_over(honest, where, sqlite_location, capsys):
    assert anchor(capsys, honest[0], where)[0] == 0
    with Ledger(sqlite_location) as ledger:
        ledger.add(BOARD, SLOTS[44:50])
    code, one = anchor(capsys, honest[0], where)
    assert code == 1
    assert "records behind 40, which it saw last, are missing" in one["say"]


def test_witness_of_one_folder_is_one_program(honest, monkeypatch, capsys):
    monkeypatch.setenv("EARLID_DATA_DIR", str(honest[1]))
    assert main(["anchor", "--serve", "--listen", "127.0.0.1:0"]) == 1
    assert "another program is this witness already" in capsys.readouterr().err


REQUEST = {"earlid": "witness", "board": BOARD, "seq": 40, "link": link(SLOTS, 40).hex(), "after": None, "sealed": ""}


@pytest.mark.parametrize(
    "change",
    [
        {"earlid": "x"}, {"board": "../../x"}, {"board": f"{BOARD}.123456"}, {"board": 5}, {"seq": 0}, {"seq": 1 << 32},
        {"seq": True}, {"link": "ab"}, {"link": "zz" * 12}, {"link": "ab " * 8}, {"after": "AAAA"}, {"after": 5},
        {"sealed": "a"}, {"sealed": None}, {"link": None},
    ],
)  # fmt: skip
def test_request_that_is_none_is_refused(change):
    keeper.read_request(REQUEST)
    with pytest.raises(ValueError, match=r"."):
        keeper.read_request(REQUEST | change)
    with pytest.raises(ValueError, match="no request"):
        keeper.read_request([])


def sealed(slots, first, last):
    return b"".join(slot[:40] + slot[52:60] for slot in slots[first - 1 : last])


def test_keeper_signs_extensions_and_nothing_else():
    newest = statement.sign(LIAR, BOARD, 40, link(SLOTS, 40), 1000)
    other = statement.sign(Installation(bytes(32)), BOARD, 41, link(SLOTS, 41), 1000)

    def asked(seq, slots=SLOTS, after=newest, body=None, room=True, known=newest):
        request = keeper.Asked(BOARD, seq, link(slots, seq), after, sealed(slots, 41, seq) if body is None else body)
        return keeper.answer(request, known, LIAR, 2000, room)

    assert asked(44).status == 200
    assert asked(40).fresh.said_ms == 2000
    wrong = {
        "fork": asked(44, FORGED),
        "left out": asked(44, body=sealed(SLOTS, 42, 44)),
        "half": asked(44, body=sealed(SLOTS, 41, 44)[:-1]),
        "edited": asked(44, body=sealed(SLOTS, 41, 42) + sealed(FORGED, 43, 43) + sealed(SLOTS, 44, 44)),
        "short": asked(44, body=sealed(SLOTS, 41, 43)),
        "not asked to extend": asked(44, after=None),
        "another's statement": asked(44, after=other),
        "of another board": asked(44, after=statement.sign(LIAR, "ffff", 40, link(SLOTS, 40), 1000)),
    }
    for what, answer in wrong.items():
        assert (answer.status, answer.fresh) == (409, None), what
        assert keeper.unpacked(answer.body["statement"]) == newest.data, "with its own newest, which contradicts"
    assert asked(44, after=None, known=None, body=b"").status == 200
    assert asked(44, after=None, known=None, body=b"", room=False).status == 403
    assert asked(44, after=other, known=None).status == 403


def lying(answer):
    """A server that answers with what `answer` makes of a request: a statement (and the status), or bytes."""

    def reply(body):
        made = answer(json.loads(body))
        if isinstance(made, bytes):
            return 200, made
        status, said = (200, made) if isinstance(made, statement.Statement) else made
        key = LIAR.public_key.hex()
        return status, json.dumps({"key": key, "statement": base64.b64encode(said.data).decode()}).encode()

    return serving(reply)


def signs(seq=None, slots=SLOTS, at_ms=0, board=BOARD):
    """Signs whatever it is asked, or record `seq`, of whatever chain."""

    def answer(request):
        number = seq or request["seq"]
        return statement.sign(LIAR, board, number, link(slots, number), now_ms() + at_ms)

    return answer


def other_key(request):
    said = signs()(request)
    return said._replace(data=said.data[:-1] + bytes([said.data[-1] ^ 1]))


LIES = {
    "fork": (signs(slots=FORGED), "contradicts this ledger", 4),
    "another-board": (signs(board="00112233aabbccde"), "answered for another board", 1),
    "of-the-future": (signs(at_ms=90_000_000), "more than a day from", 1),
    "of-the-past": (signs(at_ms=-90_000_000), "more than a day from", 1),
    "forged-signature": (other_key, "signature of its statement does not hold", 1),
    "older-record": (signs(seq=30), "an old statement again", 1),
    "refuses-with-what-was-asked": (lambda request: (409, signs()(request)), "an old statement again", 1),
    "garbage": (lambda request: b"<html>", "and no JSON: is that a witness?", 1),
    "json-of-another-kind": (lambda request: b"[1]", "and no JSON", 1),
    "no-statement": (lambda request: b'{"key": "00"}', "has no statement in it", 1),
    "too-much": (lambda request: bytes(9000), "more than 4096 bytes", 1),
    "server-error": (lambda request: (500, signs()(request)), "HTTP 500", 1),
}


@pytest.mark.parametrize("kind", LIES)
def test_lie_of_a_new_witness_is_named(where, sqlite_location, capsys, kind):
    answer, says, expected = LIES[kind]
    with lying(answer) as url:
        code, one = anchor(capsys, url, where)
    assert (code, says in one["say"]) == (expected, True), one
    assert len(said_by(sqlite_location)) == (expected == 4)
    assert verify(capsys, where)[0] == (4 if expected == 4 else 0)


def test_witness_that_never_answers_costs_its_time_and_no_more(where, sqlite_location, capsys, monkeypatch):
    import threading

    from earlid.witness import post

    monkeypatch.setattr(post.post, "__defaults__", (0.3,))
    ended = threading.Event()
    with serving(lambda body: (200, bytes(ended.wait(5)))) as url:
        code, one = anchor(capsys, url, where)
        ended.set()
    assert (code, "did not answer within 0.3 s" in one["say"]) == (1, True), one


def told_once(where, sqlite_location, capsys, then):
    """What becomes of the second answer of a witness that was honest at first."""
    answers = [signs(), then]
    with lying(lambda request: answers.pop(0)(request)) as url:
        assert anchor(capsys, url, where)[0] == 0
        grow(sqlite_location, 45)
        return anchor(capsys, url, where)


def test_known_witness_that_answers_with_its_old_statement_again_is_named(where, sqlite_location, capsys):
    code, one = told_once(where, sqlite_location, capsys, lambda request: statement.read(base64.b64decode(request["after"])))
    assert (code, "an old statement again" in one["say"]) == (1, True), one


@pytest.mark.parametrize("seq", [10, 40])
def test_witness_that_equivocates_is_exposed_by_its_own_signature(where, sqlite_location, capsys, seq):
    code, one = told_once(where, sqlite_location, capsys, lambda request: (409, signs(seq, FORGED)(request)))
    assert (code, "contradicts itself: it signed record 40" in one["say"]) == (1, True), one
    assert len(said_by(sqlite_location)) == 1, "its word against the ledger counts for nothing"
    assert verify(capsys, where)[0] == 0
    (say,) = sqlite3.connect(sqlite_location.path).execute("SELECT say FROM notes").fetchone()
    assert "contradicts itself" in say


def test_witness_that_denies_what_it_signed_is_exposed(where, sqlite_location, capsys):
    code, one = told_once(where, sqlite_location, capsys, lambda request: (409, signs(30)(request)))
    assert (code, "it denies what it signed" in one["say"]) == (1, True), one


def test_witness_with_another_key_is_taken_only_when_a_person_says_so(honest, where, sqlite_location, capsys):
    used = [LIAR, Installation(bytes(32))]

    def answer(request):
        said = statement.sign(used[0], BOARD, request["seq"], bytes.fromhex(request["link"]), now_ms())
        return json.dumps({"key": used[0].public_key.hex(), "statement": base64.b64encode(said.data).decode()}).encode()

    with lying(answer) as url:
        assert anchor(capsys, url, where)[0] == 0
        used.pop(0)
        grow(sqlite_location, 45)
        code, one = anchor(capsys, url, where)
        assert (code, f"({LIAR.name} then, {used[0].name} now)" in one["say"]) == (1, True), one
        assert anchor(capsys, url, where, "--new-key")[0] == 0
        assert anchor(capsys, url, where)[0] == 0
    _, judged = verify(capsys, where)
    names = [sorted(voucher["name"] for voucher in run["vouchers"]) for run in judged["vouched"]["runs"]]
    assert names == [sorted([LIAR.name, used[0].name]), [used[0].name]]


def test_witness_that_signs_without_looking_is_held_to_what_it_signed_first(where, sqlite_location, capsys):
    """It signs a chain made anew as well; the act of its first word still stands against that."""
    with lying(signs()) as url:
        assert anchor(capsys, url, where)[0] == 0
    remake(sqlite_location)
    with lying(signs(slots=FORGED)) as url:
        anchor(capsys, url, where)
    code, judged = verify(capsys, where)
    assert (code, {finding["verdict"] for finding in judged["findings"]}) == (4, {"altered"})


def remake(location):
    """The chain made anew in the ledger's file, by somebody without the installation's key."""
    from earlid.ledger import rows

    connection = sqlite3.connect(location.path)
    with connection:
        stored = connection.execute("SELECT COUNT(*), MIN(taken_ms) FROM records").fetchone()
        connection.execute("DELETE FROM records")
        made = [rows.row_from_slot(slot, 1, stored[1]) for slot in FORGED[: stored[0]]]
        connection.executemany(rows.insert_sql("qmark"), made)
    connection.close()


def test_this_installation_is_no_witness_of_its_own(where, sqlite_location, capsys):
    key = installation()

    def answer(request):
        said = statement.sign(key, BOARD, request["seq"], bytes.fromhex(request["link"]), now_ms())
        return json.dumps({"key": key.public_key.hex(), "statement": base64.b64encode(said.data).decode()}).encode()

    with lying(answer) as url:
        code, one = anchor(capsys, url, where)
    assert (code, "it is this installation itself" in one["say"]) == (1, True), one


def test_new_witness_is_told_of_nothing_before_a_person_agrees(where, capsys):
    heard = []
    with serving(lambda body: heard.append(body) or (500, b"")) as url:
        assert main(["anchor", "--witness", url, *where[:2]]) == 2
        err = capsys.readouterr().err
        assert "from the next time on see every record in between" in err
        assert "add --yes" in err
        assert heard == []
        assert main(["anchor", "--witness", url, *where]) == 1
        (body,) = heard
    assert json.loads(body) == REQUEST, "the first time: a number and a link"


def test_statement_is_believed_only_as_far_as_it_holds(honest, where, sqlite_location, capsys):
    assert anchor(capsys, honest[0], where)[0] == 0
    (body,) = said_by(sqlite_location)
    flipped = base64.b64decode(body["statement"])
    flipped = base64.b64encode(flipped[:-1] + bytes([flipped[-1] ^ 1])).decode()
    wrong = {
        "its signature does not hold": {"statement": flipped},
        "is no statement of a witness": {"statement": "AAAA"},
        "what was signed is not what the act says": {"said_ms": 5},
        "signed by another witness than the act says": {"witness": "ab" * 8},
        "it is no statement": {"key": None},
    }
    with Ledger(sqlite_location) as ledger, ledger.transaction() as connection:
        for change in wrong.values():
            plain = {name: value for name, value in body.items() if name not in ("head", "at_ms", "synced", "salt")}
            ledger.act(connection, "witness", plain | change)
    code, judged = verify(capsys, where)
    assert code == 0
    for says, told in zip(wrong, judged["vouched"]["not_believed"], strict=True):
        assert says in told
