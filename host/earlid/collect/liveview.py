# SPDX-License-Identifier: MIT
"""Live view: the terminal display of `earlid watch`, a line for each board and the last events."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from earlid.board.level import dbfs, meter
from earlid.collect.supervisor import RESCAN_S, Supervisor
from earlid.collect.watcher import BoardStatus, WatchEvent
from earlid.ledger.exposure import live_bounds
from earlid.ledger.report import Today
from earlid.ledger.time_format import bounds_text, clock_text
from earlid.scores import score_text

STALE_S = 3.0
REDRAW_S = 0.25
_STATES = {
    "LIVE": "bold white on red",
    "open": "bold white on red",
    "muted": "cyan",
    "closed": "green",
    "fault": "bold red reverse",
}


def state_of(status: BoardStatus, *, live: bool = False) -> str:
    """The lid's state as last received; `LIVE` when the rail is `live` without it, `away` while the board is not connected."""
    if live:
        return "LIVE"
    if not status.connected:
        return "away"
    return str(status.telemetry.get("state") or status.hello.get("state") or "?")


def event_text(event: WatchEvent, title: str) -> str:
    """One event as a line for a log or the display."""
    when = clock_text(event.wall_ms) if event.wall_ms else "        "
    if event.record is None:
        return f"{clock_text(int(time.time() * 1000))} {title}: {event.text}"
    item = event.record
    more = ""
    if item.event == "open" and item.reason == "word":
        more = f", score {score_text(item.score, item.b)}"
    elif item.event in ("close", "dead"):
        (found,) = live_bounds([item])
        more = f", after {bounds_text(found.least_ms, found.most_ms)}"
    return f"{when} {title}: {item.seq} {event.text}{more}"


def render(
    statuses: Sequence[BoardStatus], events: Iterable[WatchEvent], title_of: Callable[[str], str], today: Mapping[str, Today]
) -> RenderableType:
    """The whole display.

    Args:
        statuses: one for each board.
        events: the last ones, oldest first.
        title_of: the name to show for a board.
        today: of `ledger.report.live_today`.
    """
    table = Table(box=None, pad_edge=False, expand=False)
    for name in ("board", "lid", "sound", "word", "live today", "last"):
        table.add_column(name, no_wrap=True, justify="right" if name == "live today" else "left")
    for status in statuses:
        so_far = today.get(status.board, Today())
        state = state_of(status, live=so_far.live)
        fresh = time.monotonic() - status.telemetry_s < STALE_S
        numbers = status.telemetry if fresh and status.connected else {}
        last = next((item for item in reversed(status.last) if item.record), None)
        table.add_row(
            escape(title_of(status.board or status.port)),
            Text(f" {state} ", style=_STATES.get(state, "dim")),
            meter(dbfs(numbers.get("lvl", 0))) if numbers else "",
            f"{int(numbers.get('score', 0)):3}" if numbers else "",
            bounds_text(*so_far.bounds),
            escape(last.text) if last else escape(status.error[:60]),
        )
    lines = [Text(event_text(item, title_of(item.board)), style="" if item.record else "dim") for item in events]
    return Group(table, Text(""), *lines)


def show(supervisor: Supervisor, ended: threading.Event) -> None:
    """Keep the display up to date, and the supervisor at work, until `ended` is set."""
    with Live(console=Console(highlight=False), auto_refresh=False) as live:
        scanned_s = float("-inf")
        while not ended.wait(REDRAW_S):
            if time.monotonic() - scanned_s > RESCAN_S:
                supervisor.tick()
                scanned_s = time.monotonic()
            content = render(supervisor.statuses, list(supervisor.events), supervisor.title, supervisor.today)
            live.update(content, refresh=True)
