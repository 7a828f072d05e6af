# SPDX-License-Identifier: MIT
"""Sync: copies a board's journal into the ledger: fetch, judge, commit, and only then acknowledge.

Nothing that a port says is believed before what it sends has been judged (`ledger.arrival`): then only is the board seen, its
clock compared, its head an anchor, a record acknowledged and its clock set. What sends other records than those of the board
that it claims to be is a stranger: its records are kept apart, under an identifier of their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lid import record
from lid.wire_schema import BriefHello

from earlid.board.consent import old_firmware_text
from earlid.board.link import REPLY_TIMEOUT_S, BoardGone, BoardRefused, Link, Record
from earlid.collect.fetch import Fetcher
from earlid.collect.strange import Strange
from earlid.door import is_stranger
from earlid.errors import FAILED, LEDGER_BROKEN, UserError
from earlid.host_clock import observe
from earlid.ledger.arrival import NOT_MARKED, Arrival
from earlid.ledger.keys import PairedKey, key_at, keys_or_fault
from earlid.ledger.store import Head, Ledger, now_ms
from earlid.ledger.wall_clock import is_time

COMMIT_RECORDS = 1024  # one commit costs an fsync
COMMIT_S = 2.0
STALL_LIMIT = 20  # requests without a new record before giving up on a good line
BAD_LINE_STALL_LIMIT = 500  # and while damaged lines show why
HELLO_S = 3.0
BAD_LINE_S = 30.0
STRANGERS_MAX = 8  # of one identifier, whose records are kept
STRANGER_RECORDS_MAX = 1 << 17  # more than a board's journal holds
SEQ_MAX = 1 << 32


@dataclass
class SyncResult:
    """The result of one sync.

    `lost` are (how many, first) that the board itself reports as gone; `breaks` say why what the board sends does not go on
    from what the ledger has.
    """

    board: str
    stored: int = 0
    known: int = 0
    head_seq: int = 0
    missing: list[tuple[int, int]] = field(default_factory=list)
    lost: list[tuple[int, int]] = field(default_factory=list)
    breaks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    hello: Mapping[str, Any] = field(default_factory=dict)


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
        """Under which identifier records are kept: the board's, or a stranger's."""
        self.judged = False
        """Whether what the port sends was accepted, up to the head that it claims."""
        self._observed: tuple[int, int, int, int] = (0, 0, 0, 0)  # of the newest hello: boot, ms, Unix ms, its uncertainty
        self._synced = False  # this computer's clock, meanwhile
        self._zero_ms = 0  # Unix ms of this start's millisecond 0
        self._keys: tuple[PairedKey, ...] = ()
        self._key_fault = ""
        self._told = ("", "")  # the kind of the newest note, and of which board: said once, not with every record
        self._last: Record | None = None  # newest in the ledger that is not yet acknowledged
        self._proved = False  # over this link a record came that only the board's key can have made, and that was new
        self._boot = self._seq = 0  # the newest record that was accepted
        self._arrival = Arrival((), None)
        self._suspect: Record | None = None
        self._fetcher = Fetcher(link)
        self._last_seq = SEQ_MAX  # that is taken

    def catch_up(self) -> SyncResult:
        """Fetch everything that the ledger lacks, judge it, and acknowledge it.

        Raises:
            BoardGone: unplugged or silent; what was committed stays, the next call goes on from there.
            UserError: the ledger cannot take records, or the board sends some that this version does not know.
        """
        self.judged = False
        self._request_hello()
        result = SyncResult(self.hello["board"])
        self._keys, self._key_fault = keys_or_fault(self.hello["board"])
        strange: Strange | None = None
        while True:
            self._fetcher = Fetcher(self._link, self.hello["oldest"], self.hello["seq"])
            try:
                whole = self._find_apart(strange, result) if strange else self._find_start(result)
                if whole:
                    self._fetch(result)
                break
            except Strange as found:
                strange = found
                if found.unmarked:
                    self._keys = ()  # of the board that it is not
        result.board, result.head_seq = self.board, self._seq - self._arrival.waiting
        whole = whole and self._seq > 0 and not self._arrival.waiting
        self.judged = whole and (not is_stranger(self.board) or self._arrival.marked)
        self._keep_observation()
        self._acknowledge(result)
        self.anchor()
        result.hello = self.hello
        return result

    def _fetch(self, result: SyncResult) -> None:
        """Fetch, judge and commit up to the board's head."""
        pending: list[Record] = []
        committed_s = time.monotonic()
        idle, damaged = 0, self._link.bad_lines  # since the newest record
        try:
            while self._seq < self._fetcher.newest:
                fresh = self._fetch_batch(pending, result)
                idle = 0 if fresh else idle + self._fetcher.asked(self._seq)
                if fresh:
                    damaged = self._link.bad_lines
                if idle > (STALL_LIMIT if self._link.bad_lines == damaged else BAD_LINE_STALL_LIMIT):
                    raise UserError(self._stall_text(), FAILED)
                if len(pending) >= COMMIT_RECORDS or time.monotonic() - committed_s > COMMIT_S:
                    self._commit(pending, result)
                    committed_s = time.monotonic()
        finally:  # what was accepted stays, whatever comes behind it
            self._commit(pending, result)
        if pending and not self._arrival.blind:
            first = pending[0]
            raise Strange(f"no record from {first.seq} on bears the mark of the board's key", first, unmarked=True)

    def refresh_hello(self) -> BriefHello:
        """Request `hello`; from what was judged before, also record what the board's milliseconds are by our clock."""
        before = self.hello
        self._request_hello()
        if self.judged:
            same = self.hello["board"] == before["board"] and self.hello["seq"] >= self._seq
            if same and (self.hello["seq"] > self._seq or self.hello["link"] == (self._arrival.link or b"").hex()):
                self._keep_observation()
            else:
                self.judged = False  # another board, or another journal: `catch_up` judges it
        return self.hello

    def _request_hello(self) -> None:
        """Request the whole `hello`; over a bad line, on which that never arrives whole, the brief one."""
        before = observe(self._clock_ms)
        try:
            self.hello = self._link.request("hello", timeout_s=HELLO_S)["hi"]
        except BoardGone:
            if not self._link.bad_lines:
                raise
            self.hello = self._link.request("hello", timeout_s=BAD_LINE_S, brief=1)["hi"]
        after = observe(self._clock_ms)
        round_trip_ms = after.counter_ms - before.counter_ms
        self.board = self.board if self.judged else self.hello["board"]
        wall_ms = before.wall_ms + round_trip_ms // 2
        unc_ms = max(before.unc_ms, after.unc_ms) + round_trip_ms // 2 + abs(after.step_since(before))
        self._observed = (self.hello["boot"], self.hello["ms"], wall_ms, unc_ms)
        self._synced = bool(before.synced and after.synced)
        self._zero_ms = wall_ms - self.hello["ms"]

    def mark_seen(self) -> None:
        """Remember that the board is there now."""
        if self.judged:
            self._ledger.mark_seen(self.board)

    def _keep_observation(self) -> None:
        """Remember that the board is there, and what its clock said by ours, where that can be believed.

        Of a paired board once it has shown over this link that it has its key: whoever knows the head can quote it.
        """
        self.mark_seen()
        if not self.judged:
            return
        boot, ms, wall_ms, unc_ms = self._observed
        if boot == self._boot and (self._proved or not self._keys):
            self._ledger.add_clock_point(self.board, boot, ms, wall_ms, unc_ms, synced=self._synced)

    def wall_ms(self, item: Record) -> int | None:
        """Unix ms of a record, a first estimate (the ledger has a better one later); None when unknown."""
        if item.boot == self.hello["boot"]:
            wall_ms = self._zero_ms + item.ms
            return wall_ms if is_time(wall_ms) else None
        return item.wall_ms if is_time(item.wall_ms) else None

    def standing_text(self) -> str:
        """What this computer may not do with the board, and what to do about it; empty when it may do all."""
        if 0 < self._link.proto < 2:
            return old_firmware_text(self._link.fw, self._link.proto)
        if self._key_fault:
            return f"{self._key_fault} Until then its records are accepted by their links alone."
        if self._link.authority is False:
            return "not paired: the board keeps this computer's clock as a hint and frees no records; `earlid pair`"
        return ""

    def set_clock(self) -> int:
        """Set the clock of a board whose records were accepted, or give it a hint where this computer is not paired.

        Returns:
            The step in ms; 0 where the board refuses.
        """
        if not self.judged:
            return 0
        try:
            now = observe(self._clock_ms)
            reply = self._link.request("clock", wall_ms=now.wall_ms, unc_ms=now.unc_ms)
        except BoardRefused:
            return 0
        return int(reply["step_ms"])

    def store_live(self, item: Record) -> bool:
        """Store one record that the board sent by itself; False when it has to be judged with others (then `catch_up`)."""
        if not self.judged:
            return False
        if (item.boot, item.seq) == (self._boot, self._seq):
            return True
        if item.seq != self._seq + 1 or item.boot < self._boot:
            return item.seq <= self._seq and item.boot == self._boot
        if self._arrival.link is None or self._arrival.take(item.seq, item.slot) or self._arrival.waiting:
            self.judged = False
            return False
        self._proved = self._proved or self._arrival.marked
        self._boot, self._seq = item.boot, item.seq
        result = SyncResult(self.board)
        self._commit([item], result)
        self._acknowledge(result)
        return True

    def _find_start(self, result: SyncResult) -> bool:
        """Find where to go on in the board's own chain.

        Returns:
            Whether the board's journal reaches what the ledger has.

        Raises:
            Strange: what the port has is another chain.
        """
        self.board, self._last_seq = self.hello["board"], SEQ_MAX
        head = self._ledger.newest(self.board)
        if head is None:
            self._start_before(self.hello["oldest"])
            return True
        self._boot, self._seq = head.boot, head.seq
        self._arrival = self._arrival_behind(head.link)
        hello_seq = self.hello["seq"]
        if hello_seq >= head.seq and self._is_same_chain(head):
            return True
        if hello_seq < head.seq:
            known_link = self._ledger.link_of(self.board, *self._record_at(hello_seq)) if hello_seq else None
            if known_link is not None and known_link.hex() == self.hello["link"]:
                note = f"the board's journal ends at {hello_seq}, the ledger has records up to {head.seq}"
                self._tell("older", note, result)
                return False
        first = self._fetcher.one(self.hello["oldest"]) if hello_seq else None
        if not self._keys or first is None or first.boot <= head.boot:
            raise Strange(f"its record {min(hello_seq, head.seq)} is not the one that the ledger has", first)
        self._start_before(self.hello["oldest"], anew=True)
        self._fetch(result)  # nothing is kept of it unless it bears the board's mark
        if not self._arrival.waiting:
            self._tell("restarted", f"the board's chain was begun anew behind record {head.seq}: its key has sealed it", result)
        return True

    def _find_apart(self, strange: Strange, result: SyncResult) -> bool:
        """Find where to go on with the records of a stranger, or begin to keep them; returns whether there are any."""
        claimed, first = self.hello["board"], strange.first
        self.board = claimed
        result.missing, result.lost = [], []
        if first is None:
            self._tell("stranger", strange.text(claimed), result)
            return False
        self._last_seq = first.seq + STRANGER_RECORDS_MAX - 1
        newest_seq = first.seq - strange.unmarked
        known = {name: head for name in self._ledger.strangers_of(claimed) if (head := self._ledger.newest(name))}
        for name, head in sorted(known.items(), key=lambda item: -item[1].seq):
            if newest_seq <= head.seq <= self.hello["seq"] and self._is_same_chain(head):
                self.board, self._boot, self._seq = name, head.boot, head.seq
                self._arrival = self._arrival_behind(head.link)
                self._tell("stranger", strange.text(claimed, self.board), result)
                return True
        self.board = f"{claimed}.{first.link[:6]}"
        if len(known) >= STRANGERS_MAX or self.board in known:
            raise strange.one_too_many(self._link.path, claimed, len(known))
        self._boot, self._seq = first.boot, first.seq - 1
        self._arrival = self._arrival_behind(None)
        self._tell("stranger", strange.text(claimed, self.board), result)
        return True

    def _tell(self, kind: str, note: str, result: SyncResult) -> None:
        if self._told != (kind, self.board):
            self._ledger.add_note(self.hello["board"], kind, note)
            result.breaks.append(note)
        self._told = (kind, self.board)

    def _start_before(self, oldest: int, *, anew: bool = False) -> None:
        self._boot, self._seq = 0, max(0, oldest - 1)
        self._arrival = self._arrival_behind(record.genesis(self.hello["board"]) if oldest <= 1 else None, anew=anew)

    def _arrival_behind(self, link: bytes | None, *, anew: bool = False) -> Arrival:
        return Arrival(self._keys, link, self.hello.get("epoch", 0), anew=anew)

    def _is_same_chain(self, head: Head) -> bool:
        if head.seq == self.hello["seq"]:
            return self.hello["link"] == head.link.hex()
        if head.seq < self.hello["oldest"]:
            return True  # the board no longer has it; the link of its next record decides
        item = self._fetcher.one(head.seq)
        return item is None or item.link == head.link.hex()

    def _record_at(self, seq: int) -> tuple[int, int]:
        item = self._fetcher.one(seq)
        return (item.boot, item.seq) if item else (0, seq)

    def _fetch_batch(self, pending: list[Record], result: SyncResult) -> int:
        """Request the next records and append those that are accepted, or wait, to `pending`; returns how many."""
        oldest = self._fetcher.oldest
        if self._seq + 1 < oldest:
            result.missing.append((self._seq + 1, oldest - 1))
            del pending[len(pending) - self._arrival.skip() :]
            self._seq = oldest - 1
        items, repeated = self._fetcher.behind(self._seq)
        result.known += repeated
        for at, item in enumerate(items):
            if not self._takes(item, pending):
                self._fetcher.put_back(items[at + 1 :])
                return at
            if item.event == "lost":
                result.lost.append((item.a, item.b))
            pending.append(item)
            self._boot, self._seq = item.boot, item.seq
        return len(items)

    def _takes(self, item: Record, pending: list[Record]) -> bool:
        """Whether the record is accepted, or waits; one that is neither is requested once more.

        Raises:
            Strange: it came twice the same.
        """
        if item.seq > self._last_seq:
            raise UserError(f"the stranger {self.board} has sent {STRANGER_RECORDS_MAX:,} records: no more are kept.", FAILED)
        if not self._arrival.link and not self._keys and item.boot < self._boot:
            why = f"is of start {item.boot}, which is over for long"
        else:
            why = self._arrival.take(item.seq, item.slot)
        if not why:
            return True
        if item != self._suspect:
            self._suspect = item  # perhaps damaged on the line
            return False
        first = pending[-self._arrival.waiting] if self._arrival.waiting else item
        raise Strange(f"its record {item.seq} {why}", first, unmarked=why == NOT_MARKED)

    def _stall_text(self) -> str:
        if self._link.last_bad_record:
            return (
                f"the board sends records that this Earlid does not know ({self._link.last_bad_record}): update "
                f"Earlid. Everything before record {self._seq + 1} is in the ledger."
            )
        return f"the board does not send record {self._seq + 1}. Try again; `earlid doctor` looks for the cause."

    def _commit(self, pending: list[Record], result: SyncResult) -> None:
        """Make the records durable that do not wait, and take them out of `pending`."""
        ready = pending[: len(pending) - self._arrival.waiting]
        if not ready:
            return
        added = self._ledger.add(self.board, [item.slot for item in ready], self._clock_ms())
        del pending[: len(ready)]
        result.stored += added.new
        result.known += added.known
        if added.conflicts:
            boot, seq = added.conflicts[0]
            raise UserError(
                f"board {self.board} sends another record {seq} (start {boot}) than the ledger has. Its flash was "
                "erased under its old name, or one of the two was altered: `earlid verify` judges the ledger; collect "
                "from the board into a new one with --ledger NEW.sqlite.",
                LEDGER_BROKEN,
            )
        self._proved = self._proved or (self._arrival.marked and added.new > 0)
        for item in ready:
            self._on_stored(self, item)
        self._last = ready[-1]

    def _acknowledge(self, result: SyncResult) -> None:
        """Acknowledge what the ledger holds, where that counts: signed, to a board of version 2.

        A line too bad for the reply is no error: the next acknowledgement covers it.
        """
        last, self._last = self._last, None
        if last is None or not self.judged or self._link.authority is False:
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
        if self.judged and self._arrival.link:
            self._ledger.add_anchor(self.board, Head(self._boot, self._seq, self._arrival.link))


def sync_once(port: str, ledger: Ledger, on_stored: Callable[[Sync, Record], None]) -> SyncResult:
    """Fetch what the ledger lacks from the board at a port and set its clock; errors as of `Sync.catch_up`."""
    with Link(port, key_at) as link:
        sync = Sync(link, ledger, on_stored=on_stored)
        result = sync.catch_up()
        sync.set_clock()
        result.notes += filter(None, [sync.standing_text()])
        return result
