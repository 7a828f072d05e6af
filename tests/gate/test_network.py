# SPDX-License-Identifier: MIT
"""Every output byte of every published network equals TensorFlow Lite's reference kernels."""

from __future__ import annotations

import functools

import networks
import numpy as np
import pytest
import signals
from earlid.gate import models

SEED = 20261122


@functools.cache
def heard() -> networks.Columns:
    """Features of speech in several voices at several levels, music-like sounds, noise, silence and full scale."""
    rng = np.random.default_rng(SEED)
    pieces = [np.zeros(8000, np.int16)]
    words = ["Alexa", "Hey Jarvis", "Okay Nabu", "Hey Mycroft"]
    for number, word in enumerate(words):
        pieces += [signals.flite(word, signals.FLITE_VOICES[number]), np.zeros(4000, np.int16)]
        pieces += [signals.espeak(word, signals.ESPEAK_VOICES[number]), signals.at_dbfs(signals.flite(word), -45)]
    pieces += [signals.espeak(text) for text in signals.SENTENCES]
    pieces += [np.full(4000, 32767, np.int16), rng.choice(np.array([-32768, 32767], np.int16), 24000)]
    pieces.append(signals.mixtures(SEED, 1.0))
    return networks.features(np.concatenate(pieces))


@functools.cache
def invented() -> networks.Columns:
    """Sequences that no sound makes: uniform, extreme, sparse and slowly wandering features, up to 65535."""
    rng = np.random.default_rng(SEED)
    wander = np.abs(np.cumsum(rng.normal(0, 30, (900, 40)), axis=0)) % 700
    extremes = rng.choice(np.array([0, 1, 332, 333, 665, 666, 1664, 32767, 65534, 65535]), (900, 40))
    parts = [
        rng.integers(0, 700, (900, 40)), rng.integers(0, 65536, (900, 40)), extremes, rng.random((900, 40)) ** 6 * 800,
        wander, np.zeros((90, 40)), np.full((90, 40), 65535),
    ]  # fmt: skip
    return np.concatenate(parts).astype(np.uint16)


@pytest.mark.parametrize("name", models.builtin_names())
@pytest.mark.parametrize("kind", ["heard", "invented"])
def test_network_outputs_equal_the_reference_kernels(name: str, kind: str) -> None:
    columns = heard() if kind == "heard" else invented()
    model = models.load(name)
    expected = networks.reference(model.manifest.model.read_bytes(), columns)
    found = networks.outputs_on_micropython(model.blob, columns)
    assert len(found) == len(expected) == len(columns) // model.network.stride
    wrong = [at for at in range(len(expected)) if found[at] != expected[at]]
    assert not wrong, f"{len(wrong)} of {len(expected)} differ, first at inference {wrong[0]}; seed {SEED}"
    print(f"{name}, {kind}: {len(expected)} inferences equal, highest output {max(expected)}")


def test_signals_make_networks_answer() -> None:
    highest = {
        name: max(networks.reference(models.load(name).manifest.model.read_bytes(), heard())) for name in models.builtin_names()
    }
    assert min(highest.values()) > 100, f"a network answers to nothing, so that equality says little: {highest}"
