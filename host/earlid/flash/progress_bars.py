# SPDX-License-Identifier: MIT
"""Progress bars, one a board, on stderr and only on a terminal; elsewhere a line when a stage begins."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from earlid.flash.stages import FINAL_STAGES, SAID_TEXT, STAGE_TEXT, Report

ESTIMATE_AFTER_S = 2.0
ESTIMATE_AFTER_SHARE = 0.05


def remaining_s(done: int, total: int, elapsed_s: float) -> float | None:
    """Seconds a stage will still take at the speed it had; None while too little is known.

    Args:
        done, total: how much of the stage is done, of how much (0: unknown).
        elapsed_s: since the stage began.
    """
    if total <= 0 or elapsed_s < ESTIMATE_AFTER_S or done < total * ESTIMATE_AFTER_SHARE:
        return None
    return elapsed_s * (total - done) / done


class _Remaining(ProgressColumn):
    def render(self, task: Task) -> Text:
        estimate_s = remaining_s(int(task.completed), int(task.total or 0), time.monotonic() - task.fields["begin_s"])
        return Text("" if estimate_s is None else f"about {estimate_s:.0f} s left")


class ProgressBars:
    """The progress bars of one run; `reporter` makes each board's."""

    def __init__(self, bars: Progress | None, quiet: bool) -> None:
        self._bars = bars
        self._quiet = quiet
        self._lock = threading.Lock()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """No bar moves while the block runs, one block at a time: somebody is asked something."""
        with self._lock:
            if self._bars is not None:
                self._bars.stop()
            try:
                yield
            finally:
                if self._bars is not None:
                    self._bars.start()

    def reporter(self, port: str) -> Report:
        """A function for `Provisioner.report` that moves this port's bar."""
        current = ""
        task = None
        if self._bars is not None:
            task = self._bars.add_task("", port=port, begin_s=time.monotonic(), total=None)

        def report(stage: str, done: int, total: int) -> None:
            nonlocal current
            new = stage != current
            current = stage
            if self._bars is not None and task is not None:
                if new and stage in SAID_TEXT:
                    self._bars.console.print(f"{port}: {SAID_TEXT[stage]}.", highlight=False, markup=False)
                if new:
                    self._bars.update(task, description=STAGE_TEXT[stage], begin_s=time.monotonic())
                self._bars.update(task, completed=done, total=total or None)
            elif new and not self._quiet and stage not in FINAL_STAGES:
                with self._lock:
                    text = f"{SAID_TEXT[stage]}." if stage in SAID_TEXT else STAGE_TEXT[stage]
                    print(f"{port}: {text}", file=sys.stderr, flush=True)

        return report


@contextmanager
def show(ports: list[str], quiet: bool = False) -> Iterator[ProgressBars]:
    """Bars for these ports while the block runs.

    Args:
        ports: the boards' ports.
        quiet: neither bars nor lines.
    """
    if quiet or not sys.stderr.isatty():
        yield ProgressBars(None, quiet)
        return
    console = Console(stderr=True, no_color=bool(os.environ.get("NO_COLOR")))
    columns = (
        TextColumn("{task.fields[port]}", markup=False), BarColumn(bar_width=24), TextColumn("{task.description}"), _Remaining(),
    )  # fmt: skip
    with Progress(*columns, console=console) as bars:
        yield ProgressBars(bars, quiet)
