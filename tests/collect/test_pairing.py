# SPDX-License-Identifier: MIT
"""Pairing and what it allows, with the real firmware and the gesture made on a virtual board's own switches."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from earlid.board.link import Link
from earlid.cli import main
from earlid.collect.events import WatchEvent
from earlid.collect.watcher import Watcher
from earlid.ledger import keys
from earlid.ledger.location import locate
from earlid.ledger.store import Ledger
from earlid.virtual.board import VirtualBoard
from lid import signing, wire

from tests.firmware.kit import deployed_files
from tests.outputs import parse_lines, parse_output

SPEED = 3.0
LIMIT_S = 90.0


@pytest.fixture
def board(tmp_path, monkeypatch) -> Iterator[VirtualBoard]:
    monkeypatch.setenv("EARLID_DATA_DIR", str(tmp_path / "data"))
    with VirtualBoard(firmware=None, files=deployed_files()) as made:
        made.noise(-70)
        made.run_until(lambda: '"selftest"' in made.console)
        made.run_background(SPEED)
        yield made
        made.pause()


@contextmanager
def person(board: VirtualBoard) -> Iterator[None]:
    """Somebody at the board, who consents to the next request that is announced."""
    begin = len(board.console)

    def consent() -> None:
        end_s = time.monotonic() + LIMIT_S
        while '"ask":{' not in board.console[begin:] and time.monotonic() < end_s:
            time.sleep(0.01)
        board.mute(True)
        board.at(board.now_ms + 200, lambda: board.talk(True))

    thread = threading.Thread(target=consent)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        board.run_ms(300)
        board.talk(False)
        board.mute(False)


def hello(board: VirtualBoard):
    with Link(board.serial_port) as link:
        return link.request("hello")["hi"]


def test_pairing_lets_this_computer_set_the_clock_free_records_and_check_seals(board, tmp_path, capsys):
    watch = ["watch", "--once", "--json", "-p", board.serial_port, "--ledger", str(tmp_path / "ledger.sqlite")]
    assert main(watch) == 0
    assert "not paired" in capsys.readouterr().err
    assert hello(board)["acked"] == 0
    with person(board):
        assert main(["pair", "-p", board.serial_port]) == 0
    assert "Board " + hello(board)["board"] + " is paired" in capsys.readouterr().err
    assert main(watch) == 0
    printed = capsys.readouterr()
    events = [(row["event"], row["reason"]) for row in parse_lines("watch", printed.out)]
    assert "not paired" not in printed.err
    assert ("config", "paired") in events
    assert ("config", "refused") not in events, "asking left a refusal in the journal"
    assert not [event for event, _ in events if event == "open"], "the gesture opened the lid"
    now = hello(board)
    assert now["acked"] >= now["seq"] - 1
    board.run_ms(200)
    assert main(watch) == 0
    assert main(["verify", "--ledger", str(tmp_path / "ledger.sqlite")]) == 0
    printed = capsys.readouterr().out
    assert "intact" in printed.lower()
    key = keys.key_at(now["board"], now.get("epoch", 0))
    with Link(board.serial_port, lambda board, epoch: key) as link:
        link.request("hello")
        assert link.authority


def test_settings_tighten_by_signature_and_loosen_by_consent_only(board, capsys):
    with person(board):
        assert main(["pair", "-p", board.serial_port]) == 0
    board.run_ms(1500)
    assert main(["settings", "-p", board.serial_port, "open_ms=4000"]) == 0
    assert "needs your consent" not in capsys.readouterr().err.split("is paired")[1]
    with person(board):
        assert main(["settings", "-p", board.serial_port, "open_ms=9000"]) == 0
    printed = capsys.readouterr()
    assert "open_ms: 4000 -> 9000" in printed.err
    assert "open_ms=9000\n" in printed.out
    board.run_ms(1500)
    with person(board):
        assert main(["settings", "-p", board.serial_port, "--rollback", "--json"]) == 0
    assert parse_output("settings", capsys.readouterr().out)["config"]["open_ms"] == 4000


def test_watch_shows_what_a_program_beside_it_asks_of_the_board(board, tmp_path):
    asked = {"id": 1, "do": "config-set", "config": {"cutoff_q8": 1, "open_ms": 60_000}, "client": "5eed"}
    seen: queue.Queue[WatchEvent] = queue.Queue()
    with Ledger(locate(str(tmp_path / "ledger.sqlite"))) as ledger:
        watcher = Watcher(board.serial_port, ledger, seen.put)
        watcher.start()
        try:
            while seen.get(timeout=LIMIT_S).kind != "here":
                pass
            board.send(wire.encode(1, asked))  # whoever can write to the port needs not hold it
            while (event := seen.get(timeout=LIMIT_S)).kind != "ask":
                pass
        finally:
            watcher.stop()
            watcher.join(LIMIT_S)
    assert f"config-set, request {signing.digest(signing.canonical(asked))}, for 60 s" in event.text
    assert hello(board)["ask"]["do"] == "config-set", "it waits, and nothing more"
