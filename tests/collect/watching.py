# SPDX-License-Identifier: MIT
"""Watching: a watcher in this process, or `earlid` in one of its own, what to wait for, and a process that holds the ledger."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import contextmanager

from earlid.collect.events import WatchEvent
from earlid.collect.watcher import Watcher

LIMIT_S = 90.0
HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
"""


class EventLog:
    """Collects a watcher's events, and waits for them."""

    def __init__(self):
        self.events: list[WatchEvent] = []
        self._changed = threading.Condition()

    def __call__(self, event):
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait_for(self, matches):
        with self._changed:
            assert self._changed.wait_for(lambda: any(matches(item) for item in self.events), LIMIT_S), self.events


def wait_until(condition, describe=str):
    end_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end_s, describe()
        time.sleep(0.01)


@contextmanager
def watching(port, ledger, log, telemetry_ms=0):
    """A watcher that has ended after the block: else it might open the port of a later test."""
    one = Watcher(port, ledger, log, telemetry_ms)
    one.start()
    try:
        yield one
    finally:
        one.stop()
        one.join(LIMIT_S)
    assert not one.is_alive()


@contextmanager
def program(*words, **options):
    """`earlid` in a process of its own, which has ended after the block."""
    child = subprocess.Popen([sys.executable, "-m", "earlid.cli", *words], **options)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


@contextmanager
def held(location):
    """Another process writes to the ledger and does not end."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(location.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout.readline() == "held\n"
        yield
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()
