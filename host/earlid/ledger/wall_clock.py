# SPDX-License-Identifier: MIT
"""Conversion of a board's milliseconds since start to wall time, with an uncertainty. No input or output.

A clock point says: at `ms` of this start the wall clock read `wall_ms`, give or take `unc_ms`, by some source. `clock_claims`
decides which source is believed of a start, and between which bounds it lies. No record is rewritten.
"""

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from earlid.ledger.version import FROM_HOST

DRIFT_PPM = 50  # the ESP32's crystal: 10 ppm new, with temperature and age well within 50
EARLIEST_MS = 1_577_836_800_000  # 2020: before there was an Earlid; what lies outside these two is no time
LATEST_MS = 7_258_118_400_000  # 2200
UNBOUNDED_MS = 10 * 366 * 86_400_000  # uncertainty of a time of which only "not after" is known
SLACK_MS = 1000  # by which clocks that agree may seem to contradict each other


class ClockPoint(NamedTuple):
    """At `ms` of a start the wall clock read `wall_ms`, give or take `unc_ms`, says `source`."""

    ms: int
    wall_ms: int
    unc_ms: int
    source: int = FROM_HOST


class BootExtent(NamedTuple):
    """What the ledger holds of one start: ms of its first and last record, and when the first and the last were fetched."""

    boot: int
    first_ms: int
    last_ms: int
    first_taken_ms: int
    last_taken_ms: int

    def plausible(self) -> "BootExtent":
        """The same; one that would have begun before 2020 has no length: nothing follows from damage."""
        taken_ms = self.last_taken_ms if is_time(self.last_taken_ms) else LATEST_MS
        return self if 0 <= self.last_ms <= taken_ms - EARLIEST_MS else self._replace(first_ms=0, last_ms=0)


class Span(NamedTuple):
    """Unix ms: a start's millisecond 0 is not before `begin_ms`, and its last record not after `end_ms`."""

    begin_ms: int
    end_ms: int


def is_time(wall_ms: int) -> bool:
    """Whether a number of Unix ms can be a time at all."""
    return EARLIEST_MS <= wall_ms < LATEST_MS


def interval(wall_ms: int, unc_ms: int) -> tuple[int, int]:
    """(Earliest, latest) Unix ms of a time as records have it: UNBOUNDED_MS says "or before"."""
    return (EARLIEST_MS, wall_ms) if unc_ms == UNBOUNDED_MS else (wall_ms - unc_ms, wall_ms + unc_ms)


def may_lie_in(wall_ms: int, unc_ms: int, from_ms: int | None, to_ms: int | None) -> bool:
    """Whether a time may lie in a range (end excluded; None for no limit)."""
    earliest_ms, latest_ms = interval(wall_ms, unc_ms)
    return (from_ms is None or latest_ms >= from_ms) and (to_ms is None or earliest_ms < to_ms)


class BootClock:
    """Milliseconds of one start to Unix milliseconds, by its clock points.

    Args:
        points: of one source, at least one.
        last_ms: of the start's last record; it bounds `reach_ms`.
        taken_ms: Unix ms at which the last record was fetched: all that is known of one whose time can be none.
    """

    def __init__(self, points: Iterable[ClockPoint], last_ms: int = 0, taken_ms: int = LATEST_MS - 1) -> None:
        self._no_time = (taken_ms if is_time(taken_ms) else LATEST_MS - 1, UNBOUNDED_MS)
        self._points = consistent_points(points)
        self._ms = [point.ms for point in self._points]
        self._wall_ms = [point.wall_ms for point in self._points]
        before, after = [self._points[0], *self._points], [*self._points, self._points[-1]]
        # Before each point and behind the last: where it begins and ends, its wall time there, doubt, slope.
        self._segments = [
            (low.ms, high.ms, low.wall_ms, max(low.unc_ms, high.unc_ms), high.wall_ms - low.wall_ms, high.ms - low.ms)
            for low, high in zip(before, after, strict=True)
        ]
        self.reach_ms = max(self.wall(ms)[1] for ms in (0, last_ms)) + drift_ms(self._ms[-1]) + max(s[3] for s in self._segments)

    def wall(self, ms: int) -> tuple[int, int]:
        """(Unix ms, uncertainty in ms) of a moment: between two points on their line, outside from the nearest."""
        low_ms, high_ms, wall_ms, unc_ms, rise_ms, span_ms = self._segments[bisect_right(self._ms, ms)]
        ahead_ms = ms - low_ms
        unc_ms += min(abs(ahead_ms), abs(high_ms - ms)) * DRIFT_PPM // 1_000_000
        wall_ms += ahead_ms if span_ms <= 0 else rise_ms * ahead_ms // span_ms
        return (wall_ms, unc_ms) if EARLIEST_MS <= wall_ms < LATEST_MS else self._no_time

    def ms_at(self, wall_ms: int) -> int:
        """The moment of this start (may be before 0) at which the wall clock read `wall_ms`: the inverse of `wall`."""
        i = bisect_right(self._wall_ms, wall_ms)
        before = self._points[max(0, i - 1)]
        after = self._points[min(i, len(self._points) - 1)]
        span_ms = after.wall_ms - before.wall_ms
        if span_ms <= 0:
            return before.ms + wall_ms - before.wall_ms
        return before.ms + (after.ms - before.ms) * (wall_ms - before.wall_ms) // span_ms


