# SPDX-License-Identifier: MIT
"""Clocks that are wrong, by mistake or on purpose: no opening vanishes, nothing crashes, and a person is told."""

from __future__ import annotations

import csv
import json
from datetime import datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from earlid.collect.events import WatchEvent
from earlid.collect.liveview import event_text
from earlid.collect.sync import Sync
from earlid.ledger.boards import boards
from earlid.ledger.queries import openings
from earlid.ledger.reader import Reader
from earlid.ledger.retention import keep_retention
from earlid.ledger.store import Ledger
from lid import record

from tests.attacks.conftest import KITCHEN, LIVE_MS, STEP_MS, STUDY, STUDY_KEY
from tests.ledger.synthetic_chains import KEY, fields, seal_all

MINUTE_MS = 60_000
YEAR_MS = 366 * 86_400_000


def at_ms(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp() * 1000)


LATE_MS = at_ms("2026-11-21T07:00")  # the attack: start 5, on the day after the last


def add_start(home, *, boot=5, wall_ms=0, flags=0, taken_ms=None, board=STUDY, begin_ms=LATE_MS):
    """One more start of a board, with one opening of 8 s a minute after it began; what its records say of the time is given."""
    known = home.slots[board]
    first = len(known) + 1
    rows = [("boot", "power-on", 0, {"a": 256}), ("open", "word", MINUTE_MS, {"score": 230, "a": 80, "b": 200}),
            ("close", "silence", MINUTE_MS + LIVE_MS, {"a": LIVE_MS, "b": 12})]  # fmt: skip
    made = [
        fields(first + i, ms, event, reason, boot=boot, flags=flags, wall_ms=wall_ms + ms if wall_ms else 0, unc_ms=60, **others)
        for i, (event, reason, ms, others) in enumerate(rows)
    ]
    fresh = seal_all(made, board, STUDY_KEY if board == STUDY else KEY, known[-1][40:52])
    with Ledger(home.location) as ledger:
        ledger.add(board, fresh, begin_ms + 10 * MINUTE_MS if taken_ms is None else taken_ms)
    known += fresh
    return first + 1


def observe(home, wall_ms, *, ms=5 * MINUTE_MS, boot=5, board=STUDY, synced=None):
    with Ledger(home.location, synced=lambda: synced) as ledger:
        ledger.add_clock_point(board, boot, ms, wall_ms, 500)


def opening_times(home):
    with Reader(home.location) as reader:
        return {(item.board, item.boot, item.seq): (item.start_ms, item.unc_ms) for item in openings(reader, boards(reader))}


def rows_of(said):
    """The lines of a table, with one space between."""
    return [" ".join(line.split()) for line in said.out.splitlines()]


VOUCHED = record.CLOCK_SET | record.CLOCK_VOUCHED


@pytest.mark.parametrize("flags", [record.CLOCK_SET, VOUCHED])
def test_clock_that_a_board_repeats_moves_no_opening_that_this_computer_saw(home, say, flags):
    before = opening_times(home)
    for boot in (2, 3, 4):
        with Ledger(home.location) as ledger:  # what a record says of its start, 11 minutes late
            zero_ms = at_ms(f"2026-11-{16 + boot}T08:00")
            ms = 13 * STEP_MS
            late = fields(900 + boot, ms, "mute", boot=boot, flags=flags, wall_ms=zero_ms + ms + 11 * MINUTE_MS, unc_ms=60)
            ledger.add(STUDY, seal_all([late], STUDY, STUDY_KEY), zero_ms + 14 * STEP_MS)
    after = opening_times(home)
    assert {key: after[key] for key in before} == before
    if flags == record.CLOCK_SET:  # else it is the start's own clock, which stepped: the newest word of the board
        assert "contradicts this computer's clock, not known to be synchronised, of it by 11 min" in say("verify").out


def test_observation_of_a_synchronised_clock_is_moved_by_no_other(home, say):
    add_start(home)
    observe(home, LATE_MS + 5 * MINUTE_MS, synced=True)
    observe(home, LATE_MS + 20 * MINUTE_MS, ms=9 * MINUTE_MS, synced=False)  # this computer itself, 11 minutes late
    (line,) = [line for line in rows_of(say("review", "2026-11-21", "--board", STUDY)) if " open word" in line]
    assert line.startswith("102 07:01:00 open word")
    assert (
        "  Time: Start 5: this computer's clock, not known to be synchronised, contradicts this computer's synchronised clock "
        "of it by 11 min; the first is not believed.\n" in say("verify", "--board", STUDY).out
    )


