# SPDX-License-Identifier: MIT
"""Sync over a damaged line: a virtual board's journal arrives in a ledger complete and identical."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import lid
import pytest
from earlid.board.link import BoardGone, Link
from earlid.collect.sync import Sync, SyncResult
from earlid.ledger.boards import boards
from earlid.ledger.chain import ALTERED, INTACT
from earlid.ledger.judge import judge
from earlid.ledger.keys import PairedKey
from earlid.ledger.location import Location
from earlid.ledger.reader import Reader
from earlid.ledger.store import Ledger
from earlid.virtual.board import VirtualBoard

FIRMWARE = Path(lid.__file__).parent.parent
MICROPYTHON = str(Path(sys.executable).parent / "micropython")
FILL = Path(__file__).parent / "fill_journal.py"
TRIES = 5


def make_image(image: Path, records: int) -> tuple[PairedKey, int]:
    """Make an image with so many records; the key of the first, and the epoch after the last."""
    with VirtualBoard(flash=image) as board:
        board.run_ms(7000)
        before = len([name for name in board.read_files() if name.startswith("journal/0")])
    assert before
    filled = subprocess.run(
        [MICROPYTHON, "-X", "heapsize=16M", str(FILL), str(image), str(records)],
        env={**os.environ, "MICROPYPATH": str(FIRMWARE)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert filled.returncode == 0, filled.stdout + filled.stderr
    _, _, key, epoch, last_epoch = filled.stdout.split()
    return PairedKey(bytes.fromhex(key), int(epoch)), int(last_epoch)


def caught_up(link: Link, ledger: Ledger) -> SyncResult:
    """As `watch` does: where the first requests are all damaged on their way, the board seems silent; it is asked again."""
    for _ in range(TRIES - 1):
        with suppress(BoardGone):
            return Sync(link, ledger).catch_up()
    return Sync(link, ledger).catch_up()


def sync_over_a_bad_line(folder: Path, records: int, bit_error_rate: float, seed: int) -> None:
    image = folder / "flash.bin"
    make_image(image, records)
    location = Location(folder / "ledger.sqlite", "")
    with VirtualBoard(flash=image, deploy=False) as board:
        board.run_ms(7000)
        board.corrupt_line(bit_error_rate, seed, drop_rate=0.02, duplicate_rate=0.02)
        board.run_background(speed=None)
        with Ledger(location) as ledger, Link(board.serial_port) as link:
            result = caught_up(link, ledger)
            print(f"{result.stored} stored, {link.bad_lines} damaged lines, {link.noise_bytes} bytes of noise")
            assert link.bad_lines > records * 145 * 8 * bit_error_rate / 4, f"seed {seed}: the line was not bad"
        board.pause()
        board.corrupt_line(0)
        board.run_background(speed=None)
        with Link(board.serial_port) as link:
            hello = link.request("hello")["hi"]
    with Reader(location) as reader:
        (row,) = boards(reader)
        judgement = judge(reader, row, ())
    assert judgement.exit_code == 0, f"seed {seed}: {judgement.findings}"
    assert judgement.records >= records, f"seed {seed}"
    assert judgement.head_seq in (hello["seq"], hello["seq"] - 1, hello["seq"] - 2), f"seed {seed}"


def test_boards_key_is_followed_over_its_segments(tmp_path):
    key, last_epoch = make_image(tmp_path / "flash.bin", 2100)
    location = Location(tmp_path / "ledger.sqlite", "")
    with VirtualBoard(flash=tmp_path / "flash.bin", deploy=False) as board:
        board.run_ms(7000)
        board.run_background(speed=None)
        with Ledger(location) as ledger, Link(board.serial_port) as link:
            Sync(link, ledger).catch_up()
    assert (key.epoch, last_epoch) == (0, 2)
    with Reader(location) as reader:
        (row,) = boards(reader)
        (finding,) = judge(reader, row, [key]).findings
        assert finding.verdict == INTACT
        assert "each bears the mark of the board's key" in finding.say
        later = judge(reader, row, [PairedKey(key.at(1), 0, 1)]).findings  # that of the second segment, for the first
        assert [(found.verdict, found.first) for found in later] == [(ALTERED, 1)]


def test_journal_arrives_complete_over_a_bad_line(tmp_path, seed):
    sync_over_a_bad_line(tmp_path, 120, 3e-4, seed)


@pytest.mark.soak
def test_ten_thousand_records_arrive_complete_over_a_very_bad_line(tmp_path, seed):
    """One bit in a thousand: two lines of three are damaged. Most of the time it takes is waiting for replies that were."""
    sync_over_a_bad_line(tmp_path, 10_000, 1e-3, seed)
