# SPDX-License-Identifier: MIT
"""What the firmware compares its readings with, and what an ESP32's ADC makes of that: a table, and the rule's findings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from earlid.virtual.adc import CORNERS, DB_0, DB_11, ERROR_MV, USABLE_MV, Adc

from hardware import fmea
from hardware.parts import Netlist
from hardware.recipes import RECIPES

FULL_MV = 800  # at the pin: what reads as more without attenuation is read with it
LEAST_FACTOR = 1.3  # from the highest reading of 0 V to a threshold
DIVIDERS = {"RAIL1": ("R115", "R116"), "RAIL2": ("R215", "R216"), "VCOIL": ("R4", "R5"), "LAMP": ("R6", "R7")}
ATTENUATIONS = ("0 dB", "2.5 dB", "6 dB", "11 dB")
ADCS = [Adc(scheme, end) for scheme, end in CORNERS]


@dataclass(frozen=True)
class Threshold:
    """A threshold of `lid/circuit.py`: of which net, millivolts there, the divider's ratio, the attenuation it is read at."""

    name: str
    net: str
    mv: int
    scale: float
    atten: int

    @property
    def pin_mv(self) -> float:
        """Millivolts at the pin."""
        return self.mv / self.scale

    @property
    def floor_mv(self) -> float:
        """The most that any chip reads of 0 V, at the net."""
        return max(adc.floor_mv(self.atten) for adc in ADCS) * self.scale

    @property
    def factor(self) -> float:
        """How far the threshold is above that."""
        return self.mv / self.floor_mv

    @property
    def spread_mv(self) -> float:
        """By how much a chip may be wrong there, at the net, either way."""
        return ERROR_MV[self.atten] * self.scale

    @property
    def room_mv(self) -> tuple[float, float]:
        """At the pin, with the spread: down to the bottom of the usable range, and up to its top."""
        low, high = USABLE_MV[self.atten]
        top = min(high, *(adc.linear_mv(self.atten) for adc in ADCS))
        return self.pin_mv - ERROR_MV[self.atten] - low, top - self.pin_mv - ERROR_MV[self.atten]


def scale(board: Netlist, net: str) -> float:
    """A divider's ratio, net over pin."""
    top, bottom = (board.part(ref).value_si for ref in DIVIDERS[net])
    return (top + bottom) / bottom


def thresholds(board: Netlist) -> list[Threshold]:
    """All that the firmware of a board compares an ADC's reading with."""
    wanted = [
        ("RAIL_LIVE_MV", "RAIL1", fmea.LIVE_V * 1e3), ("RAIL_CLAMP_MV", "RAIL1", fmea.CLAMP_V * 1e3),
        ("RAIL_GOOD_MV", "RAIL1", fmea.GOOD_V * 1e3),
        ("SENSE_LOW_MV", "VCOIL", fmea.SENSE_LOW_V * 1e3), ("SENSE_HIGH_MV", "VCOIL", fmea.SENSE_HIGH_V * 1e3),
        ("SENSE_HIGH_MV", "LAMP", fmea.SENSE_HIGH_V * 1e3),
    ]  # fmt: skip
    recipe = RECIPES[board.recipe]
    if board.channels == 2:
        wanted += [("RAIL_LIVE_MV", "RAIL2", fmea.LIVE_V * 1e3), ("GUARDED_GOOD_MV", "RAIL2", recipe.good_mv)]
    found = []
    for name, net, mv in wanted:
        ratio = scale(board, net)
        upper = recipe.atten if net == "RAIL2" else DB_11
        found.append(Threshold(name, net, round(mv), ratio, DB_0 if mv / ratio <= FULL_MV else upper))
    return found


def findings(board: Netlist) -> Iterator[str]:
    """What no ESP32 of any calibration could be trusted to tell, in words."""
    if FULL_MV + ERROR_MV[DB_0] >= min(adc.ceiling_mv(DB_0) for adc in ADCS):
        yield f"{FULL_MV} mV at a pin may never be read without attenuation"
    for one in thresholds(board):
        if one.factor < LEAST_FACTOR:
            yield f"{one.name} of {one.net} is {one.factor:.2f} times what a chip may read of 0 V, not {LEAST_FACTOR}"
        for room, end in zip(one.room_mv, ("bottom", "top"), strict=True):
            if room < 0:
                where = f"the {end} of the usable range at {ATTENUATIONS[one.atten]}"
                yield f"{one.name} of {one.net} is {-room:.0f} mV too near to {where}"


def as_markdown(boards: list[Netlist]) -> str:
    """The table of all boards."""
    lines = [
        "# Thresholds and the ADC",
        "",
        "Calculated from the dividers and the model of the ADC (`host/earlid/virtual/adc.py`), never measured: both calibration",
        "schemes of an ESP32, both ends of their spread. *0 V reads as*: at the net, of the chip that reads most. *Factor*:",
        f"threshold over that, at least {LEAST_FACTOR}. *Spread*: by how much a chip may be wrong at the threshold. *Room*: at",
        "the pin, from the threshold with its spread to the bottom and to the top of the usable range.",
        "",
        "| board | threshold | net | mV | at the pin, mV | read at | 0 V reads as, mV | factor | spread, mV | room, mV |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for board in boards:
        for t in thresholds(board):
            below, above = t.room_mv
            lines.append(
                f"| {board.name} | `{t.name}` | {t.net} | {t.mv} | {t.pin_mv:.0f} | {ATTENUATIONS[t.atten]} | {t.floor_mv:.0f} |"
                f" {t.factor:.2f} | {t.spread_mv:.0f} | {below:.0f}, {above:.0f} |"
            )
    return "\n".join(lines) + "\n"
