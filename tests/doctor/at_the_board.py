# SPDX-License-Identifier: MIT
"""Who stands at a virtual board in simulated time: hands, eyes and ears, and a port whose reading lets time pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import serial
from earlid.board.link import Link
from earlid.virtual.board import VirtualBoard

STEP_MS = 5


class PortInSimulatedTime:
    """A serial port of a virtual board: while nothing has come, board time passes."""

    port = "virtual"

    def __init__(self, board: VirtualBoard) -> None:
        self._board = board
        self._taken = board.simulation.uart.transmitter.total

    @property
    def in_waiting(self) -> int:
        return self._board.simulation.uart.transmitter.total - self._taken

    def read(self, most: int) -> bytes:
        if not self.in_waiting:
            self._board.run_ms(STEP_MS)
        waiting = self.in_waiting
        if not waiting:
            return b""
        text = bytes(self._board.simulation.uart.transmitter.text[-waiting:])
        self._taken += len(text)
        return text

    def write(self, data: bytes) -> None:
        self._board.send(data)

    def close(self) -> None:
        """Nothing to close."""


def open_link(port: PortInSimulatedTime) -> Link:
    return Link(cast(serial.Serial, port))


class Onlooker:
    """An operator with a virtual board before him.

    blind: a jig, which sees nothing. idle: acts that are not done. says: answers to questions, whatever is there.
    interrupted_at, resets_at: the question, or `open`, at which Ctrl-C or the reset button is pressed.
    """

    kind = "bring-up"
    patience_ms = 3000

    def __init__(
        self,
        board: VirtualBoard,
        *,
        blind: bool = False,
        consent: bool = True,
        idle: tuple[str, ...] = (),
        says: Mapping[str, bool] | None = None,
        interrupted_at: str = "",
        resets_at: str = "",
    ) -> None:
        self.board, self.blind, self.consent, self.idle = board, blind, consent, idle
        self.says, self.interrupted_at, self.resets_at = says or {}, interrupted_at, resets_at
        self.pressed = 0

    def consents(self) -> bool:
        return self.consent

    def sees(self, key: str, question: str) -> bool | None:
        self._happens(key)
        if self.blind:
            return None
        return self.says[key] if key in self.says else bool(getattr(self, f"_{key}")())

    def throw(self, latched: bool) -> None:
        self.board.mute(latched)
        self.board.run_ms(50)

    def press_talk(self) -> None:
        if "press" in self.idle:
            return
        self.hold_talk()
        self.board.run_ms(150)
        self.let_go()

    def hold_talk(self) -> None:
        self.pressed += 1
        self.board.talk(True)
        if self.interrupted_at == "open":
            self.board.run_ms(300)
            assert self.board.leds["amber_guarded"]
            self.board.talk(False)
        self._happens("open")

    def throw_now(self) -> None:
        if "throw" not in self.idle:
            self.board.run_ms(200)
            self.board.mute(True)

    def let_go(self) -> None:
        self.board.talk(False)
        self.board.run_ms(100)

    def _happens(self, key: str) -> None:
        if key == self.interrupted_at:
            raise KeyboardInterrupt
        if key == self.resets_at:
            self.board.reset_pin()

    # Eyes and ears

    def _red(self) -> bool:
        leds = self.board.leds
        return bool(leds["red"]) and not leds["amber_sentinel"] and not leds["amber_guarded"]

    def _amber1(self) -> bool:
        return bool(self.board.leds["amber_sentinel"]) and not self.board.leds["red"]

    def _microphone(self) -> bool:
        return self.board.microphone != "dead"

    def _heard(self, relay: str) -> bool:
        return any(value and at > self.board.now_ms - 4000 for at, value in self.board.events(relay))

    def _click1(self) -> bool:
        return self._heard("sentinel_relay")

    def _click2(self) -> bool:
        return self._heard("guarded_relay")

    def _amber2(self) -> bool:
        return "amber_guarded" not in self.board.dead_lamps and self._heard("guarded_rail")

    def _muted(self) -> bool:
        return self._red() or "red" in self.board.dead_lamps

    def _changes(self, name: str, what: str, seconds: float) -> int:
        before = len(self.board.events(what))
        self.board.run_ms(1000 * seconds)
        return 0 if name in self.board.dead_lamps else len(self.board.events(what)) - before

    def _status(self) -> bool:
        return self._changes("status", "status_led", 1.2) >= 6

    def _buzzer(self) -> bool:
        return self._changes("buzzer", "buzzer", 3.2) >= 6
