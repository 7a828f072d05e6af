# SPDX-License-Identifier: MIT
"""A calibration as one HTML page that needs nothing else: figures, plot, findings, settings, and where they are from."""

from __future__ import annotations

from html import escape
from pathlib import Path

from lid import config
from lid.wire_schema import SETTINGS

from earlid.accuracy.curve import OperatingPoint
from earlid.accuracy.plot import figure_as_svg
from earlid.accuracy.text import false_text, hours_text, missed_text
from earlid.calibrate.result import CalibrationResult, caveats, cost_text, expected_text
from earlid.files import write_atomically

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; }
body { background: #fff; } h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } tr.chosen td { font-weight: 600; } .note { color: #555; }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid #ccc; vertical-align: top; }
svg { max-width: 100%; height: auto; }
@media (prefers-color-scheme: dark) {
body { color: #e6e6e6; background: #161616; } th, td { border-color: #444; } .note { color: #aaa; } svg { background: #fff; }
}
"""


def write_report(path: Path, result: CalibrationResult, level: str | None, date: str) -> None:
    """Write the page.

    Raises:
        UserError: the file cannot be written.
    """
    write_atomically(path, make_page(result, level, date), private=True)


def make_page(result: CalibrationResult, level: str | None, date: str) -> str:
    """The page's text."""
    measurements = result.measurements
    head = f"Calibration of board {measurements.board}"
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>{escape(head)}</title>",
        f"<style>{_STYLE}</style><h1>{escape(head)}</h1>",
        f"<p>{escape(date)}. Word {escape(measurements.word or 'none')}, "
        f"network {escape(result.network.name or measurements.model)}, "
        f"firmware {escape(measurements.firmware)}. No sound left the board: everything here is made of levels and scores.</p>",
        "<h2>The choice</h2>", _levels(result, level), _plot(result),
        "".join(f"<p class=note>{escape(line)}</p>" for line in caveats(result)),
        "<h2>The room and the voice</h2>", _room(result), "<h2>Words</h2>", _trials(result),
        "<h2>Settings</h2>", _settings(result, level),
    ]  # fmt: skip
    return "\n".join(parts) + "</html>\n"


def _table(head: list[str], rows: list[list[str]], chosen: int | None = None) -> str:
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = [
        f"<tr{' class=chosen' if number == chosen else ''}>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
        for number, row in enumerate(rows)
    ]
    return f"<table><tr>{cells}</tr>{''.join(lines)}</table>"


def _levels(result: CalibrationResult, chosen: str | None) -> str:
    def row(name: str, point: OperatingPoint, expected: str, cost: str) -> list[str]:
        return [name, str(point.cutoff_q8), missed_text(point), false_text(point), expected, cost]

    rows = [row(level.name, level.own, expected_text(level), cost_text(level)) for level in result.levels]
    rows.append(row("in force before", result.curve.at(result.cutoff_in_force_q8), "", ""))
    head = ["level", "cutoff of 255", "words missed", "false openings", "to expect", "a false opening costs"]
    place = next((number for number, level in enumerate(result.levels) if level.name == chosen), None)
    return _table(head, rows, place)


def _plot(result: CalibrationResult) -> str:
    if not (result.curve.trials and result.curve.hours):
        return "<p class=note>No plot: it needs both words spoken and time without the word.</p>"
    return figure_as_svg([result.line()])


def _room(result: CalibrationResult) -> str:
    room, voice = result.measurements.room, result.measurements.voice
    if room is None:
        return "<p>Not measured.</p>"
    seconds = room.per_second_dbfs
    rows = [
        ["quiet room", f"{room.level_dbfs:.1f} dBFS; by the second {min(seconds):.1f} to {max(seconds):.1f}" if seconds else ""],
        ["loudest hop in a thousand", f"{room.unrest_q8 / 85:.1f} dB above the median"],
        ["mean of the samples", f"{room.dc_steps:+.0f} steps of 16 bits"],
        [
            "at " + ", ".join(room.hum_dbfs),
            ", ".join("nothing" if v is None else f"{v:.0f}" for v in room.hum_dbfs.values()) + " dBFS",
        ],
    ]
    if voice is not None:
        rows += [
            ["voice", f"{voice.speech_dbfs:.1f} dBFS, {voice.snr_db:.0f} dB above the room, peaks at {voice.peak_dbfs:.1f} dBFS"],
            ["gain that fits", f"{voice.gain_q8 / 256:.2f}"],
        ]
    findings = [*room.findings, *(voice.findings if voice else [])]
    faults = "".join(
        f"<p><b>{escape(f.name)}</b>: {escape(f.what)}. {escape(f.cure[0].upper() + f.cure[1:])}.</p>" for f in findings
    )
    return _table(["", ""], rows) + (faults or "<p>No fault was found.</p>")


def _trials(result: CalibrationResult) -> str:
    trials = result.measurements.trials
    if not trials:
        return "<p>Not tried.</p>"
    rows = [
        [
            str(number),
            str(trial.peak),
            "" if trial.latency_ms is None else str(trial.latency_ms),
            "" if trial.heard_sound else "nothing heard",
        ]
        for number, trial in enumerate(trials, 1)
    ]
    duration = f"<p>Without the word: {hours_text(result.curve.hours)}.</p>"
    return _table(["", "highest score of 255", "ms from its first sound", ""], rows) + duration


def _settings(result: CalibrationResult, level: str | None) -> str:
    settings = result.settings_for(level)
    rows = []
    for name, value in settings.items():
        _, low, high, _ = config.SCHEMA[name]
        before = result.current.get(name)
        rows.append([name, str(value), "" if before == value else str(before), f"{low} to {high}", SETTINGS[name]])
    return _table(["setting", "value", "before", "range", "what it is"], rows)
