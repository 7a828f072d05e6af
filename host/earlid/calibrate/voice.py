# SPDX-License-Identifier: MIT
"""Measurement of speech: its level, its distance from the room's noise, and the gain that fits. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from earlid.board.level import dbfs
from earlid.calibrate.readings import GAIN_ONE_Q8, Readings, gain_db
from earlid.calibrate.room import MicrophoneFinding

TARGET_DBFS = -26.0  # active speech level, as telephone networks aim at (ITU-T P.56's scale)
PEAK_DBFS = -3.0  # no sample of the speech heard would be above it
ACTIVE_ABOVE_DB = 6.0
ACTIVE_LEAST = 0.1  # share of the time that must be speech
GAIN_LOWEST_Q8, GAIN_HIGHEST_Q8 = GAIN_ONE_Q8, 64 * GAIN_ONE_Q8
SNR_LEAST_DB = 10.0


@dataclass(frozen=True)
class Speech:
    """Speech heard; levels in dB full scale at the microphone, before any gain."""

    speech_dbfs: float
    snr_db: float
    peak_dbfs: float
    active_share: float
    gain_q8: int
    seconds: float
    findings: list[MicrophoneFinding] = field(default_factory=list)


def measure_voice(talk: Readings, room_dbfs: float, gain_q8: int) -> Speech:
    """Level of the hops that hold speech: those more than 6 dB above the room.

    Args:
        talk: live numbers while somebody talked.
        room_dbfs: the quiet room's level, before gain.
        gain_q8: the microphone gain in force.
    """
    boost = gain_db(gain_q8)
    levels = np.array([dbfs(value) for value in talk.lvl]) - boost
    active = levels[levels > room_dbfs + ACTIVE_ABOVE_DB]
    share = len(active) / max(1, len(levels))
    if share < ACTIVE_LEAST:
        finding = MicrophoneFinding(
            "no speech",
            f"only {share:.0%} of the time was louder than the room",
            "talk in your usual voice for the whole step, from where you will be",
            True,
        )
        return Speech(room_dbfs, 0.0, room_dbfs, share, gain_q8, talk.span_ms / 1000, [finding])
    speech = 10 * math.log10(float(np.mean(10 ** (active / 10))))
    peak = 20 * math.log10(max(1, int(talk.peak.max())) / 32768) - boost
    needed_gain_db = min(TARGET_DBFS - speech, PEAK_DBFS - peak)
    gain = round(GAIN_ONE_Q8 * 10 ** (needed_gain_db / 20))
    findings = []
    if speech - room_dbfs < SNR_LEAST_DB:
        findings.append(
            MicrophoneFinding(
                "weak speech",
                f"your voice is only {speech - room_dbfs:.0f} dB above the room",
                "bring the board nearer to where you talk, or make the room quieter: words will be missed",
            )
        )
    if int(np.count_nonzero(talk.clip)) > 0.01 * len(talk):
        findings.append(
            MicrophoneFinding(
                "clipped speech",
                "samples were saturated while you talked",
                "the new gain will be lower; run this step again after it is written",
            )
        )
    if not GAIN_LOWEST_Q8 <= gain <= GAIN_HIGHEST_Q8:
        findings.append(
            MicrophoneFinding(
                "gain at its limit",
                f"the gain would have to be {gain / GAIN_ONE_Q8:.1f}",
                "bring the board nearer" if gain > GAIN_HIGHEST_Q8 else "take the board further away",
            )
        )
    gain = min(max(gain, GAIN_LOWEST_Q8), GAIN_HIGHEST_Q8)
    return Speech(speech, speech - room_dbfs, peak, share, gain, talk.span_ms / 1000, findings)
