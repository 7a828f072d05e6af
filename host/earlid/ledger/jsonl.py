# SPDX-License-Identifier: MIT
"""Exports of a ledger as JSON Lines, with its chain: written, and read again.

For each board a header line (`board`, with purges, anchors, labels and clock points), its records as the wire carries
them (`rec`, and `at`: when they were fetched), and an `end` line with count and head, so that a file cut short shows. Behind
the last board the ledger's acts (`act`: a row's values, hashes in hex), and an `acts` line with their count: of a board that was
not chosen the body is left out, its hash stays. Format 1 had no acts, format 2 none of the kind `witness`.
"""

from __future__ import annotations

import codecs
import json
import struct
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from lid import record

from earlid.door import TEXT_MAX, brief, is_identifier, is_printable, plain
from earlid.errors import LEDGER_BROKEN, USAGE, UserError
from earlid.ledger import rows
from earlid.ledger.act_chain import read_act
from earlid.ledger.acts import Act, hex_bytes, no_number
from earlid.ledger.boards import KnownBoard
from earlid.ledger.reader import Reader
from earlid.ledger.version import FROM_RECORDS

FORMAT = 3
READABLE = (1, 2, 3)
BATCH = 5000
LINE_MAX = 64 << 20  # bytes: a header with all purges and labels of a board
# Tables that travel in the header, and their columns; links in hex.
_HEADER_TABLES = {
    "purges": ("boot_from", "seq_from", "boot_to", "seq_to", "count", "head_before", "head_after", "at_ms", "why"),
    "anchors": ("boot", "seq", "link", "at_ms"),
    "labels": ("boot", "seq", "label", "at_ms"),
    "clock_points": ("boot", "ms", "wall_ms", "unc_ms"),
}
_LINK_COLUMNS = ("link", "head_before", "head_after")


@dataclass
class Section:
    """One board of an export while it is read."""

    board: str
    name: str | None
    tables: dict[str, list[dict[str, Any]]]
    slots: list[bytes] = field(default_factory=list)
    taken_ms: list[int] = field(default_factory=list)


def export_boards(reader: Reader, chosen: Sequence[KnownBoard], out: IO[str]) -> int:
    """Write boards with all their records, as they are now; returns how many records."""
    with reader.snapshot():
        return _export_boards(reader, chosen, out)


def _export_boards(reader: Reader, chosen: Sequence[KnownBoard], out: IO[str]) -> int:
    total = 0
    for board in chosen:
        head: dict[str, Any] = {"earlid": "ledger", "format": FORMAT, "board": board.identifier, "name": board.name}
        _write_line(out, head | header_tables(reader, board))
        count, last = 0, (0, b"")
        sql = f"SELECT {', '.join(rows.COLUMNS)} FROM records WHERE board_id = :id ORDER BY boot, seq"
        for row in reader.stream(sql, id=board.id):
            _write_line(out, {"rec": _wire_record(board, row), "at": row[-1]})
            count, last = count + 1, (row[2], row[rows.LINK])
        _write_line(out, {"end": board.identifier, "count": count, "seq": last[0], "link": last[1].hex()})
        total += count
    if chosen:
        _export_acts(reader, {board.identifier for board in chosen}, out)
    return total


def header_tables(reader: Reader, board: KnownBoard) -> dict[str, list[dict[str, Any]]]:
    """What an export's header says of a board beside its name: table -> rows, links in hex."""
    tables = {}
    for table, columns in _HEADER_TABLES.items():
        mine = "board_id = :id" if table != "clock_points" else f"board_id = :id AND source NOT IN {FROM_RECORDS}"
        table_rows = reader.rows(f"SELECT {', '.join(columns)} FROM {table} WHERE {mine} ORDER BY 1, 2", id=board.id)
        tables[table] = [_links_in_hex(dict(zip(columns, row, strict=True))) for row in table_rows]
    return tables


