# SPDX-License-Identifier: MIT
"""What is ordered is what was simulated: tolerances, contacts, lights; and every part is on the list once."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter

import pytest

from hardware import bom, footprints
from hardware.corners import LIMITS, draw
from hardware.layout import COLOURS, colour
from hardware.models import COIL_OHM, MIC_MA
from hardware.netlist import build
from hardware.parts import GOLD, SILVER, Netlist
from hardware.recipes import RECIPES

BOARDS = [(2, "digital"), (2, "usb"), (2, "electret"), (1, "digital")]
ORDERED = {"F": 0.01, "J": 0.05, "K": 0.10}  # the letter of IEC 60062


@pytest.mark.parametrize(("channels", "recipe"), BOARDS)
def test_every_part_is_ordered_once_and_each_line_is_whole(channels: int, recipe: str) -> None:
    board = build(channels, recipe)
    rows = bom.rows(board)
    counted = Counter(ref for row in rows if row[2] for ref in row[0].split())
    assert counted == Counter([part.ref for part in board.parts] + ["A1"])
    assert len({row[4] for row in rows}) == len(rows), "a part number has two lines"
    for row in rows:
        assert len(row) == len(bom.HEAD)
        assert row[4], row
        assert row[5], row
        assert float(row[7]) > 0
        assert row[10:] == [bom.NOT_LOOKED_UP] * 2
        if row[2]:
            assert int(row[1]) == len(row[0].split())


@pytest.mark.parametrize(("channels", "recipe"), BOARDS)
def test_tolerance_that_is_ordered_is_the_one_that_is_simulated(channels: int, recipe: str) -> None:
    board = build(channels, recipe)
    samples = [draw(board, seed).scale for seed in range(40)]
    spread = 1 + LIMITS["film_temp"][1]
    for part in board.parts:
        if part.kind not in "RC":
            assert part.ref not in samples[0], f"{part.ref} spreads, and no tolerance of it is ordered"
            continue
        mpn = bom.item(part).mpn
        letter = re.search(r"(?:MFR-25|MFR1WS)([FJK])|MKS2C\d{4} ([FJK])", mpn)
        assert letter, mpn
        ordered = ORDERED[letter[1] or letter[2]]
        assert part.tolerance == ordered, part.ref
        most = ordered if part.kind == "R" else (1 + ordered) * spread - 1
        drawn = [abs(sample[part.ref] - 1) for sample in samples]
        assert ordered / 2 < max(drawn) <= most + 1e-9, part.ref
        assert (part.watts > 0.25) == mpn.startswith("Yageo MFR1WS"), part.ref


def test_a_tolerance_nobody_sells_is_refused() -> None:
    board = build()
    board.add("R99", "R", "1k", ["V5", "LAMP"], "test", tolerance=0.03)
    with pytest.raises(KeyError):
        bom.item(board.part("R99"))


def pole_currents(board: Netlist) -> dict[str, tuple[float, float, float]]:
    """Pole -> (smallest A, largest A, largest V) while its switch is in ARM and its lid open."""
    coil = 5.25 / (COIL_OHM * 0.9)
    bleeder = 3.4 / board.part("R114").value_si
    poles = {"A": (5.0 / (COIL_OHM * 1.1) / 2, board.channels * coil, 5.25), "B": (bleeder, bleeder + MIC_MA * 1e-3 + 2e-3, 3.4)}
    if board.channels == 2:
        recipe = RECIPES[board.recipe]
        volts = 5.25 if board.recipe == "usb" else recipe.source_v
        load = recipe.load_ma * 1e-3
        poles["C"] = (load, load + volts / board.part("R214").value_si + 2e-3, volts)
    return poles


@pytest.mark.parametrize(("channels", "recipe"), BOARDS)
def test_contacts_of_the_mute_switch_suit_every_pole(channels: int, recipe: str) -> None:
    board = build(channels, recipe)
    assert bom.item(board.part("SW1")).mpn == ("NKK M2032SS1A01" if channels == 2 else "NKK M2022SS1A01")
    for pole, (least, most, volts) in pole_currents(board).items():
        rating = SILVER if (recipe, pole) == ("usb", "C") else GOLD
        assert least >= rating.least_a, pole
        assert volts >= rating.least_v, pole
        assert most <= rating.most_a, pole
        assert volts <= rating.most_v, pole
        assert most * volts <= rating.most_va, pole


def test_gold_alone_does_not_carry_a_usb_microphone() -> None:
    _least, most, volts = pole_currents(build(2, "usb"))["C"]
    assert most > GOLD.most_a
    assert most * volts > GOLD.most_va


@pytest.mark.parametrize(("channels", "recipe"), BOARDS)
def test_lights_get_the_current_they_are_bought_for(channels: int, recipe: str) -> None:
    """Lamps made for 2 mA: at least 0.7 mA where they must be seen, never over 3 mA."""
    board = build(channels, recipe)
    red = (5.0 - 1.8) / (board.part("R2").value_si + board.part("R3").value_si)
    series = {"R117": 3.0, "R25": 3.3} | (
        {"R217": 4.8 if recipe == "usb" else 3.0} if recipe != "electret" and channels == 2 else {}
    )
    amber = [(volts - 1.9) / board.part(ref).value_si for ref, volts in series.items()]
    for ampere in (red, *amber):
        assert 0.7e-3 <= ampere <= 3e-3


def test_buzzer_sounds_from_a_steady_level_as_the_firmware_drives_it() -> None:
    from hardware.reports import ROOT

    source = (ROOT.parent / "firmware" / "lid" / "board.py").read_text()
    assert re.search(r"self\._buzzer = machine\.Pin\(", source), "a level, no PWM"
    line = bom.item(build().part("BZ1"))
    assert "steady 3.3 V level" in line.rating


@pytest.mark.parametrize(("channels", "recipe"), BOARDS)
def test_sockets_and_leads_are_as_many_as_the_pins(channels: int, recipe: str) -> None:
    board = build(channels, recipe)
    extra = {(line.refs, line.item.mpn.split()[0]): line.count for line in bom.extras(board)}
    assert extra["SW1", "stranded"] == len(board.part("SW1").pins)
    assert extra["MIC1", "jumper"] == len(board.part("MIC1").pins)
    assert extra["A1", "Samtec"] * 19 == len(footprints.DEVKIT)
    colours = {colour(net) for net in board.nets()} | set(COLOURS.values())
    assert colours == set(bom.WIRE_COLOURS.split())


def test_list_ends_with_a_total_for_each_way_of_building() -> None:
    rows = list(csv.reader(io.StringIO(bom.as_csv(build()))))
    assert [row[0].split(" (")[0] for row in rows[-2:]] == ["total on a circuit board", "total on a perfboard"]
    assert all("estimate" in row[0] and float(row[7]) > 20 for row in rows[-2:])


@pytest.mark.parametrize(("channels", "recipe"), BOARDS)
def test_screws_reach_through_lid_and_board_into_the_posts(channels: int, recipe: str) -> None:
    from hardware.enclosure.case import case
    from hardware.pcb.outline import THICKNESS_MM

    board = build(channels, recipe)
    (screw,) = [line.item.mpn for line in bom.extras(board) if line.way == bom.CIRCUIT_BOARD and "screw" in line.item.mpn]
    thread = float(screw.split()[2]) - (2.0 + case(board).clear + THICKNESS_MM)
    assert 4.0 <= thread <= 6.2, "a post of 7 mm less 0.8 mm"
