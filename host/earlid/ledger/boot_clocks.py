# SPDX-License-Identifier: MIT
"""Clocks of the boards' starts, loaded from a ledger for `wall_clock`.

What is believed of all starts comes from sums of their clock points, one query a board; the points themselves are loaded only
of the starts that a range of time needs, and of those whose points contradict each other.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from earlid.errors import LEDGER_BROKEN, UserError
from earlid.ledger.boards import KnownBoard
from earlid.ledger.clock_claims import (
    TAKEN,
    ClockFinding,
    Settled,
    claim_from_offsets,
    claims_of,
    clock_of,
    settle,
    settle_undisputed,
    steps_of,
)
from earlid.ledger.reader import Reader
from earlid.ledger.version import FROM_BOARD, FROM_HINT, FROM_HOST, FROM_IMPORT, FROM_SYNCED_HOST
from earlid.ledger.wall_clock import EARLIEST_MS, LATEST_MS, BootExtent, Clock, ClockPoint, Span, drift_ms, interval, may_lie_in

_USABLE = (
    f"wall_ms >= {EARLIEST_MS} AND wall_ms < {LATEST_MS} AND ms >= 0 AND unc_ms >= 0 "
    f"AND source BETWEEN {FROM_BOARD} AND {FROM_HINT}"
)
_MANY = 200  # starts: as many are rather loaded with those between them
_UNITS = ((366 * 86_400_000, "years"), (86_400_000, "days"), (3_600_000, "hours"), (60_000, "min"), (1000, "s"))
_SAYS = {
    FROM_BOARD: "the board's clock",
    FROM_HINT: "a clock hint, which anybody at the board's port may give,",
    FROM_HOST: "this computer's clock, not known to be synchronised,",
    FROM_SYNCED_HOST: "this computer's synchronised clock",
    FROM_IMPORT: "an imported clock",
    TAKEN: "the time when its records were taken",
}


class _Start(NamedTuple):
    """A start as the ledger has it, and the same `plausible`, with what is believed of it."""

    extent: BootExtent
    plausible: BootExtent
    settled: Settled


class LedgerClocks:
    """Wall time of the boards' starts.

    Args:
        reader: the ledger.
        chosen: the boards.
    """

    def __init__(self, reader: Reader, chosen: Iterable[KnownBoard]):
        self._reader = reader
        self._starts = {board.id: _believed(reader, board.id)[0] for board in chosen}
        self._clocks: dict[tuple[int, int], Clock] = {}

    def clock(self, board_id: int, boot: int) -> Clock:
        """The clock of one start."""
        if (board_id, boot) not in self._clocks:
            self._load(board_id, [boot])
        return self._clocks[board_id, boot]

    def _load(self, board_id: int, boots: Collection[int]) -> None:
        missing = [boot for boot in boots if (board_id, boot) not in self._clocks]
        points = _points(self._reader, board_id, missing)
        for boot in missing:
            _, plausible, settled = self._starts[board_id][boot]
            self._clocks[board_id, boot] = clock_of(settled, points.get(boot, ()), plausible)

    def wall(self, board_id: int, boot: int, ms: int) -> tuple[int, int]:
        """(Unix ms, uncertainty ms) of a moment of a start."""
        return self.clock(board_id, boot).wall(ms)

    def interval(self, board_id: int, boot: int, ms: int) -> tuple[int, int]:
        """(Earliest, latest) Unix ms of a moment of a start."""
        return interval(*self.wall(board_id, boot, ms))

    def ranges(
        self, board_id: int, from_ms: int | None, to_ms: int | None, *, doubtful: bool = False
    ) -> Iterator[tuple[int, int, int, Clock]]:
        """(boot, first ms, last ms, clock) of every start that reaches into a range of wall time, clipped to it.

        Args:
            doubtful: clipped to what may lie in the range by the bounds, else to what does by the times shown.
        """
        needed = [boot for boot, start in self._starts[board_id].items() if _reaches(start, from_ms, to_ms)]
        self._load(board_id, needed)
        for boot in needed:
            clock, (extent, plausible, _) = self._clocks[board_id, boot], self._starts[board_id][boot]
            first_ms, last_ms = extent.first_ms, extent.last_ms
            if doubtful and extent is not plausible:  # damage: anything may lie anywhere
                yield boot, first_ms, last_ms, clock
                continue
            if doubtful and not may_lie_in(*clock.wall(last_ms), from_ms, None):
                continue
            reach_ms = clock.reach_ms if doubtful else 0
            if from_ms is not None:
                first_ms = max(first_ms, clock.ms_at(from_ms - reach_ms))
            if to_ms is not None:
                last_ms = min(last_ms, clock.ms_at(to_ms + reach_ms) - 1)
            if first_ms <= last_ms:
                yield boot, first_ms, last_ms, clock


def _reaches(start: _Start, from_ms: int | None, to_ms: int | None) -> bool:
    begin_ms, end_ms = start.settled.span
    if start.extent is not start.plausible:
        return True
    return (from_ms is None or end_ms >= from_ms) and (to_ms is None or begin_ms < to_ms)


def _believed(reader: Reader, board_id: int, *, thorough: bool = False) -> tuple[dict[int, _Start], list[ClockFinding]]:
    """(Boot -> what is believed of it, what contradicts it) of a board; the latter is whole when `thorough`."""
    rows = reader.integer_rows(
        "SELECT boot, first_ms, last_ms, first_taken_ms, last_taken_ms FROM boots WHERE board_id = :id ORDER BY boot", id=board_id
    )
    if any(None in row for row in rows):
        raise UserError(f"the ledger {reader.location} is damaged: see `earlid verify`.", LEDGER_BROKEN)
    extents = [BootExtent(*row) for row in rows]
    plausible = [extent.plausible() for extent in extents]
    last_ms = {extent.boot: extent.last_ms for extent in plausible}
    claims: dict[int, dict[int, Span]] = {boot: {} for boot in last_ms}
    disputed = set()
    steps: list[ClockFinding] = []
    for boot, source, first, final, least, most, unc, least_unc in reader.integer_rows(
        "SELECT boot, source, MIN(ms), MAX(ms), MIN(wall_ms - ms), MAX(wall_ms - ms), MAX(unc_ms), MIN(unc_ms) FROM clock_points "
        f"WHERE board_id = :id AND {_USABLE} GROUP BY boot, source",
        id=board_id,
    ):
        if boot not in claims:
            continue  # nothing is kept of this start
        claims[boot][source] = claim_from_offsets(least - unc, most + unc, first, final, last_ms[boot])
        if most - least > 2 * least_unc + 2 * drift_ms(final - first) + 20:
            disputed.add(boot)
    if disputed:
        for boot, points in _points(reader, board_id, disputed).items():
            claims[boot] = claims_of(points, last_ms[boot])
            steps += steps_of(boot, points)
    ordered = list(claims.values())
    settled = None if thorough else settle_undisputed(plausible, ordered)
    if settled is None:
        settled, findings = settle(plausible, ordered)
        steps += findings
    return {row[0].boot: _Start(*row) for row in zip(extents, plausible, settled, strict=True)}, steps


def _points(reader: Reader, board_id: int, boots: Collection[int]) -> dict[int, list[ClockPoint]]:
    """Boot -> its clock points, of these starts."""
    if not boots:
        return {}
    which = f"BETWEEN {min(boots)} AND {max(boots)}" if len(boots) > _MANY else f"IN ({', '.join(map(str, boots))})"
    found: dict[int, list[ClockPoint]] = {}
    for boot, *point in reader.integer_rows(
        f"SELECT boot, ms, wall_ms, unc_ms, source FROM clock_points WHERE board_id = :id AND boot {which} AND {_USABLE}",
        id=board_id,
    ):
        found.setdefault(boot, []).append(ClockPoint(*point))
    return found


def clock_findings(reader: Reader, board: KnownBoard) -> list[ClockFinding]:
    """What contradicts itself in the times of a board's starts, in their order."""
    _, findings = _believed(reader, board.id, thorough=True)
    return sorted(findings)


def clock_finding_text(finding: ClockFinding) -> str:
    """A finding as a sentence."""
    boot, source, other_boot, other_source, apart_ms, doubtful = finding
    size, unit = next(((size, unit) for size, unit in _UNITS if apart_ms >= 2 * size), (1, "ms"))
    apart = f"{round(apart_ms / size)} {unit}"
    where = f"of start {other_boot}" if other_boot != boot else "of it"
    told = "nothing tells which is right: its times are shown with ±" if doubtful else "the first is not believed"
    return f"Start {boot}: {_SAYS[source]} contradicts {_SAYS[other_source]} {where} by {apart}; {told}."
