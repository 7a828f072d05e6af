# SPDX-License-Identifier: MIT
"""Brings a board's journal into the ledger: pull, check, commit, and only then acknowledge."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lid import record

from earlid.board.link import REPLY_TIMEOUT_S, BoardGone, BoardRefused, Hello, Link, Record
from earlid.errors import FAILED, LEDGER_BROKEN, UserError
from earlid.ledger.chain import next_bad
from earlid.ledger.store import Head, Ledger, now_ms

BATCH = 64  # what the protocol allows at once
WINDOW = 4 * BATCH  # how far behind a missing record to go on asking
COMMIT_RECORDS = 1024  # one commit costs an fsync
COMMIT_S = 2.0
PATIENCE = 20  # asks without a new record before giving up on a good line
BAD_LINE_PATIENCE = 500  # and while damaged lines show why
HELLO_S = 3.0
BAD_LINE_S = 30.0
HOST_CLOCK_UNC_MS = 50  # how well this computer's clock is believed to keep Unix time


@dataclass
class SyncResult:
    """What one sync did. `lost` are (how many, first) that the board itself reports as gone."""

    board: str
    stored: int = 0
    known: int = 0
    head_seq: int = 0
    missing: list[tuple[int, int]] = field(default_factory=list)
    lost: list[tuple[int, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Sync:
    """Keeps one board's records flowing into a ledger.

    Args:
        link: the board.
        ledger: open for writing.
        clock_ms: this computer's clock, Unix ms.
        on_stored: told of every record once it is durable.
    """

    def __init__(
        self,
        link: Link,
        ledger: Ledger,
        clock_ms: Callable[[], int] = now_ms,
        on_stored: Callable[[Sync, Record], None] = lambda sync, item: None,
    ) -> None:
        self._link, self._ledger, self._clock_ms, self._on_stored = link, ledger, clock_ms, on_stored
        self.hello = Hello()
        self.board = ""
        self._zero_ms = 0  # Unix ms of this start's millisecond 0
        self._boot = self._seq = 0  # the newest record in the ledger
        self._head_link: bytes | None = None
        self._doubted: Record | None = None
        self._asked = 0  # the newest record asked for
        self._early: dict[int, Record] = {}  # those that came while one before them was lost on the line

    def catch_up(self, progress: Callable[[int, int], None] | None = None) -> SyncResult:
        """Fetch everything that the ledger lacks, and acknowledge it.

        Args:
            progress: called with (stored so far, to store in all).

        Raises:
            BoardGone: unplugged or silent; what was committed stays, the next call goes on from there.
            UserError: the ledger cannot take records, or the board sends some that this version does not know.
        """
        self.greet()
        self._early.clear()
        result = SyncResult(self.board)
        self._position(result)
        goal = max(0, int(self.hello["seq"]) - self._seq)
        pending: list[Record] = []
        committed_s = time.monotonic()
        last: Record | None = None  # newest in the ledger that the board was not told of
        acked = 0
        idle, damaged = 0, self._link.bad_lines  # since the newest record
        while self._seq < self.hello["seq"]:
            fresh = self._pull(result)
            idle = 0 if fresh else idle + (self._asked <= self._seq + BATCH)
            if fresh:
                damaged = self._link.bad_lines
            if idle > (PATIENCE if self._link.bad_lines == damaged else BAD_LINE_PATIENCE):
                self._acknowledge(self._commit(pending, result) or last, result)
                raise UserError(self._stuck(), FAILED)
            pending += fresh
            if len(pending) >= COMMIT_RECORDS or time.monotonic() - committed_s > COMMIT_S:
                last = self._commit(pending, result) or last
                if result.stored - acked >= COMMIT_RECORDS:
                    self._acknowledge(last, result)
                    acked = result.stored
                committed_s = time.monotonic()
                if progress:
                    progress(result.stored, goal)
        last = self._commit(pending, result) or last
        self._acknowledge(last, result)
        if progress and goal:
            progress(result.stored, goal)
        result.head_seq = self._seq
        self.anchor()
        return result

    def greet(self) -> Hello:
        """Ask who is there, and note what its milliseconds are by our clock."""
        began_s = time.monotonic()  # first: what passes until the clock is read then counts as doubt
        before_ms = self._clock_ms()
        self._ask_hello()
        trip_ms = int((time.monotonic() - began_s) * 1000)
        self.board = str(self.hello["board"])
        wall_ms, unc_ms = before_ms + trip_ms // 2, HOST_CLOCK_UNC_MS + trip_ms // 2
        self._zero_ms = wall_ms - int(self.hello["ms"])
        self._ledger.seen(self.board)
        self._ledger.add_clock_point(self.board, self.hello["boot"], self.hello["ms"], wall_ms, unc_ms)
        return self.hello

    def _ask_hello(self) -> None:
        """The board's whole greeting; over a bad line, where that never arrives whole, its short one."""
        try:
            self.hello = Hello(self._link.request("hello", timeout_s=HELLO_S)["hi"])
        except BoardGone:
            if not self._link.bad_lines:
                raise
            self.hello = Hello(self._link.request("hello", timeout_s=BAD_LINE_S, brief=1)["hi"])

    def wall(self, item: Record) -> int | None:
        """Unix ms of a record, as far as one can say at once (the ledger works it out better); None when not at all."""
        if item.boot == self.hello.get("boot"):
            return self._zero_ms + item.ms
        return item.wall_ms or None

    def set_clock(self) -> int:
        """Tell the board the time; returns the step in ms. A board that does not take it is no obstacle."""
        try:
            reply = self._link.request("clock", wall_ms=self._clock_ms(), unc_ms=HOST_CLOCK_UNC_MS)
        except BoardRefused:
            return 0
        return int(reply.get("step_ms", 0))

    def take(self, item: Record) -> bool:
        """Store one record that came by itself; False when some before it are missing (then `catch_up`)."""
        if (item.boot, item.seq) == (self._boot, self._seq):
            return True
        if item.seq != self._seq + 1 or item.boot < self._boot:
            return item.seq <= self._seq and item.boot == self._boot
        if self._head_link is None or next_bad(self._head_link, [item.slot]) == 0:
            return False
        self._advance(item)
        result = SyncResult(self.board)
        self._acknowledge(self._commit([item], result), result)
        return True

    def _position(self, result: SyncResult) -> None:
        """Where to go on: behind the ledger's newest record, or at the board's oldest when its chain is another."""
        head = self._ledger.head(self.board) or self._ledger.purged_head(self.board)
        if head is None:
            self._stand_before(int(self.hello["oldest"]))
            return
        self._boot, self._seq, self._head_link = head.boot, head.seq, head.link
        hello_seq = int(self.hello["seq"])
        if hello_seq >= head.seq and self._same(head.seq, head):
            return
        if hello_seq < head.seq:
            kept = self._ledger.link_of(self.board, *self._record_at(hello_seq)) if hello_seq else None
            if kept is not None and kept.hex() == self.hello["link"]:
                say = f"the board's journal ends at {hello_seq}, the ledger has records up to {head.seq}"
                self._ledger.add_note(self.board, "older", say)
                result.notes.append(say)
                return
        say = f"the board's chain was begun anew: its record {min(hello_seq, head.seq)} is not the ledger's"
        self._ledger.add_note(self.board, "restarted", say)
        result.notes.append(say)
        self._stand_before(int(self.hello["oldest"]))

    def _stand_before(self, oldest: int) -> None:
        self._boot, self._seq = 0, max(0, oldest - 1)
        self._head_link = record.genesis(self.board) if oldest <= 1 else None

    def _same(self, seq: int, head: Head) -> bool:
        if seq == self.hello["seq"]:
            return bool(self.hello["link"] == head.link.hex())
        if seq < self.hello["oldest"]:
            return True  # the board cannot be asked any more; the link of its next record will tell
        item = self._fetch_one(seq)
        return item is None or item.link == head.link.hex()

    def _record_at(self, seq: int) -> tuple[int, int]:
        item = self._fetch_one(seq)
        return (item.boot, item.seq) if item else (0, seq)

    def _fetch_one(self, seq: int) -> Record | None:
        for _ in range(PATIENCE):
            self._link.request("sync", from_=seq, max=1)
            for item in self._link.pop_records():
                if item.seq == seq:
                    return item
        return None

    def _pull(self, result: SyncResult) -> list[Record]:
        oldest = int(self.hello["oldest"])
        if self._seq + 1 < oldest:
            result.missing.append((self._seq + 1, oldest - 1))
            self._seq, self._head_link = oldest - 1, None
        reply = self._link.request_once("sync", from_=self._first_to_ask(), max=BATCH)
        for item in self._link.pop_records():
            if item.seq <= self._seq:
                result.known += 1
            else:
                self._early.setdefault(item.seq, item)
                self.hello["seq"] = max(int(self.hello["seq"]), item.seq)  # some happen meanwhile
        fresh: list[Record] = []
        while self._seq + 1 in self._early:
            item = self._early.pop(self._seq + 1)
            if not self._follows(item, result):
                break
            if item.event == "lost":
                result.lost.append((item.a, item.b))
            fresh.append(item)
            self._advance(item)
        if reply and not fresh and self._asked <= self._seq + BATCH:
            # Perhaps overwritten while we read: the board says what it still has.
            self.hello |= {name: reply[name] for name in ("oldest", "seq")}
        return fresh

    def _first_to_ask(self) -> int:
        """The next that has not come, a bounded way behind the first missing one; then that one again."""
        seq = self._asked + 1
        if not self._seq < seq <= min(self._seq + WINDOW, int(self.hello["seq"])):
            seq = self._seq + 1
        while seq in self._early:
            seq += 1
        self._asked = seq + BATCH - 1
        return seq

    def _follows(self, item: Record, result: SyncResult) -> bool:
        """Whether to keep the record now: its link fits, or it came twice the same (then `verify` will say)."""
        if self._head_link is None or next_bad(self._head_link, [item.slot]) == 1:
            return True
        if item != self._doubted:
            self._doubted = item  # perhaps the line: ask once more
            return False
        result.notes.append(f"record {item.seq} does not follow the one before it: `earlid verify` judges that")
        return True

    def _advance(self, item: Record) -> None:
        self._boot, self._seq, self._head_link = item.boot, item.seq, bytes.fromhex(item.link)

    def _stuck(self) -> str:
        if self._link.last_bad_record:
            return (
                f"the board sends records that this Earlid does not know ({self._link.last_bad_record}): update "
                f"Earlid. Everything before record {self._seq + 1} is in the ledger."
            )
        return f"the board does not send record {self._seq + 1}. Try again; `earlid doctor` looks for the cause."

    def _commit(self, pending: list[Record], result: SyncResult) -> Record | None:
        """Make what is pending durable; the newest of it."""
        if not pending:
            return None
        added = self._ledger.add(self.board, [item.slot for item in pending], self._clock_ms())
        result.stored += added.new
        result.known += added.known
        stored = pending[:]
        pending.clear()
        if added.conflicts:
            boot, seq = added.conflicts[0]
            raise UserError(
                f"board {self.board} sends another record {seq} (start {boot}) than the ledger has. Its flash was "
                "erased under its old name, or one of the two was altered: `earlid verify` judges the ledger; collect "
                "from the board into a new one with --ledger NEW.sqlite.",
                LEDGER_BROKEN,
            )
        for item in stored:
            self._on_stored(self, item)
        return stored[-1]

    def _acknowledge(self, last: Record | None, result: SyncResult) -> None:
        """Tell the board what the ledger holds. A line too bad for the answer is no obstacle: the next time tells it, too."""
        if last is None:
            return
        patience_s = BAD_LINE_S if self._link.bad_lines else REPLY_TIMEOUT_S
        try:
            self._link.request("ack", timeout_s=patience_s, seq=last.seq, link=last.link)
        except BoardRefused as refused:
            result.notes.append(f"the board did not take the acknowledgement of {last.seq}: {refused}")
        except BoardGone:
            if not self._link.bad_lines:
                raise

    def anchor(self) -> None:
        """Keep the ledger's head as an anchor."""
        if self._seq and self._head_link:
            self._ledger.add_anchor(self.board, Head(self._boot, self._seq, self._head_link))
