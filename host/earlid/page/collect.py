# SPDX-License-Identifier: MIT
"""What the page shows, out of a ledger: openings, the records beside them, boards, gaps, and the chain's verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from lid import record

from earlid.errors import FAILED, UserError
from earlid.ledger import queries
from earlid.ledger.boards import KnownBoard
from earlid.ledger.gaps import find_gaps
from earlid.ledger.judge import judge
from earlid.ledger.keys import read_key
from earlid.ledger.reader import Reader
from earlid.page.pack import Columns
from earlid.page.tz_table import offsets, zone_name

MOST_RECORDS = 1_000_000  # more than a browser's tab should be asked to hold
YEAR_MS = 366 * 86_400_000
# Every word that a column may hold, by its number: `open` and `restart` also tell how an opening ended.
NAMES = tuple(dict.fromkeys((*record.EVENTS, *record.REASONS, "restart", "unknown")))
_CODES = {name: code for code, name in enumerate(NAMES)}
_IN_OPENINGS = ("open", "close")
_BESIDE = tuple(name for name in record.EVENTS if name not in _IN_OPENINGS)
UNKNOWN = -1  # a label nobody gave, a length nobody recorded

# t: Unix ms; unc: ms; board: index into the header's boards; label: 1 meant, 0 not meant.
OPENING_KINDS = {
    "t": "f8", "unc": "f8", "board": "u2", "boot": "u4", "seq": "u4", "live": "f8", "reason": "u1", "ended": "u1",
    "score": "u1", "cutoff": "u4", "label": "i1",
}  # fmt: skip
POINT_KINDS = {
    "t": "f8", "unc": "f8", "board": "u2", "boot": "u4", "seq": "u4", "event": "u1", "reason": "u1",
    "score": "u1", "a": "u4", "b": "u4", "label": "i1",
}  # fmt: skip


@dataclass
class Rows:
    """Rows in the order of OPENING_KINDS and POINT_KINDS, sorted by time."""

    openings: Sequence[tuple[float, ...]]
    points: Sequence[tuple[float, ...]]


def collect(reader: Reader, chosen: Sequence[KnownBoard], from_ms: int | None, to_ms: int | None) -> Rows:
    """Openings and the records beside them in a range of wall time (Unix ms; end excluded)."""
    number = {board.identifier: index for index, board in enumerate(chosen)}
    code = _CODES
    said = {True: 1, False: 0, None: UNKNOWN}
    openings = [
        (
            o.start_ms, o.unc_ms, number[o.board], o.boot, o.seq, UNKNOWN if o.live_ms is None else o.live_ms,
            code[o.reason], code[o.ended], o.score, o.cutoff, said[o.label],
        )
        for o in queries.openings(reader, chosen, from_ms, to_ms)
    ]  # fmt: skip
    points = [
        (
            e.wall_ms, e.unc_ms, number[e.board], e.boot, e.seq, code[e.event], code[e.reason], e.score, e.a, e.b,
            said[e.label],
        )
        for e in queries.entries(reader, chosen, from_ms, to_ms, events=_BESIDE)
    ]  # fmt: skip
    points.sort()
    return Rows(openings, points)


def columns(rows: Sequence[tuple[float, ...]], kinds: dict[str, str]) -> Columns:
    """Rows turned into columns of the kinds named."""
    if not rows:
        return {name: np.empty(0, kind) for name, kind in kinds.items()}
    turned = zip(*rows, strict=True)
    return {name: np.array(values, kind) for (name, kind), values in zip(kinds.items(), turned, strict=True)}


def tables(rows: Rows) -> dict[str, Columns]:
    """The page's tables."""
    return {"openings": columns(rows.openings, OPENING_KINDS), "points": columns(rows.points, POINT_KINDS)}


def check_size(reader: Reader, chosen: Sequence[KnownBoard], from_ms: int | None, to_ms: int | None) -> int:
    """How many records a range has.

    Raises:
        UserError: when they are more than a page can hold.
    """
    count = queries.totals(reader, chosen, from_ms, to_ms).records
    if count > MOST_RECORDS:
        raise UserError(
            f"{count:,} records are more than a page can hold ({MOST_RECORDS:,}): ask for less with --since or --board.", FAILED
        )
    return count


def header(reader: Reader, chosen: Sequence[KnownBoard], now_ms: int, from_ms: int | None, to_ms: int | None) -> dict[str, Any]:
    """What the page must know beside the tables; times in Unix ms."""
    first_ms = now_ms - YEAR_MS if from_ms is None else from_ms
    last_ms = now_ms if to_ms is None else to_ms
    return {
        "names": list(NAMES),
        "boards": board_values(chosen),
        "gaps": [gap._asdict() for gap in find_gaps(reader, chosen)],
        "from": from_ms,
        "to": to_ms,
        "made": now_ms,
        "zone": {"name": zone_name(min(now_ms, last_ms)), "offsets": offsets(first_ms - YEAR_MS, last_ms + 2 * YEAR_MS)},
    }


def board_values(chosen: Iterable[KnownBoard]) -> list[dict[str, Any]]:
    """Boards as plain values; `seen`: when each was last there, Unix ms."""
    return [{"board": board.identifier, "name": board.name, "seen": board.last_seen_ms} for board in chosen]


def verdicts(reader: Reader, chosen: Sequence[KnownBoard]) -> list[dict[str, Any]]:
    """What holds of each board's chain: takes some seconds for a million records."""
    found = []
    for board in chosen:
        judged = judge(reader, board, read_key(board.identifier))
        found.append(
            {
                "board": board.identifier,
                "records": judged.records,
                "keyed": judged.keyed,
                "bad": judged.exit_code == 4,
                "code": judged.code,
                "findings": [{"verdict": finding.verdict, "say": finding.say} for finding in judged.findings],
            }
        )
    return found
