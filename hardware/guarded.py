# SPDX-License-Identifier: MIT
"""The three recipes of the guarded side, simulated: open, inrush, drop, MUTE; on the nominal and the two worst boards."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np

from hardware import stimuli
from hardware.events import CORNERS, RING, corner_of
from hardware.models import PTC_USB_OHM
from hardware.netlist import build
from hardware.recipes import RECIPES
from hardware.spice import Fault, Stimulus, simulate

LIVE_V = 0.3


@dataclass(frozen=True)
class Figures:
    """One recipe on one board: volts at the microphone, the contact's peak current, drop after the last edge, MUTE."""

    recipe: str
    corner: str
    open_v: float
    inrush_a: float
    drop_ms: float
    mute_ms: float
    mute_v: float


VARIANTS: dict[str, tuple[tuple[Fault, ...], float]] = {  # faults and, for a bouncing contact, the damping of its armature
    "nominal, contact bounces": ((), RING),
    "nominal, slow start lost": ((Fault("short", "Q202", "S", "D"),), 0.0),
    "nominal, both": ((Fault("short", "Q202", "S", "D"),), RING),
}


def _last(w: dict[str, np.ndarray], start: float, net: str = "RAIL2") -> float:
    live = w["t"][(w["t"] >= start) & (w[net] > LIVE_V)]
    return float(live[-1] - start) * 1e3 if len(live) else 0.0


def measure(recipe: str, name: str) -> Figures:
    board = build(2, recipe)
    faults, ring = VARIANTS.get(name, ((), 0.0))
    corner = corner_of(name.split(",")[0], board)
    corner = corner.with_env(contact_ring=ring) if ring else corner
    source = next(p for p in board.parts if "SRC2" in p.nets and p.ref in ("R213", "F201"))
    ohm = source.value_si or PTC_USB_OHM
    mic = "MICBUS2" if recipe == "usb" else "RAIL2"
    feed = next(net for net in source.nets if net != "SRC2")
    changes, last, _ = stimuli.edges(0.02, 0.32)
    points = {f"pump{n}": stimuli.join(changes) for n in (1, 2)}
    w = simulate(board, corner, Stimulus("open", last + 0.3, points, 2e-4), ["RAIL2", mic, feed, "SRC2"], faults)
    inrush = float(((w[feed] - w["SRC2"]) / ohm).max())
    grid = np.linspace(last - 0.03, last, 50)
    open_v = float(np.interp(grid, w["t"], w[mic]).min())
    drop = _last(w, last)
    stimulus, lever = stimuli.muted_while_open(3, corner.env["throw_ms"], corner.env["bounce_ms"], 5.0)
    w = simulate(board, corner, stimulus, ["RAIL2", mic], faults)
    late = w["t"] > lever + 0.03
    return Figures(recipe, name, open_v, inrush, drop, max(_last(w, lever), _last(w, lever, mic)), float(w[mic][late].max()))


def _job(job: tuple[str, str]) -> Figures:
    return measure(*job)


def table(workers: int = 2) -> list[Figures]:
    jobs = [(recipe, name) for recipe in RECIPES for name in (*CORNERS, *(VARIANTS if recipe == "usb" else ()))]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(_job, jobs))


def as_markdown(rows: list[Figures]) -> str:
    lines = [
        "| recipe | board | open, V at the microphone | peak through the contact, A | drop, ms | MUTE, ms | after MUTE, V |",
        "|---|---|---|---|---|---|---|",
    ]
    for f in rows:
        lines.append(
            f"| {f.recipe} | {f.corner} | {f.open_v:.2f} | {f.inrush_a:.3f} | {f.drop_ms:.0f} | {f.mute_ms:.1f} |"
            f" {f.mute_v:.3f} |"
        )
    return "\n".join(lines) + "\n"
