# SPDX-License-Identifier: MIT
"""Trials of the wake word, and background sound without it: scores, latencies, false openings. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from earlid.accuracy.curve import Curve, misses_by_cutoff, openings_by_cutoff
from earlid.calibrate.readings import Readings

ONSET_ABOVE_Q8 = 512  # a hop this far above the room begins the word
ROOM_SHARE = 0.1  # of a window, its quietest: the room, before and after the word


@dataclass(frozen=True)
class Trial:
    """One time the word was said. `latency_ms`: from its first sound to the score above the cutoff; None when missed."""

    peak: int
    latency_ms: int | None
    heard_sound: bool


def judge_trial(window: Readings, cutoff_q8: int) -> Trial:
    """What came of one window in which the word was to be said.

    Args:
        window: live numbers from the prompt on.
        cutoff_q8: the cutoff in force, of 255.
    """
    loud = np.flatnonzero(window.lvl > np.quantile(window.lvl, ROOM_SHARE) + ONSET_ABOVE_Q8) if len(window) else window.lvl
    above = np.flatnonzero(window.score > cutoff_q8)
    latency = None
    if len(loud) and len(above) and above[0] >= loud[0]:
        latency = int(window.ms[above[0]] - window.ms[loud[0]])
    return Trial(int(window.score.max()) if len(window) else 0, latency, bool(len(loud)))


class BackgroundSound:
    """False openings of every cutoff, counted as the sound goes by; a night costs no more memory than a minute."""

    CHUNK_MS = 60_000

    def __init__(self, counts: Sequence[int] = (), milliseconds: int = 0) -> None:
        self.counts = np.zeros(256, dtype=np.int64)
        self.counts[: len(counts)] += np.asarray(counts, dtype=np.int64)
        self.milliseconds = milliseconds

    @property
    def hours(self) -> float:
        return self.milliseconds / 3_600_000

    def add(self, heard: Readings) -> None:
        """Count one more stretch; an opening across the border of two may count twice, never not at all."""
        self.counts += openings_by_cutoff(heard.ms, heard.score)
        self.milliseconds += heard.span_ms


def curve(trials: Sequence[Trial], ordinary: BackgroundSound) -> Curve:
    """The curve of the trials. A window without sound is no trial: nobody spoke."""
    peaks = [trial.peak for trial in trials if trial.heard_sound]
    return Curve(misses_by_cutoff(peaks), len(peaks), ordinary.counts, ordinary.hours)
