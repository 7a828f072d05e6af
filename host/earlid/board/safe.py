"""Closes the lid at a port by whatever way there is: over the port itself, or through the program that holds it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import serial
from lid import wire

from earlid.board import relay
from earlid.board.lines import LineReader
from earlid.board.link import BoardGone, BoardRefused, Link
from earlid.board.port import BAUD, READ_TIMEOUT_S, WRITE_TIMEOUT_S
from earlid.board.probe import probe
from earlid.errors import UserError

CLOSED = ("closed", "muted", "fault")
TRIES = 3
REPLY_S = 2.0


@dataclass(frozen=True)
class Verdict:
    """How it stands with one port.

    Attributes:
        port: the device name.
        state: the lid's state as the board confirmed it, or `none` (no Earlid there), or `unknown`.
        closed: the lid is known to be closed, or there is none.
        say: a sentence for a person.
    """

    port: str
    state: str
    closed: bool
    say: str

    def as_json(self) -> dict[str, Any]:
        """One line of `earlid safe --json`."""
        return asdict(self)


def close_lid(port: str) -> Verdict:
    """Close the lid at a port; never raises.

    Tried in turn: asking the board; asking the program that holds the port; writing to the port beside that program.
    """
    failed = ""
    for _ in range(TRIES):
        try:
            with Link(port) as link:
                return _confirmed(port, link.request("close", timeout_s=REPLY_S))
        except BoardRefused as refused:
            return Verdict(port, "unknown", False, f"{port}: the board refused to close: {refused}")
        except BoardGone as gone:
            seen = probe(port)
            if seen.state in ("micropython", "bootloader"):
                return Verdict(port, "none", True, f"{port}: no Earlid runs there, so nothing feeds its lid.")
            failed = str(gone)
        except UserError as error:  # it cannot be opened
            passed_on = relay.ask(port, "close")
            if passed_on is not None:
                return _confirmed(port, passed_on)
            forced = _write_beside(port)
            return forced or Verdict(port, "unknown", False, str(error))
    return Verdict(port, "unknown", False, f"{failed} Switch its mute switch: that needs no computer.")


def _confirmed(port: str, reply: dict[str, Any]) -> Verdict:
    state = str(reply.get("state", "unknown"))
    if reply.get("ok") and state in CLOSED:
        return Verdict(port, state, True, f"{port}: {state}.")
    reason = str(reply.get("say") or f"the board says {state}")
    return Verdict(port, state, False, f"{port}: not confirmed closed: {reason} Switch its mute switch.")


def _write_beside(port: str) -> Verdict | None:
    # Another program holds the port and is no earlid. Its lock is a convention on Linux and macOS: writing is still
    # possible, and closing is worth it. It may read the board's reply before we do.
    try:
        with serial.Serial(None, BAUD, timeout=READ_TIMEOUT_S, write_timeout=WRITE_TIMEOUT_S, exclusive=None) as opened:
            opened.port = port
            opened.open()
            return _shout(port, opened)
    except (serial.SerialException, OSError, ValueError):
        return None


def _shout(port: str, opened: serial.Serial) -> Verdict:
    reader = LineReader(wire.HOST_LINE_MAX)
    for attempt in range(TRIES):
        number = 990_000 + attempt
        opened.write(wire.encode(number, {"id": number, "do": "close"}))
        for _ in range(int(REPLY_S / READ_TIMEOUT_S / TRIES)):
            for _, body in reader.feed(opened.read(4096)):
                if body.get("re") == number:
                    return _confirmed(port, body)
    return Verdict(
        port, "unknown", False,
        f"{port}: `close` was sent past the program that holds the port, and its answer was not seen. "
        "Look at the board, or switch its mute switch.",
    )  # fmt: skip
