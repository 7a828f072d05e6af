# SPDX-License-Identifier: MIT
"""The link: requests, retries, counters, and that a port is opened and closed without resetting a board."""

from __future__ import annotations

import os
import pty
import random
import subprocess
import sys
import time
import tty
from types import SimpleNamespace

import pytest
import serial
from earlid.board import link as link_module
from earlid.board import port as port_module
from earlid.board.framing import LineReader
from earlid.board.link import BoardGone, BoardRefused, Hello, Link, Record, Telemetry
from earlid.board.port import open_port, pick_port
from earlid.errors import UserError
from lid import record, wire

from tests.board.fake_board import FakeBoard, seal_records


@pytest.fixture
def board():
    with FakeBoard("00112233aabbccdd", seal_records("00112233aabbccdd", 20)) as made:
        yield made


def test_hello_tells_who_the_board_is(board):
    with Link(board.path) as link:
        assert link.request("hello")["hi"]["board"] == "00112233aabbccdd"


def test_records_come_typed_with_their_slot(board):
    with Link(board.path) as link:
        reply = link.request("sync", from_=3, max=5)
        records = [message for message in link.messages(0) if isinstance(message, Record)]
    assert reply["next"] == 8
    assert [item.seq for item in records] == [3, 4, 5, 6, 7]
    assert [item.slot for item in records] == board.slots[2:7]
    assert records[0].event == "open"
    assert records[0].link == board.slots[2][40:52].hex()


def test_a_refusal_carries_its_word_and_its_sentence(board):
    board.present = False
    with Link(board.path) as link, pytest.raises(BoardRefused, match="hold the talk button") as caught:
        link.request("pair")
    assert caught.value.err == "presence"


def test_a_lost_reply_is_asked_for_again_with_the_same_id(board):
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


def test_silence_ends_in_a_sentence(board):
    board.drop = 1.0
    with Link(board.path) as link, pytest.raises(BoardGone, match="does not answer") as caught:
        link.request("hello", timeout_s=0.2)
    assert caught.value.code == 3


def test_a_reply_that_lies_unread_counts_however_late_we_are(board, monkeypatch):
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


def test_missed_lines_are_counted_from_the_numbers(board):
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
    assert any(isinstance(message, Hello) for message in link.messages(0))


def test_a_line_that_comes_twice_is_no_gap(board):
    board.double = 1.0
    with Link(board.path) as link:
        for _ in range(3):
            link.request("hello")
        assert link.missed_lines == 0


def test_telemetry_and_unknown_bodies_pass(board):
    with Link(board.path) as link:
        link.request("hello")
        for body in ({"tm": {"ms": 5, "lvl": 100}}, {"tm": 7}, {"new": 1}, {"re": "x"}, {"rec": [1]}):
            board.say(body)
        link.request("hello")
        assert [type(message) for message in link.messages(0)] == [Telemetry]
        assert link.bad_records == 1


def test_a_request_longer_than_a_board_takes_is_not_sent(board):
    with Link(board.path) as link, pytest.raises(ValueError, match="bytes"):
        link.request("config-set", config={"word": "x" * 700})
    assert board.received == b""


def test_nothing_sent_is_a_control_character_to_a_repl(board):
    with Link(board.path) as link:
        link.request("hello")
        with pytest.raises(BoardRefused):
            link.request("bogus", text="\x03\x04\r\x01ä")
    assert board.received
    assert all(c == 10 or 32 <= c <= 126 for c in board.received)
    assert all(line.startswith(b"#") for line in board.received.splitlines())


def test_an_unplugged_board_is_gone_not_a_traceback():
    master, slave = pty.openpty()
    tty.setraw(slave)
    link = Link(os.ttyname(slave))
    os.close(slave)
    os.close(master)
    with pytest.raises(BoardGone):
        link.request("hello", timeout_s=1)
    link.close()


