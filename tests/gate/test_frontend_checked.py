# SPDX-License-Identifier: MIT
"""Thirty-two bits proven: the gate's kernels with integers that raise, over the loudest and oddest signals."""

from __future__ import annotations

import checked
import numpy as np
import pytest
import signals
from earlid import firmware
from test_frontend import reference


def run_checked(pcm: np.ndarray) -> np.ndarray:
    frontend = checked.load_checked("lid.gate.frontend").Frontend()
    hops = pcm[: len(pcm) // 160 * 160].reshape(-1, 160)
    return np.array([list(frontend.features) for hop in hops if frontend.push(bytearray(hop.astype("<i2").tobytes()))])


@pytest.mark.parametrize("name", list(signals.edge_cases(signals.SEED, 0.1)))
def test_features_of_edge_cases_stay_inside_32_bits(name: str) -> None:
    pcm = signals.edge_cases(signals.SEED, 0.16)[name]
    assert np.array_equal(run_checked(pcm), reference(pcm)), f"{name}, seed {signals.SEED}"


def test_features_of_mixtures_stay_inside_32_bits() -> None:
    seed = signals.SEED + 50
    pcm = signals.mixtures(seed, 1 / 60)
    assert np.array_equal(run_checked(pcm), reference(pcm)), f"seed {seed}"


def test_planted_overflow_is_caught() -> None:
    twiddles = checked.load_checked("lid.gate.twiddles").split_twiddles()
    path = firmware.root() / "lid" / "gate" / "spectrum.py"
    text = path.read_text()
    planted = text.replace("twiddles[0] * reg0", "twiddles[0] * reg0 * 6")
    assert planted != text
    buffers = [bytearray(b"\x00\x00\x00\x60" * 512) for _ in range(2)]
    checked.check_source(text, "spectrum.py").power_spectrum(0, 0, buffers[0], twiddles)
    with pytest.raises(checked.Overflow, match=r"spectrum.py:\d+ in power_spectrum: \d+ leaves int32"):
        checked.check_source(planted, "spectrum.py").power_spectrum(0, 0, buffers[1], twiddles)
