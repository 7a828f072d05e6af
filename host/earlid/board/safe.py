# SPDX-License-Identifier: MIT
"""Closes the lid at a port by whatever way there is: over the port itself, or through the program that holds it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import serial
from lid import circuit, wire

from earlid.board import port_proxy
from earlid.board.detect import probe
from earlid.board.framing import LineReader
from earlid.board.link import BoardGone, BoardRefused, Link
from earlid.board.port import BAUD, READ_TIMEOUT_S, WRITE_TIMEOUT_S
from earlid.errors import UserError

CLOSED = ("closed", "muted", "fault")
TRIES = 3
REPLY_S = 2.0
READ_BACK_S = 1.0
BY_HAND = "Its mute switch works without any computer."

Ask = Callable[[str], dict[str, Any]]
"""Sends one verb to a board by some way and returns its reply."""


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
    """Close the lid at a port and read back that its rail is dead; never raises.

    Tried in turn: asking the board; asking the program that holds the port; writing to the port beside that program.
    """
    failed = ""
    for _ in range(TRIES):
        try:
            with Link(port) as link:
                return _close(port, lambda do: link.request(do, timeout_s=REPLY_S))
        except BoardRefused as refused:
            return Verdict(port, "unknown", False, f"{port}: the board refused to close: {refused} {BY_HAND}")
        except BoardGone as gone:
            seen = probe(port)
            if seen.state in ("micropython", "bootloader"):
                return Verdict(port, "none", True, f"{port}: no Earlid runs there, so nothing feeds its lid.")
            failed = str(gone)
        except UserError as error:  # it cannot be opened
            if port_proxy.ask(port, "hello") is not None:
                return _close(port, lambda do: port_proxy.ask(port, do) or {})
            forced = _write_beside(port)
            return forced or Verdict(port, "unknown", False, str(error))
    return Verdict(port, "unknown", False, f"{failed} {BY_HAND}")


def _close(port: str, ask: Ask) -> Verdict:
    reply = ask("close")
    if not reply.get("ok"):
        reason = reply.get("say") or "the program that holds the port gave no answer."
        return Verdict(port, "unknown", False, f"{port}: not confirmed closed: {reason} {BY_HAND}")
    # The contact opens within 250 ms; what counts is the rail behind it, not what the board's code wished.
    end_s = time.monotonic() + READ_BACK_S
    while True:
        hello = ask("hello").get("hi")
        verdict = judge(port, hello if isinstance(hello, dict) else {})
        if verdict.closed or time.monotonic() > end_s:
            return verdict
        time.sleep(0.05)


def judge(port: str, hello: Mapping[str, Any]) -> Verdict:
    """Whether a board's words and its rail say that the guarded microphone is off.

    Args:
        port: the device name, for the sentence.
        hello: the board's `hi`; empty when it did not answer.
    """
    state = str(hello.get("state", "unknown"))
    rail_mv = hello.get("guarded_mv")
    if not isinstance(rail_mv, int):
        return Verdict(port, state, False, f"{port}: the board says {state}, and no more. {BY_HAND}")
    if rail_mv > circuit.RAIL_LIVE_MV:
        return Verdict(
            port, state, False,
            f"{port}: {state}, but the guarded microphone still has {rail_mv} mV: take its plug out. {BY_HAND}",
        )  # fmt: skip
    if state not in CLOSED:
        return Verdict(port, state, False, f"{port}: the board says {state}. {BY_HAND}")
    return Verdict(port, state, True, f"{port}: {state}, rail at {rail_mv} mV.")


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
    first = random.randrange(wire.SEQ_WRAP - 2 * TRIES)
    seen: Verdict | None = None
    for attempt in range(TRIES):
        if seen:
            time.sleep(READ_BACK_S / (TRIES - 1))  # as in `_close`: the contact opens a while after the reply
        opened.write(wire.encode(0, {"id": first + 2 * attempt, "do": "close"}))
        opened.write(wire.encode(1, {"id": (number := first + 2 * attempt + 1), "do": "hello"}))
        seen = _heard(port, opened, reader, number) or seen
        if seen and seen.closed:
            return seen
    return seen or Verdict(
        port, "unknown", False,
        f"{port}: `close` was sent past the program that holds the port, and its answer was not seen. "
        f"Look at the board. {BY_HAND}",
    )  # fmt: skip


def _heard(port: str, opened: serial.Serial, reader: LineReader, number: int) -> Verdict | None:
    """What the board's answer with this number says; None when it was not seen in time."""
    for _ in range(int(REPLY_S / READ_TIMEOUT_S / TRIES)):
        for _, body in reader.feed(opened.read(4096)):
            if body.get("re") == number and isinstance(body.get("hi"), dict):
                return judge(port, body["hi"])
    return None
