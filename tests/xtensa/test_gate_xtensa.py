"""The gate on emulated Xtensa machine code, with its real 32-bit arithmetic, equals the oracles."""

from __future__ import annotations

import numpy as np
import pytest

from . import sounds
from .gate import Gate, reference_features
from .sounds import Samples

SEED = 41


@pytest.mark.parametrize(
    "pcm",
    [sounds.speech_like(SEED, 1.5), sounds.speech_like(SEED + 1, 0.5, -70), sounds.loud_ends(SEED)],
    ids=["speech", "faint", "loud"],
)
def test_features_are_the_reference_s(pcm: Samples) -> None:
    gate = Gate()
    np.testing.assert_array_equal(gate.features(pcm), reference_features(pcm), f"seed {SEED}")
    gate.machine.memory.check_guards()
    assert gate.machine.boxed == 0, "a kernel made an integer object beyond 31 bits, which allocates on the board"
