# SPDX-License-Identifier: MIT
"""KiCad's own rules check and its own netlist of all four schematics, run in its editor on a screen that nobody sees.

Needs Debian's kicad, xvfb and xdotool, and kiauto beside the system's python (which has KiCad's module):
`/usr/bin/python3 -m venv --system-site-packages build/kicad && build/kicad/bin/pip install kiauto`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hardware import footprints, kicad
from hardware.netlist import build
from hardware.parts import Netlist

BOARDS = [(2, "digital"), (2, "usb"), (2, "electret"), (1, "digital")]
HERE = Path(__file__).resolve().parents[2] / "build" / "kicad" / "bin" / "eeschema_do"
TOOL = shutil.which("eeschema_do") or (str(HERE) if HERE.exists() else None)
pytestmark = [pytest.mark.soak, pytest.mark.skipif(TOOL is None, reason="kiauto is not installed: see the head of this file")]


def write(board: Netlist, folder: Path) -> Path:
    """The schematic and the libraries it names, in one folder."""
    (folder / "earlid.kicad_sym").write_text(kicad.library([board]))
    (folder / "sym-lib-table").write_text(kicad.TABLE)
    (folder / "fp-lib-table").write_text(footprints.TABLE)
    (folder / "earlid.pretty").mkdir()
    for name, text in footprints.library().items():
        (folder / "earlid.pretty" / name).write_text(text)
    path = folder / f"{board.name}.kicad_sch"
    path.write_text(kicad.schematic(board))
    return path


def eeschema(command: str, path: Path) -> str:
    """The text of the file that the editor writes."""
    assert TOOL
    out = path.parent / command
    subprocess.run([TOOL, command, path.name, str(out)], cwd=path.parent, capture_output=True, timeout=300, check=False)
    return next(out.glob(f"{path.stem}.*")).read_text()


@pytest.mark.parametrize(("channels", "recipe"), BOARDS)
def test_kicads_rules_check_finds_nothing(tmp_path, channels: int, recipe: str) -> None:
    report = eeschema("run_erc", write(build(channels, recipe), tmp_path))
    assert "ERC messages: 0  Errors 0  Warnings 0" in report, report


@pytest.mark.parametrize(("channels", "recipe"), BOARDS)
def test_kicads_netlist_is_ours_pad_by_pad(tmp_path, channels: int, recipe: str) -> None:
    board = build(channels, recipe)
    text = eeschema("netlist", write(board, tmp_path))
    assert kicad.nets_of(text) == kicad.numbered_nets(board)
    found = dict(re.findall(r'\(comp \(ref "([^"]+)"\)\s+\(value "[^"]*"\)\s+\(footprint "([^"]+)"\)', text))
    assert found == {part.ref: footprints.of(part).footprint for part in board.parts} | {"A1": "earlid:ESP32-DevKitC"}


def _second_output(board: Netlist) -> None:
    board.gpio[25] = ("SCK", "i2s_out")


def _comparator_without_supply(board: Netlist) -> None:
    board.part("U1").pins["V+"] = "DARK1"


@pytest.mark.parametrize(
    ("mistake", "rule"), [(_second_output, "pin_to_pin"), (_comparator_without_supply, "power_pin_not_driven")]
)
def test_kicads_rules_check_finds_a_mistake(tmp_path, mistake: Callable[[Netlist], None], rule: str) -> None:
    board = build()
    mistake(board)
    assert f"[{rule}]" in eeschema("run_erc", write(board, tmp_path))
