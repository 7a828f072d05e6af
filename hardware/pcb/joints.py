# SPDX-License-Identifier: MIT
"""The copper of each net as a graph, so that every joint and every piece of track can be opened one at a time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TypeAlias

from hardware.parts import Netlist
from hardware.pcb import copper, nets
from hardware.pcb.copper import LAYERS, Copper, Pour
from hardware.pcb.geometry import nearest, to_segment
from hardware.pcb.library import Point
from hardware.pcb.placement import GRID
from hardware.pcb.routing import PadAt

Node: TypeAlias = "tuple[str, str] | tuple[str, int, int] | tuple[str, str, int]"
RIM_MM = 0.15  # spokes are counted on a line this far outside a pad


@dataclass(frozen=True)
class Edge:
    """A piece of copper between two nodes.

    A node is ("R1", "2"), a pad by part and pin; (layer, column, row), a joint on the grid of 0.635 mm; ("pour", layer, number).
    `kind` is "track", "via" or "spoke" (what ties a pad or a via to a pour); `where` says it in words.
    """

    a: Node
    b: Node
    kind: str
    where: str


def _pad_node(board: Copper, pad: PadAt) -> tuple[str, str]:
    return pad.ref, board.pins.get((pad.ref, pad.number), pad.number)


def _steps(board: Copper, net: str) -> dict[Node, Counter[tuple[Node, str]]]:
    """Every step of the grid that a net's tracks and vias take; what lies within a pad is the pad."""
    pads = [pad for pad in board.pads if pad.net == net]
    names: dict[tuple[str, int, int], Node] = {}

    def node(layer: str, i: int, j: int) -> Node:
        if (layer, i, j) not in names:
            p = (i * GRID, j * GRID)
            own = [pad for pad in pads if to_segment(p, pad.stroke.a, pad.stroke.b) <= pad.stroke.radius]
            names[layer, i, j] = _pad_node(board, own[0]) if own else (layer, i, j)
        return names[layer, i, j]

    steps: dict[Node, Counter[tuple[Node, str]]] = {}

    def join(a: Node, b: Node, kind: str) -> None:
        if a != b and not steps.setdefault(a, Counter())[b, kind]:
            steps[a][b, kind] = 1
            steps.setdefault(b, Counter())[a, kind] = 1

    for track in board.tracks:
        if track.net != net:
            continue
        (i, j), (k, m) = ((round(p[0] / GRID), round(p[1] / GRID)) for p in (track.start, track.end))
        count = max(abs(k - i), abs(m - j))
        path = [node(track.layer, i + (k - i) * s // count, j + (m - j) * s // count) for s in range(count + 1)] if count else []
        for a, b in pairwise(path):
            join(a, b, "track")
    for via in board.vias:
        if via.net == net:
            i, j = round(via.at[0] / GRID), round(via.at[1] / GRID)
            join(node(LAYERS[0], i, j), node(LAYERS[1], i, j), "via")
    return steps


def _is_joint(node: Node) -> bool:
    return node[0] in LAYERS


def _place(node: Node) -> str:
    if len(node) == 2:
        return f"{node[0]} {node[1]}"
    if _is_joint(node):
        return f"{node[0]} {int(node[1]) * GRID:.1f}, {int(node[2]) * GRID:.1f}"
    return f"pour {node[2]} on {node[1]}"


def _edge(a: Node, b: Node, kind: str) -> Edge:
    a, b = sorted((a, b), key=str)
    return Edge(a, b, kind, f"{kind} from {_place(a)} to {_place(b)}")


def _contracted(steps: dict[Node, Counter[tuple[Node, str]]]) -> list[Edge]:
    """Tracks from joint to joint: steps that merely follow each other on one layer are one edge; stubs are left out."""
    ends = {
        node for node, around in steps.items() if not _is_joint(node) or len(around) != 2 or any(k == "via" for _n, k in around)
    }
    found = []
    for start in sorted(ends, key=str):
        for (first, kind), _count in sorted(steps[start].items(), key=str):
            before, here = start, first
            while here not in ends:
                (ahead,) = [n for n, _k in steps[here] if n != before]
                before, here = here, ahead
            if str(start) <= str(here) and start != here:
                found.append(_edge(start, here, kind))
    unique: dict[tuple[Node, Node, str], int] = Counter()
    for edge in found:
        unique[edge.a, edge.b, edge.kind] += 1
    return [_edge(a, b, kind) for (a, b, kind), count in sorted(unique.items(), key=str) for _ in range(count)]


def _spokes(pour: Pour, pad: PadAt) -> int:
    """How many strips of a pour reach a pad: each cuts a line around the pad with both its sides."""

    def inside(p: Point) -> bool:
        if pad.rect:
            return all(abs(q - c) < size / 2 + RIM_MM for q, c, size in zip(p, pad.at, pad.size, strict=True))
        return to_segment(p, pad.stroke.a, pad.stroke.b) < pad.stroke.radius + RIM_MM

    cuts = 0
    for a, b in pour.sides_near(pad.at):
        middle = nearest(pad.at, a, b)
        cuts += (inside(a) != inside(middle)) + (inside(middle) != inside(b))
    return cuts // 2


def edges_of(board: Copper, net: str) -> list[Edge]:
    """Edges of one net's copper. A pad in a pour has an edge for each of its spokes."""
    edges = _contracted(_steps(board, net))
    for k, pour in enumerate(board.pours):
        if pour.net != net:
            continue
        name: Node = ("pour", pour.layer, k)
        for pad in board.pads:
            if pad.net == net and copper.joined(pour, pad):
                edges += [_edge(_pad_node(board, pad), name, "spoke")] * max(_spokes(pour, pad), 1)
    return edges


def of(board: Copper) -> dict[str, list[Edge]]:
    """Net -> edges of its copper."""
    return {net: edges_of(board, net) for net in sorted({pad.net for pad in board.pads if pad.net})}


def hanging(board: Copper) -> list[set[tuple[str, str]]]:
    """Groups of ground pads, (ref, pad number), that hang on one edge and hold one of nets.GROUNDED."""
    numbers: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for (ref, number), pin in board.pins.items():
        numbers.setdefault((ref, pin), set()).add((ref, number))
    edges = edges_of(board, nets.GND)
    found: list[set[tuple[str, str]]] = []
    for i in range(len(edges)):
        for group in parts_without(edges, i)[1:]:
            pads = set().union(*(numbers[pin] for pin in group))
            if pads not in found and any(ref in nets.GROUNDED for ref, _number in pads):
                found.append(pads)
    return sorted(found, key=lambda group: (len(group), sorted(group)))


@cache
def _of(name: str) -> dict[str, list[Edge]]:
    return of(copper.of(name))


def graph(board: Netlist) -> dict[str, list[Edge]]:
    """Net -> edges of the committed board's copper. Raises OSError when it is not made yet."""
    return {net: list(edges) for net, edges in _of(board.name).items()}


def parts_without(edges: list[Edge], opened: int) -> list[set[tuple[str, str]]]:
    """Groups of pads that stay joined when the edge of that number is open."""
    around: dict[Node, list[Node]] = {}
    for i, edge in enumerate(edges):
        around.setdefault(edge.a, [])
        around.setdefault(edge.b, [])
        if i != opened:
            around[edge.a].append(edge.b)
            around[edge.b].append(edge.a)
    left, found = set(around), []
    while left:
        stack, group = [left.pop()], set()
        while stack:
            node = stack.pop()
            if len(node) == 2:
                group.add(node)
            more = [n for n in around[node] if n in left]
            left -= set(more)
            stack += more
        if group:
            found.append(group)
    return sorted(found, key=lambda g: (-len(g), sorted(g)))
