# SPDX-License-Identifier: MIT
"""Which single faults are injected: joints and wires open, parts shorted and drifted, neighbouring nets bridged."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import combinations, pairwise

from hardware import erc, layout, opens, pcb, stimuli
from hardware.parts import Netlist, Part
from hardware.spice import Fault

DRIFT = {"R": (0.5, 2.0), "C": (0.5, 1.5), "NMOS": (0.6, 1.4)}


def _shorts(part: Part) -> list[tuple[str, str]]:
    match part.kind:
        case "RELAY":
            return [("CA", "CB"), ("COM1", "NO1"), ("COM2", "NC2")]
        case "SW3" | "SW2":
            return [
                pair
                for pole in "ABC"[: int(part.kind[2])]
                for pair in ((f"{pole}_COM", f"{pole}_ARM"), (f"{pole}_COM", f"{pole}_MUTE"))
            ]
        case "CMP":
            return [(pin, rail) for pin in ("OUT1", "IN1-", "IN1+", "IN2+", "IN2-", "OUT2") for rail in ("GND", "V+")] + [
                ("V+", "GND")
            ]
        case "MIC":
            return [(pin, rail) for pin in ("SD", "WS", "SCK") for rail in ("GND", "VDD")] + [("VDD", "GND")]
        case "CONN3":
            return list(pairwise(part.pins))
        case _:
            return list(combinations(part.pins, 2))


def part_faults(board: Netlist) -> list[Fault]:
    """Shorts (those between pins on one net change nothing and are left out) and drifts of every part."""
    faults = []
    for part in board.parts:
        faults += [Fault("short", part.ref, a, b) for a, b in _shorts(part) if part.pins[a] != part.pins[b]]
        if part.kind == "RELAY":
            faults.append(Fault("weld", part.ref))
        faults += [Fault("scale", part.ref, factor=factor) for factor in DRIFT.get(part.kind, ())]
    return faults


def switch_faults(board: Netlist) -> list[Fault]:
    """A pole that stays behind in ARM or in MUTE when the lever moves; and the broken actuator, all poles in ARM."""
    poles = "abc"[: board.channels + 1]
    return [Fault(f"stuck in {side}", f"SW1 pole {pole.upper()}", pole) for pole in poles for side in ("ARM", "MUTE")] + [
        Fault("stuck in ARM", "SW1 all poles", poles)
    ]


def bridges(board: Netlist) -> dict[Fault, str]:
    """Bridges of neighbouring nets that no part's own short already makes -> where they lie."""
    pairs = pcb.neighbours(board) | layout.neighbours(board, layout.place(board))
    own = {tuple(sorted(part.pins.values())) for part in board.parts if len(part.pins) == 2}
    return {Fault("bridge", a, b): where for (a, b), where in pairs.items() if (a, b) not in own}


def toggles(board: Netlist) -> list[Fault]:
    """Every line that toggles by itself on every pump pin; and the pump pins on one another."""
    pumps = [f"PUMP{n}" for n in range(1, board.channels + 1)]
    return [Fault("toggle", line, pump) for line in stimuli.TOGGLING for pump in pumps] + [
        Fault("bridge", *pair) for pair in combinations(pumps, 2)
    ]


def all_faults(board: Netlist) -> list[Fault]:
    found = [*opens.open_faults(board), *part_faults(board), *switch_faults(board), *bridges(board), *toggles(board)]
    return list(dict.fromkeys(found))


def differ(board: Netlist, reference: Netlist) -> list[Fault]:
    """The faults that the reference board has not, or that touch a part or a net which is another there."""
    parts = {part.ref: part for part in reference.parts}
    changed = {p.ref for p in board.parts if p.ref not in parts or (p.value, p.pins) != (parts[p.ref].value, parts[p.ref].pins)}
    nets = {net for part in board.parts if part.ref in changed for net in part.nets} - set(reference.supplies)
    known = {_same(fault) for fault in all_faults(reference)}
    return [f for f in all_faults(board) if _same(f) not in known or _refs(f) & changed or _nets(board, f) & nets]


def _same(fault: Fault) -> Fault:
    """The fault less the name of its wire, which is another on every layout."""
    return replace(fault, b="") if fault.kind == "wire" else fault


