# SPDX-License-Identifier: MIT
"""Failure modes by injection: the firmware's self-tests played on a faulty board, then MUTE thrown while it is open.

What a test can see is what the worst ESP32 reads without attenuation (earlid.virtual.adc). A test counts only when the
firmware makes it (lid.selftest at boot, lid.health while it runs and at every closing, lid.inputs for the switch).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from earlid.virtual.adc import CORNERS, DB_0, Adc

from hardware import faults as fault_list
from hardware import opens, stimuli
from hardware.corners import Corner, extremes
from hardware.netlist import build
from hardware.parts import Netlist
from hardware.recipes import RECIPES
from hardware.spice import COARSE, Fault, Stimulus, microphones, simulate

LIVE_V = 0.3
CLAMP_V = 0.22  # of a closed rail whose clamps hold, with SCK and WS high
WORST_ADCS = [Adc(scheme, end) for scheme, end in CORNERS]
GOOD_V = 2.6  # 33 ohms, 10 mA and an ADC that may be 5 % off
ARM_LATE_MS = 200.0
DROP_MAX_MS = 250.0
DROP_EARLY_MS, DROP_LATE_MS = 60.0, 220.0  # of a healthy board
DRIFT, DRIFT_MS = (0.6, 1.4), 10.0  # against the board's own first drop time, as lid.selftest has it
SENSE_HIGH_V, SENSE_LOW_V = 3.0, 1.0  # at the throw, before the 150k / 100k divider
SENSE_SCALE = 2.5
SENSES = ("ARMSENSE", "MUTESENSE")

# the self-test's calendar, in seconds
HIGH = (0.04, 0.24)
FAST = (0.245, 0.27)
SLOW = (0.31, 0.71)
CLOCKS = (0.73, 0.77)
OPEN = {1: (0.79, 0.99), 2: (1.31, 1.52)}  # first and last edge
DROP_S = 0.30
MUTE_AT = 0.20


@dataclass
class Outcome:
    """One fault on one board. `closed_v`: highest supply at a microphone's pins while asked to be closed.

    `tests`: the self-tests that fail.
    """

    fault: str
    corner: str
    closed_v: float = 0.0
    mute_v: float = 0.0
    mute_ms: float = 0.0
    drop_ms: float = 0.0
    opens: bool = True
    tests: list[str] = field(default_factory=list)
    seen_ms: float = 0.0  # channel 1's drop as the firmware reads it
    also: list[str] = field(default_factory=list)  # what else cuts off the same pins

    @property
    def effect(self) -> str:
        if self.mute_v > LIVE_V:
            return "live in MUTE"
        if self.mute_ms > 20.0:
            return "slow MUTE"
        if self.closed_v > LIVE_V:
            return "live while closed"
        if not self.opens:
            return "cannot open"
        return "works" if not self.tests else "works, noticed"


def selftest_stimulus() -> Stimulus:
    """Idle, both pins high, 2 kHz and 10 Hz on both, clocks high, channel 1 opens and drops (ends high), then 2 (low)."""
    both = [(HIGH[0], 1.0), (HIGH[1], 0.0), *stimuli.square(2e3, *FAST)] + stimuli.edges(*SLOW, gap_s=0.05)[0]
    points = {}
    for n in (1, 2):
        start, stop = OPEN[n]
        own, _, level = stimuli.edges(start, stop + 0.001)
        assert level == (1.0 if n == 1 else 0.0), "channel 1 ends high, channel 2 low"
        points[f"pump{n}"] = stimuli.join(both, own)
    for clock in ("sck", "ws"):
        points[clock] = stimuli.levels([(0.0, 0.0), (CLOCKS[0], 1.0), (CLOCKS[1], 0.0)])
    return Stimulus("self-test", OPEN[2][1] + DROP_S, points, 4e-3)


def mute_stimulus(stuck: str, side: str) -> Stimulus:
    """Open, clocks high, MUTE thrown at MUTE_AT, pumps toggling on; poles in `stuck` stay where `side` says."""
    changes, _, _ = stimuli.edges(0.01, 0.4)
    points = {f"pump{n}": stimuli.join(changes) for n in (1, 2)}
    points |= stimuli.throw(MUTE_AT, 2.0, 2.0, 1)
    for pole in stuck:
        points[f"arm_{pole}"] = [(0.0, 1.0 if side == "ARM" else 0.0)]
        points[f"mute_{pole}"] = [(0.0, 0.0 if side == "ARM" else 1.0)]
    points |= {clock: stimuli.levels([(0.0, 0.0), (MUTE_AT - 0.02, 1.0)]) for clock in ("sck", "ws")}
    return Stimulus("mute", 0.36, points)


def crashed_stimulus() -> Stimulus:
    """Both pump pins are inputs, as during a reset: the weakest that they can hold against a line bridged to them."""
    return Stimulus("crashed", 0.6, {f"float{n}": [(0.0, 1.0)] for n in (1, 2)}, 2e-3)


Waves = dict[str, np.ndarray]


@dataclass(frozen=True)
class Readout:
    """How the two rails of a board are read: divider ratios, and what counts as open."""

    scale: dict[int, float]
    good_v: dict[int, float]

    @staticmethod
    def of(board: Netlist) -> Readout:
        scale = {n: 1 + board.part(f"R{n}15").value_si / board.part(f"R{n}16").value_si for n in microphones(board)}
        return Readout(scale, {1: GOOD_V, 2: RECIPES[board.recipe].good_mv * 1e-3})

    def volts(self, w: Waves, n: int, start: float, end: float) -> float:
        """The least that any ESP32 reads as rail n's highest voltage, at the source; up to about 1 V, all above reads as that."""
        pin_mv = int(1e3 * _most(w, f"SENSE{n}", start, end))
        return min(adc.reading_mv(DB_0, pin_mv) for adc in WORST_ADCS) * 1e-3 * self.scale[n]


