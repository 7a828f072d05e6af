# SPDX-License-Identifier: MIT
"""Footprints of Debian's kicad-footprints: their text, pads and courtyards."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hardware import footprints
from hardware.pcb.sexpr import Node, bare, child, children, numbers, parse

FOLDER = Path("/usr/share/kicad/footprints")
Point = tuple[float, float]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class LibraryPad:
    number: str
    shape: str
    at: Point
    turn: float
    size: Point
    drill: float


@dataclass(frozen=True)
class Footprint:
    """`courtyard` is a box around the lines of F.CrtYd, in the footprint's own millimetres, y downwards."""

    name: str
    pads: tuple[LibraryPad, ...]
    courtyard: Box


def rotate(point: Point, turn: float) -> Point:
    """As KiCad turns a footprint: anticlockwise on the screen, y downwards."""
    c, s = round(math.cos(math.radians(turn)), 9), round(math.sin(math.radians(turn)), 9)
    return round(point[0] * c + point[1] * s, 6), round(point[1] * c - point[0] * s, 6)


def rotate_box(box: Box, turn: float) -> Box:
    corners = [rotate((x, y), turn) for x in box[::2] for y in box[1::2]]
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


@cache
def text(name: str) -> str:
    """A footprint's file. Raises OSError when Debian's package has none of that name."""
    folder, _, file = name.partition(":")
    if folder == footprints.LIBRARY:
        return footprints.library()[f"{file}.kicad_mod"]
    return (FOLDER / f"{folder}.pretty" / f"{file}.kicad_mod").read_text()


def _courtyard(node: Node) -> Box:
    xs, ys = [], []
    for item in node:
        layer = None if isinstance(item, str) else child(item, "layer")
        if layer is None or isinstance(item, str) or bare(layer[1]) != "F.CrtYd":
            continue
        start, end = numbers(child(item, "start")), numbers(child(item, "end"))
        if item[0] == "fp_circle":
            centre = numbers(child(item, "center"))
            r = math.dist(centre, end)
            xs += [centre[0] - r, centre[0] + r]
            ys += [centre[1] - r, centre[1] + r]
        elif start:
            xs += [start[0], end[0]]
            ys += [start[1], end[1]]
    return min(xs), min(ys), max(xs), max(ys)


@cache
def load(name: str) -> Footprint:
    node = parse(text(name))
    pads = []
    for pad in children(node, "pad"):
        at, size = numbers(child(pad, "at")), numbers(child(pad, "size"))
        drill = numbers(child(pad, "drill"))
        turn = at[2] if len(at) > 2 else 0.0
        pads.append(LibraryPad(bare(pad[1]), bare(pad[3]), (at[0], at[1]), turn, (size[0], size[1]), drill[0] if drill else 0.0))
    return Footprint(name, tuple(pads), _courtyard(node))
