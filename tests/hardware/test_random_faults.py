# SPDX-License-Identifier: MIT
"""Faults that nobody listed: twenty a run, drawn anew every time, over parts, values, wires and bridges between any two nets."""

from __future__ import annotations

import os
import random
from concurrent.futures import ProcessPoolExecutor

import pytest

from hardware import faults, fmea, fmea_report
from hardware.netlist import build
from hardware.spice import Fault

COUNT = 20


def broken(job: fmea.Job, out: fmea.Outcome) -> str:
    """Which promise an outcome breaks, in words; '' when both hold or README names the fault."""
    fault, _corner, name = job
    assert fault is not None
    if out.effect in ("live in MUTE", "slow MUTE"):
        named = fault.name in fmea_report.BEATS_MUTE or faults.is_stray_supply(fmea.board_of(name), fault)
        return "" if named else f"{out.mute_v:.2f} V in MUTE, {out.mute_ms:.0f} ms"
    unseen = out.closed_v > fmea.LIVE_V and not set(out.tests) - fmea_report.IN_MUTE_ONLY
    return f"{out.closed_v:.2f} V while closed, noticed by nothing" if unseen else ""


@pytest.mark.soak
def test_random_faults_keep_mute_and_are_noticed() -> None:
    """EARLID_SEED repeats a run."""
    seed = int(os.environ.get("EARLID_SEED") or random.SystemRandom().randrange(2**32))
    rng = random.Random(seed)
    boards = {name: fmea.board_of(name) for name in fmea.BOARDS}
    jobs: list[fmea.Job] = []
    for _ in range(COUNT):
        name = rng.choice(list(boards))
        jobs.append((faults.draw(boards[name], rng), rng.choice(("nominal", "slow")), name))
    with ProcessPoolExecutor(2) as pool:
        outcomes = list(pool.map(fmea.outcome, jobs))
    failures = {f"{out.fault} on {job[2]}, {out.corner}": broken(job, out) for job, out in zip(jobs, outcomes, strict=True)}
    assert not any(failures.values()), f"EARLID_SEED={seed}: " + "; ".join(f"{k}: {v}" for k, v in failures.items() if v)


def test_a_drawn_fault_can_be_of_every_kind() -> None:
    board, rng = build(), random.Random(1)
    assert {faults.draw(board, rng).kind for _ in range(100)} == {"open", "wire", "short", "bridge", "scale"}


STRAY = [
    (Fault("bridge", "RAIL1", "V3V3"), True),
    (Fault("bridge", "KCLAMP2", "VARM"), True),
    (Fault("bridge", "RAIL1", "VCOIL"), False),  # dead in MUTE
    (Fault("bridge", "MSCK", "V3V3"), False),  # R26 and the clamps stand this
    (Fault("bridge", "PUMP1", "RAIL1"), False),  # as they stand a pin
    (Fault("open", "MIC1", "VDD"), False),
]


@pytest.mark.parametrize(("fault", "stray"), STRAY)
def test_a_stray_supply_is_told_by_its_nets(fault: Fault, stray: bool) -> None:
    assert faults.is_stray_supply(build(), fault) == stray


@pytest.mark.parametrize(("fault", "stray"), [pair for pair in STRAY if pair[0].kind == "bridge"])
def test_only_stray_supplies_beat_mute(fault: Fault, stray: bool) -> None:
    assert (fmea.outcome((fault, "nominal", "digital")).effect == "live in MUTE") == stray
