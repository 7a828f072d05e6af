# SPDX-License-Identifier: MIT
"""Drawings, lists and the KiCad file say what the netlist says, and the committed ones are today's."""

from __future__ import annotations

import re

import pytest

from hardware import kicad, reports, schematic
from hardware.netlist import build

BOARDS = [(2, "digital"), (2, "usb"), (2, "electret"), (1, "digital")]


@pytest.mark.parametrize(("channels", "recipe"), BOARDS)
def test_kicad_file_is_read_back_with_every_symbol_and_net(tmp_path, channels: int, recipe: str) -> None:
    from kiutils.schematic import Schematic

    board = build(channels, recipe)
    path = tmp_path / "board.kicad_sch"
    path.write_text(kicad.schematic(board))
    sheet = Schematic.from_file(str(path))
    refs = {next(p.value for p in s.properties if p.key == "Reference") for s in sheet.schematicSymbols}
    assert {ref for ref in refs if ref[0] != "#"} == {part.ref for part in board.parts} | {"A1"}
    labels = [label.text for label in sheet.labels]
    pins_by_net = kicad.numbered_nets(board)
    assert set(pins_by_net) == set(board.nets())
    for net, pins in pins_by_net.items():
        assert labels.count(net) == len(pins) + (net in kicad.FLAGGED), net


def test_kicad_library_has_every_symbol_of_every_board(tmp_path) -> None:
    from kiutils.symbol import SymbolLib

    boards = [build(*b) for b in BOARDS]
    path = tmp_path / "earlid.kicad_sym"
    path.write_text(kicad.library(boards))
    found = {symbol.libId for symbol in SymbolLib.from_file(str(path)).symbols}
    used = {name for board in boards for name in re.findall(r'\(lib_id "earlid:([^"]+)"\)', kicad.schematic(board))}
    assert used == found


def test_kicad_labels_sit_on_pins() -> None:
    """A label that misses its pin by a hair connects nothing: check each against the symbol's geometry."""
    text = kicad.schematic(build())
    places = {tuple(map(float, m)) for m in re.findall(r'\(label "[^"]+" \(at ([\d.]+) ([\d.]+) ', text)}
    assert places
    for x, y in places:
        assert abs(x / 1.27 - round(x / 1.27)) < 0.01
        assert abs(y / 1.27 - round(y / 1.27)) < 0.01


@pytest.mark.parametrize(("channels", "recipe"), BOARDS)
def test_schematic_shows_every_value(channels: int, recipe: str) -> None:
    board = build(channels, recipe)
    drawing = schematic.draw(board)  # raises when a part is not drawn
    for part in board.parts:
        if part.kind in ("R", "C"):
            assert part.value in drawing, part.ref


def test_schematic_refuses_a_part_nobody_draws() -> None:
    board = build()
    board.add("R99", "R", "1k", ["V5", "LAMP"], "test")
    with pytest.raises(ValueError, match="not drawn: R99"):
        schematic.draw(board)


def test_committed_files_are_not_stale() -> None:
    assert reports.stale() == []


def test_a_changed_value_makes_the_simulated_files_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    before = reports.headline_digest()
    monkeypatch.setitem(__import__("hardware.corners", fromlist=["LIMITS"]).LIMITS, "vbus", (4.4, 5.25))
    assert reports.headline_digest() != before


def test_a_netlist_that_kicad_wrote_is_read() -> None:
    text = """(export (version "E") (nets
      (net (code "1") (name "/GND") (node (ref "R1") (pin "2") (pintype "passive")) (node (ref "C1") (pin "2")))
      (net (code "2") (name "unconnected-(K1-Pad3)") (node (ref "K1") (pin "3") (pinfunction "NC1")))))"""
    assert kicad.nets_of(text) == {"GND": {("R1", "2"), ("C1", "2")}}


@pytest.mark.parametrize(("channels", "recipe"), BOARDS)
def test_kicad_symbols_stand_on_the_sheet_and_not_on_its_title(channels: int, recipe: str) -> None:
    text = kicad.schematic(build(channels, recipe))
    places = [tuple(map(float, m)) for m in re.findall(r'\(symbol \(lib_id "[^"]*"\) \(at ([\d.]+) ([\d.]+)', text)]
    assert '(paper "A3")' in text
    assert max(x for x, _ in places) < 420 - 40
    assert max(y for _, y in places) < 297 - 50
    assert len(set(places)) == len(places)


def words(svg: str) -> list[tuple[str, float, float, float, float]]:
    """Every line of text in a schematic with the box around it."""
    from reportlab.pdfbase.pdfmetrics import stringWidth

    found = []
    for x, y, size, anchor, body in re.findall(
        r'<text x="([-\d.]+)" y="([-\d.]+)"[^>]*? font-size="([\d.]+)"[^>]*? text-anchor="(\w+)"[^>]*>(.*?)</text>',
        svg,
        re.DOTALL,
    ):
        lines = re.findall(r"<tspan[^>]*>(.*?)</tspan>", body, re.DOTALL) or [body]
        for i, line in enumerate(lines):
            text, em = line.strip(), float(size)
            width = stringWidth(text, "Helvetica", em)
            left = float(x) - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
            base = float(y) + (i + 1) * em
            found.append((text, left, base - 0.7 * em, left + width, base))
    return found


@pytest.mark.parametrize(("channels", "recipe"), BOARDS)
def test_no_text_of_the_schematic_lies_on_another(channels: int, recipe: str) -> None:
    board = build(channels, recipe)
    lines = words(schematic._on_baselines(schematic.draw(board)))
    assert len(lines) > 100
    clashes = [
        (one[0], two[0])
        for i, one in enumerate(lines)
        for two in lines[i + 1 :]
        if one[1] < two[3] and two[1] < one[3] and one[2] < two[4] and two[2] < one[4]
    ]
    assert clashes == []


def test_schematic_as_pdf_comes_out_the_same() -> None:
    assert schematic.pdf(build(1)) == schematic.pdf(build(1))
