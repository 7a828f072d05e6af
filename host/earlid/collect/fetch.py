# SPDX-License-Identifier: MIT
"""Fetcher: asks a board for its records in order, over lines that lose, repeat and damage some."""

from __future__ import annotations

from earlid.board.link import Link, Record

BATCH = 64  # what the protocol allows at once
WINDOW = 4 * BATCH  # how far beyond a missing record to go on fetching
TRIES = 20


class Fetcher:
    """A board's journal, fetched from some record on.

    Args:
        link: the board.
        oldest, newest: numbers of the records it has, as its `hi` says; both follow what it sends.
    """

    def __init__(self, link: Link, oldest: int = 1, newest: int = 0) -> None:
        self._link = link
        self.oldest, self.newest = oldest, newest
        self._requested = 0  # the newest record requested
        self._early: dict[int, Record] = {}  # received while one before them was lost on the line

    def one(self, seq: int) -> Record | None:
        """A single record; None when it does not come."""
        for _ in range(TRIES):
            self._link.request("sync", from_=seq, max=1)
            for item in self._link.pop_records():
                if item.seq == seq:
                    return item
        return None

    def behind(self, seq: int) -> tuple[list[Record], bool]:
        """The records that follow a number, as far as they have come.

        Returns:
            Consecutive records, and whether some that came were of that number or before it.
        """
        reply = self._link.request_once("sync", from_=self._next_to_request(seq), max=BATCH)
        repeated = False
        for item in self._link.pop_records():
            if item.seq <= seq:
                repeated = True
            else:
                self._early.setdefault(item.seq, item)
                self.newest = max(self.newest, item.seq)  # some are new since then
        found: list[Record] = []
        while seq + len(found) + 1 in self._early:
            found.append(self._early.pop(seq + len(found) + 1))
        if reply and not found and self.asked(seq):
            # Perhaps overwritten while we read: the reply says what the board still has.
            self.oldest, self.newest = reply["oldest"], reply["seq"]
        return found, repeated

    def put_back(self, items: list[Record]) -> None:
        """Records of `behind` that were not looked at: they come again with the next."""
        self._early.update({item.seq: item for item in items})

    def asked(self, seq: int) -> bool:
        """Whether the first record behind a number was among those requested last."""
        return self._requested <= seq + BATCH

    def _next_to_request(self, seq: int) -> int:
        """The next record that has not come, at most WINDOW beyond the first missing one; then that one again."""
        wanted = self._requested + 1
        if not seq < wanted <= min(seq + WINDOW, self.newest):
            wanted = seq + 1
        while wanted in self._early:
            wanted += 1
        self._requested = wanted + BATCH - 1
        return wanted
