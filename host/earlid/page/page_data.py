# SPDX-License-Identifier: MIT
"""Data of the page, queried from a ledger: openings, other records, boards, gaps, and the chain's verdict."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lid import record

from earlid.door import is_stranger
from earlid.errors import FAILED, UserError
from earlid.ledger import queries
from earlid.ledger.boards import KnownBoard
from earlid.ledger.check import habits
from earlid.ledger.doubt import CHECK_PERCENT, SIGNS, doubts
from earlid.ledger.gaps import find_gaps
from earlid.ledger.lid_state import HEARD_MS, lid_states
from earlid.ledger.reader import Reader
from earlid.page.pack import KINDS, Columns
from earlid.page.tz_table import offsets, zone_name

MAX_RECORDS = 1_000_000  # more than a browser's tab should be asked to hold
YEAR_MS = 366 * 86_400_000
# Every word that a column may hold, by its number: `open` and `restart` also tell how an opening ended.
NAMES = tuple(dict.fromkeys((*record.EVENTS, *record.REASONS, "restart", "unknown")))
_CODES = {name: code for code, name in enumerate(NAMES)}
_OPENING_EVENTS = ("open", "close", "live", "dead", "mark")
_OTHER_EVENTS = tuple(name for name in record.EVENTS if name not in _OPENING_EVENTS)
UNKNOWN = -1  # a label nobody gave, a length nobody recorded

# t: Unix ms; unc: ms; live: ms to draw, UNKNOWN of what still lasts; least, most: bounds of the live time in ms, most UNKNOWN
# where there is none; outside: 1 for a rail that was live with the lid closed; board: index into the header's boards; label:
# 1 meant, 0 not meant; doubt, signs: of `ledger.doubt`, percent and bits.
OPENING_KINDS = {
    "t": "f8", "unc": "f8", "board": "u2", "boot": "u4", "seq": "u4", "live": "f8", "least": "f8", "most": "f8",
    "outside": "u1", "reason": "u1", "ended": "u1",
    "score": "u1", "cutoff": "u4", "label": "i1", "doubt": "u1", "signs": "u1", "flags": "u1",
}  # fmt: skip
POINT_KINDS = {
    "t": "f8", "unc": "f8", "board": "u2", "boot": "u4", "seq": "u4", "event": "u1", "reason": "u1",
    "score": "u1", "a": "u4", "b": "u4", "label": "i1", "flags": "u1",
}  # fmt: skip


@dataclass
class PageRows:
    """Rows in the order of OPENING_KINDS and POINT_KINDS, sorted by time."""

    openings: Sequence[tuple[float, ...]]
    points: Sequence[tuple[float, ...]]


def load_rows(reader: Reader, chosen: Sequence[KnownBoard], from_ms: int | None, to_ms: int | None) -> PageRows:
    """Openings and the records beside them in a range of wall time (Unix ms; end excluded)."""
    index_of = {board.identifier: index for index, board in enumerate(chosen)}
    code = _CODES
    label_code = {True: 1, False: 0, None: UNKNOWN}
    found = queries.openings(reader, chosen, from_ms, to_ms)
    openings = [
        (
            o.start_ms, o.unc_ms, index_of[o.board], o.boot, o.seq, UNKNOWN if o.lasts else o.drawn_ms,
            o.least_ms, UNKNOWN if o.most_ms is None else o.most_ms, o.outside, code[o.reason], code[o.ended], o.score,
            o.cutoff, label_code[o.label], doubt.percent, doubt.signs, o.flags,
        )
        for o, doubt in zip(found, doubts(found, habits(reader, chosen)), strict=True)
    ]  # fmt: skip
    points = [
        (
            e.wall_ms, e.unc_ms, index_of[e.board], e.boot, e.seq, code[e.event], code[e.reason], e.score, e.a, e.b,
            label_code[e.label], e.flags,
        )
        for e in queries.entries(reader, chosen, from_ms, to_ms, events=_OTHER_EVENTS)
    ]  # fmt: skip
    points.sort()
    return PageRows(openings, points)


def columns(rows: Sequence[tuple[float, ...]], kinds: dict[str, str]) -> Columns:
    """Rows turned into columns of the kinds named."""
    transposed = zip(*rows, strict=True) if rows else [()] * len(kinds)
    return {name: array(KINDS[kind], values) for (name, kind), values in zip(kinds.items(), transposed, strict=True)}


def tables(rows: PageRows) -> dict[str, Columns]:
    """The page's tables."""
    return {"openings": columns(rows.openings, OPENING_KINDS), "points": columns(rows.points, POINT_KINDS)}


def check_size(reader: Reader, chosen: Sequence[KnownBoard], from_ms: int | None, to_ms: int | None) -> int:
    """How many records a range has.

    Raises:
        UserError: when they are more than a page can hold.
    """
    count = queries.totals(reader, chosen, from_ms, to_ms).records
    if count > MAX_RECORDS:
        raise UserError(
            f"{count:,} records are more than a page can hold ({MAX_RECORDS:,}): ask for less with --since or --board.", FAILED
        )
    return count


def header(reader: Reader, chosen: Sequence[KnownBoard], now_ms: int, from_ms: int | None, to_ms: int | None) -> dict[str, Any]:
    """What the page must know beside the tables; times in Unix ms."""
    first_ms = now_ms - YEAR_MS if from_ms is None else from_ms
    last_ms = now_ms if to_ms is None else to_ms
    return {
        "names": list(NAMES),
        "boards": board_values(reader, chosen),
        "signs": list(SIGNS),
        "check": CHECK_PERCENT,
        "heard": HEARD_MS,
        "gaps": [gap._asdict() for gap in find_gaps(reader, chosen)],
        "from": from_ms,
        "to": to_ms,
        "made": now_ms,
        "zone": {"name": zone_name(min(now_ms, last_ms)), "offsets": offsets(first_ms - YEAR_MS, last_ms + 2 * YEAR_MS)},
    }


def board_values(reader: Reader, chosen: Sequence[KnownBoard]) -> list[dict[str, Any]]:
    """Boards as plain values: `lid`, `since` and `why` of `lid_state.Lid`; `seen`: when each was last heard of. Unix ms."""
    return [
        {
            "board": board.identifier,
            "name": board.name or (board.title if is_stranger(board.identifier) else None),
            "lid": lid.state,
            "since": lid.since_ms,
            "why": lid.why,
            "seen": lid.seen_ms,
        }
        for board, lid in zip(chosen, lid_states(reader, chosen), strict=True)
    ]


def verdicts(reader: Reader, chosen: Sequence[KnownBoard]) -> list[dict[str, Any]]:
    """What holds of each board's chain and of the ledger as a whole: takes some seconds for a million records."""
    from earlid.ledger.anchor_qr import qr_modules
    from earlid.ledger.damage import find_damage, judge_beside, judge_whole  # SQLAlchemy, which takes its time

    with reader.snapshot():
        damage = find_damage(reader)
        host, whole = judge_whole(damage, reader)
        judged = [judge_beside(damage, reader, board, host=host) for board in chosen]
    return [
        {
            "board": judgement.identifier,
            "records": judgement.records,
            "keyed": judgement.keyed,
            "bad": judgement.exit_code == 4,
            "code": judgement.code,
            "qr": qr_modules(judgement.code) if judgement.code else [],
            "findings": [{"verdict": finding.verdict, "say": finding.say} for finding in judgement.findings],
        }
        for judgement in (*judged, *([whole] if whole.findings else []))
    ]
