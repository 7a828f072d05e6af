# SPDX-License-Identifier: MIT
"""Gaps in a ledger's record numbers, found from sums without reading the records; `verify` has the proof."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from earlid.ledger.boards import KnownBoard
from earlid.ledger.reader import Reader


class Gap(NamedTuple):
    """Records `first` to `last` of a board are missing before start `boot`'s record."""

    board: str
    first: int
    last: int
    boot: int


def find_gaps(reader: Reader, chosen: Sequence[KnownBoard]) -> list[Gap]:
    """Numbers missing in the ledger and not purged, from the extents of starts and the counts."""
    gaps = []
    for board in chosen:
        purged = reader.integer_rows(
            "SELECT seq_from, seq_to FROM purges WHERE board_id = :id ORDER BY boot_from, seq_from", id=board.id
        )
        extents = reader.integer_rows(
            "SELECT b.boot, b.first_seq, b.last_seq, (SELECT SUM(count) FROM tallies t WHERE t.board_id = b.board_id "
            "AND t.boot = b.boot) FROM boots b WHERE board_id = :id ORDER BY boot", id=board.id,
        )  # fmt: skip
        expected = 1
        for boot, first, last, count in extents:
            if first < expected:  # a chain begun anew
                expected = first
            inner = [] if count == last - first + 1 else _missing_inside(reader, board, boot)
            for first_missing, last_missing in [(expected, first - 1), *inner]:
                gaps += [Gap(board.identifier, *rest, boot) for rest in _minus_purged(first_missing, last_missing, purged)]
            expected = last + 1
    return gaps


def _missing_inside(reader: Reader, board: KnownBoard, boot: int) -> list[tuple[int, int]]:
    return [
        (before + 1, seq - 1)
        for before, seq in reader.integer_rows(
            "SELECT before, seq FROM (SELECT seq, LAG(seq) OVER (ORDER BY seq) AS before FROM records "
            "WHERE board_id = :id AND boot = :boot) AS s WHERE before < seq - 1", id=board.id, boot=boot,
        )
    ]  # fmt: skip


def _minus_purged(first_missing: int, last_missing: int, purged: list[tuple[int, ...]]) -> Iterator[tuple[int, int]]:
    for first, last in purged:
        if last < first_missing or first > last_missing:
            continue
        if first > first_missing:
            yield first_missing, first - 1
        first_missing = last + 1
    if first_missing <= last_missing:
        yield first_missing, last_missing
