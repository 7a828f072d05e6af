# SPDX-License-Identifier: MIT
"""How long the rest of a training takes: what its stages took elsewhere, corrected by what they take here. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

PRIOR_S = 60.0  # for so many expected seconds, this computer is taken to be as fast as the one that the figures are of
KNOWN_SHARE = 0.05  # of a stage, before its own speed counts
UNKNOWN = 0.4  # by such a share may a stage that has not begun take more or less
MEASURED = 0.15  # and the rest of one that runs
SETTLES_S = 15.0  # what is shown moves to what is computed in about such a time


class Remaining:
    """The remaining time of several stages.

    Args:
        expected_s: of each stage that is to run, in their order, on the computer that the figures are of.
    """

    def __init__(self, expected_s: Mapping[str, float]) -> None:
        self._ahead = dict(expected_s)
        self._running, self._began_s, self._done = "", 0.0, 0.0
        self._before: float | None = None  # the running stage's share that an earlier run had done
        self._expected_done_s = self._took_s = PRIOR_S
        self._shown_s: float | None = None
        self._shown_at_s = 0.0

    def begin(self, stage: str, at_s: float) -> None:
        """A stage begins; the one before it has ended, or was done already."""
        self._end(at_s)
        self._running, self._began_s, self._done, self._before = stage, at_s, 0.0, None

    def advance(self, share: float) -> None:
        """So much of the running stage is done, 0 to 1; what is told first was done by an earlier run."""
        self._done = min(1.0, max(self._done, share))
        if self._before is None:
            self._before = self._done

    @property
    def _now(self) -> float:
        """The running stage's share that this run has done, which alone tells of this computer."""
        return self._done - (self._before or 0.0)

    def _end(self, at_s: float) -> None:
        expected_s = self._ahead.pop(self._running, 0.0)
        if self._now > 0:
            self._expected_done_s += expected_s * self._now
            self._took_s += at_s - self._began_s

    def range_s(self, at_s: float) -> tuple[float, float]:
        """The least and the most that the rest will take, in seconds."""
        ran_s, running_s = at_s - self._began_s, self._ahead.get(self._running, 0.0) * self._now
        pace = (self._took_s + ran_s) / (self._expected_done_s + running_s) if running_s else self._took_s / self._expected_done_s
        least = most = 0.0
        for stage, expected_s in self._ahead.items():
            rest_s, doubt = expected_s * pace, UNKNOWN
            if stage == self._running:
                rest_s *= 1 - self._done
                if self._now >= KNOWN_SHARE:
                    measured_s = ran_s * (1 - self._done) / self._now
                    known = min(1.0, self._now * 4)
                    rest_s, doubt = rest_s + (measured_s - rest_s) * known, UNKNOWN + (MEASURED - UNKNOWN) * known
            least += rest_s * (1 - doubt)
            most += rest_s * (1 + doubt)
        middle_s = self._settled((least + most) / 2, at_s)
        half_s = (most - least) / 2
        return max(0.0, middle_s - half_s), middle_s + half_s

    def _settled(self, computed_s: float, at_s: float) -> float:
        """What is shown: it goes down with the clock, and only slowly to what is computed."""
        if self._shown_s is None:
            self._shown_s = computed_s
        else:
            passed_s = at_s - self._shown_at_s
            counted_s = max(0.0, self._shown_s - passed_s)
            self._shown_s = counted_s + (computed_s - counted_s) * (1 - math.exp(-passed_s / SETTLES_S))
        self._shown_at_s = at_s
        return self._shown_s


def range_text(least_s: float, most_s: float) -> str:
    """A span of time for people: `25 to 40 min`, `about 3 min`, `less than a minute`."""
    if most_s < 60:
        return "less than a minute"
    least, most = max(1, round(least_s / 60)), math.ceil(most_s / 60)
    return f"{least} to {most} min" if most > least + 1 else f"about {most} min"
