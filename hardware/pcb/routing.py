# SPDX-License-Identifier: MIT
"""Tracks of a circuit board, found by freeroute (a router from PyPI, run as a program) on a grid of 0.635 mm.

freeroute knows one clearance and neither classes of nets nor tracks that are there already, so it runs three times: for the
microphone's side, for the supplies, for everything else. What a run must keep clear of, at the distance that the two nets
demand, is told to it point by point. Ground is not routed: the pours are ground.
"""

from __future__ import annotations

import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise, product
from pathlib import Path

from hardware.parts import Netlist
from hardware.pcb import nets, placement
from hardware.pcb.geometry import Stroke, between_segments, gap
from hardware.pcb.library import Point
from hardware.pcb.placement import GRID, Place

LAYERS = ("F.Cu", "B.Cu")
WIDTH = 0.335  # with CLEARANCE it makes one step of the grid
CLEARANCE = 0.3
PAD_CLEARANCE = 0.22  # where one track passes between two pads of a header
VIA_CLEARANCE = 0.2
VIA, VIA_DRILL = 0.5, 0.3
APART = 1.5  # supply copper to copper of the microphone's side
INSET = 2 * GRID  # no track nearer to the board's edge
HOLE_CLEARANCE = 3.4  # from a mounting hole's middle: a screw's head and some air
ATTEMPTS = 8


@dataclass(frozen=True)
class Track:
    net: str
    layer: str
    start: Point
    end: Point
    width: float = WIDTH

    @property
    def stroke(self) -> Stroke:
        return Stroke(self.start, self.end, self.width / 2)


@dataclass(frozen=True)
class Via:
    net: str
    at: Point

    @property
    def stroke(self) -> Stroke:
        return Stroke(self.at, self.at, VIA / 2)


@dataclass(frozen=True)
class PadAt:
    """A pad on the board: all are through holes, so all lie on both layers."""

    ref: str
    number: str
    net: str
    at: Point
    size: Point
    rect: bool

    @property
    def stroke(self) -> Stroke:
        """An oval's middle line; a rectangle counts as one with its corners cut, which `radius` makes good for a square."""
        w, h = self.size
        r = min(w, h) / 2
        dx, dy = (w / 2 - r, 0.0) if w > h else (0.0, h / 2 - r)
        return Stroke((self.at[0] - dx, self.at[1] - dy), (self.at[0] + dx, self.at[1] + dy), r)


@dataclass
class Routed:
    tracks: list[Track] = field(default_factory=list)
    vias: list[Via] = field(default_factory=list)


def pads(places: list[Place]) -> list[PadAt]:
    found = []
    for place in places:
        for pad in place.footprint.pads:
            net = place.pins.get(pad.number, ("", ""))[1]
            turned = round((place.turn + pad.turn) / 90) % 2
            size = (pad.size[1], pad.size[0]) if turned else pad.size
            found.append(PadAt(place.ref, pad.number, net, place.at(pad), size, pad.shape == "rect"))
    return found


def _snap(point: Point) -> Point:
    return placement.snap(point[0]), placement.snap(point[1])


def _chain(ends: list[Point]) -> list[Point]:
    """A short path through all points: nearest neighbours, then turns of pieces while that shortens it."""
    best: list[Point] = []
    for first in ends:
        rest, path = [p for p in ends if p != first], [first]
        while rest:
            nearest = min(rest, key=lambda p: (math.dist(path[-1], p), p))
            rest.remove(nearest)
            path.append(nearest)
        if not best or _length(path) < _length(best) - 1e-9:
            best = path
    improved = True
    while improved:
        improved = False
        for i in range(len(best)):
            for j in range(i + 2, len(best) + 1):
                turned = best[:i] + best[i:j][::-1] + best[j:]
                if _length(turned) < _length(best) - 1e-9:
                    best, improved = turned, True
    return best


def _length(path: list[Point]) -> float:
    return sum(abs(a[0] - b[0]) + abs(a[1] - b[1]) for a, b in pairwise(path))


def needed(board: Netlist, one: str, two: str) -> float:
    """Clearance that two nets demand of tracks."""
    supply = nets.supplies(board)
    if (nets.is_mic_side(one) and two in supply) or (nets.is_mic_side(two) and one in supply):
        return APART
    return CLEARANCE


