# SPDX-License-Identifier: MIT
"""Reads recordings of any kind into what the gate hears: 16 kHz, mono, 16 bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from earlid.errors import USAGE, UserError

RATE_HZ = 16000
FULL_SCALE = 32768


def read_audio(path: str | Path) -> NDArray[np.int16]:
    """Samples of a sound file at 16 kHz.

    A file that is 16 kHz, mono and 16 bit comes back as it is, sample for sample. Other rates are converted with soxr
    (highest quality), channels are averaged, other sample formats rounded to 16 bits.

    Args:
        path: WAV, FLAC, Ogg or any other file that libsndfile reads.

    Returns:
        int16 array of shape (samples,).

    Raises:
        UserError: naming the file, when it is missing, is no sound file, or has no samples.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: {'a folder, not a sound file' if path.is_dir() else 'no such file'}", USAGE)
    try:
        with soundfile.SoundFile(path) as file:
            rate_hz, exact = file.samplerate, file.subtype == "PCM_16"
            samples = file.read(dtype="int16" if exact else "float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, ValueError) as error:
        raise UserError(f"{path}: not a sound file that can be read ({error}); WAV and FLAC are", USAGE) from error
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}", USAGE) from error
    if len(samples) == 0:
        raise UserError(f"{path}: has no samples; record it again", USAGE)
    if exact and samples.shape[1] == 1 and rate_hz == RATE_HZ:
        return np.ascontiguousarray(samples[:, 0], dtype=np.int16)
    mono: NDArray[np.float64] = samples.astype(np.float64).mean(axis=1) * (1 if exact else FULL_SCALE)
    if not np.all(np.isfinite(mono)):
        raise UserError(f"{path}: has samples that are not numbers; export it again", USAGE)
    if rate_hz != RATE_HZ:
        mono = soxr.resample(mono, rate_hz, RATE_HZ, quality="VHQ")
    return np.clip(np.round(mono), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
