# SPDX-License-Identifier: MIT
"""The copper of a circuit board, read from its .kicad_pcb without KiCad: pads, tracks, vias, pours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product
from pathlib import Path

from hardware.pcb import archive, library, nets
from hardware.pcb.board_file import ORIGIN
from hardware.pcb.geometry import to_segment
from hardware.pcb.library import Box, Point
from hardware.pcb.routing import LAYERS, PadAt, Track, Via
from hardware.pcb.sexpr import Node, bare, child, children, numbers, parse

MADE = Path(__file__).resolve().parent.parent / "made"


@dataclass(frozen=True)
class Pour:
    """One piece of a filled zone: its outline, holes joined to it by cuts."""

    net: str
    layer: str
    points: tuple[Point, ...]

    @property
    def box(self) -> Box:
        xs, ys = zip(*self.points, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def holds(self, p: Point) -> bool:
        inside = False
        (x1, y1) = self.points[-1]
        for x2, y2 in self.points:
            if (y1 > p[1]) != (y2 > p[1]) and p[0] < (x2 - x1) * (p[1] - y1) / (y2 - y1) + x1:
                inside = not inside
            x1, y1 = x2, y2
        return inside

    @cached_property
    def _cells(self) -> dict[tuple[int, int], list[tuple[Point, Point]]]:
        """Sides of the outline by the squares of 2 mm that they may pass."""
        found: dict[tuple[int, int], list[tuple[Point, Point]]] = {}
        for a, b in zip(self.points, self.points[1:] + self.points[:1], strict=True):
            columns, rows = (range(int(min(p, q) // 2), int(max(p, q) // 2) + 1) for p, q in zip(a, b, strict=True))
            for cell in product(columns, rows):
                found.setdefault(cell, []).append((a, b))
        return found

    def sides_near(self, p: Point) -> list[tuple[Point, Point]]:
        """Sides of the outline within 2 mm of a point, and some more."""
        x, y = int(p[0] // 2), int(p[1] // 2)
        sides = [side for i in (-1, 0, 1) for j in (-1, 0, 1) for side in self._cells.get((x + i, y + j), ())]
        return list(dict.fromkeys(sides))


@dataclass(frozen=True)
class Copper:
    pads: tuple[PadAt, ...]
    pins: dict[tuple[str, str], str]  # (ref, pad number) -> pin name
    tracks: tuple[Track, ...]
    vias: tuple[Via, ...]
    pours: tuple[Pour, ...]


def _point(node: Node | None) -> Point:
    x, y = numbers(node)[:2]
    return round(x - ORIGIN, 4), round(y - ORIGIN, 4)


def read(text: str) -> Copper:
    """The copper in the text of a .kicad_pcb. Raises ValueError when it is none."""
    root = parse(text)
    names = {str(net[1]): bare(net[2]) for net in children(root, "net")}
    pads: list[PadAt] = []
    pins: dict[tuple[str, str], str] = {}
    for part in children(root, "footprint"):
        texts = {bare(t[1]): bare(t[2]) for t in children(part, "fp_text")}
        x, y = _point(child(part, "at"))
        turn = (*numbers(child(part, "at")), 0.0)[2]
        for pad in children(part, "pad"):
            at = (*numbers(child(pad, "at")), 0.0)
            dx, dy = library.rotate((at[0], at[1]), turn)
            size = numbers(child(pad, "size"))
            w, h = (size[1], size[0]) if round(at[2] / 90) % 2 else (size[0], size[1])
            net = child(pad, "net")
            name = bare(net[2]) if net else ""
            pads.append(
                PadAt(
                    texts["reference"], bare(pad[1]), name, (round(x + dx, 4), round(y + dy, 4)), (w, h), bare(pad[3]) == "rect"
                )
            )
            function = child(pad, "pinfunction")
            if function:
                pins[texts["reference"], bare(pad[1])] = bare(function[1])
    tracks = tuple(
        Track(names[str(child(s, "net")[1])], bare(child(s, "layer")[1]), _point(child(s, "start")), _point(child(s, "end")),  # type: ignore[index]
              numbers(child(s, "width"))[0])
        for s in children(root, "segment")
    )  # fmt: skip
    vias = tuple(Via(names[str(child(v, "net")[1])], _point(child(v, "at"))) for v in children(root, "via"))  # type: ignore[index]
    pours = []
    for zone in children(root, "zone"):
        net = child(zone, "net_name")
        for piece in children(zone, "filled_polygon"):
            layer, points = child(piece, "layer"), child(piece, "pts")
            if net and layer and points:
                pours.append(Pour(bare(net[1]), bare(layer[1]), tuple(_point(p) for p in children(points, "xy"))))
    return Copper(tuple(pads), pins, tracks, vias, tuple(pours))


@cache
def of(name: str) -> Copper:
    """The copper of a committed board by its name. Raises OSError when there is no such file."""
    return read(archive.unpack(MADE / f"{name}-pcb.zip")[f"{name}.kicad_pcb"].decode())


def joined(pour: Pour, pad: PadAt) -> bool:
    """True when a spoke of a pour ends in a pad of its net."""
    s = pad.stroke
    return any(to_segment(a, s.a, s.b) < s.radius for a, _b in pour.sides_near(pad.at)) or pour.holds(pad.at)


def islands(copper: Copper) -> list[set[tuple[str, str]]]:
    """Ground pads, (ref, pad number), in groups that copper joins; one group is what a board should have."""
    own = [pad for pad in copper.pads if pad.net == nets.GND]
    pours = [pour for pour in copper.pours if pour.net == nets.GND]
    vias = [via for via in copper.vias if via.net == nets.GND]
    tracks = [track for track in copper.tracks if track.net == nets.GND]
    parent = list(range(len(own) + len(pours) + len(vias) + len(tracks)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    def join(i: int, j: int) -> None:
        parent[root(i)] = root(j)

    first_pour, first_via = len(own), len(own) + len(pours)
    first_track = first_via + len(vias)
    for k, pour in enumerate(pours):
        for i, pad in enumerate(own):
            if joined(pour, pad):
                join(i, first_pour + k)
        for i, via in enumerate(vias):
            if pour.holds(via.at):
                join(first_via + i, first_pour + k)
        for i, track in enumerate(tracks):
            if track.layer == pour.layer and (pour.holds(track.start) or pour.holds(track.end)):
                join(first_track + i, first_pour + k)
    for i, track in enumerate(tracks):
        for end in (track.start, track.end):
            for j, pad in enumerate(own):
                if to_segment(end, pad.stroke.a, pad.stroke.b) < pad.stroke.radius:
                    join(first_track + i, j)
            for j, via in enumerate(vias):
                if abs(via.at[0] - end[0]) + abs(via.at[1] - end[1]) < 0.05:
                    join(first_track + i, first_via + j)
            for j, other in enumerate(tracks[:i]):
                if other.layer == track.layer and to_segment(end, other.start, other.end) < 0.05:
                    join(first_track + i, first_track + j)
    groups: dict[int, set[tuple[str, str]]] = {}
    for i, pad in enumerate(own):
        groups.setdefault(root(i), set()).add((pad.ref, pad.number))
    return sorted(groups.values(), key=lambda group: (-len(group), sorted(group)))


def compact(text: str) -> str:
    """A board's text less the blanks that KiCad sets in front of lines and around points: a third smaller, read the same."""
    out: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("(xy ") and out and len(out[-1]) < 120:
            out[-1] += " " + stripped
        elif stripped:
            out.append(stripped)
    return "\n".join(out) + "\n"


__all__ = ["LAYERS", "Copper", "Pour", "compact", "islands", "joined", "of", "read"]
