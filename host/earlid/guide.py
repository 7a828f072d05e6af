# SPDX-License-Identifier: MIT
"""Guide: leads a person through a session with sound: a terminal with a level meter, a log without questions, or JSON lines."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from earlid.board.level import meter

CUE_S = 1.2  # how long the sign to speak stays lit: who is later than that may wait for the next


class Guide:
    """Prints what happens without asking anything: for scripts, --json and tests."""

    def __init__(self, as_json: bool = False, out: TextIO | None = None) -> None:
        self._json = as_json
        self._out = out if out is not None else (sys.stdout if as_json else sys.stderr)

    def report(self, event: str, text: str, **values: Any) -> None:
        """Print an event; `values` go into its JSON line."""
        if self._json:
            print(json.dumps({"event": event, **values}), file=self._out, flush=True)
        elif text:
            print(text, file=self._out, flush=True)

    def ask_step(self, step: str, text: str, seconds: float) -> bool:
        """Announce a step; False skips it."""
        self.report("step", text, step=step, seconds=seconds)
        return True

    def ask_retry(self, step: str) -> bool:
        """Whether to repeat a step that failed."""
        return False

    def cue(self, text: str, **values: Any) -> None:
        """Prompt for something to be done at this very moment."""
        self.report("now", text, **values)

    @contextmanager
    def progress(self, text: str, total_s: float) -> Iterator[Guide]:
        """While something is listened to; `on_reading` is called inside."""
        yield self

    def on_reading(self, level_dbfs: float, seconds: float) -> None:
        """One reading: its level, and how long this has been going on."""

    def choose(self, question: str, choices: Sequence[str]) -> str | None:
        """One of the choices; None for none."""
        return None


class _MessageColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        message: Text = task.fields["message"]
        return message


class TerminalGuide(Guide):
    """Asks and shows, on a terminal: Enter goes on, `s` skips a step."""

    def __init__(self) -> None:
        super().__init__()
        self._console = Console(stderr=True, highlight=False, no_color=bool(os.environ.get("NO_COLOR")))
        self._bars: Progress | None = None
        self._idle_text = ""  # what stands in front of the bar when there is no sign
        self._cue_since_s: float | None = None  # when the sign came, in the step's own seconds

    def _ask(self, question: str) -> str:
        try:
            return self._console.input(question).strip().lower()
        except EOFError:  # Ctrl-D
            raise KeyboardInterrupt from None

    def report(self, event: str, text: str, **values: Any) -> None:
        if text:
            self._console.print(text, markup=False)

    def ask_step(self, step: str, text: str, seconds: float) -> bool:
        self._console.rule(step)
        self._console.print(text, markup=False)
        return self._ask("[bold]Enter[/] begins, [bold]s[/] skips: ") not in ("s", "skip")

    def ask_retry(self, step: str) -> bool:
        return self._ask("[bold]Enter[/] tries again, [bold]s[/] skips: ") not in ("s", "skip")

    def cue(self, text: str, **values: Any) -> None:
        if self._bars is not None:
            self._bars.update(self._bars.task_ids[0], message=Text(text, "bold reverse"), refresh=True)  # at this very moment
            self._cue_since_s = None
        else:
            self._console.print(text, markup=False)

    @contextmanager
    def progress(self, text: str, total_s: float) -> Iterator[Guide]:
        columns = (
            _MessageColumn(), BarColumn(bar_width=12), TextColumn("{task.fields[level]}"), TimeRemainingColumn(),
        )  # fmt: skip
        self._idle_text, self._cue_since_s = text, float("inf")
        with Progress(*columns, console=self._console, transient=True) as bars:
            bars.add_task("", total=total_s, message=Text(text), level="")
            self._bars = bars
            try:
                yield self
            finally:
                self._bars = None

    def on_reading(self, level_dbfs: float, seconds: float) -> None:
        if self._bars is None:
            return
        if self._cue_since_s is None:
            self._cue_since_s = seconds
        elif seconds > self._cue_since_s + CUE_S:
            self._bars.update(self._bars.task_ids[0], message=Text(self._idle_text), refresh=True)
            self._cue_since_s = float("inf")
        self._bars.update(self._bars.task_ids[0], completed=seconds, level=f"{meter(level_dbfs)} {level_dbfs:6.1f} dBFS")

    def choose(self, question: str, choices: Sequence[str]) -> str | None:
        while True:
            answer = self._ask(f"{question}, {', '.join(choices)}? (Enter: none) ")
            if not answer:
                return None
            matching = [name for name in choices if name.startswith(answer)]
            if len(matching) == 1:
                return matching[0]
            self._console.print(f"There is no {answer!r}.", markup=False)
