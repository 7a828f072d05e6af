# SPDX-License-Identifier: MIT
"""Live view: the terminal display of `earlid watch`, a line for each board and the last events."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from lid import circuit
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from earlid.board.level import dbfs, meter
from earlid.collect.events import WatchEvent
from earlid.collect.supervisor import RESCAN_S, Ending, Supervisor
from earlid.collect.watcher import BoardStatus, fault_text
from earlid.errors import HUNG_UP
from earlid.ledger.exposure import live_bounds
from earlid.ledger.report import Today
from earlid.ledger.time_format import bounds_text, clock_text
from earlid.ledger.wall_clock import is_time
from earlid.scores import score_text

STALE_S = 3.0
REDRAW_S = 0.25
RED = "bold white on red"
_STATES = {"open": RED, "fault": RED, "muted": "cyan", "closed": "green"}


def state_of(status: BoardStatus, *, live: bool = False) -> tuple[str, str]:
    """What is known of a lid now, in words, and the style to show it in.

    Args:
        status: of its board.
        live: by the ledger's newest records the rail is live with the lid closed.

    Returns:
        The lid's state as last received; `LIVE` when the rail is without it. Of a board that is not heard that is no knowledge:
        `unknown since 10:32`, or `maybe live since 10:32` when it was live then.
    """
    heard = status.telemetry or status.hello
    state = str(heard.get("state") or "")
    rail_mv = int(heard.get("rail", heard.get("guarded_mv", 0)) or 0)
    live = live or (state != "open" and rail_mv > circuit.RAIL_LIVE_MV)
    silent = time.monotonic() - status.heard_s > STALE_S
    if silent or not status.connected:
        gone = status.heard_ms if silent or not status.open else None  # else it is heard now, and not judged yet
        since = f" since {clock_text(gone)[:5]}" if gone else ""
        if live or state == "open":
            return f"maybe live{since}", RED
        return f"unknown{since}", RED if state == "fault" else "black on yellow"
    if live:
        return "LIVE", RED
    return state or "unknown", _STATES.get(state, "black on yellow")


def event_text(event: WatchEvent, title: str) -> str:
    """One event as a line for a log or the display, with the time at which it happened."""
    line = f"{_time_text(event.wall_ms)} {title}: " if title else f"{_time_text(event.wall_ms)} "
    item = event.record
    if item is None:
        return line + event.text
    more = ""
    if item.event == "open" and item.reason == "word":
        more = f", score {score_text(item.score, item.b, item.flags)}"
    elif item.event in ("close", "dead"):
        (found,) = live_bounds([item])
        more = f", after {bounds_text(found.least_ms, found.most_ms)}"
    return f"{line}{item.seq} {event.text}{more}"


def _time_text(wall_ms: int | None) -> str:
    if not wall_ms:
        return "        "
    return clock_text(wall_ms) if is_time(wall_ms) else "--:--:--"  # a board may say anything of its clock


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
        state, style = state_of(status, live=so_far.live)
        fresh = time.monotonic() - status.heard_s < STALE_S
        numbers = status.telemetry if fresh and status.connected else {}
        last = next((item for item in reversed(status.last) if item.record), None)
        table.add_row(
            escape(title_of(status.board or status.port)),
            Text(f" {state} ", style=style),
            meter(dbfs(numbers.get("lvl", 0))) if numbers else "",
            f"{int(numbers.get('score', 0)):3}" if numbers else "",
            bounds_text(*so_far.bounds),
            escape(last.text) if last else escape(status.error[:60]),
        )
    lines = [Text(event_text(item, title_of(item.board)), style="" if item.record else "dim") for item in events]
    return Group(table, Text(""), *lines)


def show(supervisor: Supervisor, ending: Ending) -> int:
    """Keep the display up to date, and the supervisor at work, until something ends it; the exit code, or the error raised."""
    supervisor.start()
    scanned_s = time.monotonic()
    try:
        with Live(console=Console(highlight=False), auto_refresh=False) as live:
            while True:
                try:
                    ended = ending.get(timeout=REDRAW_S)
                except queue.Empty:
                    if time.monotonic() - scanned_s > RESCAN_S:
                        supervisor.tick()
                        scanned_s = time.monotonic()
                    live.update(_picture(supervisor), refresh=True)
                    continue
                if isinstance(ended, Exception):
                    raise ended
                return ended
    except OSError:
        return HUNG_UP  # the terminal has gone


def _picture(supervisor: Supervisor) -> RenderableType:
    try:
        return render(supervisor.statuses, list(supervisor.events), supervisor.title, supervisor.today)
    except Exception as error:  # collecting goes on
        return Text(fault_text(error), style=RED)
