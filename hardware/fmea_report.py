# SPDX-License-Identifier: MIT
"""The FMEA's page: both goals, what detects what, and the latent faults by name."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass

from hardware.faults import all_faults, stops_samples
from hardware.fmea import LIVE_V, board_of
from hardware.parts import Netlist

BROKEN_ACTUATOR = "SW1 all poles stuck in ARM"
IN_MUTE_ONLY = {"muted", "msense"}
TESTS = {
    "boot": "pins low after start: both rails read under 0.3 V (self-test)",
    "held": "pins held high: both rails stay under 0.3 V (self-test; 300 ms there, 200 ms here)",
    "fast": "pins toggled at 2 kHz: both rails stay under 0.3 V (self-test; 100 ms there, 25 ms here)",
    "slow": "pins toggled at 10 Hz: both rails stay under 0.3 V (self-test)",
    "clamp": "SCK and WS high, lid closed: the sentinel's rail reads under 0.22 V (self-test)",
    "sense": "in ARM: coil supply reads over 3 V, the red light's node does not (self-test, and all the time)",
    "open1": "the sentinel's rail comes into its window and stays there (self-test)",
    "drop1": "it is under 0.3 V within 250 ms of the last edge (self-test)",
    "drift": "and as fast as at this board's first self-test, within 40 % and 10 ms (self-test)",
    "cross": "the guarded rail stays under 0.3 V while the sentinel listens (all the time)",
    "open2": "the guarded rail comes into its window and stays there (at every opening)",
    "drop2": "it is under 0.3 V within 250 ms (at every closing)",
    "muted": "in MUTE: the guarded rail reads under 0.3 V, the sentinel's under 0.22 V with SCK and WS high (self-test)",
    "msense": "in MUTE: coil supply under 1 V, the red light's node over 3 V (all the time)",
}
# Single faults that MUTE does not end -> how README's first paragraph says it; a test fails when another comes.
BEATS_MUTE = {
    BROKEN_ACTUATOR: "a broken actuator that leaves all poles of the switch in ARM",
    **dict.fromkeys(
        ("bridge LAMP to MICBUS2", "bridge MICBUS2 to WS"),  # of the usb board: its clamps stand before Q202
        "on the usb board a whisker from WS or the red light's node to the microphone (0.8 V)",
    ),
    **dict.fromkeys(
        ("MIC1 VDD open", "MIC1 GND open", "J2 2 open"),  # J2 2 is the ground of a USB microphone
        "a microphone whose own supply or ground joint is open keeps a charge of its own",
    ),
}
# Single faults that leave a microphone live while closed and that no test notices: hardware/README.md lists every one.
UNNOTICED = {
    "GND copper: track from B.Cu 19.7, 48.9 to B.Cu 26.0, 50.8 open",
    "GND copper: via from B.Cu 41.3, 43.8 to F.Cu 41.3, 43.8 open",
    "bridge COIL1 to TALK", "bridge SD to V5",
}  # fmt: skip
GROUPS = {  # of latent faults, by the block of the part: why nothing shows
    "pump": "Pumps: drifts within what healthy boards spread, the pull-down of a pin that is driven anyway, the coil's "
    "free-wheeling (slower release), a stopper or a coupling capacitor that the other pump makes up for",
    "rail": "Feeds: one of two clamps, a bleeder, a filter, a divider that still reads within its window, a light",
    "veto": "Veto: the supply's own capacitor",
    "switch": "Mute switch: a pole that stays behind while the relay and the clamps hold, a filter, a divider within its window",
    "lamp": "Red light: one of its three transistors or their gates. The light then tells less than it should",
    "sentinel": "Microphone and its lines: a series resistor that is bridged (0.1 V on the rail in MUTE), ground or L/R open",
    "controls": "Status light, buzzer, button: only a person notices",
    "wire": "Wires and the DevKit's pins: what lies beyond them is one of the above, or is reached another way",
    "bridge": "Bridges: pins whose levels agree during the tests, or nets that do not matter to the rails",
}


@dataclass(frozen=True)
class Line:
    fault: str
    corner: str
    effect: str
    closed_v: float
    mute_v: float
    mute_ms: float
    drop_ms: float
    tests: str
    also: str = ""


def read(text: str) -> list[Line]:
    rows = list(csv.reader(io.StringIO(text)))[1:]
    return [Line(r[0], r[1], r[2], float(r[3]), float(r[4]), float(r[5]), float(r[6]), r[7], r[8]) for r in rows]


def live_in_mute(lines: list[Line]) -> list[Line]:
    return [line for line in lines if line.mute_v > LIVE_V or line.mute_ms > 20.0]


def undetected_live(lines: list[Line]) -> list[Line]:
    """A rail live while closed that no self-test at boot or closing sees."""
    return [line for line in lines if line.closed_v > LIVE_V and not set(line.tests.split()) - IN_MUTE_ONLY]


def heard(lines: list[Line], board: Netlist) -> list[str]:
    """Faults among the lines that stop the sentinel's samples: the self-test and lid.health hear them."""
    names = {fault.name for fault in all_faults(board) if stops_samples(fault)}
    return [fault for fault in dict.fromkeys(line.fault for line in lines) if fault in names]


def latent(lines: list[Line], board: Netlist) -> list[str]:
    """Faults that change nothing a test can read, on any corner they were tried on, and that nobody hears."""
    seen: dict[str, bool] = {}
    for line in lines:
        seen[line.fault] = seen.get(line.fault, False) or bool(line.tests)
    known = {"none", *heard(lines, board)}
    return [fault for fault, tested in seen.items() if not tested and fault not in known]


