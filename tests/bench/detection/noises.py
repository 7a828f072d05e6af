# SPDX-License-Identifier: MIT
"""Noises of a home, synthetic and recorded, as floats of RMS 1 (`steady`, `hum`) or relative to full scale.

Pink noise, and how recordings are stretched, are `earlid.evaluate.mixing`'s.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from earlid.evaluate.mixing import RATE_HZ, Floats, pink_noise, stretch
from scipy import signal

from tests.bench.detection import data

HARMONICS_DB = (0.0, -9.0, -14.0, -20.0, -25.0)  # of a transformer or a compressor, at 1 to 5 times the frequency
_FAN_BLADES_HZ = 46.0
_VACUUM_S = 1.2  # in which its motor runs up
_KETTLE_S = 25.0  # from switching on to its full noise


def white(samples: int, rng: np.random.Generator) -> Floats:
    """White noise."""
    return _unit(rng.standard_normal(samples))


def hum(samples: int, rng: np.random.Generator, hertz: float) -> Floats:
    """A tone with harmonics at random phases, and 40 dB below it pink noise: no microphone is silent."""
    at = np.arange(samples) / RATE_HZ
    sound = np.zeros(samples)
    for place, level_db in enumerate(HARMONICS_DB, 1):
        sound += 10 ** (level_db / 20) * np.sin(2 * np.pi * place * hertz * at + rng.uniform(0, 2 * np.pi))
    return _unit(_unit(sound) + 0.01 * pink_noise(samples, rng))


def rumble(samples: int, rng: np.random.Generator) -> Floats:
    """Traffic through a wall, steps, a washing machine: below 80 Hz, swelling over seconds; with pink noise 30 dB below."""
    low = signal.sosfilt(signal.butter(4, [20, 80], "bandpass", fs=RATE_HZ, output="sos"), rng.standard_normal(samples))
    every = 2 * RATE_HZ
    turns = samples // every + 2
    swell = 1 + 0.5 * np.interp(np.arange(samples), every * np.arange(turns), rng.uniform(-1, 1, turns))
    return _unit(_unit(low * swell) + 0.03 * pink_noise(samples, rng))


def fan(samples: int, rng: np.random.Generator) -> Floats:
    """A table fan: broad noise falling 6 dB an octave above 300 Hz, and its blades' tone with harmonics."""
    air = signal.sosfilt(signal.butter(1, 300, fs=RATE_HZ, output="sos"), rng.standard_normal(samples))
    blades = hum(samples, rng, _FAN_BLADES_HZ * rng.uniform(0.9, 1.1))
    return _unit(_unit(air) + 0.4 * blades)


def recorded(name: str) -> Callable[[int, np.random.Generator], Floats]:
    """The household recordings whose name begins so ("" for all), one of them at random, repeated from a random place on."""

    def make(samples: int, rng: np.random.Generator) -> Floats:
        clips = [clip for clip in data.household() if clip.name.startswith(f"household/{name}")]
        if not clips:
            raise data.Missing(f"no household recording named {name}")
        return stretch(clips[int(rng.integers(len(clips)))].pcm(), samples, rng)

    return make


def vacuum_starting(samples: int, rng: np.random.Generator) -> Floats:
    """A vacuum cleaner switched on at the first sample: its level and pitch rise within 1.2 s. RMS 1 when it runs."""
    running = recorded("vacuuming")(samples, rng)
    runs_up = np.minimum(1.0, np.arange(samples) / (_VACUUM_S * RATE_HZ))
    whine = np.sin(2 * np.pi * np.cumsum(40 + 560 * runs_up) / RATE_HZ)
    return np.asarray(running * runs_up**2 + 0.3 * whine * runs_up * (1 - 0.8 * runs_up))


def kettle_starting(samples: int, rng: np.random.Generator) -> Floats:
    """An electric kettle switched on at the first sample: hiss that grows and brightens for 25 s. RMS 1 when it is loudest."""
    hiss = signal.sosfilt(signal.butter(2, [500, 3000], "bandpass", fs=RATE_HZ, output="sos"), rng.standard_normal(samples))
    rush = signal.sosfilt(signal.butter(2, [80, 600], "bandpass", fs=RATE_HZ, output="sos"), rng.standard_normal(samples))
    grown = np.minimum(1.0, np.arange(samples) / (_KETTLE_S * RATE_HZ))
    return np.asarray(10 ** (-1.5 * (1 - grown)) * (_unit(hiss) * 0.8 + _unit(rush) * 0.6))


def level_steps(samples: int, rng: np.random.Generator, first_db: float, then_db: float, step_s: float) -> Floats:
    """Pink noise of one level (decibels over RMS 1) that steps to another after so many seconds."""
    levels = np.where(np.arange(samples) < step_s * RATE_HZ, first_db, then_db)
    return np.asarray(pink_noise(samples, rng) * 10 ** (levels / 20))


def speech(half: data.Half, samples: int, rng: np.random.Generator) -> Floats:
    """Somebody talking on, as on television: recordings of one half in random order, each as loud as the next, with pauses
    of 0.2 to 1.2 s. RMS 1 while somebody talks (`active_rms`)."""
    clips = [clip for clip in data.negatives(half, "speech") if clip.source.startswith("talk-")]
    out = np.zeros(samples)
    at = 0
    while at < samples:
        sound = clips[int(rng.integers(len(clips)))].pcm().astype(np.float64)
        rms = active_rms(sound)
        if rms < 1:
            continue
        part = sound[: samples - at] / rms
        out[at : at + len(part)] = part
        at += len(sound) + int(RATE_HZ * rng.uniform(0.2, 1.2))
    return out


def active_rms(sound: Floats, frame: int = 512, within_db: float = 25.0) -> float:
    """RMS over the frames within so many decibels of the loudest: a speaker's level without the pauses."""
    if len(sound) < frame:
        return float(np.sqrt(np.mean(sound**2))) if len(sound) else 0.0
    power = np.mean(sound[: len(sound) // frame * frame].reshape(-1, frame) ** 2, axis=1)
    return float(np.sqrt(np.mean(power[power >= power.max() * 10 ** (-within_db / 10)])))


def _unit(sound: Floats) -> Floats:
    return np.asarray(sound / max(float(np.sqrt(np.mean(sound**2))), 1e-12))
