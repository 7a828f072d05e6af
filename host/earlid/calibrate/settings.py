# SPDX-License-Identifier: MIT
"""The board's settings, computed from measurements. Pure; the schema and its ranges are the firmware's (`lid.config`)."""

from __future__ import annotations

from lid import config

from earlid.calibrate.levels import Level
from earlid.calibrate.voice import Speech


def new_settings(current: dict[str, int], voice: Speech | None, level: Level | None) -> dict[str, int]:
    """A complete configuration: the current one, with what was measured put in.

    Args:
        current: the board's configuration.
        voice, level: None where the step was skipped; its settings stay.

    Raises:
        ValueError: the board would refuse it.
    """
    proposed = {name: value for name, value in current.items() if name not in config.GONE}
    if voice is not None and not any(finding.fatal for finding in voice.findings):
        proposed["gain_q8"] = voice.gain_q8
    if level is not None:
        proposed["cutoff_q8"] = level.cutoff_q8
        proposed["near_miss_q8"] = level.near_miss_q8
        proposed["rearm_q8"] = min(current["rearm_q8"], level.near_miss_q8)
    return dict(config.check(proposed))


def changed_settings(current: dict[str, int], proposed: dict[str, int]) -> dict[str, int]:
    """Only the settings that differ."""
    return {name: value for name, value in proposed.items() if current.get(name) != value}