def _group(fault: str, board: Netlist) -> str:
    ref = fault.split()[0]
    block = next((part.block for part in board.parts if part.ref == ref), "")
    return "bridge" if ref == "bridge" else re.sub(r"\d$", "", block) or "wire"


def _latent_lists(lines: list[Line], board: Netlist) -> list[str]:
    groups: dict[str, list[str]] = {}
    for fault in latent(lines, board):
        groups.setdefault(_group(fault, board), []).append(fault)
    return [f"* **{GROUPS[name]}** ({len(groups[name])}): {', '.join(groups[name])}." for name in GROUPS if name in groups]


def _table(lines: list[Line]) -> list[str]:
    head = [
        "| fault | board | closed, V | in MUTE, V | MUTE, ms | drop, ms | noticed by |",
        "|---|---|---|---|---|---|---|",
    ]
    return head + [
        f"| {x.fault} | {x.corner} | {x.closed_v:.2f} | {x.mute_v:.2f} | {x.mute_ms:.1f} | {x.drop_ms:.0f} |"
        f" {x.tests or 'nothing'} |"
        for x in lines
    ]


def goals(lines: list[Line], board: Netlist) -> list[str]:
    single = {x.fault for x in live_in_mute(lines)}
    closed, unseen = {x.fault for x in lines if x.closed_v > LIVE_V}, {x.fault for x in undetected_live(lines)}
    return [
        f"* {len({x.fault for x in lines}) - 1} faults, {len(lines)} injections.",
        f"* Single faults that leave a microphone over 0.3 V in MUTE, or take over 20 ms: **{len(single)}**"
        + (f" ({', '.join(sorted(single))})." if single else "."),
        f"* Single faults that leave a microphone over 0.3 V while closed: {len(closed)}; not noticed at the next boot or "
        f"closing: **{len(unseen)}**" + (f" ({', '.join(sorted(unseen))})." if unseen else "."),
        f"* Latent faults (nothing that a test can read changes): {len(latent(lines, board))}.",
    ]


def _of_board(name: str, lines: list[Line]) -> list[str]:
    board = board_of(name)
    mute, closed = live_in_mute(lines), [x for x in lines if x.closed_v > LIVE_V]
    return [
        f"## The {'one-channel' if name == '1ch' else name} board",
        "",
        f"Faults of what differs from the reference board, and of its own wiring. The complete table is fmea-{name}.csv.",
        "",
        *goals(lines, board),
        "",
        "Live in MUTE or slow:",
        "",
        *(_table(mute) if mute else ["None."]),
        "",
        "Live while closed:",
        "",
        *(_table(closed) if closed else ["None."]),
        "",
        "Latent:",
        "",
        *_latent_lists(lines, board),
        "",
    ]


def as_markdown(tables: dict[str, str]) -> str:
    """The page, from the CSV of every board; 'digital' is the reference."""
    lines = read(tables["digital"])
    in_mute = live_in_mute(lines)
    effects = Counter(line.effect for line in lines if line.corner == "nominal" and line.fault != "none")
    board = board_of("digital")
    out = [
        "# Failure modes by injection",
        "",
        "Simulated, never measured. Every solder joint, every wire of the perfboard and every piece of copper of the circuit "
        "board open, every part shorted and drifted, every pair of neighbouring nets of either bridged, every toggling line on "
        "every pump pin, both channels; on the nominal board, and what touches a pump, the comparator or a coil also on the one "
        "whose every spread makes it let go last ('slow'). First the firmware's self-tests are played, then MUTE is thrown with "
        "both lids open, the pumps toggling on, the clocks high. Volts are those between the microphone's own supply and ground "
        "pins (MIC1's, and J2's for the guarded one), whichever is higher, of either sign. Opens that cut off the same pins "
        "count as one, and so do both joints of a two-legged part; the table's last column names the others. The DevKit's three "
        "ground pins are one, joined inside it.",
        "",
        "## The reference board",
        "",
        "The complete table is fmea-digital.csv.",
        "",
        *goals(lines, board),
        "",
        "On the nominal board: " + ", ".join(f"{count} {effect}" for effect, count in sorted(effects.items())) + ".",
        "",
        "## Self-tests",
        "",
        *[f"* `{name}`: {what}" for name, what in TESTS.items()],
        "",
        "A pin reads as the ESP32 that reads least has it without attenuation (`host/earlid/virtual/adc.py`). "
        "`muted` and `msense` do not count as tests at boot or closing.",
        "",
        "## Live in MUTE",
        "",
        *(_table(in_mute) if in_mute else ["None."]),
        "",
        "## Live while closed",
        "",
        *_table([line for line in lines if line.closed_v > LIVE_V]),
        "",
        "## Highest in MUTE among the rest",
        "",
        *_table(sorted((x for x in lines if x not in in_mute), key=lambda x: -x.mute_v)[:12]),
        "",
        "## Latent",
        "",
        "One of these and a second fault may defeat what a single fault cannot.",
        "",
        *_latent_lists(lines, board),
        "",
        "Not counted as latent, though no rail shows them: the sentinel's samples stand still, which the self-test hears (not "
        f"simulated): {', '.join(heard(lines, board))}.",
        "",
    ]
    for name in tables:
        if name != "digital":
            out += _of_board(name, read(tables[name]))
    return "\n".join(out).rstrip() + "\n"
