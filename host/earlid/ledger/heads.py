# SPDX-License-Identifier: MIT
"""Heads of a ledger's boards to give away, what stands behind an earlier one, and what acts keep of those who saw one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from earlid.door import is_stranger
from earlid.ledger import rows
from earlid.ledger.boards import KnownBoard
from earlid.ledger.reader import Reader


class BoardHead(NamedTuple):
    """The newest record of a board: its numbers and its link (12 bytes)."""

    board: KnownBoard
    boot: int
    seq: int
    link: bytes


def newest_heads(reader: Reader, chosen: Sequence[KnownBoard]) -> list[BoardHead]:
    """The heads of boards that have one; of strangers nobody is to hear."""
    found = []
    sql = "SELECT boot, seq, link FROM records WHERE board_id = :id ORDER BY boot DESC, seq DESC LIMIT 1"
    for board in chosen:
        for boot, seq, link in [] if is_stranger(board.identifier) else reader.rows(sql, id=board.id):
            found.append(BoardHead(board, boot, seq, bytes(link)))
    return found


def link_at(reader: Reader, board: KnownBoard, seq: int) -> tuple[int, bytes] | None:
    """(boot, link) of the newest record with a number, also of the last of a purge; None where neither is."""
    holding = "SELECT boot FROM boots WHERE board_id = :id AND first_seq <= :seq AND last_seq >= :seq"
    for sql in (
        f"SELECT boot, link FROM records WHERE board_id = :id AND seq = :seq AND boot IN ({holding}) ORDER BY boot DESC LIMIT 1",
        "SELECT boot_to, head_after FROM purges WHERE board_id = :id AND seq_to = :seq ORDER BY boot_to DESC LIMIT 1",
    ):
        for boot, link in reader.rows(sql, id=board.id, seq=seq):
            return boot, bytes(link)
    return None


def is_purged(reader: Reader, board: KnownBoard, seq: int) -> bool:
    """Whether a record with that number was removed on purpose."""
    sql = "SELECT 1 FROM purges WHERE board_id = :id AND seq_from <= :seq AND seq_to >= :seq LIMIT 1"
    return bool(reader.rows(sql, id=board.id, seq=seq))


def sealed_after(reader: Reader, board: KnownBoard, boot: int, seq: int) -> Iterator[tuple[int, int, bytes, bytes]]:
    """(Boot, number, body and mac: 48 bytes, link) of the records behind one, in their order."""
    sql = f"SELECT {', '.join(rows.COLUMNS)} FROM records WHERE board_id = :id AND (boot, seq) > (:boot, :seq) ORDER BY boot, seq"
    for row in reader.stream(sql, id=board.id, boot=boot, seq=seq):
        yield row[1], row[2], rows.body_of(row) + bytes(row[rows.LINK + 1]), bytes(row[rows.LINK])


def witness_bodies(reader: Reader) -> list[dict[str, Any]]:
    """What every act of a witness says, oldest first, unchecked: to know whom to ask again, and from where on."""
    found = []
    for (body,) in reader.rows("SELECT body FROM acts WHERE kind = 'witness' AND body IS NOT NULL ORDER BY place"):
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            found.append(value)
    return found
