# SPDX-License-Identifier: MIT
"""Acts: what this computer adds to a ledger, each numbered, linked to the one before and signed. Format only; no input or output.

An act's body is canonical JSON. Its link is made over the link before it, its place and the hash of its body, so that a body
can be taken out (by a purge that says so) while the chain still holds:

    body_hash = SHA-256(body)
    link      = SHA-256(link before (32; zeros for act 1) | installation (16 ASCII) | number, place (u64 LE each)
                        | body_hash (32) | kind (ASCII))
    signature = Ed25519("earlid act 1\\n" | link)

`number` counts an installation's acts in this ledger, `place` those of every installation: the order in which they happened.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

DOMAIN = b"earlid act 1\n"
NO_LINK = bytes(32)
# begin: an installation's first act, with its public key. took: records stored. clock: when a start was, by this computer.
# adopt: rows that stood there before anyone signed. import: rows and records of an export. restored: the acts between are gone.
# witness: a head that somebody else saw, with that one's statement (`earlid.witness`).
KINDS = ("begin", "took", "clock", "label", "name", "retention", "note", "purge", "import", "adopt", "restored", "witness")
_PLACES = struct.Struct("<QQ")


class Act(NamedTuple):
    """A row of the table; `body` is None once a purge took it out."""

    installation: str
    number: int
    place: int
    kind: str
    body: str | None
    body_hash: bytes
    link: bytes
    signature: bytes

    def fields(self) -> dict[str, Any]:
        """What the body says; empty when it was taken out. ValueError when it is no object."""
        value = json.loads(self.body, parse_float=no_number, parse_constant=no_number) if self.body else {}
        if not isinstance(value, dict):
            raise ValueError("an act's body is an object")
        return value


COLUMNS = Act._fields


def canonical(body: Mapping[str, Any]) -> str:
    """The one text of a body: sorted keys, no spaces, ASCII; bytes as hex digits."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), default=_in_hex)


def _in_hex(value: object) -> str:
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    raise TypeError(f"{type(value).__name__} has no place in an act")


def no_number(word: str) -> NoReturn:
    """For `json.loads`: a number with point or exponent, NaN and their like, which not all readers take for the same number."""
    raise ValueError(f"{word} is no whole number")


def hex_bytes(text: str) -> bytes:
    """Bytes of hex digits; ValueError where anything else is among them, as white space, which `bytes.fromhex` leaves out."""
    data = bytes.fromhex(text)
    if len(text) != 2 * len(data):
        raise ValueError("hex digits have white space between them")
    return data


def installation_of(public_key: bytes) -> str:
    """An installation's name: 16 hex digits of the SHA-256 of its public key (32 bytes)."""
    return hashlib.sha256(public_key).hexdigest()[:16]


def hash_of(body: str) -> bytes:
    """The hash of a body (32 bytes)."""
    return hashlib.sha256(body.encode("ascii")).digest()


def link_of(before: bytes, installation: str, number: int, place: int, kind: str, body_hash: bytes) -> bytes:
    """The link of an act (32 bytes), over the link before it."""
    fixed = before + installation.encode("ascii") + _PLACES.pack(number, place) + body_hash
    return hashlib.sha256(fixed + kind.encode("ascii")).digest()
