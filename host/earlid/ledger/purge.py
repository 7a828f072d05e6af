# SPDX-License-Identifier: MIT
"""Purges: removes records for good, with a signed receipt of what, when, how many, and the chain's links on both sides.

Retention may remove only what is certain to be old (`CERTAIN`): a record's newest possible time counts, and only by a clock that
was synchronised. A start that no synchronised clock saw is as old as the next one that such a clock saw: it was over by then.
An opening goes as a whole or stays as a whole: by a person's word on any of its records, by age when all of it is old.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

import sqlalchemy as sa
from lid import record

from earlid.errors import USAGE, UserError
from earlid.ledger import exposure, rows, schema
from earlid.ledger.boards import KnownBoard
from earlid.ledger.boot_clocks import LedgerClocks
from earlid.ledger.reader import Reader
from earlid.ledger.store import Ledger, now_ms
from earlid.ledger.time_parse import parse_age, parse_when
from earlid.ledger.version import FROM_SYNCED_HOST
from earlid.ledger.wall_clock import interval

SHOWN, OLD, CERTAIN = "shown", "old", "certain"
SHOWN_UNC_MS = 1000  # below it a time is shown as exact
Identity = tuple[int, int]  # (boot, seq)
_CODES = ", ".join(str(record.EVENTS.index(name)) for name in exposure.EVENTS)


@dataclass(frozen=True)
class Run:
    """Consecutive records of one board, by (boot, seq) of the first and the last, and how many they are."""

    board: str
    first: Identity
    last: Identity
    count: int


class Found(NamedTuple):
    """What a selection means: runs of records; how many more may belong to it, and how many stay since their opening lasts."""

    runs: list[Run]
    doubtful: int
    lasting: int

    @property
    def records(self) -> int:
        """How many they are."""
        return sum(run.count for run in self.runs)


class Selection(NamedTuple):
    """What to purge: a range of Unix ms (end excluded; None for no limit), and why, as its receipt will say.

    `by`: SHOWN, the times that are shown, where they are shown as exact; OLD, the newest possible time; CERTAIN, that by a
    synchronised clock.
    """

    from_ms: int | None
    to_ms: int | None
    why: str
    by: str = SHOWN


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
    return Selection(None, parse_age(span, now), f"older than {span}", OLD)


def find(ledger: Ledger, selected_boards: Sequence[KnownBoard], selection: Selection) -> Found:
    """The runs of records that are selected, with the whole of each opening."""
    runs: list[Run] = []
    doubtful = lasting = 0
    with Reader(ledger.location) as reader, reader.snapshot():
        for board in selected_boards:
            chosen, unsure = _choose(reader, board, selection)
            if selection.from_ms is not None or selection.to_ms is not None:
                chosen, kept = _whole_openings(reader, board, chosen, all_of_it=selection.by != SHOWN)
                lasting += kept
            runs += _runs(board.identifier, chosen)
            doubtful += unsure
    return Found(runs, doubtful, lasting)


def _choose(reader: Reader, board: KnownBoard, selection: Selection) -> tuple[set[Identity], int]:
    """Records that are selected, and how many more may be."""
    from_ms, to_ms, _, by = selection
    clocks = LedgerClocks(reader, [board])
    chosen: set[Identity] = set()
    doubtful = 0
    for boot, first, last, clock in clocks.ranges(board.id, from_ms, to_ms, doubtful=True):
        latest_ms = _latest_by_sync(reader, board, clocks, boot) if by == CERTAIN else None
        sql = "SELECT seq, ms FROM records WHERE board_id = :id AND boot = :boot AND ms BETWEEN :first AND :last ORDER BY seq"
        for seq, ms in reader.stream(sql, id=board.id, boot=boot, first=first - 2, last=last + 2):
            wall_ms, unc_ms = clock.wall(ms)
            low_ms, high_ms = interval(wall_ms, unc_ms)
            if by == SHOWN and (unc_ms < SHOWN_UNC_MS or (from_ms is None and to_ms is None)):
                low_ms = high_ms = wall_ms
            elif by == CERTAIN:
                high_ms = high_ms if latest_ms is None else max(high_ms, latest_ms)
            if (from_ms is None or low_ms >= from_ms) and (to_ms is None or high_ms < to_ms):
                chosen.add((boot, seq))
            else:
                doubtful += (from_ms is None or high_ms >= from_ms) and (to_ms is None or low_ms < to_ms)
    return chosen, doubtful


def _latest_by_sync(reader: Reader, board: KnownBoard, clocks: LedgerClocks, boot: int) -> int | None:
    """Unix ms before which a start was over, by a synchronised clock that saw a later one; None when one saw this start."""
    seen = reader.integer_rows(
        "SELECT MIN(p.boot) FROM clock_points p JOIN boots b ON b.board_id = p.board_id AND b.boot = p.boot "
        "WHERE p.board_id = :id AND p.boot >= :boot AND p.source = :source",
        id=board.id, boot=boot, source=FROM_SYNCED_HOST,
    )[0][0]  # fmt: skip
    if seen == boot:
        return None
    return 1 << 62 if seen is None else clocks.interval(board.id, seen, 0)[1]


def _whole_openings(reader: Reader, board: KnownBoard, chosen: set[Identity], *, all_of_it: bool) -> tuple[set[Identity], int]:
    """The same records with the rest of each opening, or without any of one that is not chosen as a whole (`all_of_it`).

    One that lasts stays, since its end is to come; also returns how many records stay for that.
    """
    if not chosen:
        return chosen, 0
    first, last = min(boot for boot, _ in chosen), max(boot for boot, _ in chosen)
    (newest_boot,) = reader.integer_rows("SELECT MAX(boot) FROM boots WHERE board_id = :id", id=board.id)[0]
    steps = [
        rows.step_of(row)
        for row in reader.stream(
            f"SELECT {rows.STEP_COLUMNS} FROM records WHERE board_id = :id AND boot BETWEEN :first AND :last "
            f"AND event IN ({_CODES}) ORDER BY boot, seq", id=board.id, first=first - 1, last=last + 1,
        )
    ]  # fmt: skip
    place = {(step.boot, step.seq): i for i, step in enumerate(steps)}
    kept = 0
    result = set(chosen)
    for opening in exposure.live_bounds(steps, None, newest_boot):
        members = set(_members(steps, place[opening.boot, opening.first_seq], opening))
        inside = members & chosen
        if not inside:
            continue
        if opening.ended in (exposure.OPEN, exposure.LIVE):
            result -= members
            kept += len(inside)
        elif not all_of_it:
            result |= members
        elif inside != members:
            result -= members
    return result, kept


def _members(steps: Sequence[rows.Step], start: int, opening: exposure.Exposure) -> Iterator[Identity]:
    """The records of an opening, or of a rail that was live without one."""
    for i in range(start, len(steps)):
        step = steps[i]
        outside = step.event in ("live", "dead") or (step.event == "mark" and step.reason == "live")
        if step.event not in ("boot", "fault") and outside == opening.outside:
            yield step.boot, step.seq
        if step.seq >= opening.last_seq and step.boot >= opening.boot:
            return


def _runs(board: str, chosen: Iterable[Identity]) -> list[Run]:
    numbered = enumerate(sorted(chosen))
    runs = []
    # In a run, number and place grow together; a start's change breaks it only where the numbers jump.
    for _, group in groupby(numbered, key=lambda item: item[1][1] - item[0]):
        members = [identity for _, identity in group]
        runs.append(Run(board, members[0], members[-1], len(members)))
    return runs


def purge(ledger: Ledger, runs: Sequence[Run], why: str, asked: str = "person") -> dict[str, int]:
    """Remove runs of records with everything derived from them, and what acts said of them alone.

    Args:
        ledger: open for writing.
        runs: from `find`.
        why: kept in the purge's entry.
        asked: who wanted it, `person` or `retention`; kept likewise.

    Returns:
        Board -> number of records removed.

    Raises:
        UserError: what the database cannot do; then nothing of the board at hand is removed.
    """
    removed: dict[str, int] = {}
    for board in dict.fromkeys(run.board for run in runs):
        with ledger.transaction() as connection:
            board_id = ledger.board_id(connection, board)
            receipts = [_purge_run(ledger, connection, board_id, run, why) for run in runs if run.board == board]
            removed[board] = sum(receipt["count"] for receipt in receipts)
            redacts = _redact(connection, board, board_id)
            ledger.act(connection, "purge", {"board": board, "runs": receipts, "redacts": redacts, "asked": asked})
    if removed:
        ledger.vacuum()
    return removed


def _purge_run(ledger: Ledger, connection: sa.Connection, board_id: int, run: Run, why: str) -> dict[str, Any]:
    """Remove a run; returns its receipt."""
    table = schema.records
    within = _between(table, board_id, run)
    last_link = sa.select(table.c.link).where(
        table.c.board_id == board_id, table.c.boot == run.last[0], table.c.seq == run.last[1]
    )
    receipt = {
        "boot_from": run.first[0], "seq_from": run.first[1], "boot_to": run.last[0], "seq_to": run.last[1],
        "head_before": _head_before(connection, board_id, run), "head_after": connection.scalar(last_link),
        "at_ms": now_ms(), "why": why,
    }  # fmt: skip
    if receipt["head_after"] is None:
        raise UserError(f"nothing removed of board {run.board}: its records changed meanwhile. Say it again.")
    receipt["count"] = int(connection.execute(sa.delete(table).where(*within)).rowcount)
    connection.execute(sa.insert(schema.purges), [{"board_id": board_id} | receipt])
    for other in (schema.labels, schema.anchors):
        connection.execute(sa.delete(other).where(*_between(other, board_id, run)))
    extents = schema.boots.c
    touched = sa.select(extents.boot).where(extents.board_id == board_id, extents.boot.between(run.first[0], run.last[0]))
    for boot in list(connection.scalars(touched)):
        _rebuild_derived(ledger, connection, board_id, boot)
    return receipt


def _redact(connection: sa.Connection, board: str, board_id: int) -> list[list[Any]]:
    """Take out what acts said of purged records alone; returns (installation, number) of those acts."""
    purged = _Purged(connection, board_id)
    boots = set(connection.scalars(sa.select(schema.boots.c.boot).where(schema.boots.c.board_id == board_id)))
    table = schema.acts
    query = sa.select(table.c.installation, table.c.number, table.c.kind, table.c.body)
    told = query.where(table.c.kind.in_(("took", "label", "clock", "witness")), table.c.body.is_not(None)).order_by(table.c.place)
    redacts = []
    for installation, number, kind, body in connection.execute(told):
        try:
            fields = json.loads(body)
            if fields["board"] != board:
                continue
            if kind == "took":
                gone = all(purged.holds(run[0], run[1], run[2]) for run in fields["runs"])
            elif kind in ("label", "witness"):
                gone = purged.holds(fields["boot"], fields["seq"], fields["seq"]) and not fields.get("contradicts")
            else:
                gone = fields["boot"] not in boots and purged.reaches(fields["boot"])
        except (ValueError, KeyError, TypeError, IndexError):  # `verify` says what is wrong with it
            continue
        if gone:
            redacts.append([installation, number])
    for installation, number in redacts:
        at = (table.c.installation == installation, table.c.number == number)
        connection.execute(sa.update(table).where(*at).values(body=None))
    return redacts


class _Purged:
    """What was purged of a board."""

    def __init__(self, connection: sa.Connection, board_id: int) -> None:
        row = schema.purges.c
        query = sa.select(row.boot_from, row.seq_from, row.boot_to, row.seq_to).where(row.board_id == board_id)
        self._runs = [((a, b), (c, d)) for a, b, c, d in connection.execute(query.order_by(row.boot_from, row.seq_from))]

    def holds(self, boot: int, first: int, last: int) -> bool:
        """Whether these numbers of a start were all purged."""
        for begin, end in self._runs:
            if begin <= (boot, first) <= end:
                if (boot, last) <= end:
                    return True
                first = end[1] + 1
        return False

    def reaches(self, boot: int) -> bool:
        """Whether records of a start were purged."""
        return any(begin[0] <= boot <= end[0] for begin, end in self._runs)


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
