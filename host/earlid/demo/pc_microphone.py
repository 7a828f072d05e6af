# SPDX-License-Identifier: MIT
"""PC microphone: this computer's microphone as the sound of a virtual board (optional package: sounddevice)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from earlid.errors import FAILED, USAGE, UserError
from earlid.virtual.board import VirtualBoard
from earlid.virtual.sound import RATE_HZ

BLOCK_SAMPLES = 320


def load_sounddevice() -> Any:
    """Import the optional package sounddevice. Raises UserError, code 2, when PortAudio is missing."""
    try:
        import sounddevice
    except OSError as error:
        raise UserError(f"--mic needs PortAudio ({error}): on Debian `apt-get install libportaudio2`.", USAGE) from error
    return sounddevice


@contextmanager
def feeding(board: VirtualBoard) -> Iterator[None]:
    """Feed a board the PC's microphone, 20 ms at a time; nothing is stored.

    Raises:
        UserError: code 2 when the package is missing, 1 when there is no microphone or it cannot be opened.
    """
    sounddevice = load_sounddevice()

    def on_block(block: np.ndarray, frames: int, when: object, status: object) -> None:
        board.push_sound(block[:, 0].astype(np.int16))

    try:
        stream = sounddevice.InputStream(RATE_HZ, BLOCK_SAMPLES, channels=1, dtype="int16", callback=on_block)
    except (sounddevice.PortAudioError, ValueError) as error:
        raise UserError(f"this PC's microphone cannot be opened: {error}. Use --wav FILE instead.", FAILED) from error
    with stream:
        yield
