# SPDX-License-Identifier: MIT
"""Everything that is not a headline: supplies that go, pins that float, toggling at any rate, clocks that may feed a microphone.

Toggling from 1 kHz on is simulated from rest and with the pumps and the comparator alone, which do not depend on the relay, and
for some milliseconds: a pump's current falls as its tank fills, so the tank settles at most at what it has plus its time constant
times its rise (`bound`). What toggles over 10 kHz begins at its mean.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from lid import lights

from hardware import stimuli
from hardware.corners import LIMITS, Corner, extremes
from hardware.netlist import build
from hardware.parts import Netlist
from hardware.spice import Fault, Stimulus, simulate

LIVE_V = 0.3
SLOW_HZ = (1, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 25, 30, 40, 50, 100, 200, 400, 500)
FAST_HZ = (1e3, 2e3, 5e3, 16e3, 50e3, 512e3, 1e6, 2e6)
MEAN_FROM_HZ = 1e4
PERIODS = 200
VETO = 0.9  # of the threshold at the rate tank: offset, bias and hysteresis of the comparator count for the rest
FRONT = {
    *("R101", "R102", "R103", "R104", "R105", "R106", "R107", "C101", "C102", "C103", "C104", "C108"),
    *("D101", "D102", "D103", "D104", "U1", "R8", "R9", "C1"),
}  # fmt: skip
CLOCK_HZ = 64e3  # what a clock feeds does not depend on its rate: slow ones take a tenth of the steps
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
    """The port at 60 % for 100 ms, then back; the pins stop when the dip begins, as a brown-out reset makes them."""
    points = _open_until(0.3)
    points["v5"] = [(0.0, 1.0), (0.3, 1.0), (0.305, 0.6), (0.4, 0.6), (0.405, 1.0)]
    points |= {f"float{n}": stimuli.levels([(0.0, 0.0), (0.3, 1.0)]) for n in (1, 2)}
    w = simulate(board, corner, Stimulus("brown-out", 0.7, points), ["RAIL1", "RAIL2"])
    return " / ".join(_after(w, rail, 0.3) for rail in board.mic_rails)


def power_up(board: Netlist, corner: Corner, pins: str) -> str:
    """The port's voltage rises in 5 ms at 20 ms; pins 'float', are 'high' from the first, or rise 'three' times, 2 ms apart."""
    points: Points = {"v5": [(0.0, 0.0), (0.02, 0.0), (0.025, 1.0)]}
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


def _against(corner: Corner, port_v: float, held: bool) -> Corner:
    """At 50 C and `port_v` with every spread of the supply and of the coils against the lid; `held`: coils warm from long use."""
    worst = {
        name: LIMITS[name][1] for name in ("cable_ohm", "supply_diode_v", "ldo_drop_v", "coil_r", "operate", "ptc_ohm", "vth")
    }
    return corner.with_env(temp_c=50.0, vbus=port_v, coil_rise_k=LIMITS["coil_rise_k"][held], **worst)


def both_open(board: Netlist, corner: Corner, port_v: float, held: bool) -> dict[str, float] | None:
    """Lowest V3V3 and VCOIL while both lids are open, or None when one does not open and hold."""
    stimulus = Stimulus("least supply", 0.4, _open_until(0.4), 2e-3)
    w = simulate(board, _against(corner, port_v, held), stimulus, ["RAIL1", "RAIL2", "V3V3", "VCOIL"])
    low = {net: float(w[net][w["t"] > 0.3].min()) for net in ("RAIL1", "RAIL2", "V3V3", "VCOIL")}
    return low if min(low["RAIL1"], low["RAIL2"]) > STEADY_V else None


def least_port_v(board: Netlist, corner: Corner, held: bool) -> float:
    """The lowest voltage of the USB port, in steps of 0.05 V, at which both lids open and hold, all spreads against it."""
    low, high = 84, 110  # twentieths of a volt: not at the one, at the other
    while high - low > 1:
        middle = (low + high) // 2
        if both_open(board, corner, middle / 20, held):
            high = middle
        else:
            low = middle
    return high / 20


def supply_at_least(board: Netlist, corner: Corner) -> str:
    low = both_open(board, corner, LIMITS["vbus"][0], held=False)
    return f"{low['V3V3']:.2f} V / {low['VCOIL']:.2f} V" if low else "does not open"


def front_end(corner: Corner, points: list[tuple[float, float]], end_s: float) -> dict[str, np.ndarray]:
    """Both pumps and the comparator of channel 1 alone, their pin driven by `points`: REF, DRIVE1, POWER1, RATE1."""
    board = build(1)
    parts = [part for part in board.parts if part.ref in FRONT]
    board = replace(board, parts=parts, gpio={18: board.gpio[18]}, mic_rails={})
    nets = ["REF", "DRIVE1", "POWER1", "RATE1"]
    return simulate(board, corner, Stimulus("front end", end_s, {"pump1": points}, min(1e-3, end_s / 40)), nets)


def bound(w: dict[str, np.ndarray], from_s: float, corner: Corner) -> float:
    """The most to which the rate tank can settle, as a part of the threshold, from its rise since `from_s`."""
    end_s = float(w["t"][-1])
    first, last = (float(np.interp(t, w["t"], w["RATE1"])) for t in (from_s, end_s))
    tau_s = 1e-6 * corner.scale.get("C104", 1.0) * 160e3 * corner.scale.get("R104", 1.0)
    return (last + tau_s * max(0.0, last - first) / (end_s - from_s)) / float(w["REF"][-1])


