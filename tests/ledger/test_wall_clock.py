# SPDX-License-Identifier: MIT
"""What is believed of the times of a board's starts: by whom, between which bounds, and what contradicts it."""

from __future__ import annotations

import random
import time
from typing import NamedTuple

import pytest
from earlid.ledger.boards import boards
from earlid.ledger.clock_claims import RANK, TAKEN, claims_of, clocks_of, settle, settle_undisputed
from earlid.ledger.queries import entries
from earlid.ledger.reader import Reader
from earlid.ledger.store import Ledger
from earlid.ledger.version import FROM_BOARD as BOARD
from earlid.ledger.version import FROM_HINT as HINT
from earlid.ledger.version import FROM_HOST as HOST
from earlid.ledger.version import FROM_IMPORT as IMPORTED
from earlid.ledger.version import FROM_SYNCED_HOST as SYNCED
from earlid.ledger.wall_clock import DRIFT_PPM, EARLIEST_MS, LATEST_MS, UNBOUNDED_MS, BootExtent, ClockPoint, interval, may_lie_in
from lid import record

from tests.ledger.synthetic_chains import BOARD as BOARD_NAME
from tests.ledger.synthetic_chains import fields, seal_all

T = 1_800_000_000_000
DAY = 86_400_000
YEAR = 366 * DAY
HOUR = 3_600_000


def told(*starts):
    """(Clocks by start, findings) of (last ms, taken ms, points); a start is numbered by its place from 1."""
    extents = [BootExtent(i + 1, 0, last_ms, taken_ms, taken_ms) for i, (last_ms, taken_ms, _) in enumerate(starts)]
    points = {i + 1: [ClockPoint(*point) for point in points] for i, (_, _, points) in enumerate(starts)}
    plausible = [extent.plausible() for extent in extents]
    _, findings = settle(plausible, [claims_of(points[extent.boot], extent.last_ms) for extent in plausible])
    return clocks_of(extents, points), findings


def holds(clock, ms, true_ms):
    earliest_ms, latest_ms = interval(*clock.wall(ms))
    return earliest_ms <= true_ms <= latest_ms


