# SPDX-License-Identifier: MIT
"""The board's settings, computed from measurements. Pure; the schema and its ranges are the firmware's (`lid.config`)."""

from __future__ import annotations

from lid import config

from earlid.calibrate.levels import Level
from earlid.calibrate.room import QuietRoom
from earlid.calibrate.voice import Speech

# Of the energy gate calibration chooses nothing, and takes back what earlier ones chose: in hum and in steady noise it costs
# words at any threshold (tests/bench/detection/REPORT.md), and a board on USB power need not sleep.
ENERGY_GATE = ("energy_gate", "energy_on_q8", "energy_off_q8")


def new_settings(current: dict[str, int], room: QuietRoom | None, voice: Speech | None, level: Level | None) -> dict[str, int]:
    """A complete configuration: the current one, with what was measured put in.

    Args:
        current: the board's configuration.
        room, voice, level: None where the step was skipped; its settings stay.

    Raises:
        ValueError: the board would refuse it.
    """
    proposed = dict(current)
    if room is not None:
        proposed |= {name: config.defaults()[name] for name in ENERGY_GATE}
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
