# SPDX-License-Identifier: MIT
"""The link: requests, retries, counters."""

from __future__ import annotations

import os
import pty
import time
import tty
from types import SimpleNamespace
from typing import get_args, get_overloads, get_type_hints

import pytest
from earlid.board import link as link_module
from earlid.board.link import Asked, BoardGone, BoardRefused, Link, Record, Started, TelemetryMessage
from earlid.errors import UserError
from lid import record, wire_schema
from lid.wire_schema import REQUESTS, field_of, fields

from tests.board.fake_board import KEY, FakeBoard, seal_records


@pytest.fixture
def board():
    with FakeBoard("00112233aabbccdd", seal_records("00112233aabbccdd", 20)) as made:
        yield made


def test_hello_has_the_boards_identifier(board):
    with Link(board.path) as link:
        assert link.request("hello")["hi"]["board"] == "00112233aabbccdd"


def test_records_are_typed_and_carry_their_slot(board):
    with Link(board.path) as link:
        reply = link.request("sync", from_=3, max=5)
        records = [message for message in link.messages(0) if isinstance(message, Record)]
    assert reply["next"] == 8
    assert [item.seq for item in records] == [3, 4, 5, 6, 7]
    assert [item.slot for item in records] == board.slots[2:7]
    assert records[0].event == "open"
    assert records[0].link == board.slots[2][40:52].hex()


def test_refusal_carries_error_word_and_sentence(board):
    with Link(board.path) as link, pytest.raises(BoardRefused, match="not that record's link") as caught:
        link.request("ack", seq=1, link="0" * 24)
    assert caught.value.err == "argument"


def test_lost_reply_is_requested_again_with_the_same_id(board):
    board.drop = 1.0

    def heal_on_second(body):
        if len([item for item in board.requests if item["do"] == "hello"]) == 2:
            board.drop = 0.0

    board.before_reply = heal_on_second
    with Link(board.path) as link:
        link.request("hello")
    ids = [item["id"] for item in board.requests]
    assert len(ids) >= 2  # a slow machine may ask once more before it gets to the answer
    assert len(set(ids)) == 1


def test_silent_board_ends_a_request_with_a_sentence(board):
    board.drop = 1.0
    with Link(board.path) as link, pytest.raises(BoardGone, match="does not answer") as caught:
        link.request("hello", timeout_s=0.2)
    assert caught.value.code == 3


def test_unread_reply_counts_after_the_timeout(board, monkeypatch):
    late_s = 0.0
    monkeypatch.setattr(link_module, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + late_s))
    with Link(board.path) as link:
        receive = link._receive

        def find_nothing_and_stand_still():
            nonlocal late_s
            until_s = time.monotonic() + 60
            while link._port.in_waiting < 20 and time.monotonic() < until_s:
                time.sleep(0.001)
            late_s = 3600.0
            monkeypatch.setattr(link, "_receive", receive)

        monkeypatch.setattr(link, "_receive", find_nothing_and_stand_still)
        assert link.request("hello")["ok"]


def test_missed_lines_are_counted_from_sequence_numbers(board):
    with Link(board.path) as link:
        link.request("hello")
        board.lose(5)
        link.request("hello")
        assert link.missed_lines == 5
        board.restart()
        link.request("hello")
        assert link.missed_lines == 5
        assert link.restarts == 1
        assert link.noise_bytes > 0
    assert any(isinstance(message, Started) for message in link.messages(0))


def test_duplicated_lines_are_not_counted_as_missed(board):
    board.double = 1.0
    with Link(board.path) as link:
        for _ in range(3):
            link.request("hello")
        assert link.missed_lines == 0


def test_telemetry_passes_and_malformed_messages_are_counted(board):
    good = board.telemetry()
    with Link(board.path) as link:
        link.request("hello")
        for body in ({"tm": good | {"newer": [1]}}, {"new": 1}, {"re": "x"}):
            board.say(body)
        for body in ({"rec": [1]}, {"tm": 7}, {"tm": good | {"ms": "5"}}, {"hi": []}, {"hi": board.hello() | {"seq": None}}):
            board.say(body)
        link.request("hello")
        assert list(link.messages(0)) == [TelemetryMessage(good | {"newer": [1]})]
        assert (link.bad_records, link.bad_messages, link.restarts) == (1, 4, 0)


@pytest.mark.parametrize("reply", [{"acked": None}, {}, {"acked": -1}])
def test_malformed_reply_is_an_error_that_names_the_field(board, monkeypatch, reply):
    say = board.say
    monkeypatch.setattr(board, "say", lambda body: say({"re": body["re"], "ok": True} | reply))
    with Link(board.path) as link, pytest.raises(UserError, match=r"reply to `ack` is not understood: acked .*update Earlid"):
        link.request("ack", seq=1, link="0" * 24)


def test_hostile_refusal_is_quoted_only_where_printable(board, monkeypatch):
    say = board.say
    monkeypatch.setattr(board, "say", lambda body: say({"re": body["re"], "ok": False, "err": ["x"], "say": "\x1b[2J"}))
    with Link(board.path) as link, pytest.raises(BoardRefused, match=r"^the board refused: unknown$"):
        link.request("close")


