# SPDX-License-Identifier: MIT
"""Sums of results: curves, words missed and false openings. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earlid.accuracy.curve import CUTOFFS, Curve, misses_by_cutoff, point_json, points_at_rates

Result = dict[str, Any]


@dataclass
class ConditionResult:
    """One condition. `hours`: of each kind of recording without the word."""

    condition: str
    curve: Curve
    hours: dict[str, float] = field(default_factory=dict)
    missed_names: dict[int, list[str]] = field(default_factory=dict)


@dataclass
class EvaluationTotals:
    """The whole evaluation: `cpu_s` and `run_s` of audio, over all conditions."""

    sides: list[ConditionResult]
    audio_s: float
    cpu_s: float
    broken: list[tuple[str, str]]  # recordings that were left out, and why
    ignored: list[str] = field(default_factory=list)  # files that are none


def sum_results(results: Iterable[Result], cutoffs: Iterable[int] = ()) -> EvaluationTotals:
    """Totals of results, in the order in which conditions first come.

    Args:
        results: of `measure.run_task`.
        cutoffs: for these, the names of the words missed are kept.
    """
    order: dict[str, list[Result]] = {}
    broken: dict[str, str] = {}
    audio_s = cpu_s = 0.0
    for result in results:
        order.setdefault(result["condition"], []).append(result)
        broken.update(dict(result["broken"]))
        audio_s += result["audio_s"]
        cpu_s += result["cpu_s"]
    named_cutoffs = list(cutoffs)
    sides = [_condition_result(condition, of_condition, named_cutoffs) for condition, of_condition in order.items()]
    return EvaluationTotals(sides, audio_s, cpu_s, sorted(broken.items()))


def _condition_result(condition: str, results: list[Result], cutoffs: list[int]) -> ConditionResult:
    peaks: list[int] = []
    events: NDArray[np.int64] = np.zeros(CUTOFFS, dtype=np.int64)
    side = ConditionResult(condition, Curve(events, 0, events, 0.0))
    hours = 0.0
    for result in results:
        if result["role"] == "positive":
            peaks += [peak for _, peak in result["trials"]]
            for cutoff in cutoffs:
                missed = [name for name, peak in result["trials"] if peak <= cutoff]
                side.missed_names.setdefault(cutoff, []).extend(missed)
        else:
            counts = result["events"]
            events[: len(counts)] += np.asarray(counts, dtype=np.int64)
            hours += result["audio_s"] / 3600
            side.hours[result["kind"]] = side.hours.get(result["kind"], 0.0) + result["audio_s"] / 3600
    side.curve = Curve(misses_by_cutoff(peaks), len(peaks), events, hours)
    return side


def to_json(totals: EvaluationTotals, cutoff_q8: int) -> dict[str, Any]:
    """Plain values; shares of 1, hours, seconds. `cutoff_q8`: the one in force."""
    return {
        "sides": [
            {
                "condition": side.condition,
                "in_force": point_json(side.curve.at(cutoff_q8)),
                "at_rates": {f"{rate:g}": point_json(point) for rate, point in points_at_rates(side.curve)},
                "missed_words": side.missed_names.get(cutoff_q8, []),
                "hours": {kind: round(hours, 4) for kind, hours in sorted(side.hours.items())},
            }
            for side in totals.sides
        ],
        "audio_hours": round(totals.audio_s / 3600, 4),
        "cpu_s": round(totals.cpu_s, 2),
        "broken": [{"file": name, "why": why} for name, why in totals.broken], "ignored": totals.ignored,
    }  # fmt: skip
