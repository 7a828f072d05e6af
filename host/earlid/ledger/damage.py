# SPDX-License-Identifier: MIT
"""Damage to a ledger's file: its structure as SQLite checks it, its tables, and values that no program wrote there.

SQLite keeps any kind of value in any place, and reads what is left of a file without complaint as long as it can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import sqlalchemy as sa

from earlid.errors import UserError
from earlid.ledger import schema
from earlid.ledger.anchor_code import Anchor
from earlid.ledger.boards import KnownBoard
from earlid.ledger.chain import CANNOT_JUDGE, INTACT, ChainFinding
from earlid.ledger.judge import Judgement, judge_with_keys
from earlid.ledger.judge_host import HostJudgement, judge_host
from earlid.ledger.reader import Reader
from earlid.ledger.version import VERSION

DAMAGED = "damaged"
THIS_LEDGER = "This ledger"  # in a board's place
_FOLLOW = "Cannot judge: those of its records that can be read follow each other, but the ledger that holds them is damaged."
GREATEST = 1 << 53  # of a whole number: no time, no counter comes near


def find_damage(reader: Reader) -> str:
    """What is damaged in the ledger's file, as the end of a sentence; empty when nothing is, and for a server's ledger.

    Not what its values mean: `judge` compares those.
    """
    if not reader.location.path:
        return ""
    try:
        with reader.snapshot():
            return next(_faults(reader), "")
    except UserError as error:
        return str(error)


def _faults(reader: Reader) -> Iterator[str]:
    # Beyond a quick check: an index that does not fit its table hides records from a search by time.
    for (text,) in reader.rows("PRAGMA integrity_check(1)"):
        if text != "ok":
            yield " ".join(str(text).split())
    current = reader.version == VERSION
    for table in schema.metadata.sorted_tables:
        there = {name for _, name, *_ in reader.rows(f"PRAGMA table_info({table.name})")}
        if not there and current:
            yield f"its table `{table.name}` is missing"
        missing = [column.name for column in table.columns if there and column.name not in there]
        if missing and current:
            yield f"its table `{table.name}` has no `{missing[0]}`"
        yield from _wrong_values(reader, table.name, [column for column in table.columns if column.name in there])
    for table in schema.metadata.sorted_tables:
        unowned = f"SELECT board_id FROM {table.name} EXCEPT SELECT id FROM boards LIMIT 1"
        if "board_id" in table.columns and reader.rows(unowned):
            yield f"its table `{table.name}` has rows of no board"
    if reader.rows("SELECT board_id, boot FROM records EXCEPT SELECT board_id, boot FROM boots LIMIT 1"):
        yield "its table `boots` lacks starts of which there are records"


def _wrong_values(reader: Reader, table: str, columns: Sequence[sa.Column[object]]) -> Iterator[str]:
    right = {column.name: _right(column) for column in columns}
    for column in columns:
        if isinstance(column.type, sa.Text):
            for _ in reader.stream(f'SELECT "{column.name}" FROM {table}'):
                pass  # bytes that are no text are an error
    wrong = f"SELECT 1 FROM {table} WHERE NOT ({{}}) LIMIT 1"
    if columns and reader.rows(wrong.format(" AND ".join(right.values()))):  # one walk for all of them
        name = next((name for name, condition in right.items() if reader.rows(wrong.format(condition))), columns[0].name)
        yield f"in its table `{table}`, `{name}` has a value that Earlid never wrote"


def _right(column: sa.Column[object]) -> str:
    """The condition that a value is of the column's kind."""
    kind, name = column.type, f'"{column.name}"'
    right = f"typeof({name}) = 'integer' AND {name} BETWEEN -{GREATEST} AND {GREATEST}"
    if isinstance(kind, sa.LargeBinary):
        right = f"typeof({name}) = 'blob'" + (f" AND length({name}) = {kind.length}" if kind.length else "")
    elif isinstance(kind, sa.Text):
        right = f"typeof({name}) = 'text'"
    return f"({name} IS NULL OR {right})" if column.nullable else f"({right})"


def finding_of(reader: Reader, damage: str) -> ChainFinding:
    """The finding that a damaged ledger is, beside those of its boards."""
    text = (
        f"Damaged: {damage}. Nothing in this ledger is judged intact. Copy it away, let `earlid watch --ledger NEW.sqlite` fetch "
        f"again what the boards still have, and try `sqlite3 {reader.location} .recover` for the rest."
    )
    return ChainFinding(DAMAGED, 0, 0, text)


def judge_whole(damage: str, reader: Reader) -> tuple[HostJudgement | None, Judgement]:
    """What holds of the ledger as a whole: its damage, and the acts in it (also by themselves, for `judge_beside`)."""
    host: HostJudgement | None = None
    findings = [finding_of(reader, damage)] if damage else []
    try:
        host = judge_host(reader)
        findings += [finding for finding in host.findings if not damage or finding.verdict != INTACT]
    except Exception:
        if not damage:
            raise
    return host, Judgement(None, THIS_LEDGER, 0, 0, False, findings, "")


def judge_beside(
    damage: str,
    reader: Reader,
    board: KnownBoard,
    typed: Sequence[Anchor] = (),
    progress: Callable[[int], None] = lambda count: None,
    host: HostJudgement | None = None,
) -> Judgement:
    """As `judge_with_keys`, in a ledger that may be damaged: nothing there is intact, and nothing there stops it."""
    try:
        judgement = judge_with_keys(reader, board, typed, progress, host)
    except Exception as error:
        if not damage:
            raise
        why = str(error) if isinstance(error, UserError) else "what stands there cannot be read."
        unread = ChainFinding(CANNOT_JUDGE, 0, 0, f"Cannot judge: {why}")
        return Judgement(board, str(board.identifier), 0, 0, False, [unread], "")
    if not damage:
        return judgement
    findings = [finding._replace(verdict=CANNOT_JUDGE, say=_FOLLOW) if finding.verdict == INTACT else finding
                for finding in judgement.findings]  # fmt: skip
    return judgement._replace(findings=findings, code="")
