# SPDX-License-Identifier: MIT
"""Synthetic owners: voices that say a word, and recordings of them in a quiet room."""

from __future__ import annotations

import numpy as np
import soxr
from earlid.gate.audio import RATE_HZ
from earlid.sound import speakers

WORD = "open sesame"


def silence(ms: int) -> np.ndarray:
    """A quiet room."""
    return np.rint(np.random.default_rng(ms).normal(0, 8, ms * RATE_HZ // 1000))


def say(engine: str, voice: str, speed: float = 1.0, text: str = WORD) -> np.ndarray:
    """Samples at 16 kHz of a voice, its pauses at both ends cut off; 16,000 at most."""
    samples, rate_hz = speakers.engine(engine).say(text, voice, speed)
    word = soxr.resample(samples, rate_hz, RATE_HZ)
    loud = np.flatnonzero(np.abs(word) > 0.02 * np.abs(word).max())
    return word[loud[0] : loud[-1]] / np.abs(word).max() * 16000


def recording(*parts: np.ndarray) -> np.ndarray:
    """A recording of 16 bits with half a second of room around."""
    whole = np.concatenate([silence(500), *parts, silence(501)])
    return np.clip(np.rint(whole), -32768, 32767).astype(np.int16)
