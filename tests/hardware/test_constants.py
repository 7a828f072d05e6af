# SPDX-License-Identifier: MIT
"""The firmware's circuit.py is what the netlist and the simulation say."""

from __future__ import annotations

import importlib.util
import re
from types import ModuleType

import pytest

from hardware import constants, fmea, headline, reports
from hardware.headline import Sample
from hardware.netlist import build


@pytest.fixture(scope="module")
def firmware() -> ModuleType:
    spec = importlib.util.spec_from_file_location("circuit_under_test", reports.CIRCUIT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def boards() -> list[Sample]:
    return [s for n in ("samples", "corners") for s in headline.from_csv((reports.MADE / f"{n}.csv").read_text())]


def test_pins_are_the_netlists(firmware: ModuleType) -> None:
    nets = {net: number for number, (net, _role) in build().gpio.items()}
    assert {name: getattr(firmware, name) for name in constants.PINS} == {n: nets[v] for n, v in constants.PINS.items()}
    assert set(constants.PINS.values()) == set(nets)


def test_dividers_are_the_netlists(firmware: ModuleType) -> None:
    assert round(1024 * 147 / 100) == firmware.SENTINEL_SCALE_Q10 == firmware.GUARDED_SCALE_Q10
    assert round(1024 * 250 / 100) == firmware.SENSE_SCALE_Q10


@pytest.mark.parametrize(
    ("recipe", "scale", "open_mv"), [("digital", 1.47, 2950), ("usb", 2.1, 4100), ("electret", 320 / 220, 1790)]
)
def test_every_recipe_has_its_own_guarded_rail(boards: list[Sample], recipe: str, scale: float, open_mv: int) -> None:
    """`open_mv`: the least open rail of made/events.md must count as good."""
    text = constants.text(boards, boards[-3], 2, recipe)
    found = dict(re.findall(r"^(\w+) = const\((\d+)\)", text, re.MULTILINE))
    assert int(found["GUARDED_SCALE_Q10"]) == round(1024 * scale)
    assert int(found["RAIL_LIVE_MV"]) < int(found["GUARDED_GOOD_MV"]) < open_mv


def test_times_leave_every_simulated_board_inside(firmware: ModuleType, boards: list[Sample]) -> None:
    assert round(1e3 * __import__("hardware.stimuli", fromlist=["TOGGLE_S"]).TOGGLE_S) == firmware.TOGGLE_MS
    assert round(headline.PAUSE_S * 1e3) == firmware.TOLERATED_PAUSE_MS
    assert max(b.drop_ms for b in boards) < firmware.DROP_LATE_MS < firmware.DROP_MAX_MS
    assert min(b.drop_ms for b in boards) > firmware.DROP_EARLY_MS
    assert max(b.arm_ms for b in boards) < firmware.ARM_MAX_MS
    assert firmware.RAIL_LIVE_MV < firmware.RAIL_GOOD_MV < 1e3 * min(b.rail_v for b in boards)
    assert max(b.mute1_ms for b in boards) < firmware.MUTE_MAX_MS
    assert max(b.mute2_ms for b in boards) < firmware.MUTE_MAX_MS


def test_self_test_thresholds_are_the_failure_analysis_ones(firmware: ModuleType) -> None:
    assert round(fmea.LIVE_V * 1e3) == firmware.RAIL_LIVE_MV
    assert round(fmea.SENSE_HIGH_V * 1e3) == firmware.SENSE_HIGH_MV
    assert round(fmea.SENSE_LOW_V * 1e3) == firmware.SENSE_LOW_MV
    assert round(fmea.CLAMP_V * 1e3) == firmware.RAIL_CLAMP_MV


def test_constants_are_refused_when_a_board_lies_outside(boards: list[Sample]) -> None:
    from dataclasses import replace

    bad = replace(boards[0], drop_ms=240.0)
    with pytest.raises(ValueError, match="DROP_LATE_MS"):
        constants.text([*boards, bad], boards[-3])
