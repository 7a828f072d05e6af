# SPDX-License-Identifier: MIT
"""The sealed records behind a report, and the acts on them, for who checks the page by itself: FORMAT.md, "In a report".

Records go from the first one of the range to the last, further where an opening that is shown began before or ended behind;
no others, so that a report of a Monday gives away Monday.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from lid import record

from earlid.ledger import jsonl, rows
from earlid.ledger.act_chain import fields_of
from earlid.ledger.acts import COLUMNS, Act
from earlid.ledger.boards import KnownBoard
from earlid.ledger.boot_clocks import LedgerClocks
from earlid.ledger.reader import Reader
from earlid.ledger.replay import Identity
from earlid.ledger.wall_clock import may_lie_in

VERSION = 1
_BEFORE = "(boot < :boot OR boot = :boot AND seq < :seq)"
_AFTER = "(boot > :boot OR boot = :boot AND seq > :seq)"
_ENDING = tuple(record.EVENTS.index(name) for name in ("close", "dead"))
_BOUNDING = (*_ENDING, *(record.EVENTS.index(name) for name in ("open", "live")))


class Sealed(NamedTuple):
    """The block's header, its slots one behind the other, and Unix ms of fetching of each."""

    header: dict[str, Any]
    slots: array[int]
    taken_ms: array[float]


class _Part(NamedTuple):
    """The records of a board that are carried: `first` to `last`; `before`: the one in front of them, number and link."""

    first: Identity
    last: Identity
    before: tuple[Identity, bytes] | None
    whole: bool

    def has(self, boot: int, seq: int) -> bool:
        return self.first <= (boot, seq) <= self.last

    def has_purge(self, run: Mapping[str, Any]) -> bool:
        """Whether a purged run lies behind `before`, and before the last record."""
        behind = self.before[0] if self.before else (0, 0)
        return behind < (run["boot_to"], run["seq_to"]) and (run["boot_from"], run["seq_from"]) < self.last


_NOTHING = _Part((1, 0), (0, 0), None, True)


def sealed_records(
    reader: Reader, chosen: Sequence[KnownBoard], from_ms: int | None, to_ms: int | None, shown: Iterable[tuple[int, int, int]]
) -> Sealed:
    """The sealed records of some boards in a range of wall time (Unix ms; end excluded).

    Args:
        shown: (index in `chosen`, boot, number) of the openings in the page.
    """
    starts: list[list[Identity]] = [[] for _ in chosen]
    for index, boot, seq in shown:
        starts[index].append((boot, seq))
    clocks = LedgerClocks(reader, chosen)
    parts = [_part_of(reader, board, clocks, from_ms, to_ms, listed) for board, listed in zip(chosen, starts, strict=True)]
    slots, taken_ms = bytearray(), array("d")
    boards, problems = [], []
    for board, part in zip(chosen, parts, strict=True):
        count, damaged = _add_slots(reader, board, part, slots, taken_ms)
        problems += [f"Record {seq} of board {board.identifier} is damaged in the ledger, and not carried." for seq in damaged]
        before = part.before and {"seq": part.before[0][1], "link": part.before[1].hex()}
        known = {"board": board.identifier, "name": board.name, "count": count, "before": before, "head": _head(reader, board)}
        boards.append(known | {"tables": _tables(reader, board, part)})
    header = {
        "sealed": VERSION,
        "partial": not all(part.whole for part in parts),
        "boards": boards,
        "acts": _acts(reader, {board.identifier: part for board, part in zip(chosen, parts, strict=True)}, from_ms, to_ms),
        "problems": problems,
    }
    return Sealed(header, array("B", slots), taken_ms)


