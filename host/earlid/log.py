# SPDX-License-Identifier: MIT
"""Log on standard error: silent unless -v, --trace or EARLID_LOG asks; its lines begin with the time of day in UTC."""

from __future__ import annotations

import os
import re
import sys
import time

QUIET, INFO, TRACE = range(3)
LEVELS = {"": QUIET, "info": INFO, "trace": TRACE}
VARIABLE = "EARLID_LOG"
_SECRET = re.compile(rb'("(?:key|mac)": ?")[0-9a-f]*')
_level = QUIET


def set_level(verbose: bool, trace: bool) -> None:
    """Begin a run: what the options ask for, or the variable where it asks for more."""
    global _level
    word = os.environ.get(VARIABLE, "")
    _level = max(TRACE if trace else INFO if verbose else QUIET, LEVELS.get(word, QUIET))
    if word not in LEVELS:
        print(f"earlid: {VARIABLE} is {word!r}: info or trace is understood.", file=sys.stderr)


def traces() -> bool:
    """Whether lines of the wire are wanted."""
    return _level >= TRACE


def info(text: str) -> None:
    """Say what is done, with -v."""
    if _level >= INFO:
        _write(text)


def wire(port: str, arrow: str, line: bytes) -> None:
    """Show one line of a wire, with --trace; keys and seals are left out.

    Args:
        arrow: `>` to the board, `<` from it.
    """
    if _level >= TRACE:
        shown = _SECRET.sub(rb"\1...", line.rstrip(b"\r\n")).decode("latin-1")
        _write(f"{port} {arrow} {shown if shown.isascii() and shown.isprintable() else ascii(shown)[1:-1]}")


def _write(text: str) -> None:
    now_s = time.time()
    moment = time.strftime("%H:%M:%S", time.gmtime(now_s)) + f".{int(now_s * 1000) % 1000:03d}"
    try:
        sys.stderr.write(f"{moment} {text}\n")
        sys.stderr.flush()
    except (OSError, ValueError):  # a log that nobody can write stops nothing
        pass
