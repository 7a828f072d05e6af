# SPDX-License-Identifier: MIT
"""What a net carries, for the rules of the circuit board: microphone side, supply, ground or anything else."""

from __future__ import annotations

from hardware.parts import Netlist

GND = "GND"
MIC_SIDE = ("RAIL", "MICBUS", "KCLAMP", "SCLAMP")  # in MUTE the clamps hang on the rails
SUPPLIES = ("V5", "V3V3", "VARM", "VCOIL", "VBUS", "LINE")
HEAVY = ("VBUS", "SRC2", "FEED2", "RAIL2", "MICBUS2")  # 500 mA on the usb board


def is_mic_side(net: str) -> bool:
    return net.rstrip("12") in MIC_SIDE


def supplies(board: Netlist) -> tuple[str, ...]:
    """Nets that could feed a microphone. SRC2 is one where no resistor stands before it."""
    return SUPPLIES + (("SRC2",) if board.recipe == "usb" and board.channels == 2 else ())
