# SPDX-License-Identifier: MIT
"""A picture of a bare circuit board, front and back, as SVG: from its .kicad_pcb alone, without KiCad."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path

from hardware.parts import Netlist
from hardware.pcb import archive, library, placement
from hardware.pcb.board_file import ORIGIN
from hardware.pcb.copper import Copper, read
from hardware.pcb.library import Point
from hardware.pcb.outline import CORNER_MM, HOLE_MM
from hardware.pcb.routing import VIA, VIA_DRILL, PadAt
from hardware.pcb.sexpr import Node, bare, child, children, numbers, parse

MASK, TRACK, GOLD, HOLE, PRINT = "#0b5d3b", "#17804f", "#d9b45b", "#1c1c1c", "#f4f4f0"
MARGIN = 3.0


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _turned(node: Node, at: Point, turn: float) -> Point:
    x, y = numbers(node)[:2]
    dx, dy = library.rotate((x, y), turn)
    return at[0] + dx, at[1] + dy


def _pad(pad: PadAt) -> str:
    (x, y), (w, h) = pad.at, pad.size
    round_by = 0 if pad.rect else min(w, h) / 2
    corner = f' rx="{_n(round_by)}"' if round_by else ""
    return f'<rect x="{_n(x - w / 2)}" y="{_n(y - h / 2)}" width="{_n(w)}" height="{_n(h)}"{corner}/>'


def _words(text: str, at: Point, size: float, turn: float, anchor: str) -> str:
    upright = f' transform="rotate({_n(-turn)} {_n(at[0])} {_n(at[1])})"' if turn % 360 else ""
    return (
        f'<text x="{_n(at[0])}" y="{_n(at[1] + size * 0.5)}" font-size="{_n(size * 1.35)}" text-anchor="{anchor}"{upright}>'
        f"{escape(text)}</text>"
    )


def _readable(turn: float) -> float:
    """KiCad keeps text of footprints upright: never upside down."""
    turn %= 360
    return turn - 180 if 90 < turn <= 270 else turn


def _silk(root: Node, side: str, mirrored: float = 0.0) -> tuple[list[str], list[str]]:
    """Lines and words of the print of a side; of the back as one sees it, x counted from `mirrored`."""
    lines, words = [], []
    for part in children(root, "footprint"):
        place = numbers(child(part, "at"))
        at, turn = (place[0] - ORIGIN, place[1] - ORIGIN), (*place, 0.0)[2]
        for item in part:
            layer = None if isinstance(item, str) else child(item, "layer")
            if isinstance(item, str) or layer is None or bare(layer[1]) != side or "hide" in item:
                continue
            start, end = child(item, "start"), child(item, "end")
            if item[0] == "fp_text":
                own = (*numbers(child(item, "at")), 0.0)
                size = numbers(child(child(child(item, "effects") or [], "font") or [], "size"))[0]
                where = _turned(child(item, "at") or [], at, turn)
                words.append(_words(bare(item[2]), where, size, _readable(own[2]), "middle"))
            elif item[0] == "fp_line" and start and end:
                (a, b), (c, d) = _turned(start, at, turn), _turned(end, at, turn)
                lines.append(f"M{_n(a)} {_n(b)}L{_n(c)} {_n(d)}")
            elif item[0] == "fp_circle":
                (a, b), (c, d) = _turned(child(item, "center") or [], at, turn), _turned(end or [], at, turn)
                r = _n(math.dist((a, b), (c, d)))
                lines.append(f"M{_n(a)} {_n(b)}m-{r} 0a{r} {r} 0 1 0 {_n(2 * float(r))} 0a{r} {r} 0 1 0 -{_n(2 * float(r))} 0")
            elif item[0] == "fp_arc" and start and end and child(item, "mid"):
                points = [_turned(node, at, turn) for node in (start, child(item, "mid") or [], end)]
                lines.append("M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points))
    for item in children(root, "gr_text"):
        layer, place = child(item, "layer"), numbers(child(item, "at"))
        if layer and bare(layer[1]) == side:
            effects = child(item, "effects") or []
            size = numbers(child(child(effects, "font") or [], "size"))[0]
            sides = {"left": "start", "right": "end"}
            anchor = next((sides[str(w)] for w in child(effects, "justify") or [] if str(w) in sides), "middle")
            x = mirrored - place[0] + ORIGIN if mirrored else place[0] - ORIGIN
            words.append(_words(bare(item[1]), (x, place[1] - ORIGIN), size, (*place, 0.0)[2], anchor))
    return lines, words


def _side(copper: Copper, layer: str, width: float, height: float) -> list[str]:
    runs = "".join(f"M{_n(t.start[0])} {_n(t.start[1])}L{_n(t.end[0])} {_n(t.end[1])}" for t in copper.tracks if t.layer == layer)
    plate = f'<rect width="{_n(width)}" height="{_n(height)}" rx="{_n(CORNER_MM)}" fill="{MASK}"/>'
    vias = "".join(f'<circle cx="{_n(v.at[0])}" cy="{_n(v.at[1])}" r="{_n(VIA / 2)}"/>' for v in copper.vias)
    pads = "".join(_pad(pad) for pad in copper.pads if pad.number)
    drills = "".join(
        f'<circle cx="{_n(pad.at[0])}" cy="{_n(pad.at[1])}" r="{_n(min(pad.size) * 0.27 if pad.number else HOLE_MM / 2)}"/>'
        for pad in copper.pads
    )
    holes = "".join(f'<circle cx="{_n(v.at[0])}" cy="{_n(v.at[1])}" r="{_n(VIA_DRILL / 2)}"/>' for v in copper.vias)
    return [
        plate,
        f'<path d="{runs}" stroke="{TRACK}" stroke-width="0.34" fill="none" stroke-linecap="round"/>',
        f'<g fill="{TRACK}">{vias}</g>',
        f'<g fill="{GOLD}">{pads}</g>',
        f'<g fill="{HOLE}">{drills}{holes}</g>',
    ]


def picture(text: str, width: float, height: float) -> str:
    """SVG of the front and, mirrored as one sees it, the back; `text` is the .kicad_pcb. Ground's pours are not drawn."""
    root, copper = parse(text), read(text)
    (lines, words), (_none, back) = _silk(root, "F.SilkS"), _silk(root, "B.SilkS", width)
    whole = 2 * width + 3 * MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(whole)} {_n(height + 2 * MARGIN)}"'
            f' width="1600" height="{_n(1600 * (height + 2 * MARGIN) / whole)}" font-family="sans-serif">',
            f'<rect width="100%" height="100%" fill="#ffffff"/><g transform="translate({_n(MARGIN)} {_n(MARGIN)})">',
            *_side(copper, "F.Cu", width, height),
            f'<path d="{"".join(lines)}" stroke="{PRINT}" stroke-width="0.15" fill="none"/>',
            f'<g fill="{PRINT}">{"".join(words)}</g>',
            f'</g><g transform="translate({_n(2 * width + 2 * MARGIN)} {_n(MARGIN)}) scale(-1 1)">',
            *_side(copper, "B.Cu", width, height),
            f'</g><g transform="translate({_n(width + 2 * MARGIN)} {_n(MARGIN)})" fill="{PRINT}">{"".join(back)}</g></svg>',
            "",
        ]
    )


def of(board: Netlist, packed: Path) -> str:
    """The picture of a board's zip."""
    plan = placement.plan(board)
    return picture(archive.unpack(packed)[f"{board.name}.kicad_pcb"].decode(), plan.width, plan.height)
