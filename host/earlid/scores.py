# SPDX-License-Identifier: MIT
"""The one notation of a score, for the command line; page/static/base.js has the same."""

from __future__ import annotations


def score_text(score: int, cutoff: int) -> str:
    """A score of the gate, 0 to 255, beside the cutoff that it had to exceed: `212 of 255, cutoff 190`."""
    return f"{score} of 255, cutoff {cutoff}"
