# SPDX-License-Identifier: MIT
"""Sums of results: curves, words missed, false openings, and the share of time the energy gate let the network rest. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earlid.accuracy.curve import CUTOFFS, Curve, misses_by_cutoff, point_json, points_at_rates

Result = dict[str, Any]


@dataclass
class NetworkShare:
    """How long one kind of recording was, and for how much of it the network ran."""

    hours: float = 0.0
    hops: int = 0
    network_hops: int = 0

    @property
    def skipped(self) -> float:
        """Share of time in which the network did not have to run, 0 to 1."""
        return 1 - self.network_hops / self.hops if self.hops else 0.0

    def add(self, result: Result) -> None:
        self.hours += result["audio_s"] / 3600
        self.hops += result["hops"]
        self.network_hops += min(result["hops"], result["inferences"] * result["stride"])


@dataclass
class ConditionResult:
    """One condition under one setting of the energy gate."""

    condition: str
    gate: str
    curve: Curve
    kinds: dict[str, NetworkShare] = field(default_factory=dict)
    words: NetworkShare = field(default_factory=NetworkShare)
    missed_names: dict[int, list[str]] = field(default_factory=dict)


@dataclass
class EvaluationTotals:
    """The whole evaluation: `cpu_s` and `run_s` of audio, over all conditions and settings."""

    sides: list[ConditionResult]
    audio_s: float
    cpu_s: float
    broken: list[tuple[str, str]]  # recordings that were left out, and why
    ignored: list[str] = field(default_factory=list)  # files that are none

    def result_of(self, condition: str, gate: str) -> ConditionResult | None:
        return next((side for side in self.sides if (side.condition, side.gate) == (condition, gate)), None)


def sum_results(results: Iterable[Result], cutoffs: Iterable[int] = ()) -> EvaluationTotals:
    """Totals of results, in the order in which conditions and gates first come.

    Args:
        results: of `measure.run_task`.
        cutoffs: for these, the names of the words missed are kept.
    """
    order: dict[tuple[str, str], list[Result]] = {}
    broken: dict[str, str] = {}
    audio_s = cpu_s = 0.0
    for result in results:
        order.setdefault((result["condition"], result["gate"]["name"]), []).append(result)
        broken.update(dict(result["broken"]))
        audio_s += result["audio_s"]
        cpu_s += result["cpu_s"]
    named_cutoffs = list(cutoffs)
    sides = [_condition_result(condition, gate, of_condition, named_cutoffs) for (condition, gate), of_condition in order.items()]
    return EvaluationTotals(sides, audio_s, cpu_s, sorted(broken.items()))


def _condition_result(condition: str, gate: str, results: list[Result], cutoffs: list[int]) -> ConditionResult:
    peaks: list[int] = []
    events: NDArray[np.int64] = np.zeros(CUTOFFS, dtype=np.int64)
    side = ConditionResult(condition, gate, Curve(events, 0, events, 0.0))
    hours = 0.0
    for result in results:
        if result["role"] == "positive":
            peaks += [peak for _, peak in result["trials"]]
            side.words.add(result)
            for cutoff in cutoffs:
                missed = [name for name, peak in result["trials"] if peak <= cutoff]
                side.missed_names.setdefault(cutoff, []).extend(missed)
        else:
            counts = result["events"]
            events[: len(counts)] += np.asarray(counts, dtype=np.int64)
            hours += result["audio_s"] / 3600
            side.kinds.setdefault(result["kind"], NetworkShare()).add(result)
    side.curve = Curve(misses_by_cutoff(peaks), len(peaks), events, hours)
    return side


def to_json(totals: EvaluationTotals, cutoff_q8: int) -> dict[str, Any]:
    """Plain values; shares of 1, hours, seconds. `cutoff_q8`: the one in force."""
    return {
        "sides": [
            {
                "condition": side.condition, "gate": side.gate,
                "in_force": point_json(side.curve.at(cutoff_q8)),
                "at_rates": {f"{rate:g}": point_json(point) for rate, point in points_at_rates(side.curve)},
                "missed_words": side.missed_names.get(cutoff_q8, []),
                "skipped": {kind: round(share.skipped, 4) for kind, share in sorted(side.kinds.items())},
                "skipped_around_words": round(side.words.skipped, 4),
                "hours": {kind: round(share.hours, 4) for kind, share in sorted(side.kinds.items())},
            }
            for side in totals.sides
        ],
        "audio_hours": round(totals.audio_s / 3600, 4),
        "cpu_s": round(totals.cpu_s, 2),
        "broken": [{"file": name, "why": why} for name, why in totals.broken], "ignored": totals.ignored,
    }  # fmt: skip
