# SPDX-License-Identifier: MIT
"""Levels of sound as the board gives them: in dB, and as a bar of text."""

from __future__ import annotations

import math

FULL_SCALE_LOG2_Q8 = 7680  # log2 of the mean square of a full-scale square wave, in 1/256
DB_PER_Q8 = 10 * math.log10(2) / 256
METER_LOW_DBFS = -90.0
METER_CELLS = 20


def dbfs(log2_q8: float) -> float:
    """A level of the board in dB relative to a full-scale square wave."""
    return (log2_q8 - FULL_SCALE_LOG2_Q8) * DB_PER_Q8


def meter(level_dbfs: float) -> str:
    """A level as a bar of METER_CELLS characters, -90 dBFS to full scale."""
    filled = round((level_dbfs - METER_LOW_DBFS) / -METER_LOW_DBFS * METER_CELLS)
    filled = min(max(filled, 0), METER_CELLS)
    return "█" * filled + "·" * (METER_CELLS - filled)
