# SPDX-License-Identifier: MIT
"""Watcher: a thread that collects one board's records, and begins again whatever went wrong.

It waits for the ledger; the port is read, and other programs' requests are served, by threads of `SharedLink` meanwhile.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from earlid.board.consent import ask_text
from earlid.board.detect import hears_earlid
from earlid.board.link import Asked, BoardGone, Record, Started, TelemetryMessage
from earlid.board.port import PORT_ERRORS, open_port
from earlid.board.port_names import plug_mark
from earlid.board.port_proxy import LEND_S, open_proxy, used_mark
from earlid.board.shared_link import SharedLink
from earlid.collect.asking import Asking
from earlid.collect.events import WatchEvent, events_of, greeting_of, record_event
from earlid.collect.sync import Sync, SyncResult
from earlid.errors import LEDGER_BROKEN, NO_BOARD, UserError
from earlid.host_clock import counter_ms
from earlid.ledger.keys import key_at
from earlid.ledger.store import Ledger, now_ms

RECONNECT_S = (0.5, 0.5, 1.0, 2.0, 5.0, 15.0)  # waits before each new try
LENT_LOOK_S = 0.1
PLUG_LOOK_S = 1.0  # how soon a port is seen to have been plugged in anew
AFTER_FAULT_S = (1.0, 5.0, 15.0, 60.0)  # and where a mistake of Earlid's ended the one before
STEADY_S = 60.0  # a connection that lasted so long was a good one: the waits begin anew
LISTEN_S = 0.2
SILENCE_S = 10.0  # without a line: check whether the board still replies
REFRESH_S = 3600.0  # clock and anchor
SEEN_S = 45.0  # within lid_state.HEARD_MS the ledger knows that the board is there
STUCK_S = 1800.0  # the longest that a ledger or a bad line may hold it up, before it is taken for dead
CLOCK_STEP_MS = 1000  # this computer's clock was set: the board's clock and ours are compared anew


@dataclass
class BoardStatus:
    """The present state of a board, for a display; replaced value by value, never half-written.

    `foreign`: nothing answered there, and nobody expects a board; `open`: it is being talked to; `connected`: and its records
    have been fetched and judged.
    `heard_s` is when the board last said anything, of `time.monotonic`; `heard_ms` the same by this computer's clock then.
    """

    port: str
    board: str = ""
    foreign: bool = False
    open: bool = False
    connected: bool = False
    hello: Mapping[str, Any] = field(default_factory=dict)
    telemetry: Mapping[str, Any] = field(default_factory=dict)
    heard_s: float = float("-inf")
    heard_ms: int | None = None
    error: str = ""
    last: deque[WatchEvent] = field(default_factory=lambda: deque(maxlen=8))


def _clock_lead_ms() -> int:
    """This computer's clock less a counter that nobody sets and that runs on while it sleeps."""
    return now_ms() - counter_ms()


