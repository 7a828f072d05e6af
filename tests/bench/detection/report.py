# SPDX-License-Identifier: MIT
"""The report of a run: tables in Markdown, curves as SVG. Every figure comes from counts; nothing is measured here."""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from earlid.accuracy.intervals import Interval

from tests.bench.detection import conditions, count, engines, peers
from tests.bench.detection.count import Counts

Results = dict[tuple[str, str, str], Counts]  # by half, condition, engine
OfHalf = dict[tuple[str, str], Counts]
Engines = dict[str, peers.Engine]
Cutoffs = dict[str, dict[float, float]]  # of each engine, at each rate
RATES_PER_H = (0.5, 1.0, 2.0)
LONG_H = 30.0  # of sound without the word, from which on a rate of 0.1 an hour is told too
NEGATIVES = ("negatives-clean", "negatives-noisy-speech")
DRAWN = "household-10db"  # a condition of which there are several draws of noise
NOTES = Path(__file__).with_name("NOTES.md")
_PLOTTED = (("clean", "clean"), ("household-10db", "household noise, 10 dB"), ("room-0.5", "3 m, RT60 0.5 s"))


def write(results: Results, path: Path, command: str) -> str:
    """Write the report and its plots.

    Args:
        results: counts of whatever was measured; tables leave out what was not.
        path: of the Markdown file; plots stand beside it.
        command: that made it.

    Returns:
        The text.
    """
    shown = {name: make() for name, make in engines.ENGINES.items() if any(key[2] == name for key in results)}
    halves = [half for half in ("held", "dev") if any(key[0] == half for key in results)]
    parts = [_head(command)]
    for half in halves:
        of_half = {(condition, name): counts for (which, condition, name), counts in results.items() if which == half}
        parts.append(f"## Half `{half}`\n" if len(halves) > 1 else "")
        parts += _half(of_half, shown)
        drawn = _plot(of_half, shown, path.with_name(f"{path.stem.lower()}-{half}.svg"))
        parts += [f"![words missed against false openings]({drawn.name})\n"] if drawn else []
    parts += [_cost(results, shown), NOTES.read_text() if NOTES.exists() else ""]
    text = "\n".join(part for part in parts if part)
    path.write_text(text)
    return text


def _head(command: str) -> str:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    changed = subprocess.run(["git", "status", "--porcelain", "-uno"], capture_output=True, text=True, check=False).stdout.strip()
    return f"""# Detection, measured

{datetime.date.today().isoformat()}, commit {commit}{" and changes" if changed else ""}, `{command}`.

Simulated mixtures of recordings; nothing here has been on a bench. Every engine hears the same samples of each stream from its
start to its end. Counted as in `host/earlid/evaluate/README.md`; halves, sources and levels are told in `data.py` and
`conditions.py`. Intervals are exact, 95 %.
"""


def cutoffs(of_half: OfHalf, name: str, floor: float, rates: Sequence[float]) -> dict[float, float]:
    """The cutoff of an engine at each rate, over clean and noisy sound without the word."""
    negatives = count.total(of_half[condition, name] for condition in NEGATIVES if (condition, name) in of_half)
    return {rate: count.cutoff_at(negatives, rate, floor) for rate in rates} if negatives.hours else {}


def _half(of_half: OfHalf, shown: Engines) -> list[str]:
    hours = max((counts.hours for counts in _negatives_of(of_half, shown).values()), default=0.0)
    rates = RATES_PER_H if hours < LONG_H else (0.1, *RATES_PER_H)
    at = {name: cutoffs(of_half, name, engine.floor, rates) for name, engine in shown.items()}
    return [
        _cutoff_table(of_half, shown, at, rates),
        _miss_table(of_half, shown, at, rates),
        _shipped_table(of_half, shown),
        _near_table(of_half, shown, at, rates),
        _delay_table(of_half, shown, at),
    ]


def _negatives_of(of_half: OfHalf, shown: Iterable[str]) -> dict[str, Counts]:
    return {
        name: count.total(of_half[condition, name] for condition in NEGATIVES if (condition, name) in of_half) for name in shown
    }


