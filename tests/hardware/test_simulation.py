# SPDX-License-Identifier: MIT
"""The quick subset: ngspice on a few boards and faults must still give what the committed reports say."""

from __future__ import annotations

import shutil
from dataclasses import astuple, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from hardware import events, fmea, fmea_report, headline, reports, stimuli
from hardware.corners import LIMITS, Corner, draw, extremes
from hardware.faults import bridges
from hardware.netlist import build
from hardware.opens import open_faults
from hardware.spice import COARSE, Fault, SimulatorError, Stimulus, microphones, simulate

pytestmark = pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not installed: apt install ngspice")


@cache
def committed(name: str) -> list[headline.Sample]:
    return headline.from_csv((reports.MADE / f"{name}.csv").read_text())


def same(now: headline.Sample, then: headline.Sample) -> None:
    for a, b in zip(astuple(now)[1:], astuple(then)[1:], strict=True):
        assert a == pytest.approx(b, rel=0.03, abs=0.02), (now, then)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_named_boards_give_the_committed_figures(number: int) -> None:
    one, two = headline.boards()
    same(headline.measure(one, two, [Corner(), *extremes(build(2))][number], 0), committed("corners")[number])


def test_a_sample_gives_the_committed_figures() -> None:
    same(headline.one_sample(7), committed("samples")[7])


def test_every_target_holds_on_every_committed_board() -> None:
    samples = committed("samples")
    assert len(samples) >= 500
    table = headline.targets(samples + committed("corners"), committed("corners")[0])
    assert [target for target in table if not target.holds] == []


def test_samples_stay_inside_the_limits() -> None:
    board = build()
    for seed in range(50):
        corner = draw(board, seed)
        for name, (low, high) in LIMITS.items():
            assert low <= corner.env[name] <= high
        for ref, scale in corner.scale.items():
            part = board.part(ref)
            assert abs(scale - 1) <= (1 + part.tolerance) * 1.021 - 1, ref


SHOTS = [
    (None, "works", ""),
    (Fault("weld", "K1"), "live while closed", "boot"),
    (Fault("short", "Q101", "S", "D"), "live while closed", "boot"),
    (Fault("open", "R104", "1"), "live while closed", "slow"),
    (Fault("open", "C108", "1"), "live while closed", "fast"),
    (Fault("bridge", "RAIL1", "VCOIL"), "live while closed", "boot"),
    (Fault("open", "R105", "1"), "works, noticed", "open1"),
    (Fault("stuck in ARM", "SW1 pole A", "a"), "works, noticed", "msense"),
    (Fault("stuck in ARM", "SW1 all poles", "abc"), "live in MUTE", "muted"),
]


@pytest.mark.parametrize(("fault", "effect", "test"), SHOTS)
def test_fault_has_its_effect_and_is_noticed(fault: Fault | None, effect: str, test: str) -> None:
    out = fmea.inject(build(), Corner(), fault)
    assert out.effect == effect, out
    assert test in out.tests if test else out.tests == []


def test_a_clamp_bridged_to_a_supply_would_be_live_in_mute() -> None:
    """Why the layout keeps supplies away from the clamps: this bridge defeats the switch."""
    out = fmea.inject(build(), Corner(), Fault("bridge", "KCLAMP1", "V3V3"))
    assert out.effect == "live in MUTE"
    assert not any({"KCLAMP1", "SCLAMP1", "KCLAMP2", "SCLAMP2"} & {f.a, f.b} and "V3V3" in (f.a, f.b) for f in bridges(build()))


def injected(name: str) -> list[fmea_report.Line]:
    return fmea_report.read((reports.MADE / f"fmea-{name}.csv").read_text())


@pytest.mark.parametrize("name", fmea.BOARDS)
def test_goals_of_the_failure_analysis_hold_in_the_committed_table(name: str) -> None:
    lines = injected(name)
    jobs = {(f.name if f else "none", corner) for f, corner, _name in fmea.jobs(name)}
    assert {(x.fault, x.corner) for x in lines} == jobs
    assert {x.fault for x in fmea_report.live_in_mute(lines)} <= set(fmea_report.BEATS_MUTE)
    assert {x.fault for x in fmea_report.undetected_live(lines)} <= fmea_report.UNNOTICED


def first_paragraph(path: Path) -> str:
    return " ".join(path.read_text().split("\n\n")[1].split())


def test_readme_names_every_fault_that_beats_mute() -> None:
    said = first_paragraph(reports.ROOT.parent / "README.md")
    for name in fmea.BOARDS:
        for fault in {x.fault for x in fmea_report.live_in_mute(injected(name))}:
            assert fmea_report.BEATS_MUTE[fault] in said, fault
    assert "a stray wire or whisker from a supply straight to a microphone or to one of its clamps" in said


