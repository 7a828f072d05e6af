# SPDX-License-Identifier: MIT
"""Prints a report of some days as text; what is in it is computed in `report`.

Plain Python: laying out and colouring a day's few hundred rows with rich takes longer than all the rest of `review`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TextIO

from earlid.ledger.exposure import Bounds, sum_bounds
from earlid.ledger.queries import Entry, Opening
from earlid.ledger.report import BAR_CELLS, MARKS, QUIET, Day, Report, is_doubtful
from earlid.ledger.time_format import bounds_text, clock_text, day_text, local_day, moment_text, uncertainty_text
from earlid.scores import score_text

ROWS_SHOWN = 500
QUIET_DAYS = 14  # of more days, those without anything are only counted
_SGR = {"bold": "1", "dim": "2", "red": "1;31", "yellow": "33", "cyan": "36", "blue": "34", "magenta": "1;35"}
_STYLES = {
    "fault": "red", "lost": "red", "limited": "yellow", "open": "yellow", "near-miss": "dim", "mute": "cyan",
    "unmute": "cyan",
}  # fmt: skip
_BAR_STYLES = {"x": "magenta", "L": "red", "!": "red", "B": "cyan", "W": "yellow", "n": "dim", "|": "blue"}
_MARKS_BY_PRIORITY = "".join(mark for _, mark in MARKS) + QUIET
_RIGHT = ("number", "live", "ended", "score", "opened")
_ENDS = ("close", "dead", "mark")
_DROP_ORDER = ("score", "ended", "board", "label")  # left out in this order where a terminal is too narrow
_NARROW = 80  # in fewer columns a row has no room for both bounds
_DAY_COLUMNS = 38  # of a day's line before its bar
_ASCII = str.maketrans({"·": ".", "±": "~", "≤": "<"})


class TextOutput:
    """Writes lines to a stream, with colours where it is a terminal that wants them.

    `columns` is the terminal's width, a large number where there is none.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        terminal = out.isatty()
        self._colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self.columns = _columns(out) if terminal else 1 << 16
        try:
            "".join(map(chr, _ASCII)).encode(out.encoding or "utf-8")
            self._substitutes: dict[int, str] = {}
        except UnicodeEncodeError:
            self._substitutes = _ASCII

    def paint(self, text: str, style: str) -> str:
        """The text in a style of _SGR, or as it is."""
        return f"\x1b[{_SGR[style]}m{text}\x1b[0m" if style and self._colour else text

    def line(self, text: str = "", style: str = "") -> None:
        """One line."""
        print(self.paint(text, style).translate(self._substitutes), file=self._out)

    def table(self, names: Sequence[str], rows: Iterable[tuple[Sequence[str], str]]) -> None:
        """Rows of (cells, style) under their names; a row of one cell goes across. Columns without content are left out."""
        all_rows = list(rows)
        full = [cells for cells, _ in all_rows if len(cells) > 1]
        widths = {i: max(map(len, column)) for i, column in enumerate(zip(names, *full, strict=True)) if any(column[1:])}
        hidden = []
        for name in _DROP_ORDER:
            if sum(widths.values()) + 2 * (len(widths) - 1) > self.columns and (i := names.index(name)) in widths:
                hidden.append(name)
                del widths[i]
        for cells, style in [(names, "bold"), *all_rows]:
            if len(cells) == 1:
                self.line(cells[0], style)
                continue
            padded = [cells[i].rjust(width) if names[i] in _RIGHT else cells[i].ljust(width) for i, width in widths.items()]
            self.line("  ".join(padded).rstrip(), style)
        if hidden:
            self.line(f"Too narrow for: {', '.join(hidden)}.", "dim")


