# SPDX-License-Identifier: MIT
"""I2S slots to hops: the DC block, the gain, saturation, and what a dead or stuck microphone looks like."""

from __future__ import annotations

from pathlib import Path

import checked
import numpy as np
import pytest
import reference
import signals
from earlid.gate import runner

HERE = Path(__file__).parent
HOP = 160


def signals_of_slots(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    count = 12 * HOP
    full = rng.integers(-(2**31), 2**31, count)
    return {
        "speech-like": (rng.standard_normal(count) * 2**22).astype(np.int64) & ~0xFF,
        "full-scale noise": full,
        "extremes": rng.choice([-(2**31), 2**31 - 1], count),
        "low end": np.full(count, -(2**31)),
        "high end": np.full(count, 2**31 - 256),
        "step": np.where(np.arange(count) < 700, -(2**31), 2**31 - 1),
        "silence": np.zeros(count, np.int64),
        "stuck at one": np.full(count, -1),
        "last bit": rng.integers(0, 2, count) << 8,
    }


@pytest.mark.parametrize("name", list(signals_of_slots(0)))
@pytest.mark.parametrize("gain_q8", [256, 1000, 4096, 16384])
def test_hops_on_micropython_equal_the_formula(name: str, gain_q8: int) -> None:
    slots = signals_of_slots(signals.SEED)[name]
    mean_q10 = 0
    for number, (block, hop) in enumerate(zip(slots.reshape(-1, HOP).tolist(), hops(slots, gain_q8), strict=True)):
        samples, mean_q10 = reference.dc_block(block, mean_q10, gain_q8)
        saturated = [reference.saturate(sample) for sample in samples]
        assert hop["samples"].tolist() == saturated, f"hop {number}, seed {signals.SEED}"
        clipped = sum(one != two for one, two in zip(samples, saturated, strict=True))
        liveness = 0 if len(set(block)) > 1 else (1 if block[0] else 2)
        report = [min(0, *samples), max(0, *samples), clipped, liveness]
        assert [int(value) - 2**31 for value in hop["report"]] == report, f"hop {number}, seed {signals.SEED}"


def hops(slots: np.ndarray, gain_q8: int) -> np.ndarray:
    """On MicroPython: for each hop its samples, and minimum, maximum, clipped samples and liveness, each plus 2^31."""
    raw = np.asarray(slots, dtype=np.int64).astype("<i4").tobytes()
    record = np.dtype([("samples", "<i2", HOP), ("report", "<u4", 4)])
    return np.frombuffer(runner.run_script(str(HERE / "mp_pcm.py"), raw, str(gain_q8)), record)


def run(slots: np.ndarray, gain_q8: int = 256) -> np.ndarray:
    return hops(slots, gain_q8)["samples"].ravel()


@pytest.mark.parametrize("level", [2**31 - 256, -(2**31)])
def test_dc_block_removes_a_full_step_within_a_second(level: int) -> None:
    out = run(np.full(16000, level))
    assert np.abs(out[100:1000].astype(int)).min() > 1000
    assert np.abs(out[-160:].astype(int)).max() <= 1


@pytest.mark.parametrize("gain", [1, 4, 64])
def test_tone_keeps_its_shape_and_gets_its_gain(gain: int) -> None:
    time_s = np.arange(16000) / 16000
    tone = 400 * np.sin(2 * np.pi * 300 * time_s)
    out = run((tone * 65536).astype(np.int64) + 2**24, gain * 256).astype(float)
    want = tone * gain
    settled = slice(8000, None)
    error = out[settled] - out[settled].mean() - want[settled]
    assert np.sqrt(np.mean(error**2)) < 0.02 * np.sqrt(np.mean(want[settled] ** 2))


def test_pcm_input_reset_leaves_no_sample() -> None:
    pcm_input = checked.load_checked("lid.gate.pcm").PcmInput(4096)
    fresh = bytes(pcm_input._state)
    assert any(pcm_input.push(bytearray(range(256)) * 2 + bytearray(range(128))))
    pcm_input.reset()
    assert not any(pcm_input.hop)
    assert bytes(pcm_input._state) == fresh


def test_gain_out_of_bounds_is_refused() -> None:
    pcm_input = checked.load_checked("lid.gate.pcm").PcmInput
    for gain_q8 in (0, 255, 16385):
        with pytest.raises(ValueError, match=r"256\.\.16384"):
            pcm_input(gain_q8)


def test_push_allocates_nothing_once_warm() -> None:
    lines = runner.run_script(str(HERE / "mp_memory.py"), b"").decode().split("\n")
    assert lines[0] == "0 0 0", f"frontend, pcm_input, energy left {lines[0]} bytes behind in 10,000 hops"
    assert int(lines[1]) >= 80000, "the measurement does not see allocations"
