# SPDX-License-Identifier: MIT
"""Keyboard: single key presses from this program's terminal."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from collections.abc import Callable, Iterator


def _no_key(timeout_s: float) -> str:
    time.sleep(timeout_s)
    return ""


@contextlib.contextmanager
def keys() -> Iterator[Callable[[float], str]]:
    """Yields a function that waits so many seconds for a key and returns it, or an empty text.

    Keys are not shown meanwhile. Where standard input is no terminal, no key ever comes.
    """
    if not sys.stdin.isatty():
        yield _no_key
        return
    import termios
    import tty

    def read_key(timeout_s: float) -> str:
        ready, _, _ = select.select([descriptor], [], [], timeout_s)
        return os.read(descriptor, 1).decode("latin-1") if ready else ""

    descriptor = sys.stdin.fileno()
    saved = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield read_key
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, saved)
