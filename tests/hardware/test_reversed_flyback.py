# SPDX-License-Identifier: MIT
"""A flyback diode soldered the wrong way round: what the coils' supply does, in the netlist's own deck."""

from __future__ import annotations

from dataclasses import replace

import pytest
from earlid.virtual.circuit import Constants

from hardware import stimuli
from hardware.corners import Corner, draw, extremes
from hardware.netlist import build
from hardware.parts import Netlist
from hardware.spice import Stimulus, simulate

LIMIT_MV = 250  # lid.selftest


def reversed_part(board: Netlist, ref: str) -> Netlist:
    """The same board with a diode the wrong way round."""
    part = board.part(ref)
    turned = replace(part, pins=dict(zip(part.pins, reversed(part.pins.values()), strict=True)))
    return replace(board, parts=[turned if one is part else one for one in board.parts])


def sag_mv(board: Netlist, corner: Corner) -> float:
    """How far the coils' supply stands below its rest while the sentinel's relay is fed."""
    edges, last, _ = stimuli.edges(0.02, 0.42)
    waves = simulate(board, corner, Stimulus("feed", last + 0.02, {"pump1": stimuli.join(edges)}), ["VCOIL"])
    at_rest, fed = ((waves["t"] > start) & (waves["t"] < end) for start, end in ((0.01, 0.02), (0.30, 0.42)))
    return float(waves["VCOIL"][at_rest].mean() - waves["VCOIL"][fed].mean()) * 1e3


def test_reversed_flyback_sags_past_the_self_tests_limit_and_a_healthy_board_does_not() -> None:
    healthy = build(1).without("controls", "lamp")
    reversed_ = reversed_part(healthy, "D105")
    for corner in (Corner(), *extremes(build(2)), *(draw(build(2), number) for number in range(6))):
        assert sag_mv(healthy, corner) < 0.65 * LIMIT_MV, corner.name
        assert sag_mv(reversed_, corner) > 1.4 * LIMIT_MV, corner.name
    assert 1.4 * LIMIT_MV < Constants().flyback_sag_mv < sag_mv(reversed_, Corner()), "the virtual board is harder on the test"


def test_reversed_zener_changes_nothing_that_a_test_can_read() -> None:
    """D105 blocks what it would let through: the current dies later by milliseconds, and only its bar tells."""
    healthy = build(1).without("controls", "lamp")
    assert sag_mv(reversed_part(healthy, "D106"), Corner()) == pytest.approx(sag_mv(healthy, Corner()), abs=5)
