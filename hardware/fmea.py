"""Failure modes by injection: the firmware's self-tests played on a faulty board, then MUTE thrown while it is open.

What a test can see is what an ESP32 can read: a pin voltage below ADC_FLOOR_V counts as zero.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from hardware import faults as fault_list
from hardware import scenes
from hardware.corners import Corner, extremes
from hardware.netlist import build
from hardware.parts import Board
from hardware.spice import COARSE, Fault, Scene, simulate

LIVE_V = 0.3
ADC_FLOOR_V = 0.15
SCALE = 1.47  # both rail dividers
GOOD_V = 2.6  # 33 ohms, 10 mA and an ADC that may be 5 % off
ARM_EARLY_MS, ARM_LATE_MS = 40.0, 200.0
DROP_EARLY_MS, DROP_LATE_MS = 60.0, 200.0
SENSE_HIGH_V, SENSE_LOW_V = 3.0, 1.0  # at the throw, before the 100k / 150k divider
SENSE_SCALE = 1.0 / 0.6
SAVE = ["RAIL1", "RAIL2", "SENSE1", "SENSE2", "ARMSENSE", "MUTESENSE"]

# the self-test's calendar, in seconds
HIGH = (0.04, 0.24)
SLOW = (0.26, 0.66)
CLOCKS = (0.68, 0.72)
OPEN = {1: (0.74, 0.94), 2: (1.20, 1.41)}  # first and last edge
DROP_S = 0.26
MUTE_AT = 0.20


@dataclass
class Outcome:
    """One fault on one board. `closed_v`: highest rail while asked to be closed; `tests`: the self-tests that fail."""

    fault: str
    corner: str
    closed_v: float = 0.0
    mute_v: float = 0.0
    mute_ms: float = 0.0
    drop_ms: float = 0.0
    opens: bool = True
    tests: list[str] = field(default_factory=list)

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


def selftest_scene() -> Scene:
    """Idle, both pins high, 10 Hz on both, clocks high, open and drop channel 1 (ends high), then channel 2 (ends low)."""
    both = [(HIGH[0], 1.0), (HIGH[1], 0.0)] + scenes.edges(*SLOW, gap_s=0.05)[0]
    points = {}
    for n in (1, 2):
        start, stop = OPEN[n]
        own, _, level = scenes.edges(start, stop + 0.001)
        assert level == (1.0 if n == 1 else 0.0), "channel 1 ends high, channel 2 low"
        points[f"pump{n}"] = scenes.join(both, own)
    for clock in ("sck", "ws"):
        points[clock] = scenes.levels([(0.0, 0.0), (CLOCKS[0], 1.0), (CLOCKS[1], 0.0)])
    return Scene("self-test", OPEN[2][1] + DROP_S, points, 4e-3)


def mute_scene(stuck: str, side: str) -> Scene:
    """Open, clocks high, MUTE thrown at MUTE_AT, pumps toggling on; poles in `stuck` stay where `side` says."""
    changes, _, _ = scenes.edges(0.01, 0.4)
    points = {f"pump{n}": scenes.join(changes) for n in (1, 2)}
    points |= scenes.throw(MUTE_AT, 2.0, 2.0, 1)
    for pole in stuck:
        points[f"arm_{pole}"] = [(0.0, 1.0 if side == "ARM" else 0.0)]
        points[f"mute_{pole}"] = [(0.0, 0.0 if side == "ARM" else 1.0)]
    points |= {clock: scenes.levels([(0.0, 0.0), (MUTE_AT - 0.02, 1.0)]) for clock in ("sck", "ws")}
    return Scene("mute", 0.36, points)


def _most(w: dict[str, np.ndarray], net: str, start: float, end: float) -> float:
    part = w[net][(w["t"] >= start) & (w["t"] <= end)]
    return float(part.max()) if len(part) else 9.99


def _mean(w: dict[str, np.ndarray], net: str, start: float, end: float) -> float:
    inside = (w["t"] >= start) & (w["t"] <= end)
    grid = np.linspace(start, end, 40)
    return float(np.interp(grid, w["t"][inside], w[net][inside]).mean()) if inside.any() else 9.99


def _read(w: dict[str, np.ndarray], n: int, start: float, end: float) -> float:
    """What the firmware reads as rail n's highest voltage, at the source."""
    pin = _most(w, f"SENSE{n}", start, end)
    return pin * SCALE if pin > ADC_FLOOR_V else 0.0


def _rail_tests(w: dict[str, np.ndarray], n: int, out: Outcome) -> None:
    other = 3 - n
    start, stop = OPEN[n]
    live = w["t"][(w["t"] >= start) & (w["t"] <= stop) & (w[f"SENSE{n}"] * SCALE > LIVE_V)]
    arm_ms = float(live[0] - start) * 1e3 if len(live) else 1e9
    opened = _mean(w, f"RAIL{n}", stop - 0.05, stop) > 2.0
    out.opens = out.opens and opened
    held = w[f"SENSE{n}"][(w["t"] > start + 0.15) & (w["t"] < stop)]
    if arm_ms > ARM_LATE_MS or not len(held) or held.min() * SCALE < GOOD_V:
        out.tests.append(f"arm{n}")
    elif arm_ms < ARM_EARLY_MS:
        out.tests.append(f"early{n}")
    if _read(w, other, start + 0.02, stop) > LIVE_V:
        out.tests.append(f"cross{n}")
    end = stop + DROP_S - 0.01
    last = w["t"][(w["t"] >= stop) & (w["t"] <= end) & (w[f"RAIL{n}"] > LIVE_V)]
    drop_ms = float(last[-1] - stop) * 1e3 if len(last) else 0.0
    if opened:
        out.drop_ms = max(out.drop_ms, drop_ms)
        seen = w["t"][(w["t"] >= stop) & (w["t"] <= end) & (w[f"SENSE{n}"] * SCALE > LIVE_V)]
        seen_ms = float(seen[-1] - stop) * 1e3 if len(seen) else 0.0
        if not DROP_EARLY_MS <= seen_ms <= DROP_LATE_MS:
            out.tests.append(f"drop{n}")
    out.closed_v = max(out.closed_v, _most(w, f"RAIL{n}", stop + 0.245, end), _most(w, f"RAIL{other}", start + 0.01, end))