@pytest.mark.parametrize("flags", [record.CLOCK_SET, VOUCHED])
def test_record_of_the_year_10889_is_listed_and_crashes_nothing(home, say, tmp_path, flags):
    seq = add_start(home, wall_ms=(1 << 48) - 10_000_000, flags=flags)
    said = say("review", "2026-11-21")
    assert said.code == 0
    (line,) = [line for line in rows_of(said) if " open word" in line and line.startswith(f"{seq} ")]
    assert "±" in line
    assert not any("10889" in said.out for said in (say("review", "--csv", "all"), said))
    for words in (["--csv"], ["--json"], ["--html", str(tmp_path / "page.html")]):
        assert say("review", "2026-11-21", *words).code == 0
    rows = list(csv.DictReader(say("review", "2026-11-21", "--csv").out.splitlines()))
    assert str(seq) in [row["seq"] for row in rows]
    assert say("watch", "--once").code in (0, 1, 2, 3)
    assert "Traceback" not in say("verify").err


def test_record_of_the_year_10889_has_no_time_in_watch():
    sync = Sync(None, None)
    far = SimpleNamespace(boot=5, ms=1000, wall_ms=(1 << 48) - 1)
    assert sync.wall_ms(far) is None
    assert event_text(WatchEvent("record", STUDY, "mute", None, sync.wall_ms(far)), "study").strip() == "study: mute"


def test_hundreds_of_contradictions_are_counted(home, say):
    with Ledger(home.location) as ledger:
        known = home.slots[STUDY]
        far = [
            fields(len(known) + i, 1, "boot", "power-on", boot=5 + i, flags=VOUCHED, wall_ms=LATE_MS + YEAR_MS)
            for i in range(300)
        ]
        ledger.add(STUDY, seal_all(far, STUDY, STUDY_KEY, known[-1][40:52]), LATE_MS)
    lines = [line for line in say("verify", "--board", STUDY).out.splitlines() if line.startswith("  Time:")]
    assert len(lines) == 21
    assert lines[-1] == "  Time: 280 more such contradictions; --json has all."


def test_milliseconds_of_the_year_10889_crash_nothing(home, say, tmp_path):
    known = home.slots[STUDY]
    far = fields(len(known) + 1, (1 << 48) - 1, "open", "word", boot=5, score=230, b=200)
    with Ledger(home.location) as ledger:
        ledger.add(STUDY, seal_all([far], STUDY, STUDY_KEY, known[-1][40:52]), LATE_MS)
    for day in ("2026-11-20", "2026-11-21", "2020-05-05"):  # it may lie anywhere
        said = say("review", day)
        assert said.code == 0
        assert any(line.startswith(f"{len(known) + 1} ") for line in rows_of(said)), said.out
    for words in (["--csv"], ["--json"], ["--html", str(tmp_path / "page.html")]):
        assert say("review", "2026-11-21", *words).code == 0


@pytest.mark.parametrize("flags", [record.CLOCK_SET, VOUCHED])
def test_start_clocked_in_the_future_hides_no_opening(home, say, flags):
    seq = add_start(home, wall_ms=at_ms("2028-03-01T10:00"), flags=flags)
    said = say("review", "2026-11-21")
    assert "Nothing was recorded" not in said.out
    assert any(line.startswith(f"{seq} 88990000") or line.startswith(f"{seq} ") for line in rows_of(said))
    assert "opening of doubtful time (±) may lie here or on another day" in said.out
    assert not any("open word" in line for line in rows_of(say("review", "2028-03-01")))
    assert "contradicts the time when its records were taken" in say("verify", "--board", STUDY).out


def test_second_start_cannot_precede_the_first(home, say):
    add_start(home, wall_ms=at_ms("2026-11-18T09:00"), flags=VOUCHED)
    start_ms, unc_ms = opening_times(home)[STUDY, 5, 102]
    assert start_ms - unc_ms >= at_ms("2026-11-20T19:00")
    assert start_ms + unc_ms <= LATE_MS + 11 * MINUTE_MS
    doubtful = [line for line in rows_of(say("review", "2026-11-21", "--board", STUDY)) if "open word" in line]
    assert "±" in doubtful[0]
    assert "Start 5: the board's clock contradicts this computer's clock" in say("verify", "--board", STUDY).out


