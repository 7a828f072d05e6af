# SPDX-License-Identifier: MIT
"""Plots of the reports as SVG: small, deterministic, one style."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams.update({"svg.hashsalt": "earlid", "svg.fonttype": "none", "font.size": 8, "axes.grid": True, "grid.alpha": 0.3,
                     "axes.titlesize": 9, "path.simplify_threshold": 0.5})  # fmt: skip
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402

from hardware import headline, stimuli  # noqa: E402
from hardware.corners import Corner, extremes  # noqa: E402
from hardware.headline import Sample  # noqa: E402
from hardware.netlist import build  # noqa: E402
from hardware.spice import Fault, Stimulus, simulate  # noqa: E402

NETS = {"RAIL1": "#d62728", "POWER1": "#2a8f3c", "RATE1": "#1f5fbf", "REF": "#8a8a8a"}


def _text(figure: plt.Figure) -> str:
    out = io.StringIO()
    figure.tight_layout()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    return re.sub(r"[ \t]+\n", "\n", out.getvalue())


def _draw(axis: plt.Axes, title: str, corner: Corner, stimulus: Stimulus, mark_s: float, faults: tuple[Fault, ...] = ()) -> None:
    w = simulate(build(1), corner, stimulus, list(NETS), faults)
    grid = np.arange(0.0, stimulus.end_s, 2e-3)
    for net, ink in NETS.items():
        axis.plot(grid * 1e3, np.interp(grid, w["t"], w[net]).round(3), color=ink, lw=1.2, label=net)
    axis.axvline(mark_s * 1e3, color="black", ls=":", lw=0.8)
    axis.axhline(0.3, color="#d62728", ls=":", lw=0.6)
    axis.set_title(title)
    axis.set_xlabel("ms")
    axis.set_ylim(-0.2, 3.6)


def waveforms() -> str:
    """Six stimuli of channel 1, nominal and worst."""
    slow_board = extremes(build(2))[0]
    figure, axes = plt.subplots(3, 2, figsize=(10, 9))
    pump, _, _, last = headline.pump_stimulus("high", True)
    _draw(axes[0][0], "nominal: arm, pause of 60 ms, then the pin stuck high", Corner(), pump, last)
    _draw(axes[0][1], "slowest board: the same", slow_board, pump, last)
    stimulus, begin = stimuli.slow(10.0, warm=True, length_s=0.8)
    _draw(axes[1][0], "nominal: rate falls to 10 Hz", Corner(), stimulus, begin)
    _draw(axes[1][1], "slowest board: rate falls to 10 Hz", slow_board, stimulus, begin)
    stimulus, lever = stimuli.muted_while_open(3, 2.0, 2.0, 5.0)
    _draw(axes[2][0], "nominal: MUTE thrown, pin toggling on", Corner(), stimulus, lever)
    stimulus, last = stimuli.hold_then("high")
    _draw(axes[2][1], "nominal: comparator dead, power pump alone", Corner(), stimulus, last, (Fault("open", "U1", "OUT1"),))
    axes[2][1].legend(loc="upper right", fontsize=7)
    return _text(figure)


def spread(samples: list[Sample]) -> str:
    """Histograms of the Monte Carlo samples against their limits."""
    figure, axes = plt.subplots(2, 2, figsize=(10, 6))
    rows: list[tuple[str, Callable[[Sample], float], float]] = [
        ("ms from the last edge to rail < 0.3 V (limit 250)", lambda s: s.drop_ms, 250.0),
        ("ms from the lever to rail 2 < 0.3 V (limit 20)", lambda s: s.mute2_ms, 20.0),
        ("rate tank's peak at 10 Hz over its threshold (limit 1)", lambda s: s.slow_peak, 1.0),
        ("ms from the first edge to a live rail (limit 200)", lambda s: s.arm_ms, 200.0),
    ]
    for axis, (title, pick, limit) in zip(axes.flat, rows, strict=True):
        axis.hist([pick(s) for s in samples], bins=40, color="#1f5fbf")
        axis.axvline(limit, color="#d62728", lw=1.2)
        axis.set_title(title)
        axis.set_ylabel("boards")
    figure.suptitle(
        f"{len(samples)} simulated boards, every part uniform within its tolerance, 0 to 50 C, 4.75 to 5.5 V at the USB port"
    )
    return _text(figure)
