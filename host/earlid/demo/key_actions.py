# SPDX-License-Identifier: MIT
"""Key actions of the interactive demo: which key speaks to a virtual board, presses its buttons or unplugs it."""

from __future__ import annotations

from collections.abc import Callable

from earlid.demo.scenes import LEAD_MS, SPEECH
from earlid.virtual.board import VirtualBoard
from earlid.virtual.sound import load


class KeyActions:
    """Maps keys to actions on a board; each action returns a sentence that says what was done.

    Args:
        board: a board whose time runs by itself.
        word: whether somebody can say the board's word: the clips say Alexa.
    """

    def __init__(self, board: VirtualBoard, word: bool = True) -> None:
        self._board = board
        self._held = self._muted = False
        self._powered = True
        self._keys: dict[str, tuple[str, Callable[[], str]]] = {
            "w": ("say the word", lambda: self._play("word-slt", 'Somebody says "Alexa".')),
            "s": ("talk", lambda: self._play("babble-awb", "Somebody talks, without the word.")),
            "t": ("talk button: hold, let go", self._talk),
            "m": ("mute switch: on, off", self._mute),
            "r": ("reset button", self._reset),
            "u": ("unplug, plug in", self._plug),
        }
        if not word:
            del self._keys["w"]

    def press(self, key: str) -> str:
        """Perform a key's action; an empty text for a key without one."""
        entry = self._keys.get(key)
        return entry[1]() if entry else ""

    def help(self) -> str:
        """All keys on one line."""
        return "   ".join(f"{key} {what}" for key, (what, _) in self._keys.items())

    def _play(self, clip: str, text: str) -> str:
        self._board.play_at(self._board.now_ms + LEAD_MS / 2, load(SPEECH / f"{clip}.flac"))
        return text

    def _talk(self) -> str:
        self._held = not self._held
        self._board.talk(self._held)
        return f"The talk button is {'held' if self._held else 'let go'}."

    def _mute(self) -> str:
        self._muted = not self._muted
        self._board.mute(self._muted)
        return f"The mute switch is {'latched: both microphones are cut in copper' if self._muted else 'off'}."

    def _reset(self) -> str:
        self._board.reset_pin()
        return "The reset button is pressed."

    def _plug(self) -> str:
        self._powered = not self._powered
        if self._powered:
            self._board.power_on()
            return "Plugged in."
        self._board.power_cut()
        return "Unplugged: the serial port stays, nobody answers."
