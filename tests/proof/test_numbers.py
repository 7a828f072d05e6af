# SPDX-License-Identifier: MIT
"""The verifier's JavaScript recomputes what a report shows, cell by cell, and names what was falsified in it."""

from __future__ import annotations

import base64
import json
import random
import shutil
import subprocess
from datetime import datetime
from pathlib import Path

import pytest
from earlid.ledger import purge
from earlid.ledger.boards import boards
from earlid.ledger.location import locate
from earlid.ledger.reader import Reader
from earlid.ledger.sealed import sealed_records
from earlid.ledger.store import Ledger
from earlid.ledger.wall_clock import ClockPoint, is_time
from earlid.page import page_data
from earlid.page.pack import pack
from lid import record
from sqlalchemy import event

from tests.ledger.synthetic_chains import BOARD, fields, life, seal_all
from tests.ledger.test_exposure import ModelBoard
from tests.ledger.test_views import any_journal
from tests.ledger.test_wall_clock import DAY, HOST, HOUR, SYNCED, YEAR, T, right_points, true_history, wrong_points
from tests.page.synthetic import household

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="no node here (apt-get install nodejs)")
SEED = 20261127
NOW_MS = 2_000_000_000_000
PROGRAM = Path(__file__).parent / "node" / "numbers.js"


def report(location, from_ms=None, to_ms=None):
    """(Header, tables) of both blocks of a report, as `review --html` writes them."""
    with Reader(location) as reader, reader.snapshot():
        chosen = boards(reader)
        rows = page_data.load_rows(reader, chosen, from_ms, to_ms)
        sealed = sealed_records(reader, chosen, from_ms, to_ms, [tuple(map(int, row[2:5])) for row in rows.openings])
        return {
            "sealed": (sealed.header, {"slots": {"bytes": sealed.slots}, "taken": {"ms": sealed.taken_ms}}),
            "shown": (page_data.header(reader, chosen, NOW_MS, from_ms, to_ms), page_data.tables(rows)),
        }


def compare(*reports):
    """What the verifier finds in each report: rows of {what, board, boot, seq, shown, computed, cannot}."""
    blocks = [{name: base64.b64encode(pack(*block)).decode() for name, block in each.items()} for each in reports]
    done = subprocess.run(
        ["node", str(PROGRAM)], input=json.dumps(blocks), capture_output=True, text=True, timeout=120, check=True
    )
    return json.loads(done.stdout)


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
                off_ms = rng.choice((0, 0, 0, 2000, -2000))
                for ms, wall_ms, unc_ms, _ in points:
                    ledger.add_clock_point(board, boot, ms, wall_ms + off_ms, unc_ms, synced=source == SYNCED)
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


