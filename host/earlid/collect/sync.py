# SPDX-License-Identifier: MIT
"""Sync: copies a board's journal into the ledger: fetch, check the chain, commit, and only then acknowledge."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lid import record
from lid.wire_schema import BriefHello

from earlid.board.consent import old_firmware_text
from earlid.board.link import REPLY_TIMEOUT_S, BoardGone, BoardRefused, Link, Record
from earlid.errors import FAILED, LEDGER_BROKEN, UserError
from earlid.ledger.chain import count_linked
from earlid.ledger.keys import key_at
from earlid.ledger.store import Head, Ledger, now_ms

BATCH = 64  # what the protocol allows at once
WINDOW = 4 * BATCH  # how far beyond a missing record to go on fetching
COMMIT_RECORDS = 1024  # one commit costs an fsync
COMMIT_S = 2.0
STALL_LIMIT = 20  # requests without a new record before giving up on a good line
BAD_LINE_STALL_LIMIT = 500  # and while damaged lines show why
HELLO_S = 3.0
BAD_LINE_S = 30.0
HOST_CLOCK_UNC_MS = 50  # assumed uncertainty of this computer's clock against Unix time


@dataclass
class SyncResult:
    """The result of one sync. `lost` are (how many, first) that the board itself reports as gone."""

    board: str
    stored: int = 0
    known: int = 0
    head_seq: int = 0
    missing: list[tuple[int, int]] = field(default_factory=list)
    lost: list[tuple[int, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Sync:
    """Copies one board's records into a ledger, old ones and those that come live.

    Args:
        link: the board.
        ledger: open for writing.
        clock_ms: this computer's clock, Unix ms.
        on_stored: called with every record once it is durable.
    """

    def __init__(
        self,
        link: Link,
        ledger: Ledger,
        clock_ms: Callable[[], int] = now_ms,
        on_stored: Callable[[Sync, Record], None] = lambda sync, item: None,
    ) -> None:
        self._link, self._ledger, self._clock_ms, self._on_stored = link, ledger, clock_ms, on_stored
        self.hello: BriefHello = {"board": "", "boot": 0, "ms": 0, "seq": 0, "oldest": 1, "link": ""}
        self.board = ""
        self._zero_ms = 0  # Unix ms of this start's millisecond 0
        self._boot = self._seq = 0  # the newest record in the ledger
        self._head_link: bytes | None = None
        self._suspect: Record | None = None
        self._requested = 0  # the newest record requested
        self._out_of_order: dict[int, Record] = {}  # received while one before them was lost on the line

    def catch_up(self) -> SyncResult:
        """Fetch everything that the ledger lacks, and acknowledge it.

        Raises:
            BoardGone: unplugged or silent; what was committed stays, the next call goes on from there.
            UserError: the ledger cannot take records, or the board sends some that this version does not know.
        """
        self.refresh_hello()
        self._out_of_order.clear()
        result = SyncResult(self.board)
        self._find_start(result)
        pending: list[Record] = []
        committed_s = time.monotonic()
        last: Record | None = None  # newest in the ledger that is not yet acknowledged
        acked = 0
        idle, damaged = 0, self._link.bad_lines  # since the newest record
        while self._seq < self.hello["seq"]:
            fresh = self._fetch_batch(result)
            idle = 0 if fresh else idle + (self._requested <= self._seq + BATCH)
            if fresh:
                damaged = self._link.bad_lines
            if idle > (STALL_LIMIT if self._link.bad_lines == damaged else BAD_LINE_STALL_LIMIT):
                self._acknowledge(self._commit(pending, result) or last, result)
                raise UserError(self._stall_text(), FAILED)
            pending += fresh
            if len(pending) >= COMMIT_RECORDS or time.monotonic() - committed_s > COMMIT_S:
                last = self._commit(pending, result) or last
                if result.stored - acked >= COMMIT_RECORDS:
                    self._acknowledge(last, result)
                    acked = result.stored
                committed_s = time.monotonic()
        last = self._commit(pending, result) or last
        self._acknowledge(last, result)
        result.head_seq = self._seq
        self.anchor()
        return result

    def refresh_hello(self) -> BriefHello:
        """Request `hello`, and record what the board's milliseconds are by our clock."""
        began_s = time.monotonic()  # first: the time until the clock is read then counts as uncertainty
        before_ms = self._clock_ms()
        self._request_hello()
        round_trip_ms = int((time.monotonic() - began_s) * 1000)
        self.board = self.hello["board"]
        wall_ms, unc_ms = before_ms + round_trip_ms // 2, HOST_CLOCK_UNC_MS + round_trip_ms // 2
        self._zero_ms = wall_ms - self.hello["ms"]
        self._ledger.mark_seen(self.board)
        self._ledger.add_clock_point(self.board, self.hello["boot"], self.hello["ms"], wall_ms, unc_ms)
        return self.hello

    def _request_hello(self) -> None:
        """Request the whole `hello`; over a bad line, on which that never arrives whole, the brief one."""
        try:
            self.hello = self._link.request("hello", timeout_s=HELLO_S)["hi"]
        except BoardGone:
            if not self._link.bad_lines:
                raise
            self.hello = self._link.request("hello", timeout_s=BAD_LINE_S, brief=1)["hi"]

    def wall_ms(self, item: Record) -> int | None:
        """Unix ms of a record, a first estimate (the ledger has a better one later); None when unknown."""
        if item.boot == self.hello["boot"]:
            return self._zero_ms + item.ms
        return item.wall_ms or None

    def standing_text(self) -> str:
        """What this computer may not do with the board, and what to do about it; empty when it may do all."""
        if 0 < self._link.proto < 2:
            return old_firmware_text(self._link.fw, self._link.proto)
        if self._link.authority is False:
            return "not paired: the board keeps this computer's clock as a hint and frees no records; `earlid pair`"
        return ""

    def set_clock(self) -> int:
        """Set the board's clock, or give it a hint where this computer is not paired.

        Returns:
            The step in ms; 0 where the board refuses.
        """
        try:
            reply = self._link.request("clock", wall_ms=self._clock_ms(), unc_ms=HOST_CLOCK_UNC_MS)
        except BoardRefused:
            return 0
        return int(reply["step_ms"])

    def store_live(self, item: Record) -> bool:
        """Store one record that the board sent by itself; False when some before it are missing (then `catch_up`)."""
        if (item.boot, item.seq) == (self._boot, self._seq):
            return True
        if item.seq != self._seq + 1 or item.boot < self._boot:
            return item.seq <= self._seq and item.boot == self._boot
        if self._head_link is None or count_linked(self._head_link, [item.slot]) == 0:
            return False
        self._advance(item)
        result = SyncResult(self.board)
        self._acknowledge(self._commit([item], result), result)
        return True

    def _find_start(self, result: SyncResult) -> None:
        """Find where to go on: behind the ledger's newest record, or at the board's oldest when its chain is another."""
        head = self._ledger.head(self.board) or self._ledger.purged_head(self.board)
        if head is None:
            self._start_before(self.hello["oldest"])
            return
        self._boot, self._seq, self._head_link = head.boot, head.seq, head.link
        hello_seq = self.hello["seq"]
        if hello_seq >= head.seq and self._is_same_chain(head.seq, head):
            return
        if hello_seq < head.seq:
            known_link = self._ledger.link_of(self.board, *self._record_at(hello_seq)) if hello_seq else None
            if known_link is not None and known_link.hex() == self.hello["link"]:
                note = f"the board's journal ends at {hello_seq}, the ledger has records up to {head.seq}"
                self._ledger.add_note(self.board, "older", note)
                result.notes.append(note)
                return
        note = f"the board's chain was begun anew: its record {min(hello_seq, head.seq)} is not the ledger's"
        self._ledger.add_note(self.board, "restarted", note)
        result.notes.append(note)
        self._start_before(self.hello["oldest"])

    def _start_before(self, oldest: int) -> None:
        self._boot, self._seq = 0, max(0, oldest - 1)
        self._head_link = record.genesis(self.board) if oldest <= 1 else None

    def _is_same_chain(self, seq: int, head: Head) -> bool:
        if seq == self.hello["seq"]:
            return self.hello["link"] == head.link.hex()
        if seq < self.hello["oldest"]:
            return True  # the board no longer has it; the link of its next record decides
        item = self._fetch_one(seq)
        return item is None or item.link == head.link.hex()

    def _record_at(self, seq: int) -> tuple[int, int]:
        item = self._fetch_one(seq)
        return (item.boot, item.seq) if item else (0, seq)

    def _fetch_one(self, seq: int) -> Record | None:
        for _ in range(STALL_LIMIT):
            self._link.request("sync", from_=seq, max=1)
            for item in self._link.pop_records():
                if item.seq == seq:
                    return item
        return None

    def _fetch_batch(self, result: SyncResult) -> list[Record]:
        oldest = self.hello["oldest"]
        if self._seq + 1 < oldest:
            result.missing.append((self._seq + 1, oldest - 1))
            self._seq, self._head_link = oldest - 1, None
        reply = self._link.request_once("sync", from_=self._next_to_request(), max=BATCH)
        for item in self._link.pop_records():
            if item.seq <= self._seq:
                result.known += 1
            else:
                self._out_of_order.setdefault(item.seq, item)
                self.hello["seq"] = max(self.hello["seq"], item.seq)  # some are new since then
        fresh: list[Record] = []
        while self._seq + 1 in self._out_of_order:
            item = self._out_of_order.pop(self._seq + 1)
            if not self._follows(item, result):
                break
            if item.event == "lost":
                result.lost.append((item.a, item.b))
            fresh.append(item)
            self._advance(item)
        if reply and not fresh and self._requested <= self._seq + BATCH:
            # Perhaps overwritten while we read: the reply says what the board still has.
            self.hello["oldest"], self.hello["seq"] = reply["oldest"], reply["seq"]
        return fresh

    def _next_to_request(self) -> int:
        """The next record that has not come, at most WINDOW beyond the first missing one; then that one again."""
        seq = self._requested + 1
        if not self._seq < seq <= min(self._seq + WINDOW, self.hello["seq"]):
            seq = self._seq + 1
        while seq in self._out_of_order:
            seq += 1
        self._requested = seq + BATCH - 1
        return seq

    def _follows(self, item: Record, result: SyncResult) -> bool:
        """Whether to store the record now: its link fits, or it came twice the same (`verify` judges that)."""
        if self._head_link is None or count_linked(self._head_link, [item.slot]) == 1:
            return True
        if item != self._suspect:
            self._suspect = item  # perhaps damaged on the line: request it once more
            return False
        result.notes.append(f"record {item.seq} does not follow the one before it: `earlid verify` judges that")
        return True

    def _advance(self, item: Record) -> None:
        self._boot, self._seq, self._head_link = item.boot, item.seq, bytes.fromhex(item.link)

    def _stall_text(self) -> str:
        if self._link.last_bad_record:
            return (
                f"the board sends records that this Earlid does not know ({self._link.last_bad_record}): update "
                f"Earlid. Everything before record {self._seq + 1} is in the ledger."
            )
        return f"the board does not send record {self._seq + 1}. Try again; `earlid doctor` looks for the cause."

    def _commit(self, pending: list[Record], result: SyncResult) -> Record | None:
        """Make pending records durable; returns the newest."""
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
        """Acknowledge what the ledger holds, where that counts: signed, to a board of version 2.

        A line too bad for the reply is no error: the next acknowledgement covers it.
        """
        if last is None or self._link.authority is False:
            return
        timeout_s = BAD_LINE_S if self._link.bad_lines else REPLY_TIMEOUT_S
        try:
            self._link.request("ack", timeout_s=timeout_s, seq=last.seq, link=last.link)
        except BoardRefused as refused:
            result.notes.append(f"the board did not take the acknowledgement of {last.seq}: {refused}")
        except BoardGone:
            if not self._link.bad_lines:
                raise

    def anchor(self) -> None:
        """Store the ledger's head as an anchor."""
        if self._seq and self._head_link:
            self._ledger.add_anchor(self.board, Head(self._boot, self._seq, self._head_link))


def sync_once(port: str, ledger: Ledger, on_stored: Callable[[Sync, Record], None]) -> SyncResult:
    """Set the clock of the board at a port and fetch what the ledger lacks; errors as of `Sync.catch_up`."""
    with Link(port, key_at) as link:
        sync = Sync(link, ledger, on_stored=on_stored)
        sync.refresh_hello()
        sync.set_clock()
        result = sync.catch_up()
        result.notes += filter(None, [sync.standing_text()])
        return result
