# SPDX-License-Identifier: MIT
"""Files of columns that a network learns from: what is in them, and how often each group of voices is drawn."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from earlid.train import columns, material
from earlid.train.material import Group

from tests.train.test_columns import bursts

pytest.importorskip("micropython_unix", reason="needs MicroPython")


def test_groups_weigh_as_told_however_many_they_are(tmp_path: Path) -> None:
    studio = columns.Studio(tmp_path / "pieces", partial(list, ()), partial(list, ()), 4, processes=1)
    said: dict[material.Kind, list[Group]] = {
        "word": [Group(bursts(3), 2), Group(bursts(10), 1, 0.3)],
        "near": [Group([], 4), Group(bursts(2), 1, 0.3)],
        "owner": [Group([], 60)],
        "sentence": [Group(bursts(2), 1)],
        "talk": [Group([np.concatenate(bursts(20))], 1)],
    }
    track = np.zeros((500, 40), np.uint8)
    told: list[float] = []
    kept = tmp_path / "talk" / "some.npy"
    files = material.make("fit", said, [track], studio, tmp_path, kept, lambda done, total: told.append(done / total))
    assert sorted(path.name for path in tmp_path.glob("*.npy")) == sorted(path.name for path in files)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)
    made = material.load("fit", tmp_path)
    assert len(made.words.ends) == len(made.words.shares) == 16
    assert [made.words.shares[:6].sum(), made.words.shares[6:].sum()] == pytest.approx([1.0, 0.3])
    assert len(made.near.ends) == 2
    assert made.owner is None
    assert np.array_equal(made.negatives[:500], track)
    assert len(made.negatives) > 500 + 20 * 30

    with_takes = {**said, "owner": [Group(bursts(3), 2)]}
    material.make("fit", with_takes, [track], studio, tmp_path, kept, lambda done, total: None)
    assert material.load("fit", tmp_path).owner is not None
    material.make("fit", said, [track], studio, tmp_path, kept, lambda done, total: None)
    assert material.load("fit", tmp_path).owner is None, "takes that were named once are learnt from no more"

    again = tmp_path / "again"
    said["talk"] = []  # it is not made anew, nor asked for
    material.make("fit", said, [track], studio, again, kept, lambda done, total: None)
    both = [np.load(folder / "fit-unsaid.npy") for folder in (tmp_path, again)]
    assert np.array_equal(*both), "the same seed makes the same network, wherever its talk comes from"
    kept.write_bytes(kept.read_bytes()[:200])
    material.make("fit", said, [track], studio, again, kept, lambda done, total: None)
    assert len(material.load("fit", again).negatives) < len(both[0])