def _cutoff_table(of_half: OfHalf, shown: Engines, at: Cutoffs, rates: Sequence[float]) -> str:
    rows = []
    for name, negatives in _negatives_of(of_half, shown).items():
        if not negatives.hours:
            continue
        cells = []
        for rate in rates:
            cutoff = at[name][rate]
            openings = f"{negatives.openings(cutoff)} ({_rate(negatives.openings_per_h(cutoff))})"
            cells.append(f"{cutoff:.{shown[name].decimals}f}: {openings}")
        rows.append([name, f"{negatives.hours:.2f}", *cells])
    return _section(
        "False openings",
        "The loosest cutoff, on each engine's own scale, with at most so many false openings an hour over sound without the word,"
        " clean and as speech in household noise at 10 dB; how many there were, with the interval of their rate an hour.",
        ["engine", "hours", *(f"{rate:g} an hour" for rate in rates)],
        rows,
    )


def _miss_table(of_half: OfHalf, shown: Engines, at: Cutoffs, rates: Sequence[float]) -> str:
    names = [name for name in shown if at[name]]
    rows = []
    said = [condition for condition in conditions.TABLE if condition.group in ("words", "voices")]
    draws = [condition.name for condition in said if condition.name.startswith(DRAWN)]
    asked = [(f"`{condition.name}`", condition.about, [condition.name]) for condition in said]
    for title, about, of in [*asked, (f"`{DRAWN}`, all {len(draws)} draws", "household noise", draws)]:
        found = {name: [of_half[each, name] for each in of if (each, name) in of_half] for name in names}
        heard = {name: count.total(parts) for name, parts in found.items() if len(parts) == len(of)}
        row = [_missed_at(heard[name], at[name], rates) if name in heard else "" for name in names]
        if heard:
            rows.append([title, about, str(max(len(counts.words) for counts in heard.values())), *row])
    return _section(
        "Words missed",
        f"In %, at {' / '.join(f'{rate:g}' for rate in rates)} false openings an hour; in parentheses the interval of the first.",
        ["condition", "what is heard", "words", *names],
        rows,
    )


def _missed_at(counts: Counts, at: dict[float, float], rates: Sequence[float]) -> str:
    shares = [counts.missed(at[rate]) for rate in rates]
    interval = f"({_percent(shares[0].low)} to {_percent(shares[0].high)})"
    return " / ".join(_percent(share.value) for share in shares) + f" {interval}"


def _shipped_table(of_half: OfHalf, shown: Engines) -> str:
    rows = []
    for name, engine in shown.items():
        if engine.shipped is None:
            continue
        cells = []
        for condition in (*NEGATIVES, "negatives-room-speech"):
            counts = of_half.get((condition, name))
            cells.append(f"{counts.openings(engine.shipped)} ({_rate(counts.openings_per_h(engine.shipped))})" if counts else "")
        for condition in ("clean", "household-10db", "room-0.5"):
            counts = of_half.get((condition, name))
            cells.append(_share(counts.missed(engine.shipped)) if counts else "")
        for condition in ("near-natural", "near-sentence-natural"):
            counts = of_half.get((condition, name))
            cells.append(_share(counts.fired(engine.shipped)) if counts else "")
        rows.append([name, f"{engine.shipped:g}", *cells])
    return _section(
        "As shipped",
        "At the cutoff that each engine comes with: false openings, an hour; words missed; near words that open, in %.",
        ["engine", "cutoff", "clean", "noisy speech", "speech in a room", "missed, clean", "missed, household 10 dB",
         "missed, RT60 0.5 s", "near words alone", "in sentences"],
        rows,
    )  # fmt: skip


def _near_table(of_half: OfHalf, shown: Engines, at: Cutoffs, rates: Sequence[float]) -> str:
    names = [name for name in shown if at[name]]
    rows = []
    for condition in conditions.TABLE:
        if condition.group != "near":
            continue
        found = {name: of_half[condition.name, name] for name in names if (condition.name, name) in of_half}
        cells = []
        for name in names:
            counts = found.get(name)
            cells.append(" / ".join(_percent(counts.fired(at[name][rate]).value) for rate in rates) if counts else "")
        if found:
            rows.append([condition.about, str(max(len(counts.words) for counts in found.values())), *cells])
    return _section(
        "What sounds like the word",
        f"Share that opens, in %, at {' / '.join(f'{rate:g}' for rate in rates)} false openings an hour.",
        ["what is heard", "number", *names], rows,
    )  # fmt: skip


