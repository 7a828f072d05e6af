# SPDX-License-Identifier: MIT
"""What `case.scad` must know of a circuit board, as a file that includes it; and its parts as STL by OpenSCAD.

Millimetres from the board's upper left corner, y downwards, as in `pcb.outline`.
"""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hardware.parts import Netlist
from hardware.pcb.library import Point
from hardware.pcb.outline import HEIGHTS_MM, THICKNESS_MM, outline, tallest

SCAD = Path(__file__).with_name("case.scad")
PARTS = ("base", "lid", "key")
HEADROOM_MM = 1.5  # between the tallest part and the lid
WALL_MM, GAP_MM = 2.4, 0.5  # around the board
BAY_MM = 26.0  # left of the board: the mute switch and its leads
SWITCH_HOLE_MM, SWITCH_DEPTH_MM = 6.5, 20.0  # a toggle with a 1/4 inch bushing; behind the panel with its lugs, from memory
MODULE_MM = 14.5  # pocket for a round microphone module of 14 mm, from memory
USB_MM = (9.5, 17.9)  # above the board: room for a plug's grip around a socket at 14 mm, cut into the lid's inner face
CABLE_MM = 8.0  # opening for the cables at J2: its height, from the board up


@dataclass(frozen=True)
class Case:
    """`clear` is the room above the board. `port`: in front of the microphone. `cable`: from x to x in the front wall, or ()."""

    title: str
    board: tuple[float, float, float]
    clear: float
    holes: tuple[Point, ...]
    usb: Point
    cable: tuple[float, ...]
    lights: tuple[tuple[Point, str], ...]
    button: Point
    key_height: float
    buzzer: Point
    port: Point
    switch: Point
    wall: float = WALL_MM
    gap: float = GAP_MM
    bay: float = BAY_MM
    key_hole: float = 8.8
    light_hole: float = 5.3
    screw_hole: float = 3.4
    switch_hole: float = SWITCH_HOLE_MM
    module_: float = MODULE_MM
    usb_opening: tuple[float, float] = USB_MM
    cable_height: float = CABLE_MM


def case(board: Netlist) -> Case:
    """The case of a board."""
    shape = outline(board)
    clear = tallest(board) + HEADROOM_MM
    left, _top, right, _bottom = shape.boxes.get("J2", (0.0, 0.0, 0.0, 0.0))
    x1, y1, x2, y2 = shape.boxes["BZ1"]
    m1, m2, m3, _ = shape.boxes["MIC1"]
    return Case(
        title=board.name.upper().replace("-", " "),
        board=(shape.width, shape.height, THICKNESS_MM),
        clear=clear,
        holes=shape.holes,
        usb=shape.usb,
        cable=(left, right) if "J2" in shape.boxes else (),
        lights=tuple(shape.lights.values()),
        button=shape.button,
        key_height=round(clear - HEIGHTS_MM["SW2"], 3),
        buzzer=(round((x1 + x2) / 2, 3), round((y1 + y2) / 2, 3)),
        port=(round((m1 + m3) / 2, 3), round(m2 - 9.0, 3)),
        switch=(-BAY_MM / 2, 30.0),
    )


def _scad(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_scad(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"


def text(board: Netlist) -> str:
    """The board's dimensions as OpenSCAD, and the case that is made of them."""
    head = f"// SPDX-License-Identifier: MIT\n// {board.name}: written by python -m hardware drawn, to lie in hardware/made\n"
    lines = [f"{name} = {_scad(value)};\n" for name, value in vars(case(board)).items()]
    return "".join([head, *lines, "include <../enclosure/case.scad>\n"])


def stl(dimensions: Path, part: str, target: Path) -> str:
    """Render one part. Returns what OpenSCAD reports ('Simple: yes' for a closed solid). Raises OSError when it fails."""
    command = ["openscad", "-D", f'part="{part}"', "-o", str(target), str(dimensions)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if run.returncode:
        raise OSError(f"openscad: {run.stderr.strip()[-300:]}")
    target.write_text(in_order(target.read_text()))
    return run.stderr


def in_order(mesh: str) -> str:
    """The same mesh with its facets sorted: OpenSCAD writes them in an order that changes from run to run."""
    head, _, rest = mesh.partition("\n")
    *facets, tail = rest.split("  endfacet\n")
    return head + "\n" + "".join(f"{facet}  endfacet\n" for facet in sorted(facets)) + tail


def picture(dimensions: Path, target: Path) -> None:
    """The case with its lid lifted, as a PNG. Raises OSError when it fails."""
    view = ["--render", "--imgsize=1100,800", "--camera=40,-45,15,58,0,25,420", "--colorscheme=Tomorrow"]
    command = ["xvfb-run", "-a", "openscad", *view, "-D", 'part="all"', "-o", str(target), str(dimensions)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if run.returncode:
        raise OSError(f"openscad: {run.stderr.strip()[-300:]}")


def sums(files: list[Path]) -> str:
    """As `sha256sum` writes them, so that it can check them."""
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(files))
