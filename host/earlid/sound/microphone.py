# SPDX-License-Identifier: MIT
"""This computer's own microphone (optional package: sounddevice). Nothing is stored here."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earlid.errors import FAILED, USAGE, UserError
from earlid.gate.audio import RATE_HZ

BLOCK_SAMPLES = 320


def load_sounddevice() -> Any:
    """Import the optional package sounddevice. Raises UserError, code 2, when PortAudio is missing."""
    try:
        import sounddevice
    except OSError as error:
        raise UserError(f"a microphone needs PortAudio ({error}): on Debian `apt-get install libportaudio2`.", USAGE) from error
    return sounddevice


@contextmanager
def listening(heard: Callable[[NDArray[np.int16]], None], next_step: str) -> Iterator[None]:
    """Hand on what the microphone hears, 16 kHz and 20 ms at a time, from PortAudio's thread, while the block runs.

    Args:
        heard: takes each block of int16 samples, shape (320,); it must not wait.
        next_step: a sentence for people, put behind what went wrong.

    Raises:
        UserError: code 2 when PortAudio is missing, 1 when there is no microphone or it cannot be opened.
    """

    def on_block(block: np.ndarray, frames: int, when: object, status: object) -> None:
        heard(block[:, 0].astype(np.int16))

    with _stream(next_step, callback=on_block):
        yield


def blocks(next_step: str) -> Generator[NDArray[np.int16] | None]:
    """What the microphone hears, 16 kHz and 20 ms at a time, for as long as somebody asks.

    Yields:
        int16 arrays of shape (320,); None where samples were lost, because nobody asked in time.

    Raises:
        UserError: as `listening`; also when the microphone goes away.
    """
    with _stream(next_step) as stream:
        while True:
            try:
                block, lost = stream.read(BLOCK_SAMPLES)
            except load_sounddevice().PortAudioError as error:
                raise UserError(f"this computer's microphone is gone: {error}. {next_step}", FAILED) from error
            if lost:
                yield None
            yield block[:, 0]


@contextmanager
def _stream(next_step: str, **more: Any) -> Iterator[Any]:
    sounddevice = load_sounddevice()
    try:
        stream = sounddevice.InputStream(RATE_HZ, BLOCK_SAMPLES, channels=1, dtype="int16", **more)
        stream.start()
    except (sounddevice.PortAudioError, ValueError) as error:
        raise UserError(f"this computer's microphone cannot be opened: {error}. {next_step}", FAILED) from error
    with stream:
        yield stream
