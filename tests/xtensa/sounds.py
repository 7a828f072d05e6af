# SPDX-License-Identifier: MIT
"""Seeded sounds for the emulated gate: something with speech's rhythm and spectrum, and the loud ends of 16 bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16000
Samples = NDArray[np.int16]


def speech_like(seed: int, seconds: float, dbfs: float = -20.0) -> Samples:
    """Voiced syllables with gliding pitch and three formants, hisses between them, pauses, and a little noise."""
    rng = np.random.default_rng(seed)
    count = int(seconds * RATE_HZ)
    out = np.zeros(count)
    at = 0
    while at < count:
        length = int(rng.uniform(0.08, 0.3) * RATE_HZ)
        time_s = np.arange(min(length, count - at)) / RATE_HZ
        envelope = np.sin(np.pi * np.arange(len(time_s)) / length) ** 0.7
        if rng.random() < 0.7:
            pitch_hz = rng.uniform(90, 240) * (1 + rng.uniform(-0.2, 0.2) * time_s * 4)
            formants_hz = (rng.uniform(250, 850), rng.uniform(850, 2400), rng.uniform(2300, 3600))
            phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ
            for harmonic in range(1, 25):
                tone_hz = harmonic * pitch_hz.mean()
                gain = sum(np.exp(-(((tone_hz - f) / 160) ** 2)) for f in formants_hz) + 0.02
                out[at : at + len(time_s)] += gain * envelope * np.sin(harmonic * phase)
        else:
            out[at : at + len(time_s)] += np.diff(rng.standard_normal(len(time_s) + 1)) * envelope * 0.6
        at += length + (int(rng.uniform(0.1, 0.4) * RATE_HZ) if rng.random() < 0.2 else 0)
    out += rng.standard_normal(count) * 0.002 * np.abs(out).max()
    return np.clip(np.rint(out * 32768 * 10 ** (dbfs / 20) / np.sqrt(np.mean(out**2))), -32768, 32767).astype(np.int16)


def loud_ends(seed: int, seconds: float = 0.15) -> Samples:
    """Pieces that drive 32-bit arithmetic to its limits: full scale of several shapes, an impulse, silence between."""
    rng = np.random.default_rng(seed)
    count = int(seconds * RATE_HZ)
    quiet = np.zeros(count // 3)
    impulse = quiet.copy()
    impulse[100] = -32768
    square = np.where(np.arange(count) // 27 % 2, 32767, -32768)
    pieces = [np.full(count, -32768.0), quiet, np.full(count, 32767.0), square]
    pieces += [rng.choice([-32768.0, 32767.0], count), impulse, np.where(np.arange(count) % 2, 32767.0, -32768.0)]
    pieces += [rng.normal(0, 60000, count), quiet, speech_like(seed, seconds, 0.0)]
    return np.clip(np.rint(np.concatenate(pieces)), -32768, 32767).astype(np.int16)


def room(seed: int, seconds: float, dbfs: float = -65.0) -> Samples:
    """A quiet room: steady noise."""
    rng = np.random.default_rng(seed)
    return np.rint(rng.standard_normal(int(seconds * RATE_HZ)) * 32768 * 10 ** (dbfs / 20)).astype(np.int16)
