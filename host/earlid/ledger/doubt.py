# SPDX-License-Identifier: MIT
"""How likely an opening was not meant: "was it me?" asks about the likeliest first. No input or output but the time zone.

There is no model behind it, only signs that add up, in percent. Labels are none of them, so an answer moves no other question.
"""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from earlid.ledger.queries import Opening

CHECK_PERCENT = 40  # from here on an opening is one to check
# In the order of the bits of `Doubt.signs`.
SIGNS = (
    "score near the cutoff",
    "at an unusual hour",
    "no speech after it",
    "others within two minutes",
    "closed at once by hand",
)
_NEAR, _HOUR, _SILENT, _CLUSTER, _BY_HAND = (1 << bit for bit in range(len(SIGNS)))
_NEAR_SHARE = 0.4  # of the way from the cutoff to 255
_WEIGHTS = {_NEAR: 60, _HOUR: 25, _SILENT: 25, _CLUSTER: 20, _BY_HAND: 40}  # of a score at the cutoff itself, all of _NEAR's
_SILENT_MS = 4000  # the lid waits for speech for 2.5 s (`silence_ms`), and for the rail
_BY_HAND_MS = 4000
_CLUSTER_MS = 120_000
_USUAL_FROM = 20  # openings of a board: fewer tell no habit
_UNUSUAL_SHARE = 0.02  # of them, in an hour and its neighbours


class Doubt(NamedTuple):
    """`percent`: 0 (meant) to 100; `signs`: bits, see SIGNS."""

    percent: int
    signs: int

    @property
    def words(self) -> list[str]:
        """The signs in words."""
        return [word for bit, word in enumerate(SIGNS) if self.signs >> bit & 1]


class Habits:
    """At which hours of the day each board is opened by the word.

    Args:
        moments: (board, Unix ms) of such openings.
    """

    def __init__(self, moments: Iterable[tuple[str, int]]) -> None:
        self._hours: dict[str, Counter[int]] = defaultdict(Counter)
        for board, wall_ms in moments:
            self._hours[board][datetime.fromtimestamp(wall_ms / 1000).hour] += 1

    def unusual(self, board: str, wall_ms: int) -> bool:
        """Whether this board is hardly ever opened at such an hour."""
        hours = self._hours[board]
        hour = datetime.fromtimestamp(wall_ms / 1000).hour
        near = sum(hours[(hour + by) % 24] for by in (-1, 0, 1))
        return hours.total() >= _USUAL_FROM and near <= max(2, _UNUSUAL_SHARE * hours.total())  # it is one of them itself


def doubts(openings: Sequence[Opening], habits: Habits) -> list[Doubt]:
    """One for each opening; those not by the word are beyond doubt."""
    starts: dict[str, list[int]] = defaultdict(list)
    for opening in openings:
        if opening.reason == "word":
            starts[opening.board].append(opening.start_ms)
    for times in starts.values():
        times.sort()
    return [_doubt(opening, starts[opening.board], habits) for opening in openings]


def _doubt(opening: Opening, starts: Sequence[int], habits: Habits) -> Doubt:
    if opening.reason != "word" or opening.outside:
        return Doubt(0, 0)
    margin = (opening.score - opening.cutoff) / max(1, 255 - opening.cutoff)
    near = max(0.0, min(1.0, 1 - margin / _NEAR_SHARE))
    signs = _NEAR if near > 0 else 0
    if opening.unc_ms < 3_600_000 and habits.unusual(opening.board, opening.start_ms):
        signs |= _HOUR
    if opening.ended == "silence" and opening.least_ms <= _SILENT_MS:
        signs |= _SILENT
    at = opening.start_ms
    if bisect_right(starts, at + _CLUSTER_MS) - bisect_left(starts, at - _CLUSTER_MS) > 1:
        signs |= _CLUSTER
    if opening.ended in ("button", "host", "mute") and opening.least_ms <= _BY_HAND_MS:
        signs |= _BY_HAND
    percent = near * _WEIGHTS[_NEAR] + sum(weight for sign, weight in _WEIGHTS.items() if sign != _NEAR and signs & sign)
    return Doubt(min(100, round(percent)), signs)
