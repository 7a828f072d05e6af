# SPDX-License-Identifier: MIT
"""Change feed of a ledger: polls it for changes by any program and numbers them for the live page."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from earlid.ledger.boards import pick_boards
from earlid.ledger.boot_clocks import LedgerClocks
from earlid.ledger.location import Location
from earlid.ledger.queries import LedgerState, first_ms_after, is_labelable, ledger_state
from earlid.ledger.reader import Reader
from earlid.page import page_data
from earlid.page.pack import Columns, pack

MAX_CHANGES = 256
RECENT_MS = 8 * 86_400_000
FEW_RECORDS = 20_000  # as many are as quickly packed as asked for twice
MAX_NEW_RECORDS = 2000  # more at once are fetched as a whole
Change = dict[str, Any]


class Feed:
    """A ledger as the page sees it: `block` is all of it, `changes` what came since, numbered by `revision`.

    Args:
        location: the ledger.
        names: boards, as `pick_boards` takes them; all when empty.
        from_ms: Unix ms, included; None for all.
        to_ms: Unix ms, excluded; None for all, also what is yet to come.
        now_ms: the clock, Unix ms.

    Threads may share it; calls wait for each other.

    Raises:
        UserError: when there is no ledger, or more in it than a page can hold.
    """

    def __init__(
        self, location: Location, names: Sequence[str], from_ms: int | None, to_ms: int | None, now_ms: Callable[[], int]
    ) -> None:
        self.location = location
        self.revision = 0
        self._names, self._from_ms, self._to_ms, self._now_ms = list(names), from_ms, to_ms, now_ms
        self._lock = threading.Lock()
        self._changes: list[tuple[int, Change]] = []
        self._tables: dict[str, Columns] | None = None
        self._block: tuple[int, bytes] | None = None
        self._verdicts: tuple[int, list[dict[str, Any]]] | None = None
        self._reader = Reader(location)
        with self._reader.snapshot():
            self._state = self._read_state()
            page_data.check_size(self._reader, self._state.boards, from_ms, to_ms)
        if names:  # a name may change while we look
            self._names = [board.identifier for board in self._state.boards]

    def close(self) -> None:
        """Close the ledger."""
        with self._lock:
            self._reader.close()

    def block(self) -> bytes:
        """Everything, packed for the page, as of the revision in its header."""
        with self._lock, self._reader.snapshot():
            self._poll()
            if self._block and self._block[0] == self.revision:
                return self._block[1]
            boards = self._state.boards
            if self._tables is None:
                page_data.check_size(self._reader, boards, self._from_ms, self._to_ms)
                self._tables = page_data.tables(page_data.load_rows(self._reader, boards, self._from_ms, self._to_ms))
            packed = self._pack(self._tables, whole=True)
            self._block = self.revision, packed
            return packed

    def recent(self) -> bytes:
        """The last days alone, where all of it would take long: something to look at until `block` is there."""
        with self._lock, self._reader.snapshot():
            self._poll()
            boards = self._state.boards
            if self._tables is None and sum(boot[2] for boot in self._state.boots.values()) > FEW_RECORDS:
                clocks = LedgerClocks(self._reader, boards)
                ends = [clock.wall(last)[0] for board in boards for _, _, last, clock in clocks.ranges(board.id, None, None)]
                from_ms = max(min(max(ends), self._to_ms or max(ends)) - RECENT_MS, self._from_ms or 0)
                rows = page_data.load_rows(self._reader, boards, from_ms, self._to_ms)
                return self._pack(page_data.tables(rows), whole=False)
        return self.block()

    def _pack(self, tables: dict[str, Columns], *, whole: bool) -> bytes:
        header = page_data.header(self._reader, self._state.boards, self._now_ms(), self._from_ms, self._to_ms)
        return pack(header | {"live": True, "whole": whole, "revision": self.revision}, tables)

    def verdicts(self) -> list[dict[str, Any]]:
        """The verdicts on the boards' chains now, cached by revision; slow, so it holds no lock and has its own reader."""
        with self._lock:
            revision, boards = self.revision, self._state.boards
            if self._verdicts and self._verdicts[0] == revision:
                return self._verdicts[1]
        with Reader(self.location) as reader:
            verdicts = page_data.verdicts(reader, boards)
        self._verdicts = revision, verdicts
        return verdicts

    def poll(self) -> int:
        """Look for changes; returns the revision."""
        with self._lock, self._reader.snapshot():
            self._poll()
            return self.revision

    def changes_since(self, revision: int) -> list[tuple[int, Change]]:
        """Numbered changes after a revision; one that says `reload` where they are not kept."""
        with self._lock:
            if revision == self.revision:
                return []
            retained = [item for item in self._changes if item[0] > revision]
            if revision > self.revision or len(retained) != self.revision - revision:
                return [(self.revision, {"reload": True})]
            return retained

    def can_label(self, board: str, boot: int, seq: int) -> bool:
        """Whether this is an opening or a near miss of the boards shown."""
        with self._lock:
            known = next((item for item in self._state.boards if item.identifier == board), None)
            return known is not None and is_labelable(self._reader, known, boot, seq)

    def _read_state(self) -> LedgerState:
        return ledger_state(self._reader, pick_boards(self._reader, self._names))

    def _poll(self) -> None:
        before, now = self._state, self._read_state()
        if now == before:
            return
        self._state = now
        change = None if _times_changed(before, now) else self._new_records(before, now)
        if change is None:
            self._tables = None
            self._publish({"reload": True})
            return
        if change:
            if change.keys() != {"boards"}:
                self._tables = None
            self._publish(change)
        relabelled = [key for key in before.labels.keys() | now.labels.keys() if before.labels.get(key) != now.labels.get(key)]
        if relabelled:
            labels = [[*key, {True: 1, False: 0, None: page_data.UNKNOWN}[now.labels.get(key)]] for key in sorted(relabelled)]
            self._patch_labels(labels)
            self._publish({"labels": labels})

    def _publish(self, change: Change) -> None:
        self.revision += 1
        self._changes = [*self._changes[1 - MAX_CHANGES :], (self.revision, change)]

    def _new_records(self, before: LedgerState, now: LedgerState) -> Change | None:
        """New records of starts whose clocks stand; None when there are too many to tell one by one."""
        if before.boots == now.boots:
            return {"boards": page_data.board_values(self._reader, now.boards)} if before.boards != now.boards else {}
        if sum(now.boots[key][2] - before.boots.get(key, (0, 0, 0))[2] for key in now.boots) > MAX_NEW_RECORDS:
            return None
        clocks = LedgerClocks(self._reader, now.boards)
        first_new_ms = []
        for (board, boot), (_, last, _) in now.boots.items():
            old_last = before.boots[board, boot][1]
            if last > old_last:
                first_ms = first_ms_after(self._reader, board, boot, old_last)
                first_new_ms.append(clocks.wall(board, boot, first_ms)[0] - 1)
        from_ms = max(min(first_new_ms), self._from_ms or 0)
        if self._to_ms is not None and from_ms >= self._to_ms:
            return {}
        rows = page_data.load_rows(self._reader, now.boards, from_ms, self._to_ms)
        return {"boards": page_data.board_values(self._reader, now.boards), "openings": rows.openings, "points": rows.points}

    def _patch_labels(self, labels: list[list[Any]]) -> None:
        """Put labels into the tables at hand: a page loaded again need not wait for the whole ledger."""
        if self._tables is None:
            return
        number = {board.identifier: index for index, board in enumerate(self._state.boards)}
        for board, boot, seq, word in labels:
            for table in self._tables.values():
                at = -1
                with suppress(ValueError):  # no further record of this number
                    while True:
                        at = table["seq"].index(seq, at + 1)
                        if (table["board"][at], table["boot"][at]) == (number[board], boot):
                            table["label"][at] = word


def _times_changed(before: LedgerState, now: LedgerState) -> bool:
    """Whether more has changed than records at the ends of starts: then times may differ everywhere."""
    if [board[:3] for board in before.boards] != [board[:3] for board in now.boards]:
        return True
    if (before.clocks, before.purges) != (now.clocks, now.purges) or before.boots.keys() != now.boots.keys():
        return True
    for key, (first, last, count) in now.boots.items():
        old_first, old_last, old_count = before.boots[key]
        appended = first == old_first and last - old_last == count - old_count >= 0
        if not appended or (last > old_last and key not in now.clocks):
            return True
    return False
