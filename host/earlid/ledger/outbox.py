# SPDX-License-Identifier: MIT
"""How far a bridge has told of each board. No record is copied: what is purged is told no more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

import sqlalchemy as sa

from earlid.ledger import schema
from earlid.ledger.reader import Reader
from earlid.ledger.store import Ledger

_BEGUN = (
    ""  # the row under which a bridge remembers that it has begun, and, where others have topics, which run of it is in force
)


class Progress(NamedTuple):
    """Of a board: the broker has every event up to (boot, seq), and was given these retained topics."""

    boot: int
    seq: int
    topics: tuple[str, ...] = ()


def begin(ledger: Ledger, bridge: str) -> dict[str, Progress]:
    """The progress of a bridge by board. One that begins for the first time tells of what comes from now on, not of the past."""
    table, records = schema.bridges, schema.records
    with ledger.transaction() as connection:
        query = sa.select(table).where(table.c.bridge == bridge)
        rows = connection.execute(query).all()
        if not rows:
            newest = {_BEGUN: Progress(0, 0)}
            for number, board in connection.execute(sa.select(schema.boards.c.id, schema.boards.c.board)).all():
                heads = sa.select(records.c.boot, records.c.seq).where(records.c.board_id == number)
                head = connection.execute(heads.order_by(records.c.boot.desc(), records.c.seq.desc()).limit(1)).first()
                newest[board] = Progress(*head) if head else Progress(0, 0)
            connection.execute(sa.insert(table), [_row(bridge, board, progress) for board, progress in newest.items()])
            rows = connection.execute(query).all()
    return {row.board: Progress(row.boot, row.seq, tuple(json.loads(row.topics))) for row in rows if row.board != _BEGUN}


def claim(ledger: Ledger, bridge: str, run: str) -> None:
    """From now on this run of a bridge is the one in force: an earlier one of the name that still lives is to end."""
    _put(ledger, bridge, {_BEGUN: Progress(0, 0, (run,))})


def run_in_force(reader: Reader, bridge: str) -> str:
    """Which run of a bridge has claimed it last; empty for none."""
    rows = reader.rows("SELECT topics FROM bridges WHERE bridge = :bridge AND board = :board", bridge=bridge, board=_BEGUN)
    return "".join(json.loads(str(rows[0][0]))) if rows else ""


def confirm(ledger: Ledger, bridge: str, progress: Mapping[str, Progress]) -> None:
    """Remember what the broker has confirmed, of the boards of which that moved; durable on return."""
    _put(ledger, bridge, progress)


def _put(ledger: Ledger, bridge: str, progress: Mapping[str, Progress]) -> None:
    table = schema.bridges
    with ledger.transaction() as connection:
        connection.execute(sa.delete(table).where(table.c.bridge == bridge, table.c.board.in_(progress)))
        connection.execute(sa.insert(table), [_row(bridge, board, to) for board, to in progress.items()])


def _row(bridge: str, board: str, to: Progress) -> dict[str, object]:
    return {"bridge": bridge, "board": board, "boot": to.boot, "seq": to.seq, "topics": json.dumps(to.topics)}
