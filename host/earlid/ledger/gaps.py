# SPDX-License-Identifier: MIT
"""Numbers that are missing in a ledger, found quickly; `verify` has the proof."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from earlid.ledger.boards import Board
from earlid.ledger.reader import Reader


class Gap(NamedTuple):
    """Records `first` to `last` of a board are missing before start `boot`'s record."""

    board: str
    first: int
    last: int
    boot: int


def gaps(reader: Reader, chosen: Sequence[Board]) -> list[Gap]:
    """Numbers missing in the ledger and not purged, from the extents of starts and the counts."""
    found = []
    for board in chosen:
        purged = reader.numbers(
            "SELECT seq_from, seq_to FROM purges WHERE board_id = :id ORDER BY boot_from, seq_from", id=board.id
        )
        extents = reader.numbers(
            "SELECT b.boot, b.first_seq, b.last_seq, (SELECT SUM(count) FROM tallies t WHERE t.board_id = b.board_id "
            "AND t.boot = b.boot) FROM boots b WHERE board_id = :id ORDER BY boot", id=board.id,
        )  # fmt: skip
        expected = 1
        for boot, first, last, count in extents:
            if first < expected:  # a chain begun anew
                expected = first
            inner = [] if count == last - first + 1 else _holes(reader, board, boot)
            for low, high in [(expected, first - 1), *inner]:
                found += [Gap(board.board, *rest, boot) for rest in _without(low, high, purged)]
            expected = last + 1
    return found


def _holes(reader: Reader, board: Board, boot: int) -> list[tuple[int, int]]:
    return [
        (before + 1, seq - 1)
        for before, seq in reader.numbers(
            "SELECT before, seq FROM (SELECT seq, LAG(seq) OVER (ORDER BY seq) AS before FROM records "
            "WHERE board_id = :id AND boot = :boot) AS s WHERE before < seq - 1", id=board.id, boot=boot,
        )
    ]  # fmt: skip


def _without(low: int, high: int, purged: list[tuple[int, ...]]) -> Iterator[tuple[int, int]]:
    for first, last in purged:
        if last < low or first > high:
            continue
        if first > low:
            yield low, first - 1
        low = last + 1
    if low <= high:
        yield low, high
