# SPDX-License-Identifier: MIT
"""Other people's devices are left in peace: when a port is asked, how much it is sent, and how it is lent to other programs."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from earlid.board.port import open_port
from earlid.board.port_proxy import borrowed
from earlid.cli import main
from earlid.collect import asking, watcher
from earlid.collect.asking import Ask, Asking
from earlid.errors import UserError
from earlid.ledger.location import Location
from earlid.ledger.store import Ledger
from lid import wire

from tests.board.fake_board import FakeBoard, seal_records
from tests.collect.watching import EventLog, wait_until, watching

BOARD = "00112233aabbccdd"
SOON_S = (0.5, 0.5, 1.0, 2.0, 5.0, 15.0)
REQUEST_MAX = len(wire.encode(wire.SEQ_WRAP - 1, {"id": wire.SEQ_WRAP - 1, "do": "hello"})) + 1
TEN_MINUTES_S = 600.0


def asked_for(minutes_s: float, known: bool, one: Asking) -> list[tuple[float, Ask]]:
    """When a port that never answers is asked, by a clock that is faked, from now on."""
    now_s, asks = 0.0, []
    while now_s < minutes_s:
        ask = one.next()
        asks.append((now_s, ask))
        wait_s = one.silent(known)
        if wait_s is None:
            break
        now_s += ask.listen_s + wait_s
    return asks


@pytest.mark.parametrize("known", [False, True])
def test_port_that_never_answers_is_held_for_less_than_2_percent(known: bool) -> None:
    asks = asked_for(TEN_MINUTES_S, known, Asking(SOON_S))
    assert sum(ask.listen_s for _, ask in asks) < 0.02 * TEN_MINUTES_S
    assert sum(len(ask.requests_s) for _, ask in asks) * REQUEST_MAX < 200
    assert len(asks) == (2 if known else 1)
    assert all(ask.requests_s[-1] < ask.listen_s for _, ask in asks), "the last one may be answered"


def test_board_that_answered_is_looked_for_at_once_and_then_ever_less_often() -> None:
    one = Asking(SOON_S)
    one.answered()
    times_s = [at_s for at_s, _ in asked_for(24 * 3600.0, False, one)]
    waits_s = [after - before for before, after in pairwise(times_s)]
    assert waits_s == sorted(waits_s)
    assert sum(at_s < 60 for at_s in times_s) >= 6
    assert waits_s[-1] >= asking.MINUTES_S[-1]
    one.answered()
    assert one.silent(False) == SOON_S[0]


@contextmanager
def silent_port() -> Iterator[tuple[str, dict[str, Any]]]:
    """A pseudo-terminal that never answers: its path, what it got, and for how many seconds it was held open."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    path = os.ttyname(slave)
    os.close(slave)  # a hang-up tells that nobody has it open
    told: dict[str, Any] = {"bytes": b"", "held_s": 0.0}
    stop = threading.Event()

    def look() -> None:
        poll = select.poll()
        poll.register(master, select.POLLIN)
        before_s = time.monotonic()
        while not stop.is_set():
            events = poll.poll(20)
            now_s = time.monotonic()
            hung_up = any(event & select.POLLHUP for _, event in events)
            told["held_s"] += 0.0 if hung_up else now_s - before_s
            before_s = now_s
            if any(event & select.POLLIN for _, event in events):
                told["bytes"] += os.read(master, 4096)
            elif hung_up:
                time.sleep(0.02)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield path, told
    finally:
        stop.set()
        thread.join()
        os.close(master)


