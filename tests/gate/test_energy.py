# SPDX-License-Identifier: MIT
"""The energy gate: exact levels, a floor that adapts, and no word missed."""

from __future__ import annotations

import os
from pathlib import Path

import checked
import numpy as np
import pytest
import signals
import soundfile
from earlid.gate import runner

HERE = Path(__file__).parent
DATA = Path(os.environ.get("EARLID_DATA", HERE.parents[2] / "shared" / "data"))
HOP = 160
DB_Q8 = 256 * np.log2(10) / 10


def gate(pcm: np.ndarray, *arguments: int) -> dict[str, np.ndarray]:
    """What the energy gate decides on MicroPython: energy and floor in Q8, and whether it is open, for each hop."""
    out = runner.run_script(str(HERE / "mp_energy.py"), signals.to_int16(pcm), *[str(each) for each in arguments])
    decisions = np.frombuffer(out, "<u4")
    return {"energy": decisions >> 15, "floor": decisions >> 1 & 16383, "open": (decisions & 1).astype(bool)}


def noise(seconds: float, dbfs: float, seed: int, kind=signals.white) -> np.ndarray:
    return signals.at_dbfs(kind(np.random.default_rng(seed), int(seconds * 16000)), dbfs).astype(float)


def hop_bytes(values: np.ndarray) -> bytearray:
    return bytearray(signals.to_int16(values).astype("<i2").tobytes())


# -- the level -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(signals.edge_cases(signals.SEED, 0.1)))
def test_level_of_edge_cases_is_the_log_of_the_variance(name: str) -> None:
    level = checked.load_checked("lid.gate.energy").level
    pcm = signals.edge_cases(signals.SEED, 0.16)[name]
    got = gate(pcm)["energy"]
    for index, hop in enumerate(pcm.reshape(-1, HOP)):
        half = hop[::2].astype(np.int64)
        spread = int(np.sum((half - int(half.sum()) // 80) ** 2))
        want = 256 * np.log2(spread / 80) if spread > 80 else 0
        here = level(0, hop_bytes(hop))
        assert abs(here - want) <= 4, f"{name}, hop {index}, seed {signals.SEED}"
        assert got[index] == here


def test_level_is_accurate_over_the_whole_range_at_any_offset() -> None:
    level = checked.load_checked("lid.gate.energy").level
    rng = np.random.default_rng(signals.SEED)
    for dbfs in range(-90, 1, 5):
        for offset in (-20000, -1, 0, 333, 30000):
            hop = signals.to_int16(signals.at_dbfs(rng.standard_normal(HOP), dbfs).astype(float) + offset)
            half = hop[::2].astype(np.int64)
            spread = int(np.sum((half - int(half.sum()) // 80) ** 2))
            want = 256 * np.log2(spread / 80) if spread > 80 else 0
            assert abs(level(0, hop_bytes(hop)) - want) <= 4, f"{dbfs} dBFS, {offset}, seed {signals.SEED}"


# -- the gate ------------------------------------------------------------------------------------------------------


def test_constant_signals_keep_the_energy_gate_closed() -> None:
    for value in (0, 1, -32768, 32767):
        assert not gate(np.full(16000, float(value)))["open"].any()


@pytest.mark.parametrize("dbfs", [-75, -60, -50])
def test_energy_gate_opens_within_two_hops_and_closes_after_the_hang_over(dbfs: int) -> None:
    pcm = noise(8, dbfs, signals.SEED)
    pcm[80000:88000] += 10 ** (15 / 20) * noise(0.5, dbfs, signals.SEED + 1)
    opened = gate(pcm)["open"][200:]
    assert not opened[200:300].any()
    assert opened[300:302].any()
    assert opened[302:350].all()
    assert opened[350:445].all(), "the hang-over is 100 hops"
    assert not opened[470:].any()


@pytest.mark.parametrize("kind", [signals.white, signals.pink, signals.hum], ids=lambda kind: kind.__name__)
def test_energy_gate_closes_after_a_fan_started(kind) -> None:
    pcm = np.concatenate([noise(2, -75, signals.SEED), noise(30, -45, signals.SEED, kind)])
    opened = gate(pcm)["open"]
    assert opened[201:205].all()
    assert not opened[200 : 200 + 600].all(), "30 dB more must be taken for background within six seconds"
    assert opened[800:].mean() < 0.25


def test_noise_floor_falls_within_50_hops() -> None:
    out = gate(np.concatenate([noise(5, -30, signals.SEED), noise(1, -70, signals.SEED)]))
    assert out["floor"][499] > (90 - 33) * DB_Q8 - 300
    assert abs(int(out["floor"][550]) - int(np.mean(out["energy"][520:]))) < 5 * DB_Q8


def test_energy_gate_reset_equals_a_new_one() -> None:
    module = checked.load_checked("lid.gate.energy")
    used, fresh = module.EnergyGate(), module.EnergyGate()
    for hop in noise(0.5, -20, signals.SEED).reshape(-1, HOP):
        decision = module.decide(module.level(0, hop_bytes(hop)), 0, used.state)
    assert decision & 1
    used.reset()
    assert used.state == fresh.state


def frames_peak(pcm: np.ndarray) -> float:
    """Root mean square of the loudest 512 samples."""
    whole = pcm[: len(pcm) // 512 * 512].reshape(-1, 512).astype(float)
    return float(np.sqrt((whole**2).mean(axis=1)).max())


def missed_words(words: list[np.ndarray], background: np.ndarray, snr_db: float) -> list[int]:
    """Numbers of the words at whose loudest hop the gate had not opened yet.

    Each word stands after 1.5 s of background; the ratio is between the loudest frames of word and background.
    """
    gap = np.zeros(24000)
    loud = [word / frames_peak(word) * frames_peak(background) * 10 ** (snr_db / 20) for word in words]
    pcm = np.concatenate([piece for word in loud for piece in (gap, word)])
    pcm += np.resize(background.astype(float), len(pcm))
    out = gate(pcm * min(1.0, 32000 / np.abs(pcm).max()))
    missed, at = [], 0
    for number, word in enumerate(loud):
        first, last = (at + 24000) // HOP, (at + 24000 + len(word)) // HOP
        loudest = first + int(np.argmax(out["energy"][first:last]))
        if not out["open"][first : loudest + 1].any():
            missed.append(number)
        at += 24000 + len(word)
    return missed


@pytest.mark.parametrize("kind", [signals.white, signals.pink, signals.hum], ids=lambda kind: kind.__name__)
def test_synthetic_words_at_10_db_open_the_energy_gate(kind) -> None:
    words = [
        signals.espeak(text, voice).astype(float)
        for voice in signals.ESPEAK_VOICES
        for text in ("alexa", "hey jarvis", "okay nabu", "hey mycroft")
    ]
    assert missed_words(words, noise(60, -50, signals.SEED, kind), 10) == [], f"seed {signals.SEED}"


def test_recorded_words_at_10_db_open_the_energy_gate() -> None:
    files = sorted((DATA / "alexa").glob("*.flac"))[:60]
    backgrounds = sorted((DATA / "household").glob("*.flac"))
    if not files or not backgrounds:
        pytest.skip(f"no recordings in {DATA} (set EARLID_DATA)")
    words = [soundfile.read(path, dtype="int16")[0].astype(float) for path in files]
    for path in backgrounds:
        assert missed_words(words, soundfile.read(path, dtype="int16")[0], 10) == [], path.name