def test_typed_requests_are_those_of_the_schema():
    typed = {}
    for overload in get_overloads(Link.request):
        hints = get_type_hints(overload)
        (do,) = get_args(hints.pop("do"))
        returned = hints.pop("return")
        arguments = {name.rstrip("_"): kind for name, kind in hints.items() if name != "timeout_s"}
        if "brief" in arguments:
            assert returned is wire_schema.BriefHelloReply
        else:
            typed[do] = (arguments, returned)
    assert typed == {
        do: (
            {name: field_of(kind)[0] for name, kind in fields(request.arguments).items() if name != "brief"},
            request.reply,
        )
        for do, request in REQUESTS.items()
    }


def test_too_long_request_is_not_sent(board):
    with Link(board.path) as link, pytest.raises(ValueError, match="bytes"):
        link.request("config-set", config={"word": "x" * 700})
    assert board.received == b""


def test_link_sends_no_control_characters(board):
    with Link(board.path) as link:
        link.request("hello")
        with pytest.raises(BoardRefused):
            link.request("bogus", text="\x03\x04\r\x01ä")
    assert board.received
    assert all(c == 10 or 32 <= c <= 126 for c in board.received)
    assert all(line.startswith(b"#") for line in board.received.splitlines())


@pytest.fixture
def second():
    """A board of protocol version 2."""
    with FakeBoard("00112233aabbccdd", seal_records("00112233aabbccdd", 20), proto=2) as made:
        yield made


def own_key(board, epoch):
    return KEY if (board, epoch) == ("00112233aabbccdd", 0) else None


def test_requests_that_change_something_are_signed_once_the_board_is_known(second):
    with Link(second.path, own_key) as link:
        assert link.authority is None
        link.request("hello")
        assert link.authority
        for _ in range(3):
            link.request("clock", wall_ms=1_800_000_000_000, unc_ms=20)
        link.request("telemetry", every_ms=0)
    assert second.clock_signed
    assert [("mac" in body, body["do"]) for body in second.requests] == [
        (False, "hello"), (True, "clock"), (True, "clock"), (True, "clock"), (False, "telemetry"),
    ]  # fmt: skip
    (client,) = {body["client"] for body in second.requests}
    assert wire_schema.problem({"client": client}, wire_schema.Signature) == ""
    assert len({body["mac"] for body in second.requests if "mac" in body}) == 3


def test_refused_mac_is_made_anew_with_the_newest_nonce_and_epoch(second):
    with Link(second.path, lambda board, epoch: KEY[epoch:] + KEY[:epoch]) as link:
        link.request("hello")
        second.nonce = "ab" * 8  # another program's signed request
        assert link.request("ack", seq=20, link=second.slots[19][40:52].hex())["acked"] == 20
        second.epoch, second.key = 1, KEY[1:] + KEY[:1]
        link.request("clock", wall_ms=1_800_000_000_000, unc_ms=20)
        assert second.clock_signed
        assert link.authority


def test_key_that_the_board_does_not_take_leaves_requests_unsigned(second):
    second.key = bytes(32)
    with Link(second.path, own_key) as link:
        link.request("hello")
        link.request("clock", wall_ms=1_800_000_000_000, unc_ms=20)
        assert link.authority is False
    assert not second.clock_signed
    assert second.wall_ms == 1_800_000_000_000


@pytest.mark.parametrize(("proto", "keys", "authority"), [(1, own_key, None), (2, lambda board, epoch: None, False)])
def test_old_board_and_board_without_a_key_get_unsigned_requests(proto, keys, authority):
    with FakeBoard("00112233aabbccdd", [], proto=proto) as made, Link(made.path, keys) as link:
        link.request("hello")
        assert (link.authority, link.proto, link.fw) == (authority, proto, f"0.{proto}.0")
        link.request("clock", wall_ms=1_800_000_000_000, unc_ms=20)
        assert made.wall_ms is not None
        assert not any("mac" in body for body in made.requests)


def test_announcement_of_any_program_is_a_message(second):
    ask = {"do": "pair", "digest": "1a2b3c4d", "ms": 60_000}
    with Link(second.path) as link:
        link.request("hello")
        for body in ({"ask": ask}, {"ask": ask | {"digest": "\x1b[2J"}}, {"ask": None}):
            second.say(body)
        link.request("hello")
        assert list(link.messages(0)) == [Asked(ask)]
        assert link.bad_messages == 2


def test_unplugged_board_raises_board_gone():
    master, slave = pty.openpty()
    tty.setraw(slave)
    link = Link(os.ttyname(slave))
    os.close(slave)
    os.close(master)
    with pytest.raises(BoardGone):
        link.request("hello", timeout_s=1)
    link.close()


def test_fake_board_seals_a_valid_chain():
    slots = seal_records("ab", 3)
    prev = record.genesis("ab")
    for slot in slots:
        prev = record.make_link(prev, slot[:40], slot[52:60])
        assert prev == slot[40:52]
