# SPDX-License-Identifier: MIT
"""Synthetic boards: hash chains of plausible records, and ledgers of them."""

from __future__ import annotations

from collections.abc import Iterable

from earlid.ledger.keys import PairedKey
from earlid.ledger.reader import Reader
from earlid.ledger.rows import row_from_slot
from lid import record

BOARD = "00112233aabbccdd"
KEY = bytes(range(32))
KEYS = (PairedKey(KEY),)


def fields(seq, ms, event, reason="", *, boot=1, score=0, flags=0, wall_ms=0, unc_ms=65535, a=0, b=0):
    """14 fields of a record, the dull ones filled in."""
    return [seq, boot, ms, event, reason, score, flags, 5000, 3300, 3300, wall_ms, unc_ms, a, b]


def seal_all(rows: Iterable[list], board=BOARD, key=KEY, prev=None):
    """Slots of records in fields' order."""
    prev = record.genesis(board) if prev is None else prev
    slots = []
    for row in rows:
        slot, prev = record.seal(key, prev, record.make_body(row))
        slots.append(slot)
    return slots


def life(count, *, boot=1, first=1, step_ms=60_000, board=BOARD, prev=None, zero_ms=None):
    """Openings by word and button, near misses, and a fault now and then; with wall time when `zero_ms` is given."""
    rows = []
    for i in range(count):
        seq, ms = first + i, 1000 + i * step_ms
        clock_fields = {} if zero_ms is None else {"flags": record.CLOCK_SET, "wall_ms": zero_ms + ms, "unc_ms": 60}
        kind = i % 8
        if i == 0:
            row = fields(seq, ms, "boot", "power-on", boot=boot, a=256, **clock_fields)
        elif kind in (1, 3):
            row = fields(seq, ms, "open", ("word", "button")[kind // 2], boot=boot, score=230, a=80, b=200, **clock_fields)
        elif kind in (2, 4):
            row = fields(seq, ms, "close", "timeout", boot=boot, a=max(0, step_ms - 20), b=12, **clock_fields)
        elif kind == 7 and i % 40 == 7:
            row = fields(seq, ms, "fault", "mic-clipped", boot=boot, a=9, b=5, **clock_fields)
        else:
            row = fields(seq, ms, "near-miss", "word", boot=boot, score=150, a=140, b=200, **clock_fields)
        rows.append(row)
    return seal_all(rows, board, prev=prev)


def rows_of(slots):
    """Table rows as `chain.ChainChecker` takes them."""
    return [row_from_slot(slot, 1, 0) for slot in slots]


def dump(location, table="records"):
    """Every row of a table."""
    with Reader(location) as reader:
        return sorted(reader.rows(f"SELECT * FROM {table}"), key=lambda row: [(value is None, value) for value in row])