def fast_toggle(corner: Corner, hz: float, high: float = 0.5) -> float:
    """What the rate tank can settle to, as a part of its threshold, when the pin toggles at `hz`."""
    settle_s = 0.012  # of the DRIVE net
    begin = settle_s if hz > MEAN_FROM_HZ else 1e-5
    end = settle_s + (PERIODS / hz if hz > MEAN_FROM_HZ else 0.05)
    edge = min(stimuli.EDGE_S, 0.05 / hz)
    start = [(0.0, 0.0), (1e-5, high)] if hz > MEAN_FROM_HZ else [(0.0, 0.0)]
    w = front_end(corner, stimuli.levels(start + stimuli.square(hz, begin, end, high), edge), end)
    return bound(w, (settle_s + end) / 2, corner)


def text_bit_by_bit(corner: Corner) -> float:
    """The same of continuous text at 115200 baud, every bit of it."""
    data = stimuli.text(360, random.Random("bits"))
    end = len(data) * stimuli.BYTE_S
    w = front_end(corner, stimuli.levels([(0.0, 1.0), *stimuli.uart_bits(data, 1e-5)], 5e-7), end)
    return bound(w, end / 2, corner)


PATTERNS: dict[str, tuple[str, Callable[[float], list[tuple[float, float]]]]] = {
    "sck": ("SCK or WS", stimuli.TOGGLING["SCK"]),
    "sd": ("SD of a microphone in a loud 50 Hz hum", stimuli.TOGGLING["SD"]),
    "tx": ("TX, 300-byte lines without a gap", stimuli.TOGGLING["TX"]),
    "tx300": ("TX, one 300-byte line from rest", lambda end_s: stimuli.lines(300, 1.0, end_s)),
    "tx20": ("TX, a 96-byte line every 20 ms", lambda end_s: stimuli.lines(96, 0.02, end_s)),
    "tx10": ("TX, a 40-byte line every 10 ms", lambda end_s: stimuli.lines(40, 0.01, end_s)),
    "status": ("STATUS, the light of a fault", stimuli.TOGGLING["STATUS"]),
    "ask": (
        "STATUS, asking for consent, dimmed",
        lambda end_s: list(stimuli.by_hops(lambda hop: lights.status_led("ask", hop, True), end_s)),
    ),
    "buzz": ("BUZZ, asking for consent", stimuli.TOGGLING["BUZZ"]),
}


def pattern_peak(corner: Corner, key: str) -> float:
    """The rate tank's peak in 0.8 s of a line's pattern at the pump pin, as a part of its threshold."""
    w = front_end(corner, stimuli.levels(PATTERNS[key][1](0.8), 1e-5), 0.8)
    return float((w["RATE1"][1:] / w["REF"][1:])[w["t"][1:] > 2e-3].max())


def _vetoed(share: float) -> str:
    return f"{'never live' if share < VETO else 'may hold'} ({share:.2f})"


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
        case "fast":
            return _vetoed(fast_toggle(corner, float(more)))
        case "duty":
            return _vetoed(fast_toggle(corner, float(more), 0.25))
        case "bits":
            return _vetoed(text_bit_by_bit(corner))
        case "pattern":
            return _vetoed(pattern_peak(corner, more))
        case "slow":
            most, share = slow_toggle(one, corner, float(more))
            return f"live {share * 100:.0f} %" if most > LIVE_V else "never live"
        case "bounce":
            return bouncing(one, corner)
        case "least":
            return f"{least_port_v(two, corner, more == 'held'):.2f} V"
        case "least3v3":
            return supply_at_least(two, corner)
        case "pause":
            return f"{longest_pause_ms(one, corner)} ms"
        case _:
            clocks, muted, lost = more.split(",")
            faults = {"": (), "clamp": CLAMP, "both": BOTH}[lost]
            return f"{back_feed(one, corner, clocks, muted == 'muted', faults):.3f} V"


EVENTS: dict[str, str] = {
    "USB pulled while both lids are open, rail 1 / rail 2": "loss:v5",
    "3.3 V regulator dead, rail 1 / rail 2": "loss:v33",
    "port falls to 60 % for 100 ms, and reset": "brown-out",
    "power-up, pins floating: highest rail": "up:float",
    "power-up, pins high from the first: highest rail": "up:high",
    "three quick edges after power-up: highest rail": "up:three",
    "contacts bounce three times in 5 ms: first live to steady / dead after the last edge": "bounce",
    "port at which both lids open at 50 C, all spreads against it": "least:cold",
    "the same, coils warm from being held": "least:held",
    "port at 4.75 V, 50 C, all spreads against it: 3V3 pin / coil supply, both lids open": "least3v3",
    "longest pause that does not drop (10 ms steps)": "pause",
    **{f"toggling at {hz} Hz after a proper hold": f"slow:{hz}" for hz in SLOW_HZ},
    **{f"toggling at {hz:g} Hz (rate tank, part of its threshold)": f"fast:{hz:g}" for hz in FAST_HZ},
    "toggling at 400 Hz, high a quarter of the time": "duty:400",
    "toggling at 1000 Hz, high a quarter of the time": "duty:1000",
    "continuous text at 115200 baud, bit by bit": "bits",
    **{f"on a pump pin: {what}": f"pattern:{key}" for key, (what, _) in PATTERNS.items()},
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