class Board:
    """The state of routing one board."""

    def __init__(self, board: Netlist) -> None:
        self.board = board
        self.places = placement.place(board)
        self.plan = placement.plan(board)
        self.pads = pads(self.places)
        self.routed = Routed()
        self.no_via: set[tuple[Point, str]] = set()

    def stages(self) -> list[list[str]]:
        named = sorted({pad.net for pad in self.pads if pad.net and pad.net != nets.GND})
        supply = nets.supplies(self.board)
        return [
            [n for n in named if nets.is_mic_side(n)],
            [n for n in named if n in supply],
            [n for n in named if not nets.is_mic_side(n) and n not in supply],
        ]

    def _steps(self, half: float) -> int:
        """Grid points beside a pad's middle that no foreign track may take."""
        n = 0
        while (n + 1) * GRID - WIDTH / 2 - half < PAD_CLEARANCE - 1e-6:
            n += 1
        return n

    def _grid(self) -> tuple[range, range]:
        first = round(INSET / GRID)
        return tuple(range(first, round((size - INSET) / GRID) + 1) for size in (self.plan.width, self.plan.height))  # type: ignore[return-value]

    def blocked(self, stage: list[str]) -> set[tuple[int, int, str]]:
        """Grid points that no net of this stage may take: earlier tracks, distances between classes, screws."""
        found: set[tuple[int, int, str]] = set()
        xs, ys = self._grid()

        def block(stroke: Stroke, distance: float, layers: Iterable[str]) -> None:
            reach = stroke.radius + distance + WIDTH / 2 - 1e-6
            columns, rows = (
                range(math.floor((min(p, q) - reach) / GRID), math.ceil((max(p, q) + reach) / GRID) + 1)
                for p, q in zip(stroke.a, stroke.b, strict=True)
            )
            for i, j in product(columns, rows):
                p = (i * GRID, j * GRID)
                if i in xs and j in ys and between_segments(p, p, stroke.a, stroke.b) < reach:
                    found.update((i, j, layer) for layer in layers)

        for x, y in self.plan.holes:
            block(Stroke((x, y), (x, y), 0.0), HOLE_CLEARANCE, LAYERS)
        own = stage[0] if stage else ""
        for pad in self.pads:
            if pad.net and pad.net not in stage and pad.net != nets.GND and needed(self.board, own, pad.net) > CLEARANCE:
                block(pad.stroke, APART + (VIA - WIDTH) / 2, LAYERS)
        for track in self.routed.tracks:
            block(track.stroke, self._far(own, track.net, CLEARANCE - 0.01), [track.layer])
        for via in self.routed.vias:
            block(via.stroke, self._far(own, via.net, VIA_CLEARANCE), LAYERS)
        found.update((round(p[0] / GRID), round(p[1] / GRID), layer) for p, layer in self.no_via)
        return found

    def _far(self, one: str, two: str, otherwise: float) -> float:
        return APART + (VIA - WIDTH) / 2 if needed(self.board, one, two) > CLEARANCE else otherwise

    def dsn(self, stage: list[str]) -> str:
        """A Specctra design of one stage; y upwards, micrometres. Each pad is a component of its own, in the order of its net."""

        def um(v: float) -> str:
            return f"{v * 1000:g}"

        xs, ys = self._grid()
        keep = []
        for i, j, layer in sorted(self.blocked(stage)):
            corners = (i * GRID - 0.005, -j * GRID - 0.005, i * GRID + 0.005, -j * GRID + 0.005)
            keep.append(f'    (keepout "" (rect {layer} {" ".join(um(v) for v in corners)}))')
        stacks: dict[str, tuple[int, int]] = {}
        components: list[str] = []
        pins: dict[str, list[str]] = {net: [] for net in stage}

        def add(pad: PadAt) -> None:
            at = _snap(pad.at)
            nx, ny = (self._steps(size / 2 + abs(p - q)) for size, p, q in zip(pad.size, pad.at, at, strict=True))
            name = f"P{nx}x{ny}"
            stacks[name] = (nx, ny)
            ref = f"X{len(components)}"
            components.append(f"    (component {name} (place {ref} {um(at[0])} {um(-at[1])} front 0))")
            if pad.net in pins:
                pins[pad.net].append(f"{ref}-1")

        for net in stage:
            mine = {pad.at: pad for pad in self.pads if pad.net == net}
            for at in _chain(sorted(mine)):
                add(mine[at])
        for pad in self.pads:
            if pad.net not in pins and not pad.ref.startswith("H"):
                add(pad)
        images = [f"    (image {name} (pin {name} 1 0 0))" for name in sorted(stacks)]
        margin = CLEARANCE + WIDTH / 2
        padstacks = []
        for name, (nx, ny) in sorted(stacks.items()):
            box = " ".join(um(v) for v in (-nx * GRID + margin, -ny * GRID + margin, nx * GRID - margin, ny * GRID - margin))
            shapes = " ".join(f"(shape (rect {layer} {box}))" for layer in LAYERS)
            padstacks.append(f"    (padstack {name} {shapes} (attach off))")
        via = " ".join(f"(shape (circle {layer} {um(VIA)}))" for layer in LAYERS)
        padstacks.append(f"    (padstack Via {via} (attach off))")
        edge = " ".join(um(v) for v in (xs[0] * GRID, -ys[-1] * GRID, xs[-1] * GRID, -ys[0] * GRID))
        return "\n".join(
            [
                "(pcb board", '  (parser (string_quote ") (space_in_quoted_tokens on))', "  (resolution um 10)", "  (unit um)",
                "  (structure", *(f"    (layer {layer} (type signal))" for layer in LAYERS),
                f"    (boundary (rect pcb {edge}))", *keep, "    (via Via)",
                f"    (rule (width {um(WIDTH)}) (clearance {um(CLEARANCE)}))", "  )",
                "  (placement", *components, "  )", "  (library", *images, *padstacks, "  )",
                "  (network", *(f"    (net {net} (pins {' '.join(ends)}))" for net, ends in pins.items() if len(ends) > 1), "  )",
                "  (wiring)", ")", "",
            ]
        )  # fmt: skip

    def run(self, stage: list[str]) -> Routed:
        with tempfile.TemporaryDirectory() as folder:
            design, session = Path(folder) / "board.dsn", Path(folder) / "board.ses"
            design.write_text(self.dsn(stage))
            command = [sys.executable, "-m", "freeroute.cli", str(design), "-o", str(session), "--engine", "exact", "-mp", "30"]
            subprocess.run(command, check=True, capture_output=True, timeout=300)
            return read_session(session.read_text())

    def missing(self, stage: list[str], routed: Routed) -> list[str]:
        """Nets of which some pad is not reached."""
        return [net for net in stage if len(groups(net, self.pads, routed)) > 1]

    def route(self, say: Callable[[str], None] = lambda text: None) -> Routed:
        """Route all stages. Raises ValueError naming what could not be routed."""
        for stage in self.stages():
            found = Routed()
            for _ in range(ATTEMPTS):
                found = self.run(stage)
                missing = self.missing(stage, found)
                bad = self.crowded(found)
                say(f"{len(stage)} nets: {len(found.tracks)} tracks, {len(found.vias)} vias, {len(bad)} of them too near")
                if missing or not bad:
                    break
                self.no_via |= bad
            self.routed.tracks += found.tracks
            self.routed.vias += found.vias
            if missing:
                raise ValueError(f"{self.board.name}: not routed: {', '.join(missing)}")
        return self.routed

    def crowded(self, found: Routed) -> set[tuple[Point, str]]:
        """Places where a via comes too near to copper of another net, each with a layer on which to forbid it next time."""
        bad = set()
        vias = self.routed.vias + found.vias
        for via in found.vias:
            near = [p.stroke for p in self.pads if p.net != via.net] + [v.stroke for v in vias if v.net != via.net]
            if any(gap(via.stroke, other) < VIA_CLEARANCE - 1e-6 for other in near):
                used = [
                    t.layer for t in found.tracks if t.net != via.net and between_segments(via.at, via.at, t.start, t.end) < 1
                ]
                bad.add((via.at, "B.Cu" if used.count("F.Cu") > used.count("B.Cu") else "F.Cu"))
        return bad


