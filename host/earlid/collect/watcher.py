# SPDX-License-Identifier: MIT
"""Watcher: a thread that collects one board's records and telemetry, and reconnects when the board was unplugged."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from earlid.board.consent import ask_text
from earlid.board.detect import no_word_text
from earlid.board.link import Asked, Link, Record, Started, TelemetryMessage
from earlid.board.port_proxy import PortProxy, open_proxy
from earlid.collect.sync import Sync, SyncResult
from earlid.errors import UserError
from earlid.ledger.keys import key_at
from earlid.ledger.store import Ledger, now_ms

RECONNECT_S = (0.5, 0.5, 1.0, 2.0, 5.0)  # waits before each new try
LISTEN_S = 0.2  # also how long another program's `close` may wait
SILENCE_S = 10.0  # without a line: check whether the board still replies
REFRESH_S = 3600.0  # clock and anchor
SEEN_S = 45.0  # within lid_state.HEARD_MS the ledger knows that the board is there
CLOCK_STEP_MS = 1000  # this computer's clock was set, or it slept: the board's clock and ours are compared anew


@dataclass(frozen=True)
class WatchEvent:
    """Something that happened: kind is `connected`, `disconnected`, `record`, `ask`, `gap`, `restart`, `note` or `error`."""

    kind: str
    board: str
    text: str
    record: Record | None = None
    wall_ms: int | None = None


@dataclass
class BoardStatus:
    """The present state of a board, for a display; replaced value by value, never half-written."""

    port: str
    board: str = ""
    connected: bool = False
    hello: Mapping[str, Any] = field(default_factory=dict)
    telemetry: Mapping[str, Any] = field(default_factory=dict)
    telemetry_s: float = 0.0
    error: str = ""
    last: deque[WatchEvent] = field(default_factory=lambda: deque(maxlen=8))


def _clock_lead_ms() -> int:
    """This computer's clock less its count of milliseconds, which (but for Windows) rests in sleep and cannot be set."""
    return now_ms() - int(time.monotonic() * 1000)


class Watcher(threading.Thread):
    """A thread that watches one board.

    Args:
        port: the board's serial port.
        ledger: where records go; shared by all watchers.
        on_event: called from this thread with everything that happens.
        telemetry_ms: the period of the board's telemetry; 0 for none.
    """

    def __init__(self, port: str, ledger: Ledger, on_event: Callable[[WatchEvent], None], telemetry_ms: int = 0) -> None:
        super().__init__(name=f"watch {port}", daemon=True)
        self.status = BoardStatus(port)
        self._ledger, self._on_event, self._telemetry_ms = ledger, on_event, telemetry_ms
        self._end = threading.Event()

    def stop(self) -> None:
        """Ask the thread to end; `join` it then."""
        self._end.set()

    def run(self) -> None:
        """Sessions with the board, until stopped."""
        failures = 0
        while not self._end.is_set():
            try:
                with Link(self.status.port, key_at) as link, open_proxy(self.status.port) as proxy:
                    self._session(link, proxy)
            except UserError as error:
                was_connected, last_error = self.status.connected, self.status.error
                self.status.error, self.status.connected = str(error), False
                if was_connected:
                    failures = 0
                if was_connected or str(error) != last_error:
                    self._emit("disconnected" if was_connected else "error", str(error))
            self._end.wait(RECONNECT_S[min(failures, len(RECONNECT_S) - 1)])
            failures += 1

    def _session(self, link: Link, proxy: PortProxy | None) -> None:
        sync = Sync(link, self._ledger, now_ms, self._stored)
        lead_ms = _clock_lead_ms()
        self._begin(link, sync)
        refreshed_s = received_s = seen_s = time.monotonic()
        missed = link.missed_lines
        while not self._end.is_set():
            for message in link.messages(LISTEN_S):
                received_s = time.monotonic()
                if isinstance(message, TelemetryMessage):
                    self.status.telemetry, self.status.telemetry_s = message.telemetry, received_s
                elif isinstance(message, Started):
                    self._emit("restart", f"started again ({message.hello.get('why') or 'no reason given'})")
                    self._begin(link, sync)
                elif isinstance(message, Asked):
                    self._emit("ask", ask_text(message.ask))
                elif not sync.store_live(message):
                    self._report(sync.catch_up())
                if self._end.is_set():
                    return
            if proxy:
                proxy.serve(link.exchange)
            now_s = time.monotonic()
            if link.missed_lines != missed:  # a record may have been among them
                missed = link.missed_lines
                self._report(sync.catch_up())
            elif now_s - received_s > SILENCE_S:
                sync.refresh_hello()
                received_s = now_s
            if now_s - seen_s > SEEN_S and now_s - received_s < SILENCE_S:
                self._ledger.mark_seen(sync.board)
                seen_s = now_s
            if now_s - refreshed_s > REFRESH_S or abs(_clock_lead_ms() - lead_ms) > CLOCK_STEP_MS:
                lead_ms = _clock_lead_ms()
                sync.set_clock()
                sync.refresh_hello()
                sync.anchor()
                refreshed_s = now_s

    def _begin(self, link: Link, sync: Sync) -> None:
        hello = sync.refresh_hello()
        self.status.board, self.status.hello = sync.board, hello
        sync.set_clock()
        result = sync.catch_up()
        self.status.hello = sync.hello
        self.status.error, self.status.connected = "", True
        why = no_word_text(sync.hello)
        no_word = f"; no word: {why}" if why else ""
        self._emit("connected", f"{result.stored} records fetched, up to number {result.head_seq}{no_word}")
        self._report(result)
        if standing := sync.standing_text():
            self._emit("note", standing)
        ask: Any = sync.hello.get("ask")
        if ask:  # it was announced before we came
            self._emit("ask", ask_text(ask))
        link.request("telemetry", every_ms=self._telemetry_ms)

    def _report(self, result: SyncResult) -> None:
        for first, last in result.missing:
            self._emit("gap", f"records {first} to {last} are gone from the board and were never fetched")
        for count, first in result.lost:
            self._emit("gap", f"the board reports {count} records lost, from number {first}")
        for note in result.notes:
            self._emit("note", note)

    def _stored(self, sync: Sync, item: Record) -> None:
        text = f"{item.event} {item.reason}".strip()
        event = WatchEvent("record", sync.board, text, item, sync.wall_ms(item))
        self.status.last.append(event)
        self._on_event(event)

    def _emit(self, kind: str, text: str) -> None:
        self._on_event(WatchEvent(kind, self.status.board or self.status.port, text))
