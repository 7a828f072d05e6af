# SPDX-License-Identifier: MIT
"""`earlid safe` closes a lid whose port another program holds."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from earlid.board import port_proxy
from earlid.board.port import open_port
from earlid.board.safe import close_lid
from earlid.collect.watcher import Watcher
from earlid.ledger.location import Location
from earlid.ledger.store import Ledger
from earlid.virtual.board import VirtualBoard

from tests.collect.watching import held

EARLID = str(Path(sys.executable).parent / "earlid")


@pytest.fixture
def board() -> Iterator[VirtualBoard]:
    """A board that runs by itself, four times as fast as the wall's clock."""
    with VirtualBoard() as made:
        made.noise(-66)
        made.run_ms(6000)
        made.run_background(speed=4.0)
        yield made
        made.pause()


def hold_talk(board: VirtualBoard) -> None:
    """Open the lid by the talk button, held: it would stay open for a minute."""
    board.talk(True)
    board.run_ms(400)
    assert board.rails[1] > 2500


@contextmanager
def watched(board: VirtualBoard, location: Location) -> Iterator[Watcher]:
    """A watcher of the board, connected."""
    with Ledger(location) as ledger:
        watcher = Watcher(board.serial_port, ledger, lambda event: None)
        watcher.start()
        try:
            until_s = time.monotonic() + 120
            while not watcher.status.connected and time.monotonic() < until_s:
                time.sleep(0.1)
            assert watcher.status.connected, watcher.status.error
            yield watcher
        finally:
            watcher.stop()
            watcher.join(60)


def test_safe_closes_while_watch_holds_the_port(board: VirtualBoard, tmp_path: Path) -> None:
    with watched(board, Location(tmp_path / "ledger.sqlite", "")):
        assert port_proxy.request(board.serial_port, "hello")
        hold_talk(board)
        done = subprocess.run([EARLID, "safe", "-p", board.serial_port], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        board.run_ms(300)
        assert board.rails[1] < 300


def test_safe_closes_while_watch_waits_for_its_ledger(board: VirtualBoard, tmp_path: Path) -> None:
    location = Location(tmp_path / "ledger.sqlite", "")
    with watched(board, location), held(location):
        hold_talk(board)  # the record of the opening comes, and cannot be stored
        began_s = time.monotonic()
        reply = port_proxy.request(board.serial_port, "close")
        assert reply
        assert reply["ok"], reply
        assert time.monotonic() - began_s < 2
        board.run_ms(300)
        assert board.rails[1] < 300


def test_safe_past_a_foreign_program_waits_for_the_contact(board: VirtualBoard) -> None:
    holder = open_port(board.serial_port)
    try:
        hold_talk(board)
        verdict = close_lid(board.serial_port)
        assert verdict.closed, verdict
        assert board.rails[1] < 300
    finally:
        holder.close()