def random_ledger(path, seed, count=20):
    """A ledger of so many random boards, some of it purged."""
    rng = random.Random(seed)
    location = locate(str(path))
    with Ledger(location) as ledger:
        event.listen(ledger.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF"))
        for number in range(count):
            add_random_board(rng, ledger, f"{number:016x}")
        with Reader(location) as reader:
            chosen = rng.sample(boards(reader), count // 6)
            from_ms, to_ms = sorted(rng.randrange(1_790_000_000_000, 1_830_000_000_000) for _ in range(2))
            found = purge.find(ledger, chosen, purge.Selection(from_ms, to_ms, "some"))
        if found.runs:
            purge.purge(ledger, found.runs, "test")
    return location


@pytest.mark.parametrize("seed", [SEED])
def test_any_journal_gives_the_cells_that_the_report_shows(tmp_path, seed):
    """Sources of all ranks, right and wrong; journals that no board would write; gaps, purges, labels."""
    made = report(random_ledger(tmp_path / "ledger.sqlite", seed))
    (differences,) = compare(made)
    assert len(made["shown"][1]["openings"]["t"]) > 100, seed
    assert differences == [], (seed, differences[:5])


@pytest.mark.parametrize("seed", [SEED])
def test_part_of_any_journal_is_never_called_wrong(tmp_path, seed):
    """What may rest on records that are not carried "cannot" be checked; the rest is as shown."""
    rng = random.Random(seed)
    location = random_ledger(tmp_path / "ledger.sqlite", seed + 100, 12)
    ranges = []
    for _ in range(6):
        from_ms = T + rng.randrange(40 * DAY)
        ranges.append(rng.choice(((from_ms, None), (None, from_ms), (from_ms, from_ms + rng.choice((HOUR, DAY, 20 * DAY))))))
    for limits, differences in zip(ranges, compare(*(report(location, *limits) for limits in ranges)), strict=True):
        assert [row for row in differences if not row["cannot"]] == [], (seed, limits)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A month of a household, and its last moment."""
    end = datetime(2026, 11, 21, 22)
    location, *_ = household(tmp_path_factory.mktemp("home") / "ledger.sqlite", days=30, end=end)
    return location, int(end.timestamp() * 1000)


def remove(made, table, row):
    """The report without a row of a table."""
    header, tables = made["shown"]
    columns = {name: values[:row] + values[row + 1 :] for name, values in tables[table].items()}
    return made | {"shown": (header, tables | {table: columns})}


def change(made, table, column, row, by):
    """The report with another value in a cell."""
    header, tables = made["shown"]
    values = tables[table][column][:]
    values[row] += by
    return made | {"shown": (header, tables | {table: tables[table] | {column: values}})}


def at(made, table, row):
    """(Board, start, number) of a row."""
    header, tables = made["shown"]
    columns = tables[table]
    return header["boards"][columns["board"][row]]["board"], columns["boot"][row], columns["seq"][row]


@pytest.mark.parametrize("days", [None, 7])
def test_falsified_cell_is_named_and_nothing_else(home, days):
    """In a report of all and of a week: left out, shortened, moved in time, its label turned, another end, a record's score."""
    location, end_ms = home
    made = report(location, *(() if days is None else (end_ms - 9 * DAY, end_ms - (9 - days) * DAY)))
    openings, points = made["shown"][1]["openings"], made["shown"][1]["points"]
    row = len(openings["t"]) // 2
    labelled = next(i for i, label in enumerate(openings["label"]) if label == 0) if days is None else row
    near = points["event"].index(page_data.NAMES.index("near-miss"))
    names = page_data.NAMES
    cases = {
        "opening left out": (remove(made, "openings", row), "openings", row),
        "record left out": (remove(made, "points", near), "points", near),
        "most": (change(made, "openings", "most", row, -500), "openings", row),
        "least": (change(made, "openings", "least", row, -500), "openings", row),
        "t": (change(made, "openings", "t", row, -3_600_000), "openings", row),
        "unc": (change(made, "openings", "unc", row, 1), "openings", row),
        "label": (change(made, "openings", "label", labelled, 1), "openings", labelled),
        "ended": (change(made, "openings", "ended", row, names.index("host") - openings["ended"][row]), "openings", row),
        "score": (change(made, "points", "score", near, 1), "points", near),
        "doubt": (change(made, "openings", "doubt", row, 1), "openings", row),
        "record added": (change(made, "points", "seq", near, 1_000_000), None, None),
    }
    if days is not None:
        del cases["unc"]  # it may rest on clocks of before
    plain, *found = compare(made, *(case for case, _, _ in cases.values()))
    assert {row["what"] for row in plain} <= ({"doubt", "signs", "since", "lid", "unc"} if days else set())
    assert all(row["cannot"] for row in plain)
    for (what, (_, table, place)), differences in zip(cases.items(), found, strict=True):
        new = [item for item in differences if item not in plain]
        if what == "record added":
            assert sorted(item["what"] for item in new) == ["record added", "record left out"]
        else:
            assert [item["what"] for item in new] == [what], what
            assert (new[0]["board"], new[0]["boot"], new[0]["seq"]) == at(made, table, place), what
            assert new[0]["cannot"] == (what == "doubt" and days is not None), what


def test_start_moved_as_a_whole_cannot_be_checked_from_a_part_alone(home):
    """In a report of a part a start may rest on clocks of starts that are not there; of all, it is wrong."""
    location, end_ms = home
    for limits, cannot in (((), False), ((end_ms - 3 * DAY, end_ms - DAY), True)):
        made = report(location, *limits)
        for table in ("openings", "points"):
            for row in range(len(made["shown"][1][table]["t"])):
                made = change(made, table, "t", row, -7000)
        (differences,) = compare(made)
        moved = [row for row in differences if row["what"] == "t"]
        assert moved
        assert {row["cannot"] for row in moved} == {cannot}


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [("lid", "muted", "lid"), ("since", 5, "since"), ("name", "attic", "name"), ("board", "00000000000000ff", "board added")],
)
def test_falsified_board_is_named(home, column, value, what):
    made = report(home[0])
    header, tables = made["shown"]
    header["boards"][0][column] = value
    (differences,) = compare(made | {"shown": (header, tables)})
    assert what in {row["what"] for row in differences if not row["cannot"]}


def test_gap_that_is_not_told_is_named(tmp_path):
    slots = life(20, zero_ms=T)
    with Ledger(locate(str(tmp_path / "ledger.sqlite"))) as ledger:
        ledger.add(BOARD, slots[:8] + slots[11:])
        location = ledger.location
    made = report(location)
    assert compare(made) == [[]]
    made["shown"][0]["gaps"] = []
    (differences,) = compare(made)
    assert [(row["what"], row["computed"]) for row in differences] == [("gap", "9 to 11")]
