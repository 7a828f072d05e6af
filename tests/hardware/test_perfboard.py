# SPDX-License-Identifier: MIT
"""The perfboard: every net joined and only it, loops that a single open wire does not break, supplies far from rails."""

from __future__ import annotations

import re
import zlib

import pytest

from hardware import bom, layout, reports, wiring
from hardware.netlist import build

BOARDS = [(2, "digital"), (2, "usb"), (2, "electret"), (1, "digital")]


def reach(start: layout.End, pairs: list[tuple[layout.End, layout.End]]) -> set[layout.End]:
    """Ends that the wires join to `start`."""
    reached = {start}
    for _ in pairs:
        reached |= {b for a, b in pairs if a in reached} | {a for a, b in pairs if b in reached}
    return reached


@pytest.mark.parametrize(("channels", "recipe"), BOARDS)
def test_wires_join_each_net_and_only_it(channels: int, recipe: str) -> None:
    board = build(channels, recipe)
    pads = layout.place(board)
    for net in board.nets():
        group = {(pad.hole, "") for pad in pads if pad.net == net}
        pairs = [((w.start.hole, ""), (w.end.hole, "")) for w in layout.wires(pads) if w.net == net]
        assert reach(min(group), pairs) == group, net
    assert wiring.wire_list(board).count("\n") == len(layout.wires(pads)) + 1


@pytest.mark.parametrize(("channels", "recipe"), BOARDS)
def test_no_single_wire_of_ground_or_a_rail_parts_a_clamp_from_a_microphone(channels: int, recipe: str) -> None:
    board = build(channels, recipe)
    edges = layout.edges(board)
    for net in ("GND", *board.mic_rails, *({"MICBUS2"} & set(edges))):
        ends = {end for a, b, _number in edges[net] for end in (a, b)}
        for cut in range(len(edges[net])):
            left = [(a, b) for i, (a, b, _number) in enumerate(edges[net]) if i != cut]
            assert reach(min(ends), left) == ends, f"wire {edges[net][cut][2]} of {net}"


def test_edges_are_the_numbered_wires_with_the_devkits_pins_by_net() -> None:
    board = build()
    drawn = layout.wires(layout.place(board))
    assert [wire.number for wire in drawn] == list(range(1, len(drawn) + 1))
    edges = layout.edges(board)
    assert ("A1", "PUMP1") in {end for a, b, _number in edges["PUMP1"] for end in (a, b)}
    ends = {(ref, pin) for found in edges.values() for a, b, _number in found for ref, pin in (a, b) if ref != "A1"}
    assert ends == {(part.ref, pin) for part in board.parts for pin, net in part.pins.items() if net}


@pytest.mark.parametrize(("channels", "recipe"), BOARDS)
def test_usb_of_the_devkit_stands_at_the_edge_of_the_board(channels: int, recipe: str) -> None:
    pads = layout.place(build(channels, recipe))
    ends = [pad for pad in pads if pad.ref == "A1" and pad.pin in ("5V", "6")]  # the pins beside its USB socket
    assert {pad.x for pad in ends} == {layout.COLUMNS}


@pytest.mark.parametrize(("channels", "recipe"), BOARDS)
def test_no_supply_lies_next_to_a_microphone_rail(channels: int, recipe: str) -> None:
    board = build(channels, recipe)
    assert layout.supplies_near_rails(board, layout.place(board)) == []


def test_a_supply_next_to_a_rail_or_its_clamp_is_found() -> None:
    board = build()
    pads = layout.place(board)
    for net in ("RAIL1", "KCLAMP2", "SCLAMP1"):
        place = next(pad for pad in pads if pad.net == net)
        stray = layout.Pad("X1", "1", "V3V3", place.x + 2, place.y + 1)
        assert any(net in line for line in layout.supplies_near_rails(board, [*pads, stray])), net


def test_layout_refuses_a_part_without_a_place() -> None:
    board = build()
    board.add("R99", "R", "1k", ["V5", "LAMP"], "test")
    with pytest.raises(ValueError, match="not placed: R99"):
        layout.place(board)


def texts(pdf: bytes) -> list[str]:
    """What stands on each page of one of our PDFs."""
    streams = re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL)
    return [zlib.decompressobj().decompress(stream).decode("latin-1") for stream in streams]


@pytest.mark.parametrize(("channels", "recipe"), [(2, "usb"), (1, "digital")])
def test_print_names_every_part_with_its_value_and_every_wire(channels: int, recipe: str) -> None:
    board = build(channels, recipe)
    printed = wiring.pdf(board)
    pages = texts(printed)
    assert len(pages) == 5
    for part in board.parts:
        assert f"({part.ref} {part.value})" in pages[0], part.ref
    drawn = layout.wires(layout.place(board))
    loops = sum(layout.looped(wire.net) for wire in drawn)
    for wire in drawn:
        near = max(abs(wire.start.x - wire.end.x), abs(wire.start.y - wire.end.y)) == 1
        page = pages[1 if wire.number <= loops else 2]
        # each text is drawn twice, its halo first; column numbers are texts too
        columns = 4 * (wire.number <= layout.COLUMNS)
        assert page.count(f"({wire.number}) Tj") == (2 if near else 4) + columns, wire.number
        assert f"({wire.start.hole} - {wire.end.hole})" in pages[3]
    assert printed == wiring.pdf(board)


def test_solder_side_is_the_component_side_mirrored() -> None:
    board = build()
    front, back = (wiring.Sheet(None, board, 10, 10, 1.0, mirrored) for mirrored in (False, True))
    for x, y in ((1, 1), (20, 7), (layout.COLUMNS, 36)):
        assert back.place(x, y) == pytest.approx(front.place(layout.COLUMNS + 1 - x, y))
    assert front.place(2, 1)[0] - front.place(1, 1)[0] == pytest.approx(2.54)


def test_readme_counts_the_wires_and_the_holes() -> None:
    readme = (reports.ROOT / "README.md").read_text()
    drawn = [layout.wires(layout.place(build(*b))) for b in BOARDS]
    digital, usb, electret, one = map(len, drawn)
    assert f"{digital} (digital), {usb} (usb), {electret} (electret), {one} (one channel)" in readme
    digital, usb, electret, one = (sum(wire.net == "GND" for wire in wires) for wires in drawn)
    assert f"(wires 1 to {digital}, {usb}, {electret} and {one})" in readme
    sizes = [f"{layout.COLUMNS} x {layout.ROWS[n]}" for n in (2, 1)]
    assert f"{sizes[0]} holes (one channel: {sizes[1]})" in readme
    millimetres = [f"{layout.COLUMNS * layout.HOLE_MM:.0f} x {layout.ROWS[n] * layout.HOLE_MM:.0f} mm" for n in (2, 1)]
    assert f"{millimetres[0]} ({millimetres[1]})" in readme


@pytest.mark.parametrize(("channels", "recipe"), BOARDS)
def test_parts_list_has_the_perfboard_and_enough_wire_of_every_colour(channels: int, recipe: str) -> None:
    board = build(channels, recipe)
    listed = bom.as_csv(board)
    assert f"perfboard, {layout.COLUMNS} x {layout.ROWS[channels]} holes" in listed
    assert "nine colours, 3 m each" in listed
    metres: dict[str, float] = {}
    for wire in layout.wires(layout.place(board)):
        holes = abs(wire.start.x - wire.end.x) + abs(wire.start.y - wire.end.y)
        metres[wire.colour] = metres.get(wire.colour, 0.0) + (holes * layout.HOLE_MM + 10.0) / 1000
    assert set(metres) == set(bom.WIRE_COLOURS.split())
    assert max(metres.values()) < 3.0
