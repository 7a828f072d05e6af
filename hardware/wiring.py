# SPDX-License-Identifier: MIT
"""The perfboard as a list of numbered wires, and as a PDF to print: both sides, list to tick, template."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable

from reportlab.lib.colors import HexColor
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from hardware import layout
from hardware.layout import COLUMNS, HOLE_MM, Pad, Wire
from hardware.pages import ACROSS, document, text_at
from hardware.parts import Netlist, Part

SCALE = 1.8
INK = {"black": "#222222", "red": "#d62728", "orange": "#ff7f0e", "violet": "#8e44ad", "yellow": "#b39200", "brown": "#7b4a2d",
       "green": "#2a8f3c", "blue": "#1f5fbf", "grey": "#7a7a7a"}  # fmt: skip
LEGEND = {
    "GND": "ground", "V5": "5 V", "V3V3": "3.3 V", "VCOIL": "coil supply", "RAIL1": "microphone rails", "FEED1": "feeds",
    "PUMP1": "pumps, gates", "SENSE1": "read-back", "LAMP": "the rest",
}  # fmt: skip
BODY = {"R": "#f3e3c3", "C": "#d7e6f5", "D": "#f6d5d5", "Z": "#f6d5d5", "LED": "#ffe08a", "NMOS": "#dddddd", "PMOS": "#dddddd"}
WIDE = ("A1", "K1", "K2", "U1", "SW1", "MIC1", "J2")  # more than one column wide: their name stands inside or above
Point = tuple[float, float]
Box = tuple[float, float, float, float]


def wire_list(board: Netlist) -> str:
    """CSV: number, net, from hole, to hole, colour, and which pins these are."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["number", "net", "from", "to", "colour", "from_pin", "to_pin"])
    for wire in layout.wires(layout.place(board)):
        start, end = wire.start, wire.end
        writer.writerow(
            [wire.number, wire.net, start.hole, end.hole, wire.colour, f"{start.ref} {start.pin}", f"{end.ref} {end.pin}"]
        )
    return out.getvalue()


class Sheet:
    """One view of the board on a page: `place` gives millimetres from the page's left top; `mirrored` is the solder side."""

    def __init__(self, canvas: Canvas, board: Netlist, left: float, top: float, scale: float, mirrored: bool) -> None:
        self.c, self.board, self.left, self.top = canvas, board, left, top
        self.pitch, self.mirrored, self.scale = HOLE_MM * scale, mirrored, scale
        self.rows = layout.ROWS[board.channels]

    def place(self, x: float, y: float) -> Point:
        column = COLUMNS + 1 - x if self.mirrored else x
        return self.left + column * self.pitch, self.top + y * self.pitch

    def at(self, pad: Pad) -> Point:
        return self.place(pad.x, pad.y)

    def text(self, at: Point, text: str, size: float, ink: str = "#111111", anchor: str = "middle", turned: bool = False) -> None:
        text_at(self.c, at, text, size, ink, anchor, turned)

    def box(self, box: Box, fill: str, ink: str = "#666666", radius: float = 0.8) -> None:
        x1, y1, x2, y2 = box
        self.c.setFillColor(HexColor(fill))
        self.c.setStrokeColor(HexColor(ink))
        self.c.setLineWidth(0.5)
        self.c.roundRect(x1 * mm, (ACROSS[1] - y2) * mm, (x2 - x1) * mm, (y2 - y1) * mm, radius * mm, fill=1)

    def dot(self, at: Point, radius: float, ink: str, fill: str = "#ffffff", width: float = 1.0) -> None:
        self.c.setFillColor(HexColor(fill))
        self.c.setStrokeColor(HexColor(ink))
        self.c.setLineWidth(width)
        self.c.circle(at[0] * mm, (ACROSS[1] - at[1]) * mm, radius * mm, fill=1)

    def line(self, points: Iterable[Point], ink: str, width: float) -> None:
        self.c.setStrokeColor(HexColor(ink))
        self.c.setLineWidth(width)
        path = self.c.beginPath()
        for i, (x, y) in enumerate(points):
            (path.lineTo if i else path.moveTo)(x * mm, (ACROSS[1] - y) * mm)
        self.c.drawPath(path)

    def grid(self) -> None:
        """Every hole, the edge of the board, and the names of columns and rows on all sides."""
        size = 5 if self.scale > 1 else 3.2
        x1, y1 = self.place(0.5, 0.5)
        x2, y2 = self.place(COLUMNS + 0.5, self.rows + 0.5)
        self.box((min(x1, x2), y1, max(x1, x2), y2), "#fffdf5", "#999999", 0.1)
        for y in range(1, self.rows + 1):
            self._dots(y)
            for side in (-0.25, COLUMNS + 1.7):
                self.text(self.place(side, y), Pad("", "", "", 1, y).hole[:-1], size, "#555555")
        for x in range(1, COLUMNS + 1):
            for side in (-0.05, self.rows + 1.05):
                self.text(self.place(x, side), str(x), size, "#555555")

    def _dots(self, y: int) -> None:
        """The empty holes of a row: one dashed line of round caps."""
        (x1, at), (x2, _) = self.place(1, y), self.place(COLUMNS, y)
        self.c.saveState()
        self.c.setLineCap(1)
        self.c.setDash([0, self.pitch * mm])
        self.line([(min(x1, x2), at), (max(x1, x2) + 0.1, at)], "#d5c8a5", 0.45 * self.scale * mm)
        self.c.restoreState()

    def outline(self, pads: list[Pad], margin: float = 0.36) -> Box:
        spots = [self.at(pad) for pad in pads]
        reach = margin * self.pitch
        return (
            min(x for x, _ in spots) - reach, min(y for _, y in spots) - reach,
            max(x for x, _ in spots) + reach, max(y for _, y in spots) + reach,
        )  # fmt: skip