def _columns(out: TextIO) -> int:
    try:
        return int(os.environ.get("COLUMNS", "")) or 80
    except ValueError:
        pass
    try:
        return os.get_terminal_size(out.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def print_report(report: Report, out: TextIO, *, single: bool = True, now_ms: int | None = None) -> None:
    """The boards' lids, the days with their bars, the single records if they are wanted, then the totals.

    Args:
        now_ms: Unix ms; the end of the report's range when None.
    """
    output = TextOutput(out)
    if not report.boards:
        output.line("The ledger has no board yet: run `earlid watch` with a board plugged in.")
        return
    _show_lids(report, report.to_ms if now_ms is None else now_ms, output)
    if report.events or report.reasons:
        output.line(f"Only {', '.join((*report.events, *report.reasons))}:", "bold")
    _show_days(report.days, output)
    if not report.totals.records and not report.openings:
        output.line("\nNo such record." if report.events or report.reasons else "\nNothing was recorded.")
    elif not single:
        output.line("\nFor single records ask about fewer days, or with --event or --reason.", "dim")
    elif not report.entries:
        output.line("\nNo such record.")
    else:
        _show_entries(report, output)
    _show_totals(report, output)


def _show_lids(report: Report, now_ms: int, output: TextOutput) -> None:
    """What each board's lid is: those that a person must look at first, each on a line of its own, in red."""
    quiet = []
    for board, lid in zip(report.boards, report.lids, strict=True):
        text = f"{board.title}: {lid.text(now_ms)}"
        if lid.alarms(now_ms):
            output.line(f"{text}.", "red")
        else:
            quiet.append(text)
    for text in quiet:
        output.line(text, "bold")
    titles = {board.identifier: board.title for board in report.boards}
    live_now = {lid.board for lid in report.lids if lid.state == "live"}
    for opening in report.alarms:
        if opening.board not in live_now:
            when = moment_text(opening.start_ms)
            output.line(f"{titles[opening.board]}: LIVE with its lid closed since {when}, by its records of that start.", "red")


def _show_days(days: Sequence[Day], output: TextOutput) -> None:
    room = output.columns - _DAY_COLUMNS
    on_next_line = room < BAR_CELLS // 2
    cells = (
        BAR_CELLS if room >= BAR_CELLS else BAR_CELLS // 2 if room >= BAR_CELLS // 2 or output.columns > 50 else BAR_CELLS // 4
    )
    ruler = "".join(f"{hour:02}".ljust(cells // 8) for hour in range(0, 24, 3)).rstrip()
    join = "\n  " if on_next_line else "  "
    live_of = [bounds_text(*day.live) for day in days]
    wide = max(11, *map(len, live_of)) if days else 11
    output.line(f"{'day':15}  {'live':>{wide}}  opened{join}{ruler}", "bold")
    quiet = 0
    for day, live in zip(days, live_of, strict=True):
        if len(days) > QUIET_DAYS and not day.openings and day.bar == QUIET * BAR_CELLS:
            quiet += 1
            continue
        bar = "".join(output.paint(mark, _BAR_STYLES.get(mark, "")) for mark in _downsample(day.bar, BAR_CELLS // cells))
        figures = f"{day_text(day.day):15}  {live:>{wide}}  {day.openings.total():6}"
        output.line(f"{figures}{join}{bar}")
    if quiet:
        output.line(f"{_plural(quiet, 'day')} on which nothing happened.", "dim")
    output.line("x labelled false, L live with the lid closed, ! fault, W opened by the word, B by the button,", "dim")
    output.line("n near miss, | start", "dim")


def _downsample(bar: str, factor: int) -> str:
    """A bar of so many times fewer cells; each shows the most telling of what it covers."""
    parts = (bar[i : i + factor] for i in range(0, len(bar), factor))
    return "".join(min(part, key=_MARKS_BY_PRIORITY.index) for part in parts)


def _show_entries(report: Report, output: TextOutput) -> None:
    opening_of = {(opening.board, opening.boot, opening.seq): opening for opening in report.openings}
    titles = {board.identifier: board.short_title for board in report.boards}
    many = len(titles) > 1
    # What ends an opening stands in its row; a rail that was live with the lid closed stands first.
    shown = [entry for entry in report.entries if entry.event not in _ENDS or _identity(entry) in opening_of] or report.entries
    outside = {key: opening for key, opening in opening_of.items() if opening.outside}
    shown = [entry for entry in shown if _identity(entry) not in outside]
    narrow = output.columns < _NARROW
    names = ["number", "board", "time", "", "what", "why", "live", "ended", "score", "label"]
    rows: list[tuple[list[str], str]] = []
    day = local_day(report.from_ms) if len(report.days) == 1 else None  # the day that the rows above are of

    def begin(of_ms: int) -> None:
        nonlocal day
        if local_day(of_ms) != day:
            day = local_day(of_ms)
            rows.append(([day_text(day)], "bold"))

    for opening in outside.values():
        begin(opening.start_ms)
        cells = [
            str(opening.seq),
            clock_text(opening.start_ms),
            uncertainty_text(opening.unc_ms),
            "live",
            opening.reason,
            _live_text(opening, narrow=narrow),
        ]
        rows.append(([cells[0], titles[opening.board] if many else "", *cells[1:], opening.ended, "", ""], "red"))
    first = sum(is_doubtful(entry.unc_ms) for entry in shown)
    doubtful, certain = shown[:first][-ROWS_SHOWN:], shown[first:][-ROWS_SHOWN:]
    if doubtful:
        rows.append((["At a time that is not certain"], "bold"))
        day = None
    for entry in [*doubtful, *certain]:
        if not is_doubtful(entry.unc_ms):
            begin(entry.wall_ms)
        cells = _entry_cells(entry, opening_of.get(_identity(entry)), narrow=narrow)
        rows.append(([cells[0], titles[entry.board] if many else "", *cells[1:]], _STYLES.get(entry.event, "")))
    output.line()
    output.table(names, rows)
    if left := len(shown) - len(doubtful) - len(certain):
        output.line(f"{left} earlier ones not shown: narrow --since/--event, or take --csv.", "dim")


def _identity(entry: Entry) -> tuple[str, int, int]:
    return entry.board, entry.boot, entry.seq


def _entry_cells(entry: Entry, opening: Opening | None, *, narrow: bool) -> list[str]:
    live = ended = ""
    if opening:
        live, ended = _live_text(opening, narrow=narrow), opening.ended
    scored = entry.event == "near-miss" or (entry.event == "open" and entry.reason == "word")
    score = score_text(entry.score, entry.b, entry.flags) if scored else ""
    label = {True: "true", False: "false", None: ""}[entry.label]
    why = f"{entry.reason} ({entry.a})" if entry.event == "fault" else entry.reason
    if entry.event == "limited":
        why = f"{entry.a} records of a host held back"
    time = moment_text(entry.wall_ms) if is_doubtful(entry.unc_ms) else clock_text(entry.wall_ms)
    return [str(entry.seq), time, uncertainty_text(entry.unc_ms), entry.event, why, live, ended, score, label]


def _live_text(opening: Opening, *, narrow: bool) -> str:
    text = bounds_text(opening.least_ms, opening.most_ms)
    return f"≤{text.partition(' to ')[2]}" if narrow and " to " in text else text


def _plural(count: int, one: str, more: str = "") -> str:
    return f"{count} {one if count == 1 else more or one + 's'}"


def _show_totals(report: Report, output: TextOutput) -> None:
    openings_by_reason: Counter[str] = sum((day.openings for day in report.days), Counter())
    count_of = {
        name: sum(count for (event, _), count in report.totals.counts.items() if event == name)
        for name in ("near-miss", "boot", "fault")
    }
    false = sum(day.false_openings for day in report.days)
    by_reason = ", ".join(f"{count} by {reason}" for reason, count in sorted(openings_by_reason.items()))
    why = f" ({by_reason})" if openings_by_reason else ""
    live = bounds_text(*report.live)
    output.line(f"\nLive {live} in {_plural(openings_by_reason.total(), 'opening')}{why}; {false} labelled false.")
    if outside := [opening for opening in report.openings if opening.outside]:
        live = bounds_text(*sum_bounds(Bounds(opening.least_ms, opening.most_ms) for opening in outside))
        output.line(f"{_plural(len(outside), 'time')} of it with the lid closed, {live}: see the rows that stand first.", "red")
    if doubtful := sum(is_doubtful(opening.unc_ms) for opening in report.openings):
        line = f"{_plural(doubtful, 'opening')} of doubtful time (±) may lie here or on another day: the rows that stand first."
        output.line(line, "red")
    near = _plural(count_of["near-miss"], "near miss", "near misses")
    output.line(f"{near}, {_plural(count_of['boot'], 'start')}, {_plural(count_of['fault'], 'fault')}.")
    if report.questions:
        output.line(f"{len(report.questions)} to check, likely not meant: `earlid review check`.", "yellow")
    titles = {board.identifier: board.title for board in report.boards}
    for gap in report.gaps:
        line = f"Gap: records {gap.first} to {gap.last} of {titles[gap.board]} are missing (`earlid verify` says more)."
        output.line(line, "red")
