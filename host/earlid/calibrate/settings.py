# SPDX-License-Identifier: MIT
"""The board's settings, computed from measurements. Pure; the schema and its ranges are the firmware's (`lid.config`)."""

from __future__ import annotations

from lid import config

from earlid.calibrate.levels import Level
from earlid.calibrate.room import QuietRoom
from earlid.calibrate.voice import SNR_LEAST_DB, Speech, snr_q8

MARGIN_Q8 = 85  # 1 dB above all but one in a thousand hops of the quiet room
# 6 dB: lower, and pink noise keeps the network awake; 9 dB: higher, and words at 10 dB are missed (tried on recordings)
ON_LOWEST_Q8, ON_HIGHEST_Q8 = 512, 768
OFF_SHARE = 5 / 8
SPEECH_SHARE = 0.4  # of the way from the room to the voice: the word's weak first sound lies below its level


def energy_thresholds(room: QuietRoom | None, voice: Speech | None) -> dict[str, int]:
    """Thresholds of the energy gate: above the room's own unrest, well below the voice.

    Where the two leave no room between them the energy gate is switched off: it would cost words and save little.
    """
    defaults = config.defaults()
    on = defaults["energy_on_q8"]
    if room is not None:
        on = round(room.unrest_q8 + MARGIN_Q8)
    on = min(max(on, ON_LOWEST_Q8), ON_HIGHEST_Q8)
    gate = defaults["energy_gate"]
    if voice is not None and not any(finding.fatal for finding in voice.findings):
        ceiling = round(snr_q8(voice) * SPEECH_SHARE)
        if on > ceiling or voice.snr_db < SNR_LEAST_DB:
            gate = 0
    return {"energy_gate": gate, "energy_on_q8": on, "energy_off_q8": round(on * OFF_SHARE)}


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
        proposed |= energy_thresholds(room, voice)
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