def groups(net: str, all_pads: list[PadAt], routed: Routed) -> list[set[int]]:
    """Pieces of a net's copper that touch each other, as sets of indices; one set means that all is connected."""
    own = [p for p in all_pads if p.net == net]
    items: list[tuple[frozenset[str], Stroke]] = [(frozenset(LAYERS), p.stroke) for p in own]
    items += [(frozenset([t.layer]), t.stroke) for t in routed.tracks if t.net == net]
    items += [(frozenset(LAYERS), v.stroke) for v in routed.vias if v.net == net]
    left = set(range(len(items)))
    found = []
    while left:
        edge = [left.pop()]
        group = set(edge)
        while edge:
            one = items[edge.pop()]
            touching = {i for i in left if items[i][0] & one[0] and gap(items[i][1], one[1]) < -0.05}
            left -= touching
            group |= touching
            edge += sorted(touching)
        found.append(group)
    return found


def read_session(text: str) -> Routed:
    """Tracks and vias of a Specctra session file, in our millimetres."""
    routed = Routed()
    for part in re.split(r"\(net ", text[text.index("(network_out") :])[1:]:
        net = re.match(r'"?([^\s")]+)', part)
        if net is None:
            continue
        for layer, _width, coords in re.findall(r"\(path (\S+) (\d+)((?:\s+-?\d+)+)", part):
            values = [round(int(v) / 1000 * (1 if i % 2 == 0 else -1), 4) for i, v in enumerate(coords.split())]
            points = list(zip(values[::2], values[1::2], strict=True))
            routed.tracks += [Track(net[1], layer, a, b) for a, b in pairwise(points)]
        routed.vias += [Via(net[1], (int(x) / 1000, -int(y) / 1000)) for x, y in re.findall(r"\(via \S+ (-?\d+) (-?\d+)", part)]
    return routed
