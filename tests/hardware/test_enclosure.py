# SPDX-License-Identifier: MIT
"""The case fits its board: holes line up, the lid clears what stands tall, ports are open, the solids are closed."""

from __future__ import annotations

import math
import re
from collections import Counter

import pytest

from hardware import reports
from hardware.enclosure import case
from hardware.netlist import build
from hardware.pcb.outline import HEIGHTS_MM, outline, tallest

BOARDS = [(2, "digital"), (2, "usb"), (2, "electret"), (1, "digital")]
Facets = list[list[tuple[float, float, float]]]


def facets(text: str) -> Facets:
    """Triangles of an ASCII STL."""
    corners = [(float(x), float(y), float(z)) for x, y, z in re.findall(r"vertex (\S+) (\S+) (\S+)", text)]
    return [corners[i : i + 3] for i in range(0, len(corners), 3)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Facets, str, bytes]:
    """The base of the reference board's case, OpenSCAD's report and the file."""
    folder = tmp_path_factory.mktemp("made")
    board = build()
    (folder / "made").mkdir()
    (folder / "enclosure").symlink_to(case.SCAD.parent)
    dimensions = folder / "made" / f"{board.name}-case.scad"
    dimensions.write_text(case.text(board))
    report = case.stl(dimensions, "base", folder / f"{board.name}-base.stl")
    content = (folder / f"{board.name}-base.stl").read_bytes()
    return facets(content.decode()), report, content


def test_base_is_one_closed_solid(base: tuple[Facets, str, bytes]) -> None:
    triangles, report, _content = base
    edges = Counter((a, b) for t in triangles for a, b in zip(t, [*t[1:], t[0]], strict=True))
    assert len(triangles) > 500
    assert all(count == 1 and edges[b, a] == 1 for (a, b), count in edges.items())
    assert re.search(r"Simple:\s+yes", report)


def test_base_is_the_one_whose_sum_is_committed(base: tuple[Facets, str, bytes], tmp_path) -> None:
    (tmp_path / f"{build().name}-base.stl").write_bytes(base[2])
    assert case.sums([tmp_path / f"{build().name}-base.stl"]) in (reports.MADE / "enclosure.sha256").read_text()


def test_posts_of_the_base_stand_under_the_holes_of_the_board(base: tuple[Facets, str, bytes]) -> None:
    shape = outline(build())
    ring = {(round(x, 3), round(y, 3)) for triangle in base[0] for x, y, z in triangle if z == 7.0}  # where the board lies
    assert len(shape.holes) == 4
    for x, y in shape.holes:
        for radius in (1.3, 3.4):
            on_circle = [p for p in ring if abs(math.hypot(p[0] - x, p[1] + y) - radius) < 0.02]
            assert len(on_circle) == 32, (x, y, radius)


@pytest.mark.parametrize(("channels", "recipe"), BOARDS)
def test_lid_clears_the_tallest_part_and_the_switch_has_a_bay(channels: int, recipe: str) -> None:
    board = build(channels, recipe)
    shape = case.case(board)
    assert shape.clear >= tallest(board) + 1 >= HEIGHTS_MM["A1"] + 1
    depth = 5.0 + shape.board[2] + shape.clear  # `under` in case.scad
    assert "under = 5.0;" in case.SCAD.read_text()
    assert depth > case.SWITCH_DEPTH_MM
    assert -shape.bay + 10 < shape.switch[0] < -10, "beside the board, not over it"


@pytest.mark.parametrize(("channels", "recipe"), BOARDS)
def test_holes_of_the_lid_lie_over_the_board_and_clear_of_each_other(channels: int, recipe: str) -> None:
    shape = case.case(build(channels, recipe))
    round_holes = [(at, 3.4) for at in shape.holes]  # posts, 6.8 wide
    round_holes += [(at, shape.light_hole / 2) for at, _name in shape.lights]
    round_holes += [(shape.button, 6.0), (shape.port, shape.module_ / 2 + 1.5), (shape.buzzer, 6.3)]  # flange, pocket, slots
    for i, ((x, y), radius) in enumerate(round_holes):
        assert x - radius + 0.6 > 0
        assert x + radius < shape.board[0] + 0.6
        assert 0 < y < shape.board[1]
        for (other_x, other_y), other in round_holes[i + 1 :]:
            assert math.hypot(x - other_x, y - other_y) > radius + other, ((x, y), (other_x, other_y))


@pytest.mark.parametrize(("channels", "recipe"), BOARDS)
def test_openings_lie_at_the_edge_where_usb_and_the_cable_are(channels: int, recipe: str) -> None:
    board = build(channels, recipe)
    shape, edge = case.case(board), outline(board)
    assert shape.usb[0] == edge.width
    low, high = shape.usb_opening
    assert low + 3 < HEIGHTS_MM["A1"] - 1.5 < high - 3, "a plug's grip is some 8 mm high"
    assert high < shape.clear + 2.0 - 0.5 or high < shape.clear, "the lid's outer face stays whole"
    assert abs(edge.boxes["A1"][2] - edge.width) < 1.0, "the DevKit's USB stands at the right edge"
    assert bool(shape.cable) == ("J2" in edge.boxes)
    if shape.cable:
        assert shape.cable == (edge.boxes["J2"][0], edge.boxes["J2"][2])
        assert edge.height - edge.boxes["J2"][3] < 1.0, "the terminal stands at the front edge"


def test_front_names_the_switch_and_every_light() -> None:
    board = build()
    names = [name for _at, name in case.case(board).lights]
    assert names == ["MUTED", "STATUS", "MIC 1 LIVE", "MIC 2 LIVE"]
    lid = case.SCAD.read_text()
    for word in ("ARM", "MUTE", "TALK", "red: muted, power cut", "amber: microphone live"):
        assert f'"{word}"' in lid


def test_mesh_is_the_same_in_whatever_order_its_facets_come() -> None:
    facets = [f"  facet normal 0 0 {n}\n    outer loop\n    endloop\n  endfacet\n" for n in (2, -1, 1)]
    one, two = ("".join(["solid M\n", *some, "endsolid M\n"]) for some in (facets, facets[::-1]))
    assert case.in_order(one) == case.in_order(two)
    assert sorted(case.in_order(one).splitlines()) == sorted(one.splitlines())
