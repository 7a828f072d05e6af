# SPDX-License-Identifier: MIT
"""Asking: when a port is asked whether an Earlid stands there. Other people's devices are left in peace.

A port is asked once when it is plugged in, for so long that a board which starts meanwhile is heard. If nothing answers, only a
port that somebody named, or whose adapter the ledger knows a board by, is asked again: after minutes. Where a board answered
before, it is looked for at once, and then less and less often.
"""

from __future__ import annotations

from typing import NamedTuple

MINUTES_S = (300.0, 600.0)


class Ask(NamedTuple):
    """One asking: when requests go out, in seconds from the opening of the port, and how long it is held for an answer."""

    requests_s: tuple[float, ...]
    listen_s: float


FIRST = Ask((0.0, 1.0, 5.0), 6.5)
AGAIN = Ask((0.0,), 1.2)  # 4 requests of 45 bytes in 10 minutes
ANSWERED = Ask((0.0, 0.6), 1.5)


class Asking:
    """What is known of one port since it was plugged in.

    Args:
        soon_s: the first waits where a board answered before.
    """

    def __init__(self, soon_s: tuple[float, ...]) -> None:
        self._soon_s = soon_s
        self._answered = False
        self.answers = False
        """Whether a board answered when it was asked last."""
        self._silences = 0  # since the last answer

    def next(self) -> Ask:
        """How to ask now."""
        self.answers = False
        return ANSWERED if self._answered else AGAIN if self._silences else FIRST

    def answered(self) -> None:
        """A board was there, and said who it is."""
        self._answered, self.answers, self._silences = True, True, 0

    def silent(self, known: bool) -> float | None:
        """Nothing answered.

        Args:
            known: a board is expected there.

        Returns:
            Seconds until the port may be asked again; None for not until it is plugged in anew.
        """
        self.answers = False
        if not (known or self._answered):
            return None
        waits_s = (*self._soon_s, 60.0, *MINUTES_S) if self._answered else MINUTES_S
        wait_s = waits_s[min(self._silences, len(waits_s) - 1)]
        self._silences += 1
        return wait_s
