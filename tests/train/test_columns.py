# SPDX-License-Identifier: MIT
"""Scenes as columns: made in processes, kept as pieces, made again where one is missing or broken."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from earlid.gate.audio import RATE_HZ
from earlid.train import columns, examples, scenes

pytest.importorskip("torch", reason="needs the extra train")
pytest.importorskip("micropython_unix", reason="needs MicroPython")


def bursts(count: int) -> list[scenes.Pcm]:
    rng = np.random.default_rng(2)
    return [np.rint(rng.standard_normal(int(RATE_HZ * rng.uniform(0.3, 0.6))) * 6000).astype(np.int16) for _ in range(count)]


def made(folder: Path, told: list[tuple[float, float]], processes: int = 1) -> examples.Heard:
    studio = columns.Studio(folder, partial(list, ()), partial(list, ()), 4, processes)
    return columns.heard("word", bursts(18), 2, studio, lambda done, whole: told.append((done, whole)))


def test_pieces_are_kept_and_made_again_where_they_are_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "TOGETHER_S", 6.0)
    told: list[tuple[float, float]] = []
    first = made(tmp_path, told)
    pieces = sorted(tmp_path.glob("*.npz"))
    assert told[0] == (0, len(pieces))
    assert told[-1] == (len(pieces), len(pieces))
    assert len(pieces) >= 2
    assert len(first.ends) == 36
    pieces[0].write_bytes(pieces[0].read_bytes()[:1000])
    pieces[1].unlink()
    told.clear()
    again = made(tmp_path, told, processes=2)
    assert told[0] == (len(pieces) - 2, len(pieces))
    assert np.array_equal(first.columns, again.columns)
    assert np.array_equal(first.ends, again.ends)


def test_ends_are_where_the_columns_fall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    for name, value in (
        ("QUIET_CHANCE", 1.0),
        ("PEAK", (0.5, 0.6)),
        ("ROOM_CHANCE", 0.0),
        ("FLOOR_CHANCE", 0.0),
        ("COLOUR_DB", 0.0),
    ):
        monkeypatch.setattr(scenes, name, value)
    scene = scenes.scene(bursts(6), [], [], rng)
    energy = columns.columns_of(scene.pcm).astype(float).mean(axis=1)
    for span in scene.spans:
        end = columns.last_column(span.end_ms)
        assert energy[end - 12 : end - 1].mean() > 2 * energy[end + 6 : end + 16].mean()
