"""The FMEA's page: both goals, what detects what, and the latent faults by name."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass

from hardware.fmea import LIVE_V

BROKEN_ACTUATOR = "SW1 all poles stuck in ARM"
TESTS = {
    "boot": "pins low after start: both rails read under 0.3 V",
    "held": "pins held high for 200 ms: both rails stay under 0.3 V",
    "slow": "pins toggled at 10 Hz: both rails stay under 0.3 V",
    "clamp": "SCK and WS high, lid closed: both rails read under 0.22 V",
    "arm1, arm2": "the rail is in its window within 200 ms of the first edge",
    "early1, early2": "the rail is not live sooner than 40 ms after the first edge",
    "cross1, cross2": "the other rail stays under 0.3 V",
    "drop1, drop2": "the rail is under 0.3 V no sooner than 60 and no later than 200 ms after the last edge",
    "sense": "in ARM: coil supply reads over 3 V, the red light's node under 1 V",
    "muted": "in MUTE: both rails read under 0.22 V",
    "msense": "in MUTE: coil supply under 1 V, the red light's node over 3 V",
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


def read(text: str) -> list[Line]:
    rows = list(csv.reader(io.StringIO(text)))[1:]
    return [Line(r[0], r[1], r[2], float(r[3]), float(r[4]), float(r[5]), float(r[6]), r[7]) for r in rows]


def live_in_mute(lines: list[Line]) -> list[Line]:
    return [line for line in lines if line.mute_v > LIVE_V or line.mute_ms > 20.0]


def undetected_live(lines: list[Line]) -> list[Line]:
    """A rail live while closed that no self-test at boot or closing sees."""
    return [line for line in lines if line.closed_v > LIVE_V and not line.tests]


def latent(lines: list[Line]) -> list[str]:
    """Faults that change nothing a test can read, on any board they were tried on."""
    seen: dict[str, bool] = {}
    for line in lines:
        seen[line.fault] = seen.get(line.fault, False) or bool(line.tests)
    return [fault for fault, tested in seen.items() if not tested and fault != "none"]


def _table(lines: list[Line]) -> list[str]:
    head = [
        "| fault | board | rail when closed, V | rail in MUTE, V | MUTE, ms | drop, ms | noticed by |",
        "|---|---|---|---|---|---|---|",
    ]
    return head + [
        f"| {x.fault} | {x.corner} | {x.closed_v:.2f} | {x.mute_v:.2f} | {x.mute_ms:.1f} | {x.drop_ms:.0f} |"
        f" {x.tests or 'nothing'} |"
        for x in lines
    ]


def as_markdown(text: str) -> str:
    """The page, from the CSV."""
    lines = read(text)
    faults = list(dict.fromkeys(line.fault for line in lines))
    in_mute, unseen, hidden = live_in_mute(lines), undetected_live(lines), latent(lines)
    single = [line for line in in_mute if line.fault != BROKEN_ACTUATOR]
    closed = [line for line in lines if line.closed_v > LIVE_V]
    effects = Counter(line.effect for line in lines if line.corner == "nominal")
    out = [
        "# Failure modes by injection",
        "",
        "Simulated, never measured. Every part open, shorted and drifted, every pair of neighbouring nets bridged: "
        f"{len(faults) - 1} faults, {len(lines)} injections. The complete table is fmea.csv.",
        "",
        "* Single faults that leave a rail live in MUTE, or take over 20 ms: "
        f"**{len({x.fault for x in single})}** besides the broken actuator.",
        f"* Single faults that leave a rail live while closed: {len({x.fault for x in closed})};"
        f" not noticed by any self-test at boot or closing: **{len({x.fault for x in unseen})}**.",
        f"* Latent faults (nothing a test can read changes): {len(hidden)}, by name below.",
        "",
        "On the nominal board: " + ", ".join(f"{count} {effect}" for effect, count in sorted(effects.items())) + ".",
        "",
        "## Self-tests",
        "",
        *[f"* `{name}`: {what}" for name, what in TESTS.items()],
        "",
        "A pin voltage under 0.15 V counts as zero: an ESP32 cannot tell it from nothing.",
        "",
        "## Live in MUTE",
        "",
        *(_table(in_mute) if in_mute else ["None."]),
        "",
        "## Live while closed",
        "",
        *_table(closed),
        "",
        "## Highest rails in MUTE among the rest",
        "",
        *_table(sorted((x for x in lines if x not in in_mute), key=lambda x: -x.mute_v)[:12]),
        "",
        "## Latent",
        "",
        "Redundant parts, one of two clamps, filters, indicators. One of these and a second fault may defeat what a single "
        "fault cannot.",
        "",
        ", ".join(hidden) + ".",
    ]
    return "\n".join(out) + "\n"
