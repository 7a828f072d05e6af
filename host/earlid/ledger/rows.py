# SPDX-License-Identifier: MIT
"""Conversion of slots to table rows and back, and the derived rows of a batch. No input or output."""

import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from lid import record

from earlid.ledger.version import DAY_MS, FROM_BOARD, FROM_HINT

COLUMNS = ("board_id", "boot", "seq", "ms", "event", "reason", *record.FIELDS[5:], "link", "mac", "taken_ms")
LINK = COLUMNS.index("link")
_BODY = struct.Struct(record.LAYOUT)
_CLOSE = record.EVENTS.index("close")
_START = itemgetter(0, 1)  # board_id, boot

STEP_MS = 1000  # a clock point further off than this from the last one is kept
SPACING_MS = DAY_MS // 4  # and one after this time, to follow the crystal's drift


def row_from_slot(slot: bytes, board_id: int, taken_ms: int) -> tuple[Any, ...]:
    """A row in COLUMNS order of a 64-byte slot; ValueError when it is no record this version knows."""
    if len(slot) != record.SLOT_BYTES:
        raise ValueError(f"a slot has {record.SLOT_BYTES} bytes, not {len(slot)}")
    seq, boot, ms, ms_high, event, reason, score, flags, energy, guarded, sentinel, wall, wall_high, unc, a, b = (
        _BODY.unpack_from(slot)
    )
    if event >= len(record.EVENTS) or reason >= len(record.REASONS):
        raise ValueError(f"record {seq}: event {event} or reason {reason} is unknown")
    return (
        board_id, boot, seq, ms | ms_high << 32, event, reason, score, flags, energy, guarded, sentinel,
        wall | wall_high << 32, unc, a, b, slot[40:52], slot[52:60], taken_ms,
    )  # fmt: skip


def body_of(row: tuple[Any, ...]) -> bytes:
    """The 40 canonical bytes of a row in COLUMNS order; struct.error when a field is out of its range."""
    _, boot, seq, ms, event, reason, score, flags, energy, guarded, sentinel, wall, unc, a, b = row[:LINK]
    return _BODY.pack(
        seq, boot, ms & 0xFFFFFFFF, ms >> 32, event, reason, score, flags, energy, guarded, sentinel,
        wall & 0xFFFFFFFF, wall >> 32, unc, a, b,
    )  # fmt: skip


def insert_sql(paramstyle: str) -> str:
    """The INSERT of a row in COLUMNS order in a driver's own style."""
    mark = "?" if paramstyle == "qmark" else "%s"
    return f"INSERT INTO records ({', '.join(COLUMNS)}) VALUES ({', '.join([mark] * len(COLUMNS))})"


def event_name(code: int) -> str:
    """A name of `lid.record.EVENTS`; `unknown` for what only damage can have put there."""
    return record.EVENTS[code] if 0 <= code < len(record.EVENTS) else "unknown"


def reason_name(code: int) -> str:
    """A name of `lid.record.REASONS`; `unknown` for what only damage can have put there."""
    return record.REASONS[code] if 0 <= code < len(record.REASONS) else "unknown"


class Step(NamedTuple):
    """A record as far as openings are concerned."""

    boot: int
    seq: int
    ms: int
    event: str
    reason: str
    a: int
    b: int


STEP_COLUMNS = ", ".join(Step._fields)


def step_of(row: tuple[Any, ...]) -> Step:
    """A row of STEP_COLUMNS."""
    boot, seq, ms, event, reason, a, b = row
    return Step(boot, seq, ms, event_name(event), reason_name(reason), a, b)


Point = tuple[int, int, int]


class DerivedRows(NamedTuple):
    """What a batch of records adds to the tables that are derived from them."""

    tallies: list[dict[str, int]]
    boots: list[dict[str, int]]
    points: list[tuple[int, int, int, int, int]]


def summarise(fresh: Iterable[tuple[Any, ...]], last_points: Mapping[tuple[int, int], Point] | None = None) -> DerivedRows:
    """Counts by (boot, day, event, reason), extents of starts, clock points (boot, source, ms, wall_ms, unc_ms) of new rows.

    Args:
        fresh: rows in COLUMNS order, sorted by boot and seq.
        last_points: (boot, source) -> the board's newest clock point (ms, wall_ms, unc_ms) of the records before.
    """
    last_points = dict(last_points or {})
    counts: dict[tuple[int, ...], list[int]] = {}
    boots: dict[tuple[int, int], tuple[int, ...]] = {}
    points: dict[tuple[int, int, int], tuple[int, int, int, int, int]] = {}
    for start, group in groupby(fresh, _START):
        boot = start[1]
        _, _, seqs, times_ms, events, reasons, _, flags, _, _, _, walls_ms, uncs_ms, spans_ms, *_, taken_ms = zip(
            *group, strict=True
        )
        extremes = (limit(column) for column in (seqs, times_ms, taken_ms) for limit in (min, max))
        boots[start] = tuple(extremes)
        days = [ms // DAY_MS for ms in times_ms]
        for cell, count in Counter(zip(days, events, reasons, strict=True)).items():
            counts[(*start, *cell)] = [count, 0]
        for day, event, reason, span_ms in zip(days, events, reasons, spans_ms, strict=True):
            if event == _CLOSE:
                counts[(*start, day, event, reason)][1] += span_ms
        for ms, flag, wall_ms, unc_ms in zip(times_ms, flags, walls_ms, uncs_ms, strict=True):
            if flag & record.CLOCK_SET and wall_ms:
                source = source_of(flag)
                last = last_points.get((boot, source))
                if last is None or point_is_news(last, (ms, wall_ms, unc_ms)):
                    last_points[boot, source] = (ms, wall_ms, unc_ms)
                    points[boot, source, ms] = (boot, source, ms, wall_ms, unc_ms)
    names = ("board_id", "boot", "day", "event", "reason", "count", "sum_a")
    extents = ("board_id", "boot", "first_seq", "last_seq", "first_ms", "last_ms", "first_taken_ms", "last_taken_ms")
    return DerivedRows(
        [dict(zip(names, (*key, *cell), strict=True)) for key, cell in counts.items()],
        [dict(zip(extents, (*key, *extent), strict=True)) for key, extent in boots.items()],
        list(points.values()),
    )


def source_of(flags: int) -> int:
    """The source of the clock point in a record whose clock is set, from its flags."""
    return FROM_BOARD if flags & record.CLOCK_VOUCHED else FROM_HINT


def point_is_news(last: tuple[int, ...], new: tuple[int, ...]) -> bool:
    """Whether a clock point (ms, wall_ms, unc_ms) is worth keeping after the last: a step, better, or long after."""
    if new[0] < last[0]:
        return False
    step_ms = abs((new[1] - new[0]) - (last[1] - last[0]))
    return step_ms > STEP_MS or new[2] < last[2] // 2 or new[0] - last[0] >= SPACING_MS


def taken_runs(stored: Iterable[tuple[Any, ...]]) -> list[list[int]]:
    """Runs of consecutive records of one start: [boot, first seq, last seq, least taken_ms, most taken_ms].

    Args:
        stored: rows in COLUMNS order, sorted by boot and seq.
    """
    runs: list[list[int]] = []
    run = [-1, -1, -1, 0, 0]
    for row in stored:
        boot, seq, taken_ms = row[1], row[2], row[-1]
        if boot == run[0] and seq == run[2] + 1:
            run[2] = seq
            if taken_ms < run[3]:
                run[3] = taken_ms
            elif taken_ms > run[4]:
                run[4] = taken_ms
        else:
            run = [boot, seq, seq, taken_ms, taken_ms]
            runs.append(run)
    return runs
