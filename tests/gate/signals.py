# SPDX-License-Identifier: MIT
"""Signals for the gate's tests: speech made on the spot, music-like sounds, noises, and the edge cases of 16 bits.

Everything is int16 at 16 kHz and follows from a seed. Speech is made by the Debian packages `espeak-ng` and `flite`
and kept in a folder of the system's temporary directory; where a synthesiser is missing, the tests that want it skip.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

RATE_HZ = 16000
SEED = 20240611

Samples = NDArray[np.int16]

SENTENCES = [
    "Alexa, what is the weather like tomorrow?",
    "She sells sea shells by the sea shore.",
    "Hey Jarvis. Okay Nabu. Hey Mycroft.",
    "The quick brown fox jumps over the lazy dog, seven times a week.",
]
ESPEAK_VOICES = ["en-us", "en-gb+f3", "de+m4", "fr+f2"]
FLITE_VOICES = ["slt", "rms", "awb", "kal16"]


def to_int16(signal: NDArray[np.float64]) -> Samples:
    """Round and clip."""
    return np.clip(np.round(signal), -32768, 32767).astype(np.int16)


def _cached(key: str, make: Callable[[Path], None]) -> Samples:
    folder = Path(tempfile.gettempdir()) / f"earlid-test-speech-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    path = folder / (hashlib.sha256(key.encode()).hexdigest()[:24] + ".wav")
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=folder) as work:
            fresh = Path(work) / "speech.wav"
            make(fresh)
            fresh.replace(path)
    audio, rate = soundfile.read(path, dtype="float64")
    return to_int16(soxr.resample(audio, rate, RATE_HZ) * 32767)


def _need(tool: str) -> str:
    found = shutil.which(tool)
    if found is None:
        pytest.skip(f"{tool} is not installed (Debian package {tool})")
    return found


def espeak(text: str, voice: str = "en-us", words_per_minute: int = 160) -> Samples:
    """A sentence by espeak-ng."""
    tool = _need("espeak-ng")

    def make(path: Path) -> None:
        command = [tool, "-v", voice, "-s", str(words_per_minute), "-w", str(path), text]
        subprocess.run(command, check=True, capture_output=True, timeout=300)

    return _cached(f"espeak-ng {voice} {words_per_minute} {text}", make)


def flite(text: str, voice: str = "slt") -> Samples:
    """A sentence by flite."""
    tool = _need("flite")

    def make(path: Path) -> None:
        command = [tool, "-voice", voice, "-t", text, "-o", str(path)]
        subprocess.run(command, check=True, capture_output=True, timeout=300)

    return _cached(f"flite {voice} {text}", make)


def at_dbfs(signal: NDArray[np.floating | np.int16], dbfs: float) -> Samples:
    """Scale to a root mean square of `dbfs` decibels relative to a full-scale square wave."""
    samples = signal.astype(np.float64)
    rms = float(np.sqrt(np.mean(samples**2))) or 1.0
    return to_int16(samples * (32768 * 10 ** (dbfs / 20) / rms))


def white(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    return rng.standard_normal(count)


def pink(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(rng.standard_normal(count))
    return np.fft.irfft(spectrum / np.sqrt(np.arange(1, len(spectrum) + 1)), count)


def hum(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """A fan or a transformer: a low tone with harmonics, and some noise."""
    time_s = np.arange(count) / RATE_HZ
    base_hz = rng.uniform(45, 130)
    tones = [np.sin(2 * np.pi * base_hz * n * time_s + rng.uniform(0, 6)) / n for n in range(1, 8)]
    return np.sum(tones, axis=0) + 0.3 * rng.standard_normal(count)


def chords(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Something like music: plucked chords that follow each other."""
    out = np.zeros(count)
    at = 0
    while at < count:
        length = int(rng.uniform(0.1, 0.5) * RATE_HZ)
        time_s = np.arange(min(length, count - at)) / RATE_HZ
        for _ in range(int(rng.integers(1, 5))):
            note_hz = 55 * 2 ** (rng.integers(0, 60) / 12)
            for harmonic in range(1, 6):
                if harmonic * note_hz < RATE_HZ / 2:
                    decay = np.exp(-time_s * harmonic * 6)
                    out[at : at + len(time_s)] += decay * np.sin(2 * np.pi * note_hz * harmonic * time_s) / harmonic
        at += length
    return out


