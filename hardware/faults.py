"""Which single faults are injected: every part open, shorted and drifted, every pair of neighbouring nets bridged."""

from __future__ import annotations

from itertools import combinations

from hardware import layout
from hardware.parts import Board, Part
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


def part_faults(board: Board) -> list[Fault]:
    """Opens, shorts (shorts between pins on one net change nothing and are left out) and drifts of every part."""
    found = []
    for part in board.parts:
        found += [Fault("open", part.ref, pin) for pin in _opens(part)]
        found += [Fault("short", part.ref, a, b) for a, b in _shorts(part) if part.pins[a] != part.pins[b]]
        if part.kind == "RELAY":
            found.append(Fault("weld", part.ref))
        found += [Fault("scale", part.ref, factor=factor) for factor in DRIFT.get(part.kind, ())]
    return found


def switch_faults(board: Board) -> list[Fault]:
    """A pole that stays behind in ARM or in MUTE when the lever moves; and the broken actuator, all poles in ARM."""
    poles = "abc"[: board.channels + 1]
    return [Fault(f"stuck in {side}", f"SW1 pole {pole.upper()}", pole) for pole in poles for side in ("ARM", "MUTE")] + [
        Fault("stuck in ARM", "SW1 all poles", poles)
    ]


def bridges(board: Board) -> dict[Fault, str]:
    """Bridges of neighbouring nets that no part's own short already makes -> where they lie."""
    pairs = layout.neighbours(board, layout.place(board))
    own = {tuple(sorted(part.pins.values())) for part in board.parts if len(part.pins) == 2}
    return {Fault("bridge", a, b): where for (a, b), where in pairs.items() if (a, b) not in own}


def all_faults(board: Board) -> list[Fault]:
    return part_faults(board) + switch_faults(board) + list(bridges(board))


def channel(board: Board, fault: Fault) -> int:
    """The channel a fault belongs to; 0 for a shared part or a bridge between channels."""
    names = [fault.a, fault.b] if fault.kind == "bridge" else [fault.a]
    if fault.kind == "bridge":
        found = {
            int(name[-1]) if name[-1] in "12" and name.rstrip("12") in CHANNEL_NETS else 0 for name in names if name != "GND"
        }
        return found.pop() if len(found) == 1 else 0
    ref = names[0]
    if ref.startswith("SW1"):
        return 0
    if ref in ("K1", "K2"):
        return int(ref[1])
    digits = "".join(c for c in ref if c.isdigit())
    return int(digits[0]) if len(digits) == 3 else 0


CHANNEL_NETS = {
    *("PUMP", "DRIVE", "POWA", "POWER", "RATEA", "RATE", "WEIGH", "GATE", "COIL", "FLY"),
    *("KCLAMP", "RAIL", "SRC", "FEED", "SCLAMP", "SENSE", "LIVEA"),
}
