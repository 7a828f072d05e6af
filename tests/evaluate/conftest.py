# SPDX-License-Identifier: MIT
"""Fixtures: small folders of recordings, the demo's spoken words and noise."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from earlid.gate.audio import read_audio

SPEECH = Path(__file__).parents[2] / "host" / "earlid" / "demo" / "speech"
RATE_HZ = 16000
SEED = 11


def write_words(folder, count=6):
    """Words by three voices, at several rates and levels, on their own faint noise."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    clips = [read_audio(path).astype(float) for path in sorted(SPEECH.glob("word-*.flac"))]
    for number in range(count):
        clip = clips[number % len(clips)] * rng.uniform(0.3, 1.0)
        samples = np.concatenate([np.zeros(3200), clip, np.zeros(3200)])
        samples += rng.normal(0, 6, len(samples))
        name = folder / f"word_{number}.{'flac' if number % 2 else 'wav'}"
        soundfile.write(name, np.clip(np.rint(samples), -32768, 32767).astype(np.int16), RATE_HZ)


def write_noise(folder, seconds=12.0, files=("hiss_1", "hiss_2", "talk_1")):
    """Steady noise, and some talk without the word."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    talk = np.concatenate([read_audio(path) for path in sorted(SPEECH.glob("babble-*.flac"))])
    for name in files:
        samples = rng.normal(0, 90, int(seconds * RATE_HZ))
        if name.startswith("talk"):
            samples += np.resize(talk, len(samples))
        soundfile.write(folder / f"{name}.wav", np.clip(np.rint(samples), -32768, 32767).astype(np.int16), RATE_HZ)


@pytest.fixture(autouse=True)
def _no_terminal_of_its_own(monkeypatch):
    """Tables are as wide and as plain as they are for a file, whatever the tests were started from."""
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    """(folder of words, folder without them)."""
    root = tmp_path_factory.mktemp("recordings")
    write_words(root / "words")
    write_noise(root / "noise")
    return root / "words", root / "noise"
