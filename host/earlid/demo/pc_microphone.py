# SPDX-License-Identifier: MIT
"""PC microphone: this computer's microphone as the sound of a virtual board."""

from __future__ import annotations

from contextlib import AbstractContextManager

from earlid.sound import microphone
from earlid.virtual.board import VirtualBoard


def feeding(board: VirtualBoard) -> AbstractContextManager[None]:
    """Feed a board what the microphone hears, 20 ms at a time; nothing is stored. Errors as of `microphone.listening`."""
    return microphone.listening(board.push_sound, "Use --wav FILE instead.")
