# SPDX-License-Identifier: MIT
"""Three named sensitivity levels: the cutoff of each, from the owner's trials and published figures."""

from __future__ import annotations

from dataclasses import dataclass

from earlid.accuracy.curve import Curve, OperatingPoint
from earlid.calibrate.choices import TARGETS_PER_H
from earlid.calibrate.priors import Prior

CUTOFF_LOWEST = 128  # below one half nothing published was ever measured
CUTOFF_HIGHEST = 254
NEAR_MISS_BELOW = 0.6  # of the cutoff: worth a record, far from an opening


@dataclass(frozen=True)
class Level:
    """A named cutoff. `own`: what the trials alone say. `expected_per_h`: with the published figures weighed in."""

    name: str
    cutoff_q8: int
    own: OperatingPoint
    expected_per_h: float
    prior_weight: float  # share of the published figures in `expected_per_h`, 0 to 1
    live_s_per_opening: float

    @property
    def near_miss_q8(self) -> int:
        return max(1, round(self.cutoff_q8 * NEAR_MISS_BELOW))

    @property
    def live_s_per_day(self) -> float:
        """Seconds of live microphone that false openings cost in 24 hours such as those listened to, at most."""
        return self.expected_per_h * 24 * self.live_s_per_opening


def expected_per_h(curve: Curve, prior: Prior, cutoff_q8: int) -> tuple[float, float]:
    """(False openings per hour, share of the prior in it): own events and hours and the prior's are added up.

    That is the mean of the gamma distribution which the prior's becomes after one's own hours.
    """
    own = int(curve.false_openings[cutoff_q8])
    hours = prior.hours + curve.hours
    return (prior.rate_per_h(cutoff_q8) * prior.hours + own) / hours, prior.hours / hours


def choose_levels(curve: Curve, prior: Prior, open_ms: int) -> list[Level]:
    """The three levels, `careful` first; each the lowest cutoff whose expected false openings are within its target.

    Args:
        curve: own trials; may be empty.
        prior: published figures.
        open_ms: how long an opening lasts at most, the cost of a false one.
    """
    levels = []
    for name in TARGETS_PER_H:
        cutoff = CUTOFF_HIGHEST
        for candidate in range(CUTOFF_LOWEST, CUTOFF_HIGHEST + 1):
            if expected_per_h(curve, prior, candidate)[0] <= TARGETS_PER_H[name]:
                cutoff = candidate
                break
        expected, weight = expected_per_h(curve, prior, cutoff)
        levels.append(Level(name, cutoff, curve.at(cutoff), expected, weight, open_ms / 1000))
    return levels
