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
from dataclasses import dataclass, field, replace
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
VIA_CLEARANCE = 0.15  # of a via to what is not its net: two vias on neighbouring points are too near, all else is not
VIA, VIA_DRILL = 0.5, 0.3
COIL_APART = 1.0  # a relay's coil to its contacts
APART = 1.5  # supply copper to copper of the microphone's side
INSET = 2 * GRID  # no track nearer to the board's edge
HOLE_CLEARANCE = 3.4  # from a mounting hole's middle: a screw's head and some air
ATTEMPTS = 8
VARIANTS = ("rings first", "rails first", "supplies first")
PAIRS = 20  # of pads, nearest first, between which a second way to ground is tried
WIDER = (1.2, 1.0, 0.8, 0.6, 0.45)  # tried on tracks that carry 500 mA


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
        """An oval's middle line; of a rectangle the oval inside it."""
        w, h = self.size
        r = min(w, h) / 2
        dx, dy = (w / 2 - r, 0.0) if w > h else (0.0, h / 2 - r)
        return Stroke((self.at[0] - dx, self.at[1] - dy), (self.at[0] + dx, self.at[1] + dy), r)

    @property
    def strokes(self) -> tuple[Stroke, ...]:
        """All of the pad: of a rectangle its sides too, and so its corners."""
        if not self.rect:
            return (self.stroke,)
        (x, y), (w, h) = self.at, self.size
        corners = [(x - w / 2, y - h / 2), (x + w / 2, y - h / 2), (x + w / 2, y + h / 2), (x - w / 2, y + h / 2)]
        return self.stroke, *(Stroke(a, b, 0.0) for a, b in pairwise([*corners, corners[0]]))


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
    for a, b in ((one, two), (two, one)):
        if nets.is_mic_side(a) and b in nets.supplies(board):
            return APART
    for a, b in ((one, two), (two, one)):
        if nets.is_contact(a) and b in nets.COIL_SIDE:
            return COIL_APART
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
        self.before = Routed()
        self.tied: set[tuple[str, str]] = set()

    def stages(self) -> list[list[str]]:
        left = sorted({pad.net for pad in self.pads if pad.net and pad.net != nets.GND})
        found = []
        supply = [net for net in nets.supplies(self.board) if not nets.is_contact(net)]
        for test in (nets.is_mic_side, lambda n: n in supply, lambda n: n in nets.supplies(self.board), nets.is_contact):
            found.append([net for net in left if test(net)])
            left = [net for net in left if net not in found[-1]]
        return [stage for stage in [*found, left] if stage]

    def _steps(self, half: float) -> int:
        """Grid points beside a pad's middle that no foreign track may take."""
        n = 0
        while (n + 1) * GRID - WIDTH / 2 - half < PAD_CLEARANCE - 1e-6:
            n += 1
        return n

    def _grid(self) -> tuple[range, range]:
        first = round(INSET / GRID)
        return tuple(range(first, round((size - INSET) / GRID) + 1) for size in (self.plan.width, self.plan.height))  # type: ignore[return-value]

    def blocked(self, stage: list[str], again: bool = False) -> set[tuple[int, int, str]]:
        """Grid points that no net of this stage may take: earlier tracks, distances between classes, screws.

        `again`: the nets' own tracks too, so that a second way takes another path.
        """
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
        for pad in self.pads:
            if pad.net and pad.net not in stage and self._far(stage, pad.net, 0.0):
                block(pad.stroke, self._far(stage, pad.net, 0.0), LAYERS)
        for track in self.routed.tracks:
            if track.net not in stage or again:
                block(track.stroke, self._far(stage, track.net, CLEARANCE - 0.01), [track.layer])
        for via in self.routed.vias:
            if via.net not in stage:
                block(via.stroke, self._far(stage, via.net, VIA_CLEARANCE), LAYERS)
        found.update((round(p[0] / GRID), round(p[1] / GRID), layer) for p, layer in self.no_via)
        if again:  # both ways begin in the same pads
            own = [_snap(pad.at) for pad in self.pads if pad.net in stage]
            found -= {(round(x / GRID), round(y / GRID), layer) for x, y in own for layer in LAYERS}
        return found

    def _far(self, stage: list[str], net: str, otherwise: float) -> float:
        """The largest distance that a net of this stage needs to `net`; a via is wider than a track, and may be there too."""
        most = max((needed(self.board, own, net) for own in stage if own != net), default=CLEARANCE)
        return most + (VIA - WIDTH) / 2 if most > CLEARANCE else otherwise

    def _wanted(self, pad: PadAt, only: set[tuple[str, str]] | None) -> bool:
        limited = {other.net for other in self.pads if (other.ref, other.number) in (only or ())}
        return pad.net not in limited or (pad.ref, pad.number) in (only or ())

    def dsn(self, stage: list[str], only: set[tuple[str, str]] | None = None, again: bool = False) -> str:
        """A Specctra design of one stage; y upwards, micrometres. Each pad is a component of its own, in the order of its net.

        `only`: of the nets of these pads, (ref, number), nothing else is joined.
        """

        def um(v: float) -> str:
            return f"{v * 1000:g}"

        xs, ys = self._grid()
        keep = []
        for i, j, layer in sorted(self.blocked(stage, again)):
            corners = (i * GRID - 0.005, -j * GRID - 0.005, i * GRID + 0.005, -j * GRID + 0.005)
            keep.append(f'    (keepout "" (rect {layer} {" ".join(um(v) for v in corners)}))')
        stacks: dict[str, tuple[int, int]] = {}
        components: list[str] = []
        pins: dict[str, list[str]] = {net: [] for net in stage}

        def add(pad: PadAt, joined: bool = True) -> None:
            at = _snap(pad.at)
            nx, ny = (self._steps(size / 2 + abs(p - q)) for size, p, q in zip(pad.size, pad.at, at, strict=True))
            name = f"P{nx}x{ny}"
            stacks[name] = (nx, ny)
            ref = f"X{len(components)}"
            components.append(f"    (component {name} (place {ref} {um(at[0])} {um(-at[1])} front 0))")
            if joined:
                pins[pad.net].append(f"{ref}-1")

        for net in stage:
            mine = {pad.at: pad for pad in self.pads if pad.net == net and self._wanted(pad, only)}
            for at in _chain(sorted(mine)):
                add(mine[at])
        for pad in self.pads:
            if (pad.net not in pins or not self._wanted(pad, only)) and not pad.ref.startswith("H"):
                add(pad, joined=False)
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

    def run(self, stage: list[str], only: set[tuple[str, str]] | None = None, again: bool = False) -> Routed:
        with tempfile.TemporaryDirectory() as folder:
            design, session = Path(folder) / "board.dsn", Path(folder) / "board.ses"
            design.write_text(self.dsn(stage, only, again))
            command = [sys.executable, "-m", "freeroute.cli", str(design), "-o", str(session), "--engine", "exact", "-mp", "30"]
            subprocess.run(command, check=True, capture_output=True, timeout=300)
            return read_session(session.read_text())

    def missing(self, stage: list[str], routed: Routed) -> list[str]:
        """Nets of which some pad is not reached."""
        return [net for net in stage if len(groups(net, self.pads, routed)) > 1]

    def route(self, say: Callable[[str], None] = lambda text: None) -> Routed:
        """Route all stages. Raises ValueError naming what could not be routed.

        Rails are closed to rings at once; where that leaves a supply no way, only when all supplies have theirs; where that
        does not help, the supplies come before the rails.
        """
        for variant in VARIANTS:
            try:
                self.route_as(variant, say)
            except ValueError as error:
                say(f"{error} ({variant})")
                if variant == VARIANTS[-1]:
                    raise
            else:
                break
        return self.routed

    def route_as(self, variant: str, say: Callable[[str], None]) -> None:
        """Route all stages in one of the orders that VARIANTS names."""
        self.routed, self.no_via = Routed(), set()
        stages = self.stages()
        rails = stages[0]
        if variant == "supplies first":
            stages[:2] = reversed(stages[:2])
        for stage in stages:
            self.before = Routed(list(self.routed.tracks), list(self.routed.vias))
            self._route_stage(stage, say)
            if stage == (rails if variant == "rings first" else stages[-2]):
                without = self.close_rings()
                say(f"rings closed{', but not of ' + ', '.join(without) if without else ''}")

    def _route_stage(self, stage: list[str], say: Callable[[str], None], only: set[tuple[str, str]] | None = None) -> None:
        for _ in range(ATTEMPTS):
            found = self.run(stage, only)
            missing = self.missing([net for net in stage if net != nets.GND], found)
            bad = self.crowded(found)
            say(f"{len(stage)} nets: {len(found.tracks)} tracks, {len(found.vias)} vias, {len(bad)} of them too near")
            if missing or not bad:
                break
            self.no_via |= bad
        self.routed.tracks += found.tracks
        self.routed.vias += found.vias
        if missing:
            raise ValueError(f"{self.board.name}: not routed: {', '.join(missing)}")

    def close_rings(self) -> list[str]:
        """A second way from one end of each rail's chain to the other, so that no open track parts it. Returns those without."""
        without = []
        for net in self.stages()[0]:
            own = {pad.at: pad for pad in self.pads if pad.net == net}
            path = _chain(sorted(own))
            if len(path) < 3:
                continue
            found = self.run([net], {(own[at].ref, own[at].number) for at in (path[0], path[-1])}, again=True)
            self.routed.tracks += found.tracks
            self.routed.vias += found.vias
            without += [] if found.tracks else [net]
        return without

    def tie(self, islands: list[set[tuple[str, str]]], say: Callable[[str], None]) -> None:
        """Join pads of ground that no pour reaches to the nearest that the largest piece reaches.

        Where the tracks that are there leave no way, the last stage is routed again with these pads as one more net.
        """
        at = {(pad.ref, pad.number): pad.at for pad in self.pads}
        lost = set().union(*islands[1:])
        near = min(sorted(islands[0]), key=lambda one: min(math.dist(at[one], at[two]) for two in lost))
        self.tied |= lost | {near}
        found = self.run([nets.GND], self.tied)
        ends = [pad for pad in self.pads if (pad.ref, pad.number) in self.tied]
        if len(groups(nets.GND, ends, found)) == 1 and not self.crowded(found):
            self.routed.tracks += found.tracks
            self.routed.vias += found.vias
            return
        self.routed = Routed(list(self.before.tracks), list(self.before.vias))
        self._route_stage([*self.stages()[-1], nets.GND], say, self.tied)

    def tie_again(self, hanging: list[set[tuple[str, str]]]) -> None:
        """A second way to ground, on other points of the grid, for pads that hang on one track. Raises ValueError without one."""
        own = [pad for pad in self.pads if pad.net == nets.GND]
        for group in hanging:
            inside = [pad for pad in own if (pad.ref, pad.number) in group]
            outside = [pad for pad in own if (pad.ref, pad.number) not in group]
            pairs = sorted(product(inside, outside), key=lambda pair: (math.dist(pair[0].at, pair[1].at), pair[0].at, pair[1].at))
            for pair in pairs[:PAIRS]:
                found = self.run([nets.GND], {(pad.ref, pad.number) for pad in pair}, again=True)
                if len(groups(nets.GND, list(pair), found)) == 1 and not self.crowded(found):
                    self.routed.tracks += found.tracks
                    self.routed.vias += found.vias
                    break
            else:
                raise ValueError(f"{self.board.name}: no second way to ground for {sorted(group)}")

    def widen(self) -> None:
        """On the usb board, each track of the guarded supply as wide as its neighbours allow."""
        heavy = nets.HEAVY if self.board.recipe == "usb" else ()
        for i, track in enumerate(self.routed.tracks):
            if track.net not in heavy:
                continue
            limits = [
                (stroke, needed(self.board, track.net, p.net)) for p in self.pads if p.net != track.net for stroke in p.strokes
            ]
            limits += [(v.stroke, needed(self.board, track.net, v.net)) for v in self.routed.vias if v.net != track.net]
            limits += [
                (t.stroke, needed(self.board, track.net, t.net))
                for t in self.routed.tracks
                if t.net != track.net and t.layer == track.layer
            ]
            middle = Stroke(track.start, track.end, 0.0)
            room = 2 * min(gap(middle, stroke) - least for stroke, least in limits)
            edge = min(min(p[0], p[1], self.plan.width - p[0], self.plan.height - p[1]) for p in (track.start, track.end))
            width = next((w for w in WIDER if w <= min(room, 2 * (edge - 0.5))), track.width)
            self.routed.tracks[i] = replace(track, width=width)

    def crowded(self, found: Routed) -> set[tuple[Point, str]]:
        """Places where a via comes too near to copper of another net, each with a layer on which to forbid it next time."""
        bad = set()
        vias = self.routed.vias + found.vias
        for via in found.vias:
            near = [stroke for p in self.pads if p.net != via.net for stroke in p.strokes]
            near += [v.stroke for v in vias if v.net != via.net]
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
    return Routed(list(dict.fromkeys(routed.tracks)), list(dict.fromkeys(routed.vias)))
