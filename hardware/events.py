# SPDX-License-Identifier: MIT
"""Everything that is not a headline: supplies that go, pins that float, slow toggling, clocks that could feed a microphone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np

from hardware import stimuli
from hardware.corners import LIMITS, Corner, extremes
from hardware.netlist import build
from hardware.parts import Netlist
from hardware.spice import Fault, Stimulus, simulate

LIVE_V = 0.3
SLOW_HZ = (1, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 25, 30, 40)
CLOCK_HZ = 512e3  # SCK of 16 kHz stereo is twice that; edges matter, not their rate
CORNERS = ("nominal", "slow", "quick")
RING = 0.06  # damping of an armature that bounces three times in 5 ms
STEADY_V = 2.4
Points = dict[str, list[tuple[float, float]]]


@dataclass(frozen=True)
class Row:
    """A line of the events' table: what happened, and one figure a corner, in words."""

    event: str
    figures: tuple[str, ...]


def corner_of(name: str, board: Netlist) -> Corner:
    return {c.name: c for c in [Corner(), *extremes(board)]}[name]


def _after(w: dict[str, np.ndarray], net: str, start_s: float) -> str:
    live = w["t"][(w["t"] >= start_s) & (w[net] > LIVE_V)]
    if not len(live):
        return "never live"
    if w[net][-1] > LIVE_V:
        return "stays live"
    return f"{(live[-1] - start_s) * 1e3:.0f} ms"


def _open_until(end_s: float) -> Points:
    return {f"pump{n}": stimuli.join(stimuli.edges(0.02, end_s)[0]) for n in (1, 2)}


def supply_loss(board: Netlist, corner: Corner, lost: tuple[str, ...]) -> str:
    """Supplies fall to nothing in 1 ms at 0.3 s while the pins toggle on."""
    points = _open_until(0.6)
    points |= {name: [(0.0, 1.0), (0.3, 1.0), (0.301, 0.0)] for name in lost}
    w = simulate(board, corner, Stimulus("loss", 0.6, points), ["RAIL1", "RAIL2"])
    return " / ".join(_after(w, rail, 0.3) for rail in board.mic_rails)


def brown_out(board: Netlist, corner: Corner) -> str:
    """5 V at 60 % and 3.3 V at 80 % for 100 ms, then back; the pins stop when the dip begins, as a brown-out reset makes them."""
    points = _open_until(0.3)
    points["v5"] = [(0.0, 1.0), (0.3, 1.0), (0.305, 0.6), (0.4, 0.6), (0.405, 1.0)]
    points["v33"] = [(0.0, 1.0), (0.3, 1.0), (0.305, 0.8), (0.4, 0.8), (0.405, 1.0)]
    points |= {f"float{n}": stimuli.levels([(0.0, 0.0), (0.3, 1.0)]) for n in (1, 2)}
    w = simulate(board, corner, Stimulus("brown-out", 0.7, points), ["RAIL1", "RAIL2"])
    return " / ".join(_after(w, rail, 0.3) for rail in board.mic_rails)


def power_up(board: Netlist, corner: Corner, pins: str) -> str:
    """Supplies rise in 5 ms at 20 ms; pins 'float', are 'high' from the first, or give 'three' rising edges 2 ms apart."""
    points: Points = {name: [(0.0, 0.0), (0.02, 0.0), (0.025, 1.0)] for name in ("v5", "v33")}
    for n in (1, 2):
        if pins == "float":
            points[f"float{n}"] = [(0.0, 1.0)]
        elif pins == "high":
            points[f"pump{n}"] = [(0.0, 1.0)]
        else:
            points[f"pump{n}"] = stimuli.join(stimuli.edges(0.06, 0.0705, 0.002)[0])
    w = simulate(board, corner, Stimulus("power up", 0.3, points), ["RAIL1", "RAIL2"])
    return f"{max(w[rail].max() for rail in board.mic_rails):.3f} V"


def bouncing(board: Netlist, corner: Corner) -> str:
    """Contacts that bounce at closing and at release: when rail 1 is steady after the first edge, and dead after the last."""
    changes, last, _ = stimuli.edges(0.02, 0.4)
    points = {f"pump{n}": stimuli.join(changes) for n in (1, 2)}
    w = simulate(board, corner.with_env(contact_ring=RING), Stimulus("bounce", last + 0.3, points, 2e-4), ["RAIL1"])
    before = w["t"] < last
    low = w["t"][before & (w["RAIL1"] < STEADY_V)]
    first = w["t"][before & (w["RAIL1"] > STEADY_V)]
    if not len(first):
        return "never live"
    return f"{(first[0] - 0.02) * 1e3:.0f} to {(low[-1] - 0.02) * 1e3:.0f} ms / {_after(w, 'RAIL1', last)}"


def least_supply(board: Netlist, corner: Corner) -> str:
    """Both coils at 4.5 V and 50 C, every spread of the coil and of the fuse against it: do the lids open, and hold?"""
    limits = {"temp_c": 50.0, "v5": 4.5, "coil_r": 1.1, "operate": 0.75, "ptc_ohm": LIMITS["ptc_ohm"][1], "vth": LIMITS["vth"][1]}
    w = simulate(board, corner.with_env(**limits), Stimulus("least supply", 0.4, _open_until(0.4), 2e-3), ["RAIL1", "RAIL2"])
    held = [w[rail][w["t"] > 0.3].min() > STEADY_V for rail in board.mic_rails]
    return " / ".join("opens and holds" if yes else "does not hold" for yes in held)


