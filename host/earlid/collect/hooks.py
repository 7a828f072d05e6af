# SPDX-License-Identifier: MIT
"""Hooks: programs that run when something happens. They wait in a queue of their own and never in the way of collecting."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import queue
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from lid import record

from earlid.collect.events import NAMES, WatchEvent
from earlid.door import plain
from earlid.errors import USAGE, UserError
from earlid.host_clock import now_ms
from earlid.ledger.time_format import iso_text

ANY = "any"
LIMIT_S = 10  # a program's time
AT_ONCE = 4
QUEUED_MAX = 256
OLD_MS = 300_000  # a record that was fetched so late runs nothing
END_S = 2.0  # for what runs when watching ends


class Hook(NamedTuple):
    """`command` runs at this event; at any reason of it when that is None."""

    event: str
    reason: str | None
    command: str

    def matches(self, event: WatchEvent) -> bool:
        """Whether it runs now."""
        return self.event in (ANY, event.name) and self.reason in (None, event.reason)


def parse_hooks(pairs: Iterable[tuple[str, str]]) -> list[Hook]:
    """Hooks as the command line and the configuration have them: EVENT or EVENT:REASON, and a command.

    Raises:
        UserError: there is no such event or reason.
    """
    hooks = []
    for when, command in pairs:
        event, colon, reason = when.partition(":")
        _check(event, (*NAMES, ANY), "event")
        if colon:
            _check(reason, record.REASONS[1:], "reason")
            if event not in record.EVENTS:
                raise UserError(f"{when}: only records have a reason, not {event!r}.", USAGE)
        hooks.append(Hook(event, reason if colon else None, command))
    return hooks


def _check(word: str, known: tuple[str, ...], what: str) -> None:
    if word not in known:
        near = difflib.get_close_matches(word, known, 1)
        meant = f"Did you mean {near[0]!r}? " if near else ""
        raise UserError(f"there is no {what} {plain(word)!r}. {meant}There are: {', '.join(sorted(known))}.", USAGE)


class Hooks:
    """Runs hooks.

    Args:
        hooks: in the order in which they run.
        title_of: the name of a board.
        log: is told of what failed.
        to_log: what the programs print goes to stderr; else nowhere.
        limit_s: a program that runs longer is killed with all that it started.
        at_once: so many run side by side.
    """

    def __init__(
        self,
        hooks: Iterable[Hook],
        title_of: Callable[[str], str],
        log: Callable[[str], None],
        *,
        to_log: bool = True,
        limit_s: float = LIMIT_S,
        at_once: int = AT_ONCE,
    ) -> None:
        self._hooks, self._title_of, self._log, self._to_log = list(hooks), title_of, log, to_log
        self._limit_s, self._at_once = limit_s, at_once
        self._queue: queue.Queue[tuple[Hook, WatchEvent]] = queue.Queue(QUEUED_MAX)
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._ended = False
        self._old = self._left_out = 0

    def take(self, event: WatchEvent) -> None:
        """Something has happened; returns at once."""
        for hook in self._hooks:
            if not hook.matches(event):
                continue
            if event.record and (event.wall_ms is None or now_ms() - event.wall_ms > OLD_MS):
                self._old += 1
                continue
            try:
                self._queue.put_nowait((hook, event))
            except queue.Full:
                self._left_out += 1
                if self._left_out == 1:
                    self._log(f"hooks cannot keep up: more than {QUEUED_MAX} wait, and further ones are left out")
                continue
            with self._lock:
                if not self._ended and len(self._threads) < self._at_once:
                    self._threads.append(threading.Thread(target=self._work, name="hooks", daemon=True))
                    self._threads[-1].start()
        if self._old and not event.record:
            self._log(f"{self._old} records are more than {OLD_MS // 60_000} minutes old: their hooks are left out")
            self._old = 0

    def close(self) -> None:
        """Run no more; what runs has END_S."""
        with self._lock:
            self._ended = True
            threads = list(self._threads)
        for thread in threads:
            thread.join(END_S / len(threads))
        for process in list(self._running):
            _kill(process)

    def _work(self) -> None:
        while not self._ended:
            try:
                hook, event = self._queue.get(timeout=0.2)
            except queue.Empty:
                continue
            if self._left_out and self._queue.empty():
                self._log(f"{self._left_out} hooks were left out")
                self._left_out = 0
            try:
                wrong = self._run(hook, event)
            except Exception as error:
                wrong = f"cannot be run: {error}"
            if wrong:
                self._log(plain(f"hook for {event.name}: `{hook.command}` {wrong}"))

    def _run(self, hook: Hook, event: WatchEvent) -> str:
        """What went wrong; empty when nothing did."""
        output = 2 if self._to_log and _is_open(2) else subprocess.DEVNULL  # stdout may be read as JSON
        environment = os.environ | variables_of(event, self._title_of(event.board))
        process = subprocess.Popen(hook.command, shell=True, stdin=subprocess.PIPE, stdout=output, stderr=output,
                                   env=environment, start_new_session=True)  # fmt: skip
        self._running.add(process)
        if self._ended:
            _kill(process)
        try:
            process.communicate(json.dumps(event.as_json()).encode() + b"\n", self._limit_s)
        except subprocess.TimeoutExpired:
            _kill(process)
            return f"took more than {self._limit_s:g} s and was killed"
        finally:
            self._running.discard(process)
        return f"ended with {process.returncode}" if process.returncode and not self._ended else ""


def variables_of(event: WatchEvent, title: str) -> Mapping[str, str]:
    """What a program gets beside the JSON: letters, digits and what cannot mean anything to a shell."""
    item = event.record
    values = {
        "event": event.name, "reason": event.reason, "board": event.as_json()["board"] or "", "name": title, "text": event.text,
        "at": iso_text(event.wall_ms) if event.wall_ms else "",
        "seq": str(item.seq) if item else "", "score": str(item.score) if item else "",
    }  # fmt: skip
    return {f"EARLID_{name.upper()}": re.sub(r"[^\w .,:+/-]", "_", value) for name, value in values.items()}


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
