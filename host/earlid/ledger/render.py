"""Tables of the ledger for a terminal, with rich. Only looks; what is shown is worked out in `report`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from earlid.ledger.dates import clock_text, day_text, doubt_text, local_day, span_text
from earlid.ledger.queries import Entry, Opening
from earlid.ledger.report import BAR_CELLS, Day, Story

ROWS_SHOWN = 500
_STYLES = {"fault": "bold red", "open": "yellow", "near-miss": "dim", "lost": "red", "mute": "cyan", "unmute": "cyan"}
_BAR_STYLES = {"!": "bold red", "B": "cyan", "W": "yellow", "n": "dim", "|": "blue"}


def console(stream: TextIO | None = None) -> Console:
    """A console that cuts nothing off when its output goes to a file or another program."""
    out = sys.stdout if stream is None else stream
    plain = {} if out.isatty() or "COLUMNS" in os.environ else {"width": 200}
    return Console(file=out, highlight=False, soft_wrap=not out.isatty(), **plain)  # type: ignore[arg-type]


def show_story(story: Story, out: Console) -> None:
    """The days with their bars, the records (where few days are asked for), then the totals."""
    if not story.boards:
        out.print("The ledger has no board yet: run `earlid watch` with a board plugged in.")
        return
    if len(story.days) == 1:
        out.print(f"[bold]{day_text(story.days[0].day)}[/]  {', '.join(escape(board.title) for board in story.boards)}")
    _show_days(story.days, out)
    _show_entries(story, out)
    _show_totals(story, out)


def _show_days(days: Sequence[Day], out: Console) -> None:
    ruler = "".join(f"{hour:02}".ljust(BAR_CELLS // 8) for hour in range(0, 24, 3))
    table = Table(box=None, pad_edge=False)
    table.add_column("day", no_wrap=True)
    table.add_column("live", justify="right", no_wrap=True)
    table.add_column("opened", justify="right")
    table.add_column(ruler, no_wrap=True)
    for day in days:
        bar = "".join(f"[{_BAR_STYLES[mark]}]{mark}[/]" if mark in _BAR_STYLES else mark for mark in day.bar)
        table.add_row(day_text(day.day), span_text(day.live_ms), str(day.openings.total()), bar)
    out.print(table)
    out.print("[dim]W opened by the word, B by the button, n near miss, ! fault, | start[/]")


def _show_entries(story: Story, out: Console) -> None:
    if not story.entries:
        out.print("\nNo such record.")
        return
    lasted = {(opening.board, opening.boot, opening.seq): opening for opening in story.openings}
    titles = {board.board: board.title for board in story.boards}
    shown = [entry for entry in story.entries if entry.event != "close"] or story.entries
    table = Table(box=None, pad_edge=False)
    names = ["number", "time", "", "what", "why", "live", "ended", "score", "label"]
    for name in [*names[:1], *(["board"] if len(titles) > 1 else []), *names[1:]]:
        table.add_column(name, no_wrap=True, justify="right" if name in ("number", "live", "score") else "left")
    day = None
    for entry in shown[-ROWS_SHOWN:]:
        if local_day(entry.wall_ms) != day and len(story.days) > 1:
            day = local_day(entry.wall_ms)
            table.add_row(*([""] if len(titles) > 1 else []), "", f"[bold]{day_text(day)}[/]")
        style = _STYLES.get(entry.event, "")
        cells = _entry_cells(entry, lasted.get((entry.board, entry.boot, entry.seq)))
        table.add_row(cells[0], *([escape(titles[entry.board])] if len(titles) > 1 else []), *cells[1:], style=style)
    out.print()
    out.print(table)
    if len(shown) > ROWS_SHOWN:
        out.print(f"[dim]{len(shown) - ROWS_SHOWN} earlier ones not shown: narrow --since/--event, or take --csv.[/]")


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
    return [
        str(entry.seq), clock_text(entry.wall_ms), doubt_text(entry.unc_ms), entry.event, why, live, ended, score,
        label,
    ]  # fmt: skip


def _show_totals(story: Story, out: Console) -> None:
    counts = story.totals.counts
    opened = {reason: count for (event, reason), count in counts.items() if event == "open"}
    of_event = {
        name: sum(count for (event, _), count in counts.items() if event == name)
        for name in ("near-miss", "boot", "fault")
    }
    false = sum(day.false_openings for day in story.days)
    by_reason = ", ".join(f"{count} by {reason}" for reason, count in sorted(opened.items()))
    why = f" ({by_reason})" if opened else ""
    live = span_text(story.totals.live_ms)
    out.print(f"\nLive {live} in {sum(opened.values())} openings{why}; {false} labelled false.")
    out.print(f"{of_event['near-miss']} near misses, {of_event['boot']} starts, {of_event['fault']} faults.")
    titles = {board.board: board.title for board in story.boards}
    for gap in story.gaps:
        out.print(
            f"[bold red]Gap:[/] records {gap.first} to {gap.last} of {escape(titles[gap.board])} are missing "
            "(`earlid verify` says more)."
        )
