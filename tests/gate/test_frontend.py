# SPDX-License-Identifier: MIT
"""The firmware's frontend, on real MicroPython, against TensorFlow Lite Micro's: every feature of every hop."""

from __future__ import annotations

import numpy as np
import pytest
import signals
from earlid import firmware
from earlid.gate import kernel_generator, runner, tables
from numpy.typing import NDArray
from pymicro_features import MicroFrontend

FEATURE_SCALE = 0.0390625  # pymicro-features gives the 16-bit features times this


def reference(pcm: NDArray[np.int16], reset_hops: tuple[int, ...] = ()) -> NDArray[np.uint16]:
    """The features by pymicro-features; a reset there is a new frontend."""
    frontend = MicroFrontend()
    data = pcm.astype("<i2").tobytes()
    columns = []
    for hop in range(len(pcm) // 160):
        if hop in reset_hops:
            frontend = MicroFrontend()
        out = frontend.process_samples(data[320 * hop : 320 * hop + 320])
        assert out.samples_read == 160
        if out.features:
            columns.append(out.features)
    return np.rint(np.array(columns).reshape(-1, 40) / FEATURE_SCALE).astype(np.uint16)


def assert_same(pcm: NDArray[np.int16], what: str, reset_hops: tuple[int, ...] = ()) -> None:
    """Compare all columns; say where the first difference is and what made the signal."""
    ours = runner.features(pcm, reset_hops)
    theirs = reference(pcm, reset_hops)
    assert ours.shape == theirs.shape, f"{what}: {ours.shape} columns, the reference has {theirs.shape}"
    wrong = np.argwhere(ours != theirs)
    if len(wrong):
        column, channel = wrong[0]
        pytest.fail(
            f"{what}: {len(wrong)} features differ, first in column {column}, channel {channel}: "
            f"{ours[column, channel]}, the reference has {theirs[column, channel]}"
        )


@pytest.mark.parametrize("voice", signals.ESPEAK_VOICES)
def test_features_of_espeak_speech_equal_the_oracle(voice: str) -> None:
    speech = [signals.espeak(text, voice) for text in signals.SENTENCES]
    quiet = [signals.at_dbfs(each, -60) for each in speech]
    assert_same(np.concatenate(speech + quiet), f"espeak-ng {voice}")


@pytest.mark.parametrize("voice", signals.FLITE_VOICES)
def test_features_of_flite_speech_equal_the_oracle(voice: str) -> None:
    assert_same(np.concatenate([signals.flite(text, voice) for text in signals.SENTENCES]), f"flite {voice}")


@pytest.mark.parametrize("sound", signals.SOUNDS, ids=lambda sound: sound.__name__)
def test_features_at_all_levels_equal_the_oracle(sound) -> None:
    rng = np.random.default_rng(signals.SEED)
    pieces = [signals.at_dbfs(sound(rng, 2 * signals.RATE_HZ), level) for level in range(-90, 7, 6)]
    assert_same(np.concatenate(pieces), f"{sound.__name__}, seed {signals.SEED}")


@pytest.mark.parametrize("name", list(signals.edge_cases(signals.SEED, 0.1)))
def test_features_of_edge_cases_equal_the_oracle(name: str) -> None:
    assert_same(signals.edge_cases(signals.SEED, 2.0)[name], f"{name}, seed {signals.SEED}")


def test_features_of_edge_cases_in_a_row_equal_the_oracle() -> None:
    assert_same(np.concatenate(list(signals.edge_cases(signals.SEED).values())), f"all edge cases, seed {signals.SEED}")


@pytest.mark.parametrize("part", range(6))
def test_features_of_half_an_hour_equal_the_oracle(part: int) -> None:
    seed = signals.SEED + part
    assert_same(signals.mixtures(seed, 5), f"mixtures, seed {seed}")


def test_frontend_reset_equals_a_new_one() -> None:
    loud = signals.mixtures(signals.SEED + 100, 0.1)
    resets = (1, 2, 5, 40, 41, 200, 333)
    assert_same(loud, f"resets, seed {signals.SEED + 100}", resets)
    after = runner.features(np.concatenate([loud[: 160 * 200], loud[: 160 * 200]]), [200])
    assert np.array_equal(after[198:], after[:198])


def test_first_column_needs_480_samples_and_half_a_hop_is_dropped() -> None:
    assert runner.features(np.zeros(479, np.int16)).shape == (0, 40)
    assert runner.features(np.zeros(480, np.int16)).shape == (1, 40)
    assert runner.features(np.zeros(639, np.int16)).shape == (1, 40)


def test_planted_wrong_feature_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    pcm = signals.mixtures(signals.SEED, 0.05)
    right = runner.features(pcm)
    wrong = right.copy()
    wrong[100, 7] ^= 1
    monkeypatch.setattr(runner, "features", lambda *_: wrong)
    with pytest.raises(pytest.fail.Exception, match="column 100, channel 7"):
        assert_same(pcm, "planted")


def test_committed_tables_are_the_generators() -> None:
    assert (firmware.root() / "lid" / "gate" / "tables.py").read_text() == tables.render()


@pytest.mark.parametrize("name", kernel_generator.names())
def test_committed_kernels_are_the_generators(name: str) -> None:
    assert (firmware.root() / "lid" / "gate" / f"{name}.py").read_text() == kernel_generator.render(name)
