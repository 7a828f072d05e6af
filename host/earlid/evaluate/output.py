# SPDX-License-Identifier: MIT
"""Output of an evaluation: tables and a plot for people, CSV and JSON for programs."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from earlid.accuracy.curve import RATES_PER_H, OperatingPoint, point_json, points_at_rates
from earlid.accuracy.plot import PlotLine, draw_text, save_figure
from earlid.accuracy.text import hours_text
from earlid.door import plain
from earlid.evaluate.summary import EvaluationTotals
from earlid.files import open_atomically, write_atomically

CSV_FIELDS = (
    "condition", "cutoff", "misses", "trials", "missed", "missed_low", "missed_high",
    "false_openings", "hours", "false_per_hour", "false_per_hour_low", "false_per_hour_high",
)  # fmt: skip


IGNORED_SHOWN = 10
WIDTH = 110  # of tables that go to a file


@contextmanager
def progress(total_s: float, what: str) -> Iterator[Callable[[float], None]]:
    """A bar on stderr, on a terminal only; yields a function to call with the seconds of audio just done."""
    console = Console(stderr=True, no_color=bool(os.environ.get("NO_COLOR")))
    if not console.is_terminal or total_s <= 0:
        yield lambda seconds: None
        return
    columns = (TextColumn(what), BarColumn(), TextColumn("{task.fields[hours]}"), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:
        bar = bars.add_task(what, total=total_s, hours="")

        def advance(seconds: float) -> None:
            bars.advance(bar, seconds)
            done = bars.tasks[0].completed
            bars.update(bar, hours=f"{done / 3600:.2f} of {total_s / 3600:.2f} h of audio")

        yield advance


def missed_share_text(point: OperatingPoint) -> str:
    missed = point.missed
    if not point.trials:
        return "not tried"
    return f"{missed.value:.1%} ({missed.low:.1%} to {missed.high:.1%})"


def false_rate_text(point: OperatingPoint) -> str:
    rate = point.false_per_h
    if not point.hours:
        return "not tried"
    digits = 2 if rate.high < 100 else 0  # so wide an interval deserves none
    return f"{rate.value:.{digits}f} ({rate.low:.{digits}f} to {rate.high:.{digits}f})"


def _lines(totals: EvaluationTotals, cutoff_q8: int) -> list[PlotLine]:
    return [
        PlotLine(side.condition, side.curve, (("in force", side.curve.at(cutoff_q8)),), side.condition) for side in totals.sides
    ]


def write_results(folder: Path, totals: EvaluationTotals, document: dict[str, Any], cutoff_q8: int) -> None:
    """Write result.json, curve.csv, curve.png and curve.svg.

    Raises:
        UserError: the folder cannot be written to.
    """
    write_atomically(folder / "result.json", json.dumps(document, indent=1) + "\n")
    with open_atomically(folder / "curve.csv") as file:
        rows = csv.writer(file)
        rows.writerow(CSV_FIELDS)
        for side in totals.sides:
            for cutoff in range(256):
                rows.writerow([side.condition, *_row(side.curve.at(cutoff))])
    for ending in ("png", "svg"):
        save_figure(_lines(totals, cutoff_q8), folder / f"curve.{ending}", f"{document['word']} ({document['model']})")


def _row(point: OperatingPoint) -> list[Any]:
    values = point_json(point)
    missed, rate = point.missed, point.false_per_h
    return [
        point.cutoff_q8, point.misses, point.trials, values["missed"], missed.low, missed.high,
        point.false_openings, point.hours, values["false_per_hour"], rate.low, rate.high,
    ]  # fmt: skip


def print_results(totals: EvaluationTotals, document: dict[str, Any], cutoff_q8: int, folder: Path) -> None:
    """Tables and a plot on stderr."""
    console = Console(file=sys.stderr, highlight=False, no_color=bool(os.environ.get("NO_COLOR")))
    if not console.is_terminal:
        console.width = WIDTH
    points = Table(title=f"{escape(document['word'])}: words missed and false openings (95 % exact intervals)")
    for name in ("condition", "at most", "cutoff", "words missed", "of", "false openings/h", "in"):
        points.add_column(name, justify="left" if name == "condition" else "right")
    for side in totals.sides:
        rows = [("in force", side.curve.at(cutoff_q8))]
        rows += [(f"{rate:g}/h", point) for rate, point in points_at_rates(side.curve)]
        for number, (name, point) in enumerate(rows):
            points.add_row(
                "" if number else side.condition, name, str(point.cutoff_q8), missed_share_text(point), str(point.trials),
                false_rate_text(point), hours_text(point.hours), end_section=number == len(rows) - 1,
            )  # fmt: skip
    console.print(points)
    console.print(draw_text(_lines(totals, cutoff_q8)[:4]), markup=False)
    for line in _remarks(totals, document):
        console.print(line, markup=False)
    for name, why in totals.broken:
        console.print(f"left out: {name}: {why}", markup=False)
    if totals.ignored:
        more = "" if len(totals.ignored) <= IGNORED_SHOWN else ", ..."
        names = ", ".join(totals.ignored[:IGNORED_SHOWN]) + more
        console.print(f"no sound files, {len(totals.ignored)} of them: {names}", markup=False)
    console.print(f"written to {plain(folder)}: result.json, curve.csv, curve.png, curve.svg", markup=False)


def _remarks(totals: EvaluationTotals, document: dict[str, Any]) -> Iterator[str]:
    hours = max((side.curve.hours for side in totals.sides), default=0.0)
    too_rare = [f"{rate:g}" for rate in RATES_PER_H if rate * hours < 1]
    if too_rare:
        yield (
            f"{hours_text(hours)} without the word cannot show {', '.join(too_rare)} an hour: those rows have the lowest cutoff "
            "at which nothing opened at all, and may come out otherwise next time; their intervals tell how far."
        )
    if totals.cpu_s:
        speed = totals.audio_s / totals.cpu_s
        yield (
            f"{totals.audio_s / 3600:.2f} h of audio, all conditions together, took {totals.cpu_s:.0f} s of processor time: "
            f"{speed:.0f} hours an hour of one processor"
        )
    if document["run_now_hours"]:
        speed = document["run_now_hours"] * 3600 / max(document["wall_s"], 1e-9)
        yield f"{document['run_now_hours']:.2f} h of it now, in {document['wall_s']:.0f} s of waiting: {speed:.0f} hours an hour"
    if "yardstick" in document:
        speeds = document["yardstick"]
        yield (
            f"one processor, the same {speeds['audio_s'] / 60:.1f} min: this gate {speeds['gate_per_s']:.0f} s of audio "
            f"a second, pymicro-wakeword {speeds['pymicro_per_s']:.0f}"
        )
