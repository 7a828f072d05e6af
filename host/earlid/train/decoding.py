# SPDX-License-Identifier: MIT
"""Samples of files as packages hold them: what libsndfile reads, bare G.722, and games' files with many recordings in one."""

from __future__ import annotations

import tempfile
import wave
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earlid.errors import UserError
from earlid.gate.audio import RATE_HZ, read_audio
from earlid.train.talkies import SKY_HZ, queen_speech, sky_speech

_SKY_LISTING, _SKY_DATA, _QUEEN = "sky.dnr", "sky.dsk", "queen.1c"

Pcm = NDArray[np.int16]


def recordings(files: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, str, Pcm]]:
    """(path of the file, recording in it, its samples at 16 kHz) of (path, content); what holds no sound is left out.

    A file that is one recording has its own name as the recording's.

    Raises:
        UserError: a game's file is damaged.
    """
    listing = b""
    with tempfile.TemporaryDirectory() as scratch:
        sound = Path(scratch) / "sound"
        for path, content in files:
            name = Path(path).name
            try:
                if name == _SKY_LISTING:
                    listing = content
                elif name == _SKY_DATA:
                    for part, samples in sky_speech(listing, content):
                        _write_wav(sound, samples)
                        yield path, part, _read(sound)
                elif name == _QUEEN:
                    for part, mp3 in queen_speech(content):
                        sound.write_bytes(mp3)
                        yield path, part, _read(sound)
                else:
                    sound.write_bytes(content)
                    yield path, name, _g722(sound) if name.endswith(".g722") else _read(sound)
            except (ValueError, IndexError) as error:
                raise UserError(f"{path} is damaged: {error}. Build again.") from error


def _write_wav(path: Path, samples: bytes) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 1, SKY_HZ, 0, "NONE", ""))
        file.writeframes(samples)


def _read(path: Path) -> Pcm:
    try:
        return read_audio(path)
    except UserError:  # some prompts are empty
        return np.zeros(0, np.int16)


def _g722(path: Path) -> Pcm:
    """Samples of bare ITU-T G.722 at 64 kbit/s, which libsndfile does not read."""
    import av

    with av.open(str(path), format="g722") as file:
        assert file.streams.audio[0].rate == RATE_HZ
        frames = [frame.to_ndarray()[0] for frame in file.decode(audio=0)]
    return np.concatenate(frames).astype(np.int16) if frames else np.zeros(0, np.int16)
