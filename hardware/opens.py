# SPDX-License-Identifier: MIT
"""Which pins an open wire, track or solder joint cuts off from the rest of their net.

A board's wiring is a graph: net -> edges (end, end, name). An end is (reference, pin); the DevKit is A1 with nets as pins, all
its pins of one net being joined inside it; an end without a reference is a place on copper. What several opens have in common is
the set of pins beyond them, so that each set is injected once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator

from hardware import layout, pcb
from hardware.parts import Netlist
from hardware.spice import Fault

End = tuple[str, str]
Edge = tuple[End, End, str]
Graph = dict[str, list[Edge]]


def copper(board: Netlist) -> Graph:
    """The circuit board's tracks, vias and the spokes of its pours."""
    pins = {(part.ref, pin) for part in board.parts for pin in part.pins}
    found: Graph = {}
    for net, edges in pcb.graph(board).items():

        def end(node: tuple[Hashable, ...], net: str = net) -> End:
            if node[0] == "A1":
                return "A1", net
            return (str(node[0]), str(node[1])) if node in pins else ("", str(node))

        found[net] = [(end(edge.a), end(edge.b), edge.where) for edge in edges if end(edge.a) != end(edge.b)]
    return found


LAYOUTS: dict[str, Callable[[Netlist], Graph]] = {"wire": layout.edges, "copper:": copper}


def _reached(edges: list[Edge], start: End) -> set[End]:
    near = defaultdict(set)
    for a, b, _name in edges:
        near[a].add(b)
        near[b].add(a)
    found, todo = {start}, [start]
    while todo:
        for end in near[todo.pop()] - found:
            found.add(end)
            todo.append(end)
    return found


def _cut_off(pins: set[End], side: set[End]) -> frozenset[End]:
    """The pins of that side of a cut which is not the DevKit's, or else the smaller side."""
    one, two = frozenset(pins & side), frozenset(pins - side)
    if any(ref == "A1" for ref, _pin in one) or (len(one), sorted(map(str, one))) > (len(two), sorted(map(str, two))):
        one, two = (one, two) if any(ref == "A1" for ref, _pin in two) else (two, one)
    return one if two else frozenset()


def wire_cuts(board: Netlist, graph: Graph) -> Iterator[tuple[str, frozenset[End], str]]:
    """(net, pins cut off, name) of every edge that takes pins from their net. Raises ValueError when the graph lacks a pin."""
    for net, ends in board.nets().items():
        pins: set[End] = {("A1", net) if ref == "A1" else (ref, pin) for ref, pin in ends}
        edges = graph.get(net, [])
        missing = pins - _reached(edges, edges[0][0]) if edges else set()
        if missing:
            raise ValueError(f"{board.name}: {net} does not reach {', '.join(f'{ref} {pin}' for ref, pin in sorted(missing))}")
        for i, (start, _end, name) in enumerate(edges):
            off = _cut_off(pins, _reached(edges[:i] + edges[i + 1 :], start))
            if off:
                yield net, off, name


def joints(board: Netlist) -> Iterator[tuple[str, str, str]]:
    """(net, reference, pin) of every solder joint. The DevKit's ground has three pins, of which no single one is missed."""
    for net, ends in board.nets().items():
        for ref, pin in ends:
            if ref != "A1":
                yield net, ref, pin
            elif net != "GND":
                yield net, ref, net


def open_faults(board: Netlist) -> dict[Fault, list[str]]:
    """Every open joint, wire and track, each set of cut-off pins once -> what else cuts off the same.

    Either joint of a two-legged part takes that part out of the circuit: these two count as one.
    """
    faults: dict[tuple[str, frozenset[End]], Fault] = {}
    others: dict[Fault, list[str]] = {}
    legs = {part.ref: Fault("open", part.ref, next(iter(part.pins))) for part in board.parts if len(part.pins) == 2}
    for net, ref, pin in joints(board):
        joint = Fault("open", ref, pin)
        fault = legs.get(ref, joint)
        others.setdefault(fault, [])
        if fault != joint:
            others[fault].append(joint.name)
        faults[net, frozenset({(ref, pin)})] = fault
    for kind, make in LAYOUTS.items():
        for net, pins, name in wire_cuts(board, make(board)):
            fault = faults.setdefault((net, pins), Fault("wire", net, f"{kind} {name}", pins=tuple(sorted(pins))))
            if fault.kind == "wire" and fault not in others:
                others[fault] = []
            else:
                others[fault].append(f"{net} {kind} {name} open")
    return others
