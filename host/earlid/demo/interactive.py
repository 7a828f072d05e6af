# SPDX-License-Identifier: MIT
"""Interactive demo: a virtual board that stays at its serial port while keys speak to it and press its buttons."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from rich.console import Console

from earlid.demo.key_actions import KeyActions
from earlid.demo.keyboard import keys
from earlid.demo.narrator import wrapped
from earlid.virtual.board import VirtualBoard


def run_interactive(board: VirtualBoard, out: Console, folder: Path, word: bool) -> None:
    """Keep the board at its port, in real time, until Ctrl-C; keys act on it where there is a keyboard.

    Args:
        board: at its port.
        out: where to say what happens.
        folder: the demo's ledger and keys, for other terminals: a board that will be gone is not to stand among real ones.
        word: whether somebody can say the board's word.
    """
    board.pause()
    board.run_background(speed=1.0)
    port = board.serial_port
    out.print(f"\nThe board stays at {port}. In another terminal:")
    out.print(f"   export EARLID_DATA_DIR={folder}", soft_wrap=True, markup=False)
    for verb in ("list", "pair", "watch", "doctor", "calibrate", "safe"):
        out.print(f"   earlid {verb} --port {port}")
    text = "The first line keeps what they collect apart from your boards' records; it goes when this board does."
    out.print(wrapped(text, out.width), markup=False)
    actions = KeyActions(board, word)
    if sys.stdin.isatty():
        out.print(wrapped(f"Keys: {actions.help()}   q end", out.width), markup=False)
    else:
        out.print("Ctrl-C ends it.")
    sys.stdout.flush()
    shown = len(board.events("guarded_rail"))
    with contextlib.suppress(KeyboardInterrupt), keys() as read_key:
        while (key := read_key(0.1)) != "q":
            if text := actions.press(key):
                out.print(wrapped(f"   {text}", out.width), markup=False)
            for _, live in board.events("guarded_rail")[shown:]:
                shown += 1
                text = "The lid is open: the guarded microphone has power." if live else "The lid is closed: no power."
                out.print(f"   {text}", style="yellow" if live else "green")
    out.print("The board is gone.")
