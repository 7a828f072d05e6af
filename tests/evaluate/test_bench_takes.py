# SPDX-License-Identifier: MIT
"""Takes that the benchmark draws of people: of one half alone, the same ones each time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.detection import data, takes


def test_takes_are_of_one_half_and_of_their_draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "alexa").mkdir()
    for number in range(60):
        (tmp_path / "alexa" / f"{2 * number}.flac").write_bytes(b"")
    monkeypatch.setenv("EARLID_DATA", str(tmp_path))
    drawn = {(half, draw): {clip.name for clip in takes.drawn(half, draw)} for half in data.HALVES for draw in range(2)}
    for (half, draw), names in drawn.items():
        assert len(names) == takes.TAKES
        assert names <= {clip.name for clip in data.words(half)}
        assert names == {clip.name for clip in takes.drawn(half, draw)}
        assert names != drawn[half, 1 - draw]
    assert not drawn["dev", 0] & drawn["held", 0]
