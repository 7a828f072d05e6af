# SPDX-License-Identifier: MIT
"""The dead-man's upper limit, and the supply from the USB port on."""

from __future__ import annotations

import random
import shutil

import numpy as np
import pytest

from hardware import events, stimuli
from hardware.corners import LIMITS, Corner
from hardware.netlist import build
from hardware.parts import Netlist
from hardware.spice import Fault, Stimulus, simulate

pytestmark = pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not installed: apt install ngspice")


@pytest.fixture(scope="module")
def slow() -> Corner:
    """The board that holds longest."""
    return events.corner_of("slow", build(2))


@pytest.mark.parametrize("hz", [1e3, 16e3, 2e6])
def test_a_fast_pin_does_not_fill_the_rate_tank(slow: Corner, hz: float) -> None:
    assert events.fast_toggle(slow, hz) < events.VETO


def test_text_bit_by_bit_does_not_fill_the_rate_tank(slow: Corner) -> None:
    assert events.text_bit_by_bit(slow) < events.VETO


@pytest.mark.parametrize("key", ["sck", "sd", "tx300", "status", "ask", "buzz"])
def test_a_toggling_line_on_a_pump_pin_does_not_fill_the_rate_tank(slow: Corner, key: str) -> None:
    assert events.pattern_peak(slow, key) < events.VETO


@pytest.mark.parametrize("lost", [(), (Fault("open", "C108", "1"),)])
def test_a_kilohertz_closes_the_relay_only_without_c108(lost: tuple[Fault, ...]) -> None:
    """What the self-test's 2 kHz rest on, and that the front end alone does not tell."""
    board = build(1).without("lamp", "controls", "sentinel")
    points = stimuli.levels([(0.0, 0.0), *stimuli.square(1e3, 0.01, 0.06)], 2e-5)
    w = simulate(board, Corner(), Stimulus("1 kHz", 0.06, {"pump1": points}), ["RAIL1"], lost)
    assert (w["RAIL1"].max() > 2.0) == bool(lost)


def test_the_bound_is_not_under_what_the_tank_settles_to() -> None:
    """At 500 Hz, where the relay moves: 60 ms from rest against a settled tank."""
    pin = stimuli.levels([(0.0, 0.0), *stimuli.square(500.0, 1e-5, 0.9)], 1e-4)
    w = events.front_end(Corner(), pin, 0.9)
    settled = float(w["RATE1"][w["t"] > 0.8].max() / w["REF"][-1])
    assert settled * 0.98 < events.fast_toggle(Corner(), 500.0) < 2 * settled


def test_means_of_text_move_the_tank_as_its_bits_do(slow: Corner) -> None:
    lines = [stimuli.text(50, random.Random(seed)) for seed in range(3)]
    peaks = []
    for shape in (stimuli.uart_bits, stimuli.uart_means):
        changes = [(0.0, 1.0), *(change for n, line in enumerate(lines) for change in shape(line, 1e-5 + 0.02 * n))]
        w = events.front_end(slow, stimuli.levels(changes, 5e-7), 0.06)
        peaks.append(float(w["RATE1"].max()))
    assert peaks[0] == pytest.approx(peaks[1], rel=0.02)


@pytest.fixture(scope="module")
def board() -> Netlist:
    return build(2)


def test_worst_coils_work_at_the_least_port_voltage(board: Netlist) -> None:
    """With F1 of 4.4 ohms they do not."""
    least = LIMITS["vbus"][0]
    assert events.both_open(board, Corner(), least, held=False)
    dear = events._against(Corner(), least, False).with_env(ptc_ohm=4.4)
    w = simulate(board, dear, Stimulus("old fuse", 0.4, events._open_until(0.4), 2e-3), ["RAIL1"])
    assert w["RAIL1"][w["t"] > 0.3].min() < 0.3


def test_the_5v_pin_stands_behind_cable_and_diode(board: Netlist) -> None:
    env = {"vbus": 4.75, "cable_ohm": LIMITS["cable_ohm"][1], "supply_diode_v": LIMITS["supply_diode_v"][1]}
    w = simulate(board, Corner().with_env(**env), Stimulus("rest", 0.02, {}), ["V5", "V3V3"])
    assert 4.2 < w["V5"][-1] < 4.45
    assert 3.0 < w["V3V3"][-1] < 3.3


def test_an_unplugged_cable_takes_the_rails_with_it(board: Netlist) -> None:
    times = events.supply_loss(board, Corner(), ("v5",))
    assert np.all([float(part.removesuffix(" ms")) < 20 for part in times.split(" / ")])
