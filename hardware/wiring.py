# SPDX-License-Identifier: MIT
"""The wiring diagram of the perfboard: every used hole, every part, every wire with its colour; and the same as a list."""

from __future__ import annotations

import csv
import io

from hardware import layout
from hardware.layout import COLUMNS, Pad
from hardware.parts import Netlist

PITCH = 24
MARGIN = 46
INK = {"black": "#222222", "red": "#d62728", "orange": "#ff7f0e", "violet": "#8e44ad", "yellow": "#c9a800", "brown": "#7b4a2d",
       "green": "#2a8f3c", "blue": "#1f5fbf", "grey": "#8a8a8a"}  # fmt: skip
LEGEND = {
    "GND": "ground", "V5": "5 V", "V3V3": "3.3 V", "VCOIL": "coil supply", "RAIL1": "microphone rails", "FEED1": "feeds",
    "PUMP1": "pumps, gates", "SENSE1": "read-back", "LAMP": "the rest",
}  # fmt: skip
BODY = {"R": "#f3e3c3", "C": "#d7e6f5", "D": "#f6d5d5", "Z": "#f6d5d5", "LED": "#ffe08a", "NMOS": "#d9d9d9", "PMOS": "#d9d9d9"}


def _xy(pad: Pad) -> tuple[float, float]:
    return MARGIN + pad.x * PITCH, MARGIN + pad.y * PITCH


def _row_name(y: int) -> str:
    return Pad("", "", "", 1, y).hole[:-1]


