# SPDX-License-Identifier: MIT
"""Sounds of a household that take recordings, or change while they last: appliances switched on, talk, steps of level."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from earlid.gate.audio import RATE_HZ
from earlid.sound.mixing import Floats, pink_noise, stretch
from earlid.sound.noises import active_rms, unit
from scipy import signal

from tests.bench.detection import data

_VACUUM_S = 1.2  # in which its motor runs up
_KETTLE_S = 25.0  # from switching on to its full noise


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
    return np.asarray(10 ** (-1.5 * (1 - grown)) * (unit(hiss) * 0.8 + unit(rush) * 0.6))


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