def _by_part(pads: list[Pad]) -> dict[str, list[Pad]]:
    found: dict[str, list[Pad]] = {}
    for pad in pads:
        found.setdefault(pad.ref, []).append(pad)
    return found


def _parts(sheet: Sheet, pads: list[Pad]) -> None:
    """Bodies with their names and values, pins of what has more than two, the bar of a diode; `size` follows the scale."""
    size = 6.2 if sheet.scale > 1 else 3.4
    have = {part.ref: part for part in sheet.board.parts}
    for ref, own in _by_part(pads).items():
        part = have.get(ref, Part(ref, "DEVKIT", "ESP32-DevKitC", {}, ""))
        x1, y1, x2, y2 = sheet.outline(own)
        sheet.box((x1, y1, x2, y2), BODY.get(part.kind, "#e8eef0"))
        label = f"{ref} {part.value}"
        if ref in WIDE:
            inside = y2 - y1 > 2 * sheet.pitch
            sheet.text(((x1 + x2) / 2, (y1 + y2) / 2 if inside else y1 - 0.45 * sheet.pitch), label, size)
        else:
            sheet.text((sheet.at(own[0])[0] + 0.72 * sheet.pitch, (y1 + y2) / 2), label, size, turned=True)
        if part.kind in ("D", "Z", "LED"):
            _x, y = sheet.at(next(pad for pad in own if pad.pin == "K"))
            sheet.line([(x1, y - 0.55 * sheet.pitch), (x2, y - 0.55 * sheet.pitch)], "#222222", 1.4 * sheet.scale)
    (x1, y1), (x2, y2) = sheet.place(COLUMNS + 0.4, 4.5), sheet.place(COLUMNS + 1.2, 7.5)
    sheet.box((x1, y1, x2, y2), "#c8ccd0")
    sheet.text(((x1 + x2) / 2, (y1 + y2) / 2), "USB", size, turned=True)


def _pins(sheet: Sheet, pads: list[Pad]) -> None:
    """Holes in use, in the colour of what they carry, and the names of pins where a part has more than two."""
    for pad in pads:
        x, y = sheet.at(pad)
        sheet.dot((x, y), 0.42 * sheet.scale, INK[layout.colour(pad.net)], "#ffffff", 0.7 * sheet.scale)
        if sheet.scale > 1 and pad.ref in WIDE:
            sheet.text((x, y + 0.5 * sheet.pitch), pad.pin, 4.2, "#333333")
        elif sheet.scale > 1 and pad.ref.startswith("Q"):
            sheet.text((x - 0.55 * sheet.pitch, y), pad.pin, 4.6, "#333333")


