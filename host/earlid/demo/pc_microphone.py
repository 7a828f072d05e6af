# SPDX-License-Identifier: MIT
"""This PC's microphone as the sound around a virtual board (optional package: sounddevice)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from earlid.errors import FAILED, USAGE, UserError
from earlid.virtual.board import VirtualBoard
from earlid.virtual.sound import RATE_HZ

BLOCK_SAMPLES = 320


def package() -> Any:
    """The package sounddevice, which not everybody needs. Raises UserError, code 2, when it is missing."""
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: the package is there, PortAudio is not
        raise UserError(
            f"--mic needs the package sounddevice and PortAudio ({error}): `pip install sounddevice` into the environment that "
            "earlid runs in; on Debian also `apt-get install libportaudio2`.",
            USAGE,
        ) from error
    return sounddevice


@contextmanager
def listening(board: VirtualBoard) -> Iterator[None]:
    """Feed the board what the PC hears, 20 ms at a time; nothing is kept.

    Raises:
        UserError: code 2 when the package is missing, 1 when there is no microphone or it cannot be opened.
    """
    sounddevice = package()

    def hear(block: np.ndarray, frames: int, when: object, status: object) -> None:
        board.push_sound(block[:, 0].astype(np.int16))

    try:
        stream = sounddevice.InputStream(RATE_HZ, BLOCK_SAMPLES, channels=1, dtype="int16", callback=hear)
    except (sounddevice.PortAudioError, ValueError) as error:
        raise UserError(f"this PC's microphone cannot be opened: {error}. Use --wav FILE instead.", FAILED) from error
    with stream:
        yield
