# SPDX-License-Identifier: MIT
"""Plots of words missed against false openings per hour: text for a terminal, PNG, SVG or PDF."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from earlid.accuracy.curve import Curve, OperatingPoint
from earlid.errors import USAGE, UserError
from earlid.files import STDOUT, open_atomically

WIDTH, HEIGHT = 64, 16
FORMATS = (".png", ".svg", ".pdf")
_MARKS = "·o+x"


@dataclass(frozen=True)
class PlotLine:
    """One curve to draw, and the points on it that have a name.

    `family`: curves of one family share a colour; the second and later ones are dashed, without a band or named points.
    """

    label: str
    curve: Curve
    points: tuple[tuple[str, OperatingPoint], ...] = ()
    family: str = ""


def rate_shown(false_openings: float, hours: float) -> float:
    """Where a count is drawn on a logarithmic axis: none at all stands at half an event."""
    return max(false_openings, 0.5) / hours


def _steps(curve: Curve) -> list[OperatingPoint]:
    """The points of a curve where something changes, from cutoff 254 down to 1."""
    steps: list[OperatingPoint] = []
    for cutoff in range(254, 0, -1):
        point = curve.at(cutoff)
        if not steps or (point.misses, point.false_openings) != (steps[-1].misses, steps[-1].false_openings):
            steps.append(point)
    return steps


def draw_text(lines: Sequence[PlotLine], width: int = WIDTH, height: int = HEIGHT) -> str:
    """The curves as text; named points by their first letter. A sentence instead when there is nothing to draw."""
    drawable = [line for line in lines if line.curve.trials and line.curve.hours]
    if not drawable:
        return "Nothing to plot yet: the curve needs both words spoken and time without the word."
    every = [point for line in drawable for point in _steps(line.curve)]
    rates = [rate_shown(point.false_openings, point.hours) for point in every]
    low, high = math.floor(math.log10(min(rates))), math.ceil(math.log10(max(rates)) + 1e-9)
    high = max(high, low + 1)
    top = max(0.05, *(line.curve.at(250).missed.value for line in drawable))
    grid = [[" "] * width for _ in range(height)]

    def mark_at(point: OperatingPoint, mark: str) -> None:
        x = (math.log10(rate_shown(point.false_openings, point.hours)) - low) / (high - low)
        y = min(1.0, point.missed.value / top)
        grid[height - 1 - round(y * (height - 1))][round(x * (width - 1))] = mark

    for line, mark in zip(drawable, _MARKS, strict=False):
        for point in _steps(line.curve):
            mark_at(point, mark)
    for line in drawable:
        for name, point in line.points:
            mark_at(point, name[0].upper())
    rows = []
    for number, cells in enumerate(grid):
        share = top * (height - 1 - number) / (height - 1)
        label = f"{share:6.1%}" if number % 5 == 0 or number == height - 1 else " " * 6
        rows.append(f"{label} │{''.join(cells).rstrip()}")
    axis = [" "] * (width + 8)
    for power in range(low, high + 1):
        tick = f"{10.0**power:g}"
        at = 8 + round((power - low) / (high - low) * (width - 1)) - len(tick) // 2
        axis[at : at + len(tick)] = tick
    legend = "   ".join(f"{mark} {line.label}" for line, mark in zip(drawable, _MARKS, strict=False))
    names = "   ".join(f"{name[0].upper()} {name}" for line in drawable[:1] for name, _ in line.points)
    head = "words missed"
    foot = "false openings per hour (none: drawn at half an event)"
    parts = [head, *rows, " " * 7 + "└" + "─" * width, "".join(axis).rstrip(), f"        {foot}"]
    return "\n".join([*parts, f"        {legend}", *([f"        {names}"] if names else [])])


def plot_format(path: Path) -> str:
    """`png`, `svg` or `pdf`, as a path ends; `png` for standard output.

    Raises:
        UserError: code 2 for another ending.
    """
    ending = FORMATS[0] if str(path) == STDOUT else path.suffix.lower()
    if ending not in FORMATS:
        raise UserError(f"{path}: a plot's name ends in {', '.join(FORMATS)}", USAGE)
    return ending[1:]


def save_figure(lines: Sequence[PlotLine], path: Path, title: str = "", private: bool = False) -> None:
    """Draw the curves into a file, with 95 % bars at the named points and a 95 % band of misses.

    Args:
        lines: curves; those without words or hours are left out.
        path: ends in .png, .svg or .pdf; - for standard output.
        private: for its owner alone.

    Raises:
        UserError: another ending, or the file cannot be written.
    """
    format_name = plot_format(path)
    with open_atomically(path, "wb", private=private) as out:
        _draw_figure(lines, out, format_name, title)


def figure_as_svg(lines: Sequence[PlotLine]) -> str:
    """The curves as an SVG element to stand in an HTML page."""
    out = io.BytesIO()
    _draw_figure(lines, out, "svg", "")
    text = out.getvalue().decode()
    return text[text.index("<svg") :]


def _draw_figure(lines: Sequence[PlotLine], out: IO[bytes], kind: str, title: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with matplotlib.rc_context({"svg.hashsalt": "earlid", "font.size": 9}):
        drawing, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
        families: list[str] = []
        for line in lines:
            if line.curve.trials and line.curve.hours:
                first = line.family not in families
                families += [line.family] if first else []
                _draw(axes, line, f"C{families.index(line.family)}", first)
        axes.set_xscale("log")
        axes.set_xlabel("false openings per hour (none: drawn at half an event)")
        axes.set_ylabel("words missed, %")
        axes.set_ylim(bottom=0)
        axes.grid(True, which="both", alpha=0.25)
        axes.legend(loc="upper right")
        axes.set_title(title, parse_math=False)  # a word may hold a $
        try:
            drawing.savefig(out, format=kind, metadata={"Date": None} if kind == "svg" else None, dpi=150)
        finally:
            pyplot.close(drawing)


def _draw(axes, line: PlotLine, colour: str, first: bool) -> None:  # type: ignore[no-untyped-def]
    steps = _steps(line.curve)
    x = np.array([rate_shown(point.false_openings, point.hours) for point in steps])
    missed = [point.missed for point in steps]
    style = {"linestyle": "-"} if first else {"linestyle": "--", "linewidth": 3, "alpha": 0.5}
    axes.plot(x, [100 * m.value for m in missed], drawstyle="steps-post", label=line.label, color=colour, **style)
    if not first:
        return
    lows, highs = [100 * m.low for m in missed], [100 * m.high for m in missed]
    axes.fill_between(x, lows, highs, step="post", alpha=0.12, color=colour, linewidth=0)
    for name, point in line.points:
        m, rate = point.missed, point.false_per_h
        at = rate_shown(point.false_openings, point.hours)
        axes.errorbar(
            [at],
            [100 * m.value],
            xerr=[[max(0.0, at - max(rate.low, at / 30))], [max(0.0, rate.high - at)]],
            yerr=[[100 * (m.value - m.low)], [100 * (m.high - m.value)]],
            fmt="o",
            capsize=3,
            color=colour,
            ecolor="0.4",
        )
        axes.annotate(f"{name} ({point.cutoff_q8})", (at, 100 * m.value), textcoords="offset points", xytext=(6, 6))
