# SPDX-License-Identifier: MIT
"""Whose word on the time of a board's starts is believed, and what contradicts it. No input or output.

A source that ranks higher (RANK) is believed before a lower one; within a source the newest point of a start, and the older
ones that can be true beside it. Two things hold whoever speaks: a start comes after the one before it has ended, and no record
is later than it was taken, by this computer's clock. What contradicts a higher rank is passed over. Where two of one rank
contradict each other, nothing says who is right: the bounds are widened until they hold both, unless two starts or more agree
against one. Every contradiction is a ClockFinding.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from earlid.ledger.version import FROM_BOARD, FROM_HINT, FROM_HOST, FROM_IMPORT, FROM_SYNCED_HOST
from earlid.ledger.wall_clock import (
    EARLIEST_MS,
    LATEST_MS,
    SLACK_MS,
    BootClock,
    BootExtent,
    BoundedClock,
    Clock,
    ClockPoint,
    Span,
    consistent_points,
    drift_ms,
    is_time,
)  # fmt: skip

TAKEN = -1  # not a source of points: when this computer took the records
BY_RANK = (FROM_SYNCED_HOST, FROM_HOST, FROM_IMPORT, FROM_BOARD, FROM_HINT)
RANK = {source: len(BY_RANK) - place for place, source in enumerate(BY_RANK)}
_FAR_MS = 1 << 60  # beyond all times


class Settled(NamedTuple):
    """What is believed of one start: `span`, by the points of `source`, or by its neighbours alone (None).

    `guess_ms`: Unix ms that its millisecond 0 has at best where the span holds sources that contradict each other, else None.
    """

    span: Span
    source: int | None
    guess_ms: int | None = None


class ClockFinding(NamedTuple):
    """Two words on the time that cannot both be true.

    What `source` says of start `boot` and what `other_source` (maybe TAKEN) says of `other_boot` are `apart_ms` too far apart.
    `doubtful`: both may be right, so times are wide; otherwise the first is not believed.
    """

    boot: int
    source: int
    other_boot: int
    other_source: int
    apart_ms: int
    doubtful: bool


def is_usable(point: ClockPoint) -> bool:
    """Whether a point can be one at all; what the wire or damage brings may hold any numbers."""
    return is_time(point.wall_ms) and point.ms >= 0 and point.unc_ms >= 0 and point.source in RANK


def claim_of(points: Sequence[ClockPoint], last_ms: int) -> Span:
    """The bounds that points of one source (at least one, consistent) put on a start."""
    return claim_from_offsets(
        min(point.wall_ms - point.ms - point.unc_ms for point in points),
        max(point.wall_ms - point.ms + point.unc_ms for point in points),
        min(point.ms for point in points),
        max(point.ms for point in points),
        last_ms,
    )


def claim_from_offsets(least_ms: int, most_ms: int, first_ms: int, final_ms: int, last_ms: int) -> Span:
    """The same from the least and most of wall time less ms, uncertainty included, and from the ms of first and last point."""
    return Span(least_ms - drift_ms(first_ms), most_ms + last_ms + drift_ms(last_ms - final_ms))


def settle(extents: Sequence[BootExtent], claims: Sequence[Mapping[int, Span]]) -> tuple[list[Settled], list[ClockFinding]]:
    """What is believed of every start of one board, and what contradicts it.

    Args:
        extents: all starts of the board, in their order, `plausible`.
        claims: of each start: source -> its bounds.
    """
    return _Settling(extents, claims).settle()


def settle_undisputed(extents: Sequence[BootExtent], claims: Sequence[Mapping[int, Span]]) -> list[Settled] | None:
    """As `settle`, where the best source of each start contradicts nothing: it finds the same. None where anything might."""
    found = []
    before_ms, reach, reach_of_middle = 0, -_FAR_MS, -_FAR_MS
    for (_, first_ms, last_ms, first_taken_ms, last_taken_ms), of_start in zip(extents, claims, strict=True):
        source = next((source for source in BY_RANK if source in of_start), None)
        if source is None or not (is_time(first_taken_ms) and is_time(last_taken_ms)):
            return None
        span = of_start[source]
        drift = drift_ms(last_ms)
        lasted_ms = last_ms - drift
        low, high = span.begin_ms - before_ms, span.end_ms - lasted_ms - before_ms
        middle = (low + high) // 2 - 2 * drift
        taken = min(first_taken_ms - min(max(first_ms, 0), last_ms), last_taken_ms - lasted_ms) - before_ms
        if max(low, middle) > taken + SLACK_MS or high < max(reach, reach_of_middle) - SLACK_MS or middle < reach - SLACK_MS:
            return None
        found.append(Settled(span, source))
        reach, reach_of_middle = max(reach, low), max(reach_of_middle, middle)
        before_ms += lasted_ms
    return found


class _Candidate(NamedTuple):
    """A claim that is possible, as `low` to `high` on the axis; `cut`: only part of it is."""

    start: int
    low: int
    high: int
    cut: bool

    @property
    def middle(self) -> int:
        return (self.low + self.high) // 2


class _Around(NamedTuple):
    """Where each start can lie by what is settled around it, and which starts say so (-1: none)."""

    lows: list[int]
    highs: list[int]
    low_by: list[int]
    high_by: list[int]


class _Settling:
    """Starts on an axis: the time of their millisecond 0 less what the starts before them lasted at least.

    On it an earlier start never lies to the right of a later one, and nothing else holds for two starts.
    """

    def __init__(self, extents: Sequence[BootExtent], claims: Sequence[Mapping[int, Span]]) -> None:
        self._extents, self._claims = extents, claims
        count = len(extents)
        self._before_ms: list[int] = []
        self._lasted_ms: list[int] = []
        self._taken: list[int] = []  # by when this computer took the records
        total_ms = 0
        for extent in extents:
            last_ms = extent.last_ms
            lasted_ms = last_ms - drift_ms(last_ms)
            first_ms = min(max(0, extent.first_ms), last_ms)
            spans = ((extent.first_taken_ms, first_ms - drift_ms(first_ms)), (extent.last_taken_ms, lasted_ms))
            self._before_ms.append(total_ms)
            self._lasted_ms.append(lasted_ms)
            self._taken.append(min((at_ms - since_ms - total_ms for at_ms, since_ms in spans if is_time(at_ms)), default=_FAR_MS))
            total_ms += lasted_ms
        self._low, self._high = [-_FAR_MS] * count, [_FAR_MS] * count
        self._settled: list[bool] = [False] * count
        self._source: list[int | None] = [None] * count
        self._guess: list[int | None] = [None] * count
        self._by_fetching = [_FAR_MS] * count  # `_taken` where nothing better contradicts it
        self._wide_low: dict[int, int] = {}
        self._findings: list[ClockFinding] = []

    def settle(self) -> tuple[list[Settled], list[ClockFinding]]:
        for source in BY_RANK:
            if any(source in claims for claims in self._claims):
                self._settle_source(source)
            if source == FROM_HOST:
                self._bound_by_fetching()
        around = self._around()
        for i, settled in enumerate(self._settled):
            if not settled:
                self._low[i], self._high[i] = around.lows[i], around.highs[i]
        self._compare_claims()
        return [self._result(i) for i in range(len(self._extents))], self._findings

    def _around(self) -> _Around:
        lows, low_by, low, by = [], [], -_FAR_MS, -1
        for i, settled in enumerate(self._settled):
            lows.append(self._wide_low.get(i, low))
            low_by.append(by)
            if settled and self._low[i] > low:
                low, by = self._low[i], i
        highs, high_by, high, by = [], [], _FAR_MS, -1
        for i in reversed(range(len(self._settled))):
            if not self._settled[i] and self._by_fetching[i] < high:
                high, by = self._by_fetching[i], i
            highs.append(high)
            high_by.append(by)
            if self._settled[i] and self._high[i] < high:
                high, by = self._high[i], i
        return _Around(lows, highs[::-1], low_by, high_by[::-1])

    def _settle_source(self, source: int) -> None:
        around = self._around()
        candidates = []
        for i, claims in enumerate(self._claims):
            if self._settled[i] or source not in claims:
                continue
            candidate = self._candidate(i, source, around)
            if candidate:
                candidates.append(candidate)
        disputed = _disputed(candidates)
        kept, rejected = _longest_row(disputed) if disputed else ([], [])
        lost = {candidate.start for candidate in rejected}
        for candidate in candidates:
            if candidate.start not in lost:
                self._set(candidate.start, None if candidate.cut else source, candidate.low, candidate.high)
        self._reject(rejected, kept, source)

    def _candidate(self, i: int, source: int, around: _Around) -> _Candidate | None:
        begin_ms, end_ms = self._claims[i][source]
        low = begin_ms - self._before_ms[i]
        high = max(low, end_ms - self._lasted_ms[i] - self._before_ms[i])
        if high < around.lows[i] - SLACK_MS:
            self._pass_over(i, source, around.low_by[i], around.lows[i] - high)
            return None
        if low > around.highs[i] + SLACK_MS:
            self._pass_over(i, source, around.high_by[i], low - around.highs[i])
            return None
        taken = self._taken[i]
        if RANK[source] >= RANK[FROM_HOST] and low > taken + SLACK_MS:
            if source == FROM_SYNCED_HOST:
                self._find(i, TAKEN, i, source, low - taken, doubtful=False)
            else:
                self._find(i, source, i, TAKEN, low - taken, doubtful=True)
                self._set(i, None, around.lows[i], high, guess=taken - drift_ms(self._extents[i].last_ms))
                return None
        latest = min(around.highs[i], taken) if source == FROM_HOST else around.highs[i]
        middle = (low + high) // 2
        if middle > latest + 2 * drift_ms(self._extents[i].last_ms) + SLACK_MS:
            return _Candidate(i, low, max(low, latest), cut=True)
        if middle < around.lows[i] - SLACK_MS:
            return _Candidate(i, min(high, around.lows[i]), high, cut=True)
        return _Candidate(i, low, high, cut=False)

    def _reject(self, rejected: Sequence[_Candidate], kept: Sequence[_Candidate], source: int) -> None:
        """Claims that contradict others of their rank: passed over when two or more do, else both are doubtful."""
        starts = [candidate.start for candidate in kept]
        around = self._around()
        for candidate in rejected:
            place = bisect_left(starts, candidate.start)
            later = [other for other in kept[place : place + 2] if other.high < candidate.low - SLACK_MS]
            earlier = [other for other in kept[max(0, place - 2) : place] if other.low > candidate.high + SLACK_MS]
            rivals = later + earlier
            i = candidate.start
            if len(rivals) != 1:
                if rivals:
                    rival = rivals[0]
                    self._find(i, source, rival.start, source, _apart(candidate, rival), doubtful=False)
                continue
            rival = rivals[0]
            k = rival.start
            self._find(i, source, k, source, _apart(candidate, rival), doubtful=True)
            if later:
                self._set(i, None, min(candidate.low, around.lows[i]), candidate.high, guess=rival.high)
                self._set(k, None, rival.low, max(rival.high, around.highs[k]), guess=rival.middle)
            else:
                self._set(i, None, candidate.low, max(candidate.high, around.highs[i]), guess=rival.low)
                self._set(k, None, min(rival.low, around.lows[k]), rival.high, guess=rival.middle)

    def _bound_by_fetching(self) -> None:
        """What a start that this computer did not see lies before: the time when its records were taken."""
        synced = first = second = -_FAR_MS  # the furthest of what stands before: of synchronised clocks; of all, the two furthest
        synced_by = first_by = -1
        for i, taken in enumerate(self._taken):
            if self._settled[i]:
                low = self._low[i]
                if self._source[i] == FROM_SYNCED_HOST and low > synced:
                    synced, synced_by = low, i
                if low > first:
                    first, second, first_by = low, first, i
                else:
                    second = max(second, low)
            elif taken < synced - SLACK_MS:
                self._find(i, TAKEN, synced_by, FROM_SYNCED_HOST, synced - taken, doubtful=False)
            elif taken < second - SLACK_MS:
                self._find(i, TAKEN, first_by, self._source[first_by] or FROM_HOST, first - taken, doubtful=False)
            elif taken < first - SLACK_MS:
                self._find(i, TAKEN, first_by, self._source[first_by] or FROM_HOST, first - taken, doubtful=True)
                self._wide_low[i] = synced
            else:
                self._by_fetching[i] = taken

    def _compare_claims(self) -> None:
        """Lower sources that contradict the one that is believed, in one start."""
        for i, claims in enumerate(self._claims):
            believed = self._source[i]
            if believed is None or len(claims) < 2:
                continue
            begin_ms, end_ms = claims[believed]
            for source, claim in claims.items():
                apart_ms = max(begin_ms - claim.begin_ms - (claim.end_ms - claim.begin_ms - self._lasted_ms[i]),
                               claim.begin_ms - (end_ms - self._lasted_ms[i]))  # fmt: skip
                if RANK[source] < RANK[believed] and apart_ms > SLACK_MS:
                    self._find(i, source, i, believed, apart_ms, doubtful=False)

    def _set(self, i: int, source: int | None, low: int, high: int, guess: int | None = None) -> None:
        self._settled[i] = True
        self._source[i], self._low[i], self._high[i], self._guess[i] = source, low, high, guess

    def _pass_over(self, i: int, source: int, by: int, apart_ms: int) -> None:
        other = FROM_HOST if by < 0 else TAKEN if not self._settled[by] else self._source[by]
        self._find(i, source, max(by, 0), FROM_HOST if other is None else other, apart_ms, doubtful=False)

    def _find(self, i: int, source: int, k: int, other_source: int, apart_ms: int, *, doubtful: bool) -> None:
        boots = self._extents[i].boot, self._extents[k].boot
        self._findings.append(ClockFinding(boots[0], source, boots[1], other_source, apart_ms, doubtful))

    def _result(self, i: int) -> Settled:
        low, high, guess = self._low[i], self._high[i], self._guess[i]
        before_ms = self._before_ms[i]
        begin_ms = min(max(EARLIEST_MS, low + before_ms), LATEST_MS)
        end_ms = max(begin_ms, min(LATEST_MS, high + self._lasted_ms[i] + before_ms))
        if guess is None and high == _FAR_MS and low > -_FAR_MS:
            guess = low  # nothing says "not after": soon after the start before it
        return Settled(Span(begin_ms, end_ms), self._source[i], None if guess is None else guess + before_ms)


def _disputed(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """Those that cannot be true together with some other one."""
    reach, least = -_FAR_MS, [_FAR_MS] * (len(candidates) + 1)
    for i in reversed(range(len(candidates))):
        least[i] = min(least[i + 1], candidates[i].high)
    disputed = []
    for i, candidate in enumerate(candidates):
        if candidate.low > least[i + 1] + SLACK_MS or candidate.high < reach - SLACK_MS:
            disputed.append(candidate)
        reach = max(reach, candidate.low)
    return disputed


def _longest_row(disputed: Sequence[_Candidate]) -> tuple[list[_Candidate], list[_Candidate]]:
    """(Kept, rejected): the longest row of middles that never goes back, of two the newer one (patience sorting)."""
    tops: list[int] = []
    piles: list[_Candidate] = []
    below: dict[int, _Candidate | None] = {}
    for candidate in disputed:
        pile = bisect_right(tops, candidate.middle)
        below[candidate.start] = piles[pile - 1] if pile else None
        tops[pile : pile + 1] = [candidate.middle]
        piles[pile : pile + 1] = [candidate]
    chosen = set()
    link: _Candidate | None = piles[-1]
    while link:
        chosen.add(link.start)
        link = below[link.start]
    kept = [candidate for candidate in disputed if candidate.start in chosen]
    return kept, [candidate for candidate in disputed if candidate.start not in chosen]


def _apart(one: _Candidate, other: _Candidate) -> int:
    return max(one.low - other.high, other.low - one.high)


def claims_of(points: Iterable[ClockPoint], last_ms: int) -> dict[int, Span]:
    """The bounds that each source puts on a start; points that are no times count for nothing."""
    by_source: dict[int, list[ClockPoint]] = {}
    for point in points:
        if is_usable(point):
            by_source.setdefault(point.source, []).append(point)
    return {source: claim_of(consistent_points(of_source), last_ms) for source, of_source in by_source.items()}


def steps_of(boot: int, points: Iterable[ClockPoint]) -> list[ClockFinding]:
    """Of each source that contradicts itself within a start, how far the furthest of its older points is off."""
    found = []
    for source in BY_RANK:
        of_source = [point for point in points if point.source == source and is_usable(point)]
        believed = set(consistent_points(of_source))
        if len(believed) < len(of_source):
            offset_ms = max(believed).wall_ms - max(believed).ms
            apart_ms = max(abs(point.wall_ms - point.ms - offset_ms) for point in of_source if point not in believed)
            found.append(ClockFinding(boot, source, boot, source, apart_ms, doubtful=False))
    return found


def clock_of(settled: Settled, points: Iterable[ClockPoint], extent: BootExtent) -> Clock:
    """The clock of one start (`plausible`): from the points of the source that is believed, else from bounds."""
    believed = [point for point in points if point.source == settled.source and is_usable(point)]
    if believed:
        return BootClock(believed, extent.last_ms, extent.last_taken_ms)
    return BoundedClock(settled.span, extent.last_ms, settled.guess_ms, extent.last_taken_ms)


def clocks_of(extents: Iterable[BootExtent], points: Mapping[int, Sequence[ClockPoint]]) -> dict[int, Clock]:
    """A clock for every start of one board.

    Args:
        extents: all starts of the board.
        points: boot -> its clock points, of all sources.
    """
    ordered = [extent.plausible() for extent in sorted(extents)]
    found, _ = settle(ordered, [claims_of(points.get(extent.boot, ()), extent.last_ms) for extent in ordered])
    return {
        extent.boot: clock_of(settled, points.get(extent.boot, ()), extent)
        for extent, settled in zip(ordered, found, strict=True)
    }
