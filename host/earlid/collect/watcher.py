# SPDX-License-Identifier: MIT
"""Stays with one board: collects its records, follows its live numbers, and waits for it while it is unplugged."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from earlid.board.link import Hello, Link, Record, Telemetry
from earlid.board.port_proxy import PortProxy, open_proxy
from earlid.collect.sync import Sync, SyncResult
from earlid.errors import UserError
from earlid.ledger.store import Ledger, now_ms

AGAIN_S = (0.5, 0.5, 1.0, 2.0, 5.0)  # waits for a board that is away
LISTEN_S = 0.2  # also how long another program's `close` may wait
SILENCE_S = 10.0  # without a line: ask whether it is still there
REFRESH_S = 3600.0  # clock and anchor
LEAP_MS = 1000  # this computer's clock was set, or it slept: the board's clock and ours are compared anew


@dataclass(frozen=True)
class Happening:
    """Something to tell: kind is `here`, `away`, `record`, `gap`, `restart`, `note` or `trouble`."""

    kind: str
    board: str
    say: str
    record: Record | None = None
    wall_ms: int | None = None


@dataclass
class Status:
    """How a board is now, for a display; replaced value by value, never half-written."""

    port: str
    board: str = ""
    here: bool = False
    hello: dict[str, Any] = field(default_factory=dict)
    telemetry: dict[str, Any] = field(default_factory=dict)
    telemetry_s: float = 0.0
    progress: tuple[int, int] = (0, 0)
    trouble: str = ""
    last: deque[Happening] = field(default_factory=lambda: deque(maxlen=8))


def _clock_lead_ms() -> int:
    """This computer's clock less its count of milliseconds, which (but for Windows) rests in sleep and cannot be set."""
    return now_ms() - int(time.monotonic() * 1000)


class Watcher(threading.Thread):
    """A thread per board.

    Args:
        port: the board's serial port.
        ledger: where records go; shared by all watchers.
        tell: called from this thread with everything that happens.
        telemetry_ms: how often the board tells its live numbers; 0 for never.
    """

    def __init__(self, port: str, ledger: Ledger, tell: Callable[[Happening], None], telemetry_ms: int = 0) -> None:
        super().__init__(name=f"watch {port}", daemon=True)
        self.status = Status(port)
        self._ledger, self._tell, self._telemetry_ms = ledger, tell, telemetry_ms
        self._end = threading.Event()

    def stop(self) -> None:
        """Ask the thread to end; `join` it then."""
        self._end.set()

    def run(self) -> None:
        """Sessions with the board, until stopped."""
        misses = 0
        while not self._end.is_set():
            try:
                with Link(self.status.port) as link, open_proxy(self.status.port) as proxy:
                    self._session(link, proxy)
            except UserError as error:
                was_here, was = self.status.here, self.status.trouble
                self.status.trouble, self.status.here = str(error), False
                if was_here:
                    misses = 0
                if was_here or str(error) != was:
                    self._say("away" if was_here else "trouble", str(error))
            self._end.wait(AGAIN_S[min(misses, len(AGAIN_S) - 1)])
            misses += 1

    def _session(self, link: Link, proxy: PortProxy | None) -> None:
        sync = Sync(link, self._ledger, now_ms, self._stored)
        lead_ms = _clock_lead_ms()
        self._begin(link, sync)
        refreshed_s = heard_s = time.monotonic()
        missed = link.missed_lines
        while not self._end.is_set():
            for message in link.messages(LISTEN_S):
                heard_s = time.monotonic()
                if isinstance(message, Telemetry):
                    self.status.telemetry, self.status.telemetry_s = message, heard_s
                elif isinstance(message, Hello):
                    self._say("restart", f"started again ({message.get('why') or 'no reason given'})")
                    self._begin(link, sync)
                elif not sync.take(message):
                    self._report(sync.catch_up())
                if self._end.is_set():
                    return
            if proxy:
                proxy.serve(link.request)
            now_s = time.monotonic()
            if link.missed_lines != missed:  # a record may have been among them
                missed = link.missed_lines
                self._report(sync.catch_up())
            elif now_s - heard_s > SILENCE_S:
                sync.greet()
                heard_s = now_s
            if now_s - refreshed_s > REFRESH_S or abs(_clock_lead_ms() - lead_ms) > LEAP_MS:
                lead_ms = _clock_lead_ms()
                sync.set_clock()
                sync.greet()
                sync.anchor()
                refreshed_s = now_s

    def _begin(self, link: Link, sync: Sync) -> None:
        hello = sync.greet()
        self.status.board, self.status.hello = sync.board, hello
        sync.set_clock()
        result = sync.catch_up(self._progress)
        self.status.hello = sync.hello
        self.status.trouble, self.status.here = "", True
        self._say("here", f"{result.stored} records fetched, up to number {result.head_seq}")
        self._report(result)
        link.request("telemetry", every_ms=self._telemetry_ms)

    def _progress(self, done: int, goal: int) -> None:
        self.status.progress = (done, goal)

    def _report(self, result: SyncResult) -> None:
        for first, last in result.missing:
            self._say("gap", f"records {first} to {last} are gone from the board and were never fetched")
        for count, first in result.lost:
            self._say("gap", f"the board reports {count} records lost, from number {first}")
        for note in result.notes:
            self._say("note", note)

    def _stored(self, sync: Sync, item: Record) -> None:
        say = f"{item.event} {item.reason}".strip()
        happening = Happening("record", sync.board, say, item, sync.wall(item))
        self.status.last.append(happening)
        self._tell(happening)

    def _say(self, kind: str, say: str) -> None:
        self._tell(Happening(kind, self.status.board or self.status.port, say))
