# SPDX-License-Identifier: MIT
"""Pairing: a board gives out its key to this computer when the person at the board consents; saved for all that needs it."""

from __future__ import annotations

from pathlib import Path

from earlid.board.consent import request_with_consent, require_version_2
from earlid.board.link import Link
from earlid.errors import FAILED, UserError
from earlid.ledger.keys import key_path, read_keys, save_key

BATCH = 64  # what the protocol allows at once
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
        UserError: nobody consented, the board's firmware is too old, it is not there, or it is not the board that was paired.
    """
    with Link(port) as link:
        hello = link.request("hello")["hi"]
        require_version_2(hello["fw"], hello["proto"])
        known = read_keys(hello["board"])
        reply = request_with_consent(link, "pair", what=PAIRING, again="earlid pair")
        key, epoch, seq = bytes.fromhex(reply["key"]), reply.get("epoch", 0), reply.get("seq", 1)
        if known and not any(held.at(epoch) == key for held in known) and not _key_was_lost(link, known[-1].seq):
            raise UserError(
                f"not paired. Board {hello['board']} is paired with this computer already, and what is at {port} has another key "
                "without having recorded that it lost its own: another device under its name. If you know better, move "
                f"{key_path(hello['board'])} away and pair again.",
                FAILED,
            )
    return hello["board"], save_key(hello["board"], key, epoch, seq)


def _key_was_lost(link: Link, since: int) -> bool:
    """Whether the journal says that the board made another key after the record with this number."""
    hello = link.request("hello")["hi"]
    end, oldest = hello["seq"] + 1, max(since, hello["oldest"])
    while end > oldest:
        first = max(oldest, end - BATCH)
        link.request("sync", from_=first, max=BATCH)
        if any((item.event, item.reason) == ("config", "key-lost") for item in link.pop_records()):
            return True
        end = first
    return False


def paired_text(board: str, path: Path) -> str:
    """What a person reads after `pair`, of what it returned."""
    return f"Board {board} is paired. Its key is in {path}; keep a copy where this computer's disk cannot take it along."
