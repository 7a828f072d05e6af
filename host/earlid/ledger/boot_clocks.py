# SPDX-License-Identifier: MIT
"""Clocks of the boards' starts, loaded from a ledger for `wall_clock`: only those that a range of time needs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from earlid.ledger.boards import KnownBoard
from earlid.ledger.reader import Reader
from earlid.ledger.wall_clock import BootExtent, Clock, ClockPoint, clocks_of

MARGIN_MS = 2 * 3_600_000  # starts this far outside a range are loaded too


class LedgerClocks:
    """Wall time of the boards' starts.

    Args:
        reader: the ledger.
        chosen: the boards.
        from_ms: Unix ms; starts that ended before are left out. None for no limit.
        to_ms: Unix ms; starts that began after are left out.
    """

    def __init__(self, reader: Reader, chosen: Iterable[KnownBoard], from_ms: int | None = None, to_ms: int | None = None):
        self._by_board = {board.id: self._load(reader, board.id, from_ms, to_ms) for board in chosen}

    @staticmethod
    def _load(reader: Reader, board_id: int, from_ms: int | None, to_ms: int | None) -> dict[int, tuple[Clock, BootExtent]]:
        boots = reader.integer_rows(
            "SELECT boot, first_ms, last_ms, last_taken_ms, (SELECT wall_ms - ms FROM clock_points p WHERE p.board_id = "
            "b.board_id AND p.boot = b.boot ORDER BY ms DESC LIMIT 1) FROM boots b WHERE board_id = :id ORDER BY boot",
            id=board_id,
        )
        if all(zero_ms is not None for *_, zero_ms in boots):  # else all are needed: such a start lies between its neighbours
            boots = [
                row
                for row in boots
                if (from_ms is None or row[4] + row[2] >= from_ms - MARGIN_MS)
                and (to_ms is None or row[4] + row[1] <= to_ms + MARGIN_MS)
            ]
        if not boots:
            return {}
        points: dict[int, list[ClockPoint]] = defaultdict(list)
        for boot, *point in reader.integer_rows(
            "SELECT boot, ms, wall_ms, unc_ms FROM clock_points WHERE board_id = :id AND boot BETWEEN :first AND :last",
            id=board_id, first=boots[0][0], last=boots[-1][0],
        ):  # fmt: skip
            points[boot].append(ClockPoint(*point))
        extents = [BootExtent(*row[:4]) for row in boots]
        clocks = clocks_of(extents, points)
        return {extent.boot: (clocks[extent.boot], extent) for extent in extents}

    def wall(self, board_id: int, boot: int, ms: int) -> tuple[int, int]:
        """(Unix ms, uncertainty ms) of a moment of a start."""
        return self._by_board[board_id][boot][0].wall(ms)

    def ranges(self, board_id: int, from_ms: int | None, to_ms: int | None) -> Iterator[tuple[int, int, int, Clock]]:
        """(boot, first ms, last ms, clock) of every start that reaches into a range of wall time, clipped to it."""
        for boot, (clock, extent) in self._by_board[board_id].items():
            first_ms = extent.first_ms if from_ms is None else max(extent.first_ms, clock.ms_at(from_ms))
            last_ms = extent.last_ms if to_ms is None else min(extent.last_ms, clock.ms_at(to_ms) - 1)
            if first_ms <= last_ms:
                yield boot, first_ms, last_ms, clock
