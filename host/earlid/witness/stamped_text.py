# SPDX-License-Identifier: MIT
"""The text of the boards' heads that a time stamp is made over. No input or output.

    earlid heads 1
    <SHA-256 in hex of one board's line "BOARD BOOT NUMBER LINK\\n">
    ...

sorted, each line with its newline. An act keeps the digests, so that it shows of other boards no more than how many there are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

TITLE = "earlid heads 1\n"
HEADS_MAX = 10_000
_DIGEST = re.compile(r"[0-9a-f]{64}")


def digest_of(board: str, boot: int, seq: int, link: bytes) -> str:
    """The digest of one board's line (64 hex digits)."""
    return hashlib.sha256(f"{board} {boot} {seq} {link.hex()}\n".encode("ascii")).hexdigest()


def text_of(digests: Iterable[str]) -> bytes:
    """The text of digests; ValueError when one is none."""
    listed = sorted(digests)
    if not 0 < len(listed) <= HEADS_MAX or not all(isinstance(one, str) and _DIGEST.fullmatch(one) for one in listed):
        raise ValueError("no list of heads")
    return (TITLE + "".join(f"{digest}\n" for digest in listed)).encode("ascii")
