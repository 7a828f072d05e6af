# SPDX-License-Identifier: MIT
"""A circuit board from its netlist: placed, routed, poured, checked."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from hardware.parts import Netlist
from hardware.pcb import board_file, copper, joints, rules
from hardware.pcb.routing import Board

PYTHON = "/usr/bin/python3"  # the one that Debian's kicad package gives its module to
JOB = Path(__file__).resolve().parent / "pcbnew_job.py"
SUFFIXES = ("kicad_pcb", "kicad_pro", "kicad_dru")
TIES = 8


def kicad(*arguments: str) -> None:
    """Run a job of pcbnew_job.py. Raises ValueError with what KiCad said when it fails."""
    done = subprocess.run([PYTHON, str(JOB), *arguments], capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise ValueError(f"KiCad failed at {arguments[0]}: {done.stderr.strip()[-500:]}")


def write(board: Netlist, folder: Path, routed: Board) -> Path:
    """A board's three files, pours filled. Returns the path of the .kicad_pcb."""
    path = folder / f"{board.name}.kicad_pcb"
    path.write_text(board_file.text(board, routed.routed))
    path.with_suffix(".kicad_pro").write_text(rules.project(board.name))
    path.with_suffix(".kicad_dru").write_text(rules.custom(board))
    kicad("fill", str(path))
    path.with_suffix(".kicad_prl").unlink(missing_ok=True)
    path.with_suffix(".kicad_pro").write_text(rules.project(board.name))
    path.write_text(copper.compact(path.read_text()))
    return path


def make(board: Netlist, folder: Path, say: Callable[[str], None] = lambda text: None) -> Path:
    """Place, route, pour. Raises ValueError when a net or a ground pad cannot be joined, or a rule is broken."""
    routed = Board(board)
    routed.route(say)
    routed.widen()
    return pour(board, folder, routed, say)


def pour(board: Netlist, folder: Path, routed: Board, say: Callable[[str], None]) -> Path:
    """Fill ground's pours and tie to them what they do not reach, twice where it matters; then KiCad's check."""
    for _ in range(TIES):
        path = write(board, folder, routed)
        found = copper.read(path.read_text())
        islands = copper.islands(found)
        hanging = joints.hanging(found) if len(islands) == 1 else []
        if len(islands) > 1:
            say(f"{len(islands) - 1} pieces of ground are tied")
            routed.tie(islands, say)
        elif hanging:
            say(f"{len(hanging)} pieces of ground are tied a second time")
            routed.tie_again(hanging)
        else:
            break
    else:
        raise ValueError(f"{board.name}: pieces of ground are still apart or hang on one track")
    broken = violations(path)
    if broken:
        raise ValueError(f"{board.name} breaks {len(broken)} rules of KiCad's check, first: {broken[0]}")
    return path


def violations(path: Path) -> list[str]:
    """What KiCad's own check finds on a board: violations and missing connections, one text each."""
    report = path.with_suffix(".rpt")
    kicad("check", str(path), str(report))
    text = report.read_text()
    report.unlink()
    path.with_suffix(".kicad_prl").unlink(missing_ok=True)
    return [" ".join(part.split()) for part in re.split(r"\n(?=\[)", text)[1:]]
