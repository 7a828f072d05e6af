# SPDX-License-Identifier: MIT
"""The figures the product stands on, over many boards: every sample is a board drawn by `corners.draw`.

Pump figures come from the one-channel board (both channels are alike, and it is half the deck); MUTE from the two-channel
board, where the guarded rail carries more charge.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass, fields, replace

import numpy as np

from hardware import stimuli
from hardware.corners import Corner, draw, extremes
from hardware.netlist import build
from hardware.parts import Netlist
from hardware.spice import COARSE, Stimulus, simulate

LIVE_V = 0.3
PAUSE_S = 0.060
ARM_AT_S = 0.02
SAMPLES = 500
ENDS = ("high", "low", "float")


@dataclass(frozen=True)
class Sample:
    """One board's answers. Times in ms; `slow_peak` is the rate tank's peak at 10 Hz as a part of its threshold."""

    corner: str
    arm_ms: float
    rail_v: float
    pause_dip_v: float
    drop_ms: float
    slow_peak: float
    slow_rail_v: float
    mute1_ms: float
    mute2_ms: float
    mute_after_v: float


def above(w: dict[str, np.ndarray], net: str, start_s: float, level: float = LIVE_V) -> float:
    """Milliseconds from `start_s` to the last moment `net` is above `level`; 0 when it never is."""
    live = w["t"][(w["t"] >= start_s) & (w[net] > level)]
    return float(live[-1] - start_s) * 1e3 if len(live) else 0.0


def _window(w: dict[str, np.ndarray], net: str, start_s: float, end_s: float) -> np.ndarray:
    return w[net][(w["t"] >= start_s) & (w["t"] <= end_s)]


def pump_stimulus(end: str, rest_high: bool) -> tuple[Stimulus, float, float, float]:
    """Arm, hold, one pause of 60 ms, hold, then stuck as `end`. Returns stimulus, pause start, resumption, last edge."""
    first, pause_from, level = stimuli.edges(ARM_AT_S, 0.36)
    if (level == 1.0) != rest_high:
        first, pause_from, level = stimuli.edges(ARM_AT_S, 0.36 + stimuli.TOGGLE_S)
    resume = pause_from + PAUSE_S
    second, last, after = stimuli.edges(resume, resume + 0.30, level=level)
    if end != "float" and after != (1.0 if end == "high" else 0.0):
        second, last, after = stimuli.edges(resume, resume + 0.30 + stimuli.TOGGLE_S, level=level)
    points = {f"pump{n}": stimuli.join(first, second) for n in (1, 2)}
    if end == "float":
        points |= {f"float{n}": stimuli.levels([(0.0, 0.0), (last + 0.005, 1.0)]) for n in (1, 2)}
    return Stimulus(f"arm, pause, stuck {end}", last + 0.27, points), pause_from, resume, last


def measure(one: Netlist, two: Netlist, corner: Corner, number: int) -> Sample:
    """Three transients of one board."""
    stimulus, pause_from, resume, last = pump_stimulus(ENDS[number % 3], bool(number // 3 % 2))
    w = simulate(one, corner, stimulus, ["RAIL1"])
    rises = w["t"][w["RAIL1"] > LIVE_V]
    arm_ms = float(rises[0] - ARM_AT_S) * 1e3 if len(rises) else 1e9
    dip_v = float(_window(w, "RAIL1", pause_from, resume + 0.03).min())
    drop_ms = above(w, "RAIL1", last)
    stimulus, begin = stimuli.slow(10.0, warm=True, length_s=0.8, hold_s=0.2)
    w = simulate(one, corner, replace(stimulus, step_s=2e-3), ["RAIL1", "RATE1", "REF"])
    late = begin + 0.45
    peak = float((_window(w, "RATE1", late, 9.0) / _window(w, "REF", late, 9.0)).max())
    slow_v = float(_window(w, "RAIL1", late, 9.0).max())
    env = corner.env
    stimulus, lever = stimuli.muted_while_open(number, env["throw_ms"], env["bounce_ms"], env["phase_ms"])
    w = simulate(two, corner, stimulus, ["RAIL1", "RAIL2"], first=COARSE)
    mutes = [above(w, f"RAIL{n}", lever) for n in (1, 2)]
    rail_v = min(float(_window(w, f"RAIL{n}", lever - 0.04, lever).min()) for n in (1, 2))
    after = max(float(_window(w, f"RAIL{n}", lever + 0.03, 9.0).max()) for n in (1, 2))
    return Sample(corner.name, arm_ms, rail_v, dip_v, drop_ms, peak, slow_v, mutes[0], mutes[1], after)


def boards() -> tuple[Netlist, Netlist]:
    """Both boards less what cannot move the figures: lights, buttons, and for the pumps the microphone."""
    return build(1).without("lamp", "controls", "sentinel"), build(2).without("lamp", "controls")


def one_sample(number: int) -> Sample:
    """Sample `number`, the same on every run."""
    one, two = boards()
    return measure(one, two, draw(build(2), number), number)


def monte_carlo(
    samples: int = SAMPLES, workers: int = 2, report_progress: Callable[[int], None] = lambda done: None
) -> list[Sample]:
    """Samples 0 to `samples` - 1, in order: the same list on every run of the same ngspice. Tells how many are done."""
    drawn: list[Sample] = []
    with ProcessPoolExecutor(workers) as pool:
        for sample in pool.map(one_sample, range(samples), chunksize=4):
            drawn.append(sample)
            if len(drawn) % 50 == 0:
                report_progress(len(drawn))
    return drawn


def named_corners() -> list[Sample]:
    one, two = boards()
    return [measure(one, two, corner, 0) for corner in [Corner(), *extremes(build(2))]]


def as_csv(samples: list[Sample]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([f.name for f in fields(Sample)])
    for sample in samples:
        writer.writerow([v if isinstance(v, str) else f"{v:.3f}" for v in astuple(sample)])
    return out.getvalue()


def from_csv(text: str) -> list[Sample]:
    rows = list(csv.reader(io.StringIO(text)))[1:]
    return [Sample(row[0], *(float(cell) for cell in row[1:])) for row in rows]


@dataclass(frozen=True)
class Target:
    """A promise, the worst board's figure, and whether it holds; `worst` names the sample."""

    what: str
    limit: str
    nominal: str
    worst: str
    sample: str
    holds: bool


