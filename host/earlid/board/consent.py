# SPDX-License-Identifier: MIT
"""Consent: asks a person at the board for what no program may do alone, and says what it is, how to agree, and what next."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NoReturn

from lid.wire_schema import Ask, Wait

from earlid.board.link import BoardRefused, Link
from earlid.errors import FAILED, UserError

GESTURE = "latch the mute switch, then hold the talk button for 3 seconds"


Say = Callable[[str, str], None]
"""Takes an announcement: what people read, and the digest of the request, 8 hex digits."""


def print_announcement(text: str, digest: str) -> None:
    """Print an announcement for people."""
    print(text, file=sys.stderr, flush=True)


def require_version_2(fw: str, proto: int) -> None:
    """Refuse a board whose firmware is older than consent.

    Raises:
        UserError: with what to do.
    """
    if old := old_firmware_text(fw, proto):
        raise UserError(old, FAILED)


def old_firmware_text(fw: str, proto: int) -> str:
    """A sentence about a board whose firmware lacks version 2 of the protocol; empty for any other.

    Args:
        fw, proto: as its `hi` has them.
    """
    return f"this board's firmware is {fw}: `earlid flash` updates it." if proto < 2 else ""


def request_with_consent(
    link: Link, do: str, *, what: str, again: str, say: Say = print_announcement, **arguments: Any
) -> dict[str, Any]:
    """Ask for something and, where the board demands it, for the consent of the person at the board.

    Args:
        link: the board, of protocol version 2.
        do: `pair`, `config-set` or `config-rollback`.
        what: what it changes, for people.
        again: the command to run again when nobody consents.
        say: takes the announcement, once; a countdown goes to a terminal's stderr.
        arguments: of the request.

    Returns:
        The reply's body.

    Raises:
        UserError: nobody consented; nothing was changed then.
        KeyboardInterrupt: Ctrl-C; the request is withdrawn.
    """
    left_s = -1  # as shown; -1: not announced yet

    def on_wait(wait: Wait) -> None:
        nonlocal left_s
        if left_s < 0:
            say(announcement(wait["ask"], what), wait["ask"])
        before_s, left_s = left_s, -(-wait["ms"] // 1000)
        if left_s != before_s:
            _count_down(f"  {left_s:2} s left, Ctrl-C withdraws it ")

    try:
        return link.request_consent(do, on_wait, **arguments)
    except BoardRefused as refused:
        _refuse(refused, again)
    finally:
        if left_s >= 0:
            _count_down("")


def announcement(digest: str, what: str) -> str:
    """What a person reads while a request waits.

    Args:
        digest: of the request, 8 hex digits.
        what: what it changes.
    """
    return (
        f"{what}\n"
        f"Request {digest} needs your consent at the board, which blinks now:\n"
        f"{GESTURE}.\n"
        "That is a yes to this request only. Release the switch afterwards."
    )


def ask_text(ask: Ask) -> str:
    """What whoever watches a board reads when a program, any program, asks for consent there."""
    return (
        f"a program asks for {ask['do']}, request {ask['digest']}, for {ask['ms'] / 1000:.0f} s more. If you did not start it, "
        f"leave the board alone: nothing happens then. To consent, {GESTURE}"
    )


def _count_down(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _refuse(refused: BoardRefused, again: str) -> NoReturn:
    if refused.err != "consent":
        raise refused
    raise UserError(
        f"{refused}; nothing was changed. Run `{again}` again, and when the board blinks, {GESTURE}.", FAILED
    ) from refused
