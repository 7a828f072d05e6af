# SPDX-License-Identifier: MIT
"""The fabrication drawing of a circuit board as a PDF: size, holes, drills and where each part stands, 1 : 1."""

from __future__ import annotations

from collections import Counter

from reportlab.lib.colors import HexColor
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from hardware import pages
from hardware.parts import Netlist
from hardware.pcb import placement, routing, rules
from hardware.pcb.board_file import REVISION
from hardware.pcb.library import Point
from hardware.pcb.outline import CORNER_MM, HOLE_MM, THICKNESS_MM, USB_SIDE, outline

LEFT, TOP = 40.0, 45.0  # of the board on the page
INK, GREY, BLUE = HexColor("#111111"), HexColor("#999999"), HexColor("#0a3d91")


class Sheet:
    """A page whose points are millimetres from the board's upper left corner, y downwards."""

    def __init__(self, c: Canvas) -> None:
        self.c = c

    def at(self, p: Point) -> Point:
        return (LEFT + p[0]) * mm, (pages.UPRIGHT[1] - TOP - p[1]) * mm

    def line(self, a: Point, b: Point) -> None:
        self.c.line(*self.at(a), *self.at(b))

    def circle(self, p: Point, diameter: float, fill: int = 0) -> None:
        self.c.circle(*self.at(p), diameter / 2 * mm, stroke=1, fill=fill)

    def text(self, p: Point, text: str, size: float = 7.0, turned: bool = False, middle: bool = True) -> None:
        self.c.saveState()
        self.c.translate(*self.at(p))
        if turned:
            self.c.rotate(90)
        self.c.setFont("Helvetica", size)
        (self.c.drawCentredString if middle else self.c.drawString)(0, -0.35 * size, text)
        self.c.restoreState()

    def across(self, x1: float, x2: float, y: float, text: str = "") -> None:
        """A dimension from x1 to x2 at height y."""
        self.line((x1, y), (x2, y))
        for x in (x1, x2):
            self.line((x, y - 1), (x, y + 1))
        self.text(((x1 + x2) / 2, y - 2), text or f"{x2 - x1:.2f}")

    def down(self, y1: float, y2: float, x: float) -> None:
        self.line((x, y1), (x, y2))
        for y in (y1, y2):
            self.line((x - 1, y), (x + 1, y))
        self.text((x - 2, (y1 + y2) / 2), f"{y2 - y1:.2f}", turned=True)


def drills(board: Netlist) -> Counter[tuple[float, str]]:
    """(diameter, what) -> count, without vias, whose number depends on the tracks."""
    found: Counter[tuple[float, str]] = Counter()
    for place in placement.place(board):
        for pad in place.footprint.pads:
            found[pad.drill, "plated" if pad.number else "not plated"] += 1
    return found


def pdf(board: Netlist) -> bytes:
    plan = placement.plan(board)
    canvas, out = pages.document(pages.UPRIGHT, f"{board.name}: fabrication")
    s = Sheet(canvas)
    canvas.setLineWidth(0.2)
    s.text((0, -32), f"{board.name}, revision {REVISION}: fabrication and assembly, 1 : 1, front", 12, middle=False)
    s.text((0, -26), "Simulated, not yet built. Millimetres.", 8, middle=False)
    x, y = s.at((0, plan.height))
    canvas.roundRect(x, y, plan.width * mm, plan.height * mm, CORNER_MM * mm)
    _dimensions(s, board)
    for place in placement.place(board):
        left, top, right, bottom = place.courtyard
        canvas.setStrokeColor(GREY)
        x, y = s.at((left, bottom))
        canvas.rect(x, y, (right - left) * mm, (bottom - top) * mm)
        canvas.setStrokeColor(INK)
        for pad in place.footprint.pads:
            s.circle(place.at(pad), pad.drill)
        canvas.setFillColor(BLUE)
        upright = bottom - top > 1.1 * (right - left)
        s.text(((left + right) / 2, (top + bottom) / 2), place.ref, 5.5, turned=upright)
        canvas.setFillColor(INK)
    _notes(s, board)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def _dimensions(s: Sheet, board: Netlist) -> None:
    plan = placement.plan(board)
    s.across(0, plan.width, -14)
    s.down(0, plan.height, -24)
    first = plan.holes[0]
    s.across(0, first[0], -4)
    s.across(0, max(x for x, _ in plan.holes), -9)
    for i, y in enumerate(sorted({y for _x, y in plan.holes})):
        s.down(0, y, -5 - 6 * i)


def _notes(s: Sheet, board: Netlist) -> None:
    plan = placement.plan(board)
    least, seen = rules.MINIMUMS_MM, outline(board)
    lights = sorted(seen.lights.items())
    counts = [f"{count} x {d:g} mm{'' if w == 'plated' else ' not plated'}" for (d, w), count in sorted(drills(board).items())]
    lines = [
        f"Board {plan.width:g} x {plan.height:g} x {THICKNESS_MM:g} mm, FR4, corners {CORNER_MM:g} mm, two copper layers, 35 um;",
        "solder mask on both sides, print on both sides. A single board: no panel; a factory may add its own rails.",
        f"Least track {least['min_track_width']:g} mm, least gap {least['min_clearance']:g} mm, vias {routing.VIA:g} / "
        f"{routing.VIA_DRILL:g} mm, mounting holes {HOLE_MM:g} mm.",
        f"Copper of a supply and copper of a microphone's rail or clamp lie {routing.APART:g} mm or more apart.",
        f"Drills: {', '.join(counts[:5])},",
        f"{', '.join(counts[5:])}, and vias of {routing.VIA_DRILL:g} mm.",
        "Middles, from the upper left corner:",
        *(f"  {ref} ({what}) {x:.1f}, {y:.1f}" for ref, ((x, y), what) in lights),
        f"  button {seen.button[0]:.1f}, {seen.button[1]:.1f}; USB at the {USB_SIDE} edge, {seen.usb[1]:.1f} down.",
    ]
    for i, text in enumerate(lines):
        s.text((0, plan.height + 10 + 5 * i), text, 8, middle=False)
