# SPDX-License-Identifier: MIT
"""The circuit boards: placement, tracks, rules and what a factory is sent, all made from the netlist."""

from hardware.pcb.bridges import neighbours
from hardware.pcb.joints import graph
from hardware.pcb.outline import outline

__all__ = ["graph", "neighbours", "outline"]
