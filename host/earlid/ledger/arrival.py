# SPDX-License-Identifier: MIT
"""Judges the records of one board as they arrive, from a port or an export: which are accepted. No input or output.

A record is accepted when it links to the one before it and, of a paired board, when it bears the mark of the board's key, or is
followed by one that does: the mark is made over the link before it, which holds all that came before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from lid import record

from earlid.ledger.keys import PairedKey
from earlid.ledger.ratchet import Mark

NOT_LINKED = "does not follow the one before it"


NOT_MARKED = "does not bear the mark of the board's key"
WAITING_MAX = 1 << 17  # records: more than a board's journal holds


class Arrival:
    """A chain on its way in.

    Args:
        keys: the board's, as of `keys.read_keys`; none where it is not paired: then links have to do.
        link: of the record before the first that comes; None when it is not known: then nothing can be said of the first.
        epoch: in which the sender says that the board's key is.
        anew: the numbers began again since the pairing: which of them has to bear the mark, they do not tell.
    """

    def __init__(self, keys: Sequence[PairedKey], link: bytes | None, epoch: int = 0, *, anew: bool = False) -> None:
        self.link = link
        self.waiting = 0
        """How many of the newest records are linked, and not vouched for yet."""
        self.blind = False
        """Whether the newest waits because the link before it is not known: the next one tells."""
        self.marked = False
        """Whether some record bore the mark: whoever sends them has the key, or has what was sealed with it."""
        self._mark = Mark(keys[-1], epoch) if keys else None
        self._anew = anew

    def take(self, seq: int, slot: bytes) -> str:
        """Take the next record (64 bytes); empty when it is accepted or waits, else why it is not and nothing has changed."""
        body, link, mac = slot[: record.BODY_BYTES], slot[40:52], slot[52:60]
        if self.link is not None and hashlib.sha256(self.link + body + mac).digest()[: record.LINK_BYTES] != link:
            return NOT_LINKED
        if self._mark:
            if self.link is not None and self._mark.fits(seq, self.link, body, mac):
                self.waiting, self.marked = 0, True
            elif self.waiting == WAITING_MAX or (self.link is not None and seq >= self._mark.first and not self._anew):
                return NOT_MARKED
            else:
                self.waiting += 1
            self.blind = self.link is None
        self.link = link
        return ""

    def skip(self) -> int:
        """Some records are missing here, so the next one's link cannot be checked, and nothing will vouch for those that wait.

        Returns:
            How many those were.
        """
        waited, self.waiting, self.link = self.waiting, 0, None
        return waited
