# SPDX-License-Identifier: MIT
"""Sync over a damaged line: a virtual board's journal arrives in a ledger complete and identical."""

import os
import subprocess
import sys
from pathlib import Path

import lid
import pytest
from earlid.board.link import Link
from earlid.collect.sync import Sync
from earlid.ledger.boards import boards
from earlid.ledger.judge import judge
from earlid.ledger.location import Location
from earlid.ledger.reader import Reader
from earlid.ledger.store import Ledger
from earlid.virtual.board import VirtualBoard

FIRMWARE = Path(lid.__file__).parent.parent
MICROPYTHON = str(Path(sys.executable).parent / "micropython")
FILL = Path(__file__).parent / "fill_journal.py"


def sync_over_a_bad_line(folder: Path, records: int, bit_error_rate: float, seed: int) -> None:
    image = folder / "flash.bin"
    with VirtualBoard(flash=image) as board:
        board.run_ms(7000)
        before = len([name for name in board.read_files() if name.startswith("journal/0")])
    assert before
    filled = subprocess.run(
        [MICROPYTHON, "-X", "heapsize=16M", str(FILL), str(image), str(records)],
        env={**os.environ, "MICROPYPATH": str(FIRMWARE)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert filled.returncode == 0, filled.stdout + filled.stderr
    location = Location(folder / "ledger.sqlite", "")
    with VirtualBoard(flash=image, deploy=False) as board:
        board.run_ms(7000)
        board.corrupt_line(bit_error_rate, seed, drop_rate=0.02, duplicate_rate=0.02)
        board.run_background(speed=None)
        with Ledger(location) as ledger, Link(board.serial_port) as link:
            result = Sync(link, ledger).catch_up()
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


def test_journal_arrives_complete_over_a_bad_line(tmp_path, seed):
    sync_over_a_bad_line(tmp_path, 120, 3e-4, seed)


@pytest.mark.soak
def test_ten_thousand_records_arrive_complete_over_a_very_bad_line(tmp_path, seed):
    """One bit in a thousand: two lines of three are damaged. Most of the time it takes is waiting for replies that were."""
    sync_over_a_bad_line(tmp_path, 10_000, 1e-3, seed)
