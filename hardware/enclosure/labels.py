# SPDX-License-Identifier: MIT
"""Labels to print at 100 %: the front of every case with its holes, and a sheet of labels for a building full of boards."""

from __future__ import annotations

from reportlab.lib.colors import HexColor
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from hardware.enclosure.case import Case, case
from hardware.pages import ACROSS, UPRIGHT, document, text_at
from hardware.parts import Netlist
from hardware.pcb.library import Point

LABEL = (63.5, 33.9)  # a common sheet of 24 on A4, from memory
COLUMNS, ROWS = 3, 8
RED, AMBER, INK = "#c0261c", "#d98a00", "#111111"


def _circle(c: Canvas, at: Point, diameter: float, fill: str = "#ffffff") -> None:
    """In millimetres from the page's left bottom."""
    c.setFillColor(HexColor(fill))
    c.setStrokeColor(HexColor(INK))
    c.setLineWidth(0.4)
    c.circle(at[0] * mm, at[1] * mm, diameter / 2 * mm, fill=1)


def _text(c: Canvas, at: Point, text: str, size: float, anchor: str = "middle", turned: bool = False, ink: str = INK) -> None:
    """Likewise from the left bottom; `text_at` counts from the top of a page across."""
    text_at(c, (at[0], ACROSS[1] - at[1]), text, size, ink, anchor, turned)


def _front(c: Canvas, shape: Case) -> None:
    """The front of a case at 1 : 1, to cut out and stick on, or to drill a bought box by."""
    rim = shape.wall + shape.gap
    width, height = shape.board[0] + shape.bay + 2 * rim, shape.board[1] + 2 * rim
    left, top = (ACROSS[0] - width) / 2, ACROSS[1] - 30.0

    def at(point: Point, dx: float = 0.0, dy: float = 0.0) -> Point:
        return left + rim + shape.bay + point[0] + dx, top - rim - point[1] - dy

    _text(c, (15, ACROSS[1] - 12), f"{shape.title}: front at 1 : 1, {width:g} x {height:g} mm", 12, "start")
    c.setLineWidth(0.6)
    c.setStrokeColor(HexColor(INK))
    c.roundRect(left * mm, (top - height) * mm, width * mm, height * mm, 3 * mm)
    for hole in shape.holes:
        _circle(c, at(hole), shape.screw_hole)
    _circle(c, at(shape.switch), shape.switch_hole)
    _text(c, at(shape.switch, dy=-13), "ARM", 16)
    _text(c, at(shape.switch, dy=13), "MUTE", 16, ink=RED)
    for point, name in shape.lights:
        colour = RED if name == "MUTED" else AMBER
        _circle(c, at(point), shape.light_hole)
        _text(c, at(point, dy=-5), name, 10.5, "start", turned=True, ink=colour)
    _circle(c, at(shape.button), shape.key_hole)
    _text(c, at(shape.button, dx=-7.5), "TALK", 10.5, turned=True)
    _circle(c, at(shape.port), 3.0)
    _text(c, at(shape.port, dy=-8.5), "MIC 1", 10.5)
    for i in range(-2, 3):
        x, y = at(shape.buzzer, dx=2.4 * i)
        c.rect((x - 0.6) * mm, (y - 4) * mm, 1.2 * mm, 8 * mm)
    middle = shape.board[0] / 2
    _text(c, at((middle, 22)), shape.title, 15)
    _text(c, at((middle, 33)), "microphone cut when red", 12, ink=RED)
    _text(c, at((middle, 41)), "microphone live when amber", 12, ink=AMBER)
    _text(c, at((middle, 52)), "No. ______________", 12)
    x, y = 15.0, 20.0
    c.setLineWidth(0.8)
    c.line(x * mm, y * mm, (x + 100) * mm, y * mm)
    _text(c, (x + 50, y - 4), "100 mm when printed at 100 %", 8)
    c.showPage()


def _sheet(c: Canvas) -> None:
    """24 labels, one a board."""
    c.setPageSize((UPRIGHT[0] * mm, UPRIGHT[1] * mm))
    left, bottom = (UPRIGHT[0] - COLUMNS * LABEL[0]) / 2, (UPRIGHT[1] - ROWS * LABEL[1]) / 2
    for row in range(ROWS):
        for column in range(COLUMNS):
            x, y = left + column * LABEL[0], bottom + row * LABEL[1]
            c.setStrokeColor(HexColor("#cccccc"))
            c.setLineWidth(0.3)
            c.rect(x * mm, y * mm, LABEL[0] * mm, LABEL[1] * mm)
            _circle(c, (x + 7, y + 26.5), 4.5, RED)
            _text(c, (x + 12, y + 26.5), "microphone cut when red", 11, "start", ink=RED)
            _circle(c, (x + 7, y + 18.5), 4.5, AMBER)
            _text(c, (x + 12, y + 18.5), "microphone live when amber", 9.5, "start")
            _text(c, (x + 4.5, y + 7), "No. __________   Room __________", 9, "start")
    c.showPage()


def pdf(boards: list[Netlist]) -> bytes:
    """The front of every board's case, then the sheet for many boards."""
    c, out = document(ACROSS, "Earlid: labels")
    for board in boards:
        _front(c, case(board))
    _sheet(c)
    c.save()
    return out.getvalue()
