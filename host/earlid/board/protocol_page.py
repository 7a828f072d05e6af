# SPDX-License-Identifier: MIT
"""Writes the tables of firmware/PROTOCOL.md from `lid.wire_schema`: `python -m earlid.board.protocol_page`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import Any, Literal, get_args, get_origin, is_typeddict

from lid import record, wire_schema
from lid.wire_schema import ERRORS, EVENTS, REQUESTS, SELF_TEST, TEXT_MAX, U32, Field

from earlid import firmware

PAGE = "PROTOCOL.md"
TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
HEAD = ("field", "type", "unit", "range or form", "since", "meaning")
REPLY_HEAD = ("of", *HEAD)


def render(page: str) -> str:
    """The page with each table between its two comments written anew.

    Raises:
        KeyError: a table that there is none of.
    """
    return TABLE.sub(lambda match: match[1] + "\n" + tables()[match[2]] + "\n" + match[3], page)


def tables() -> dict[str, str]:
    """Every table by the name that its comment in the page has."""
    beside = wire_schema.fields(wire_schema.Reply)
    arguments = [(f"`{do}`", *row) for do, request in REQUESTS.items() for row in _rows(request.arguments)]
    replies = [(f"`{do}`", *row) for do, request in REQUESTS.items() for row in _rows(request.reply, leave_out=beside)]
    return {
        "hi": _table(HEAD, _rows(wire_schema.Hello)),
        "ask": _table(HEAD, _rows(wire_schema.Ask)),
        "signature": _table(HEAD, _rows(wire_schema.Signature)),
        "wait": _table(HEAD, _rows(wire_schema.Wait)),
        "tm": _table(HEAD, _rows(wire_schema.Telemetry)),
        "rec": _table(("place", *HEAD), [(str(n), *row) for n, row in enumerate(_rows(wire_schema.Record))]),
        "slot": _table(("byte", "bytes", "field", "meaning"), _slot_rows()),
        "codes": _table(("from code", "events", "reasons"), _code_rows()),
        "events": _table(
            ("event", "reasons", "`a`", "`b`"),
            [(f"`{name}`", _words(event.reasons), event.a, event.b) for name, event in EVENTS.items()],
        ),
        "bits": _table(("bit", "what held"), [(str(int(bit)), meaning) for bit, meaning in SELF_TEST.items()]),
        "requests": _table(
            ("`do`", "what the board does", "arguments", "reply beside `re` and `ok`", "needs consent"),
            [
                (f"`{do}`", request.meaning, _names(request.arguments), _names(request.reply, leave_out=beside), request.consent)
                for do, request in REQUESTS.items()
            ],
        ),
        "arguments": _table(REPLY_HEAD, arguments),
        "replies": _table(REPLY_HEAD, replies),
        "refusal": _table(HEAD, _rows(wire_schema.Refusal)),
        "errors": _table(("`err`", "why"), [(f"`{name}`", meaning) for name, meaning in ERRORS.items()]),
    }  # fmt: skip


def _slot_rows() -> Iterable[tuple[str, ...]]:
    """Where each field of a record lies in its slot."""
    meanings = {
        name: wire_schema.field_of(annotated)[1].meaning for name, annotated in wire_schema.fields(wire_schema.Record).items()
    }
    meanings |= dict.fromkeys(("event", "reason"), "its code: table below")
    meanings |= dict.fromkeys(("a", "b"), "depends on the event: table above")
    meanings |= {"link": "chain link: formula below", "mac": "keyed checksum: formula below"}
    sizes = [(limit.bit_length() + 7) // 8 for limit in record.LIMITS]
    rest = [("link", record.LINK_BYTES), ("mac", record.MAC_BYTES), ("crc32", 4)]
    at = 0
    for name, size in [*zip(record.FIELDS, sizes, strict=True), *rest]:
        yield str(at), str(size), f"`{name}`", meanings.get(name, "CRC-32 of IEEE 802.3 over the 60 bytes before it")
        at += size


def _code_rows() -> Iterable[tuple[str, ...]]:
    """Names of events and reasons in the order of their codes, eight a row."""
    for first in range(0, len(record.REASONS), 8):
        names = (table[first : first + 8] for table in (record.EVENTS, record.REASONS))
        yield str(first), *(" ".join(f"`{name}`" if name else "(none)" for name in row) for row in names)


def _words(words: tuple[str, ...]) -> str:
    return f"`{' '.join(filter(None, words))}`" if any(words) else ""


def _names(message: Any, leave_out: Iterable[str] = ()) -> str:
    return " ".join(f"`{name}`" for name in wire_schema.fields(message) if name not in leave_out)


def _rows(message: Any, leave_out: Iterable[str] = ()) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, annotated in wire_schema.fields(message).items():
        if name not in leave_out:
            plain, field, optional = wire_schema.field_of(annotated)
            kind = _type(plain) + (", optional" if optional else "")
            rows.append((f"`{name}`", kind, field.unit, _form(plain, field), str(field.since), field.meaning))
    return rows


def _type(plain: Any) -> str:
    if is_typeddict(plain):
        return "object"
    if get_origin(plain) is Literal:
        return _type(type(get_args(plain)[0]))
    if get_origin(plain):
        return {list: "list of integers", dict: "object of integers"}[get_origin(plain)]
    return {int: "integer", str: "string", bool: "true or false"}[plain]


def _form(plain: Any, field: Field) -> str:
    if get_origin(plain) is Literal:
        return " ".join(f"`{str(value).lower()}`" for value in get_args(plain))
    if plain is int:
        return f"{_power(field.low)} to {_power(field.high)}" if (field.low, field.high) != (0, U32) else ""
    if plain is str:
        digits = re.fullmatch(r"\(?\[0-9a-f\]\{(\d+)\}(\)\?)?", field.pattern)
        if digits:
            return f"{digits[1]} hex digits" + (", or empty" if digits[2] else "")
        return f"`{field.pattern}`" if field.pattern else f"up to {TEXT_MAX} characters"
    return ""


def _power(value: int) -> str:
    size = abs(value)
    if size < U32 or size & size + 1:
        return str(value)
    return f"2^{size.bit_length()} - 1" if value > 0 else f"-2^{size.bit_length()} + 1"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def main() -> int:
    """Write the page; 0."""
    path = firmware.root() / PAGE
    path.write_text(render(path.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {path}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
