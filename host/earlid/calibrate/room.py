# SPDX-License-Identifier: MIT
"""Measurement of a quiet room: its level, and faults of the microphone and its wiring. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from earlid.board.level import dbfs
from earlid.calibrate.readings import Readings, gain_db, per_second

SETTLE_MS = 1000  # warming up, and until the mean is taken out
BITS = 24
CLIPPED_SHARE = 0.001
DC_STEPS = 328  # of 16 bits: 1 % of full scale
HUM_SHARE = 0.1  # of the room's RMS
HUM_STEPS = 0.5  # of 16 bits, RMS
HUM_CONTRAST = 3.0  # over what is at the other mains frequency, where noise alone would be as strong
LOUD_DBFS = -64.0  # 59 dB SPL at an INMP441


@dataclass(frozen=True)
class MicrophoneFinding:
    """A fault by name, and its cure. `fatal`: nothing can be calibrated before it is mended."""

    name: str
    what: str
    cure: str
    fatal: bool = False


@dataclass(frozen=True)
class QuietRoom:
    """A quiet room. Levels in dB full scale at the microphone (before any gain); the spread in 1/256 of log2 energy."""

    level_dbfs: float
    per_second_dbfs: list[float]
    unrest_q8: float  # the 99.9th percentile of hops above the median
    seconds: float
    dc_steps: float
    hum_dbfs: dict[str, float | None]
    findings: list[MicrophoneFinding] = field(default_factory=list)


def measure_room(quiet: Readings, probe: Mapping[str, Any], gain_q8: int) -> QuietRoom:
    """Measure a quiet room.

    Args:
        quiet: live numbers of some seconds in which nobody talked.
        probe: the board's reply to `probe`.
        gain_q8: the microphone gain in force.
    """
    settled = quiet.after(SETTLE_MS)
    if not len(settled):
        settled = quiet
    levels = settled.lvl
    boost = gain_db(gain_q8)
    median_q8 = float(np.median(levels)) if len(levels) else 0.0
    level = dbfs(median_q8) - boost
    unrest = float(np.quantile(levels, 0.999)) - median_q8 if len(levels) else 0.0
    findings = wiring_findings(probe)
    if not any(finding.fatal for finding in findings):
        rms_steps = 32768 * 10 ** (level / 20)
        findings += hum_findings(probe, rms_steps)
        if level > LOUD_DBFS:
            findings.append(
                MicrophoneFinding(
                    "loud room",
                    f"the quiet room is at {level:.0f} dBFS, about as loud as speech",
                    "switch off what is running, or move the board away from it; then calibrate again",
                )
            )
    return QuietRoom(
        level,
        [dbfs(value) - boost for value in per_second(quiet.lvl, quiet.ms)],
        unrest,
        quiet.span_ms / 1000,
        probe["dc_q4"] / 16,
        {f"{hertz} Hz": _tone_dbfs(probe, place) for place, hertz in enumerate((50, 60, 100, 120))},
        findings,
    )


def wiring_findings(probe: Mapping[str, Any]) -> list[MicrophoneFinding]:
    """Faults that a probe of both I2S slots shows, the worst first."""
    low, high = int(probe["low"]), int(probe["high"])
    if low == high and probe["other"]:
        return [
            MicrophoneFinding(
                "swapped channel",
                "the left slot is silent and the right one carries sound",
                "tie the microphone's L/R pin to ground (it is high, or not connected)",
                True,
            )
        ]
    if low == high == 0:
        return [
            MicrophoneFinding(
                "dead microphone",
                "every sample is zero",
                "check the microphone's supply, its ground, and the wires SCK (GPIO 26), WS (25) and SD (33)",
                True,
            )
        ]
    if low == high:
        return [
            MicrophoneFinding(
                "stuck line",
                f"every sample is {low:+d} of 24 bits",
                "the SD wire (GPIO 33) is held at one level: look for a short to supply or a broken wire",
                True,
            )
        ]
    findings = []
    stuck = stuck_bits(int(str(probe["any"]), 16), int(str(probe["all"]), 16))
    if stuck:
        text = ", ".join(f"bit {bit} always {value}" for bit, value in stuck.items())
        findings.append(
            MicrophoneFinding(
                "stuck bit",
                f"{text} (of 24, 23 is the sign)",
                "a marginal clock or data wire: shorten the wires, add a 100 nF capacitor at the microphone, or replace it",
            )
        )
    samples = int(probe["ms"]) * 16
    if probe["clipped"] > samples * CLIPPED_SHARE:
        findings.append(
            MicrophoneFinding(
                "clipped microphone",
                f"{probe['clipped'] / samples:.1%} of the samples are at the end of the scale in a quiet room",
                "the microphone is overdriven or defective: check its supply (3.3 V) and what touches it; else replace it",
            )
        )
    offset = probe["dc_q4"] / 16
    if abs(offset) > DC_STEPS:
        findings.append(
            MicrophoneFinding(
                "DC offset",
                f"the mean is {offset:+.0f} steps of 16 bits ({abs(offset) / 327.68:.1f} % of full scale)",
                "it is taken out before the gate hears it, but costs headroom: if it is above 10 %, replace the microphone",
            )
        )
    return findings


def stuck_bits(any_bits: int, all_bits: int) -> dict[int, int]:
    """Bits of 24 that never change though they should: number -> the value they are stuck at.

    A quiet microphone's top bits repeat the sign and may all be 0 or all 1; the lowest may be unused and 0. A bit is stuck
    when it stands still between bits that move, is 1 below them, or differs from its neighbour at the top.
    """
    moving = any_bits & ~all_bits
    if not moving:
        return {}
    lowest = (moving & -moving).bit_length() - 1
    highest = moving.bit_length() - 1
    value = {bit: all_bits >> bit & 1 for bit in range(BITS)}
    stuck = {bit: value[bit] for bit in range(lowest, highest) if not moving >> bit & 1}
    stuck |= {bit: 1 for bit in range(lowest) if value[bit]}
    top = list(range(highest + 1, BITS))
    if len({value[bit] for bit in top}) > 1:
        # The sign repeated is what most of them say
        sign = int(sum(value[bit] for bit in top) * 2 > len(top))
        stuck |= {bit: value[bit] for bit in top if value[bit] != sign}
    return dict(sorted(stuck.items()))


def hum_findings(probe: Mapping[str, Any], rms_steps: float) -> list[MicrophoneFinding]:
    """Mains hum at 50 or 60 Hz, by its first two harmonics, against the room and against the other frequency.

    Args:
        probe: the board's reply; amplitudes in 1/16 of a 16-bit step.
        rms_steps: the room's RMS in 16-bit steps at the microphone.
    """
    at50, at60, at100, at120 = (amplitude / 16 for amplitude in probe["hum_q4"])
    findings = []
    for hertz, mains, others in ((50, (at50, at100), (at60, at120)), (60, (at60, at120), (at50, at100))):
        strength = math.hypot(*mains) / math.sqrt(2)
        enough = strength > HUM_STEPS and strength > HUM_SHARE * rms_steps
        if enough and max(mains) > HUM_CONTRAST * max(others):
            findings.append(
                MicrophoneFinding(
                    f"hum {hertz} Hz",
                    f"mains hum of {20 * math.log10(strength / 32768):.0f} dBFS",
                    "keep the microphone's wires short and away from mains cables, try another USB supply, and connect the "
                    "grounds at one point. Hum near your voice's level costs words",
                )
            )
    return findings


def _tone_dbfs(probe: Mapping[str, Any], place: int) -> float | None:
    amplitude = probe["hum_q4"][place] / 16
    return 20 * math.log10(amplitude / math.sqrt(2) / 32768) if amplitude else None
