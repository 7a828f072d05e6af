# SPDX-License-Identifier: MIT
"""The circuit boards are what the netlist says, keep the product's rules, and come out the same."""

from __future__ import annotations

import hashlib
import subprocess
from itertools import combinations
from pathlib import Path

import pytest

from hardware import pcb, reports
from hardware.netlist import build
from hardware.parts import Netlist
from hardware.pcb import archive, assembly, copper, fabrication, make, nets, placement, render, routing
from hardware.pcb.geometry import gap
from hardware.pcb.joints import parts_without

BOARDS = [build(*b) for b in reports.BOARDS]
NAMES = [board.name for board in BOARDS]
each_board = pytest.mark.parametrize("board", BOARDS, ids=NAMES)


def packed(board: Netlist) -> dict[str, bytes]:
    return archive.unpack(reports.MADE / f"{board.name}-pcb.zip")


def pads_of(board: Netlist) -> dict[str, set[tuple[str, str]]]:
    """Net -> {(ref, pad number)} of the netlist and the DevKit."""
    found: dict[str, set[tuple[str, str]]] = {}
    for place in placement.place(board):
        for pad, (_pin, net) in place.pins.items():
            if net:
                found.setdefault(net, set()).add((place.ref, pad))
    return found


@each_board
def test_no_part_lies_on_another_or_off_the_board(board: Netlist) -> None:
    places, plan = placement.place(board), placement.plan(board)
    assert placement.overlaps(places) == []
    for place in places:
        left, top, right, bottom = place.courtyard
        assert min(left, top) >= 0, place.ref
        assert bottom <= plan.height, place.ref
        assert right <= plan.width + (0.1 if place.ref == "A1" else 0), place.ref
    assert (plan.width, plan.height) <= (100, 100)


