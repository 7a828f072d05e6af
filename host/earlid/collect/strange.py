# SPDX-License-Identifier: MIT
"""A stranger: what a port sends is not the chain of the board that it claims to be; what people read of it."""

from __future__ import annotations

from earlid.board.link import Record
from earlid.errors import FAILED, UserError


class Strange(Exception):
    """What the port sends is not the chain at hand.

    Args:
        why: a clause for people.
        first: the first record that is not of the chain; None when there is none.
        unmarked: the board's key has not sealed it.
    """

    def __init__(self, why: str, first: Record | None, *, unmarked: bool = False) -> None:
        super().__init__(why)
        self.why, self.first, self.unmarked = why, first, unmarked

    def text(self, claimed: str, apart: str = "") -> str:
        """What people read.

        Args:
            claimed: the board's identifier.
            apart: that under which the records are kept; empty when there are none.
        """
        text = f"a stranger: it claims to be board {claimed}, but {self.why}. "
        if self.unmarked:
            text += "It is another device, or the board has lost its key: then run `earlid pair` again. "
        return text + (f"Its records are kept apart as {apart}." if apart else "It has no records to keep.")

    def one_too_many(self, path: str, claimed: str, count: int) -> UserError:
        """So many strangers under this identifier are kept that no more are."""
        return UserError(
            f"what is at {path} claims to be board {claimed}, and is not: {self.why}. {count} such strangers are kept apart "
            "already, and no more records are taken. Find out what is plugged in there.",
            FAILED,
        )