def _refs(fault: Fault) -> set[str]:
    return {fault.a.split()[0], *(ref for ref, _pin in fault.pins)}


def _nets(board: Netlist, fault: Fault) -> set[str]:
    """The nets that a fault touches."""
    if fault.kind in ("bridge", "toggle", "wire"):
        return {fault.a, fault.b}
    if fault.a == "A1":
        return {fault.b}
    pins = board.part(fault.a.split()[0]).pins
    if fault.kind.startswith("stuck"):
        return {net for pin, net in pins.items() if pin[0].lower() in fault.b}
    return {pins[pin] for pin in (fault.b, fault.c) if pin} or set(pins.values())


def moves_timing(board: Netlist, fault: Fault) -> bool:
    """Whether a fault touches a pump, the comparator or a coil: only there do a board's spreads decide, as they decide when."""
    nets = {net for part in board.parts if part.block.startswith(("pump", "veto")) for net in part.nets}
    return bool(_nets(board, fault) & (nets - set(board.supplies)))


def stops_samples(fault: Fault) -> bool:
    """Whether a fault leaves the rails alone and stops the sentinel's samples, which the self-test and lid.health hear."""
    lines, series = {"SCK", "WS", "SD", "MSCK", "MWS", "MSD"}, {"R21", "R22", "R23"}
    match fault.kind:
        case "open":
            return (fault.a == "MIC1" and fault.b in ("VDD", "SD", "WS", "SCK")) or fault.a in series or fault.b in lines
        case "wire":
            return fault.a in lines and bool((series | {"MIC1", "A1"}) & _refs(fault))
        case "short":
            return (fault.a == "MIC1" and fault.b != "VDD") or fault.a == "R24"
        case "bridge":
            return fault.a in ("GND", "MSCK", "SCK", "V3V3") and {fault.a, fault.b} <= lines - {"SD"} | {"GND", "V3V3"}
        case _:
            return False


NEAR_OHM = 10.0


def _joined(board: Netlist, nets: set[str]) -> set[str]:
    """What is joined to some nets over less than NEAR_OHM in MUTE, ground left out."""
    metal = [part for part in board.parts if part.kind in ("R", "PTC", "PMOS", "RELAY", "SW3", "SW2")]
    links = [edge for part in metal for edge in erc.conducts(part, relay_closed=False, armed=False)]
    near = [{a, b} for a, b, ohm in links if a and b and ohm < NEAR_OHM and erc.GND not in (a, b)]
    while grown := set().union(*(pair for pair in near if pair & nets)) - nets:
        nets = nets | grown
    return nets


def is_stray_supply(board: Netlist, fault: Fault) -> bool:
    """Whether a bridge joins a supply straight to a microphone or a clamp: the one fault that no circuit can forgive."""
    if fault.kind not in ("bridge", "short"):
        return False
    ends = {fault.a, fault.b} if fault.kind == "bridge" else {board.part(fault.a).pins[pin] for pin in (fault.b, fault.c)}
    rails = _joined(board, set(board.mic_rails))
    supplies = _joined(board, set(board.supplies) - {erc.GND})
    return bool(ends & rails) and bool(ends & supplies)


def draw(board: Netlist, rng: random.Random) -> Fault:
    """A fault that no list has: any joint or wire open, any two pins or nets joined, any value off by any factor to ten."""
    part = rng.choice(board.parts)
    match rng.choice(("joint", "wire", "short", "bridge", "drift", "wrong")):
        case "joint":
            return Fault("open", part.ref, rng.choice([pin for pin, net in part.pins.items() if net]))
        case "wire":
            return rng.choice(list(opens.open_faults(board)))
        case "short":
            part = rng.choice([part for part in board.parts if len(set(part.nets)) > 1])
            a, b = rng.choice([pair for pair in combinations(part.pins, 2) if part.pins[pair[0]] != part.pins[pair[1]]])
            return Fault("short", part.ref, a, b)
        case "bridge":
            return Fault("bridge", *sorted(rng.sample(sorted(board.nets()), 2)))
        case kind:
            part = rng.choice([part for part in board.parts if part.kind in ("R", "C")])
            return Fault("scale", part.ref, factor=rng.choice((0.1, 10.0)) if kind == "wrong" else 10 ** rng.uniform(-1, 1))
