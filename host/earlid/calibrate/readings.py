# SPDX-License-Identifier: MIT
"""Telemetry of a stretch of time as arrays, and its gain in dB."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

GAIN_ONE_Q8 = 256
NAMES = ("ms", "lvl", "score", "peak", "clip")


def gain_db(gain_q8: float) -> float:
    """A gain setting in dB."""
    return 20 * math.log10(gain_q8 / GAIN_ONE_Q8)


@dataclass(frozen=True)
class Readings:
    """Live numbers of the board, one every 30 ms; each array of shape (n,), in the protocol's units."""

    ms: Ints
    lvl: Ints
    score: Ints
    peak: Ints
    clip: Ints

    def __len__(self) -> int:
        return len(self.ms)

    @property
    def span_ms(self) -> int:
        """Board time from the first reading to the last."""
        return int(self.ms[-1] - self.ms[0]) if len(self) else 0

    def after(self, skip_ms: int) -> Readings:
        """The readings without those of the first `skip_ms`."""
        if not len(self):
            return self
        settled = self.ms >= self.ms[0] + skip_ms
        return Readings(*(getattr(self, name)[settled] for name in NAMES))


def readings(lines: Sequence[Mapping[str, Any]]) -> Readings:
    """Arrays of `tm` bodies; a number that is missing counts as 0."""
    columns = (np.array([int(line.get(name, 0)) for line in lines], dtype=np.int64) for name in NAMES)
    return Readings(*columns)


def per_second(values: Ints, ms: Ints) -> list[float]:
    """The median of each second of readings; a last part of less than half a second is left out."""
    if not len(ms):
        return []
    second = (ms - ms[0]) // 1000
    full_seconds = range(int(second[-1]) + (ms[-1] - ms[0] - 1000 * second[-1] >= 500 or second[-1] == 0))
    return [float(np.median(values[second == number])) for number in full_seconds if np.any(second == number)]
