# SPDX-License-Identifier: MIT
"""What an enclosure and a label sheet must know of a circuit board, in millimetres from its upper left corner, y downwards."""

from __future__ import annotations

from dataclasses import dataclass

from hardware.parts import Netlist
from hardware.pcb import placement
from hardware.pcb.library import Box, Point

CORNER_MM = 3.0
THICKNESS_MM = 1.6
HOLE_MM = 3.2
USB_SIDE = "right"
# above the board's upper face; a DevKit stands in sockets of 8.5 mm and carries parts of 3 mm; from memory
HEIGHTS_MM = {"A1": 15.0, "SW2": 12.0, "BZ1": 10.0, "J2": 10.0, "LED": 8.6, "RELAY": 11.5, "PTC": 13.5, "PMOS": 19.5}


@dataclass(frozen=True)
class Outline:
    """`lights` and `button`: middle of what a person sees or presses; `usb`: middle of the DevKit's socket at its edge.

    `boxes`: courtyards of what stands at an edge or is tall (A1, J2, SW1, MIC1, SW2, BZ1, K1, K2).
    """

    width: float
    height: float
    corner: float
    holes: tuple[Point, ...]
    hole_diameter: float
    lights: dict[str, tuple[Point, str]]
    button: Point
    usb: Point
    boxes: dict[str, Box]


def tallest(board: Netlist) -> float:
    """Height of the tallest part: on the usb board a TO-220 that stands, elsewhere the DevKit."""
    names = {"A1"} | {name for part in board.parts for name in (part.ref, part.kind)}
    return max(height for name, height in HEIGHTS_MM.items() if name in names)


LIGHTS = {"LED1": "MUTED", "LED2": "STATUS", "LED101": "MIC 1 LIVE", "LED201": "MIC 2 LIVE"}
TALL = ("A1", "J2", "SW1", "MIC1", "SW2", "BZ1", "K1", "K2")


def outline(board: Netlist) -> Outline:
    plan = placement.plan(board)
    places = {place.ref: place for place in placement.place(board)}

    def middle(ref: str) -> Point:
        pads = [places[ref].at(pad) for pad in places[ref].footprint.pads]
        return round(sum(x for x, _ in pads) / len(pads), 3), round(sum(y for _, y in pads) / len(pads), 3)

    return Outline(
        plan.width,
        plan.height,
        CORNER_MM,
        plan.holes,
        HOLE_MM,
        {ref: (middle(ref), label) for ref, label in LIGHTS.items() if ref in places},
        middle("SW2"),
        (plan.width, middle("A1")[1]),
        {ref: places[ref].courtyard for ref in TALL if ref in places},
    )