def _delay_table(of_half: OfHalf, shown: Engines, at: Cutoffs) -> str:
    rows = []
    for name in shown:
        if not at[name]:
            continue
        cells = []
        for condition in ("clean", "household-10db", "room-0.5"):
            counts = of_half.get((condition, name))
            median, ninety = count.median_and_90(counts.delays_ms(at[name][0.5]) if counts else [])
            cells.append("" if np.isnan(median) else f"{median:.0f} / {ninety:.0f}")
        rows.append([name, *cells])
    return _section(
        "Delay",
        "Milliseconds from the end of the word (its last 10 ms within 25 dB of its loudest) to the opening, median / nine of ten,"
        " at 0.5 false openings an hour. An engine that hears blocks of 80 or 32 ms answers at their end.",
        ["engine", "clean", "household noise, 10 dB", "3 m, RT60 0.5 s"], rows,
    )  # fmt: skip


def _cost(results: Results, shown: Engines) -> str:
    rows = []
    for name, engine in shown.items():
        counts = count.total(counts for (_, _, which), counts in results.items() if which == name)
        settings = engine.settings
        each_ms = 1000 * counts.cpu_s / counts.audio_s / settings if counts.audio_s else float("nan")
        size = sum(size for _, size in engine.files)
        names = ", ".join(name for name, _ in engine.files)
        version = engine.version.split(" ")[1] if name in engines.PEERS else ""
        what = names if len(engine.files) < 4 else f"{len(engine.files)} files"
        rows.append([name, f"{each_ms:.2f}", f"{size:,}", what, version])
    return _section(
        "Cost",
        "Processor milliseconds for a second of audio on this machine (others worked beside it), and what has to be there for one"
        " word. On a board: `tests/xtensa/bench_gate.py`.",
        ["engine", "ms for a second", "bytes", "of", "version"], rows,
    )  # fmt: skip


def _plot(of_half: OfHalf, shown: Engines, path: Path) -> Path | None:
    """Misses against false openings an hour, one panel for each condition, all engines in each."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    negatives = _negatives_of(of_half, shown)
    panels = [(name, title) for name, title in _PLOTTED if any((name, engine) in of_half for engine in shown)]
    if not panels or not any(counts.hours for counts in negatives.values()):
        return None
    with matplotlib.rc_context({"svg.hashsalt": "earlid", "font.size": 8, "svg.fonttype": "none"}):
        size = (3.6 * len(panels), 3.4)
        drawing, axes = pyplot.subplots(1, len(panels), figsize=size, sharey=True, layout="constrained", squeeze=False)
        for axis, (condition, title) in zip(axes[0], panels, strict=True):
            for place, (name, engine) in enumerate(shown.items()):
                counts = of_half.get((condition, name))
                if counts is None or not negatives[name].hours:
                    continue
                rates, misses = curve(negatives[name], counts, engine.floor)
                axis.plot(rates, misses, drawstyle="steps-post", label=name, color=f"C{place}", linewidth=1.1)
            axis.set(xscale="log", xlim=(0.1, 10), ylim=(0, 60), title=title, xlabel="false openings an hour")
            axis.grid(True, which="both", alpha=0.2)
        axes[0][0].set_ylabel("words missed, %")
        axes[0][0].legend(loc="upper right", fontsize=7)
        drawing.savefig(path, metadata={"Date": None})
        pyplot.close(drawing)
    return path


def curve(negatives: Counts, words: Counts, floor: float) -> tuple[list[float], list[float]]:
    """Openings an hour (none: half an event) and % missed for about 60 cutoffs, loosest last."""
    values = np.unique([value for events in negatives.events for _, value in events] or [floor])
    picked = np.unique(np.concatenate([values[-40:], np.quantile(values, np.linspace(0, 1, 21))]))[::-1]
    rates = [max(0.5, negatives.openings(float(cutoff))) / negatives.hours for cutoff in picked]
    return rates, [100 * words.missed(float(cutoff)).value for cutoff in picked]


def as_json(results: Results) -> list[dict[str, Any]]:
    """Counts at the shipped cutoff and lengths, for programs."""
    return [
        {"half": half, "condition": condition, "engine": name, "words": len(counts.words), "hours": round(counts.hours, 4),
         "audio_s": round(counts.audio_s, 2), "cpu_s": round(counts.cpu_s, 2)}
        for (half, condition, name), counts in results.items()
    ]  # fmt: skip


def _section(title: str, about: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [f"## {title}\n", f"{about}\n", _row(head), _row(["---"] * len(head)), *(_row(row) for row in rows)]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}" if share < 0.0995 else f"{100 * share:.0f}"


def _share(interval: Interval) -> str:
    return f"{_percent(interval.value)} ({_percent(interval.low)} to {_percent(interval.high)})"


def _rate(interval: Interval) -> str:
    return f"{interval.value:.2f}, {interval.low:.2f} to {interval.high:.2f}"
