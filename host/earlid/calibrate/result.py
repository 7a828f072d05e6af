# SPDX-License-Identifier: MIT
"""The result of a calibration: three levels with both figures, the settings, and their provenance. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lid import config
from lid.wire_schema import SETTINGS

from earlid.accuracy.curve import Curve, point_json
from earlid.accuracy.plot import PlotLine
from earlid.accuracy.text import hours_text
from earlid.calibrate import settings, trials
from earlid.calibrate.choices import TARGETS_PER_H
from earlid.calibrate.levels import Level, choose_levels
from earlid.calibrate.priors import OWN_HOURS_ENOUGH, OWN_WORDS_ENOUGH, Prior, prior_for
from earlid.calibrate.session_file import Measurements

GENERIC_CUTOFF_Q8 = 230  # 0.9, as most manifests have it


@dataclass(frozen=True)
class BoardModel:
    """The network on the board, as far as this computer knows it: its name, "" for one that is not here, and its own cutoff.

    `window`: how many outputs its score is the mean of; None when that is not known, or a look decides.
    """

    name: str
    cutoff_q8: int
    window: int | None = None


@dataclass(frozen=True)
class CalibrationResult:
    """Curve, prior and levels of one calibration."""

    measurements: Measurements
    network: BoardModel
    curve: Curve
    prior: Prior
    levels: list[Level]
    current: dict[str, int]
    cutoff_in_force_q8: int

    def level(self, name: str) -> Level:
        return next(level for level in self.levels if level.name == name)

    def settings_for(self, level: str | None) -> dict[str, int]:
        """The complete configuration that this calibration asks for, with one of the levels or none."""
        chosen = self.level(level) if level else None
        return settings.new_settings(self.current, self.measurements.voice, chosen)

    def line(self) -> PlotLine:
        """The curve as it is drawn."""
        return PlotLine("your trials", self.curve, tuple((level.name, level.own) for level in self.levels))


def compute_result(measurements: Measurements, network: BoardModel, current: dict[str, int]) -> CalibrationResult:
    """The result of the owner's trials and published figures.

    Args:
        current: the board's configuration.
    """
    curve = trials.curve(measurements.trials, measurements.ordinary)
    # what is published is about the network's own decision: a look's score has another scale
    prior = prior_for(network.name if network.window else "", network.cutoff_q8)
    levels = choose_levels(curve, prior, current["open_ms"])
    return CalibrationResult(measurements, network, curve, prior, levels, current, current["cutoff_q8"] or network.cutoff_q8)


def expected_text(level: Level) -> str:
    """What to expect; `caveats` says how much of that is other people's experience."""
    return f"{level.expected_per_h:.2f} an hour"


def cost_text(level: Level) -> str:
    """Seconds of live microphone that one false opening costs at most, and all of a day of such sound."""
    return f"{level.live_s_per_opening:g} s each, {level.live_s_per_day:.0f} s a day"


def caveats(result: CalibrationResult) -> list[str]:
    """Limits of the figures, as sentences to stand beside them."""
    remarks = []
    measurements, prior = result.measurements, result.prior
    spoken = result.curve.trials
    if spoken < OWN_WORDS_ENOUGH:
        known = f"; published: {prior.missed:.1%} on synthetic speech" if prior.missed is not None else ""
        count = {0: "No word was", 1: "1 word was"}.get(spoken, f"{spoken} words were")
        remarks.append(
            f"{count} counted, {OWN_WORDS_ENOUGH} would say more: the share missed may lie anywhere in its interval{known}."
        )
    silent = sum(not trial.heard_sound for trial in measurements.trials)
    if silent:
        remarks.append(f"In {silent} of {len(measurements.trials)} windows nothing was heard; they are not counted as misses.")
    if result.curve.hours < OWN_HOURS_ENOUGH:
        source = (
            f"published figures ({', '.join(prior.sources)})"
            if prior.sources
            else "a general guess: nothing is published for this word's decision"
        )
        share = result.levels[0].prior_weight
        remarks.append(
            f"{hours_text(result.curve.hours)} without the word is little: what to expect is {share:.0%} {source}, weighed like "
            f"{prior.hours:g} h of your own. Other rooms, other people: let the noise step run overnight to replace them."
        )
    remarks.append(
        "False openings were counted in the sound of this calibration; another evening's television is another matter."
    )
    return remarks


def profile(result: CalibrationResult, level: str | None, written: dict[str, Any]) -> dict[str, Any]:
    """Everything about a configuration: its settings with units and ranges, and where they are from.

    Args:
        written: date, digests and versions, as the session found them.
    """
    measurements = result.measurements
    proposed = result.settings_for(level)
    units = {
        name: {"value": value, "range": list(config.SCHEMA[name][1:3]), "what": SETTINGS[name]}
        for name, value in proposed.items()
    }
    return {
        **written, "board": measurements.board, "word": measurements.word, "model": measurements.model,
        "model_name": result.network.name, "window": result.network.window, "firmware": measurements.firmware, "level": level,
        "config": proposed, "settings": units,
        "provenance": {
            "words": result.curve.trials, "peaks": [trial.peak for trial in measurements.trials],
            "latencies_ms": [trial.latency_ms for trial in measurements.trials], "ordinary_hours": round(result.curve.hours, 4),
            "published": list(result.prior.sources), "published_weight_hours": result.prior.hours,
            "room_dbfs": round(measurements.room.level_dbfs, 2) if measurements.room else None,
            "dc_steps": round(measurements.room.dc_steps, 1) if measurements.room else None,
            "speech_dbfs": round(measurements.voice.speech_dbfs, 2) if measurements.voice else None,
            "findings": [finding.name for finding in _findings(measurements)],
            "trials_digest": hashlib.sha256(repr(measurements.to_json()).encode()).hexdigest(),
        },
        "levels": levels_json(result.levels),
    }  # fmt: skip


def _findings(measurements: Measurements) -> list[Any]:
    return [
        *(measurements.room.findings if measurements.room else []),
        *(measurements.voice.findings if measurements.voice else []),
    ]


def levels_json(levels: Sequence[Level]) -> list[dict[str, Any]]:
    """The levels as plain values."""
    return [
        {
            "name": level.name, "cutoff_q8": level.cutoff_q8, "near_miss_q8": level.near_miss_q8,
            "target_per_hour": TARGETS_PER_H[level.name], "expected_per_hour": round(level.expected_per_h, 4),
            "published_share": round(level.prior_weight, 4), "live_s_per_opening": level.live_s_per_opening,
            "live_s_per_day": round(level.live_s_per_day, 1), "own": point_json(level.own),
        }
        for level in levels
    ]  # fmt: skip
