# SPDX-License-Identifier: MIT
"""Every part has a body whose pads exist in KiCad's own footprints, with the pin numbers of KiCad's own symbols."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from hardware import footprints
from hardware.netlist import build
from hardware.parts import PINS

BOARDS = [(2, "digital"), (2, "usb"), (2, "electret"), (1, "digital")]
SHARE = Path("/usr/share/kicad")
PARTS = {footprints.of(part).footprint: part for board in BOARDS for part in build(*board).parts}
with_footprints = pytest.mark.skipif(not (SHARE / "footprints").is_dir(), reason="Debian's kicad-footprints is not installed")
with_symbols = pytest.mark.skipif(not (SHARE / "symbols").is_dir(), reason="Debian's kicad-symbols is not installed")


def pads(text: str) -> list[tuple[str, float, float, float]]:
    """(number, x, y, drill) of every pad of a footprint."""
    form = r'\(pad "([^"]*)" thru_hole \w+ \(at ([-\d.]+) ([-\d.]+)[^)]*\) \(size [^)]*\) \(drill ([\d.]+)'
    return [(number, float(x), float(y), float(drill)) for number, x, y, drill in re.findall(form, text)]


def footprint_text(name: str) -> str:
    library, _, footprint = name.partition(":")
    if library == footprints.LIBRARY:
        return footprints.library()[f"{footprint}.kicad_mod"]
    return (SHARE / "footprints" / f"{library}.pretty" / f"{footprint}.kicad_mod").read_text()


@cache
def symbol_pins(name: str) -> dict[str, tuple[str, str]]:
    """Pin number -> (name, electrical type) of a symbol of KiCad's libraries."""
    library, _, symbol = name.partition(":")
    text = (SHARE / "symbols" / f"{library}.kicad_sym").read_text()
    start = text.index(f'  (symbol "{symbol}"')
    end = text.find('\n  (symbol "', start + 1)
    form = r'\(pin (\w+) \w+ \(at [^)]*\).*?\(name "([^"]*)".*?\(number "([^"]*)"'
    return {number: (name, kind) for kind, name, number in re.findall(form, text[start:end], re.DOTALL)}


@with_footprints
@pytest.mark.parametrize("name", sorted(PARTS))
def test_footprint_has_the_pads_of_its_part_and_no_other(name: str) -> None:
    found = pads(footprint_text(name))
    assert {number for number, *_ in found} == set(footprints.of(PARTS[name]).pads.values())
    assert all(0.6 <= drill <= 1.4 for *_, drill in found), "a lead that a person solders"


@with_footprints
@pytest.mark.parametrize(
    ("kind", "pitch_mm"),
    [
        ("R", 10.16),
        ("R1W", 15.24),
        ("C2.5", 5.0),
        ("C5.5", 5.0),
        ("D", 7.62),
        ("LED", 2.54),
        ("PTC", 5.24),
        ("CONN2", 5.0),
        ("BUZZER", 7.6),
    ],
)
def test_first_two_pads_are_as_far_apart_as_the_leads(kind: str, pitch_mm: float) -> None:
    (_, x1, y1, _), (_, x2, y2, _), *_ = pads(footprint_text(footprints.BODIES[kind].footprint))
    assert ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5 == pytest.approx(pitch_mm, abs=0.01)


@with_symbols
@pytest.mark.parametrize("kind", [kind for kind, body in footprints.BODIES.items() if body.symbol])
def test_pad_numbers_and_types_are_those_of_kicads_symbol(kind: str) -> None:
    body = footprints.BODIES[kind]
    theirs = symbol_pins(body.symbol)
    assert set(theirs) == set(body.pads.values())
    for pin, pad in body.pads.items():
        name, electrical = theirs[pad]
        assert electrical == body.type_of(pin), f"{kind} {pin}"
        if pin in ("A", "K", "S", "G", "D") or (kind == "CMP" and pin == "V+"):
            assert name == pin
        if pin[:-1] == "IN1" or pin[:-1] == "IN2":
            assert name == pin[-1]


@pytest.mark.parametrize(("channels", "recipe"), BOARDS)
def test_every_pin_has_one_pad(channels: int, recipe: str) -> None:
    for part in build(channels, recipe).parts:
        body = footprints.of(part)
        assert set(body.pads) == set(PINS[part.kind]), part.ref
        assert len(set(body.pads.values())) == len(body.pads), part.ref
        assert set(body.types) <= set(body.pads), part.ref


@with_footprints
def test_relay_poles_lie_as_omron_draws_them() -> None:
    """Pole 1 on one side (4 6 8), pole 2 opposite (13 11 9), the coil at one end: common, resting, working contact."""
    at = {number: (x, y) for number, x, y, _ in pads(footprint_text("Relay_THT:Relay_DPDT_Omron_G5V-2"))}
    relay = footprints.BODIES["RELAY"].pads
    for one, two in (("CA", "CB"), ("COM1", "COM2"), ("NC1", "NC2"), ("NO1", "NO2")):
        assert at[relay[one]][1] == at[relay[two]][1], "opposite each other"
        assert at[relay[two]][0] - at[relay[one]][0] == pytest.approx(7.62)
    assert at[relay["CA"]][1] < at[relay["COM1"]][1] < at[relay["NC1"]][1] < at[relay["NO1"]][1]


def test_devkit_sockets_are_two_rows_of_nineteen() -> None:
    found = {number: (x, y) for number, x, y, _ in pads(footprint_text("earlid:ESP32-DevKitC"))}
    assert set(found) == {str(n) for n in range(1, 39)}
    for n in range(1, 20):
        (x, y), (right, level) = found[str(n)], found[str(39 - n)]
        assert (right - x, level) == (pytest.approx(25.4), y)
        assert y == pytest.approx(2.54 * (n - 1))


@pytest.mark.parametrize(("channels", "recipe"), BOARDS)
def test_devkit_pads_carry_the_nets_of_its_pins(channels: int, recipe: str) -> None:
    board = build(channels, recipe)
    nets = footprints.devkit_nets(board)
    assert [nets[pad] for pad in ("1", "14", "19", "32", "38")] == ["V3V3", "GND", "V5", "GND", "GND"]
    assert {net for net in nets.values() if net} == {net for net, ends in board.nets().items() if any(r == "A1" for r, _ in ends)}
    types = footprints.devkit(board).types
    assert types["30-18"] == "output"
    assert types["5-34"] == "input"
    assert types["19-5V"] == "power_out"


@with_footprints
def test_leads_of_the_transistors_come_as_the_readme_says() -> None:
    """Flat side or print towards the reader, left to right: TN0702 source gate drain, NDP6020P gate drain source."""
    for kind, order in (("NMOS", "SGD"), ("PMOS", "GDS")):
        body = footprints.BODIES[kind]
        text = footprint_text(body.footprint)
        by_pad = {pad: pin for pin, pad in body.pads.items()}
        assert "".join(by_pad[number] for number, *_ in sorted(pads(text), key=lambda pad: pad[1])) == order
    outline = re.findall(
        r'fp_line \(start [-\d.]+ ([-\d.]+)\) \(end [-\d.]+ ([-\d.]+)\) \(layer "F.Fab"',
        footprint_text("Package_TO_SOT_THT:TO-92_Inline_Wide"),
    )
    assert [(float(a) > 0, a == b) for a, b in outline] == [(True, True)], "its flat side lies below its pads"
