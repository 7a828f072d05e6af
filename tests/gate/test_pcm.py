# SPDX-License-Identifier: MIT
"""I2S slots to hops: the DC block, the gain, saturation, and what a dead or stuck microphone looks like."""

from __future__ import annotations

from pathlib import Path

import checked
import numpy as np
import pytest
import signals
from earlid.gate import runner

HERE = Path(__file__).parent
HOP = 160


def model(slots: np.ndarray, gain_q8: int) -> tuple[np.ndarray, list[tuple[int, int, int, int]]]:
    """An independent statement of the same arithmetic on Python's integers."""
    exponent = max(0, gain_q8.bit_length() - 9)
    times, shift = gain_q8 >> exponent, 12 - exponent
    mean, out, reports = 0, [], []
    for block in slots.reshape(-1, HOP):
        values = []
        for slot in block:
            fresh = (int(slot) >> 12) - (mean >> 10)
            mean += fresh
            values.append(fresh * times >> shift)
        same = 0 if len(set(block)) > 1 else (1 if block[0] else 2)
        out += [max(-32768, min(32767, value)) for value in values]
        clipped = sum(not -32768 <= value <= 32767 for value in values)
        reports.append((min(0, *values), max(0, *values), clipped, same))
    return np.array(out, np.int16), reports


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
def test_micropython_and_checked_integers_agree_with_the_model(name: str, gain_q8: int) -> None:
    slots = signals_of_slots(signals.SEED)[name]
    raw = slots.astype("<i4").tobytes()
    want, reports = model(slots, gain_q8)

    out = runner.run_script(str(HERE / "mp_pcm.py"), raw, str(gain_q8))
    record = np.dtype([("hop", "<i2", HOP), ("report", "<u4", 4)])
    blocks = np.frombuffer(out, record)
    assert np.array_equal(blocks["hop"].ravel(), want), f"seed {signals.SEED}"
    assert [tuple(int(each) - 2**31 for each in block) for block in blocks["report"]] == reports

    pcm_input = checked.load_checked("lid.gate.pcm").PcmInput(gain_q8)
    for index, report in enumerate(reports):
        hop = pcm_input.push(bytearray(raw[640 * index : 640 * index + 640]))
        assert np.array_equal(np.frombuffer(hop, "<i2"), want[HOP * index : HOP * index + HOP])
        assert (pcm_input.low(), pcm_input.high(), pcm_input.clipped, pcm_input.liveness) == report


def run(slots: np.ndarray, gain_q8: int = 256) -> np.ndarray:
    raw = np.asarray(slots, dtype=np.int64).astype("<i4").tobytes()
    record = np.dtype([("hop", "<i2", HOP), ("report", "<u4", 4)])
    return np.frombuffer(runner.run_script(str(HERE / "mp_pcm.py"), raw, str(gain_q8)), record)["hop"].ravel()


@pytest.mark.parametrize("level", [2**31 - 256, -(2**31)])
def test_a_full_step_is_gone_within_a_second(level: int) -> None:
    out = run(np.full(16000, level))
    assert np.abs(out[100:1000].astype(int)).min() > 1000
    assert np.abs(out[-160:].astype(int)).max() <= 1


@pytest.mark.parametrize("gain", [1, 4, 64])
def test_speech_keeps_its_shape_and_gets_its_gain(gain: int) -> None:
    time_s = np.arange(16000) / 16000
    tone = 400 * np.sin(2 * np.pi * 300 * time_s)
    out = run((tone * 65536).astype(np.int64) + 2**24, gain * 256).astype(float)
    want = tone * gain
    settled = slice(8000, None)
    error = out[settled] - out[settled].mean() - want[settled]
    assert np.sqrt(np.mean(error**2)) < 0.02 * np.sqrt(np.mean(want[settled] ** 2))


def test_reset_leaves_no_sample() -> None:
    pcm_input = checked.load_checked("lid.gate.pcm").PcmInput(4096)
    fresh = bytes(pcm_input._state)
    assert any(pcm_input.push(bytearray(range(256)) * 2 + bytearray(range(128))))
    pcm_input.reset()
    assert not any(pcm_input.hop)
    assert bytes(pcm_input._state) == fresh


def test_gain_is_bounded() -> None:
    pcm_input = checked.load_checked("lid.gate.pcm").PcmInput
    for gain_q8 in (0, 255, 16385):
        with pytest.raises(ValueError, match=r"256\.\.16384"):
            pcm_input(gain_q8)


def test_nothing_is_allocated_once_warm() -> None:
    lines = runner.run_script(str(HERE / "mp_memory.py"), b"").decode().split("\n")
    assert lines[0] == "0 0 0", f"frontend, pcm_input, energy left {lines[0]} bytes behind in 10,000 hops"
    assert int(lines[1]) >= 80000, "the measurement does not see allocations"
