# SPDX-License-Identifier: MIT
"""Who acts at the board in a bring-up or a production test: a person at the terminal, or a jig at a second serial port.

The host opens no lid. Whoever is named here presses the talk button; the host watches.
"""

from __future__ import annotations

import sys
import time
from typing import Protocol, TextIO

import serial

from earlid.board.port import OPEN_ERRORS, PORT_ERRORS
from earlid.errors import NO_BOARD, UserError

PRESS_S = 0.2
SETTLE_S = 0.1  # of the jig's relays


class Operator(Protocol):
    """Acts at the board, and looks at it."""

    kind: str
    patience_ms: int
    """How long an act may take, by the board's clock."""

    def consents(self) -> bool:
        """Whether nothing is connected behind the lid, and both relays may be tried."""

    def sees(self, key: str, question: str) -> bool | None:
        """What is seen or heard; None where nobody looks."""

    def throw(self, latched: bool) -> None:
        """Throw the mute switch; returns when it is thrown."""

    def press_talk(self) -> None:
        """Have the talk button pressed once; may return before it is."""

    def hold_talk(self) -> None:
        """Have the talk button held; may return before it is."""

    def throw_now(self) -> None:
        """The lid is open: have the mute switch thrown to MUTE; may return before it is."""

    def let_go(self) -> None:
        """The talk button is let go."""


class Person:
    """Somebody at the terminal: one question or act at a time, on `err`; answers come from `answers`."""

    kind = "bring-up"
    patience_ms = 60_000

    def __init__(self, answers: TextIO | None = None, err: TextIO | None = None) -> None:
        self._answers = answers or sys.stdin
        self._err = err or sys.stderr

    def _tell(self, text: str, end: str = "\n") -> None:
        print(f"\n{text}", end=end, file=self._err, flush=True)

    def _answer(self) -> str:
        line = self._answers.readline()
        if not line:  # Ctrl-D
            raise KeyboardInterrupt
        return line.strip().lower()

    def _ask(self, question: str) -> bool:
        while True:
            self._tell(f"{question} [y/n] ", end="")
            answer = self._answer()
            if answer in ("y", "yes", "n", "no"):
                return answer.startswith("y")

    def consents(self) -> bool:
        return self._ask(
            "Both relays will click, and the supply behind the lid will come and go.\n"
            "Take every microphone and device off the guarded side. (A usb or electret board: leave the host's side on, so that\n"
            "there is a voltage to switch.) Is no microphone connected behind the lid, and may both relays be tried?"
        )

    def sees(self, key: str, question: str) -> bool | None:
        return self._ask(question)

    def throw(self, latched: bool) -> None:
        self._tell(f"Throw the mute switch to {'MUTE' if latched else 'ARM'}, then press Enter. ", end="")
        self._answer()

    def press_talk(self) -> None:
        self._tell("Press the talk button once, briefly. Watch the lid's amber light and listen for its relay.")

    def hold_talk(self) -> None:
        self._tell(
            "Now with two hands: press the talk button and keep it down. While the lid's amber light is on,\n"
            "throw the mute switch to MUTE. Then let go of the button. Watch all three lights."
        )

    def throw_now(self) -> None:
        self._tell("The lid is open. MUTE now.")

    def let_go(self) -> None:
        """Nothing to say: the text of `hold_talk` did."""


class Jig:
    """`hardware.jig` at a serial adapter: RTS on is ARM (off, or unplugged, is MUTE), DTR on presses the talk button.

    Args:
        port: the adapter's device name, or an open port.

    Raises:
        UserError: code 3 when the port cannot be opened.
    """

    kind = "production test"
    patience_ms = 2_000

    def __init__(self, port: str | serial.Serial) -> None:
        self._port = serial.Serial() if isinstance(port, str) else port
        try:
            self._port.rts = self._port.dtr = False
            if isinstance(port, str):
                self._port.port = port
                self._port.exclusive = True
                self._port.open()
        except OPEN_ERRORS as error:
            text = f"the jig at {port} cannot be opened: {error}. Name its serial adapter with --jig."
            raise UserError(text, NO_BOARD) from error

    def _set(self, line: str, on: bool) -> None:
        try:
            setattr(self._port, line, on)
        except PORT_ERRORS as error:
            raise UserError(f"the jig is gone: {error}. Plug its serial adapter in again.", NO_BOARD) from error

    def close(self) -> None:
        """Leave the board in MUTE, with the button let go."""
        try:
            self._port.dtr = self._port.rts = False
        except PORT_ERRORS:  # it was unplugged: both are off
            pass
        self._port.close()

    def consents(self) -> bool:
        return True  # whoever put the board on the jig: its pins are all that is connected

    def sees(self, key: str, question: str) -> bool | None:
        return None

    def throw(self, latched: bool) -> None:
        self._set("rts", not latched)
        time.sleep(SETTLE_S)

    def press_talk(self) -> None:
        self.hold_talk()
        time.sleep(PRESS_S)
        self.let_go()

    def hold_talk(self) -> None:
        self._set("dtr", True)

    def throw_now(self) -> None:
        self._set("rts", False)

    def let_go(self) -> None:
        self._set("dtr", False)