def test_readme_counts_the_injections() -> None:
    total = sum(len(injected(name)) for name in fmea.BOARDS)
    assert f"with {total:,} fault injections" in (reports.ROOT.parent / "README.md").read_text()


@pytest.mark.parametrize(
    ("name", "ref", "pin", "early_v", "late_s", "late_v"),
    [("digital", "MIC1", "VDD", 0.5, 0.2, 0.3), ("digital", "MIC1", "GND", 0.5, 0.2, 0.3), ("usb", "J2", "2", 0.8, 1.0, 0.4)],
)
def test_a_microphone_with_an_open_supply_joint_keeps_only_its_own_charge(
    name: str, ref: str, pin: str, early_v: float, late_s: float, late_v: float
) -> None:
    board = fmea.board_of(name)
    stimulus = replace(fmea.mute_stimulus("", ""), end_s=fmea.MUTE_AT + late_s)
    rail, ground = microphones(board)[1 if ref == "MIC1" else 2]
    w = simulate(board, Corner(), stimulus, [rail, ground], (Fault("open", ref, pin),), COARSE)
    early, late = np.interp([fmea.MUTE_AT + 0.02, stimulus.end_s], w["t"], np.abs(w[rail] - w[ground]))
    assert fmea.LIVE_V < early < early_v
    assert late < late_v


def test_clocks_would_feed_a_microphone_whose_supply_wire_is_open() -> None:
    """Why there are D21, D22 and R26."""
    board = build()
    board.parts = [part for part in board.parts if part.ref not in ("D21", "D22")]
    assert fmea.inject(board, Corner(), Fault("open", "MIC1", "VDD")).mute_v > 1.0


def test_one_open_wire_would_cut_both_clamps_off_a_tree() -> None:
    """Why ground is a closed loop: the second wire to them in the layout is the only difference."""
    clamps = (("R111", "2"), ("R112", "2"))
    assert fmea.inject(build(), Corner(), Fault("wire", "GND", "x", pins=clamps)).mute_v > 1.0
    assert not any(set(clamps) <= set(fault.pins) for fault in open_faults(build()))


@pytest.mark.parametrize("name", fmea.BOARDS)
def test_healthy_boards_pass_their_self_tests(name: str) -> None:
    healthy = [x for x in injected(name) if x.fault == "none"]
    assert [x.corner for x in healthy] == ["nominal", "slow", "quick"]
    assert all(x.effect == "works" and not x.tests for x in healthy)


def test_the_page_counts_what_breaks_a_goal_and_names_it() -> None:
    lines = [line for line in injected("digital") if line.fault == "none"]
    bad = replace(lines[0], fault="R111 1 open", closed_v=2.0, mute_v=1.0, tests="muted")
    text = "\n".join(fmea_report.goals([*lines, bad], build()))
    assert "in MUTE, or take over 20 ms: **1** (R111 1 open)" in text
    assert "next boot or closing: **1** (R111 1 open)" in text


def test_a_drifted_drop_time_is_noticed_against_the_boards_own() -> None:
    out = fmea.inject(build(), Corner(), Fault("open", "U1", "OUT1"), baseline_ms=142.0)
    assert "drift" in out.tests


def test_contacts_that_bounce_open_late_and_drop_no_later() -> None:
    opens, drop = events.bouncing(build(1), Corner()).split(" / ")
    first, _, steady = opens.removesuffix(" ms").partition(" to ")
    assert 1 <= int(steady) - int(first) <= 10
    assert int(drop.removesuffix(" ms")) < 250


def test_quick_edges_at_power_up_open_nothing() -> None:
    assert float(events.power_up(build(), Corner(), "three").split()[0]) < 0.05


@pytest.mark.parametrize(("clocks", "muted"), [("driven high", False), ("running", False), ("driven high", True)])
def test_clocks_do_not_feed_a_closed_microphone(clocks: str, muted: bool) -> None:
    assert events.back_feed(build(), Corner(), clocks, muted) < 0.05


def test_one_pump_alone_does_not_hold_the_other_channel() -> None:
    changes, _, _ = stimuli.edges(0.02, 0.3)
    w = simulate(build(), Corner(), Stimulus("one", 0.3, {"pump1": stimuli.join(changes)}), ["RAIL1", "RAIL2"])
    assert np.interp(0.28, w["t"], w["RAIL1"]) > 2.8
    assert w["RAIL2"].max() < 0.05


def test_a_deck_that_cannot_run_says_so() -> None:
    with pytest.raises(SimulatorError, match="stopped at"):
        simulate(build(1), Corner(), Stimulus("broken", 0.01, {"v5": [(0.0, float("nan"))]}), ["RAIL1"])
