# SPDX-License-Identifier: MIT
"""Supervisor: a watcher for every board that is plugged in; names, today's sums of live time, checkpoints, the retention.

What asks the ledger does so in a thread of its own: neither the display nor an order to end waits for a database.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import date
from typing import TypeVar

from earlid.collect.events import WatchEvent
from earlid.collect.watcher import BoardStatus, Watcher, fault_text
from earlid.errors import NOT_COLLECTING, UserError
from earlid.ledger.boards import boards
from earlid.ledger.location import Location
from earlid.ledger.reader import Reader
from earlid.ledger.report import Today, live_today
from earlid.ledger.retention import keep_retention
from earlid.ledger.store import Ledger, now_ms
from earlid.ledger.time_format import local_day

TELEMETRY_MS = 200
RESCAN_S = 2.0
LOOK_S = 2.0  # how often the ledger is asked at most; how late `today` turns at midnight
CHECKPOINT_S = 30.0  # with records since the last one
RETENTION_CHECK_S = 3600.0
STOP_S = 5.0  # for all threads together
DEAD_LOOKS = 5  # so many looks in a row without a living watcher, and the process says so and ends
EVENTS_KEPT = 10

T = TypeVar("T")

Ending = queue.SimpleQueue[int | Exception]
"""What ends a collector: an exit code or an error, put there by any thread or signal handler."""


class Supervisor:
    """Starts and stops watchers as boards come and go; `tick` does what is due.

    Args:
        location: of the ledger, for reading.
        ledger: the same, open for writing.
        ports: returns the ports to watch now.
        on_event: called from the watchers' threads with everything that happens.
        log: called with lines for people that are no events.
        display: keep what a display shows up to date: telemetry and `today`.
        clock_ms: this computer's clock, Unix ms.
        alive: called in each `tick` at which every thread that collects lives.
        adapter: the mark of a port's USB adapter, as `Watcher` takes it.
    """

    def __init__(
        self,
        location: Location,
        ledger: Ledger,
        ports: Callable[[], list[str]],
        on_event: Callable[[WatchEvent], None],
        log: Callable[[str], None],
        display: bool,
        clock_ms: Callable[[], int] = now_ms,
        alive: Callable[[], None] = lambda: None,
        adapter: Callable[[str], str | None] = lambda port: None,
    ) -> None:
        self._location, self._ledger, self._ports, self._on_event, self._log = location, ledger, ports, on_event, log
        self._display, self._clock_ms, self._alive, self._adapter = display, clock_ms, alive, adapter
        self._watchers: dict[str, Watcher] = {}
        self._away: dict[str, BoardStatus] = {}  # boards whose port has gone, by identifier
        self._titles: dict[str, str] = {}
        self._waiting = False
        self._dead_looks = 0
        self._said: dict[str, str] = {}
        self._stopping = threading.Event()
        self._stale = True
        self._day: date | None = None  # of `today`
        self._retention_checked_s = self._checkpoint_s = float("-inf")
        self._stored = False
        self._housekeeper = threading.Thread(target=self._keep_house, name="ledger", daemon=True)
        self.events: deque[WatchEvent] = deque(maxlen=EVENTS_KEPT)
        self.today: dict[str, Today] = {}

    @property
    def statuses(self) -> list[BoardStatus]:
        """The state of every board that is watched or expected, and of those that were watched until they were unplugged."""
        watched = [status for watcher in list(self._watchers.values()) if not (status := watcher.status).foreign]
        here = {status.board for status in watched}
        return watched + [status for board, status in self._away.items() if board not in here]

    def title(self, board: str) -> str:
        """A board's name, else its identifier."""
        return self._titles.get(board, board)

    def start(self) -> None:
        """Begin; `tick` is to be called every RESCAN_S from then on."""
        self._housekeeper.start()
        self.tick()

    def run(self, ending: Ending) -> int:
        """Collect until something ends it; the exit code, or the error raised."""
        self.start()
        while True:
            try:
                ended = ending.get(timeout=RESCAN_S)
            except queue.Empty:
                self.tick()
                continue
            if isinstance(ended, Exception):
                raise ended
            return ended

    def stop(self) -> None:
        """End every thread; one that waits for the ledger is left to the end of the process. Nothing acknowledged is lost."""
        end_s = time.monotonic() + STOP_S
        self._stopping.set()
        for watcher in self._watchers.values():
            watcher.stop()
        for thread in (*self._watchers.values(), self._housekeeper):
            if thread.ident is not None:
                thread.join(max(0.0, end_s - time.monotonic()))

    def tick(self) -> None:
        """Look for boards, and after the watchers.

        Raises:
            UserError: code NOT_COLLECTING, when there are boards to watch and for some time no thread has.
        """
        if self._housekeeper.is_alive() and all(watcher.collects for watcher in self._watchers.values()):
            self._alive()
        alive = any(watcher.is_alive() for watcher in self._watchers.values())
        dead = bool(self._watchers) and not alive
        wanted = self._guarded("ports", self._look_for_boards)  # begins dead ones anew
        self._dead_looks = self._dead_looks + 1 if dead or (wanted is None and not alive) else 0
        if self._dead_looks >= DEAD_LOOKS:
            raise UserError(
                "nothing is collected any more: no thread that watches a board lives. Start `earlid watch` again "
                f"(a service manager does, at exit code {NOT_COLLECTING}); no record is lost meanwhile, the boards keep them.",
                NOT_COLLECTING,
            )

    def _look_for_boards(self) -> bool:
        """Whether there is a board to watch."""
        for port, watcher in list(self._watchers.items()):
            if not watcher.is_alive():
                del self._watchers[port]
                self._tell("trouble", f"{port}: the thread that watched it has ended; it is begun anew")
        ports = self._ports()
        if not ports and not self._watchers and not self._waiting:
            self._waiting = True
            self._log("waiting for a board to be plugged in")
        for port in ports:
            if port not in self._watchers:
                watcher = Watcher(port, self._ledger, self._add_event, TELEMETRY_MS if self._display else 0, self._adapter(port))
                watcher.start()
                self._watchers[port] = watcher
        for port in [port for port in self._watchers if port not in ports]:
            status = self._watchers[port].status
            if not status.connected:  # plugged in again, a board may get another name
                self._watchers.pop(port).stop()
                if status.board:
                    self._away[status.board] = status
        return bool(ports)

    def _keep_house(self) -> None:
        while not self._stopping.is_set():
            due = self._stale or self._day != local_day(self._clock_ms())
            if due and self._guarded("ledger", self._refresh) is None:
                self._stale = True
            if self._stored and time.monotonic() - self._checkpoint_s > CHECKPOINT_S:
                self._guarded("checkpoint", self._checkpoint)
            if time.monotonic() - self._retention_checked_s > RETENTION_CHECK_S:
                self._retention_checked_s = time.monotonic()
                self._guarded("retention", self._apply_retention)
            self._stopping.wait(LOOK_S)
        self._guarded("checkpoint", self._checkpoint)

    def _guarded(self, what: str, work: Callable[[], T]) -> T | None:
        """The work's result; None where it failed, which is logged once for as long as it fails the same way."""
        try:
            result = work()
        except Exception as error:
            text = str(error) if isinstance(error, UserError) else fault_text(error)
            if self._said.get(what) != text:
                self._said[what] = text
                if what == "output":
                    self._log(text)
                else:
                    self._tell("trouble", text)
            return None
        self._said.pop(what, None)
        return result

    def _refresh(self) -> bool:
        self._stale = False  # before it is read: what comes meanwhile is for the next time
        now = self._clock_ms()
        with Reader(self._location) as reader:
            known = boards(reader)
            self._titles.update({board.identifier: board.title for board in known})
            if self._display:
                self.today = live_today(reader, known, now)
        self._day = local_day(now)
        return True

    def _checkpoint(self) -> None:
        self._stored = False
        self._checkpoint_s = time.monotonic()
        self._ledger.checkpoint()

    def _apply_retention(self) -> None:
        check = keep_retention(self._ledger)
        texts = [
            f"{self.title(board)}: {count} records older than the retention removed" for board, count in check.removed.items()
        ]
        for text in [*texts, *([check.say] if check.say not in ("", self._said.get("age")) else [])]:
            self._tell("note", text)
        self._said["age"] = check.say

    def _tell(self, kind: str, text: str) -> None:
        """Something that concerns no board alone."""
        event = WatchEvent(kind, "", text, wall_ms=self._clock_ms())
        self.events.append(event)
        self._guarded("output", lambda: self._on_event(event))

    def _add_event(self, event: WatchEvent) -> None:
        self.events.append(event)
        if event.kind == "here":  # the end of a sync
            self._checkpoint_s = float("-inf")
        self._stored = self._stored or event.kind in ("record", "here")
        self._stale = True
        self._guarded("output", lambda: self._on_event(event))
