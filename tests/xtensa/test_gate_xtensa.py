"""The gate on emulated Xtensa machine code, with its real 32-bit arithmetic, equals the oracles."""

from __future__ import annotations

from pathlib import Path

import earlid.virtual
import numpy as np
import pytest
import soundfile
from earlid.gate import models

from . import gate as gates
from . import sounds
from .sounds import Samples

SEED = 41
WORD = Path(earlid.virtual.__path__[0]) / "speech" / "word-rms.flac"
PIECES = {
    "speech": sounds.speech_like(SEED, 1.5),
    "faint": sounds.speech_like(SEED + 1, 0.5, -70),
    "loud": sounds.loud_ends(SEED),
}


def assert_nothing_spilled(gate: gates.Gate) -> None:
    gate.machine.memory.check_guards()
    assert gate.machine.boxed == 0, "a kernel made an integer object beyond 31 bits, which allocates on the board"


@pytest.mark.parametrize("piece", PIECES)
def test_features_are_the_reference_s(piece: str) -> None:
    gate, pcm = gates.Gate(), PIECES[piece]
    expected = gates.reference_features(pcm)
    np.testing.assert_array_equal(gates.features(gate, pcm), expected, f"{piece}, seed {SEED}")
    assert_nothing_spilled(gate)


def word_and_more() -> Samples:
    """The word that one of the networks waits for, something else, and full scale."""
    word, _ = soundfile.read(WORD, dtype="int16")
    return np.concatenate([word, sounds.speech_like(SEED, 0.4), sounds.loud_ends(SEED, 0.05)])


@pytest.mark.parametrize("model", models.builtin_names())
def test_network_outputs_are_the_reference_s(model: str) -> None:
    gate = gates.Gate()
    columns = gates.reference_features(word_and_more())
    # the strongest features there are, which no sound makes: sums at their largest
    strongest = np.full((9, 40), 65535, np.uint16)
    columns = np.concatenate([columns, strongest, columns[:30]])
    expected = gates.reference_outputs(model, columns)
    assert gates.outputs(gate, model, columns) == expected, f"{model}, seed {SEED}"
    if model == "alexa":
        assert max(expected) > 200, "the word's recording no longer makes the network answer: the test sees only zeros"
    assert_nothing_spilled(gate)