def _most(w: Waves, net: str, start: float, end: float) -> float:
    part = w[net][(w["t"] >= start) & (w["t"] <= end)]
    return float(part.max()) if len(part) else 9.99


def _mean(w: Waves, net: str, start: float, end: float) -> float:
    inside = (w["t"] >= start) & (w["t"] <= end)
    grid = np.linspace(start, end, 40)
    return float(np.interp(grid, w["t"][inside], w[net][inside]).mean()) if inside.any() else 9.99


def _last_ms(w: Waves, volts: np.ndarray, start: float, end: float) -> float:
    live = w["t"][(w["t"] >= start) & (w["t"] <= end) & (volts > LIVE_V)]
    return float(live[-1] - start) * 1e3 if len(live) else 0.0


def _open_and_drop(w: Waves, n: int, read: Readout, out: Outcome) -> None:
    """Channel n opens and closes: the sentinel's in lid.selftest, the guarded one's whenever the lid moves (lid.health)."""
    start, stop = OPEN[n]
    end = stop + DROP_S - 0.01
    others = [m for m in read.scale if m != n]
    good = w["t"][(w["t"] >= start) & (w["t"] <= stop) & (w[f"SENSE{n}"] * read.scale[n] >= read.good_v[n])]
    opened = _mean(w, f"MIC{n}", stop - 0.05, stop) > 0.77 * read.good_v[n]
    out.opens = out.opens and opened
    held = w[f"SENSE{n}"][(w["t"] > start + ARM_LATE_MS * 1e-3 - 0.05) & (w["t"] < stop)] * read.scale[n]
    if not len(good) or not len(held) or held.min() < read.good_v[n]:
        out.tests.append(f"open{n}")
    if n == 1 and any(read.volts(w, other, start + 0.02, stop) > LIVE_V for other in others):
        out.tests.append("cross")
    seen_ms = _last_ms(w, w[f"SENSE{n}"] * read.scale[n], stop, end)
    if seen_ms > DROP_MAX_MS:
        out.tests.append(f"drop{n}")
    if opened:
        out.drop_ms = max(out.drop_ms, _last_ms(w, w[f"MIC{n}"], stop, end))
        out.seen_ms = seen_ms if n == 1 else out.seen_ms
    still = stop + DROP_MAX_MS * 1e-3
    out.closed_v = max(out.closed_v, _most(w, f"MIC{n}", still, end), *(_most(w, f"MIC{m}", start + 0.01, end) for m in others))


