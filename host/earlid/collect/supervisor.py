# SPDX-License-Identifier: MIT
"""Supervisor: a watcher for every board that is plugged in; names, today's sums of live time, and the retention."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from earlid.collect.watcher import BoardStatus, Watcher, WatchEvent
from earlid.errors import UserError
from earlid.ledger.boards import boards
from earlid.ledger.location import Location
from earlid.ledger.purge import keep_retention
from earlid.ledger.reader import Reader
from earlid.ledger.report import Today, live_today
from earlid.ledger.store import Ledger

TELEMETRY_MS = 200
RESCAN_S = 2.0
RETENTION_CHECK_S = 86_400.0
EVENTS_KEPT = 10


class Supervisor:
    """Starts and stops watchers as boards come and go; `tick` does what is due.

    Args:
        location: of the ledger, for reading.
        ledger: the same, open for writing.
        ports: returns the ports to watch now.
        on_event: called from the watchers' threads with everything that happens.
        log: called with lines for people that are no events.
        display: keep what a display shows up to date: telemetry and `today`.
    """

    def __init__(
        self,
        location: Location,
        ledger: Ledger,
        ports: Callable[[], list[str]],
        on_event: Callable[[WatchEvent], None],
        log: Callable[[str], None],
        display: bool,
    ) -> None:
        self._location, self._ledger, self._ports, self._on_event, self._log = location, ledger, ports, on_event, log
        self._display = display
        self._watchers: dict[str, Watcher] = {}
        self._titles: dict[str, str] = {}
        self._waiting = False
        self._stale = threading.Event()
        self._stale.set()
        self._retention_checked_s = float("-inf")
        self.events: deque[WatchEvent] = deque(maxlen=EVENTS_KEPT)
        self.today: dict[str, Today] = {}

    @property
    def statuses(self) -> list[BoardStatus]:
        """The state of every board that is watched."""
        return [watcher.status for watcher in self._watchers.values()]

    def title(self, board: str) -> str:
        """A board's name, else its identifier."""
        return self._titles.get(board, board)

    def run(self, ended: threading.Event) -> None:
        """Tick until `ended` is set."""
        self.tick()
        while not ended.wait(RESCAN_S):
            self.tick()

    def stop(self) -> None:
        """End every watcher."""
        for watcher in self._watchers.values():
            watcher.stop()
        for watcher in self._watchers.values():
            watcher.join(5)

    def tick(self) -> None:
        """Look for boards, refresh the names and today's sums, keep to the retention."""
        self._look_for_boards()
        if self._stale.is_set():
            self._stale.clear()
            try:
                self._refresh()
            except UserError as error:  # records wait on the boards until the ledger works again
                self._log(str(error))
        if time.monotonic() - self._retention_checked_s > RETENTION_CHECK_S:
            self._retention_checked_s = time.monotonic()
            self._apply_retention()

    def _look_for_boards(self) -> None:
        ports = self._ports()
        if not ports and not self._watchers and not self._waiting:
            self._waiting = True
            self._log("waiting for a board to be plugged in")
        for port in ports:
            if port not in self._watchers:
                self._watchers[port] = Watcher(port, self._ledger, self._add_event, TELEMETRY_MS if self._display else 0)
                self._watchers[port].start()
        for port in [port for port in self._watchers if port not in ports]:
            if not self._watchers[port].status.connected:  # plugged in again, a board may get another name
                self._watchers.pop(port).stop()

    def _refresh(self) -> None:
        with Reader(self._location) as reader:
            known = boards(reader)
            self._titles.update({board.identifier: board.title for board in known})
            if self._display:
                self.today = live_today(reader, known, int(time.time() * 1000))

    def _apply_retention(self) -> None:
        try:
            for board, count in keep_retention(self._ledger).items():
                self._log(f"{self.title(board)}: {count} records older than the retention purged")
        except UserError as error:
            self._log(str(error))

    def _add_event(self, event: WatchEvent) -> None:
        self._stale.set()
        self.events.append(event)
        self._on_event(event)
