# SPDX-License-Identifier: MIT
"""Pages to print: documents that come out the same byte for byte, and text on a halo. Millimetres from the left top."""

from __future__ import annotations

import io

from reportlab import rl_config
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

rl_config.useA85 = 0  # binary streams: a fifth smaller
Point = tuple[float, float]
ACROSS: Point = (297.0, 210.0)  # A4
UPRIGHT: Point = (210.0, 297.0)


def document(size: Point, title: str) -> tuple[Canvas, io.BytesIO]:
    """An empty document and where its bytes are once it is saved."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(size[0] * mm, size[1] * mm), invariant=1, pageCompression=1)
    canvas.setTitle(title)
    return canvas, out


def text_at(c: Canvas, at: Point, text: str, size: float, ink: str, anchor: str = "middle", turned: bool = False) -> None:
    """Text centred on its height at a point of a page across, on a white halo."""
    width = stringWidth(text, "Helvetica", size)
    shift = {"middle": -width / 2, "start": 0.0, "end": -width}[anchor]
    c.saveState()
    c.translate(at[0] * mm, (ACROSS[1] - at[1]) * mm)
    if turned:
        c.rotate(90)
    c.setLineJoin(1)
    for mode, colour in ((1, Color(1, 1, 1)), (0, HexColor(ink))):
        c.saveState()
        words = c.beginText(shift, -0.35 * size)
        words.setFont("Helvetica", size)
        words.setTextRenderMode(mode)
        c.setStrokeColor(colour)
        c.setFillColor(colour)
        c.setLineWidth(0.22 * size)
        words.textOut(text)
        c.drawText(words)
        c.restoreState()
    c.restoreState()
