# SPDX-License-Identifier: MIT
"""What a witness signs: that a board's record N had this link. Format only; no input or output.

    "earlid witness 1\\n" | board (16 ASCII, shorter ones filled with zero bytes) | number (u32) | link (12) | Unix ms (u64)

little-endian, and behind it the Ed25519 signature (64) of the witness's installation key: 121 bytes.
"""

from __future__ import annotations

import hashlib
import struct
from typing import NamedTuple

from earlid.door import is_identifier
from earlid.ledger.installation import Installation, verify_message

DOMAIN = b"earlid witness 1\n"
SEALED_BYTES = 48  # body and mac of a record: what its link is made over, beside the link before
BODY_BYTES = 40
_FIELDS = struct.Struct("<16sI12sQ")
STATEMENT_BYTES = len(DOMAIN) + _FIELDS.size + 64


class Statement(NamedTuple):
    """A statement of a witness; whether its signature holds, `holds` says."""

    board: str
    seq: int
    link: bytes
    said_ms: int
    data: bytes  # all 121 bytes

    def holds(self, public_key: bytes) -> bool:
        """Whether this key (32 bytes) signed it."""
        return verify_message(public_key, self.data[:-64], self.data[-64:])


def sign(key: Installation, board: str, seq: int, link: bytes, said_ms: int) -> Statement:
    """A statement of this installation."""
    message = DOMAIN + _FIELDS.pack(board.encode("ascii"), seq, link, said_ms)
    return Statement(board, seq, link, said_ms, message + key.sign_message(message))


def read(data: bytes) -> Statement:
    """The statement that bytes are; ValueError when they are none."""
    if len(data) != STATEMENT_BYTES or not data.startswith(DOMAIN):
        raise ValueError("no statement of a witness")
    name, seq, link, said_ms = _FIELDS.unpack_from(data, len(DOMAIN))
    board = name.rstrip(b"\0").decode("ascii", "replace")
    if not is_identifier(board) or said_ms >= 1 << 53:
        raise ValueError("no board's identifier, or no time")
    return Statement(board, seq, link, said_ms, data)


def follow(seq: int, link: bytes, sealed: bytes) -> tuple[int, bytes]:
    """Number and link of the last of some records that follow record `seq`, each linked to the one before.

    Args:
        sealed: 48 bytes a record, as the board sealed it.

    Raises:
        ValueError: they are none, or a number is left out.
    """
    if len(sealed) % SEALED_BYTES:
        raise ValueError("half a record")
    for at in range(0, len(sealed), SEALED_BYTES):
        seq += 1
        if int.from_bytes(sealed[at : at + 4], "little") != seq:
            raise ValueError(f"record {seq} is not where it should be")
        link = hashlib.sha256(link + sealed[at : at + SEALED_BYTES]).digest()[:12]
    return seq, link