def act_values(act: Act) -> list[Any]:
    """An act as an export has it: a row's values, hashes in hex."""
    return [bytes(value).hex() if isinstance(value, bytes | memoryview) else value for value in act]


def _export_acts(reader: Reader, chosen: Collection[str], out: IO[str]) -> None:
    count = 0
    for act in map(Act._make, reader.stream(f"SELECT {', '.join(Act._fields)} FROM acts ORDER BY place")):
        try:
            about = act.fields().get("board")
        except (ValueError, RecursionError):  # damaged: it goes as it stands
            about = None
        shown = act if about is None or about in chosen else act._replace(body=None)
        _write_line(out, {"act": act_values(shown)})
        count += 1
    _write_line(out, {"acts": count})


def _wire_record(board: KnownBoard, row: tuple[Any, ...]) -> list[Any]:
    try:
        seal = row[rows.LINK] + row[rows.LINK + 1]
        if len(seal) == record.LINK_BYTES + record.MAC_BYTES:
            return list(record.slot_to_wire(rows.body_of(row) + seal))
    except (struct.error, TypeError, ValueError, IndexError):
        pass
    text = (
        f"record {row[2]} of {board.title} is damaged and cannot be exported: see `earlid verify`. Collect again what the board "
    )
    raise UserError(text + "still has, with `earlid watch --once --ledger NEW.sqlite`.", LEDGER_BROKEN)


def _write_line(out: IO[str], body: dict[str, Any]) -> None:
    out.write(json.dumps(body, separators=(",", ":")) + "\n")


def _checked(name: str, value: Any) -> Any:
    """A value of a header's table as the ledger keeps it; ValueError or TypeError when it is none."""
    if name in _LINK_COLUMNS:
        link = None if value is None and name == "head_before" else hex_bytes(value)
        if link is not None and len(link) != record.LINK_BYTES:
            raise ValueError("a link of another length")
        return link
    if name == "why" and isinstance(value, str):
        return plain(value)
    if type(value) is not int or not 0 <= value < 1 << 53:
        raise ValueError(f"{name} is {brief(value)}, no number that it may be")
    return value


def _links_in_hex(values: dict[str, Any]) -> dict[str, Any]:
    return {name: bytes(value).hex() if name in _LINK_COLUMNS and value is not None else value for name, value in values.items()}


def read_sections(path: Path, acts: list[Act] | None = None) -> Iterator[Section]:
    """The boards of an export, records in batches: a section comes again and again with the next ones, then with none.

    Args:
        path: the file.
        acts: gets the file's acts, once all boards were read.

    Raises:
        UserError: code 2 when the file is no export, 4 when it is damaged or cut short.
    """
    section: Section | None = None
    count = count_of_acts = 0
    last = bytes(record.SLOT_BYTES)  # slot of the section's newest record
    whole = True  # nothing is to follow
    seen: set[str] = set()
    for number, body in _lines(path):
        if "earlid" in body:
            if section or count_of_acts:
                raise _truncated(path, section.board if section else "")
            section, count, last = _read_header(path, number, body), 0, bytes(record.SLOT_BYTES)
            if section.board in seen:
                raise UserError(f"board {section.board} stands twice in {path}: somebody put files together.", LEDGER_BROKEN)
            seen.add(section.board)
            whole = body["format"] == 1
        elif section is None and "act" in body and not whole:
            act = _read_act(path, number, body["act"])
            count_of_acts += 1
            if acts is not None:
                acts.append(act)
        elif section is None and "acts" in body and not whole:
            if not _is_same(body["acts"], count_of_acts):
                raise _truncated(path)
            whole = True
        elif section is None:
            if number == 1:
                raise UserError(f"{path} is no export of Earlid's: its first line is no header.", USAGE)
            raise UserError(f"{path}, line {number}: a line that does not belong there. The file was altered.", LEDGER_BROKEN)
        elif "rec" in body:
            count += 1
            _append_record(path, number, body, section)
            last = section.slots[-1]
            if len(section.slots) == BATCH:
                yield section
                section.slots, section.taken_ms = [], []
        else:
            newest = int.from_bytes(last[:4], "little"), last[40:52].hex() if count else ""
            end: dict[str, str | int] = {"end": section.board, "count": count, "seq": newest[0], "link": newest[1]}
            if not all(_is_same(body.get(name), value) for name, value in end.items()):
                raise _truncated(path, section.board)
            if section.slots:
                yield section
                section.slots, section.taken_ms = [], []
            yield section
            section = None
    if section or not whole:
        raise _truncated(path, section.board if section else "")