def test_host_clock_of_2028_that_is_right_again_leaves_right_times(home, say):
    wrong_ms = at_ms("2028-01-01T12:00")
    add_start(home, taken_ms=wrong_ms)
    observe(home, wrong_ms)
    observe(home, LATE_MS + 6 * MINUTE_MS, ms=6 * MINUTE_MS)
    start_ms, unc_ms = opening_times(home)[STUDY, 5, 102]
    assert abs(start_ms - LATE_MS - MINUTE_MS) <= unc_ms < 2000
    assert any("07:01:00" in line for line in rows_of(say("review", "2026-11-21", "--board", STUDY)))
    assert "Start 5: this computer's clock, not known to be synchronised, contradicts" in say("verify", "--board", STUDY).out


def test_host_clock_of_2028_alone_is_doubtful_and_listed_in_both_years(home, say):
    add_start(home)
    observe(home, at_ms("2028-01-01T12:00"))  # after the records were taken, in 2026
    for day in ("2026-11-21", "2028-01-01", "2027-06-01"):
        said = say("review", day, "--board", STUDY)
        assert "1 opening of doubtful time (±) may lie here or on another day: the rows that stand first." in said.out, day
    found = json.loads(say("review", "2026-11-21", "--board", STUDY, "--json").out)
    assert found["totals"]["live_least_ms"] == 0 < found["totals"]["live_most_ms"]
    assert "nothing tells which is right: its times are shown with ±" in say("verify", "--board", STUDY).out


def test_clock_hint_far_off_is_believed_by_nobody(home, say):
    add_start(home, wall_ms=LATE_MS - YEAR_MS, flags=record.CLOCK_SET)
    observe(home, LATE_MS + 5 * MINUTE_MS)
    assert any("07:01:00" in line for line in rows_of(say("review", "2026-11-21", "--board", STUDY)))
    said = say("verify", "--board", STUDY).out
    assert "Start 5: a clock hint, which anybody at the board's port may give, contradicts this computer's clock" in said


@pytest.mark.parametrize("wall_ms", [0, 1, at_ms("1999-01-01"), (1 << 48) - 1])
def test_host_clock_that_is_no_time_is_no_observation(home, say, wall_ms):
    add_start(home, taken_ms=max(wall_ms, 1))
    observe(home, wall_ms)
    assert home.look("SELECT COUNT(*) FROM clock_points WHERE boot = 5") == [(0,)]
    said = say("review", "2026-11-21", "--board", STUDY)
    assert said.code == 0
    assert "opening of doubtful time (±)" in said.out


def test_doubtful_openings_stand_before_certain_ones(home, say):
    seq = add_start(home, wall_ms=at_ms("2028-03-01T10:00"), flags=record.CLOCK_SET, board=KITCHEN)
    lines = [line for line in rows_of(say("review", "--since", "2026-11-18", "--until", "2026-11-21")) if " open word" in line]
    assert lines[0].startswith(f"{seq} ")
    assert " h open" in lines[0]
    assert " h open" not in lines[1]
    for kind in ("entries", "openings"):
        listed = json.loads(say("review", "--since", "2026-11-18", "--until", "2026-11-21", "--json").out)[kind]
        doubts = [item["unc_ms"] >= MINUTE_MS for item in listed]
        assert doubts == sorted(doubts, reverse=True)
        assert doubts[0]


@pytest.mark.parametrize("wall_ms", [-(1 << 62), -1, 1 << 47, (1 << 63) - 1])
def test_forged_clock_points_of_any_size_crash_nothing(home, say, wall_ms):
    home.forge("UPDATE clock_points SET wall_ms = ?", wall_ms)
    assert "Traceback" not in "".join((say("review", "2026-11-19").err, say("review", "--csv").err, say("verify").err))
    with Ledger(home.location) as ledger:  # and delete nothing by what is no time
        assert keep_retention(ledger, datetime(2026, 11, 21) + timedelta(days=1)).removed == {}
