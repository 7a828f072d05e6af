# SPDX-License-Identifier: MIT
"""Every rule passes on the boards as they are, and fires on a board with exactly that mistake."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hardware import erc
from hardware.netlist import build
from hardware.parts import Netlist, si

BOARDS = [(2, "digital"), (2, "usb"), (2, "electret"), (1, "digital")]


@pytest.mark.parametrize(("channels", "recipe"), BOARDS)
def test_boards_pass_every_rule(channels: int, recipe: str) -> None:
    assert erc.check(build(channels, recipe)) == []


def rewire(board: Netlist, ref: str, pin: str, net: str) -> Netlist:
    board.parts = [replace(p, pins={**p.pins, pin: net}) if p.ref == ref else p for p in board.parts]
    return board


def without(board: Netlist, ref: str) -> Netlist:
    board.parts = [p for p in board.parts if p.ref != ref]
    return board


def valued(board: Netlist, ref: str, value: str) -> Netlist:
    board.parts = [replace(p, value=value, value_si=si(value)) if p.ref == ref else p for p in board.parts]
    return board


def plus(ref: str, kind: str, value: str, *nets: str) -> Netlist:
    board = build()
    board.add(ref, kind, value, list(nets), "test")
    return board


def on_gpio(number: int, net: str, role: str) -> Netlist:
    board = build()
    board.gpio = {n: v for n, v in board.gpio.items() if v[0] != net}
    board.gpio[number] = (net, role)
    return board


MISTAKES = [
    ("connected", lambda: rewire(build(), "R104", "1", "NOWHERE"), "NOWHERE"),
    ("connected", lambda: rewire(build(), "MIC1", "LR", ""), "MIC1 pin LR"),
    ("gpio_roles", lambda: on_gpio(12, "PUMP1", "pump"), "strapping"),
    ("gpio_roles", lambda: on_gpio(34, "PUMP1", "pump"), "input-only"),
    ("gpio_roles", lambda: on_gpio(8, "BUZZ", "lamp"), "flash"),
    ("gpio_roles", lambda: on_gpio(27, "SENSE1", "adc"), "ADC1"),
    ("senses_cannot_drive", lambda: on_gpio(32, "SENSE1", "adc"), "could drive"),
    ("coil_supply", lambda: plus("C99", "C", "100n", "VCOIL", "GND"), "no capacitor"),
    ("coil_supply", lambda: plus("R99", "R", "47R", "VCOIL", "V5"), "around the switch"),
    ("rails_break_twice", lambda: plus("R99", "R", "100R", "RAIL1", "V3V3"), "around the released contact"),
    ("rails_break_twice", lambda: plus("R99", "R", "10R", "FEED1", "RAIL1"), "around the thrown switch"),
    ("rails_break_twice", lambda: plus("D99", "D", "1N4148", "SCK", "RAIL1"), "from SCK"),
    ("rails_are_held_down", lambda: without(build(), "R114"), "no bleeder"),
    ("rails_are_held_down", lambda: without(build(), "R212"), "1 of two clamps"),
    ("clocks_are_held", lambda: without(build(), "D22"), "MWS has no diode"),
    ("gate_has_one_source", lambda: plus("R99", "R", "100k", "GATE1", "V3V3"), "R99 joins GATE1"),
    ("gate_has_one_source", lambda: plus("R99", "R", "1M", "POWER1", "V3V3"), "feeds the power tank"),
    ("pump_is_ac_coupled", lambda: plus("R99", "R", "1M", "DRIVE1", "RATEA1"), "direct path"),
    ("pump_is_ac_coupled", lambda: without(build(), "R101"), "no pull-down"),
    ("coils_have_flyback", lambda: without(build(), "D206"), "K2"),
    ("power_ratings", lambda: plus("R99", "R", "22R", "RAIL1", "SENSE1"), "R99"),
    ("adc_tells_every_threshold", lambda: valued(build(2, "usb"), "R215", "120k"), "RAIL_LIVE_MV of RAIL2 is 1.26 times"),
    ("adc_tells_every_threshold", lambda: valued(build(), "R116", "68k"), "RAIL_CLAMP_MV of RAIL1 is"),
    ("adc_tells_every_threshold", lambda: valued(build(), "R115", "10k"), "RAIL_GOOD_MV of RAIL1 is 208 mV too near to the top"),
]


@pytest.mark.parametrize(("rule", "make", "words"), MISTAKES)
def test_rule_fires(rule: str, make, words: str) -> None:
    findings = [line for line in erc.check(make()) if line.startswith(rule + ":")]
    assert any(words in line for line in findings), findings


def test_values_are_read_as_engineers_write_them() -> None:
    assert [si(v) for v in ("4k7", "3R3", "68n", "1u", "2M2", "470R")] == [4700.0, 3.3, 6.8e-8, 1e-6, 2.2e6, 470.0]
    with pytest.raises(ValueError, match="write 4k7"):
        si("4700")
