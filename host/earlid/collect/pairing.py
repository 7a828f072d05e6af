# SPDX-License-Identifier: MIT
"""Pairing: fetches a board's key while a person holds its talk button, and saves it for `earlid verify`."""

from __future__ import annotations

import sys
import time

from earlid.board.link import BoardRefused, Link
from earlid.errors import FAILED, UserError
from earlid.ledger.keys import save_key

BUTTON_TIMEOUT_S = 60.0
RETRY_S = 0.5


def pair(port: str, timeout_s: float = BUTTON_TIMEOUT_S) -> str:
    """Request the key until the talk button is held, and save it.

    Args:
        port: the board's serial port.
        timeout_s: how long to wait for the button.

    Returns:
        The board's identifier.

    Raises:
        UserError: nobody pressed the button, or the board is not there.
    """
    with Link(port) as link:
        board = link.request("hello")["hi"]["board"]
        print(f"Hold the talk button of board {board} now.", file=sys.stderr)
        end_s = time.monotonic() + timeout_s
        while time.monotonic() < end_s:
            try:
                key = link.request("pair")["key"]
            except BoardRefused as refused:
                if refused.err != "presence":
                    raise
                time.sleep(RETRY_S)
                continue
            path = save_key(board, bytes.fromhex(key))
            print(
                f"Paired. The key is in {path}; keep a copy where this computer's disk cannot take it along.",
                file=sys.stderr,
            )
            return board
    raise UserError("nobody held the talk button: hold it down and run `earlid watch --pair` again.", FAILED)
