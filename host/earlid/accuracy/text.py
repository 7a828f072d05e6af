# SPDX-License-Identifier: MIT
"""Figures of accuracy as text for people: words missed, false openings per hour, each with its interval."""

from __future__ import annotations

from earlid.accuracy.curve import OperatingPoint


def missed_text(point: OperatingPoint) -> str:
    """Words missed, with the exact interval."""
    if not point.trials:
        return "not tried"
    missed = point.missed
    return f"{point.misses} of {point.trials} ({missed.low:.0%} to {missed.high:.0%})"


def false_text(point: OperatingPoint) -> str:
    """False openings per hour, with the exact interval."""
    if not point.hours:
        return "not tried"
    rate = point.false_per_h
    span = f"{rate_text(rate.low)} to {rate_text(rate.high)}" if rate.low else f"up to {rate_text(rate.high)}"
    return f"{point.false_openings} in {hours_text(point.hours)} ({span} an hour)"


def rate_text(per_h: float) -> str:
    """A rate to two digits, never as a power of ten."""
    return f"{per_h:.0f}" if per_h >= 10 else f"{per_h:.2g}"


def hours_text(hours: float) -> str:
    """A length of time in the unit that suits it: seconds, minutes or hours."""
    if hours < 2 / 60:
        return f"{hours * 3600:.0f} s"
    return f"{hours * 60:.0f} min" if hours < 2 else f"{hours:.1f} h"
