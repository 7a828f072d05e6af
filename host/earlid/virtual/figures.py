# SPDX-License-Identifier: MIT
"""A recipe's figures: the `circuit.py` that its firmware is built with, and what feeds its guarded rail."""

from __future__ import annotations

import runpy
from dataclasses import dataclass

from lid import circuit

from earlid import firmware

GUARDED_FED_MV = {"usb": 4700.0, "electret": 1790.0}  # of the simulated nominal boards (hardware/made/events.md); else 3.3 V's


@dataclass(frozen=True)
class Figures:
    """What the copper of a recipe differs in.

    Attributes:
        channels: 1 or 2.
        sentinel_scale_q10: rail over pin, times 1024.
        guarded_scale_q10: the same of the guarded rail.
        guarded_fed_mv: that rail while it is fed, or None for what the sentinel's has.
    """

    channels: int = 2 - circuit.ONE_CHANNEL
    sentinel_scale_q10: int = circuit.SENTINEL_SCALE_Q10
    guarded_scale_q10: int = circuit.GUARDED_SCALE_Q10
    guarded_fed_mv: float | None = None


def load_figures(recipe: str) -> Figures:
    """Read a recipe's `circuit.py`.

    Raises:
        ValueError: when there is no such recipe.
    """
    if recipe == firmware.RECIPES[0]:
        return Figures()
    found = runpy.run_path(str(firmware.root() / firmware.circuit_path(recipe)))
    return Figures(
        2 - found["ONE_CHANNEL"], found["SENTINEL_SCALE_Q10"], found["GUARDED_SCALE_Q10"], GUARDED_FED_MV.get(recipe)
    )  # fmt: skip
