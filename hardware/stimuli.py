# SPDX-License-Identifier: MIT
"""Stimuli: what the pins, the switch and the supplies do in each test."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from lid import lights

from hardware.spice import Stimulus

TOGGLE_S = 0.010  # one edge a hop
EDGE_S = 2e-4  # of a pin: far under the pumps' 10 ms, and kind to the solver
SNAP_S = 2e-6  # of a contact
BAUD = 115200
BYTE_S = 10 / BAUD  # start bit, eight bits, stop bit
AVERAGED_BYTES = 4
Points = list[tuple[float, float]]


def levels(changes: Points, edge_s: float = EDGE_S) -> Points:
    """Steps at the given times (s, level) as piecewise-linear points with short edges."""
    points: Points = [(0.0, changes[0][1])]
    for (t, level), (_, before) in zip(changes[1:], changes[:-1], strict=True):
        points += [(t, before), (t + edge_s, level)]
    return points


def edges(start_s: float, stop_s: float, gap_s: float = TOGGLE_S, level: float = 0.0) -> tuple[Points, float, float]:
    """Edges every `gap_s` from `start_s` to before `stop_s`. Returns changes, last edge's time, level after it."""
    changes: Points = []
    t, last = start_s, start_s
    while t < stop_s - 1e-9:
        level = 1.0 - level
        changes.append((t, level))
        last = t
        t += gap_s
    return changes, last, level


def join(*groups: Points, edge_s: float = EDGE_S) -> Points:
    merged: Points = [(0.0, 0.0)]
    for group in groups:
        merged += group
    return levels(merged, edge_s)


def throw(at_s: float, throw_ms: float, bounce_ms: float, seed: int, poles: str = "abc") -> dict[str, Points]:
    """The lever leaves ARM at `at_s`, bouncing, and arrives `throw_ms` later in MUTE, bouncing; break before make."""
    rng = random.Random(f"throw-{seed}")
    found: dict[str, Points] = {}
    for pole in poles:
        arm: Points = [(0.0, 1.0), (at_s, 0.0)]
        mute: Points = [(0.0, 0.0)]
        t = at_s
        for _ in range(rng.randint(0, 3) if bounce_ms else 0):
            gap = max(rng.uniform(0.05, 0.25) * bounce_ms * 1e-3, 1e-5)
            arm += [(t + gap, 1.0), (t + 2 * gap * 0.9, 0.0)]
            t += 2 * gap
        arrive = max(at_s + throw_ms * 1e-3, t + 1e-4)
        mute.append((arrive, 1.0))
        t = arrive
        for _ in range(rng.randint(0, 3) if bounce_ms else 0):
            gap = max(rng.uniform(0.05, 0.25) * bounce_ms * 1e-3, 1e-5)
            mute += [(t + gap, 0.0), (t + 2 * gap * 0.9, 1.0)]
            t += 2 * gap
        found[f"arm_{pole}"] = levels(arm, SNAP_S)
        found[f"mute_{pole}"] = levels(mute, SNAP_S)
    return found


def hold_then(end_level: str, start_s: float = 0.05, stop_s: float = 0.55, tail_s: float = 0.40) -> tuple[Stimulus, float]:
    """Toggle, then stuck 'high', 'low' or 'float'. Returns the stimulus and the time of the last edge."""
    changes, last, level = edges(start_s, stop_s)
    wanted = 1.0 if end_level == "high" else 0.0
    if end_level != "float" and level != wanted:
        changes, last, level = edges(start_s, stop_s + TOGGLE_S)
    points = {f"pump{n}": join(changes) for n in (1, 2)}
    if end_level == "float":
        last += TOGGLE_S / 2
        points |= {f"float{n}": levels([(0.0, 0.0), (last, 1.0)]) for n in (1, 2)}
    return Stimulus(f"stuck {end_level}", last + tail_s, points), last


def pause(gap_s: float, rest_high: bool, start_s: float = 0.05, stop_s: float = 0.45) -> tuple[Stimulus, float, float]:
    """Toggle, one gap of `gap_s` between two edges, toggle again. Returns stimulus, start and end of the gap."""
    changes, last, level = edges(start_s, stop_s)
    if (level == 1.0) != rest_high:
        changes, last, level = edges(start_s, stop_s + TOGGLE_S)
    more, _, _ = edges(last + gap_s, last + gap_s + 0.25, level=level)
    points = {f"pump{n}": join(changes, more) for n in (1, 2)}
    return Stimulus(f"pause {gap_s * 1e3:.0f} ms", last + gap_s + 0.2, points), last, last + gap_s


