# SPDX-License-Identifier: MIT
"""Where every part of a circuit board stands, in millimetres from its upper left corner, y downwards.

Rows of parts are packed by their courtyards, so that a part that is added moves its neighbours instead of lying on them.
"""

from __future__ import annotations

from dataclasses import dataclass

from hardware import footprints
from hardware.parts import Netlist, Part
from hardware.pcb import library
from hardware.pcb.library import Box, Footprint, Point

GRID = 0.635  # a quarter of the pitch of headers: every pad of a 2.54 mm part lies on the router's grid
EDGE = 1.0  # courtyards keep this far from the board's edge, connectors excepted
HOLE = "MountingHole:MountingHole_3.2mm_M3"
DOWN, RIGHT, UP, LEFT = 270.0, 0.0, 90.0, 180.0  # where a footprint's x axis points


@dataclass(frozen=True)
class Place:
    """A footprint on the board; `pins` maps a pad's number to (pin, net)."""

    ref: str
    value: str
    footprint: Footprint
    x: float
    y: float
    turn: float
    pins: dict[str, tuple[str, str]]

    @property
    def courtyard(self) -> Box:
        box = library.rotate_box(self.footprint.courtyard, self.turn)
        return box[0] + self.x, box[1] + self.y, box[2] + self.x, box[3] + self.y

    def at(self, pad: library.LibraryPad) -> Point:
        dx, dy = library.rotate(pad.at, self.turn)
        return round(self.x + dx, 4), round(self.y + dy, 4)


@dataclass(frozen=True)
class Row:
    """Parts in a row from left to right: pad 1 of each at height `y`, the first courtyard beginning at `x`."""

    x: float
    y: float
    refs: str
    turn: float = DOWN
    gap: float = 0.0


@dataclass(frozen=True)
class Plan:
    """A board's size, its rows, and what stands at a place of its own: ref -> (x, y, turn) of pad 1."""

    width: float
    height: float
    rows: tuple[Row, ...]
    fixed: dict[str, tuple[float, float, float]]
    holes: tuple[Point, ...]


def snap(x: float, up: bool = False) -> float:
    steps = x / GRID
    return round(int(steps + (0.999 if up else 0.5)) * GRID, 4)


