# SPDX-License-Identifier: MIT
"""A .kicad_pcb: footprints from the library at their places, tracks, vias, pours, outline and print."""

from __future__ import annotations

import math
import uuid

from hardware.parts import Netlist
from hardware.pcb import library, nets, placement, routing
from hardware.pcb.library import Point
from hardware.pcb.outline import CORNER_MM, LIGHTS
from hardware.pcb.placement import Place
from hardware.pcb.routing import Routed
from hardware.pcb.sexpr import Node, bare, child, numbers, parse, quoted, write

VERSION = 20211014
SPACE = uuid.UUID("6a1d0c5e-4a0e-5b7a-9c39-ea411d000014")
ORIGIN = 50.8  # the board's upper left corner on KiCad's page
REVISION = "A"
DATE = "2026-11"  # of the revision
POUR_CLEARANCE, POUR_WIDTH = 0.3, 0.25
SPOKE_GAP, SPOKE = 0.3, 0.6
EDGE_TO_POUR = 0.5

LAYERS = """(layers (0 "F.Cu" signal) (31 "B.Cu" signal) (34 "B.Paste" user) (35 "F.Paste" user)
 (36 "B.SilkS" user "B.Silkscreen") (37 "F.SilkS" user "F.Silkscreen") (38 "B.Mask" user) (39 "F.Mask" user)
 (40 "Dwgs.User" user "User.Drawings") (41 "Cmts.User" user "User.Comments") (44 "Edge.Cuts" user) (45 "Margin" user)
 (46 "B.CrtYd" user "B.Courtyard") (47 "F.CrtYd" user "F.Courtyard") (48 "B.Fab" user) (49 "F.Fab" user))"""


def _n(value: float) -> str:
    return f"{round(value, 4):g}"


def _at(x: float, y: float) -> str:
    return f"{_n(x + ORIGIN)} {_n(y + ORIGIN)}"


class Ids:
    """Identifiers that depend on the board and on what they are counted for, never on the moment."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0

    def next(self) -> str:
        self.count += 1
        return str(uuid.uuid5(SPACE, f"{self.name}/{self.count}"))


def _text(
    text: str, x: float, y: float, ids: Ids, size: float = 1.0, turn: float = 0.0, layer: str = "F.SilkS", side: str = ""
) -> str:
    mirror = " (justify mirror)" if layer.startswith("B.") else (f" (justify {side})" if side else "")
    return (
        f'(gr_text {quoted(text)} (at {_at(x, y)} {_n(turn)}) (layer "{layer}") (tstamp {ids.next()})'
        f" (effects (font (size {_n(size)} {_n(size)}) (thickness {_n(0.15 * size)})){mirror}))"
    )


def _labels(place: Place) -> list[tuple[str, str, Point, float, float]]:
    """(kind, text, place on the board from pad 1, size, turn) of a part's reference and value.

    Along the longer side of a part; under a part that is too short for it, where a row leaves room.
    """
    box = place.courtyard
    x, y = (box[0] + box[2]) / 2 - place.x, (box[1] + box[3]) / 2 - place.y
    width, height = box[2] - box[0], box[3] - box[1]
    texts = (("reference", place.ref), ("value", place.value.partition("N3-G")[0]))
    size = 0.9
    if place.ref == "SW1":  # a row of pads: beside it, as its pins have names
        return [("reference", place.ref, (box[2] - place.x + 1.6, y), size, 0.0)]
    if place.ref == "MIC1":
        return [("reference", place.ref, (box[0] - place.x - 2.2, y), size, 0.0)]
    if place.turn == placement.DOWN and height < 9:
        room = 1.15 * width
        return [(k, t, (x, box[3] - place.y + 0.7 + 1.2 * i), min(0.8, room / len(t)), 0.0) for i, (k, t) in enumerate(texts)]
    if height > 1.1 * width:
        off = min(0.7, width / 5)
        return [(k, t, (x - off + 2 * off * i, y), min(size, 1.7 * off), 90.0) for i, (k, t) in enumerate(texts)]
    return [(k, t, (x, y - 0.75 + 1.5 * i), size, 0.0) for i, (k, t) in enumerate(texts)]


def footprint(place: Place, numbers_of: dict[str, int], ids: Ids) -> Node:
    """The library's footprint as a board holds it: turned, named, its pads joined to nets."""
    node = parse(library.text(place.footprint.name))
    head: Node = ["footprint", quoted(place.footprint.name), ["layer", '"F.Cu"'], ["tstamp", ids.next()]]
    head.append(["at", *_at(place.x, place.y).split(), _n(place.turn)])
    hole = place.footprint.name == placement.HOLE
    labels = {kind: (label, at, size, turn) for kind, label, at, size, turn in _labels(place)}
    for item in node[2:]:
        if isinstance(item, str) or item[0] in ("version", "generator", "layer", "tedit", "model"):
            continue
        if item[0] == "fp_text":
            kind = bare(item[1])
            if kind == "user" and bare(item[2]) == "${REFERENCE}":
                continue
            if kind != "user":
                whole = quoted(place.ref if kind == "reference" else place.value)
                label, at, size, turn = labels.get(kind, ("", (0.0, 0.0), 0.9, 0.0))
                dx, dy = library.rotate(at, -place.turn)
                shown = bool(label) and not hole
                layer, hide = ("F.SilkS", "") if shown else ("F.Fab", " hide")
                if shown:
                    whole = quoted(label)
                font = f"(effects (font (size {_n(size)} {_n(size)}) (thickness {_n(0.14 * size)})))"
                item = parse(f'(fp_text {kind} {whole} (at {_n(dx)} {_n(dy)} {_n(turn)}) (layer "{layer}"){hide} {font})')
        if item[0] == "pad":
            item = _pad(item, place, numbers_of)
        item = [part for part in item if isinstance(part, str) or part[0] != "tstamp"]
        if str(item[0]).startswith("fp_") or item[0] == "pad":
            item.append(["tstamp", ids.next()])
        head.append(item)
    return head