def test_port_lines_rise_together_and_fall_rts_first(monkeypatch):
    changes = []
    for name in ("_update_rts_state", "_update_dtr_state"):
        monkeypatch.setattr(serial.Serial, name, lambda self, name=name: changes.append((name[8:11], getattr(self, name[8:11]))))
    master, slave = pty.openpty()
    port = open_port(os.ttyname(slave))
    opened = list(changes)
    changes.clear()
    port.close()
    os.close(master)
    os.close(slave)
    assert sorted(opened) == [("dtr", True), ("rts", True)]
    assert changes == [("rts", False), ("dtr", False)]


def test_opening_twice_says_who_has_it(tmp_path):
    master, slave = pty.openpty()
    path = os.ttyname(slave)
    code = f"import serial,time; s=serial.Serial({path!r}, exclusive=True); print('open', flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(UserError, match=rf"busy.*{other.pid}") as caught:
            open_port(path)
        assert caught.value.code == 3
    finally:
        other.kill()
        other.wait()
        os.close(master)
        os.close(slave)


def test_missing_and_forbidden_ports_say_the_cure(tmp_path):
    with pytest.raises(UserError, match="there is no"):
        open_port(str(tmp_path / "ttyUSB0"))
    assert "dialout" in port_module._open_error_text("/dev/ttyUSB0", PermissionError(13, "Permission denied"))
    plain = tmp_path / "file"
    plain.write_text("")
    with pytest.raises(UserError, match="no serial port"):
        open_port(str(plain))


def test_pick_port_takes_argument_then_variables_then_the_only_board(monkeypatch):
    class Found:
        def __init__(self, device):
            self.device, self.description, self.serial_number = device, "CP2102", "0001"

    monkeypatch.setattr(port_module, "candidate_ports", lambda: [Found("/dev/a"), Found("/dev/b")])
    monkeypatch.setenv("EARLID_PORT", "/dev/e")
    monkeypatch.setenv("ESPTOOL_PORT", "/dev/t")
    assert pick_port("/dev/x") == "/dev/x"
    assert pick_port(None) == "/dev/e"
    monkeypatch.delenv("EARLID_PORT")
    assert pick_port(None) == "/dev/t"
    monkeypatch.delenv("ESPTOOL_PORT")
    with pytest.raises(UserError, match=r"/dev/a.*/dev/b") as caught:
        pick_port(None)
    assert caught.value.code == 2
    monkeypatch.setattr(port_module, "candidate_ports", lambda: [Found("/dev/a")])
    assert pick_port(None) == "/dev/a"
    monkeypatch.setattr(port_module, "candidate_ports", list)
    with pytest.raises(UserError, match="no board") as caught:
        pick_port(None)
    assert caught.value.code == 3


@pytest.mark.parametrize("seed", range(20))
def test_line_reader_finds_what_the_decoder_finds(seed):
    rng = random.Random(seed)
    stream = bytearray()
    for i in range(60):
        line = wire.encode(i, {"tm": {"ms": i, "text": "#" * rng.randrange(3)}})
        if rng.random() < 0.2:
            at = rng.randrange(len(line))
            line = line[:at] + bytes([rng.randrange(256)]) + line[at + 1 :]
        if rng.random() < 0.1:
            line = line[: rng.randrange(len(line))]
        if rng.random() < 0.2:
            line = bytes(rng.randrange(256) for _ in range(rng.randrange(200))) + line
        stream += line
        if rng.random() < 0.1:
            stream += b">>> \r\nTraceback (most recent call last):\r\n"
    stream += b"\n"
    plain, fast = wire.Decoder(100), LineReader(100)
    expected = plain.feed(stream)
    found = []
    at = 0
    while at < len(stream):
        size = rng.randrange(1, 300)
        found += fast.feed(bytes(stream[at : at + size]))
        at += size
    assert found == expected, f"seed {seed}"
    assert (fast.noise_bytes, fast.bad_lines) == (plain.noise_bytes, plain.bad_lines), f"seed {seed}"


def test_fake_board_seals_a_true_chain():
    slots = seal_records("ab", 3)
    prev = record.genesis("ab")
    for slot in slots:
        prev = record.make_link(prev, slot[:40], slot[52:60])
        assert prev == slot[40:52]
