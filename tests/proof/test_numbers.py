# SPDX-License-Identifier: MIT
"""The verifier's JavaScript recomputes what a report shows, cell by cell, and names what was falsified in it."""

from __future__ import annotations

import base64
import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from earlid.ledger import purge
from earlid.ledger.acts import COLUMNS
from earlid.ledger.boards import boards
from earlid.ledger.location import locate
from earlid.ledger.reader import Reader
from earlid.ledger.store import Ledger
from earlid.ledger.wall_clock import ClockPoint, is_time
from earlid.page import page_data
from earlid.page.pack import pack
from lid import record

from tests.ledger.synthetic_chains import fields, seal_all
from tests.ledger.test_exposure import ModelBoard
from tests.ledger.test_views import any_journal
from tests.ledger.test_wall_clock import HOST, SYNCED, YEAR, right_points, true_history, wrong_points

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="no node here (apt-get install nodejs)")
SEED = 20261127
NOW_MS = 2_000_000_000_000
PROGRAM = Path(__file__).parent / "node" / "numbers.js"


def evidence(reader, chosen):
    """Slots, times of taking and acts, as a report carries them."""
    carried = []
    for board in chosen:
        columns = ", ".join((*record.FIELDS, "link", "mac", "taken_ms"))
        rows = reader.rows(f"SELECT {columns} FROM records WHERE board_id = :id ORDER BY boot, seq", id=board.id)
        slots = [
            record.wire_to_slot(
                [*row[:3], record.EVENTS[row[3]], record.REASONS[row[4]], *row[5:14], row[14].hex(), row[15].hex()]
            )
            for row in rows
        ]
        carried.append({"board": board.identifier, "slots": b"".join(slots), "taken": [row[-1] for row in rows], "before": None})
    acts = reader.rows(f"SELECT {', '.join(COLUMNS)} FROM acts ORDER BY place")
    return carried, [[value.hex() if isinstance(value, bytes) else value for value in act] for act in acts]


def report(location, from_ms=None, to_ms=None):
    """A case for the program: evidence of a whole ledger, and the block of a report on a range."""
    with Reader(location) as reader, reader.snapshot():
        chosen = boards(reader)
        carried, acts = evidence(reader, chosen)
        header = page_data.header(reader, chosen, NOW_MS, from_ms, to_ms)
        tables = page_data.tables(page_data.load_rows(reader, chosen, from_ms, to_ms))
        return {"boards": carried, "acts": acts, "page": (header, tables)}


def compare(*cases):
    """What the verifier finds in each case."""
    plain = [
        {
            "boards": [{**board, "slots": base64.b64encode(board["slots"]).decode()} for board in case["boards"]],
            "acts": case["acts"],
            "page": base64.b64encode(pack(*case["page"])).decode(),
        }
        for case in cases
    ]
    done = subprocess.run(
        ["node", str(PROGRAM)], input=json.dumps(plain), capture_output=True, text=True, timeout=120, check=True
    )
    return [found["differences"] for found in json.loads(done.stdout)]


def random_starts(rng):
    """Records of some starts, each a journal of its own, and the starts as they were."""
    rows, starts = [], true_history(rng)
    for boot, start in enumerate(starts, 1):
        model = ModelBoard(rng, rng.choice((0x100, 0x200)))
        for _ in range(rng.randrange(3)):
            model.opening()
        items = rng.choice((model.items, any_journal(rng)))
        first = items[0].boot
        lie_ms = rng.choice((0, 0, 0, -YEAR, YEAR, 30 * YEAR // 366))
        source = rng.choice((0, record.CLOCK_SET, record.CLOCK_SET | record.CLOCK_VOUCHED))
        for item in items:
            if item.boot != first and rng.random() < 0.7:
                break
            flags = source if rng.random() < 0.8 else 0
            wall_ms = max(0, min(start.at(item.ms) + lie_ms, record.LIMITS[10])) if flags else 0
            rows.append(
                fields(
                    len(rows) + 1, item.ms, item.event, item.reason, boot=boot, score=rng.randrange(150, 256),
                    flags=flags | rng.choice((0, record.LOOK)), wall_ms=wall_ms, unc_ms=rng.choice((60, 60, 900, 65_535)),
                    a=item.a, b=rng.choice((200, item.b)) if item.event == "open" else item.b,
                )
            )  # fmt: skip
    return rows, starts


def add_random_board(rng, ledger, board):
    """A board whose clocks were right, wrong, of every source, or none; with gaps, labels and a name."""
    rows, starts = random_starts(rng)
    if rng.random() < 0.4:
        rows = [row for row in rows if rng.random() < 0.9] or rows
    fetch_wrong = rng.random() < 0.3
    taken = []
    for row in rows:
        start = starts[row[1] - 1]
        at_ms = start.at(row[2]) if start.seen else starts[-1].at(max(starts[-1].last_ms, rows[-1][2])) + 500
        taken.append(at_ms + 50 + (rng.choice((0, -3 * YEAR, 3 * YEAR)) if fetch_wrong else 0))
    ledger.add(board, seal_all(rows, board), taken)
    imported = []
    for boot in {row[1] for row in rows}:
        start = starts[boot - 1]
        for source in (SYNCED, HOST):
            if rng.random() < 0.6:
                points = (wrong_points if rng.random() < 0.15 else right_points)(rng, start, source)
                for point in points:
                    ledger.add_clock_point(board, boot, *point[:3], synced=source == SYNCED)
        if rng.random() < 0.3:
            points = rng.choice((wrong_points, right_points))(rng, start, HOST)
            imported += [{"boot": boot} | _import_of(point) for point in points if is_time(point.wall_ms)]
    if imported:
        ledger.restore_rows(board, {"clock_points": imported}, None)
    for row in rows:
        if row[3] in ("open", "near-miss") and rng.random() < 0.3:
            ledger.set_label(board, row[1], row[0], rng.choice((True, False, None)))
    if rng.random() < 0.5:
        ledger.set_name(board, f"board {board[-3:]}")


def _import_of(point: ClockPoint):
    return {"ms": point.ms, "wall_ms": point.wall_ms, "unc_ms": point.unc_ms}


def random_ledger(path, seed, count=24):
    """A ledger of so many random boards, some of it purged."""
    rng = random.Random(seed)
    location = locate(str(path))
    with Ledger(location) as ledger:
        for number in range(count):
            add_random_board(rng, ledger, f"{number:016x}")
        with Reader(location) as reader:
            chosen = rng.sample(boards(reader), count // 6)
            from_ms, to_ms = sorted(rng.randrange(1_790_000_000_000, 1_830_000_000_000) for _ in range(2))
            found = purge.find(ledger, chosen, purge.Selection(from_ms, to_ms, "some"))
        if found.runs:
            purge.purge(ledger, found.runs, "test")
    return location


@pytest.mark.parametrize("seed", range(SEED, SEED + 2))
def test_any_journal_gives_the_cells_that_the_report_shows(tmp_path, seed):
    """Sources of all ranks, right and wrong; journals that no board would write; gaps, purges, labels."""
    case = report(random_ledger(tmp_path / "ledger.sqlite", seed))
    (differences,) = compare(case)
    assert case["page"][1]["openings"]["t"], seed
    assert differences == [], (seed, differences[:5])
