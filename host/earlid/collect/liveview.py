# SPDX-License-Identifier: MIT
"""What `earlid watch` shows on a terminal: a line for each board, and what happened last."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from earlid.collect.watcher import Happening, Status
from earlid.ledger.time_format import clock_text, span_text

METER_CELLS = 20
METER_FULL_DB = 90.0  # of a 16-bit signal's mean square; a full-scale sine has 87.3 dB
DB_PER_LOG2 = 3.0103
STALE_S = 3.0
_STATES = {"open": "bold white on red", "muted": "cyan", "closed": "green", "fault": "bold red reverse"}


def level_db(level_log2_q8: int) -> float:
    """Decibels of a mean square given as its log2 in 1/256."""
    return level_log2_q8 / 256 * DB_PER_LOG2


def meter(level_log2_q8: int) -> str:
    """A bar of METER_CELLS characters for a hop's level."""
    full = max(0, min(METER_CELLS, round(level_db(level_log2_q8) / METER_FULL_DB * METER_CELLS)))
    return "█" * full + "·" * (METER_CELLS - full)


def state_of(status: Status) -> str:
    """The lid's state as last heard; `away` while the board is not there."""
    if not status.here:
        return "away"
    return str(status.telemetry.get("state") or status.hello.get("state") or "?")


def happening_text(happening: Happening, title: str) -> str:
    """One line for a log or the screen."""
    when = clock_text(happening.wall_ms) if happening.wall_ms else "        "
    if happening.record is None:
        return f"{clock_text(int(time.time() * 1000))} {title}: {happening.say}"
    item = happening.record
    more = ""
    if item.event == "open" and item.reason == "word":
        more = f", score {item.score} of {item.b}"
    elif item.event == "close":
        more = f", after {span_text(item.a)}"
    return f"{when} {title}: {item.seq} {happening.say}{more}"


def screen(
    statuses: Sequence[Status], happenings: Iterable[Happening], title_of: Callable[[str], str], live_ms: dict[str, int]
) -> RenderableType:
    """The whole display.

    Args:
        statuses: one for each board.
        happenings: the last ones, oldest first.
        title_of: what to call a board.
        live_ms: board -> milliseconds its lid was open today.
    """
    table = Table(box=None, pad_edge=False, expand=False)
    for name in ("board", "lid", "sound", "word", "live today", "last"):
        table.add_column(name, no_wrap=True, justify="right" if name == "live today" else "left")
    for status in statuses:
        state = state_of(status)
        fresh = time.monotonic() - status.telemetry_s < STALE_S
        numbers = status.telemetry if fresh and status.here else {}
        last = next((item for item in reversed(status.last) if item.record), None)
        table.add_row(
            escape(title_of(status.board or status.port)),
            Text(f" {state} ", style=_STATES.get(state, "dim")),
            meter(int(numbers.get("lvl", 0))) if numbers else "",
            f"{int(numbers.get('score', 0)):3}" if numbers else "",
            span_text(live_ms.get(status.board, 0)),
            escape(last.say) if last else escape(status.trouble[:60]),
        )
    lines = [Text(happening_text(item, title_of(item.board)), style="" if item.record else "dim") for item in happenings]
    return Group(table, Text(""), *lines)