def sweep(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    time_s = np.arange(count) / RATE_HZ
    rate = rng.uniform(100, 8000) / (count / RATE_HZ)
    return np.sin(np.pi * rate * time_s**2)


def clicks(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    return rng.standard_normal(count) * (rng.random(count) < rng.uniform(1e-4, 1e-2))


def square(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    return np.sign(np.sin(2 * np.pi * rng.uniform(20, 7900) * np.arange(count) / RATE_HZ + 0.1))


SOUNDS = [white, pink, hum, chords, sweep, clicks, square]


def mixtures(seed: int, minutes: float) -> Samples:
    """Stretches of 0.2 to 6 s, each of one to three sounds, at levels from -90 to 0 dBFS, sometimes with an offset."""
    rng = np.random.default_rng(seed)
    pieces: list[Samples] = []
    left = int(minutes * 60 * RATE_HZ)
    while left > 0:
        count = min(left, int(rng.uniform(0.2, 6) * RATE_HZ))
        total = np.zeros(count)
        for _ in range(int(rng.integers(1, 4))):
            total += at_dbfs(SOUNDS[int(rng.integers(len(SOUNDS)))](rng, count), rng.uniform(-90, 0))
        if rng.random() < 0.1:
            total += rng.uniform(-32768, 32767)
        pieces.append(to_int16(total))
        left -= count
    return np.concatenate(pieces)


def edge_cases(seed: int, seconds: float = 1.0) -> dict[str, Samples]:
    """Silence, constants, impulses and clipping: whatever sits at an edge of the arithmetic."""
    rng = np.random.default_rng(seed)
    count = int(seconds * RATE_HZ)
    sparse = np.arange(count) % 1601
    index = np.arange(count)
    time_s = index / RATE_HZ
    step = np.where(index < count // 2, 0.0, 32767.0)
    signals = {
        "silence": np.zeros(count),
        "constant 1": np.ones(count),
        "constant -1": -np.ones(count),
        "constant 32767": np.full(count, 32767.0),
        "constant -32768": np.full(count, -32768.0),
        "step to 32767": step,
        "step to -32768": -32768.0 * (step > 0),
        "impulses 1": 1.0 * (sparse == 800),
        "impulses 32767": 32767.0 * (sparse == 800),
        "impulses -32768": -32768.0 * (sparse == 800),
        "pair -32768, 1": np.where(sparse == 800, -32768.0, np.where(sparse == 803, 1.0, 0.0)),
        "alternating": np.where(index % 2, 32767.0, -32768.0),
        "two by two": np.where(index % 4 < 2, 32767.0, -32768.0),
        "coin tosses at full scale": rng.choice([-32768.0, 32767.0], count),
        "coin tosses of one": rng.integers(-1, 2, count).astype(float),
        "negative powers of two": -(2.0 ** rng.integers(0, 16, count)) * (rng.random(count) < 0.01),
        "clipped speech band": 1e5 * np.sin(2 * np.pi * 300 * time_s) * np.sin(2 * np.pi * 3 * time_s),
        "noise over full scale": 1e5 * rng.standard_normal(count),
    }
    for tone_hz in (31.25, 50, 125, 440, 1000, 3999, 7500, 7999):
        sine = np.sin(2 * np.pi * tone_hz * time_s)
        signals[f"square {tone_hz} Hz"] = np.where(sine >= 0, 32767.0, -32768.0)
        signals[f"sine {tone_hz} Hz"] = 32767 * sine
    return {name: to_int16(signal) for name, signal in signals.items()}
