# SPDX-License-Identifier: MIT
"""Pairing: a board gives out its key to this computer when the person at the board consents; saved for all that needs it."""

from __future__ import annotations

from pathlib import Path

from earlid.board.consent import request_with_consent, require_version_2
from earlid.board.link import Link
from earlid.ledger.keys import save_key

PAIRING = (
    "The board is to give this computer its key. With it `earlid watch` sets the\n"
    "clock and frees read records, and `earlid verify` checks every record's seal."
)


def pair(port: str) -> tuple[str, Path]:
    """Request the key, wait for the consent of the person at the board, and save it.

    Args:
        port: the board's serial port.

    Returns:
        The board's identifier, and the file of the key.

    Raises:
        UserError: nobody consented, the board's firmware is too old, or it is not there.
    """
    with Link(port) as link:
        hello = link.request("hello")["hi"]
        require_version_2(hello["fw"], hello["proto"])
        reply = request_with_consent(link, "pair", what=PAIRING, again="earlid pair")
    return hello["board"], save_key(hello["board"], bytes.fromhex(reply["key"]), reply.get("epoch", 0), reply.get("seq", 1))


def paired_text(board: str, path: Path) -> str:
    """What a person reads after `pair`, of what it returned."""
    return f"Board {board} is paired. Its key is in {path}; keep a copy where this computer's disk cannot take it along."