def _pad(pad: Node, place: Place, numbers_of: dict[str, int]) -> Node:
    at = numbers(child(pad, "at"))
    turn = ((at[2] if len(at) > 2 else 0.0) + place.turn) % 360
    pin, net = place.pins.get(bare(pad[1]), ("", ""))
    out: Node = []
    for part in pad:
        out.append(["at", _n(at[0]), _n(at[1]), _n(turn)] if not isinstance(part, str) and part[0] == "at" else part)
    if net:
        out.append(["net", str(numbers_of[net]), quoted(net)])
    if pin:
        out.append(["pinfunction", quoted(pin)])
    return out


def _edge(width: float, height: float, ids: Ids) -> list[str]:
    r = CORNER_MM
    c = r * (1 - math.sqrt(0.5))
    pen = '(layer "Edge.Cuts") (width 0.1)'
    lines = [(r, 0, width - r, 0), (width, r, width, height - r), (width - r, height, r, height), (0, height - r, 0, r)]
    arcs = [
        ((width - r, 0), (width - c, c), (width, r)),
        ((width, height - r), (width - c, height - c), (width - r, height)),
        ((r, height), (c, height - c), (0, height - r)),
        ((0, r), (c, c), (r, 0)),
    ]
    out = [f"(gr_line (start {_at(a, b)}) (end {_at(x, y)}) {pen} (tstamp {ids.next()}))" for a, b, x, y in lines]
    out += [f"(gr_arc (start {_at(*s)}) (mid {_at(*m)}) (end {_at(*e)}) {pen} (tstamp {ids.next()}))" for s, m, e in arcs]
    return out


def _pour(layer: str, width: float, height: float, net: int, ids: Ids) -> str:
    e = EDGE_TO_POUR
    points = " ".join(f"(xy {_at(x, y)})" for x, y in ((e, e), (width - e, e), (width - e, height - e), (e, height - e)))
    return (
        f'(zone (net {net}) (net_name "{nets.GND}") (layer "{layer}") (tstamp {ids.next()}) (hatch edge 0.508)'
        f" (connect_pads (clearance {POUR_CLEARANCE})) (min_thickness {POUR_WIDTH}) (filled_areas_thickness no)"
        f" (fill yes (thermal_gap {SPOKE_GAP}) (thermal_bridge_width {SPOKE})) (polygon (pts {points})))"
    )


