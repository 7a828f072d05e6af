# SPDX-License-Identifier: MIT
"""Stages of a flash run: their names, the texts that people read, and how progress is reported."""

from __future__ import annotations

from collections.abc import Callable

Report = Callable[[str, int, int], None]
"""Called with a stage of STAGE_TEXT, how much of it is done, and of how much (0: unknown)."""

HOLD_TEXT = "Earlid runs on it: hold its talk button, press and release its reset button, then let the talk button go"
SLOWER_TEXT = "the fast line failed, going on at 115200 baud"
STAGE_TEXT = {
    "look": "looking at the board",
    "maintenance": "waiting for maintenance mode",
    "download": "downloading MicroPython",
    "prepare": "compiling the firmware",
    "connect": "connecting to the boot loader",
    "slower": SLOWER_TEXT,
    "compare": "comparing with what is there",
    "erase": "erasing",
    "write": "writing the flash",
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
SAID_TEXT = {"maintenance": HOLD_TEXT, "slower": SLOWER_TEXT}
"""What stays on the screen when the stage is over, as a sentence without its end."""
FINAL_STAGES = ("done", "failed", "stopped")


def interrupted_text(stage: str) -> str:
    """What a person must know after Ctrl-C in a stage."""
    if stage in ("slower", "erase", "write", "verify"):
        left = "The chip has no working MicroPython now, and its lid is closed"
    elif stage in ("release", "restart", "self-test"):
        left = "The firmware is on the board"
    else:
        left = "The board has what it had, or waits with its lid closed"
    return f"stopped. {left}: run `earlid flash` again to finish."
