# SPDX-License-Identifier: MIT
"""Watches a board while somebody acts at it: its telemetry every 30 ms and its records, timed by the board's own clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from lid.wire_schema import Hello, Telemetry

from earlid.board.link import BoardGone, BoardRefused, Link, Record, TelemetryMessage
from earlid.errors import FAILED, UserError

EVERY_MS = 30  # the shortest period that a board takes
RECORDS = 64  # of one sync
SELF_TEST_S = 15.0
START_S = 12.0
_READ_S = 0.02
_SLACK_S = 10.0  # a board that tells no time is waited for so much longer


class BoardRestarted(UserError):
    """The board started anew in the middle of it."""

    def __init__(self) -> None:
        super().__init__("the board restarted: its supply broke down, or somebody reset it.", FAILED)


class BoardWatch:
    """What a board has said of itself since the last `begin`.

    Attributes:
        lines: telemetry, oldest first.
        records: journal records that came by themselves.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._restarts = link.restarts
        self.lines: list[Telemetry] = []
        self.records: list[Record] = []

    def hello(self) -> Hello:
        """The board's `hi`."""
        return self._link.request("hello")["hi"]

    def newest_records(self) -> list[Record]:
        """The records since the board's start, 64 at most, oldest first."""
        hello = self.hello()
        self._link.pop_records()
        self._link.request("sync", from_=max(1, hello["seq"] - RECORDS + 1), max=RECORDS)
        return [record for record in self._link.pop_records() if record.boot == hello["boot"]]

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Telemetry, for the length of the block; what was said before it is forgotten."""
        self._link.request("telemetry", every_ms=EVERY_MS)
        self.begin()
        try:
            yield
        finally:
            self._link.request("telemetry", every_ms=0)

    def begin(self) -> None:
        """Forget what was said so far."""
        for _ in self._link.messages(0):
            pass
        self._must_be_the_same_start()
        self.lines, self.records = [], []

    def until(self, holds: Callable[[], bool], limit_ms: int) -> bool:
        """Watch until something holds, for `limit_ms` of the board's time at most; whether it did.

        Raises:
            BoardRestarted: it started anew.
            UserError: the board is gone, or its firmware tells nothing of its sense lines.
        """
        began_ms = self.lines[-1]["ms"] if self.lines else None
        end_s = time.monotonic() + limit_ms / 1000 + _SLACK_S
        while True:
            for message in self._link.messages(_READ_S):
                if isinstance(message, Record):
                    self.records.append(message)
                elif isinstance(message, TelemetryMessage):
                    self._take(message.telemetry)
                    began_ms = message.telemetry["ms"] if began_ms is None else began_ms
                else:
                    continue
                if holds():
                    return True
                if began_ms is not None and self.lines[-1]["ms"] - began_ms > limit_ms:
                    return False
            self._must_be_the_same_start()
            if time.monotonic() > end_s:
                return False

    def _must_be_the_same_start(self) -> None:
        if self._link.restarts != self._restarts:
            raise BoardRestarted

    def came_back(self) -> bool:
        """Whether a board that does not answer starts anew within some seconds."""
        end_s = time.monotonic() + START_S
        with suppress(BoardGone):  # its port is gone too
            while self._link.restarts == self._restarts and time.monotonic() < end_s:
                for _ in self._link.messages(_READ_S):
                    pass
        return self._link.restarts != self._restarts

    def _take(self, line: Telemetry) -> None:
        if "arm" not in line:
            raise UserError("the board's firmware tells nothing of its sense lines: `earlid flash` updates it.", FAILED)
        self.lines.append(line)

    def go_on(self, duration_ms: int) -> None:
        """Watch for a while."""
        self.until(lambda: False, duration_ms)

    def record(self, event: str) -> Record | None:
        """The newest record of an event."""
        return next((record for record in reversed(self.records) if record.event == event), None)

    def self_test(self) -> tuple[int, int] | str:
        """(bits, drop time in ms) of a self-test made now, or why the board makes none."""
        try:
            reply = self._link.request("selftest", timeout_s=SELF_TEST_S)
        except BoardRefused as refused:
            return str(refused)
        return reply["bits"], reply["drop_ms"]

    def close_lid(self) -> None:
        """Have the lid closed."""
        self._link.request("close")

    @contextmanager
    def asking(self) -> Iterator[None]:
        """A request that waits for consent, so that status light and buzzer show it; withdrawn at the end of the block."""
        dim = self._link.request("config-get")["config"]["dim"]
        self._exchange("config-set", config={"dim": 1 - dim})
        try:
            yield
        finally:
            self._exchange("cancel")

    def _exchange(self, do: str, **arguments: Any) -> None:
        self._link.exchange(do, **arguments)

    def make_safe(self) -> None:
        """Whatever was begun is ended: nothing waits for consent, nothing is told, the lid is closed."""
        for do, arguments in (("close", {}), ("cancel", {}), ("telemetry", {"every_ms": 0})):
            with suppress(UserError):
                self._exchange(do, **arguments)
