# SPDX-License-Identifier: MIT
"""Plots: any curve can be drawn, and each point lies at its coordinates."""

import math

import numpy as np
import pytest
from earlid.accuracy.curve import Curve
from earlid.accuracy.plot import HEIGHT, WIDTH, PlotLine, draw_text, save_figure
from earlid.errors import UserError
from hypothesis import given, settings
from hypothesis import strategies as st

counts = st.lists(st.integers(0, 40), min_size=256, max_size=256)


def make_curve(misses, trials, openings, hours):
    return Curve(np.array(misses), trials, np.array(openings), hours)


@settings(max_examples=60)
@given(counts, counts, st.floats(0.001, 500), st.integers(1, 60))
def test_any_curve_draws_as_text(misses, openings, hours, trials):
    curve = make_curve(np.minimum(np.sort(misses), trials), trials, np.sort(openings)[::-1], hours)
    drawn = draw_text([PlotLine("a", curve, (("careful", curve.at(200)),))])
    lines = drawn.splitlines()
    assert len(lines) == HEIGHT + 6
    assert all(len(line) <= WIDTH + 16 for line in lines[: HEIGHT + 1])
    assert "C careful" in drawn


def test_empty_curve_draws_as_a_sentence():
    curve = make_curve([0] * 256, 0, [0] * 256, 0.0)
    assert "needs both" in draw_text([PlotLine("a", curve)])


def test_named_point_is_drawn_at_its_coordinates():
    misses = np.where(np.arange(256) < 200, 0, 10)
    openings = np.where(np.arange(256) < 200, 100, 1)
    curve = make_curve(misses, 20, openings, 1.0)
    rows = draw_text([PlotLine("a", curve, (("low", curve.at(100)), ("high", curve.at(220))))]).splitlines()[1 : HEIGHT + 1]
    found = {cell: (column, number) for number, row in enumerate(rows) for column, cell in enumerate(row[8:]) if cell in "LH"}
    assert found["H"][1] == 0, "half missed: at the top"
    assert found["H"][0] < found["L"][0], "one an hour: further left"
    # the rates go up to 100, and the axis from half an event to a thousand
    assert found["L"][1] == HEIGHT - 1, "none missed: at the bottom"
    assert found["L"][0] > WIDTH // 2, "a hundred an hour: right of the middle"


def test_plot_is_written_in_each_format(tmp_path):
    curve = make_curve(np.minimum(np.arange(256) // 10, 20), 20, np.maximum(0, 30 - np.arange(256) // 8), 2.0)
    line = PlotLine("own", curve, (("balanced", curve.at(200)),))
    for ending, magic in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        path = tmp_path / f"curve.{ending}"
        save_figure([line, PlotLine("empty", make_curve([0] * 256, 0, [0] * 256, 0.0))], path, "title")
        assert path.read_bytes().startswith(magic)
    assert "balanced" in (tmp_path / "curve.svg").read_text() or (tmp_path / "curve.svg").stat().st_size > 10000
    with pytest.raises(UserError, match="ends in"):
        save_figure([line], tmp_path / "curve.bmp")
    with pytest.raises(UserError, match="nowhere"):
        save_figure([line], tmp_path / "nowhere" / "curve.png")


def test_svg_of_the_same_curve_is_identical(tmp_path):
    curve = make_curve(np.minimum(np.arange(256) // 10, 20), 20, np.maximum(0, 30 - np.arange(256) // 8), 2.0)
    for name in ("a.svg", "b.svg"):
        save_figure([PlotLine("own", curve)], tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert math.isfinite(curve.at(3).missed.high)