def _curve(sheet: Sheet, wire: Wire, pads: list[Pad]) -> Callable[[float], Point]:
    """A wire's way: straight, or bent as little as keeps it clear of the holes of other pins."""
    (ax, ay), (bx, by) = sheet.at(wire.start), sheet.at(wire.end)
    length = math.hypot(bx - ax, by - ay)
    reach, box = 2.5 * sheet.pitch, (min(ax, bx), min(ay, by), max(ax, bx), max(ay, by))
    others = [
        (x, y)
        for x, y in (sheet.at(pad) for pad in pads if pad not in (wire.start, wire.end))
        if box[0] - reach < x < box[2] + reach and box[1] - reach < y < box[3] + reach
        and abs((x - ax) * (by - ay) - (y - ay) * (bx - ax)) < reach * length
    ]  # fmt: skip

    def bent(holes: float) -> Callable[[float], Point]:
        share = 2 * holes * sheet.pitch / length
        mx, my = (ax + bx) / 2 - (by - ay) * share, (ay + by) / 2 + (bx - ax) * share

        def point(t: float) -> Point:
            a, m, b = (1 - t) ** 2, 2 * t * (1 - t), t * t
            return a * ax + m * mx + b * bx, a * ay + m * my + b * by

        return point

    def clearance(curve: Callable[[float], Point]) -> float:
        steps = 2 + int(3 * length / sheet.pitch)
        way = [curve(i / steps) for i in range(steps + 1)]
        return min((math.hypot(x - px, y - py) for x, y in way for px, py in others), default=math.inf)

    side = 1 if wire.number % 2 else -1
    curves = [bent(side * sign * holes) for holes in (0.0, 0.5, 0.8, 1.1, 1.4, 1.7, 2.0) for sign in (1, -1)]
    clear = (curve for curve in curves if clearance(curve) > 0.4 * sheet.pitch)
    return next(clear, None) or max(curves, key=clearance)


def _free(box: Box, taken: list[Box]) -> bool:
    return not any(box[0] < t[2] and t[0] < box[2] and box[1] < t[3] and t[1] < box[3] for t in taken)


def numbers(
    sheet: Sheet, curves: list[tuple[Wire, Callable[[float], Point]]], pads: list[Pad], size: float = 5.0
) -> list[tuple[Wire, Point]]:
    """Where each wire's number stands: near both of its ends, clear of holes and of other numbers.

    Raises ValueError when there is no room for one.
    """
    half = 0.48 * sheet.scale
    taken = [(x - half, y - half, x + half, y + half) for x, y in map(sheet.at, pads)]
    spots = []
    for wire, point in curves:
        (ax, ay), (bx, by) = point(0.0), point(1.0)
        length = math.hypot(bx - ax, by - ay)
        width, height = stringWidth(str(wire.number), "Helvetica", size) / mm / 2 + 0.15, 0.36 * size / mm
        for end in (0, 1):
            steps = (1.5 + 0.35 * i for i in range(200))
            for step in steps:
                if step > max(length - 1.5, 1.5):
                    raise ValueError(f"{sheet.board.name}: no room for the number of wire {wire.number}")
                x, y = point(step / length if end == 0 else 1 - step / length)
                box = (x - width, y - height, x + width, y + height)
                if _free(box, taken):
                    taken.append(box)
                    spots.append((wire, (x, y)))
                    break
            if length < 1.2 * sheet.pitch:
                break  # a solder bridge to the next hole: one number is at both ends
    return spots


def _wires(sheet: Sheet, drawn: list[Wire], pads: list[Pad]) -> None:
    curves = [(wire, _curve(sheet, wire, pads)) for wire in drawn]
    for wire, point in curves:
        sheet.line([point(i / 16) for i in range(17)], INK[wire.colour], 1.1)
    for wire, at in numbers(sheet, curves, pads):
        sheet.text(at, str(wire.number), 5.0, INK[wire.colour])


def _head(c: Canvas, title: str, note: str) -> None:
    text_at(c, (12, 9), title, 12, "#111111", "start")
    text_at(c, (12, 14.5), note, 7.5, "#444444", "start")


def _legend(c: Canvas) -> None:
    x = 12.0
    for net, name in LEGEND.items():
        ink = INK[layout.colour(net)]
        c.setFillColor(HexColor(ink))
        c.rect(x * mm, 4.6 * mm, 6 * mm, 1.4 * mm, stroke=0, fill=1)
        label = f"{name} ({layout.colour(net)})"
        text_at(c, (x + 7.5, ACROSS[1] - 5.3), label, 6.5, "#333333", "start")
        x += 11.0 + stringWidth(label, "Helvetica", 6.5) / mm


def _component_page(c: Canvas, board: Netlist, pads: list[Pad]) -> None:
    sheet = Sheet(c, board, 12, 20, SCALE, mirrored=False)
    note = "The bar of a diode or a light is its K pin. The ring of a hole has the colour of its wire."
    _head(c, f"{board.name}: component side, {COLUMNS} x {sheet.rows} holes, {SCALE} : 1 on A4", note)
    sheet.grid()
    _parts(sheet, pads)
    _pins(sheet, pads)
    _legend(c)
    c.showPage()


