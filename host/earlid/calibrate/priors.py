# SPDX-License-Identifier: MIT
"""Prior rates of false openings, as published for the same networks: they count while one's own trials are few.

Figures, not measurements of ours. Sources: microWakeWord's read-me of 2024 (misses on synthetic speech, false accepts
on dinner-party recordings, DiPCo, and over Picovoice's background) and the cutoffs that Home Assistant's Voice PE ships
(2025, DiPCo). DiPCo is 5.33 hours of people talking at table: harder than a home over a day, and few events in it.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

README = "microWakeWord read-me, 2024"
VOICE_PE = "Voice PE firmware, 2025"
LEAST_PER_H = 0.5 / 5.33  # a published 0.000 is half an event in DiPCo's hours
GENERIC_PER_H = 0.5
OWN_WORDS_ENOUGH = 20
OWN_HOURS_ENOUGH = 8.0
GENERIC_SLOPE = -0.7  # log rate per unit of log-odds of the cutoff: the flattest of the published pairs
WEIGHT_H = 2.0  # of own listening: another room, other people, few events
GENERIC_WEIGHT_H = 0.5


@dataclass(frozen=True)
class Published:
    """One published operating point: false accepts per hour (the worse set where there are two); `missed` a share."""

    cutoff_q8: int
    per_h: float
    missed: float | None
    source: str


PUBLISHED: dict[str, tuple[Published, ...]] = {
    "okay_nabu": (
        Published(143, 0.751, None, VOICE_PE),
        Published(176, 0.376, None, VOICE_PE),
        Published(217, 0.0, None, VOICE_PE),
        Published(128, 0.187, 0.02, README),
    ),
    "hey_jarvis": (
        Published(212, 1.502, None, VOICE_PE),
        Published(235, 0.939, None, VOICE_PE),
        Published(247, 0.563, None, VOICE_PE),
        Published(128, 0.375, 0.0067, README),
    ),
    "hey_mycroft": (
        Published(237, 1.878, None, VOICE_PE),
        Published(242, 1.502, None, VOICE_PE),
        Published(253, 0.567, None, VOICE_PE),
    ),
    "alexa": (Published(168, 0.486, 0.0349, README),),
}


@dataclass(frozen=True)
class Prior:
    """The prior of a network: its rate of false openings before its owner tried it.

    `hours`: how many hours of own listening the published rate weighs as much as. `missed`: None when nobody told.
    """

    anchors: tuple[tuple[float, float], ...]  # (log-odds of the cutoff, log of false openings per hour), ascending
    hours: float
    missed: float | None
    sources: tuple[str, ...]

    def rate_per_h(self, cutoff_q8: int) -> float:
        """False openings per hour to expect at a cutoff: straight lines between the published points, in log-odds."""
        x = log_odds(cutoff_q8)
        points = self.anchors
        if len(points) == 1 or x < points[0][0]:
            at, slope = points[0], GENERIC_SLOPE
            return math.exp(at[1] + slope * (x - at[0]))
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            if x <= x1:
                return math.exp(y0 + (y1 - y0) * (x - x0) / (x1 - x0))
        return math.exp(points[-1][1] + GENERIC_SLOPE * (x - points[-1][0]))


def log_odds(cutoff_q8: int) -> float:
    """Cutoff (of 255) as log-odds; the ends are kept finite."""
    share = (min(max(cutoff_q8, 0), 255) + 0.5) / 256
    return math.log(share / (1 - share))


def prior_for(model: str, own_cutoff_q8: int) -> Prior:
    """The prior of a network.

    Args:
        model: the name of a published network; any other gets the generic one.
        own_cutoff_q8: the cutoff that its manifest recommends, of 255.
    """
    published = PUBLISHED.get(model, ())
    levels = sorted((p for p in published if p.source == VOICE_PE), key=lambda p: p.cutoff_q8) or list(published)
    if not levels:
        # No figures at all: that its maker recommends a cutoff says that about one false opening in two hours was fine.
        return Prior(((log_odds(own_cutoff_q8), math.log(GENERIC_PER_H)),), GENERIC_WEIGHT_H, None, ())
    anchors = tuple((log_odds(p.cutoff_q8), math.log(max(p.per_h, LEAST_PER_H))) for p in levels)
    missed = next((p.missed for p in published if p.missed is not None), None)
    return Prior(anchors, WEIGHT_H, missed, tuple(dict.fromkeys(p.source for p in published)))
