# SPDX-License-Identifier: MIT
"""Exact confidence intervals of shares and rates, also for few trials."""

from __future__ import annotations

from typing import NamedTuple

from scipy import special

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """An estimate and the two-sided interval around it."""

    value: float
    low: float
    high: float


def binomial(events: int, trials: int, confidence: float = CONFIDENCE) -> Interval:
    """The share of trials in which something happens, after Clopper and Pearson (1934).

    Args:
        events: how often it happened, 0 to trials.
        trials: how often it could have; 0 knows nothing: the interval is 0 to 1.

    Returns:
        Shares from 0 to 1; the interval covers the truth at least as often as `confidence` says.

    Raises:
        ValueError: impossible counts.
    """
    _check(events, confidence)
    if events > trials:
        raise ValueError(f"{events} events in {trials} trials")
    if trials == 0:
        return Interval(float("nan"), 0.0, 1.0)
    tail = (1 - confidence) / 2
    low = float(special.betaincinv(events, trials - events + 1, tail)) if events else 0.0
    high = float(special.betaincinv(events + 1, trials - events, 1 - tail)) if events < trials else 1.0
    return Interval(events / trials, low, high)


def poisson(events: int, hours: float, confidence: float = CONFIDENCE) -> Interval:
    """The rate of rare events, after Garwood (1936).

    Args:
        events: how many there were.
        hours: how long one listened; 0 knows nothing: the interval is 0 to infinity.

    Returns:
        Events per hour; the interval covers the truth at least as often as `confidence` says.

    Raises:
        ValueError: a negative count or time.
    """
    _check(events, confidence)
    if hours < 0:
        raise ValueError(f"{hours} hours")
    if hours == 0:
        return Interval(float("nan"), 0.0, float("inf"))
    tail = (1 - confidence) / 2
    low = float(special.gammaincinv(events, tail)) if events else 0.0
    high = float(special.gammaincinv(events + 1, 1 - tail))
    return Interval(events / hours, low / hours, high / hours)


def _check(events: int, confidence: float) -> None:
    if events < 0 or not 0 < confidence < 1:
        raise ValueError(f"{events} events, confidence {confidence}")