def judge_selftest(w: Waves, read: Readout, out: Outcome) -> None:
    """Fill `out` from the self-test's waveforms."""
    for name, start, end in (("boot", 0.02, 0.04), ("held", *HIGH), ("fast", FAST[0], SLOW[0] - 0.02), ("slow", *SLOW)):
        out.closed_v = max(out.closed_v, *(_most(w, f"MIC{n}", start, end) for n in read.scale))
        if max(read.volts(w, n, start, end) for n in read.scale) > LIVE_V:
            out.tests.append(name)
    out.closed_v = max(out.closed_v, _most(w, "MIC1", CLOCKS[0] + 0.02, CLOCKS[1]))
    if read.volts(w, 1, CLOCKS[0] + 0.02, CLOCKS[1]) > CLAMP_V:
        out.tests.append("clamp")
    for n in read.scale:
        _open_and_drop(w, n, read, out)
    arm, mute = (_mean(w, net, 0.03, 0.04) * SENSE_SCALE for net in ("ARMSENSE", "MUTESENSE"))
    if not arm >= SENSE_HIGH_V > mute:
        out.tests.append("sense")


def judge_mute(w: Waves, read: Readout, out: Outcome) -> None:
    """Fill `out` from the MUTE run: rails after 20 ms, the last moment above 0.3 V, and the read-back at its end."""
    late = MUTE_AT + 0.1
    for n in read.scale:
        out.mute_ms = max(out.mute_ms, _last_ms(w, w[f"MIC{n}"], MUTE_AT, 9.0))
        out.mute_v = max(out.mute_v, _most(w, f"MIC{n}", late, 9.0))
    if read.volts(w, 1, late, 9.0) > CLAMP_V or any(read.volts(w, n, late, 9.0) > LIVE_V for n in read.scale):
        out.tests.append("muted")
    arm, mute = (_mean(w, net, 0.32, 0.36) * SENSE_SCALE for net in ("ARMSENSE", "MUTESENSE"))
    if not mute >= SENSE_HIGH_V > arm or arm > SENSE_LOW_V:
        out.tests.append("msense")


def judge_crashed(w: Waves, read: Readout, out: Outcome) -> None:
    """Nothing may open while the pins float; no test is made then, and the next start reads the rails first of all."""
    out.closed_v = max(out.closed_v, *(_most(w, f"MIC{n}", 0.0, 0.6) for n in read.scale))


def _waves(board: Netlist, corner: Corner, stimulus: Stimulus, wired: tuple[Fault, ...]) -> Waves:
    """What the DevKit's own pins read, and what stands at each microphone's own pins ('MIC1', 'MIC2'), of either sign."""
    pins = microphones(board)
    reads = [*SENSES, *(f"SENSE{n}" for n in pins)]
    w = simulate(board, corner, stimulus, [*(f"A1.{net}" for net in reads), *sum(pins.values(), ())], wired, COARSE)
    w |= {net: w[f"A1.{net}"] for net in reads}
    return w | {f"MIC{n}": np.abs(w[rail] - w[ground]) for n, (rail, ground) in pins.items()}


