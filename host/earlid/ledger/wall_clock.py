# SPDX-License-Identifier: MIT
"""Conversion of a board's milliseconds since start to wall time, from clock points.

A clock point says: at `ms` of this start the wall clock read `wall_ms`, give or take `unc_ms`. The newest point is
believed; older ones that cannot be true beside it (a clock set wrongly) are passed over. No record is rewritten.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

DRIFT_PPM = 50  # the ESP32's crystal: 10 ppm new, with temperature and age well within 50
UNBOUNDED_MS = 10 * 366 * 86_400_000  # uncertainty of a time of which only "not after" is known


class ClockPoint(NamedTuple):
    """At `ms` of a start the wall clock read `wall_ms`, give or take `unc_ms`."""

    ms: int
    wall_ms: int
    unc_ms: int


class BootExtent(NamedTuple):
    """What the ledger holds of one start: ms of its first and last record, and when the last was fetched."""

    boot: int
    first_ms: int
    last_ms: int
    last_taken_ms: int


class BootClock:
    """Milliseconds of one start to Unix milliseconds.

    Args:
        points: at least one.
    """

    def __init__(self, points: Iterable[ClockPoint]) -> None:
        self._points = consistent_points(points)
        self._ms = [point.ms for point in self._points]
        self._wall_ms = [point.wall_ms for point in self._points]
        before, after = [self._points[0], *self._points], [*self._points, self._points[-1]]
        # Before each point and behind the last: where it begins and ends, its wall time there, doubt, slope.
        self._segments = [
            (low.ms, high.ms, low.wall_ms, max(low.unc_ms, high.unc_ms), high.wall_ms - low.wall_ms, high.ms - low.ms)
            for low, high in zip(before, after, strict=True)
        ]

    def wall(self, ms: int) -> tuple[int, int]:
        """(Unix ms, uncertainty in ms) of a moment: between two points on their line, outside from the nearest."""
        low_ms, high_ms, wall_ms, unc_ms, rise_ms, span_ms = self._segments[bisect_right(self._ms, ms)]
        ahead_ms = ms - low_ms
        unc_ms += min(abs(ahead_ms), abs(high_ms - ms)) * DRIFT_PPM // 1_000_000
        return wall_ms + (ahead_ms if span_ms <= 0 else rise_ms * ahead_ms // span_ms), unc_ms

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
    """A start without clock points: it lies after the start before it and before the one behind it.

    Args:
        earliest_ms: Unix ms before which millisecond 0 of this start cannot be; None when nothing says.
        latest_ms: Unix ms after which it cannot be.
    """

    def __init__(self, earliest_ms: int | None, latest_ms: int) -> None:
        if earliest_ms is None or earliest_ms > latest_ms:
            self._zero_ms, self._unc_ms = latest_ms, UNBOUNDED_MS
        else:
            self._zero_ms = (earliest_ms + latest_ms) // 2
            self._unc_ms = latest_ms - self._zero_ms

    def wall(self, ms: int) -> tuple[int, int]:
        """(Unix ms, uncertainty in ms) of a moment; with UNBOUNDED_MS the time is the latest possible."""
        return self._zero_ms + ms, self._unc_ms

    def ms_at(self, wall_ms: int) -> int:
        """The moment of this start at which the wall clock read `wall_ms`, by the best guess."""
        return wall_ms - self._zero_ms


Clock = BootClock | BoundedClock


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


def clocks_of(extents: Iterable[BootExtent], points: dict[int, list[ClockPoint]]) -> dict[int, Clock]:
    """A clock for every start of one board.

    Args:
        extents: all starts of the board.
        points: boot -> its clock points; starts without any are fitted between their neighbours.
    """
    ordered = sorted(extents)
    clocks: dict[int, Clock] = {extent.boot: BootClock(points[extent.boot]) for extent in ordered if points.get(extent.boot)}
    later_ms: dict[int, int] = {}
    bound_ms: int | None = None
    for extent in reversed(ordered):
        latest_ms = extent.last_taken_ms if bound_ms is None else min(bound_ms, extent.last_taken_ms)
        later_ms[extent.boot] = latest_ms
        known = clocks.get(extent.boot)
        bound_ms = known.wall(0)[0] if known else latest_ms - extent.last_ms
    floor_ms: int | None = None
    for extent in ordered:
        known = clocks.get(extent.boot)
        if known is None:
            clocks[extent.boot] = BoundedClock(floor_ms, later_ms[extent.boot] - extent.last_ms)
            if floor_ms is not None:
                floor_ms += extent.last_ms
        else:
            floor_ms = known.wall(extent.last_ms)[0]
    return clocks
