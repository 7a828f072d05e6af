# SPDX-License-Identifier: MIT
"""README.md's figures and quotations are those of the parts lists and of the recorded demo."""

from __future__ import annotations

import html
import re
from pathlib import Path

from hardware import bom, reports
from hardware.netlist import build

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def recorded() -> str:
    """The text of host/earlid/demo/recording.svg, lines joined, spaces as one."""
    texts = re.findall(
        r"<text[^>]*>(.*?)</text>", (ROOT / "host" / "earlid" / "demo" / "recording.svg").read_text(encoding="utf-8")
    )
    return " ".join(" ".join(html.unescape(text).split()) for text in texts)


def test_quoted_lines_are_in_the_recorded_demo() -> None:
    (quoted,) = re.findall(r"^```\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    shown = recorded()
    assert [line for line in quoted.splitlines() if " ".join(line.split()) not in shown] == []


def test_recorded_demo_has_the_scenes_of_today() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "host" / "earlid" / "demo").glob("*.py"))
    scenes = re.findall(r"(?<!\S)[1-9]\. (.*?[.])(?= \d+\.\d+ s| the guarded| The board is to| [1-9]\. )", recorded())
    assert len(scenes) == 9
    missing = [scene for scene in scenes if scene.replace('"', "") not in sources.replace("\\", "").replace('"', "")]
    assert not missing, "run `python -m tests.house.record_demo`"


def test_costs_are_those_of_the_parts_lists() -> None:
    boards = [build(channels, recipe) for channels, recipe in reports.BOARDS]
    parts = sorted(len(board.parts) for board in boards)
    euros = sorted(round(bom.total_eur(board)) for board in boards)
    wires = sorted(len(path.read_text().splitlines()) - 1 for path in reports.MADE.glob("*-wires.csv"))
    assert f"{parts[0]} to {parts[-1]} parts, [about EUR {euros[0]} to {euros[-1]}]" in README
    assert f"{wires[0]} to {wires[-1]} wires" in README


def test_number_of_fault_injections_is_that_of_the_results() -> None:
    results = sum(len(path.read_text().splitlines()) - 1 for path in reports.MADE.glob("fmea-*.csv"))
    assert f"{results:,} fault injections" in README