def wire_list(board: Netlist) -> str:
    """CSV: number, net, from hole, to hole, colour, and which pins these are."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["number", "net", "from", "to", "colour", "from_pin", "to_pin"])
    for wire in layout.wires(layout.place(board)):
        writer.writerow(
            [
                wire.number,
                wire.net,
                wire.start.hole,
                wire.end.hole,
                wire.colour,
                f"{wire.start.ref} {wire.start.pin}",
                f"{wire.end.ref} {wire.end.pin}",
            ]
        )
    return out.getvalue()


def _grid(rows: int) -> list[str]:
    lines = []
    for x in range(1, COLUMNS + 1):
        for y in (MARGIN + PITCH * 0.2, MARGIN + PITCH * (rows + 0.9)):
            lines.append(f'<text x="{MARGIN + x * PITCH}" y="{y:.0f}" class="edge">{x}</text>')
    for y in range(1, rows + 1):
        for side in (MARGIN + PITCH * 0.1, MARGIN + PITCH * (COLUMNS + 0.9)):
            lines.append(f'<text x="{side:.0f}" y="{MARGIN + y * PITCH + 4}" class="edge">{_row_name(y)}</text>')
    holes = "".join(
        f"M{MARGIN + x * PITCH - 2} {MARGIN + y * PITCH}h4" for y in range(1, rows + 1) for x in range(1, COLUMNS + 1)
    )
    return [f'<path d="{holes}" stroke="#c8b98f" stroke-width="3"/>', *lines]


def _bodies(board: Netlist, pads: list[Pad]) -> tuple[list[str], list[str]]:
    """Outlines of the parts, and their names, which are drawn over the wires."""
    kinds = {part.ref: part.kind for part in board.parts} | {"A1": "DEVKIT"}
    values = {part.ref: part.value for part in board.parts} | {"A1": "ESP32-DevKitC (USB at the right)"}
    lines, names = [], []
    for ref in dict.fromkeys(pad.ref for pad in pads):
        spots = [_xy(pad) for pad in pads if pad.ref == ref]
        left, right = min(x for x, _ in spots) - 8, max(x for x, _ in spots) + 8
        top, bottom = min(y for _, y in spots) - 8, max(y for _, y in spots) + 8
        fill = BODY.get(kinds[ref], "#e8eef0")
        lines.append(
            f'<rect x="{left:.0f}" y="{top:.0f}" width="{right - left:.0f}" height="{bottom - top:.0f}" rx="5" fill="{fill}"'
            ' stroke="#666" stroke-width="1" fill-opacity="0.85"/>'
        )
        if kinds[ref] in ("D", "Z", "LED"):
            _x, y = next(_xy(pad) for pad in pads if pad.ref == ref and pad.pin == "K")
            lines.append(f'<path d="M{left:.0f} {y - 14}h{right - left:.0f}" stroke="#222" stroke-width="4"/>')
        middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
        if right - left < 30:
            text = f"{ref} {values[ref][:8]}" if bottom - top > 100 else ref
            names.append(f'<text transform="translate({middle_x + 4:.0f} {middle_y:.0f}) rotate(-90)" class="ref">{text}</text>')
        else:
            y = middle_y + 4 if bottom - top > 30 else top - 4
            names.append(f'<text x="{middle_x:.0f}" y="{y:.0f}" class="ref">{ref} {values[ref]}</text>')
    return lines, names


def _wires(pads: list[Pad]) -> list[str]:
    lines = []
    for number, wire in enumerate(layout.wires(pads)):
        (ax, ay), (bx, by) = _xy(wire.start), _xy(wire.end)
        bend = ((number % 5) - 2) * 5
        if ax == bx or ay == by:
            mid = f"{(ax + bx) / 2 + (bend if ax == bx else 0):.0f} {(ay + by) / 2 + (bend if ay == by else 0):.0f}"
        else:
            mid = f"{bx + bend:.0f} {ay + bend:.0f}"
        tip = f"{wire.net}: {wire.start.hole} to {wire.end.hole}, {wire.colour}"
        lines.append(
            f'<path d="M{ax:.0f} {ay:.0f}Q{mid} {bx:.0f} {by:.0f}" fill="none" stroke="{INK[wire.colour]}" stroke-width="2.2"'
            f' stroke-opacity="0.75"><title>{tip}</title></path>'
        )
    return lines


def svg(board: Netlist) -> str:
    """The diagram, seen from the component side; a wire's tip names its net and holes in a browser."""
    pads, rows = layout.place(board), layout.ROWS[board.channels]
    bodies, names = _bodies(board, pads)
    width, height = 2 * MARGIN + PITCH * (COLUMNS + 1), 2 * MARGIN + PITCH * (rows + 1) + 40
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
        "<style>text{font-family:sans-serif;text-anchor:middle}.edge{font-size:10px;fill:#666}.ref,.pin{paint-order:stroke;"
        "stroke:#fffdf5;stroke-width:2.5px}.ref{font-size:10px;fill:#111}.pin{font-size:7px;fill:#333}"
        ".head{font-size:17px;fill:#111;text-anchor:start}</style>",
        f'<rect width="{width}" height="{height}" fill="#fffdf5"/>',
        f'<text x="{MARGIN}" y="24" class="head">{board.name}: component side, {COLUMNS} x {rows} holes. Wires run below; '
        f"{board.name}-wires.csv lists them hole by hole</text>",
        *_grid(rows), *bodies, *_wires(pads),
    ]  # fmt: skip
    for pad in pads:
        x, y = _xy(pad)
        lines.append(
            f'<circle cx="{x:.0f}" cy="{y:.0f}" r="4" fill="#fff" stroke="{INK[layout.colour(pad.net)]}" stroke-width="2">'
            f"<title>{pad.ref} {pad.pin}: {pad.net or 'not connected'} ({pad.hole})</title></circle>"
        )
        if pad.ref in ("A1", "SW1", "MIC1", "U1") or pad.ref.startswith("K"):
            lines.append(f'<text x="{x:.0f}" y="{y + 12:.0f}" class="pin">{pad.pin}</text>')
        if pad.ref.startswith("Q"):
            lines.append(f'<text x="{x + 11:.0f}" y="{y + 3:.0f}" class="pin">{pad.pin}</text>')
    lines += names
    x = MARGIN
    for net, name in LEGEND.items():
        lines.append(
            f'<rect x="{x}" y="{height - 34}" width="26" height="8" fill="{INK[layout.colour(net)]}"/>'
            f'<text x="{x + 32}" y="{height - 26}" style="text-anchor:start;font-size:12px">{name} ({layout.colour(net)})</text>'
        )
        x += 50 + 6 * len(f"{name} ({layout.colour(net)})")
    return "\n".join([*lines, "</svg>"]) + "\n"