def judge_selftest(w: dict[str, np.ndarray], out: Outcome) -> None:
    """Fill `out` from the self-test's waveforms."""
    for name, start, end in (("boot", 0.02, 0.04), ("held", *HIGH), ("slow", *SLOW)):
        out.closed_v = max(out.closed_v, *(_most(w, f"RAIL{n}", start, end) for n in (1, 2)))
        if max(_read(w, n, start, end) for n in (1, 2)) > LIVE_V:
            out.tests.append(name)
    for n in (1, 2):
        if _read(w, n, CLOCKS[0] + 0.02, CLOCKS[1]) > ADC_FLOOR_V * SCALE:
            out.tests.append("clamp")
        _rail_tests(w, n, out)
    arm, mute = (_mean(w, net, 0.03, 0.04) * SENSE_SCALE for net in ("ARMSENSE", "MUTESENSE"))
    if arm < SENSE_HIGH_V or mute > SENSE_LOW_V:
        out.tests.append("sense")


def judge_mute(w: dict[str, np.ndarray], out: Outcome) -> None:
    """Fill `out` from the MUTE run: rails after 20 ms, the last moment above 0.3 V, and the read-back at its end."""
    for n in (1, 2):
        last = w["t"][(w["t"] >= MUTE_AT) & (w[f"RAIL{n}"] > LIVE_V)]
        out.mute_ms = max(out.mute_ms, float(last[-1] - MUTE_AT) * 1e3 if len(last) else 0.0)
        out.mute_v = max(out.mute_v, _most(w, f"RAIL{n}", MUTE_AT + 0.1, 9.0))
        if _read(w, n, MUTE_AT + 0.1, 9.0) > ADC_FLOOR_V * SCALE:
            out.tests.append("muted")
    arm, mute = (_mean(w, net, 0.32, 0.36) * SENSE_SCALE for net in ("ARMSENSE", "MUTESENSE"))
    if arm > SENSE_LOW_V or mute < SENSE_HIGH_V:
        out.tests.append("msense")


def inject(board: Board, corner: Corner, fault: Fault | None) -> Outcome:
    """Both runs of one fault on one board (None: the healthy board). Raises SimulatorError."""
    out = Outcome(fault.name if fault else "none", corner.name)
    stuck = fault is not None and fault.kind.startswith("stuck")
    wired = () if fault is None or stuck else (fault,)
    side = fault.kind[-3:].strip().replace("UTE", "MUTE") if stuck and fault else ""
    test, mute = selftest_scene(), mute_scene(fault.b if stuck and fault else "", side)
    if stuck and fault and side == "MUTE":
        test.points.update({k: v for k, v in mute.points.items() if k[-2:] in {f"_{p}" for p in fault.b}})
    for scene, judge in ((test, judge_selftest), (mute, judge_mute)):
        judge(simulate(board, corner, scene, SAVE, wired, COARSE), out)
    out.tests = list(dict.fromkeys(out.tests))
    return out


def _job(job: tuple[Fault | None, str]) -> Outcome:
    board = build()
    corner = {c.name: c for c in [Corner(), *extremes(board)]}[job[1]]
    return inject(board, corner, job[0])


def run(jobs: Sequence[tuple[Fault | None, str]], workers: int = 2) -> list[Outcome]:
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(_job, jobs, chunksize=2))


def jobs(board: Board) -> list[tuple[Fault | None, str]]:
    """Every fault on the nominal board; opens, shorts and bridges also on the board that lets go last.

    Channel 2 has channel 1's parts and values, so its faults are injected on the nominal board only. Healthy boards first.
    """
    found: list[tuple[Fault | None, str]] = [(None, name) for name in ("nominal", "slow", "quick")]
    for fault in fault_list.all_faults(board):
        own = fault_list.channel(board, fault)
        names = ("nominal",) if own == 2 or fault.kind == "scale" else ("nominal", "slow")
        found += [(fault, name) for name in names]
    return found


HEAD = ["fault", "corner", "effect", "closed_v", "mute_v", "mute_ms", "drop_ms", "tests"]


def as_csv(outcomes: list[Outcome]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEAD)
    for o in outcomes:
        writer.writerow(
            [
                o.fault,
                o.corner,
                o.effect,
                f"{o.closed_v:.2f}",
                f"{o.mute_v:.2f}",
                f"{o.mute_ms:.1f}",
                f"{o.drop_ms:.0f}",
                " ".join(o.tests),
            ]
        )
    return out.getvalue()
