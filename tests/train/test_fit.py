# SPDX-License-Identifier: MIT
"""Training: a pattern is learnt, the owner's windows are in each batch, and a run that was killed ends as one that was not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from earlid.train import examples, fit  # noqa: E402
from earlid.train.shape import Block, Shape  # noqa: E402

SHAPE = Shape(first_filters=8, blocks=(Block(12, (5,)),), last_rows=3)
SETTINGS = fit.Settings(
    shape=SHAPE,
    steps=150,
    words=8,
    owner=2,
    near=8,
    negatives=16,
    rate=6e-3,
    average=0.95,
    late=(12, 24),
    weights=(1.0, 1.0, 2.0),
)


def heard(count: int, rising: bool, seed: int) -> examples.Heard:
    """Stretches of 20 columns, a tone that rises or falls, in noise."""
    rng = np.random.default_rng(seed)
    columns = rng.integers(0, 60, (60 * count, 40)).astype(np.uint8)
    ends = 60 * np.arange(count) + 35
    for end in ends:
        for hop in range(20):
            channel = 5 + hop if rising else 25 - hop
            columns[end - 19 + hop, channel : channel + 4] = 220
    return examples.Heard(columns, ends.astype(np.int64), np.ones(count))


def made(seed: int) -> examples.Examples:
    noise = np.random.default_rng(seed + 100).integers(0, 120, (4000, 40)).astype(np.uint8)
    return examples.Examples(heard(40, True, seed), heard(40, False, seed + 1), noise, heard(3, True, seed + 2))


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "_SAVE_EVERY", 20)
    monkeypatch.setattr(fit, "_MINE_EVERY", 30)
    monkeypatch.setattr(fit, "_WARM_STEPS", 10)


def same(first: fit.Fitted, second: fit.Fitted) -> bool:
    pairs = zip(first.net.state_dict().items(), second.net.state_dict().items(), strict=True)
    return all(a == b and (not isinstance(x, torch.Tensor) or torch.equal(x, y)) for (a, x), (b, y) in pairs)


def test_a_pattern_is_told_from_its_mirror_image(tmp_path: Path) -> None:
    stop = made(50)
    fitted = fit.fit(made(0), stop, SETTINGS, tmp_path / "checkpoint.pt", lambda done, whole: None)
    assert fitted.missed < 0.05
    assert fitted.missed == fit.missed_share(fitted.net, stop, SETTINGS.mean)
    assert fitted.step >= 0.6 * SETTINGS.steps
    words, mirrored = (fit.word_peaks(fitted.net, said, SETTINGS.mean) for said in (stop.words, stop.near))
    assert np.median(words) > 0.8
    assert np.median(mirrored) < 0.2
    swapped = replace(stop, words=stop.near, negatives=stop.words.columns)
    assert fit.missed_share(fitted.net, swapped, SETTINGS.mean) > 0.9


def test_a_run_that_was_killed_ends_as_a_whole_one(tmp_path: Path) -> None:
    settings = replace(SETTINGS, steps=90)
    whole = fit.fit(made(0), made(50), settings, tmp_path / "whole.pt", lambda done, whole: None)

    def kill(done: float, whole: float) -> None:
        if done == 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit.fit(made(0), made(50), settings, tmp_path / "parts.pt", kill)
    told: list[float] = []
    parts = fit.fit(made(0), made(50), settings, tmp_path / "parts.pt", lambda done, whole: told.append(done))
    assert told == [60, 80, 90]
    assert same(whole, parts)
    again = fit.fit(made(0), made(50), settings, tmp_path / "parts.pt", lambda done, whole: told.append(-1))
    assert told[-1] == 90
    assert same(whole, again)


def test_checkpoints_of_others_begin_anew(tmp_path: Path) -> None:
    settings = replace(SETTINGS, steps=20)
    first = fit.fit(made(0), made(50), settings, tmp_path / "first.pt", lambda done, whole: None)
    content = (tmp_path / "first.pt").read_bytes()
    torch.save({"settings": repr(settings)}, tmp_path / "short.pt")
    broken = {"cut.pt": content[: len(content) // 2], "empty.pt": b"", "text.pt": b"not a checkpoint\n", "short.pt": b""}
    for name, bad in broken.items():
        if bad or name == "empty.pt":
            (tmp_path / name).write_bytes(bad)
        assert same(first, fit.fit(made(0), made(50), settings, tmp_path / name, lambda done, whole: None)), name
    fit.fit(made(0), made(50), replace(settings, seed=1), tmp_path / "other.pt", lambda done, whole: None)
    assert same(first, fit.fit(made(0), made(50), settings, tmp_path / "other.pt", lambda done, whole: None))


def test_windows_end_where_they_were_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = np.repeat(np.arange(100, dtype=np.uint8)[:, None], 40, axis=1)
    seen = examples.windows(columns, np.array([99, 5]), 10)
    assert seen[:, :, 0].tolist() == [list(range(90, 100)), [0, 0, 0, 0, 0, 1, 2, 3, 4, 5]]
    twice = examples.windows(columns, np.array([99, 50]), 4, np.array([2.0, 0.5]))
    assert twice[:, :, 0].tolist() == [[93, 95, 97, 99], [48, 49, 50, 50]]
    monkeypatch.setattr(examples, "SPEED", 0.0)
    said = examples.Heard(columns, np.array([20, 40]), np.array([0.0, 1.0]))
    seen, ends = examples.drawn_windows(said, 50, (3, 6), 8, np.random.default_rng(0))
    assert set(seen[:, -1, 0].tolist()) == {43, 44, 45}
    assert np.array_equal(seen[:, -1, 0].astype(int) + ends, np.full(50, 40))


def test_joined_parts_keep_their_ends_and_weigh_as_told() -> None:
    parts = heard(4, True, 0), heard(12, True, 1)
    whole = examples.joined([(parts[0], 3.0), (parts[1], 1.0)])
    assert np.array_equal(whole.columns[whole.ends[5]], parts[1].columns[parts[1].ends[1]])
    assert whole.shares[:4].sum() == pytest.approx(3 * whole.shares[4:].sum())


def test_spliced_and_overlaid_windows_hold_both() -> None:
    low, high = np.full((9, 40, 40), 50, np.uint8), np.full((9, 40, 40), 200, np.uint8)
    both = examples.spliced(low, high, np.random.default_rng(0))
    assert (both[:, 0] == 50).all()
    assert (both[:, -1] == 200).all()
    assert (np.diff(both.astype(int), axis=1) >= 0).all()
    over = examples.overlaid(low, high, (0.1, 0.6), np.random.default_rng(0))
    assert over.min() >= 50
    assert over.max() <= 120
    assert len(np.unique(over[:, 0, 0])) > 3


def test_varied_windows_stay_bytes_and_silence_stays_silent() -> None:
    seen = np.random.default_rng(0).integers(0, 256, (64, 60, 5)).astype(np.uint8).repeat(8, axis=2)
    seen[:, :10] = 0
    values = examples.masked_and_warped(seen, np.random.default_rng(1))
    assert values.shape == seen.shape
    assert values.min() >= 0
    assert values.max() <= 255
    assert not values[:, :10].any()
    assert np.corrcoef(values[:, 10:].ravel(), seen[:, 10:].ravel())[0, 1] > 0.5


def test_the_worst_sound_is_found_where_it_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "_BLOCK", 600)
    monkeypatch.setattr(fit, "_WORST", 1)
    torch.manual_seed(0)
    net = fit.Net(SHAPE)
    columns = np.random.default_rng(0).integers(0, 120, (5000, 40)).astype(np.uint8)
    heights = fit.smoothed(net, columns, 5)
    found = [int(fit._worst(net, columns, 5, turn)[0][0]) for turn in range(3)]
    for turn, last in enumerate(found):
        assert last // 600 % 3 == turn
    inferences = [(last - net.receptive_hops + 1) // SHAPE.stride for last in found]
    near = [heights[max(0, at - 1) : at + 2].max() for at in inferences]
    assert max(near) == pytest.approx(heights[5:].max(), abs=1e-3)