def targets(samples: list[Sample], nominal: Sample) -> list[Target]:
    """The table of targets against the worst of all samples."""
    table = []

    def row(what: str, key: str, limit: float, unit: str, most: bool = True) -> None:
        pick = max if most else min
        worst = pick(samples, key=lambda s: getattr(s, key))
        value = getattr(worst, key)
        holds = value < limit if most else value > limit
        sign = "<" if most else ">"
        table.append(
            Target(what, f"{sign} {limit:g} {unit}", f"{getattr(nominal, key):.2f}", f"{value:.2f}", worst.corner, holds)
        )

    row("rail under 0.3 V after the last edge (pin stuck high, low, floating)", "drop_ms", 250.0, "ms")
    row("sentinel rail under 0.3 V after the lever starts to move", "mute1_ms", 20.0, "ms")
    row("guarded rail under 0.3 V after the lever starts to move", "mute2_ms", 20.0, "ms")
    row("highest rail from 30 ms after MUTE on, pumps still toggling", "mute_after_v", 0.3, "V")
    row("lowest rail in and after a 60 ms pause", "pause_dip_v", 2.4, "V", most=False)
    row("rail at 10 Hz toggling after a proper hold", "slow_rail_v", 0.3, "V")
    row("rate tank's peak at 10 Hz, part of the threshold", "slow_peak", 1.0, "")
    row("first edge to a live rail", "arm_ms", 200.0, "ms")
    row("lower of both rails while the lid is open", "rail_v", 2.4, "V", most=False)
    return table


def table_text(table: list[Target]) -> str:
    lines = ["| target | limit | nominal | worst board | which | holds |", "|---|---|---|---|---|---|"]
    for t in table:
        lines.append(f"| {t.what} | {t.limit} | {t.nominal} | {t.worst} | {t.sample} | {'yes' if t.holds else 'NO'} |")
    return "\n".join(lines) + "\n"
