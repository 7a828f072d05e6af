# SPDX-License-Identifier: MIT
"""The virtual board's copper agrees with the simulated nominal board within 10 %."""

from __future__ import annotations

import re

import pytest
from earlid.virtual.circuit import REFERENCE, Circuit, Constants
from earlid.virtual.figures import GUARDED_FED_MV, Figures, load_figures

from hardware import headline, reports
from hardware.headline import Sample

MS = 1000


@pytest.fixture(scope="module")
def nominal() -> Sample:
    return headline.from_csv((reports.MADE / "corners.csv").read_text())[0]


def run(
    edges_ms: list[int], until_ms: int, throw_ms: int = 0, figures: Figures = REFERENCE
) -> tuple[Circuit, dict[tuple[str, object], float]]:
    """Edges on both pins at these times; the first time (ms) of every change, by (what, value)."""
    seen: dict[tuple[str, object], float] = {}
    circuit = Circuit(Constants(), lambda at, what, value: seen.setdefault((what, value), at / MS), figures)
    circuit.power(0, True)
    seen.clear()
    level = 0
    for at in edges_ms:
        if throw_ms and at >= throw_ms:
            break
        circuit.advance(at * MS)
        level ^= 1
        for channel in circuit.channels:
            circuit.drive(at * MS, channel, level)
    if throw_ms:
        circuit.advance(throw_ms * MS)
        circuit.throw(throw_ms * MS, True)
    circuit.advance(until_ms * MS)
    return circuit, seen


@pytest.mark.parametrize("rail", ["sentinel_rail", "guarded_rail"])
def test_arms_and_drops_like_the_simulation(nominal: Sample, rail: str) -> None:
    edges = [*range(0, 990, 10)]  # the 99th edge rises: stuck high, as in the nominal row
    _, seen = run(edges, 2000)
    assert seen[rail, True] == pytest.approx(nominal.arm_ms, rel=0.1)
    assert seen[rail, False] - edges[-1] == pytest.approx(nominal.drop_ms, rel=0.1)


def test_rails_stand_where_the_simulation_has_them(nominal: Sample) -> None:
    circuit, _ = run([*range(0, 500, 10)], 500)
    assert circuit.guarded.rail.input_mv(500 * MS) == pytest.approx(1e3 * nominal.rail_v, rel=0.1)


def test_ten_hertz_does_not_hold_and_reaches_as_high_as_simulated(nominal: Sample) -> None:
    edges = [*range(0, 400, 10), *range(440, 2000, 50)]
    circuit, seen = run(edges, 1990)
    assert ("sentinel_rail", False) in seen
    assert not circuit.sentinel.armature
    c = circuit.constants
    circuit, _ = run([*range(0, 2000, 50)], 1960)
    peak = max(circuit.sentinel.pump_at(at * MS) for at in range(1900, 1961))
    assert peak / c.gate_on_mv == pytest.approx(nominal.slow_peak / 1.045, rel=0.1)  # R107 takes 4.5 % at the comparator


def test_kilohertz_hold_nothing_unless_the_drives_capacitor_is_open() -> None:
    """As in events.py; without C108 the relay closes within 15 ms there."""
    for hz in (1000, 2000):
        for bare in (False, True):
            circuit = Circuit(Constants(), lambda at, what, value: None)
            circuit.power(0, True)
            circuit.sentinel.bare_drive = bare
            for edge in range(hz // 5):
                at_us = edge * 500_000 // hz
                circuit.advance(at_us)
                circuit.drive(at_us, circuit.sentinel, (edge + 1) & 1)
            assert circuit.sentinel.armature == bare, (hz, bare)


def test_mute_takes_as_long_as_simulated(nominal: Sample) -> None:
    _, seen = run([*range(0, 400, 10)], 500, throw_ms=400)
    assert seen["guarded_rail", False] - 400 == pytest.approx(nominal.mute2_ms, rel=0.1)


@pytest.mark.parametrize("recipe", sorted(GUARDED_FED_MV))
def test_guarded_rails_of_the_other_recipes_stand_where_the_simulation_has_them(recipe: str) -> None:
    row = re.search(rf"^\| {recipe} \| nominal \| ([\d.]+) \|", (reports.MADE / "events.md").read_text(), re.MULTILINE)
    assert row
    circuit, _ = run([*range(0, 500, 10)], 500, figures=load_figures(recipe))
    assert circuit.guarded.rail.input_mv(500 * MS) == pytest.approx(1e3 * float(row[1]), rel=0.1)
