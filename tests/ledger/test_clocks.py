# SPDX-License-Identifier: MIT
"""Wall time: computed from clock points, with an uncertainty, and corrected later without rewriting a record."""

from __future__ import annotations

from datetime import date, datetime
from itertools import pairwise

import pytest
from earlid.ledger import time_format
from earlid.ledger.boards import boards
from earlid.ledger.clock_claims import clocks_of
from earlid.ledger.queries import entries, totals
from earlid.ledger.reader import Reader
from earlid.ledger.store import Ledger
from earlid.ledger.wall_clock import UNBOUNDED_MS, BootClock, BootExtent, ClockPoint, consistent_points
from hypothesis import given
from hypothesis import strategies as st
from lid import record
from synthetic_chains import BOARD, dump, fields, life, seal_all

T = 1_800_000_000_000
DAY = 86_400_000
HOUR_MS = 3_600_000


def test_single_clock_point_extrapolates_with_growing_uncertainty():
    clock = BootClock([ClockPoint(10_000, T, 40)])
    assert clock.wall(10_000) == (T, 40)
    assert clock.wall(0) == (T - 10_000, 40)
    assert clock.wall(10_000 + DAY) == (T + DAY, 40 + 4320)


def test_drift_between_two_clock_points_is_removed():
    slow = BootClock([ClockPoint(0, T, 40), ClockPoint(DAY, T + DAY + 4000, 40)])
    assert slow.wall(DAY // 2) == (T + DAY // 2 + 2000, 40 + 2160)


def test_newest_clock_point_wins_over_inconsistent_ones():
    right, wrong, reread = ClockPoint(0, T, 50), ClockPoint(DAY, T + 9 * DAY, 50), ClockPoint(2 * DAY, T + 2 * DAY, 50)
    assert consistent_points([right, wrong]) == [wrong]
    assert consistent_points([reread, right, wrong]) == [right, reread]


@given(
    st.lists(st.tuples(st.integers(0, 1 << 25), st.integers(-900, 900)), min_size=1, max_size=9),
    st.integers(0, 1 << 42),  # 139 years: what lies beyond 2200 is no time
)
def test_consistent_clock_points_give_one_line(points, ms):
    clock = BootClock(ClockPoint(hour * HOUR_MS, T + hour * HOUR_MS + off, 1000) for hour, off in points)
    wall_ms, unc_ms = clock.wall(ms)
    assert abs(wall_ms - (T + ms)) <= unc_ms
    assert abs(clock.ms_at(wall_ms) - ms) <= 2


def test_record_at_midnight_of_a_drifting_clock_is_counted_in_one_day_and_listed_where_it_may_lie(location):
    rows = [fields(i + 1, i * 997, "mute") for i in range(400)]
    with Ledger(location) as ledger:
        ledger.add(BOARD, seal_all(rows), T + 406_000)
        ledger.add_clock_point(BOARD, 1, 0, T, 5000)
        ledger.add_clock_point(BOARD, 1, 400_000, T + 406_000, 5000)
    cuts = [T + ms for ms in range(0, 410_000, 20_000)]
    with Reader(location) as reader:
        chosen = boards(reader)
        parts = [list(entries(reader, chosen, *cut)) for cut in pairwise(cuts)]
        counts = [totals(reader, chosen, *cut).records for cut in pairwise(cuts)]
    assert {entry.seq for part in parts for entry in part} == set(range(1, 401))
    for (from_ms, to_ms), part, count in zip(pairwise(cuts), parts, counts, strict=True):
        outside = [entry for entry in part if not from_ms <= entry.wall_ms < to_ms]
        assert all(min(abs(entry.wall_ms - cut) for cut in (from_ms, to_ms)) <= entry.unc_ms for entry in outside)
        assert abs(len(part) - len(outside) - count) <= 1


def test_milliseconds_beyond_32_and_48_bits_are_kept(location):
    # MicroPython's ticks and 32-bit counters wrap after 49.7 days; the journal's do not.
    late_ms = [(1 << 32) - 5, (1 << 32) + 5, (1 << 47)]
    with Ledger(location) as ledger:
        ledger.add(BOARD, seal_all(fields(i + 1, ms, "mute") for i, ms in enumerate(late_ms)))
        ledger.add_clock_point(BOARD, 1, 1 << 32, T, 50)
    with Reader(location) as reader:
        boots = list(entries(reader, boards(reader)))
    assert [entry.ms for entry in boots] == late_ms
    assert [entry.wall_ms for entry in boots[:2]] == [T - 5, T + 5]


def test_wrong_clock_is_corrected_by_a_later_sync_without_rewriting(location):
    clock_fields = {"flags": record.CLOCK_SET, "unc_ms": 60}
    wrong = T + 30 * DAY
    with Ledger(location) as ledger:
        ledger.add(
            BOARD,
            seal_all(
                [
                    fields(1, 1000, "boot", "power-on"),
                    fields(2, 5000, "clock", "set", wall_ms=wrong + 5000, **clock_fields),
                    fields(3, 9000, "mute", wall_ms=wrong + 9000, **clock_fields),
                ]
            ),
            wrong + 9000,  # it was this computer that set the clock, with its own
        )
        before = dump(location)
        with Reader(location) as reader:
            assert [entry.wall_ms for entry in entries(reader, boards(reader))] == [wrong + ms for ms in (1000, 5000, 9000)]
        ledger.add_clock_point(BOARD, 1, 60_000, T + 60_000, 50)
    with Reader(location) as reader:
        assert [entry.wall_ms for entry in entries(reader, boards(reader))] == [T + ms for ms in (1000, 5000, 9000)]
        assert list(entries(reader, boards(reader), T, T + 4900))[-1].seq == 1
    assert dump(location) == before


def test_untimed_start_lies_between_its_neighbours():
    extents = [BootExtent(boot, 0, last_ms, T + DAY, T + DAY) for boot, last_ms in ((1, 60_000), (2, 1000), (3, 5))]
    points = {1: [ClockPoint(0, T, 50)], 3: [ClockPoint(0, T + 600_000, 50)]}
    wall_ms, unc_ms = clocks_of(extents, points)[2].wall(0)
    assert wall_ms - unc_ms <= T + 60_000 + 300_000 <= wall_ms + unc_ms
    assert wall_ms - unc_ms >= T + 59_000
    assert wall_ms + unc_ms <= T + 600_100


def test_start_without_any_clock_point_is_bounded_by_its_fetch():
    clock = clocks_of([BootExtent(1, 0, 10_000, T, T)], {})[1]
    assert clock.wall(10_000) == (T, UNBOUNDED_MS)
    assert time_format.uncertainty_text(UNBOUNDED_MS) == "or before"


def test_redundant_clock_points_are_not_stored(location):
    with Ledger(location) as ledger:
        for minute in range(0, 24 * 60, 5):
            ledger.add_clock_point(BOARD, 1, minute * 60_000, T + minute * 60_000, 50)
        ledger.add(BOARD, life(500, zero_ms=T))
    assert len(dump(location, "clock_points")) <= 6


def test_leap_of_the_host_clock_is_stored_and_overruled_by_the_next_point(location):
    with Ledger(location) as ledger:
        ledger.add(BOARD, life(10), T + 541_000)
        for ms, wall_ms in ((0, T), (60_000, T + 60_000 + 3_600_000), (120_000, T + 120_000)):
            ledger.add_clock_point(BOARD, 1, ms, wall_ms, 50)
    with Reader(location) as reader:
        assert next(entries(reader, boards(reader))).wall_ms == T + 1000


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 7, 1), 24)])
def test_days_of_a_clock_change_have_23_and_25_hours(berlin, day, hours):
    start_ms = time_format.day_start_ms(day)
    ((boots, first_ms, end_ms),) = time_format.days_between(start_ms, start_ms + 1)
    assert (boots, first_ms, end_ms - first_ms) == (day, start_ms, hours * 3_600_000)
    assert len(time_format.days_between(start_ms - DAY, start_ms + 3 * DAY)) in (4, 5)


def test_repeated_hour_is_told_apart_by_its_offset(berlin):
    first_ms = int(datetime(2026, 10, 25, 2, 30, fold=0).timestamp() * 1000)
    second_ms = first_ms + 3_600_000
    assert (time_format.clock_text(first_ms), time_format.clock_text(second_ms)) == ("02:30:00", "02:30:00+01:00")
    assert time_format.iso_text(first_ms).endswith("+02:00")
    assert time_format.iso_text(second_ms).endswith("+01:00")


@pytest.mark.parametrize(
    ("span_ms", "text"), [(400, "0.4 s"), (8000, "8.0 s"), (200_000, "3 min 20 s"), (7_500_000, "2 h 05 min")]
)
def test_durations_format_for_people(span_ms, text):
    assert time_format.span_text(span_ms) == text


@pytest.mark.parametrize(("unc_ms", "text"), [(60, ""), (3000, "±3 s"), (7_200_000, "±2 h"), (10 * DAY, "±10 d")])
def test_uncertainties_format_for_people(unc_ms, text):
    assert time_format.uncertainty_text(unc_ms) == text