class Watcher(threading.Thread):
    """A thread that watches one board.

    Args:
        port: the board's serial port.
        ledger: where records go; shared by all watchers.
        on_event: called from this thread with everything that happens.
        telemetry_ms: the period of the board's telemetry; 0 for none.
        adapter: the mark of the port's USB adapter, by which a ledger may know that a board stands behind it; empty where it
            has none; None for a port that somebody named, at which a board is expected.
    """

    def __init__(
        self,
        port: str,
        ledger: Ledger,
        on_event: Callable[[WatchEvent], None],
        telemetry_ms: int = 0,
        adapter: str | None = None,
    ) -> None:
        super().__init__(name=f"watch {port}", daemon=True)
        self._status = BoardStatus(port)
        self._link: SharedLink | None = None
        self._ledger, self._on_event, self._telemetry_ms = ledger, on_event, telemetry_ms
        self._adapter = adapter
        self._asking = Asking(RECONNECT_S)
        self._end = threading.Event()
        self._moved_s = time.monotonic()
        self._lending = threading.Event()  # another program wants the port, or has it
        self._port_free = threading.Event()

    def stop(self) -> None:
        """Ask the thread to end; `join` it then."""
        self._end.set()

    @property
    def status(self) -> BoardStatus:
        """The board's state now, also while this thread waits for the ledger."""
        link, status = self._link, self._status
        if link and link.heard_s > status.heard_s:
            status.heard_s, status.telemetry = link.heard_s, link.telemetry or {}
            status.heard_ms = now_ms() - int((time.monotonic() - link.heard_s) * 1000)
        return status

    @property
    def collects(self) -> bool:
        """Whether its threads live, and it has gone on within STUCK_S."""
        link = self._link
        return self.is_alive() and (link is None or link.reads) and time.monotonic() - self._moved_s < STUCK_S

    def run(self) -> None:
        """Sessions with the board, until stopped. Nothing but `stop` ends them."""
        failures = 0
        while not self._end.is_set():
            began_s = self._moved_s = time.monotonic()
            mark = self._mark()
            waits_s: tuple[float, ...] = RECONNECT_S
            failed: tuple[str, str] | None = None
            wait_s: float | None = 0.0
            heard = False
            try:
                heard = self._connect()
            except UserError as error:
                gone = error.code == NO_BOARD and self._status.connected
                failed = ("away" if gone else "chain-broken" if error.code == LEDGER_BROKEN else "trouble", str(error))
                heard = not isinstance(error, BoardGone) or self._asking.answers
            except Exception as error:
                waits_s = AFTER_FAULT_S
                failed = ("trouble", fault_text(error))
                heard = True
            if self._lending.is_set():
                self._fail("away" if self._status.connected else "note", "another program of yours has its port for a while")
                while self._lending.is_set() and not self._end.wait(LENT_LOOK_S):
                    self._moved_s = time.monotonic()
                self._asking = Asking(RECONNECT_S)
                continue
            if heard:
                failures = 0 if time.monotonic() - began_s > STEADY_S else failures
                wait_s = waits_s[min(failures, len(waits_s) - 1)]
                failures += 1
                mark = self._mark()
            elif not self._end.is_set():
                wait_s = self._asking.silent(self._is_known())
                self._status.foreign = wait_s is None
                failed = failed or self._silence(wait_s)
            if failed:
                self._fail(*failed)
            self._wait(wait_s, mark)

    def _mark(self) -> tuple[int | None, int]:
        """Another one once the port was plugged in anew, or another program has done something there."""
        return plug_mark(self._status.port), used_mark(self._status.port)

    def _wait(self, wait_s: float | None, mark: tuple[int | None, int]) -> None:
        """Wait so many seconds, or for ever, unless something changes about the port: then all is asked anew."""
        end_s = time.monotonic() + (float("inf") if wait_s is None else wait_s)
        while (left_s := end_s - time.monotonic()) > 0 and not self._end.wait(min(left_s, PLUG_LOOK_S)):
            self._moved_s = time.monotonic()
            if self._mark() != mark:
                self._asking = Asking(RECONNECT_S)
                return

    def _is_known(self) -> bool:
        """Whether a board is expected at the port."""
        try:
            return self._adapter is None or (self._adapter != "" and self._ledger.board_of_adapter(self._adapter) is not None)
        except Exception:  # a ledger that cannot be read is no reason to give up a board
            return True

    def _silence(self, wait_s: float | None) -> tuple[str, str]:
        port = self._status.port
        if wait_s is None:
            return "note", f"no Earlid answers at {port}: it is left in peace until it is plugged in anew"
        return (
            "trouble",
            f"no Earlid answers at {port}; it is asked again from time to time. `earlid doctor -p {port}` says more.",
        )

    def _fail(self, kind: str, text: str) -> None:
        news = self._status.connected or text != self._status.error
        self._status.connected, self._status.error = False, text
        if news:
            self._emit(kind, text)

    def _connect(self) -> bool:
        """Ask who is at the port and, where an Earlid is heard, a session with it; whether one was heard."""
        self._port_free.clear()
        try:
            with closing(open_port(self._status.port)) as opened, open_proxy(self._status.port, self._forward, self._lend):
                try:
                    if not hears_earlid(opened, *self._asking.next(), self._leaves):
                        return False
                except PORT_ERRORS as error:
                    raise UserError(f"{self._status.port} went away: {error}", NO_BOARD) from error
                with SharedLink(opened, key_at) as link:
                    self._link, self._status.open = link, True
                    try:
                        self._session(link)
                    finally:
                        _ = self.status  # what was heard last
                        self._link, self._status.open = None, False
                return True
        finally:
            self._port_free.set()

    def _leaves(self) -> bool:
        """Whether the port is to be let go of."""
        return self._end.is_set() or self._lending.is_set()

    def _forward(self, do: str) -> dict[str, Any]:
        if link := self._link:
            return link.forward(do)
        return {"ok": False, "say": "no board has answered there yet"}

    @contextmanager
    def _lend(self) -> Iterator[bool]:
        """As `port_proxy` takes a lender: the port is free in the block, if it yields True."""
        if self._leaves():
            yield False
            return
        self._lending.set()
        try:
            yield self._port_free.wait(LEND_S)
        finally:
            self._lending.clear()

    def _session(self, link: SharedLink) -> None:
        sync = Sync(link, self._ledger, now_ms, self._stored)
        lead_ms = _clock_lead_ms()
        self._begin(link, sync)
        refreshed_s = received_s = seen_s = time.monotonic()
        missed = link.missed_lines
        while not self._leaves():
            for message in link.messages(LISTEN_S):
                received_s = time.monotonic()
                if isinstance(message, Started):
                    self._emit("restart", f"started again ({message.hello.get('why') or 'no reason given'})")
                    self._begin(link, sync)
                elif isinstance(message, Asked):
                    self._emit("ask", ask_text(message.ask))
                elif not isinstance(message, TelemetryMessage) and not sync.store_live(message):
                    self._report(sync.catch_up())
                if self._leaves():
                    return
            now_s = self._moved_s = time.monotonic()
            if link.missed_lines != missed:  # a record may have been among them
                missed = link.missed_lines
                self._report(sync.catch_up())
            elif now_s - received_s > SILENCE_S:
                self._look_again(sync)
                received_s = now_s
            if now_s - seen_s > SEEN_S and now_s - received_s < SILENCE_S:
                sync.mark_seen()
                seen_s = now_s
            if now_s - refreshed_s > REFRESH_S or abs(_clock_lead_ms() - lead_ms) > CLOCK_STEP_MS:
                lead_ms = _clock_lead_ms()
                self._look_again(sync)
                sync.set_clock()
                sync.anchor()
                refreshed_s = now_s

    def _look_again(self, sync: Sync) -> None:
        was_judged = sync.judged
        sync.refresh_hello()
        if was_judged and not sync.judged:  # another device or journal, of whose start nothing was heard
            self._report(sync.catch_up())

    def _begin(self, link: SharedLink, sync: Sync) -> None:
        link.telemetry = None  # of the start before
        link.request("telemetry", every_ms=self._telemetry_ms)
        self._asking.answered()
        result = sync.catch_up()
        self._status.board, self._status.hello = sync.board, sync.hello
        sync.set_clock()
        self._status.error, self._status.connected, self._status.foreign = "", True, False
        if self._adapter and sync.judged and self._ledger.board_of_adapter(self._adapter) != sync.board:
            self._ledger.remember_adapter(self._adapter, sync.board)
        for kind, text in (*greeting_of(result), *events_of(result)):
            self._emit(kind, text)
        if standing := sync.standing_text():
            self._emit("note", standing)
        ask: Any = sync.hello.get("ask")
        if ask:  # it was announced before we came
            self._emit("ask", ask_text(ask))

    def _report(self, result: SyncResult) -> None:
        for kind, text in events_of(result):
            self._emit(kind, text)

    def _stored(self, sync: Sync, item: Record) -> None:
        self._moved_s = time.monotonic()
        event = record_event(sync, item, self._status.port)
        self._status.last.append(event)
        self._tell(event)

    def _emit(self, kind: str, text: str) -> None:
        self._tell(WatchEvent(kind, self._status.board or self._status.port, text, wall_ms=now_ms(), port=self._status.port))

    def _tell(self, event: WatchEvent) -> None:
        with suppress(Exception):  # whoever listens has a log of its own; a record that is stored is to be acknowledged
            self._on_event(event)


def fault_text(error: BaseException) -> str:
    """What the log says of an exception that nobody expected: its kind, its words, and where it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    words = "".join(letter if letter.isprintable() else "?" for letter in str(error))[:200]
    return (
        f"a mistake in Earlid: {type(error).__name__}: {words}{place}. Tried again by and by; "
        "`earlid doctor --bundle FILE` gathers what a bug report needs"
    )