PUMP = (
    "R{0}01 R{0}02 C{0}08 C{0}01 D{0}01 D{0}02 C{0}02 R{0}03 R{0}05 R{0}06 C{0}03 D{0}03 D{0}04 C{0}04 R{0}04 R{0}07 "
    "Q{0}01 D{0}05 D{0}06"
)
RAIL = "C{0}05 R{0}14 R{0}15 R{0}16 C{0}06 R{0}17"
USB = "F201 Q202 C207 R218 R219 D207"
SWITCH = "R4 R5 C2 R6 R7 C3 F1"
LAMP = "R2 R3 Q1 R11 Q2 R12 Q3 R13"
MIC = "R24 R23 R22 R21 D21 D22 R26"
LAST = 96.2  # a mounting hole this far from the upper or left edge of 100 mm
TWO = Plan(
    100.0,
    100.0,
    (
        Row(2, 33.02, "R213 R113", RIGHT),
        Row(2, 36.83, f"{RAIL.format(2)} {USB} {RAIL.format(1)} {SWITCH}"),
        Row(2, 50.165, f"{LAMP} {MIC} R25"),
        Row(2, 63.5, PUMP.format(2)),
        Row(2, 76.835, PUMP.format(1)),
        Row(84, 62.865, "R8 R9 C1"),
    ),
    {
        "A1": (50.8, 27.94, UP), "SW1": (10.16, 3.81, UP),
        "K1": (8.89, 11.43, 0.0), "R111": (19.685, 11.43, DOWN), "R112": (22.86, 11.43, DOWN),
        "K2": (26.67, 11.43, 0.0), "R211": (37.465, 11.43, DOWN), "R212": (40.64, 11.43, DOWN),
        "R1": (62.23, 52.07, RIGHT), "U1": (84.455, 50.165, 0.0), "J2": (12.7, 93.98, RIGHT), "MIC1": (29.21, 95.25, UP),
        "LED1": (47.625, 96.52, RIGHT), "LED2": (54.61, 96.52, RIGHT),
        "LED101": (61.595, 96.52, RIGHT), "LED201": (68.58, 96.52, RIGHT),
        "SW2": (77.47, 90.805, RIGHT), "BZ1": (81.28, 80.645, RIGHT),
    },
    ((3.8, 3.8), (LAST, 33.655), (3.8, LAST), (LAST, LAST)),
)  # fmt: skip
UPWARDS = 13.335  # a row less
ONE = Plan(
    100.0,
    round(TWO.height - UPWARDS, 3),
    (
        Row(2, 33.02, "R113", RIGHT),
        Row(2, 36.83, f"{RAIL.format(1)} {SWITCH}"),
        Row(2, 50.165, f"{LAMP} {MIC} R25"),
        Row(2, 63.5, PUMP.format(1)),
        Row(27, 20.32, "R8 R9 C1"),
    ),
    {ref: at for ref, at in TWO.fixed.items() if ref in ("A1", "SW1", "K1", "R111", "R112", "R1")}
    | {"U1": (28.575, 8.89, 0.0)}
    | {ref: (TWO.fixed[ref][0], round(TWO.fixed[ref][1] - UPWARDS, 3), TWO.fixed[ref][2])
       for ref in ("MIC1", "LED1", "LED2", "LED101", "SW2", "BZ1")},
    ((3.8, 3.8), (LAST, 33.655), (3.8, round(LAST - UPWARDS, 3)), (LAST, round(LAST - UPWARDS, 3))),
)  # fmt: skip


def plan(board: Netlist) -> Plan:
    return TWO if board.channels == 2 else ONE


def _pins(part: Part) -> dict[str, tuple[str, str]]:
    return {pad: (pin, part.pins[pin]) for pin, pad in footprints.of(part).pads.items()}


def place(board: Netlist) -> list[Place]:
    """Every part, the DevKit and the mounting holes. Raises ValueError for a part without a place, or off the board."""
    wanted = plan(board)
    parts = {part.ref: part for part in board.parts}
    places = [_devkit(board, wanted.fixed["A1"])]

    def add(ref: str, x: float, y: float, turn: float) -> None:
        part = parts.pop(ref)
        places.append(Place(ref, part.value, library.load(footprints.of(part).footprint), x, y, turn, _pins(part)))

    for row in wanted.rows:
        x = row.x
        for ref in row.refs.split():
            if ref not in parts:
                continue
            left, _top, right, _bottom = library.rotate_box(library.load(footprints.of(parts[ref]).footprint).courtyard, row.turn)
            at = snap(x - left, up=True)
            add(ref, at, row.y, row.turn)
            x = at + right + row.gap
    for ref, (x, y, turn) in wanted.fixed.items():
        if ref in parts:
            add(ref, x, y, turn)
    if parts:
        raise ValueError(f"not placed: {', '.join(sorted(parts))}")
    for i, (x, y) in enumerate(wanted.holes, start=1):
        places.append(Place(f"H{i}", "M3", library.load(HOLE), x, y, 0.0, {}))
    return places


def _devkit(board: Netlist, at: tuple[float, float, float]) -> Place:
    nets = footprints.devkit_nets(board)
    pins = {pad: (pin, nets[pad]) for pin, pad in footprints.devkit(board).pads.items()}
    return Place("A1", "ESP32-DevKitC", library.load(footprints.devkit(board).footprint), *at, pins)


def overlaps(places: list[Place]) -> list[str]:
    """Pairs of parts whose courtyards overlap, in words."""
    found = []
    for i, one in enumerate(places):
        a = one.courtyard
        for two in places[i + 1 :]:
            b = two.courtyard
            if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]:
                found.append(f"{one.ref} and {two.ref}")
    return found
