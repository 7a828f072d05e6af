# SPDX-License-Identifier: MIT
"""What a witness signs, and what it refuses: nothing but extensions of what it signed before. No input or output.

A request and its answer are JSON objects; bytes are base64, a link is 24 hex digits:

    {"earlid": "witness", "board", "seq", "link", "after": a statement of this witness or null, "sealed": records between them}
    200 {"key": 64 hex digits, "statement"}                      409 {"key", "statement": the newest one, "say"}
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, NamedTuple

from earlid.door import is_identifier, is_stranger
from earlid.ledger.acts import hex_bytes
from earlid.ledger.installation import Installation
from earlid.witness import statement
from earlid.witness.statement import Statement

REQUEST_MAX_BYTES = 4 << 20
RECORDS_AT_ONCE = 20_000
NUMBER_MAX = 0xFFFF_FFFF


class Asked(NamedTuple):
    """A request: to vouch for record `seq` of a board, which follows what the witness said `after` by the `sealed` records."""

    board: str
    seq: int
    link: bytes
    after: Statement | None
    sealed: bytes


class Answer(NamedTuple):
    """Status and body; `fresh`: the statement that is to be kept before it goes out."""

    status: int
    body: dict[str, Any]
    fresh: Statement | None = None


def read_request(value: Any) -> Asked:
    """A request of a JSON value; ValueError when it is none."""
    if not isinstance(value, dict) or value.get("earlid") != "witness":
        raise ValueError("no request to a witness")
    board, seq, link, after = (value.get(name) for name in ("board", "seq", "link", "after"))
    if not isinstance(board, str) or not is_identifier(board) or is_stranger(board):
        raise ValueError("no board's identifier")
    if type(seq) is not int or not 1 <= seq <= NUMBER_MAX or not isinstance(link, str) or len(link) != 24:
        raise ValueError("no record's number and link")
    read = None if after is None else statement.read(unpacked(after))
    return Asked(board, seq, hex_bytes(link), read, unpacked(value.get("sealed", "")))


def unpacked(text: Any) -> bytes:
    """Bytes of base64; ValueError when it is none."""
    if not isinstance(text, str):
        raise ValueError("a text in base64 was expected")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("no base64") from error


def answer(asked: Asked, newest: Statement | None, key: Installation, now_ms: int, room: bool) -> Answer:
    """What the witness answers.

    Args:
        newest: what it said last of that board; None where it knows nothing.
        now_ms: its clock.
        room: whether it takes further boards.
    """
    shown = asked.after
    if shown and shown.board == asked.board and shown.holds(key.public_key) and (newest is None or shown.seq > newest.seq):
        newest = shown  # its own signature: its memory was lost, or put back from a backup
    if newest is None:
        if shown or not room:
            say = "that statement is not this witness's" if shown else "this witness takes no further boards"
            return Answer(403, {"key": key.public_key.hex(), "say": say})
        return _signed(asked, key, now_ms)
    known = {"key": key.public_key.hex(), "statement": _packed(newest)}
    if shown is None or shown[:3] != newest[:3]:
        return Answer(409, known | {"say": "it was not asked to extend the newest that it signed"})
    try:
        reached = statement.follow(newest.seq, newest.link, asked.sealed)
    except ValueError as error:
        return Answer(409, known | {"say": str(error)})
    if reached != (asked.seq, asked.link):
        return Answer(409, known | {"say": "these records do not lead from the one to the other"})
    return _signed(asked, key, max(now_ms, newest.said_ms + 1))


def _signed(asked: Asked, key: Installation, now_ms: int) -> Answer:
    fresh = statement.sign(key, asked.board, asked.seq, asked.link, now_ms)
    return Answer(200, {"key": key.public_key.hex(), "statement": _packed(fresh)}, fresh)


def _packed(said: Statement) -> str:
    return base64.b64encode(said.data).decode()