def _guard(place: Place, ids: Ids) -> list[str]:
    """No pour under the head of a screw: a mounting hole's rule area on both layers."""
    r = routing.HOLE_CLEARANCE - routing.CLEARANCE
    corners = [(place.x + r * math.cos(i * math.pi / 8), place.y + r * math.sin(i * math.pi / 8)) for i in range(16)]
    points = " ".join(f"(xy {_at(x, y)})" for x, y in corners)
    forbidden = "tracks not_allowed) (vias not_allowed) (pads allowed) (copperpour not_allowed) (footprints allowed"
    return [
        f'(zone (net 0) (net_name "") (layers F&B.Cu) (tstamp {ids.next()}) (name "screw") (hatch edge 0.508)'
        f" (connect_pads (clearance 0)) (min_thickness 0.254) (keepout ({forbidden}))"
        f" (fill (thermal_gap 0.5) (thermal_bridge_width 0.5)) (polygon (pts {points})))"
    ]


def _print(board: Netlist, places: list[Place], width: float, height: float, ids: Ids) -> list[str]:
    """Pin names at connectors, what the lights say, the board's name."""
    out = []
    have = {place.ref: place for place in places}
    for ref, away in (("SW1", 1), ("J2", -1), ("MIC1", -1)):
        if ref not in have:
            continue
        place = have[ref]
        box = place.courtyard
        for pad in place.footprint.pads:
            x, _y = place.at(pad)
            pin, net = place.pins[pad.number]
            name = pin if ref == "MIC1" else net
            if away > 0:
                out.append(_text(name, x, box[3] + 0.4, ids, 0.7, 90, side="right"))
            else:
                out.append(_text(name, x, box[1] - 0.4, ids, 0.7, 90, side="left"))
    a1 = have["A1"].courtyard
    middle = ((a1[0] + a1[2]) / 2, (a1[1] + a1[3]) / 2)
    for layer in ("F.SilkS", "B.SilkS"):
        out.append(_text(board.name, middle[0], middle[1] + 3.5, ids, 2.0, layer=layer))
        out.append(_text(f"revision {REVISION}: simulated, not yet built", middle[0], middle[1] + 6.5, ids, 1.2, layer=layer))
    for ref, label in LIGHTS.items():
        if ref in have:
            box = have[ref].courtyard
            out.append(_text(label, (box[0] + box[2]) / 2, box[1] - 0.8, ids, 0.8))
    return out


def text(board: Netlist, routed: Routed) -> str:
    """The board's file, pours not yet filled."""
    places, plan = placement.place(board), placement.plan(board)
    ids = Ids(board.name)
    names = sorted({net for place in places for _pin, net in place.pins.values() if net})
    numbers_of = {name: i for i, name in enumerate(names, start=1)}
    out = [
        f"(kicad_pcb (version {VERSION}) (generator earlid)",
        "(general (thickness 1.6))",
        '(paper "A4")',
        f'(title_block (title "{board.name}") (date "{DATE}") (rev "{REVISION}") (company "Earlid")',
        '(comment 1 "simulated, not yet built"))',
        LAYERS,
        f"(setup (pad_to_mask_clearance 0.05) (aux_axis_origin {_at(0, plan.height)}) (grid_origin {_at(0, 0)}))",
        '(net 0 "")',
        *(f"(net {i} {quoted(name)})" for name, i in numbers_of.items()),
        *(write(footprint(place, numbers_of, ids)) for place in places),
        *_edge(plan.width, plan.height, ids),
        *_print(board, places, plan.width, plan.height, ids),
    ]
    for track in sorted(routed.tracks, key=lambda t: (t.net, t.layer, t.start, t.end)):
        out.append(
            f"(segment (start {_at(*track.start)}) (end {_at(*track.end)}) (width {_n(track.width)}) "
            f'(layer "{track.layer}") (net {numbers_of[track.net]}) (tstamp {ids.next()}))'
        )
    for via in sorted(routed.vias, key=lambda v: (v.net, v.at)):
        out.append(
            f"(via (at {_at(*via.at)}) (size {routing.VIA}) (drill {routing.VIA_DRILL}) "
            f'(layers "F.Cu" "B.Cu") (net {numbers_of[via.net]}) (tstamp {ids.next()}))'
        )
    out += [_pour(layer, plan.width, plan.height, numbers_of[nets.GND], ids) for layer in routing.LAYERS]
    for place in places:
        if place.footprint.name == placement.HOLE:
            out += _guard(place, ids)
    return "\n".join([*out, ")"]) + "\n"
