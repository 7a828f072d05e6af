# SPDX-License-Identifier: MIT
"""What a net carries, for the rules of the circuit board: microphone side, supply, ground or anything else."""

from __future__ import annotations

from hardware.parts import Netlist

GND = "GND"
MIC_SIDE = ("RAIL", "MICBUS", "KCLAMP", "SCLAMP")  # in MUTE the clamps hang on the rails
# parts whose ground no single piece of copper may carry: clamps, microphones, the transistors of the relays, the DevKit
GROUNDED = ("R111", "R112", "R211", "R212", "MIC1", "J2", "Q101", "Q201", "A1")
HEAVY = ("VBUS", "SRC2", "FEED2", "RAIL2", "MICBUS2")  # 500 mA on the usb board
# a coil's lower end too: while its transistor is off, the coil's supply stands there
SUPPLIES = ("V5", "V3V3", "VARM", "VCOIL", "VBUS", "LINE", "COIL1", "COIL2")
COIL_SIDE = ("VCOIL", "COIL1", "COIL2")
CONTACT_SIDE = ("SRC", "FEED")  # of a relay; its other contacts are the microphone's side


def is_mic_side(net: str) -> bool:
    return net.rstrip("12") in MIC_SIDE


def supplies(board: Netlist) -> tuple[str, ...]:
    """Nets that could feed a microphone. SRC2 is one where no resistor stands before it."""
    return SUPPLIES + (("SRC2",) if board.recipe == "usb" and board.channels == 2 else ())


def is_contact(net: str) -> bool:
    return net.rstrip("12") in CONTACT_SIDE