@pytest.mark.soak
@pytest.mark.parametrize("adapter", ["", None])
def test_silent_port_is_left_in_peace_for_ten_minutes(location: Location, adapter: str | None) -> None:
    with silent_port() as (path, told), Ledger(location) as ledger:
        one = watcher.Watcher(path, ledger, EventLog(), adapter=adapter)
        one.start()
        time.sleep(TEN_MINUTES_S)
        one.stop()
        one.join()
        assert 0 < len(told["bytes"]) < 200
        assert 0 < told["held_s"] < 0.02 * TEN_MINUTES_S
        assert b"\x03" not in told["bytes"]


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent port is asked for a tenth of a second, again after as long, and seen to be another at once."""
    for name in ("FIRST", "AGAIN", "ANSWERED"):
        monkeypatch.setattr(asking, name, Ask((0.0,), 0.1))
    monkeypatch.setattr(asking, "MINUTES_S", (0.1,))
    monkeypatch.setattr(watcher, "PLUG_LOOK_S", 0.05)
    monkeypatch.setattr(watcher, "RECONNECT_S", (0.05,))


@pytest.mark.usefixtures("_quick")
def test_stranger_is_asked_once_and_a_port_that_is_known_again(location: Location, tmp_path: Path) -> None:
    log = EventLog()
    link = tmp_path / "port"
    with silent_port() as (path, told), silent_port() as (other, others), Ledger(location) as ledger:
        link.symlink_to(path)
        one = watcher.Watcher(str(link), ledger, log, adapter="10c4:ea60:7")
        one.start()
        log.wait_for(lambda item: "left in peace until it is plugged in anew" in item.text)
        time.sleep(0.6)
        assert told["bytes"].count(b"hello") == 1
        assert one.status.foreign, "no display shows it"
        ledger.remember_adapter("10c4:ea60:7", BOARD)  # by another watch: it counts from the next time on
        fresh = tmp_path / "fresh"
        fresh.symlink_to(other)
        fresh.rename(link)
        wait_until(lambda: others["bytes"].count(b"hello") >= 3)
        assert not one.status.foreign
        one.stop()
        one.join()
    assert [item.kind for item in log.events] == ["note", "trouble"]


@pytest.mark.usefixtures("_quick")
def test_adapter_of_a_board_that_answered_is_remembered(location: Location) -> None:
    log = EventLog()
    with FakeBoard(BOARD, seal_records(BOARD, 3)) as board, Ledger(location) as ledger:
        one = watcher.Watcher(board.path, ledger, log, adapter="10c4:ea60:7")
        one.start()
        wait_until(lambda: ledger.board_of_adapter("10c4:ea60:7") == BOARD)
        one.stop()
        one.join()
        assert ledger.board_of_adapter("10c4:ea60:8") is None


def test_port_is_lent_to_another_program_and_comes_back(location: Location, capsys: pytest.CaptureFixture[str]) -> None:
    slots = seal_records(BOARD, 5)
    log = EventLog()
    with FakeBoard(BOARD, slots[:4]) as board, Ledger(location) as ledger, watching(board.path, ledger, log):
        log.wait_for(lambda item: item.kind == "here")
        with pytest.raises(UserError, match="busy"):
            open_port(board.path)
        with borrowed([board.path, "/dev/none"]):
            log.wait_for(lambda item: "another program of yours has its port" in item.text)
            open_port(board.path).close()
            board.slots.append(slots[4])
        log.wait_for(lambda item: item.record and item.record.seq == 5)
        before = len(log.events)
        assert main(["settings", "-p", board.path]) == 1
        assert "no request config-get" in capsys.readouterr().err, "the board itself, though `watch` has its port"
        log.wait_for(lambda item: item in log.events[before:] and item.kind == "here")
    assert board.acked == 5


def test_port_comes_back_from_a_program_that_is_killed(location: Location) -> None:
    log = EventLog()
    code = (
        "import sys, time\nfrom earlid.board.port_proxy import borrowed\n"
        "with borrowed(sys.argv[1:]):\n print(flush=True)\n time.sleep(99)"
    )
    with FakeBoard(BOARD, seal_records(BOARD, 3)) as board, Ledger(location) as ledger, watching(board.path, ledger, log):
        log.wait_for(lambda item: item.kind == "here")
        with subprocess.Popen([sys.executable, "-c", code, board.path], stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"\n"
            assert log.events[-1].kind == "away"
            log.events.clear()
            other.kill()
        log.wait_for(lambda item: item.kind == "here")


@pytest.mark.usefixtures("_quick")
def test_stranger_that_was_flashed_is_asked_anew(location: Location) -> None:
    log = EventLog()
    with silent_port() as (path, told), Ledger(location) as ledger:
        one = watcher.Watcher(path, ledger, log, adapter="")
        one.start()
        log.wait_for(lambda item: "left in peace" in item.text)
        with borrowed([path]):
            pass
        wait_until(lambda: told["bytes"].count(b"hello") == 2)
        one.stop()
        one.join()


def test_watch_once_passes_over_what_is_no_board(
    location: Location, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with silent_port() as (path, _), FakeBoard(BOARD, seal_records(BOARD, 3)) as board:
        ports = [SimpleNamespace(device=name) for name in (path, board.path)]
        monkeypatch.setattr("earlid.board.port.candidate_ports", lambda: ports)
        assert main(["watch", "--once", "--ledger", str(location.path)]) == 0
        assert "3 records fetched" in capsys.readouterr().err
        monkeypatch.setattr("earlid.board.port.candidate_ports", lambda: ports[:1])
        assert main(["watch", "--once", "--ledger", str(location.path)]) == 3
