# SPDX-License-Identifier: MIT
"""The circuit boards: placement, tracks, rules and what a factory is sent, all made from the netlist."""

from hardware.pcb.outline import outline

__all__ = ["outline"]
