# SPDX-License-Identifier: MIT
"""The one notation of a score, for the command line; page/static/base.js has the same."""

from __future__ import annotations


def score_text(score: int, cutoff: int, flags: int = 0) -> str:
    """A score of the gate, 0 to 255, beside the cutoff that it had to exceed: `212 of 255, cutoff 190`.

    Args:
        score: of the gate.
        cutoff: that it had to exceed.
        flags: of the record, which tell whether the word's look decided; without, microWakeWord's own mean did.
    """
    from lid import record

    return f"{score} of 255, cutoff {cutoff}{', look' if flags & record.LOOK else ''}"