def _part_of(
    reader: Reader, board: KnownBoard, clocks: LedgerClocks, from_ms: int | None, to_ms: int | None, shown: list[Identity]
) -> _Part:
    if from_ms is None and to_ms is None:
        return _Part((0, 0), (1 << 62, 1 << 62), None, True)
    ends = list(shown)
    for boot, first, last, clock in clocks.ranges(board.id, from_ms, to_ms, doubtful=True):
        for order in ("ASC", "DESC"):
            sql = (
                "SELECT seq, ms FROM records WHERE board_id = :id AND boot = :boot AND ms BETWEEN :first AND :last "
                f"ORDER BY ms {order}, seq {order}"
            )
            found = reader.stream(sql, id=board.id, boot=boot, first=first - 2, last=last + 2)
            ends += next(([(boot, seq)] for seq, ms in found if may_lie_in(*clock.wall(ms), from_ms, to_ms)), [])
    if shown and to_ms is not None:  # the end of the last one, which may lie behind the range
        boot, seq = max(shown)
        next_sql = (
            f"SELECT seq, event FROM records WHERE board_id = :id AND boot = :boot AND seq > :seq AND event IN {_BOUNDING} "
            "ORDER BY seq LIMIT 1"
        )
        ends += [(boot, end) for end, event in reader.rows(next_sql, id=board.id, boot=boot, seq=seq) if event in _ENDING]
    if not ends:
        return _NOTHING._replace(whole=not reader.rows("SELECT 1 FROM records WHERE board_id = :id LIMIT 1", id=board.id))
    first_at, last_at = min(ends), max(ends)
    sql = f"SELECT boot, seq, link FROM records WHERE board_id = :id AND {_BEFORE} ORDER BY boot DESC, seq DESC LIMIT 1"
    found_before = reader.rows(sql, id=board.id, boot=first_at[0], seq=first_at[1])
    before = next((((boot, seq), bytes(link)) for boot, seq, link in found_before), None)
    after = f"SELECT 1 FROM records WHERE board_id = :id AND {_AFTER} LIMIT 1"
    whole = before is None and not reader.rows(after, id=board.id, boot=last_at[0], seq=last_at[1])
    # Where all of a board is carried so are its purges, also those before the first record and behind the last.
    return _Part((0, 0), (1 << 62, 1 << 62), None, True) if whole else _Part(first_at, last_at, before, False)


def _add_slots(reader: Reader, board: KnownBoard, part: _Part, slots: bytearray, taken_ms: array[float]) -> tuple[int, list[Any]]:
    """Append a board's slots; how many, and the numbers of those that hold what no board can have sealed."""
    count, damaged = 0, []
    sql = (
        f"SELECT {', '.join(rows.COLUMNS)} FROM records WHERE board_id = :id AND boot BETWEEN :first AND :last ORDER BY boot, seq"
    )
    padding = bytes(record.SLOT_BYTES - record.BODY_BYTES - record.LINK_BYTES - record.MAC_BYTES)
    for row in reader.stream(sql, id=board.id, first=part.first[0], last=part.last[0]):
        try:
            if not part.has(row[1], row[2]):
                continue
            slot = rows.body_of(row) + row[rows.LINK] + row[rows.LINK + 1] + padding
            if len(slot) != record.SLOT_BYTES:
                raise TypeError("a link or mark of another length")
            taken_ms.append(row[-1])
        except (struct.error, TypeError):
            damaged.append(row[2])
            continue
        slots += slot
        count += 1
    return count, damaged


def _head(reader: Reader, board: KnownBoard) -> dict[str, Any] | None:
    newest = "SELECT boot, seq, link FROM records WHERE board_id = :id ORDER BY boot DESC, seq DESC LIMIT 1"
    heads = [{"boot": boot, "seq": seq, "link": bytes(link).hex()} for boot, seq, link in reader.rows(newest, id=board.id)]
    return heads[0] if heads else None


def _tables(reader: Reader, board: KnownBoard, part: _Part) -> dict[str, list[dict[str, Any]]]:
    tables = jsonl.header_tables(reader, board)
    if part.whole:
        return tables
    return {
        "purges": [row for row in tables["purges"] if part.has_purge(row)],
        "anchors": [row for row in tables["anchors"] if part.has(row["boot"], row["seq"])],
        "labels": [row for row in tables["labels"] if part.has(row["boot"], row["seq"])],
        "clock_points": [row for row in tables["clock_points"] if part.first[0] <= row["boot"] <= part.last[0]],
    }


def _acts(reader: Reader, parts: Mapping[str, _Part], from_ms: int | None, to_ms: int | None) -> list[list[Any]]:
    acts = map(Act._make, reader.stream(f"SELECT {', '.join(COLUMNS)} FROM acts ORDER BY place"))
    return [jsonl.act_values(act if _is_carried(act, parts, from_ms, to_ms) else act._replace(body=None)) for act in acts]


def _is_carried(act: Act, parts: Mapping[str, _Part], from_ms: int | None, to_ms: int | None) -> bool:
    """Whether an act's body speaks of the records carried, or of no record at all."""
    fields = fields_of(act)
    board = fields.get("board")
    if board is None:
        return True
    part = parts.get(board) if isinstance(board, str) else None
    if part is None or part.whole:
        return part is not None
    try:
        match act.kind:
            case "name":
                return True
            case "took":
                return any((boot, last) >= part.first and (boot, first) <= part.last for boot, first, last, *_ in fields["runs"])
            case "clock":
                return bool(part.first[0] <= fields["boot"] <= part.last[0])
            case "note":
                return may_lie_in(fields["noted_ms"], 0, from_ms, to_ms)
            case "purge":
                return all(part.has_purge(run) for run in fields["runs"])
            case _:  # on one record; what an adoption or an import brought together tells of others
                return part.has(fields["boot"], fields["seq"])
    except (KeyError, TypeError, ValueError):
        return False
