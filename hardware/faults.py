# SPDX-License-Identifier: MIT
"""Which single faults are injected: every part open, shorted and drifted, every pair of neighbouring nets bridged."""

from __future__ import annotations

from itertools import combinations

from hardware import layout
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
        case _:
            return list(combinations(part.pins, 2))


def _opens(part: Part) -> list[str]:
    pins = [pin for pin, net in part.pins.items() if net]
    return pins[:1] if len(part.pins) == 2 else pins


def part_faults(board: Netlist) -> list[Fault]:
    """Opens, shorts (shorts between pins on one net change nothing and are left out) and drifts of every part."""
    faults = []
    for part in board.parts:
        faults += [Fault("open", part.ref, pin) for pin in _opens(part)]
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
    pairs = layout.neighbours(board, layout.place(board))
    own = {tuple(sorted(part.pins.values())) for part in board.parts if len(part.pins) == 2}
    return {Fault("bridge", a, b): where for (a, b), where in pairs.items() if (a, b) not in own}


def all_faults(board: Netlist) -> list[Fault]:
    return part_faults(board) + switch_faults(board) + list(bridges(board))


GUARDED_NETS = {"RAIL2", "FEED2", "SRC2", "KCLAMP2", "SCLAMP2", "SENSE2", "LIVEA2", "MICBUS2", "SLOW2", "VBUS", "LINE"}


def is_of_guarded_feed(board: Netlist, fault: Fault) -> bool:
    """Whether a fault lies between the guarded source and its microphone: what the three recipes do differently."""
    if fault.kind == "bridge":
        return bool(GUARDED_NETS & {fault.a, fault.b})
    if fault.a.startswith("SW1 "):
        return "c" in fault.b
    if fault.a == "SW1":
        return fault.b.startswith("C_")
    return fault.a == "K2" or board.part(fault.a).block == "rail2"
