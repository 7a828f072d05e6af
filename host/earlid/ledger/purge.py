# SPDX-License-Identifier: MIT
"""Purges: removes records for good, with a receipt of what, when, how many, and the chain's links on both sides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

import sqlalchemy as sa

from earlid.errors import USAGE, UserError
from earlid.ledger import rows, schema
from earlid.ledger.boards import KnownBoard, boards
from earlid.ledger.boot_clocks import LedgerClocks
from earlid.ledger.reader import Reader
from earlid.ledger.store import Ledger, now_ms
from earlid.ledger.time_parse import parse_age, parse_when

RETENTION = "6 months"


@dataclass(frozen=True)
class Run:
    """Consecutive records of one board, by (boot, seq) of the first and the last, and how many they are."""

    board: str
    first: tuple[int, int]
    last: tuple[int, int]
    count: int


class Selection(NamedTuple):
    """What to purge: a range of Unix ms (end excluded; None for no limit), and why, as its receipt will say."""

    from_ms: int | None
    to_ms: int | None
    why: str


def everything() -> Selection:
    """All there is."""
    return Selection(None, None, "everything")


def between(first: str, last: str, now: datetime) -> Selection:
    """From one day or moment to another, both included, as people say them; UserError, code 2, when they are none."""
    from_ms, to_ms = parse_when(first, now), parse_when(last, now, end=True)
    if from_ms >= to_ms:
        raise UserError("--between: the second moment is not after the first.", USAGE)
    return Selection(from_ms, to_ms, "between two dates")  # the dates themselves would tell what was removed


def older_than(span: str, now: datetime) -> Selection:
    """What is older than a span as people say it; UserError, code 2, when it is none."""
    return Selection(None, parse_age(span, now), f"older than {span}")


def beyond_retention(ledger: Ledger, now: datetime) -> Selection | None:
    """What is older than the ledger keeps records; None when it keeps them always."""
    span = retention_of(ledger)
    return None if span == "off" else Selection(None, parse_age(span, now), f"retention {span}")


def set_retention(ledger: Ledger, span: str) -> None:
    """Set how long the ledger keeps records: a span as people say it, or `off`; UserError, code 2, when it is neither."""
    if span != "off":
        parse_age(span, datetime.now())
    ledger.set_retention(span)


def find_runs(ledger: Ledger, selected_boards: Sequence[KnownBoard], selection: Selection) -> list[Run]:
    """The runs of records whose wall time lies in the range. One whose time is uncertain counts by its best guess."""
    from_ms, to_ms, _ = selection
    runs = []
    with Reader(ledger.location) as reader:
        for board in selected_boards:
            clocks = LedgerClocks(reader, [board])
            chosen: list[tuple[int, int]] = []
            for boot, first, last, _clock in clocks.ranges(board.id, from_ms, to_ms):
                chosen += [
                    (boot, seq)
                    for seq, ms in reader.stream(
                        "SELECT seq, ms FROM records WHERE board_id = :id AND boot = :boot AND ms BETWEEN :first "
                        "AND :last ORDER BY seq", id=board.id, boot=boot, first=first - 2, last=last + 2,
                    )
                    if _inside(clocks.wall(board.id, boot, ms)[0], from_ms, to_ms)
                ]  # fmt: skip
            runs += _runs(board.identifier, chosen)
    return runs


def _inside(wall_ms: int, from_ms: int | None, to_ms: int | None) -> bool:
    return (from_ms is None or wall_ms >= from_ms) and (to_ms is None or wall_ms < to_ms)


def _runs(board: str, chosen: Iterable[tuple[int, int]]) -> list[Run]:
    numbered = enumerate(sorted(chosen))
    runs = []
    # In a run, number and place grow together; a start's change breaks it only where the numbers jump.
    for _, group in groupby(numbered, key=lambda item: item[1][1] - item[0]):
        members = [identity for _, identity in group]
        runs.append(Run(board, members[0], members[-1], len(members)))
    return runs


def purge(ledger: Ledger, runs: Sequence[Run], why: str) -> dict[str, int]:
    """Remove runs of records with everything derived from them.

    Args:
        ledger: open for writing.
        runs: from `find_runs`.
        why: kept in the purge's entry.

    Returns:
        Board -> number of records removed.

    Raises:
        UserError: what the database cannot do; then nothing of the run at hand is removed.
    """
    removed: dict[str, int] = defaultdict(int)
    for run in runs:
        with ledger.transaction() as connection:
            removed[run.board] += _purge_run(ledger, connection, ledger.board_id(connection, run.board), run, why)
    if removed:
        ledger.vacuum()
    return dict(removed)


def _purge_run(ledger: Ledger, connection: sa.Connection, board_id: int, run: Run, why: str) -> int:
    table = schema.records
    within = _between(table, board_id, run)
    last_link = sa.select(table.c.link).where(
        table.c.board_id == board_id, table.c.boot == run.last[0], table.c.seq == run.last[1]
    )
    receipt = {
        "boot_from": run.first[0], "seq_from": run.first[1], "boot_to": run.last[0], "seq_to": run.last[1], "count": run.count,
        "head_before": _head_before(connection, board_id, run), "head_after": connection.scalar(last_link),
        "at_ms": now_ms(), "why": why,
    }  # fmt: skip
    connection.execute(sa.insert(schema.purges), [{"board_id": board_id} | receipt])
    removed = connection.execute(sa.delete(table).where(*within)).rowcount
    for other in (schema.labels, schema.anchors):
        connection.execute(sa.delete(other).where(*_between(other, board_id, run)))
    for boot in range(run.first[0], run.last[0] + 1):
        _rebuild_derived(ledger, connection, board_id, boot)
    ledger.act(connection, "purge", {"board": run.board, "runs": [receipt], "redacts": []})
    return int(removed)


def _head_before(connection: sa.Connection, board_id: int, run: Run) -> bytes | None:
    """The link of the number before a run: the record's, or of an earlier purge that ended there."""
    seq = run.first[1] - 1
    record, purged, boot = schema.records.c, schema.purges.c, schema.boots.c
    holding = sa.select(boot.boot).where(
        boot.board_id == board_id, boot.boot <= run.first[0], boot.first_seq <= seq, boot.last_seq >= seq
    )
    link_kept = sa.select(record.link).where(record.board_id == board_id, record.boot.in_(holding), record.seq == seq)
    link_purged = sa.select(purged.head_after).where(
        purged.board_id == board_id, purged.boot_to <= run.first[0], purged.seq_to == seq
    )
    return connection.scalar(link_kept.order_by(record.boot.desc()).limit(1)) or connection.scalar(
        link_purged.order_by(purged.boot_to.desc()).limit(1)
    )