def _solder_page(c: Canvas, board: Netlist, pads: list[Pad], drawn: list[Wire], title: str) -> None:
    sheet = Sheet(c, board, 12, 20, SCALE, mirrored=True)
    note = (
        "Mirrored: turned over its left edge, as it lies under the iron. Each wire has its number at both ends, as in the list."
    )
    _head(c, f"{board.name}: solder side, {title} (wires {drawn[0].number} to {drawn[-1].number}), {SCALE} : 1 on A4", note)
    sheet.grid()
    for ref, own in _by_part(pads).items():
        x1, y1, x2, y2 = sheet.outline(own)
        sheet.box((x1, y1, x2, y2), "#f7f4ea", "#c9c4b4")
        sheet.text(((x1 + x2) / 2, y1 + (0.35 if ref.startswith("Q") else 0.5) * (y2 - y1)), ref, 4.6, "#8d8878")
    _wires(sheet, drawn, pads)
    for pad in pads:
        sheet.dot(sheet.at(pad), 0.42 * SCALE, INK[layout.colour(pad.net)], "#ffffff", 0.9)
    _legend(c)
    c.showPage()


def _list_page(c: Canvas, board: Netlist, drawn: list[Wire]) -> None:
    """All wires with a box to tick: number, colour, hole to hole, net."""
    _head(c, f"{board.name}: {len(drawn)} wires, tick them off", "number, from hole, to hole, net; in the colour to use")
    per_column = math.ceil(len(drawn) / 5)
    step = min(4.6, 184 / per_column)
    for i, wire in enumerate(drawn):
        x, y = 12 + 56 * (i // per_column), 21 + step * (i % per_column)
        c.setStrokeColor(HexColor("#555555"))
        c.setLineWidth(0.5)
        c.rect(x * mm, (ACROSS[1] - y - 1.2) * mm, 2.4 * mm, 2.4 * mm)
        c.setFillColor(HexColor(INK[wire.colour]))
        c.rect((x + 11) * mm, (ACROSS[1] - y - 0.6) * mm, 3.5 * mm, 1.2 * mm, stroke=0, fill=1)
        text_at(c, (x + 10, y), str(wire.number), 7, "#111111", "end")
        text_at(c, (x + 16, y), f"{wire.start.hole} - {wire.end.hole}", 7, "#111111", "start")
        text_at(c, (x + 34, y), wire.net, 6, "#555555", "start")
    c.showPage()


def _template_page(c: Canvas, board: Netlist, pads: list[Pad]) -> None:
    """Both sides at 1 : 1: lay the print on the board to check the printer's scale, or glue it on."""
    height = (layout.ROWS[board.channels] + 1.6) * HOLE_MM
    for i, mirrored in enumerate((False, True)):
        sheet = Sheet(c, board, 10, 8 + i * height, 1.0, mirrored)
        sheet.grid()
        if not mirrored:
            _parts(sheet, pads)
        _pins(sheet, pads)
        text_at(c, (172, 20 + i * height), "solder side, mirrored" if mirrored else "component side", 9, "#111111", "start")
    text_at(c, (172, 12), f"{board.name}: both sides at 1 : 1 (holes {HOLE_MM} mm apart)", 11, "#111111", "start")
    sheet.line([(280, 40), (280, 140)], "#111111", 0.8)
    for y in (40, 140):
        sheet.line([(277, y), (283, y)], "#111111", 0.8)
    text_at(c, (274, 90), "100 mm when printed at 100 %", 8, "#111111", turned=True)
    c.showPage()


def pdf(board: Netlist) -> bytes:
    """Five pages of A4: component side, solder side twice (loops; the rest), list of wires, template at 1 : 1."""
    pads = layout.place(board)
    drawn = layout.wires(pads)
    c, out = document(ACROSS, f"{board.name} on a perfboard")
    _component_page(c, board, pads)
    loops = [wire for wire in drawn if layout.looped(wire.net)]
    rest = [wire for wire in drawn if not layout.looped(wire.net)]
    _solder_page(c, board, pads, loops, "loops of ground and rails")
    _solder_page(c, board, pads, rest, "all other wires")
    _list_page(c, board, drawn)
    _template_page(c, board, pads)
    c.save()
    return out.getvalue()
