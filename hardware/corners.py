# SPDX-License-Identifier: MIT
"""What spreads: every tolerance, temperature and supply of one simulated board.

`draw` gives uniform samples between the limits (pessimistic against a normal spread); `extremes` gives the named worst
boards used by the FMEA. Limits come from datasheets as remembered, except where parts.py says otherwise.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from hardware.parts import Netlist

LIMITS: dict[str, tuple[float, float]] = {
    "temp_c": (0.0, 50.0),
    "vbus": (4.75, 5.5),  # at the port: USB 2.0's least of a high-power port or a charger, USB-C's most
    "cable_ohm": (0.1, 0.5),  # both wires: USB 2.0 lets a cable lose 0.25 V at 0.5 A
    "supply_diode_v": (0.25, 0.42),  # of the DevKit's Schottky diode at 150 mA and 25 C, from memory
    "ldo_drop_v": (0.9, 1.2),  # of the DevKit's regulator (AMS1117 and its like)
    "v33": (3.2, 3.4),
    "gpio_ohm": (20.0, 60.0),
    "vth": (0.45, 1.05),  # at 25 C: TN0702 0.5 to 1.0, and a little more
    "vth_tc": (-0.003, -0.0015),
    "subthreshold_n": (1.2, 2.0),
    "leak_log10": (-1.5, 0.0),  # of the datasheet's largest diode leakage
    "diode_is_log10": (-0.3, 0.3),
    "cmp_offset_v": (-0.009, 0.009),
    "cmp_bias_na": (10.0, 400.0),
    "cmp_bias_diff_na": (-150.0, 150.0),
    "cmp_leak_na": (0.1, 300.0),
    "board_leak_log10": (7.5, 10.0),  # ohms of flux residue from the rate tank to ground
    "coil_r": (0.9, 1.1),
    "coil_rise_k": (0.0, 15.0),  # of a coil that has been held for long: an estimate
    "coil_l": (0.9, 1.7),  # 0.46 and 0.71 H are given for the two positions of the armature
    "operate": (0.45, 0.75),  # of 5 V at 23 C
    "release": (0.05, 0.35),
    "armature_ms": (0.5, 2.5),
    "ptc_ohm": (0.55, 1.3),  # fresh from the bag, and an hour after it tripped
    "film_temp": (-0.02, 0.02),  # over the temperature range
    "throw_ms": (0.5, 5.0),
    "bounce_ms": (0.0, 5.0),
    "phase_ms": (0.0, 20.0),
}
NOMINAL = {
    "temp_c": 25.0, "vbus": 5.0, "cable_ohm": 0.2, "supply_diode_v": 0.32, "ldo_drop_v": 1.05,
    "v33": 3.3, "gpio_ohm": 40.0, "vth": 0.75, "vth_tc": -0.002, "subthreshold_n": 1.5,
    "leak_log10": -1.0, "diode_is_log10": 0.0, "cmp_offset_v": 0.0, "cmp_bias_na": 25.0, "cmp_bias_diff_na": 0.0,
    "cmp_leak_na": 1.0, "board_leak_log10": 9.0, "coil_r": 1.0, "coil_l": 1.0, "operate": 0.6, "release": 0.2,
    "armature_ms": 1.2, "ptc_ohm": 0.7, "coil_rise_k": 0.0, "film_temp": 0.0, "throw_ms": 2.0, "bounce_ms": 2.0, "phase_ms": 5.0,
}  # fmt: skip


@dataclass(frozen=True)
class Corner:
    """One board: `env` by the names of LIMITS, `scale` by reference (1.0 = the marked value)."""

    name: str = "nominal"
    env: dict[str, float] = field(default_factory=lambda: dict(NOMINAL))
    scale: dict[str, float] = field(default_factory=dict)

    def with_env(self, **changes: float) -> Corner:
        return replace(self, env={**self.env, **changes})


def draw(board: Netlist, seed: int) -> Corner:
    """Sample number `seed`, uniform within every limit; the same seed gives the same board on every machine."""
    rng = random.Random(f"earlid-{seed}")
    env = {name: rng.uniform(low, high) for name, (low, high) in LIMITS.items()}
    scale = {}
    for part in board.parts:
        if part.tolerance:
            scale[part.ref] = 1.0 + rng.uniform(-part.tolerance, part.tolerance)
            if part.kind == "C":
                scale[part.ref] *= 1.0 + rng.uniform(*LIMITS["film_temp"])
    return Corner(f"sample {seed}", env, scale)


def _end(board: Netlist, name: str, signs: dict[str, int], env: dict[str, int]) -> Corner:
    """All parts whose reference ends in a key of `signs` at that end of their tolerance."""
    values = dict(NOMINAL)
    for key, sign in env.items():
        values[key] = LIMITS[key][1 if sign > 0 else 0]
    scale = {}
    for part in board.parts:
        sign = signs.get(part.ref[0] + part.ref[2:], 0) if len(part.ref) == 4 else signs.get(part.ref, 0)
        if sign:
            drift = part.tolerance + (LIMITS["film_temp"][1] if part.kind == "C" else 0.0)
            scale[part.ref] = 1.0 + sign * drift
    return Corner(name, values, scale)


def extremes(board: Netlist) -> list[Corner]:
    """Two worst boards: every spread set so that the relay holds longest ('slow'), and shortest ('quick')."""
    hold = {"C03": 1, "C04": 1, "R04": 1, "C01": 1, "C02": 1, "R03": 1, "R8": 1, "R9": -1, "R14": 1, "C05": 1, "C08": -1}
    env = {
        "vbus": 1, "cable_ohm": -1, "supply_diode_v": -1, "ldo_drop_v": -1, "coil_rise_k": -1,
        "vth": -1, "vth_tc": -1, "subthreshold_n": 1, "leak_log10": -1, "diode_is_log10": 1, "cmp_offset_v": 1,
        "cmp_bias_na": -1, "cmp_bias_diff_na": 1, "board_leak_log10": 1,
        "ptc_ohm": -1, "coil_r": -1, "coil_l": 1, "operate": -1, "release": -1,
        "armature_ms": 1, "throw_ms": 1, "bounce_ms": 1, "temp_c": 1,
    }  # fmt: skip
    slow = _end(board, "slow", hold, env)
    quick = _end(board, "quick", {k: -s for k, s in hold.items()}, {k: -s for k, s in env.items()})
    return [slow, quick]