class BoundedClock:
    """A start of which only bounds are known.

    Args:
        span: its bounds; without a lower one (EARLIEST_MS) the times are the latest possible, give or take UNBOUNDED_MS.
        last_ms: of the start's last record.
        guess_ms: Unix ms that its millisecond 0 has at best; None for the middle of what is possible.
        taken_ms: as of BootClock.
    """

    def __init__(self, span: Span, last_ms: int, guess_ms: int | None = None, taken_ms: int = LATEST_MS - 1) -> None:
        self._no_time = (taken_ms if is_time(taken_ms) else LATEST_MS - 1, UNBOUNDED_MS)
        self._span, self._last_ms = span, last_ms
        self._bounded = guess_ms is not None or span.begin_ms > EARLIEST_MS
        latest_ms = span.end_ms - last_ms
        self._zero_ms = (span.begin_ms + latest_ms) // 2
        if guess_ms is not None:
            self._zero_ms = min(max(guess_ms, span.begin_ms), latest_ms)
        self.reach_ms = max(self.wall(ms)[1] for ms in (0, last_ms))

    def wall(self, ms: int) -> tuple[int, int]:
        """(Unix ms, uncertainty in ms) of a moment; with UNBOUNDED_MS the time is the latest possible."""
        left_ms = self._last_ms - ms
        latest_ms = self._span.end_ms - left_ms + drift_ms(left_ms)
        wall_ms = self._zero_ms + ms if self._bounded else latest_ms
        if not is_time(wall_ms):
            return self._no_time
        if not self._bounded:
            return wall_ms, UNBOUNDED_MS
        earliest_ms = self._span.begin_ms + ms - drift_ms(ms)
        unc_ms = max(0, wall_ms - earliest_ms, latest_ms - wall_ms)
        return wall_ms, unc_ms + (unc_ms == UNBOUNDED_MS)  # which means something else

    def ms_at(self, wall_ms: int) -> int:
        """The moment of this start at which the wall clock read `wall_ms`, by the best guess."""
        if self._bounded:
            return wall_ms - self._zero_ms
        return self._last_ms - (self._span.end_ms - wall_ms) * 1_000_000 // (1_000_000 - DRIFT_PPM)


Clock = BootClock | BoundedClock


def drift_ms(ms: int) -> int:
    """By how much a crystal may be off after so many ms."""
    return -(-abs(ms) * DRIFT_PPM // 1_000_000)


def consistent_points(points: Iterable[ClockPoint]) -> list[ClockPoint]:
    """The points that can be true beside the newest one, oldest first."""
    consistent: list[ClockPoint] = []
    for point in sorted(points, reverse=True):
        if not consistent or (point.wall_ms < consistent[-1].wall_ms and _consistent(point, consistent[-1])):
            consistent.append(point)
    return consistent[::-1]


def _consistent(one: ClockPoint, other: ClockPoint) -> bool:
    off_ms = abs((one.wall_ms - one.ms) - (other.wall_ms - other.ms))
    return off_ms <= one.unc_ms + other.unc_ms + 20 + abs(other.ms - one.ms) * 2 * DRIFT_PPM // 1_000_000