@pytest.mark.parametrize("source", [HOST, IMPORTED, BOARD, HINT])
def test_synchronised_observation_outranks_a_newer_one_of_another_source(source):
    clocks, findings = told((HOUR, T + HOUR, [(0, T, 60, SYNCED), (HOUR // 2, T + 11 * 60_000 + HOUR // 2, 60, source)]))
    assert clocks[1].wall(HOUR)[0] == T + HOUR
    ((boot, accused, _, believed, apart_ms, doubtful),) = findings
    assert (boot, accused, believed, doubtful) == (1, source, SYNCED, False)
    assert 10 * 60_000 < apart_ms <= 11 * 60_000


def test_sources_rank_from_a_synchronised_clock_down_to_a_hint():
    assert sorted(RANK, key=RANK.__getitem__) == [HINT, BOARD, IMPORTED, HOST, SYNCED]
    for higher, lower in ((SYNCED, HOST), (HOST, IMPORTED), (IMPORTED, BOARD), (BOARD, HINT)):
        clocks, _ = told((1000, T + YEAR, [(0, T, 60, higher), (900, T + DAY, 60, lower)]))
        assert clocks[1].wall(0)[0] == T


def test_newest_point_wins_inside_its_source_alone():
    clocks, _ = told((2 * HOUR, T + 2 * HOUR, [(0, T - DAY, 60, HOST), (HOUR, T + HOUR, 60, HOST), (2 * HOUR, T, 60, BOARD)]))
    assert clocks[1].wall(0) == (T, 60 + HOUR * DRIFT_PPM // 1_000_000)


@pytest.mark.parametrize("source", [IMPORTED, BOARD, HINT])
def test_start_clocked_in_the_future_is_never_later_than_taken(source):
    clocks, (finding,) = told((HOUR, T, [(0, T + 2 * YEAR, 60, source)]))
    assert clocks[1].wall(HOUR) == (T, UNBOUNDED_MS)
    assert (finding.source, finding.other_source, finding.doubtful) == (source, TAKEN, False)


def test_unsynchronised_clock_against_its_own_fetch_gives_both_room():
    # The records were taken at T, and later this computer's clock said 2028; or the first was wrong: nothing tells.
    clocks, (finding,) = told((HOUR, T, [(HOUR, T + 2 * YEAR, 60, HOST)]))
    assert holds(clocks[1], HOUR, T)
    assert holds(clocks[1], HOUR, T + 2 * YEAR)
    assert clocks[1].wall(HOUR)[0] == T
    assert (finding.other_source, finding.doubtful) == (TAKEN, True)


def test_synchronised_clock_outranks_the_time_of_fetching():
    # A computer without a battery: its clock stood at last week when it took the records.
    clocks, (finding,) = told((HOUR, T - 7 * DAY, [(0, T, 60, SYNCED)]))
    assert clocks[1].wall(0) == (T, 60)
    assert (finding.source, finding.other_source, finding.doubtful) == (TAKEN, SYNCED, False)


@pytest.mark.parametrize("source", [IMPORTED, BOARD, HINT])
def test_start_is_never_before_the_one_before_it(source):
    clocks, findings = told((HOUR, T + DAY, [(0, T, 60, HOST)]), (HOUR, T + DAY, [(0, T - 30 * DAY, 60, source)]))
    earliest_ms, latest_ms = interval(*clocks[2].wall(0))
    assert T + HOUR - 1000 <= earliest_ms < latest_ms <= T + DAY
    assert [(finding.boot, finding.source, finding.other_boot) for finding in findings] == [(2, source, 1)]


def test_start_that_was_fetched_before_the_one_before_it_began_is_doubtful():
    clocks, (finding,) = told((HOUR, T + HOUR, [(0, T, 60, HOST)]), (HOUR, T - YEAR, []))
    assert holds(clocks[2], 0, T - YEAR - HOUR)  # if the clock was right that fetched it
    assert holds(clocks[2], 0, T + DAY)  # if that was which saw the first
    assert (finding.boot, finding.source, finding.other_boot, finding.other_source) == (2, TAKEN, 1, HOST)
    assert finding.doubtful
    clocks, (finding,) = told((HOUR, T + HOUR, [(0, T, 60, SYNCED)]), (HOUR, T - YEAR, []))
    assert clocks[2].wall(0)[0] >= T + HOUR - 1000
    assert (finding.source, finding.other_source, finding.doubtful) == (TAKEN, SYNCED, False)


@pytest.mark.parametrize("source", [HOST, IMPORTED, BOARD, HINT])
def test_estimate_is_not_later_than_taken_where_the_bounds_reach_beyond(source):
    clocks, findings = told((HOUR, T + HOUR, [(0, T + 30_000, 65_535, source)]))
    wall_ms, unc_ms = clocks[1].wall(HOUR)
    assert wall_ms <= T + HOUR
    assert wall_ms - unc_ms <= T + HOUR - 35_000
    assert not findings  # both can be true


def test_two_starts_that_contradict_each_other_are_both_doubtful():
    clocks, (finding,) = told((HOUR, T + 2 * YEAR + HOUR, [(0, T + 2 * YEAR, 60, HOST)]), (HOUR, T + DAY, [(0, T, 60, HOST)]))
    for boot in (1, 2):
        assert holds(clocks[boot], 0, T - (2 - boot) * 2 * HOUR), boot
        assert holds(clocks[boot], 0, T + 2 * YEAR + (boot - 1) * 2 * HOUR), boot
    assert (finding.boot, finding.other_boot, finding.doubtful) == (1, 2, True)


@pytest.mark.parametrize(("wrong", "wrong_by_ms"), [(1, 2 * YEAR), (2, 2 * YEAR), (2, -2 * YEAR), (3, 2 * YEAR), (3, -2 * YEAR),
                                                    (4, -2 * YEAR)])  # fmt: skip
def test_one_wrong_start_among_many_hides_none(wrong, wrong_by_ms):
    starts = []
    for boot in range(1, 5):
        at_ms = T + boot * DAY + (wrong_by_ms if boot == wrong else 0)
        starts.append((HOUR, at_ms + HOUR, [(0, at_ms, 60, HOST)]))
    clocks, findings = told(*starts)
    assert all(holds(clocks[boot], 0, T + boot * DAY) for boot in range(1, 5))
    assert {finding.boot for finding in findings} <= {wrong, wrong + 1, wrong - 1}
    # Two starts say so, one against them: they are right. One against one: nothing tells which.
    exact = [boot for boot in range(1, 5) if clocks[boot].wall(0) == (T + boot * DAY, 60)]
    assert len(exact) == (3 if wrong in (1, 4) else 2 if all(finding.doubtful for finding in findings) else 3), exact


@pytest.mark.parametrize("wall_ms", [0, 1, EARLIEST_MS - 1, LATEST_MS, (1 << 48) - 1, 281_474_976_710_655])
@pytest.mark.parametrize("source", [BOARD, HOST, SYNCED])
def test_points_outside_2020_to_2200_are_no_times(wall_ms, source):
    clocks, _ = told((HOUR, T, [(0, wall_ms, 60, source)]))
    assert clocks[1].wall(HOUR) == (T, UNBOUNDED_MS)


@pytest.mark.parametrize("last_ms", [1 << 40, 1 << 47, (1 << 48) - 1])
@pytest.mark.parametrize("points", [[], [(5, T, 60, HOST)], [(1 << 47, T, 60, BOARD)], [(5, T, 60, HINT)]])
def test_milliseconds_of_any_size_give_a_time_that_a_calendar_has(last_ms, points):
    clocks, _ = told((HOUR, T, [(0, T - DAY, 60, HOST)]), (last_ms, T, points), (HOUR, T + DAY, [(0, T + HOUR, 60, HOST)]))
    for boot in (1, 2, 3):
        for ms in (0, 5, HOUR, last_ms):
            wall_ms, unc_ms = clocks[boot].wall(ms)
            assert EARLIEST_MS <= wall_ms < LATEST_MS
            assert unc_ms >= 0
    assert clocks[1].wall(0)[0] == T - DAY
    assert clocks[3].wall(0)[0] == T + HOUR


def test_time_that_may_lie_in_a_range_is_asked_by_its_bounds():
    assert may_lie_in(T, 3000, T + 2000, T + 9000)
    assert not may_lie_in(T, 1000, T + 2000, T + 9000)
    assert may_lie_in(T, 1000, None, T)
    assert may_lie_in(T, UNBOUNDED_MS, T - YEAR, T - YEAR + 1)
    assert not may_lie_in(T, UNBOUNDED_MS, T + 1, None)


class TrueStart(NamedTuple):
    """What happened: `begin_ms` in Unix ms, and how fast its crystal ran."""

    begin_ms: int
    last_ms: int
    ppm: int
    seen: bool  # by this computer, while it ran

    def at(self, ms):
        return self.begin_ms + ms + ms * self.ppm // 1_000_000


def true_history(rng):
    starts, now_ms = [], T + rng.randrange(DAY)
    for _ in range(rng.randint(1, 12)):
        last_ms = rng.choice([rng.randrange(1000), rng.randrange(HOUR), rng.randrange(30 * DAY)])
        starts.append(TrueStart(now_ms, last_ms, rng.randint(1 - DRIFT_PPM, DRIFT_PPM - 1), rng.random() < 0.6))
        now_ms = starts[-1].at(last_ms) + rng.choice([0, 1, rng.randrange(1000), rng.randrange(9 * DAY)])
    return starts


def right_points(rng, start, source, unc_ms=60):
    moments = sorted(rng.sample(range(start.last_ms + 1), min(start.last_ms + 1, rng.randint(1, 5))))
    return [ClockPoint(ms, start.at(ms) + rng.randint(-unc_ms, unc_ms) * 9 // 10, unc_ms, source) for ms in moments]


def wrong_points(rng, start, source):
    lead_ms = rng.choice([-1, 1]) * rng.choice([660_000, rng.randrange(30 * DAY), rng.randrange(9 * YEAR), 1 << 47])
    unc_ms = rng.choice([0, 60, 65_535])
    moments = [rng.randrange(start.last_ms + 1) for _ in range(rng.randint(1, 3))]
    points = [ClockPoint(ms, start.at(ms) + lead_ms + rng.choice([0, 0, rng.randrange(DAY)]), unc_ms, source) for ms in moments]
    return list({point.ms: point for point in points}.values())


def check_history(seed, *, host, lower, fetch_wrong):
    """Of every start that a believed source was right about, and of every moment, the true time lies between the bounds."""
    rng = random.Random(seed)
    starts = true_history(rng)
    extents, points = [], {}
    later_ms = max(start.at(start.last_ms) for start in starts)
    for boot, start in enumerate(starts, 1):
        taken_ms = start.at(start.last_ms) if start.seen else later_ms + 500
        if fetch_wrong:
            taken_ms += rng.choice([0, -3 * YEAR, 3 * YEAR])
        extents.append(BootExtent(boot, 0, start.last_ms, taken_ms, taken_ms))
        points[boot] = right_points(rng, start, host) if start.seen else []
        for source in lower:
            if start.seen and rng.random() < 0.5:
                points[boot] += wrong_points(rng, start, source)
    clocks = clocks_of(extents, points)
    for boot, start in enumerate(starts, 1):
        for ms in {0, start.last_ms, start.last_ms // 2, start.last_ms // 3}:
            if start.seen or not fetch_wrong:
                assert holds(clocks[boot], ms, start.at(ms)), (seed, boot, ms, start.at(ms), clocks[boot].wall(ms))


@pytest.mark.parametrize("block", range(16))
def test_true_time_lies_in_the_interval_when_the_synchronised_clock_was_right(block):
    """Whatever else spoke: other clocks of this computer, the board, imports, hints, and wrong times of fetching."""
    for seed in range(25 * block, 25 * block + 25):
        check_history(seed, host=SYNCED, lower=(HOST, IMPORTED, BOARD, HINT), fetch_wrong=seed % 2 == 1)


@pytest.mark.parametrize("block", range(16))
def test_true_time_lies_in_the_interval_when_this_computer_was_right(block):
    for seed in range(25 * block, 25 * block + 25):
        check_history(seed, host=HOST, lower=(IMPORTED, BOARD, HINT), fetch_wrong=False)


@pytest.mark.parametrize("block", range(12))
def test_true_time_lies_in_the_interval_of_a_board_alone(block):
    for seed in range(25 * block, 25 * block + 25):
        check_history(seed, host=BOARD, lower=(HINT,), fetch_wrong=False)


@pytest.mark.parametrize("seed", range(12))
def test_settling_takes_any_numbers(seed):
    rng = random.Random(seed)

    def number():
        return rng.choice([0, 1, T, -T, 1 << 47, (1 << 63) - 1, rng.randrange(1 << rng.randint(1, 48)), T + rng.randrange(YEAR)])

    for _ in range(40):
        extents = [BootExtent(boot, number(), number(), number(), number()) for boot in range(1, 9)]
        points = {boot: [ClockPoint(*(number() for _ in range(3)), rng.randrange(7)) for _ in range(3)] for boot in range(1, 9)}
        clocks = clocks_of(extents, points)
        for boot in range(1, 9):
            wall_ms, unc_ms = clocks[boot].wall(number())
            assert EARLIEST_MS <= wall_ms < LATEST_MS, seed
            assert unc_ms >= 0, seed


def test_believing_thousands_of_starts_takes_no_time_worth_mentioning():
    rng = random.Random(5)
    extents, points = [], {}
    for boot in range(1, 5001):
        extents.append(BootExtent(boot, 0, 1000, T + boot * 2000, T + boot * 2000))
        points[boot] = [ClockPoint(0, T + boot * 2000 + rng.choice([0, 0, YEAR, -YEAR]), 60, HOST)]
    began_s = time.process_time()
    clocks_of(extents, points)
    assert time.process_time() - began_s < 2


@pytest.mark.parametrize("block", range(12))
def test_short_way_finds_what_the_long_way_finds(block):
    short_ways = 0
    for seed in range(50 * block, 50 * block + 50):
        rng = random.Random(seed)
        starts = true_history(rng)
        extents, claims = [], []
        for boot, start in enumerate(starts, 1):
            source = rng.choice([SYNCED, HOST, IMPORTED, BOARD, HINT])
            points = right_points(rng, start, source, rng.choice([60, 65_535]))
            if rng.random() < 0.03:
                points = wrong_points(rng, start, source)
            if rng.random() < 0.3:
                points += wrong_points(rng, start, HINT)
            extents.append(
                BootExtent(boot, 0, start.last_ms, *[start.at(start.last_ms) + rng.choice([0, 700, DAY])] * 2).plausible()
            )
            claims.append(claims_of(points, start.last_ms))
        short = settle_undisputed(extents, claims)
        short_ways += short is not None
        assert short is None or short == settle(extents, claims)[0], seed
    assert 5 < short_ways < 50


@pytest.mark.parametrize("seed", range(12))
def test_record_is_listed_in_every_range_that_holds_its_true_time(sqlite_location, seed):
    """Whatever lower sources say, as long as this computer was right; also over the sums from which starts are chosen."""
    rng = random.Random(seed)
    starts, rows, taken, true_ms = true_history(rng), [], [], {}
    with Ledger(sqlite_location) as ledger:
        for boot, start in enumerate(starts, 1):
            lie_ms = rng.choice([0, 0, -YEAR, YEAR, 30 * DAY])
            flags = rng.choice([0, record.CLOCK_SET, record.CLOCK_SET | record.CLOCK_VOUCHED])
            for ms in sorted({0, start.last_ms, *(rng.randrange(start.last_ms + 1) for _ in range(6))}):
                seq = len(rows) + 1
                wall_ms = start.at(ms) + lie_ms if flags else 0
                rows.append(fields(seq, ms, "near-miss", "word", boot=boot, flags=flags, wall_ms=wall_ms, unc_ms=60))
                true_ms[seq] = start.at(ms)
                taken.append(start.at(start.last_ms) if start.seen else starts[-1].at(starts[-1].last_ms) + 500)
            if start.seen:
                for point in right_points(rng, start, SYNCED):
                    ledger.add_clock_point(BOARD_NAME, boot, *point[:3], synced=rng.random() < 0.5)
        ledger.add(BOARD_NAME, seal_all(rows), taken)
    unsaid = {boot for boot, start in enumerate(starts, 1) if not start.seen}
    believable = {row[0] for row in rows if row[1] not in unsaid}
    with Reader(sqlite_location) as reader:
        chosen = boards(reader)
        for seq in believable:
            from_ms = true_ms[seq] - rng.choice([0, 1, 1000, DAY])
            to_ms = true_ms[seq] + rng.choice([1, 1000, DAY])
            assert seq in {entry.seq for entry in entries(reader, chosen, from_ms, to_ms)}, (seed, seq)
