# SPDX-License-Identifier: MIT
"""Counts what engines said: words missed, false openings, delays, for any cutoff on an engine's own scale. Pure.

As `earlid evaluate` counts (host/earlid/evaluate/README.md): a word is found from its start to one second after its end; after a
false opening none counts for a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from earlid.accuracy.curve import REFRACTORY_MS
from earlid.accuracy.intervals import Interval, binomial, poisson
from numpy.typing import NDArray

from tests.bench.detection.peers import Scores

AFTER_MS = 1000  # a detection counts for a word until so long after its end

Steps = list[tuple[int, float]]  # (time, value) wherever a new highest value is reached


@dataclass(frozen=True)
class Counts:
    """What one engine did in one condition.

    words: for each, when it reached which height. events: for each stream without the word, (time, value) in order.
    ends_ms: of each word, where its sound ends, in the same times; hours: without the word.
    """

    words: list[Steps] = field(default_factory=list)
    ends_ms: list[int] = field(default_factory=list)
    events: list[Steps] = field(default_factory=list)
    hours: float = 0.0
    audio_s: float = 0.0
    cpu_s: float = 0.0

    def misses(self, cutoff: float) -> int:
        """Words never above a cutoff."""
        return sum(not any(value > cutoff for _, value in steps) for steps in self.words)

    def missed(self, cutoff: float) -> Interval:
        return binomial(self.misses(cutoff), len(self.words))

    def fired(self, cutoff: float) -> Interval:
        """The share that opened: of words that are near words."""
        return binomial(len(self.words) - self.misses(cutoff), len(self.words))

    def openings(self, cutoff: float) -> int:
        """False openings of all streams."""
        return sum(openings(events, cutoff) for events in self.events)

    def openings_per_h(self, cutoff: float) -> Interval:
        return poisson(self.openings(cutoff), self.hours)

    def delays_ms(self, cutoff: float) -> list[int]:
        """From the end of each word's sound to its opening; negative when it opened before."""
        delays = []
        for steps, end_ms in zip(self.words, self.ends_ms, strict=True):
            opened = next((t_ms for t_ms, value in steps if value > cutoff), None)
            if opened is not None:
                delays.append(opened - end_ms)
        return delays


def total(parts: Iterable[Counts]) -> Counts:
    """Counts of several conditions together."""
    parts = list(parts)
    return Counts(
        [word for part in parts for word in part.words], [end for part in parts for end in part.ends_ms],
        [events for part in parts for events in part.events], sum(part.hours for part in parts),
        sum(part.audio_s for part in parts), sum(part.cpu_s for part in parts),
    )  # fmt: skip


def word_steps(scores: Scores, start_ms: int, end_ms: int) -> Steps:
    """Where the score rose to a new height within a word's time."""
    inside = (scores.t_ms > start_ms) & (scores.t_ms <= end_ms + AFTER_MS)
    return rising(scores.t_ms[inside], scores.values[inside])


def rising(t_ms: NDArray[np.int64], values: NDArray[np.float64]) -> Steps:
    """(time, value) of each value above all before."""
    steps: Steps = []
    for at_ms, value in zip(t_ms.tolist(), values.tolist(), strict=True):
        if not steps or value > steps[-1][1]:
            steps.append((at_ms, round(value, 6)))
    return steps


def opening_events(scores: Scores, floor: float) -> Steps:
    """Every (time, value) above a floor."""
    above = scores.values > floor
    return [(t, round(v, 6)) for t, v in zip(scores.t_ms[above].tolist(), scores.values[above].tolist(), strict=True)]


def openings(events: Steps, cutoff: float, refractory_ms: int = REFRACTORY_MS) -> int:
    """How often a cutoff opens: then not for a while, then again."""
    count, free_ms = 0, -1
    for t_ms, value in events:
        if value > cutoff and t_ms >= free_ms:
            count += 1
            free_ms = t_ms + refractory_ms
    return count


def cutoff_at(counts: Counts, per_h: float, floor: float) -> float:
    """The lowest cutoff with at most so many false openings an hour, as counted.

    Openings only get fewer as a cutoff rises (taking the first of each second takes as many as can be taken), so that the
    search may halve.
    """
    values = np.unique([floor, *(value for events in counts.events for _, value in events)])
    low, high = 0, len(values) - 1
    while low < high:
        middle = (low + high) // 2
        if counts.openings(float(values[middle])) <= per_h * counts.hours:
            high = middle
        else:
            low = middle + 1
    return float(values[low])


def median_and_90(delays_ms: Sequence[int]) -> tuple[float, float]:
    """Median, and what nine of ten stay under."""
    if not delays_ms:
        return float("nan"), float("nan")
    return float(np.median(delays_ms)), float(np.percentile(delays_ms, 90))