def inject(board: Netlist, corner: Corner, fault: Fault | None, baseline_ms: float = 0.0) -> Outcome:
    """Both runs of one fault on one board (None: the healthy board); `baseline_ms` its first drop time, 0 when unknown.

    Raises SimulatorError.
    """
    out, read = Outcome(fault.name if fault else "none", corner.name), Readout.of(board)
    stuck = fault is not None and fault.kind.startswith("stuck")
    wired = () if fault is None or stuck else (fault,)
    side = fault.kind[-3:].strip().replace("UTE", "MUTE") if stuck and fault else ""
    test, mute = selftest_stimulus(), mute_stimulus(fault.b if stuck and fault else "", side)
    if stuck and fault and side == "MUTE":
        test.points.update({k: v for k, v in mute.points.items() if k[-2:] in {f"_{p}" for p in fault.b}})
    runs = [(test, judge_selftest), (mute, judge_mute)]
    if fault is not None and fault.kind == "toggle":
        wired = ()
        runs.append((crashed_stimulus(), judge_crashed))
        for stimulus, _judge in runs:
            stimulus.points[f"onto {fault.b}"] = stimuli.toggling(fault.a, stimulus.end_s)
    for stimulus, judge in runs:
        judge(_waves(board, corner, stimulus, wired), read, out)
    usual = DRIFT[0] * baseline_ms - DRIFT_MS <= out.seen_ms <= DRIFT[1] * baseline_ms + DRIFT_MS
    if baseline_ms and "open1" not in out.tests and not usual:
        out.tests.append("drift")
    out.tests = list(dict.fromkeys(out.tests))
    return out


Job = tuple[Fault | None, str, str]  # fault, corner, board


def board_of(name: str) -> Netlist:
    """Of a recipe, or '1ch'."""
    return build(1) if name == "1ch" else build(2, name)


BOARDS = (*RECIPES, "1ch")


@dataclass(frozen=True)
class Bench:
    """A board on which faults are injected one by one."""

    board: Netlist
    corner: Corner
    baseline_ms: float
    also: dict[Fault, list[str]]

    def outcome(self, fault: Fault | None) -> Outcome:
        out = inject(self.board, self.corner, fault, self.baseline_ms)
        out.also = self.also.get(fault, []) if fault else []
        return out


@cache
def bench(corner: str, name: str) -> Bench:
    """Of a corner's and a board's name."""
    board = board_of(name)
    its = {c.name: c for c in [Corner(), *extremes(board)]}[corner]
    return Bench(board, its, inject(board, its, None).seen_ms, opens.open_faults(board))


def outcome(job: Job) -> Outcome:
    """Of one fault, with the healthy board of its corner as the one its drop time is compared with."""
    fault, corner, name = job
    return bench(corner, name).outcome(fault)


def run(jobs: Sequence[Job], workers: int = 2) -> list[Outcome]:
    for key in dict.fromkeys((corner, name) for _fault, corner, name in jobs):
        bench(*key)  # before the fork: once and not once a worker
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(outcome, jobs, chunksize=4))


def jobs(name: str = "digital") -> list[Job]:
    """Healthy boards, then every fault on the nominal board, then those that touch its timing on the board that lets go last.

    Of the other boards only what differs from the reference board, 'digital'.
    """
    board = board_of(name)
    faults = fault_list.all_faults(board) if name == "digital" else fault_list.differ(board, build())
    healthy: list[Job] = [(None, corner, name) for corner in ("nominal", "slow", "quick")]
    slow = [fault for fault in faults if fault_list.moves_timing(board, fault)]
    return [*healthy, *((fault, "nominal", name) for fault in faults), *((fault, "slow", name) for fault in slow)]


HEAD = ["fault", "corner", "effect", "closed_v", "mute_v", "mute_ms", "drop_ms", "tests", "also"]


def as_csv(outcomes: list[Outcome]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEAD)
    for o in outcomes:
        volts = [f"{o.closed_v:.2f}", f"{o.mute_v:.2f}", f"{o.mute_ms:.1f}", f"{o.drop_ms:.0f}"]
        writer.writerow([o.fault, o.corner, o.effect, *volts, " ".join(o.tests), "; ".join(o.also)])
    return out.getvalue()
