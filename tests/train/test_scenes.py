# SPDX-License-Identifier: MIT
"""Scenes: utterances lie where their spans say, and everything comes from the seed."""

from __future__ import annotations

import numpy as np
import pytest
from earlid.gate.audio import RATE_HZ
from earlid.train import scenes

pytest.importorskip("scipy", reason="needs the extra train")


def tone(seconds: float, hertz: float = 440.0) -> scenes.Pcm:
    at = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    return np.rint(12000 * np.sin(2 * np.pi * hertz * at)).astype(np.int16)


def padded(sound: scenes.Pcm, seconds: float) -> scenes.Pcm:
    quiet = np.zeros(int(seconds * RATE_HZ), np.int16)
    return np.concatenate([quiet, sound, quiet])


def test_spans_hold_the_sound_of_utterances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "QUIET_CHANCE", 1.0)
    monkeypatch.setattr(scenes, "FLOOR_CHANCE", 0.0)
    monkeypatch.setattr(scenes, "PEAK", (0.5, 0.6))
    monkeypatch.setattr(scenes, "coloured", lambda sound, rng: sound)
    made = scenes.scene([padded(tone(0.4, hertz), 0.3) for hertz in (300.0, 500.0, 900.0)] * 2, [], [], np.random.default_rng(3))
    power = made.pcm.astype(float) ** 2
    outside = np.ones(len(power), bool)
    for span in made.spans:
        assert 0.9 * 400 / 1.12 < span.end_ms - span.start_ms < 1.1 * 400 / 0.88
        inside = slice(span.start_ms * 16, span.end_ms * 16)
        assert np.median(power[inside]) > 1e5
        outside[max(0, inside.start - 800) : inside.stop + 1600] = False
    assert power[outside].mean() < 1e5 / 20


def test_noise_is_as_far_below_as_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "QUIET_CHANCE", 0.0)
    monkeypatch.setattr(scenes, "CLIPPED_CHANCE", 0.0)
    monkeypatch.setattr(scenes, "FLOOR_CHANCE", 0.0)
    monkeypatch.setattr(scenes, "SNR_DB", (20.0, 20.0001))
    monkeypatch.setattr(scenes, "NOISE_DBFS", (-50.0, -49.9))
    monkeypatch.setattr(scenes, "background", lambda samples, recorded, rng: rng.standard_normal(samples))
    made = scenes.scene([tone(0.5)] * 4, [], [], np.random.default_rng(1))
    noise = scenes.frame_rms(made.pcm[: RATE_HZ * 2]).max()
    for span in made.spans:
        word = scenes.frame_rms(made.pcm[span.start_ms * 16 : span.end_ms * 16]).max()
        assert 17 < 20 * np.log10(word / noise) < 22


def test_the_same_seed_gives_the_same_samples() -> None:
    said = [padded(tone(0.3), 0.1), tone(0.5, 700.0)]
    noise = [np.random.default_rng(0).integers(-3000, 3000, 30000).astype(np.int16)]
    response = np.exp(-np.arange(2000) / 300) * np.random.default_rng(1).standard_normal(2000)
    first, again, other = (scenes.scene(said, [response], noise, np.random.default_rng(seed)).pcm for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first[: len(other)], other[: len(first)])


def test_silent_and_short_recordings_make_scenes() -> None:
    said = [np.zeros(4000, np.int16), np.zeros(RATE_HZ // 50, np.int16), tone(0.02)]
    for seed in range(4):
        made = scenes.scene(said, [], [np.zeros(100, np.int16)], np.random.default_rng(seed))
        assert len(made.spans) == 3
        assert all(0 <= span.start_ms <= span.end_ms <= len(made.pcm) // 16 for span in made.spans)
