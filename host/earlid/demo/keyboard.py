# SPDX-License-Identifier: MIT
"""Single keys from the terminal that this program was started in."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from collections.abc import Callable, Iterator


def _none(patience_s: float) -> str:
    time.sleep(patience_s)
    return ""


@contextlib.contextmanager
def keys() -> Iterator[Callable[[float], str]]:
    """Yields a function that waits so many seconds for a key and returns it, or an empty text.

    Keys are not shown meanwhile. Where standard input is no terminal, no key ever comes.
    """
    if not sys.stdin.isatty():
        yield _none
        return
    import termios
    import tty

    def pressed(patience_s: float) -> str:
        ready, _, _ = select.select([descriptor], [], [], patience_s)
        return os.read(descriptor, 1).decode("latin-1") if ready else ""

    descriptor = sys.stdin.fileno()
    kept = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield pressed
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, kept)