@each_board
def test_holes_lie_apart(board: Netlist) -> None:
    drills = [(place.at(pad), pad.drill) for place in placement.place(board) for pad in place.footprint.pads]
    for (a, wide), (b, width) in combinations(drills, 2):
        apart = ((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5 - (wide + width) / 2
        assert apart > 0.5, (a, b)


@each_board
def test_placement_refuses_a_part_without_a_place(board: Netlist) -> None:
    more = Netlist(board.name, list(board.parts), board.gpio, board.supplies, board.mic_rails, board.channels, board.recipe)
    more.add("R99", "R", "1k", ["V5", "LAMP"], "test")
    with pytest.raises(ValueError, match="not placed: R99"):
        placement.place(more)


@each_board
def test_tested_nets_are_those_of_the_netlist(board: Netlist) -> None:
    """The IPC-D-356 file that KiCad wrote from the copper's nets, against our own netlist."""
    text = packed(board)[f"factory/{board.name}.d356"].decode()
    want = pads_of(board)
    assert fabrication.tested_nets(text) == want
    ours = {net: {(ref, pin) for ref, pin in ends if ref != "A1"} for net, ends in board.nets().items()}
    graph = pcb.graph(board)
    for net, ends in ours.items():
        on_copper = {node for edge in graph[net] for node in (edge.a, edge.b) if len(node) == 2 and node[0] != "A1"}
        assert ends <= on_copper or (len(ends) == 1 and len(want[net]) == 1), net


@each_board
def test_copper_joins_each_net(board: Netlist) -> None:
    for net, edges in pcb.graph(board).items():
        if edges:
            assert len(parts_without(edges, -1)) == 1, net
    assert len(copper.islands(copper.of(board.name))) == 1


@each_board
def test_no_open_spoke_or_track_takes_ground_from_clamps_and_microphones(board: Netlist) -> None:
    """Nor from the transistors and the DevKit. A few other pads hang on one track, where no pour reaches them."""
    edges = pcb.graph(board)[nets.GND]
    for i, edge in enumerate(edges):
        for ref, pin in set().union(*parts_without(edges, i)[1:]):
            assert ref not in nets.GROUNDED, (edge.where, ref, pin)


@each_board
def test_no_open_track_parts_a_rail_from_its_clamps(board: Netlist) -> None:
    """The relay's resting contact, the switch's pole and the microphone's pin stay joined."""
    for rail in board.mic_rails:
        edges = pcb.graph(board)[rail]
        together = {(f"K{rail[-1]}", "COM2"), ("SW1", {"RAIL1": "B_COM", "RAIL2": "C_COM"}[rail])}
        load = "MIC1" if rail == "RAIL1" else "Q202" if board.recipe == "usb" else "J2"
        together |= {(load, pin) for pin, net in board.part(load).pins.items() if net == rail}
        for i, edge in enumerate(edges):
            assert any(together <= group for group in parts_without(edges, i)), edge.where


@each_board
def test_supplies_keep_their_distance_from_the_microphone_side(board: Netlist) -> None:
    """In plain Python, apart from KiCad's check of the same rule."""
    found = copper.of(board.name)
    supply = nets.supplies(board)
    for layer in routing.LAYERS:
        items = [(p.net, s) for p in found.pads for s in p.strokes] + [(v.net, v.stroke) for v in found.vias]
        items += [(t.net, t.stroke) for t in found.tracks if t.layer == layer]
        for mic, one in ((n, s) for n, s in items if nets.is_mic_side(n)):
            for net, two in ((n, s) for n, s in items if n in supply):
                assert gap(one, two) >= routing.APART - 0.001, (layer, mic, net, one, two)


@each_board
def test_neighbours_name_no_supply_beside_the_microphone_side(board: Netlist) -> None:
    pairs = pcb.neighbours(board)
    assert ("RAIL1", "SCLAMP1") in pairs  # lugs of the switch
    for one, two in pairs:
        assert not (nets.is_mic_side(one) and two in nets.supplies(board)), (one, two)
        assert not (nets.is_mic_side(two) and one in nets.supplies(board)), (one, two)


def test_a_copper_bridge_candidate_is_found() -> None:
    """Planted: a track of V5 half a millimetre from one of RAIL1."""
    found = copper.of(NAMES[-1])
    rail = next(track for track in found.tracks if track.net == "RAIL1" and track.start[1] == track.end[1])
    shift = routing.WIDTH + 0.4
    stray = routing.Track("V5", rail.layer, (rail.start[0], rail.start[1] + shift), (rail.end[0], rail.end[1] + shift))
    more = copper.Copper(found.pads, found.pins, (*found.tracks, stray), found.vias, found.pours)
    from hardware.pcb.bridges import near

    assert ("RAIL1", "V5") not in near(found)
    assert ("RAIL1", "V5") in near(more)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one-channel board as it is committed."""
    folder = tmp_path_factory.mktemp("pcb")
    for name, content in packed(BOARDS[-1]).items():
        if "/" not in name:
            (folder / name).write_bytes(content)
    return folder / f"{NAMES[-1]}.kicad_pcb"


def test_kicad_finds_nothing_on_the_committed_board(made: Path) -> None:
    assert make.violations(made) == []


PLANTS = {
    "a supply keeps away": '(segment (start {0} {1}) (end {2} {1}) (width 0.335) (layer "F.Cu") (net {3}) (tstamp {4}))',
    "hole": '(via (at {0} {1}) (size 0.5) (drill 0.2) (layers "F.Cu" "B.Cu") (net {3}) (tstamp {4}))',
}


def test_kicad_finds_what_is_planted(made: Path) -> None:
    """A supply's track 1 mm beside a clamp's pad; a via with a drill too small; a missing connection."""
    text = made.read_text()
    found = copper.read(text)
    clamp = next(pad for pad in found.pads if pad.net == "KCLAMP1")
    number = next(line for line in text.splitlines() if line.startswith("(net ") and line.endswith('"V5")')).split()[1]
    x, y = clamp.at[0] + 50.8, clamp.at[1] + 50.8 + max(clamp.size) / 2 + 1.0
    tag = "00000000-0000-0000-0000-0000000000{:02d}"
    planted = [plant.format(x - 1, y, x + 1, number, tag.format(i)) for i, plant in enumerate(PLANTS.values())]
    body = text.rstrip()[:-1]
    first = body.index("(segment ")
    tracks = [line for line in body.splitlines() if line.startswith("(segment ")]
    assert body[first:].startswith(tracks[0])
    (made.parent / "planted.kicad_pcb").write_text(body.replace(tracks[0] + "\n", "") + "\n".join(planted) + "\n)\n")
    for end in ("kicad_pro", "kicad_dru"):
        (made.parent / f"planted.{end}").write_bytes(made.with_suffix(f".{end}").read_bytes())
    report = "\n".join(make.violations(made.parent / "planted.kicad_pcb"))
    for name in PLANTS:
        assert name in report, report
    assert "unconnected" in report or "dangling" in report, report


@pytest.mark.soak
@each_board
def test_board_comes_out_the_same(board: Netlist) -> None:
    """Placed, routed, poured, checked and plotted anew, every file of its zip equal to the committed one.

    That what goes into it is what it was, `test_drawings.py` has by its digest each time.
    """
    assert archive_contents(fabrication.build(board)) == packed(board)


def archive_contents(content: bytes) -> dict[str, bytes]:
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(content)) as found:
        return {name: found.read(name) for name in found.namelist()}


@each_board
def test_picture_is_that_of_the_board(board: Netlist) -> None:
    path = reports.MADE / f"{board.name}-pcb.svg"
    text = render.of(board, reports.MADE / f"{board.name}-pcb.zip")
    assert path.read_text() == text
    for part in board.parts:
        assert f">{part.ref}<" in text, part.ref


def test_kicad_says_what_went_wrong(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="KiCad failed at fill"):
        make.kicad("fill", str(tmp_path / "none.kicad_pcb"))


def test_system_python_has_pcbnew() -> None:
    done = subprocess.run([make.PYTHON, "-c", "import pcbnew; print(pcbnew.GetBuildVersion())"], capture_output=True, text=True)
    assert done.stdout.startswith("6."), done.stderr


@each_board
def test_assembly_page_is_the_one_whose_sum_is_kept(board: Netlist) -> None:
    page = assembly.page(reports.MADE / f"{board.name}-pcb.zip")
    sums = dict(reversed(line.split()) for line in (reports.MADE / "assembly.sha256").read_text().splitlines())
    assert hashlib.sha256(page).hexdigest() == sums[f"{board.name}.html"]
