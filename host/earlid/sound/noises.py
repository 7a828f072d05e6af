# SPDX-License-Identifier: MIT
"""Steady noises of a home, made of numbers alone: floats of RMS 1 at 16 kHz. Pink noise is `earlid.sound.mixing`'s."""

from __future__ import annotations

import numpy as np
from scipy import signal

from earlid.gate.audio import RATE_HZ
from earlid.sound.mixing import Floats, pink_noise

HARMONICS_DB = (0.0, -9.0, -14.0, -20.0, -25.0)  # of a transformer or a compressor, at 1 to 5 times the frequency
_FAN_BLADES_HZ = 46.0


def white(samples: int, rng: np.random.Generator) -> Floats:
    """White noise."""
    return unit(rng.standard_normal(samples))


def hum(samples: int, rng: np.random.Generator, hertz: float) -> Floats:
    """A tone with harmonics at random phases, and 40 dB below it pink noise: no microphone is silent."""
    at = np.arange(samples) / RATE_HZ
    sound = np.zeros(samples)
    for place, level_db in enumerate(HARMONICS_DB, 1):
        sound += 10 ** (level_db / 20) * np.sin(2 * np.pi * place * hertz * at + rng.uniform(0, 2 * np.pi))
    return unit(unit(sound) + 0.01 * pink_noise(samples, rng))


def rumble(samples: int, rng: np.random.Generator) -> Floats:
    """Traffic through a wall, steps, a washing machine: below 80 Hz, swelling over seconds; with pink noise 30 dB below."""
    low = signal.sosfilt(signal.butter(4, [20, 80], "bandpass", fs=RATE_HZ, output="sos"), rng.standard_normal(samples))
    every = 2 * RATE_HZ
    turns = samples // every + 2
    swell = 1 + 0.5 * np.interp(np.arange(samples), every * np.arange(turns), rng.uniform(-1, 1, turns))
    return unit(unit(low * swell) + 0.03 * pink_noise(samples, rng))


def fan(samples: int, rng: np.random.Generator) -> Floats:
    """A table fan: broad noise falling 6 dB an octave above 300 Hz, and its blades' tone with harmonics."""
    air = signal.sosfilt(signal.butter(1, 300, fs=RATE_HZ, output="sos"), rng.standard_normal(samples))
    blades = hum(samples, rng, _FAN_BLADES_HZ * rng.uniform(0.9, 1.1))
    return unit(unit(air) + 0.4 * blades)


def active_rms(sound: Floats, frame: int = 512, within_db: float = 25.0) -> float:
    """RMS over the frames within so many decibels of the loudest: a speaker's level without the pauses."""
    if len(sound) < frame:
        return float(np.sqrt(np.mean(sound**2))) if len(sound) else 0.0
    power = np.mean(sound[: len(sound) // frame * frame].reshape(-1, frame) ** 2, axis=1)
    return float(np.sqrt(np.mean(power[power >= power.max() * 10 ** (-within_db / 10)])))


def unit(sound: Floats) -> Floats:
    """The same at RMS 1; silence stays silent."""
    return np.asarray(sound / max(float(np.sqrt(np.mean(sound**2))), 1e-12))