def _between(table: sa.Table, board_id: int, run: Run) -> tuple[sa.ColumnElement[bool], ...]:
    identity = sa.tuple_(table.c.boot, table.c.seq)
    return (
        table.c.board_id == board_id,
        table.c.boot.between(run.first[0], run.last[0]),
        identity >= sa.tuple_(*map(sa.literal, run.first)),
        identity <= sa.tuple_(*map(sa.literal, run.last)),
    )


def _rebuild_derived(ledger: Ledger, connection: sa.Connection, board_id: int, boot: int) -> None:
    """Make a start's tallies, extent and clock points anew from the records that are left of it."""
    table = schema.records

    def at(other: sa.Table) -> tuple[sa.ColumnElement[bool], ...]:
        return (other.c.board_id == board_id, other.c.boot == boot)

    selected = sa.select(*(table.c[name] for name in rows.COLUMNS)).where(*at(table))
    remaining = [tuple(row) for row in connection.execute(selected)]
    connection.execute(sa.delete(schema.tallies).where(*at(schema.tallies)))
    if not remaining:
        for other in (schema.boots, schema.clock_points):
            connection.execute(sa.delete(other).where(*at(other)))
        return
    sums = rows.summarise(remaining)
    connection.execute(sa.insert(schema.tallies), sums.tallies)
    for extent in sums.boots:
        connection.execute(sa.update(schema.boots).where(*at(schema.boots)).values(extent))
    ledger.remake_board_points(connection, board_id, boot)


def retention_of(ledger: Ledger) -> str:
    """How long the ledger keeps records, as a person says it; `off` for always."""
    return ledger.setting("retention") or RETENTION


def keep_retention(ledger: Ledger, now: datetime | None = None) -> dict[str, int]:
    """Purge what is older than the ledger's retention; board -> number of records removed."""
    selection = beyond_retention(ledger, now or datetime.now())
    if selection is None:
        return {}
    with Reader(ledger.location) as reader:
        known = boards(reader)
    return purge(ledger, find_runs(ledger, known, selection), selection.why)
