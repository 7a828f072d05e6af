"""The story of some days as text. Only looks; what is shown is worked out in `report`.

Plain Python: laying out and colouring a day's few hundred rows with rich takes longer than all the rest of `review`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TextIO

from earlid.ledger.dates import clock_text, day_text, doubt_text, local_day, span_text
from earlid.ledger.queries import Entry, Opening
from earlid.ledger.report import BAR_CELLS, Day, Story

ROWS_SHOWN = 500
_SGR = {"bold": "1", "dim": "2", "red": "1;31", "yellow": "33", "cyan": "36", "blue": "34"}
_STYLES = {"fault": "red", "lost": "red", "open": "yellow", "near-miss": "dim", "mute": "cyan", "unmute": "cyan"}
_BAR_STYLES = {"!": "red", "B": "cyan", "W": "yellow", "n": "dim", "|": "blue"}
_RIGHT = ("number", "live", "ended", "score", "opened")


class Page:
    """Writes lines to a stream, with colours where it is a terminal that wants them."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._colour = out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def paint(self, text: str, style: str) -> str:
        """The text in a style of _SGR, or as it is."""
        return f"\x1b[{_SGR[style]}m{text}\x1b[0m" if style and self._colour else text

    def line(self, text: str = "", style: str = "") -> None:
        """One line."""
        print(self.paint(text, style), file=self._out)

    def table(self, names: Sequence[str], rows: Iterable[tuple[Sequence[str], str]]) -> None:
        """Rows of (cells, style) under their names; a row of one cell goes across."""
        kept = list(rows)
        full = [cells for cells, _ in kept if len(cells) > 1]
        widths = [max(map(len, column)) for column in zip(names, *full, strict=True)]
        for cells, style in [(names, "bold"), *kept]:
            padded = [
                cell.rjust(width) if name in _RIGHT else cell.ljust(width)
                for cell, width, name in zip(cells, widths, names, strict=False)
            ]
            self.line("  ".join(padded).rstrip() if len(cells) > 1 else cells[0], style)


def show_story(story: Story, out: TextIO) -> None:
    """The days with their bars, the records (where few days are asked for), then the totals."""
    page = Page(out)
    if not story.boards:
        page.line("The ledger has no board yet: run `earlid watch` with a board plugged in.")
        return
    page.line(", ".join(board.title for board in story.boards), "bold")
    _show_days(story.days, page)
    _show_entries(story, page)
    _show_totals(story, page)


def _show_days(days: Sequence[Day], page: Page) -> None:
    ruler = "".join(f"{hour:02}".ljust(BAR_CELLS // 8) for hour in range(0, 24, 3))
    page.line(f"{'day':15}  {'live':>11}  opened  {ruler.rstrip()}", "bold")
    for day in days:
        bar = "".join(page.paint(mark, _BAR_STYLES.get(mark, "")) for mark in day.bar)
        page.line(f"{day_text(day.day):15}  {span_text(day.live_ms):>11}  {day.openings.total():6}  {bar}")
    page.line("W opened by the word, B by the button, n near miss, ! fault, | start", "dim")


def _show_entries(story: Story, page: Page) -> None:
    if not story.entries:
        page.line("\nNo such record.")
        return
    lasted = {(opening.board, opening.boot, opening.seq): opening for opening in story.openings}
    titles = {board.board: board.title for board in story.boards}
    many = len(titles) > 1
    shown = [entry for entry in story.entries if entry.event != "close"] or story.entries
    names = ["number", *(["board"] if many else []), "time", "", "what", "why", "live", "ended", "score", "label"]
    rows: list[tuple[list[str], str]] = []
    day = None
    for entry in shown[-ROWS_SHOWN:]:
        if local_day(entry.wall_ms) != day and len(story.days) > 1:
            day = local_day(entry.wall_ms)
            rows.append(([day_text(day)], "bold"))
        cells = _entry_cells(entry, lasted.get((entry.board, entry.boot, entry.seq)))
        board = [titles[entry.board]] if many else []
        rows.append(([cells[0], *board, *cells[1:]], _STYLES.get(entry.event, "")))
    page.line()
    page.table(names, rows)
    if len(shown) > ROWS_SHOWN:
        page.line(f"{len(shown) - ROWS_SHOWN} earlier ones not shown: narrow --since/--event, or take --csv.", "dim")


def _entry_cells(entry: Entry, opening: Opening | None) -> list[str]:
    live = ended = ""
    if opening:
        live = span_text(opening.live_ms) if opening.live_ms is not None else "?"
        ended = opening.ended
    elif entry.event == "close":
        live, ended = span_text(entry.a), entry.reason
    score = f"{entry.score}/{entry.b}" if entry.event in ("open", "near-miss") and entry.reason == "word" else ""
    label = {True: "true", False: "false", None: ""}[entry.label]
    why = f"{entry.reason} ({entry.a})" if entry.event == "fault" else entry.reason
    time = clock_text(entry.wall_ms)
    return [str(entry.seq), time, doubt_text(entry.unc_ms), entry.event, why, live, ended, score, label]


def _many(count: int, one: str, more: str = "") -> str:
    return f"{count} {one if count == 1 else more or one + 's'}"


def _show_totals(story: Story, page: Page) -> None:
    counts = story.totals.counts
    opened = {reason: count for (event, reason), count in counts.items() if event == "open"}
    of_event = {
        name: sum(count for (event, _), count in counts.items() if event == name) for name in ("near-miss", "boot", "fault")
    }
    false = sum(day.false_openings for day in story.days)
    by_reason = ", ".join(f"{count} by {reason}" for reason, count in sorted(opened.items()))
    why = f" ({by_reason})" if opened else ""
    live = span_text(story.totals.live_ms)
    page.line(f"\nLive {live} in {_many(sum(opened.values()), 'opening')}{why}; {false} labelled false.")
    near = _many(of_event["near-miss"], "near miss", "near misses")
    page.line(f"{near}, {_many(of_event['boot'], 'start')}, {_many(of_event['fault'], 'fault')}.")
    titles = {board.board: board.title for board in story.boards}
    for gap in story.gaps:
        say = f"Gap: records {gap.first} to {gap.last} of {titles[gap.board]} are missing (`earlid verify` says more)."
        page.line(say, "red")
