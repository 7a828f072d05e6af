# SPDX-License-Identifier: MIT
"""The production test's jig fits its board: it switches as the mute switch does, and its rule fires on each mistake."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hardware.jig import check, jig, main, resistor_for
from hardware.parts import Netlist, Part

BOARDS = [(2, "digital"), (2, "usb"), (2, "electret"), (1, "digital")]


@pytest.mark.parametrize(("channels", "recipe"), BOARDS)
def test_jig_switches_as_the_boards_mute_switch(channels: int, recipe: str) -> None:
    assert list(check(jig(channels, recipe))) == []


def rewire(ref: str, pin: str, net: str) -> Netlist:
    made = jig()
    made.parts = [replace(p, pins={**p.pins, pin: net}) if p.ref == ref else p for p in made.parts]
    return made


def plus(value_si: float, *nets: str) -> Netlist:
    made = jig()
    made.parts.append(Part("JR99", "R", "R", {"1": nets[0], "2": nets[1]}, "jig", value_si))
    return made


@pytest.mark.parametrize(
    ("made", "finding"),
    [
        (rewire("JK1", "NO2", "SCLAMP1"), "its relays switch"),
        (rewire("TP3", "1", "AMUTED"), "which earlid-2ch-digital has not"),
        (rewire("TP3", "1", "GND"), "JK1 is on the board's AMUTE without a pogo pin"),
        (plus(1000.0, "J5V", "RAIL1"), "JR99 joins a microphone's rail"),
        (plus(10.0, "RAIL1", "GND"), "JR99 burns"),
        (rewire("JR1", "2", "NOWHERE"), "net NOWHERE ends at"),
    ],
)
def test_jig_rule_fires_on_its_mistake(made: Netlist, finding: str) -> None:
    assert any(finding in one for one in check(made)), list(check(made))


def test_jig_rests_in_mute_when_its_adapter_is_gone() -> None:
    """The coils hang behind transistors whose gates are pulled to their sources."""
    for transistor in (part.pins for part in jig().parts if part.kind == "PMOS"):
        pulls = [part.pins for part in jig().parts if part.kind == "R" and transistor["G"] in part.nets]
        assert [set(pull.values()) for pull in pulls] == [{transistor["S"], transistor["G"]}]


def test_dummy_load_is_the_nearest_value_of_its_row() -> None:
    assert [resistor_for(ohm) for ohm in (10, 660, 1320, 8333, 96)] == ["10R", "680R", "1k3", "8k2", "100R"]


def test_jig_prints_its_nets_and_parts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["electret"]) == 0
    assert "JK2.COM1" in capsys.readouterr().out
    assert main(["tin can"]) == 2
