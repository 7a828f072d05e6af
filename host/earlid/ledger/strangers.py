# SPDX-License-Identifier: MIT
"""What the default ledger knows of a device that says which board it is: whether its records are that board's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from earlid.door import is_stranger
from earlid.errors import UserError
from earlid.ledger.location import locate
from earlid.ledger.reader import Reader


def stranger_text(hello: Mapping[str, Any]) -> str:
    """That a device is a stranger, as a clause for people; empty when it is none as far as a ledger on this computer can tell.

    Args:
        hello: what it says of itself, checked; `board`, `seq` and `link` count.
    """
    if not {"board", "seq", "link"} <= hello.keys():
        return ""
    try:
        location = locate(None)
        if location.path is None or not location.path.is_file():
            return ""
        with Reader(location) as reader:
            rows = reader.rows(
                "SELECT b.board, r.link FROM boards b "
                "JOIN boots s ON s.board_id = b.id AND s.first_seq <= :seq AND s.last_seq >= :seq "
                "JOIN records r ON r.board_id = b.id AND r.boot = s.boot AND r.seq = :seq "
                "WHERE b.board = :board OR substr(b.board, 1, 17) = :prefix",
                board=hello["board"], prefix=f"{hello['board']}.", seq=hello["seq"],
            )  # fmt: skip
    except UserError:
        return ""
    owners = [board for board, link in rows if link == bytes.fromhex(hello["link"])]
    if hello["board"] in owners or not rows:
        return ""
    if owners:
        return f"a stranger under its name, kept apart as {owners[0]}"
    if all(is_stranger(board) for board, _ in rows):
        return ""
    return f"a stranger under its name: its record {hello['seq']} is not the one that the ledger has"
