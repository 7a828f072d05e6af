# SPDX-License-Identifier: MIT
"""Detection error trade-off: words missed against false openings per hour, for every cutoff at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earlid.accuracy.intervals import CONFIDENCE, Interval, binomial, poisson

CUTOFFS = 256  # a cutoff of c opens on a mean score above c, so 255 never opens
REFRACTORY_MS = 1000
RATES_PER_H = (0.1, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class OperatingPoint:
    """One cutoff: its share of words missed and its false openings per hour, each with its interval."""

    cutoff_q8: int
    misses: int
    trials: int
    false_openings: int
    hours: float

    @property
    def missed(self) -> Interval:
        return binomial(self.misses, self.trials)

    @property
    def false_per_h(self) -> Interval:
        return poisson(self.false_openings, self.hours)


@dataclass(frozen=True)
class Curve:
    """Counts for cutoffs 0 to 255: `misses[c]` of `trials` words, `false_openings[c]` in `hours`."""

    misses: NDArray[np.int64]
    trials: int
    false_openings: NDArray[np.int64]
    hours: float

    def at(self, cutoff_q8: int) -> OperatingPoint:
        """What one cutoff (0 to 255) does."""
        return OperatingPoint(
            cutoff_q8, int(self.misses[cutoff_q8]), self.trials, int(self.false_openings[cutoff_q8]), self.hours
        )

    def at_rate(self, per_h: float) -> OperatingPoint:
        """The lowest cutoff with at most so many false openings per hour, as counted; its interval tells how sure."""
        within = np.flatnonzero(self.false_openings <= per_h * self.hours)
        return self.at(int(within[0]))


def misses_by_cutoff(peaks: Iterable[int]) -> NDArray[np.int64]:
    """How many words each cutoff misses.

    Args:
        peaks: the highest score during each word (ceiling of the mean, 0 to 255).

    Returns:
        int64 array of shape (256,): a word is missed at the cutoffs from its peak on.
    """
    at = np.bincount(np.asarray(list(peaks), dtype=np.int64), minlength=CUTOFFS)
    if len(at) > CUTOFFS:
        raise ValueError("a score is above 255")
    return np.cumsum(at)


def openings_by_cutoff(
    times_ms: NDArray[np.int64] | Sequence[int],
    scores: NDArray[np.integer] | Sequence[int],
    refractory_ms: int = REFRACTORY_MS,
) -> NDArray[np.int64]:
    """How often each cutoff opens over a stretch of scores: an opening, then none for a while, then the next.

    Args:
        times_ms: when each score was, ascending, shape (n,).
        scores: ceilings of the mean score, 0 to 255, shape (n,).
        refractory_ms: how long after an opening none is counted.

    Returns:
        int64 array of shape (256,).
    """
    times = np.asarray(times_ms, dtype=np.int64)
    values = np.asarray(scores, dtype=np.int64)
    if len(times) != len(values):
        raise ValueError(f"{len(times)} times, {len(values)} scores")
    counts = np.zeros(CUTOFFS, dtype=np.int64)
    loud = values > 0
    times, values = times[loud], values[loud]
    highest = int(values.max()) if len(values) else 0
    before: NDArray[np.int64] | None = None
    for cutoff in range(highest):
        above = times[values > cutoff]
        if before is not None and len(above) == len(before):
            counts[cutoff] = counts[cutoff - 1]
            continue
        before = above
        at = 0
        while at < len(above):
            counts[cutoff] += 1
            at = int(np.searchsorted(above, above[at] + refractory_ms, side="left"))
    return counts


def points_at_rates(curve: Curve, rates_per_h: Sequence[float] = RATES_PER_H) -> list[tuple[float, OperatingPoint]]:
    """The points of a curve at the rates that people compare."""
    return [(rate, curve.at_rate(rate)) for rate in rates_per_h]


def point_json(point: OperatingPoint) -> dict[str, float | int | list[float] | None]:
    """A point as plain values: shares of 1, rates per hour, 95 % intervals (null where nothing is known)."""
    missed, rate = point.missed, point.false_per_h
    return {
        "cutoff": point.cutoff_q8,
        "misses": point.misses,
        "trials": point.trials,
        "missed": _known(missed.value),
        "missed_interval": [missed.low, missed.high],
        "false_openings": point.false_openings,
        "hours": point.hours,
        "false_per_hour": _known(rate.value),
        "false_per_hour_interval": [rate.low, rate.high] if point.hours else None,
        "confidence": CONFIDENCE,
    }


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
