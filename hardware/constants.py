# SPDX-License-Identifier: MIT
"""Writes the firmware's `lid/circuit.py`: pins from the netlist, times and thresholds from the simulated boards."""

from __future__ import annotations

from earlid.virtual import adc

from hardware import fmea, thresholds
from hardware.headline import PAUSE_S, Sample
from hardware.netlist import build
from hardware.parts import Netlist
from hardware.recipes import RECIPES

HEAD = """\
# SPDX-License-Identifier: MIT
# The copper's figures: which pin does what, and what a healthy circuit measures.
# Simulated, not yet measured on a bench. Written by `python -m hardware` from the netlist and the simulated boards:
# change those, not this file. The firmware, the virtual board and the drawings share it.
from lid.portable import const

"""
PINS = {
    "SENTINEL_PUMP_PIN": "PUMP1", "GUARDED_PUMP_PIN": "PUMP2", "SENTINEL_RAIL_PIN": "SENSE1", "GUARDED_RAIL_PIN": "SENSE2",
    "ARM_SENSE_PIN": "ARMSENSE", "MUTE_SENSE_PIN": "MUTESENSE", "I2S_SCK_PIN": "SCK", "I2S_WS_PIN": "WS",
    "I2S_SD_PIN": "SD", "STATUS_LED_PIN": "STATUS", "BUZZER_PIN": "BUZZ", "TALK_BUTTON_PIN": "TALK",
}  # fmt: skip


def scale_q10(board: Netlist, top: str, bottom: str) -> int:
    """A divider's ratio, source over pin, times 1024."""
    high, low = board.part(top).value_si, board.part(bottom).value_si
    return round(1024 * (high + low) / low)


def figures(samples: list[Sample], nominal: Sample) -> dict[str, int]:
    """Times (ms) and thresholds (mV). Raises ValueError when a simulated board lies outside one: it must not be written."""
    limits = {
        "TOLERATED_PAUSE_MS": round(PAUSE_S * 1e3),
        "DROP_MAX_MS": 250,
        "DROP_EARLY_MS": round(fmea.DROP_EARLY_MS),
        "DROP_LATE_MS": round(fmea.DROP_LATE_MS),
        "ARM_MAX_MS": round(fmea.ARM_LATE_MS),
        "RAIL_NOMINAL_MV": int(round(nominal.rail_v * 1e3, -1)),
        "RAIL_GOOD_MV": round(fmea.GOOD_V * 1e3),
    }
    spread_mv = max(t.spread_mv for t in thresholds.thresholds(build(1)) if t.name == "RAIL_GOOD_MV")
    outside = [
        name for name, wrong in (
            ("TOLERATED_PAUSE_MS", any(s.pause_dip_v * 1e3 < limits["RAIL_GOOD_MV"] for s in samples)),
            ("DROP_MAX_MS", any(s.drop_ms > limits["DROP_MAX_MS"] for s in samples)),
            ("DROP_EARLY_MS, DROP_LATE_MS",
             any(not limits["DROP_EARLY_MS"] < s.drop_ms < limits["DROP_LATE_MS"] for s in samples)),
            ("ARM_MAX_MS", any(s.arm_ms >= limits["ARM_MAX_MS"] for s in samples)),
            ("RAIL_GOOD_MV", any(s.rail_v * 1e3 < limits["RAIL_GOOD_MV"] + spread_mv for s in samples)),
        ) if wrong
    ]  # fmt: skip
    if outside:
        raise ValueError(f"simulated boards lie outside {'; '.join(outside)}: change the circuit, or the limits in fmea.py")
    return limits


def text(samples: list[Sample], nominal: Sample, channels: int = 2, recipe: str = "digital") -> str:
    """The module's source, for a board of so many channels whose guarded microphone is of `recipe`."""
    board = build(channels, recipe)
    f = figures(samples, nominal)
    top, bottom = (board.part(f"R{channels}{n}") for n in (15, 16))
    what = RECIPES[recipe].what if channels == 2 else "the same: the board's own microphone is the guarded one"
    nets = {net: number for number, (net, _role) in board.gpio.items()}
    lines = [HEAD + f"ONE_CHANNEL = const({int(channels == 1)})", "", "# Pins (ESP32 GPIO numbers)"]
    for name, net in PINS.items():
        net = net if net in nets else net.replace("2", "1")
        note = "  # to ground when pressed, pulled up" if net == "TALK" else ""
        lines.append(f"{name} = const({nets[net]}){note}")
    lines += [
        "",
        "# Dividers: millivolts at the source = millivolts at the pin * SCALE_Q10 / 1024",
        f"SENTINEL_SCALE_Q10 = const({scale_q10(board, 'R115', 'R116')})  # 47k / 100k",
        f"GUARDED_SCALE_Q10 = const({scale_q10(board, top.ref, bottom.ref)})  # {top.value} / {bottom.value}: {what}",
        f"SENSE_SCALE_Q10 = const({scale_q10(board, 'R4', 'R5')})  # 150k / 100k",
        f"FULL_MV = const({thresholds.FULL_MV})  # at a pin: what reads as more without attenuation is read with it",
        f"ATTEN = const({adc.DB_11})  # which, as machine.ADC numbers them",
        f"GUARDED_ATTEN = const({RECIPES[recipe].atten})  # the same of the guarded rail",
        "",
        "# Pump and relay; a drop is counted from the last edge",
        "TOGGLE_MS = const(10)  # one edge a hop",
        f"TOLERATED_PAUSE_MS = const({f['TOLERATED_PAUSE_MS']})  # between two edges, on every simulated board",
        "PAUSE_FROM_MS = const(350)  # after the first edge: until then the tank is filling and a pause may close the lid",
        "SLOW_TOGGLE_MS = const(50)  # edges this far apart must never close a contact: the self-test of the rate pump",
        f"DROP_MAX_MS = const({f['DROP_MAX_MS']})",
        f"DROP_EARLY_MS = const({f['DROP_EARLY_MS']})  # a healthy board drops between these two",
        f"DROP_LATE_MS = const({f['DROP_LATE_MS']})",
        f"ARM_MAX_MS = const({f['ARM_MAX_MS']})  # first edge to a rail in its window",
        "",
        "# Rails",
        f"RAIL_NOMINAL_MV = const({f['RAIL_NOMINAL_MV']})",
        f"RAIL_LIVE_MV = const({round(fmea.LIVE_V * 1e3)})  # above this a microphone may be powered",
        f"RAIL_GOOD_MV = const({f['RAIL_GOOD_MV']})  # below this while it should be live: sagging",
        f"GUARDED_GOOD_MV = const({RECIPES[recipe].good_mv})  # the same of the guarded rail",
        f"RAIL_CLAMP_MV = const({round(fmea.CLAMP_V * 1e3)})  # a closed rail above this with SCK and WS high has lost a clamp",
        "",
        "# Mute switch: the coil supply behind it, and the red light's node, which is high only when coils and rails are dead",
        "SENSE_HIGH_MV = const(3000)  # a throw of the mute switch is made",
        "SENSE_LOW_MV = const(1000)",
        "SENSE_DEBOUNCE_MS = const(30)  # bounce up to 5 ms, then 15 ms while both filters settle past their thresholds",
        "MUTE_MAX_MS = const(20)  # from the lever's first move to both rails under RAIL_LIVE_MV",
    ]
    return "\n".join(lines) + "\n"
