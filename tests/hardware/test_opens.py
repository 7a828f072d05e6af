# SPDX-License-Identifier: MIT
"""Open wires: which pins each cuts off, each set once."""

from __future__ import annotations

import pytest

from hardware import fmea, opens
from hardware.netlist import build


def test_a_wire_of_a_tree_cuts_off_what_lies_beyond_and_one_of_a_loop_cuts_nothing() -> None:
    board = build()
    r8, r9, u1 = ("R8", "2"), ("R9", "1"), ("U1", "IN1-")
    ends = {(ref, pin) for ref, pin in board.nets()["REF"]}
    rest = [(u1, end, f"to {end}") for end in sorted(ends - {r8, r9, u1})]
    tree = {"REF": [(r8, r9, "1"), (r9, u1, "2"), *rest]}
    cuts = {name: set(pins) for net, pins, name in opens.wire_cuts(board, tree) if net == "REF"}
    assert cuts["1"] == {r8}
    assert cuts["2"] in ({r8, r9}, ends - {r8, r9})
    loop = {"REF": [*tree["REF"], (u1, r8, "3")]}
    assert not {"1", "2", "3"} & {name for _net, _pins, name in opens.wire_cuts(board, loop)}


def test_the_devkits_side_of_a_cut_is_never_the_one_cut_off() -> None:
    for fault in opens.open_faults(build()):
        assert len(fault.pins) < 2 or not any(ref == "A1" for ref, _pin in fault.pins), fault


def test_a_wiring_that_forgets_a_pin_is_an_error() -> None:
    with pytest.raises(ValueError, match="REF does not reach"):
        list(opens.wire_cuts(build(), {"REF": [(("R8", "2"), ("R9", "1"), "1")]}))


@pytest.mark.parametrize("name", fmea.BOARDS)
def test_every_joint_of_every_part_is_opened(name: str) -> None:
    board = fmea.board_of(name)
    named = {text for fault, others in opens.open_faults(board).items() for text in (fault.name, *others)}
    for part in board.parts:
        for pin, net in part.pins.items():
            assert not net or f"{part.ref} {pin} open" in named