def read_acts(path: Path) -> list[Act]:
    """The acts of an export alone; errors as of `read_sections`."""
    return [_read_act(path, number, body["act"]) for number, body in _lines(path, b'"act"') if "act" in body]


def _is_same(value: Any, expected: str | int) -> bool:
    return type(value) is type(expected) and value == expected


def _lines(path: Path, having: bytes = b"") -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and object of each line, of those in which these bytes stand."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(LINE_MAX), b""), 1):
                if having in line:
                    yield number, _parse(path, number, line.removeprefix(codecs.BOM_UTF8) if number == 1 else line)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error}", USAGE) from error


def _read_act(path: Path, number: int, values: Any) -> Act:
    try:
        installation, act_number, place, kind, body, *hashes = values
        if not all(isinstance(value, str) for value in (installation, kind)) or not isinstance(body, str | None):
            raise ValueError("a text was expected")
        _checked("number", act_number)
        _checked("place", place)
        body_hash, link, signature = map(hex_bytes, hashes)
        return read_act((installation, act_number, place, kind, body, body_hash, link, signature))
    except (TypeError, ValueError) as error:
        text = f"{path}, line {number}: no act ({plain(error)}). The file was altered or damaged."
        raise UserError(text, LEDGER_BROKEN) from error


def _parse(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        body = json.loads(line.decode(), parse_float=no_number, parse_constant=no_number)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        kind = USAGE if number == 1 else LEDGER_BROKEN
        raise UserError(f"{path}, line {number}: no line of an export. It was damaged, cut short, or is no export.", kind)
    return body


def _read_header(path: Path, number: int, body: dict[str, Any]) -> Section:
    if not any(_is_same(body.get("format"), known) for known in READABLE):
        text = f"{path} is of a format this Earlid does not know ({brief(body.get('format'))}): update Earlid."
        raise UserError(text, USAGE if number == 1 else LEDGER_BROKEN)
    try:
        tables = {
            table: [{name: _checked(name, row[name]) for name in columns} for row in _rows(body[table])]
            for table, columns in _HEADER_TABLES.items()
        }
        if not all(isinstance(body[table], list) for table in tables):
            raise ValueError("a table is a list of rows")
        board, name = body["board"], body["name"]
        if not is_identifier(board):
            raise ValueError(f"{brief(board)} is no board's identifier")
        if not isinstance(name, str | None) or len(name or "") > TEXT_MAX or not is_printable(name or ""):
            raise ValueError(f"name is {brief(name)}")
        return Section(board, name, tables)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: the header of a board is damaged ({plain(error)}).", LEDGER_BROKEN) from error


def _rows(table: Any) -> list[Any]:
    if not isinstance(table, list):
        raise TypeError("a list was expected")
    return table


def _append_record(path: Path, number: int, body: dict[str, Any], section: Section) -> None:
    try:
        section.slots.append(record.wire_to_slot(body["rec"]))
        section.taken_ms.append(_checked("at", body["at"]))
    except (KeyError, TypeError, ValueError, OverflowError, struct.error) as error:
        text = f"{path}, line {number}: no record ({plain(error)}). The file was altered or damaged."
        raise UserError(text, LEDGER_BROKEN) from error


def _truncated(path: Path, board: str = "") -> UserError:
    what = f"the end of board {board} does" if board else "its acts do"
    return UserError(f"{path} is cut short or lines were taken out of it: {what} not fit. Export again.", LEDGER_BROKEN)