def slow_toggle(board: Netlist, corner: Corner, hz: float) -> tuple[float, float]:
    """Highest rail 1, and the part of the time it is live, once the rate has settled after a proper hold."""
    stimulus, begin = stimuli.slow(hz, warm=True, length_s=max(1.0, 3.5 / hz))
    w = simulate(board, corner, Stimulus(stimulus.name, stimulus.end_s, stimulus.points, 2e-3), ["RAIL1"])
    grid = np.linspace(begin + 0.45, stimulus.end_s, 2000)
    rail = np.interp(grid, w["t"], w["RAIL1"])
    return float(rail.max()), float((rail > LIVE_V).mean())


def holds_through(board: Netlist, corner: Corner, gap_ms: float, rest_high: bool) -> bool:
    stimulus, start, end = stimuli.pause(gap_ms * 1e-3, rest_high)
    w = simulate(board, corner, stimulus, ["RAIL1"])
    inside = (w["t"] >= start) & (w["t"] <= end + 0.05)
    return bool(w["RAIL1"][inside].min() > 2.0)


def longest_pause_ms(board: Netlist, corner: Corner) -> int:
    """The longest gap between two edges, in 10 ms steps, that no resting level lets drop."""
    best = 0
    for gap in range(60, 160, 10):
        if not all(holds_through(board, corner, gap, rest) for rest in (False, True)):
            break
        best = gap
    return best


CLOCKS: dict[str, Callable[[], list[tuple[float, float]]]] = {
    "parked low": lambda: [(0.0, 0.0)],
    "driven high": lambda: [(0.0, 0.0), (1e-5, 1.0)],
    "running": lambda: stimuli.join(stimuli.edges(1e-5, 4e-3, 0.5 / CLOCK_HZ)[0], edge_s=2e-8),
}


def back_feed(board: Netlist, corner: Corner, clocks: str, muted: bool, lost: tuple[Fault, ...] = ()) -> float:
    """Rail 1, mean of the last millisecond, lid closed, with SCK and WS as named; pulses are shortened so 5 ms settle it."""
    shape = CLOCKS[clocks]()
    points: Points = {"sck": shape, "ws": shape}
    if muted:
        points |= {f"arm_{p}": [(0.0, 0.0)] for p in "abc"} | {f"mute_{p}": [(0.0, 1.0)] for p in "abc"}
    end = 5e-3 if clocks != "running" else 4e-3
    w = simulate(board, corner, Stimulus("back-feed", end, points, 2e-5), ["RAIL1"], lost)
    grid = np.linspace(end - 1e-3, end, 500)
    return float(np.interp(grid, w["t"], w["RAIL1"]).mean())


CLAMP = (Fault("open", "R111", "1"),)
BOTH = (*CLAMP, Fault("open", "R112", "1"))


def _cell(job: tuple[str, str]) -> str:
    kind, name = job
    two, one = build(2), build(1)
    corner = corner_of(name, two)
    what, _, more = kind.partition(":")
    match what:
        case "loss":
            return supply_loss(two, corner, tuple(more.split("+")))
        case "brown-out":
            return brown_out(two, corner)
        case "up":
            return power_up(two, corner, more)
        case "slow":
            most, share = slow_toggle(one, corner, float(more))
            return f"live {share * 100:.0f} %" if most > LIVE_V else "never live"
        case "bounce":
            return bouncing(one, corner)
        case "least":
            return least_supply(two, corner)
        case "pause":
            return f"{longest_pause_ms(one, corner)} ms"
        case _:
            clocks, muted, lost = more.split(",")
            faults = {"": (), "clamp": CLAMP, "both": BOTH}[lost]
            return f"{back_feed(one, corner, clocks, muted == 'muted', faults):.3f} V"


EVENTS: dict[str, str] = {
    "5 V and 3.3 V lost, rail 1 / rail 2": "loss:v5+v33",
    "5 V lost, rail 1 / rail 2": "loss:v5",
    "3.3 V lost, rail 1 / rail 2": "loss:v33",
    "brown-out to 60 % / 80 % for 100 ms and reset": "brown-out",
    "power-up, pins floating: highest rail": "up:float",
    "power-up, pins high from the first: highest rail": "up:high",
    "three quick edges after power-up: highest rail": "up:three",
    "contacts bounce three times in 5 ms: first live to steady / dead after the last edge": "bounce",
    "both lids at 4.5 V, 50 C, worst coils and fuse": "least",
    "longest pause that does not drop (10 ms steps)": "pause",
    **{f"toggling at {hz} Hz after a proper hold": f"slow:{hz}" for hz in SLOW_HZ},
    **{f"rail 1 closed, clocks {clocks}{', ' + lost if lost else ''}": f"feed:{clocks},closed,{key}"
       for clocks in CLOCKS for key, lost in (("", ""), ("clamp", "relay clamp lost"))},
    **{f"rail 1 in MUTE, clocks {clocks}{', ' + lost if lost else ''}": f"feed:{clocks},muted,{key}"
       for clocks in CLOCKS for key, lost in (("", ""), ("both", "both clamps lost"))},
}  # fmt: skip


def table(workers: int = 2) -> list[Row]:
    """All events on three boards: nominal, and the two worst."""
    jobs = [(kind, name) for kind in EVENTS.values() for name in CORNERS]
    with ProcessPoolExecutor(workers) as pool:
        cells = list(pool.map(_cell, jobs, chunksize=2))
    return [Row(event, tuple(cells[i * 3 : i * 3 + 3])) for i, event in enumerate(EVENTS)]


def as_markdown(rows: list[Row]) -> str:
    lines = ["| event | nominal | slow | quick |", "|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {row.event} | {' | '.join(row.figures)} |" for row in rows)]) + "\n"
