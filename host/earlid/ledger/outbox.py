# SPDX-License-Identifier: MIT
"""A bridge's outbox: which records it has yet to tell. No record is copied: what is purged is told no more."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from lid import record

from earlid.ledger import schema
from earlid.ledger.boards import KnownBoard
from earlid.ledger.boot_clocks import LedgerClocks
from earlid.ledger.queries import Entry
from earlid.ledger.reader import Reader
from earlid.ledger.rows import event_name, reason_name
from earlid.ledger.store import Ledger

EVENTS = ("open", "close", "live", "dead", "fault")
_CODES = ", ".join(str(record.EVENTS.index(name)) for name in EVENTS)
_BEGUN = ""  # the row under which a bridge remembers that it has begun


class Progress(NamedTuple):
    """Of a board: the broker has every event up to (boot, seq), and was given these retained topics."""

    boot: int
    seq: int
    topics: tuple[str, ...] = ()


def change_mark(reader: Reader) -> tuple[object, ...]:
    """What differs after any program has changed the ledger: its acts, its boards and when they were last heard."""
    acts = reader.rows("SELECT MAX(place), COUNT(*) FROM acts")
    boards = reader.rows("SELECT id, board, name, last_seen_ms FROM boards ORDER BY id")
    return (*acts, *boards)


def begin(ledger: Ledger, bridge: str, boards: Sequence[KnownBoard]) -> dict[str, Progress]:
    """The progress of a bridge by board. One that begins for the first time tells of what comes from now on, not of the past."""
    table = schema.bridges
    with ledger.transaction() as connection:
        rows = connection.execute(sa.select(table).where(table.c.bridge == bridge)).all()
        if not rows:
            newest: dict[str, Progress] = {_BEGUN: Progress(0, 0)}
            for board in boards:
                records = schema.records
                query = sa.select(records.c.boot, records.c.seq).where(records.c.board_id == board.id)
                head = connection.execute(query.order_by(records.c.boot.desc(), records.c.seq.desc()).limit(1)).first()
                newest[board.identifier] = Progress(*head) if head else Progress(0, 0)
            values = [_row(bridge, board, progress) for board, progress in newest.items()]
            connection.execute(sa.insert(table), values)
            rows = connection.execute(sa.select(table).where(table.c.bridge == bridge)).all()
    return {row.board: Progress(row.boot, row.seq, tuple(json.loads(row.topics))) for row in rows if row.board != _BEGUN}


def confirm(ledger: Ledger, bridge: str, progress: Mapping[str, Progress], gone: Sequence[str] = ()) -> None:
    """Remember what the broker has confirmed; durable on return.

    Args:
        progress: of the boards of which it moved.
        gone: boards of which everything was taken back.
    """
    table = schema.bridges
    boards = [*progress, *gone]
    with ledger.transaction() as connection:
        connection.execute(sa.delete(table).where(table.c.bridge == bridge, table.c.board.in_(boards)))
        if progress:
            connection.execute(sa.insert(table), [_row(bridge, board, to) for board, to in progress.items()])


def _row(bridge: str, board: str, to: Progress) -> dict[str, object]:
    return {"bridge": bridge, "board": board, "boot": to.boot, "seq": to.seq, "topics": json.dumps(to.topics)}


def pending(reader: Reader, board: KnownBoard, boot: int, seq: int, limit: int) -> list[Entry]:
    """The events of a board behind a record, oldest first, at most so many, with wall time as it is known now."""
    rows = reader.integer_rows(
        "SELECT boot, seq, ms, event, reason, score, flags, energy_log2_q8, guarded_mv, sentinel_mv, a, b FROM records "
        f"WHERE board_id = :id AND (boot > :boot OR boot = :boot AND seq > :seq) AND event IN ({_CODES}) "
        "ORDER BY boot, seq LIMIT :most",
        id=board.id, boot=boot, seq=seq, most=limit,
    )  # fmt: skip
    if not rows:
        return []
    clocks = LedgerClocks(reader, [board])
    return [_entry(board, clocks, row) for row in rows]


def _entry(board: KnownBoard, clocks: LedgerClocks, row: tuple[Any, ...]) -> Entry:
    boot, seq, ms, event, reason, *rest = row
    at = clocks.wall(board.id, boot, ms)
    return Entry._make((board.identifier, boot, seq, ms, event_name(event), reason_name(reason), *rest, *at, None))


def newest_flags(reader: Reader, board: KnownBoard) -> int | None:
    """Flags of a board's newest record; None when there is none."""
    sql = "SELECT flags FROM records WHERE board_id = :id ORDER BY boot DESC, seq DESC LIMIT 1"
    rows = reader.integer_rows(sql, id=board.id)
    return int(rows[0][0]) if rows else None


def firmware_version(reader: Reader, board: KnownBoard) -> str:
    """The version of the firmware that made the newest `boot` record; empty when none is kept."""
    boot = record.EVENTS.index("boot")
    sql = f"SELECT a FROM records WHERE board_id = :id AND event = {boot} ORDER BY boot DESC, seq DESC LIMIT 1"
    rows = reader.integer_rows(sql, id=board.id)
    return f"{rows[0][0] >> 16}.{rows[0][0] >> 8 & 255}.{rows[0][0] & 255}" if rows else ""


def false_openings(reader: Reader, board: KnownBoard) -> int:
    """How many openings the owner has labelled false."""
    sql = (
        "SELECT COUNT(*) FROM labels l JOIN records r ON r.board_id = l.board_id AND r.boot = l.boot AND r.seq = l.seq "
        f"WHERE l.board_id = :id AND l.label = 0 AND r.event = {record.EVENTS.index('open')}"
    )
    return int(reader.rows(sql, id=board.id)[0][0])


def last_opening(reader: Reader, board: KnownBoard) -> Entry | None:
    """The newest `open` record; None when there is none."""
    rows = reader.integer_rows(
        "SELECT boot, seq, ms, event, reason, score, flags, energy_log2_q8, guarded_mv, sentinel_mv, a, b FROM records "
        f"WHERE board_id = :id AND event = {record.EVENTS.index('open')} ORDER BY boot DESC, seq DESC LIMIT 1",
        id=board.id,
    )
    return _entry(board, LedgerClocks(reader, [board]), rows[0]) if rows else None
