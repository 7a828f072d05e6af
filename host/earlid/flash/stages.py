# SPDX-License-Identifier: MIT
"""Stages of a flash run: their names, the texts that people read, and how progress is reported."""

from __future__ import annotations

from collections.abc import Callable

Report = Callable[[str, int, int], None]
"""Called with a stage of STAGE_TEXT, how much of it is done, and of how much (0: unknown)."""

HOLD_TEXT = "Earlid runs on it: hold its talk button, press and release its reset button, then let the talk button go"
STAGE_TEXT = {
    "look": "looking at the board",
    "maintenance": "waiting for maintenance mode",
    "download": "downloading MicroPython",
    "connect": "connecting to the boot loader",
    "erase": "erasing",
    "write": "writing MicroPython",
    "verify": "verifying",
    "prompt": "waiting for MicroPython",
    "deploy": "putting the firmware on",
    "release": "let the talk button go now",
    "restart": "restarting",
    "self-test": "waiting for the first self-test",
    "done": "done",
    "failed": "failed",
    "stopped": "stopped",
}
FINAL_STAGES = ("done", "failed", "stopped")


def interrupted_text(stage: str) -> str:
    """What a person must know after Ctrl-C in a stage."""
    if stage in ("erase", "write", "verify"):
        left = "The chip has no working MicroPython now, and its lid is closed"
    elif stage in ("release", "restart", "self-test"):
        left = "The firmware is on the board"
    else:
        left = "The board has what it had, or waits with its lid closed"
    return f"stopped. {left}: run `earlid flash` again to finish."