def slow(hz: float, warm: bool, length_s: float = 0.0, hold_s: float = 0.4) -> tuple[Stimulus, float]:
    """A square wave of `hz` (two edges a period), from rest or after a proper 50 Hz hold. Returns stimulus and its start."""
    begin, groups, level = 0.05, [], 0.0
    if warm:
        first, last, level = edges(0.05, 0.05 + hold_s)
        groups.append(first)
        begin = last + 0.5 / hz
    length = length_s or max(1.2, 4.0 / hz)
    more, _, _ = edges(begin, begin + length, 0.5 / hz, level)
    groups.append(more)
    points = {f"pump{n}": join(*groups) for n in (1, 2)}
    return Stimulus(f"{hz:g} Hz {'after holding' if warm else 'from rest'}", begin + length, points, 1e-3), begin


def muted_while_open(seed: int, throw_ms: float, bounce_ms: float, phase_ms: float) -> tuple[Stimulus, float]:
    """MUTE thrown at any phase while the pump keeps toggling and the clocks rest high. Returns stimulus and lever's start."""
    at = 0.20 + phase_ms * 1e-3
    changes, _, _ = edges(0.01, 0.40)
    points = {f"pump{n}": join(changes) for n in (1, 2)}
    points |= throw(at, throw_ms, bounce_ms, seed)
    return Stimulus("mute thrown", at + 0.08, points, 5e-4), at


def text(size: int, rng: random.Random) -> bytes:
    """A line of random text, line feed included."""
    return bytes(rng.choice(b"abcdefghijklmnopqrstuvwxyz0123456789 ,:{}") for _ in range(size - 1)) + b"\n"


def uart_bits(data: bytes, start_s: float) -> Points:
    """Every change of a UART's line that rests high: start bit, eight bits from the lowest on, stop bit."""
    changes: Points = []
    level = 1
    for place, byte in enumerate(data):
        for k, bit in enumerate((0, *(byte >> k & 1 for k in range(8)), 1)):
            if bit != level:
                changes.append((start_s + place * BYTE_S + k / BAUD, float(bit)))
                level = bit
    return changes


def uart_means(data: bytes, start_s: float) -> Points:
    """The same as the mean of every four bytes: R102 and C108 (1 ms) pass no more of it, and a run takes a tenth of the steps."""
    changes: Points = []
    for place in range(0, len(data), AVERAGED_BYTES):
        part = data[place : place + AVERAGED_BYTES]
        changes.append((start_s + place * BYTE_S, sum(byte.bit_count() + 1 for byte in part) / (10 * len(part))))
    return [*changes, (start_s + len(data) * BYTE_S, 1.0)]


def square(hz: float, start_s: float, stop_s: float, high: float = 0.5) -> Points:
    """Changes of a wave of `hz` that is high for the part `high` of its period; from low to low."""
    changes: Points = []
    t = start_s
    while t < stop_s:
        changes += [(t, 1.0), (t + high / hz, 0.0)]
        t += 1.0 / hz
    return changes


def lines(size: int, every_s: float, end_s: float) -> Points:
    rng, t, changes = random.Random("text"), 1e-3, [(0.0, 1.0)]
    while t < end_s:
        changes += uart_means(text(size, rng), t)
        t += max(every_s, (size + 1) * BYTE_S)
    return changes


def by_hops(lit: Callable[[int], bool], end_s: float) -> Iterator[tuple[float, float]]:
    """Levels of a light or buzzer that `lit` switches hop by hop, from 1 ms on."""
    yield 0.0, 0.0
    for hop in range(int(end_s / TOGGLE_S)):
        yield 1e-3 + hop * TOGGLE_S, float(lit(hop))


# Every line of the DevKit that may toggle by itself, as its mean over at most 0.35 ms. That is all a pump pin passes on: the
# clocks (16 kHz, 1 MHz) become half their level. SD is high for 24 of 64 bits in each negative half of a loud hum.
TOGGLING: dict[str, Callable[[float], Points]] = {
    "SCK": lambda end_s: [(0.0, 0.0), (1e-3, 0.5)],
    "WS": lambda end_s: [(0.0, 0.0), (1e-3, 0.5)],
    "SD": lambda end_s: [(0.0, 0.0)] + [(t, v * 24 / 64) for t, v in square(50.0, 1e-3, end_s)],
    "TX": lambda end_s: lines(300, 0.0, end_s),
    "STATUS": lambda end_s: list(by_hops(lambda hop: lights.status_led("fault", hop, True), end_s)),
    "BUZZ": lambda end_s: list(by_hops(lambda hop: lights.buzzer("ask", hop), end_s)),
}


def toggling(line: str, end_s: float) -> Points:
    """What `line` (a key of TOGGLING) does until `end_s`, for a pin's points in a Stimulus. Raises KeyError for another."""
    return levels(TOGGLING[line](end_s), 1e-5)
