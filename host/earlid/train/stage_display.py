# SPDX-License-Identifier: MIT
"""Shows how far a training is: a bar on a terminal, a line when a stage begins elsewhere; on stderr."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from earlid.train.remaining import Remaining, range_text

Advance = Callable[[float, float], None]
LINE_EVERY_S = 60.0  # without a terminal


class StageDisplay:
    """The display of one run; made by `shown`."""

    def __init__(self, console: Console, bars: Progress | None, expected_s: Mapping[str, float], quiet: bool) -> None:
        self._console, self._bars, self._quiet = console, bars, quiet
        self._names = list(expected_s)
        self._remaining = Remaining(expected_s)
        self._task = bars.add_task("", total=1.0, left="") if bars else None

    def say(self, text: str) -> None:
        """A line for people, above the bar."""
        if not self._quiet:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def begin(self, stage: str, text: str) -> Advance:
        """A stage begins.

        Returns:
            A function to call with how much of it is done, of how much.
        """
        begin_s = said_s = time.monotonic()
        self._remaining.begin(stage, begin_s)
        number = self._names.index(stage) + 1
        title = f"{number} of {len(self._names)}: {text}"
        self._left(begin_s)
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, description=title, completed=0.0)
        else:
            self.say(f"{title} ({self._left(begin_s)} left in all)")

        def advance(done: float, total: float) -> None:
            nonlocal said_s
            now_s, share = time.monotonic(), min(1.0, done / total) if total > 0 else 0.0
            self._remaining.advance(share)
            if self._bars is not None and self._task is not None:
                self._bars.update(self._task, completed=share, left=f"{self._left(now_s)} left in all")
            elif now_s - said_s >= LINE_EVERY_S:
                said_s = now_s
                self.say(f"   {share:.0%}, {self._left(now_s)} left in all")

        return advance

    def _left(self, at_s: float) -> str:
        return range_text(*self._remaining.range_s(at_s))


@contextmanager
def shown(expected_s: Mapping[str, float], quiet: bool = False) -> Iterator[StageDisplay]:
    """A display while the block runs.

    Args:
        expected_s: seconds that each stage is expected to take, by its name, in their order.
        quiet: neither bar nor lines.
    """
    console = Console(file=sys.stderr, no_color=bool(os.environ.get("NO_COLOR")))
    if quiet or not console.is_terminal:
        yield StageDisplay(console, None, expected_s, quiet)
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=console) as bars:
        yield StageDisplay(console, bars, expected_s, quiet)
