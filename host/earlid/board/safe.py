# SPDX-License-Identifier: MIT
"""Closes the lid at a port in every possible way: over the port itself, or through the program that holds it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import serial
from lid import circuit, wire
from lid.wire_schema import Hello, known_fields

from earlid.board import port_proxy
from earlid.board.detect import probe
from earlid.board.framing import LineReader
from earlid.board.link import BoardGone, BoardRefused, Link
from earlid.board.port import BAUD, READ_TIMEOUT_S, WRITE_TIMEOUT_S
from earlid.errors import UserError

CLOSED = ("closed", "muted", "fault")
TRIES = 3
PORTS_AT_ONCE = 64
REPLY_S = 2.0
READ_BACK_S = 1.0
MANUAL_HINT = "Its mute switch works without any computer."

SendRequest = Callable[[str], dict[str, Any]]
"""Sends one request (`close`, `hello`) to a board and returns its reply."""


@dataclass(frozen=True)
class CloseResult:
    """The result of closing the lid at one port.

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


def close_all(ports: Sequence[str]) -> list[CloseResult]:
    """`close_lid` at several ports side by side, in the order of the ports."""
    with ThreadPoolExecutor(min(PORTS_AT_ONCE, len(ports))) as pool:
        return list(pool.map(close_lid, ports))


def close_lid(port: str) -> CloseResult:
    """Close the lid at a port and read back that its rail is dead; never raises.

    Tried in turn: asking the board; asking the program that holds the port; writing to the port beside that program.
    """
    error_text = ""
    for _ in range(TRIES):
        try:
            with Link(port) as link:
                return _request_close(port, lambda do: link.exchange(do, timeout_s=REPLY_S))
        except BoardRefused as refused:
            return CloseResult(port, "unknown", False, f"{port}: the board refused to close: {refused} {MANUAL_HINT}")
        except BoardGone as gone:
            if probe(port).state in ("micropython", "bootloader"):
                return CloseResult(port, "none", True, f"{port}: no Earlid runs there, so nothing feeds its lid.")
            error_text = str(gone)
        except UserError as error:  # it cannot be opened
            if port_proxy.request(port, "hello") is not None:
                return _request_close(port, lambda do: port_proxy.request(port, do) or {})
            return _close_past_holder(port) or CloseResult(port, "unknown", False, str(error))
    return CloseResult(port, "unknown", False, f"{error_text} {MANUAL_HINT}")


def _request_close(port: str, send: SendRequest) -> CloseResult:
    reply = send("close")
    if not reply.get("ok"):
        reason = reply.get("say") or "the program that holds the port gave no answer."
        return CloseResult(port, "unknown", False, f"{port}: not confirmed closed: {reason} {MANUAL_HINT}")
    # The contact opens within 250 ms; what counts is the rail behind it, not what the board's code wished.
    end_s = time.monotonic() + READ_BACK_S
    while True:
        result = read_back(port, known_fields(send("hello").get("hi"), Hello))
        if result.closed or time.monotonic() > end_s:
            return result
        time.sleep(0.05)


def read_back(port: str, hello: Mapping[str, Any]) -> CloseResult:
    """Whether the lid's state and the rail behind it, as the board reports them, say that the guarded microphone is off.

    Args:
        port: the device name, for the sentence.
        hello: the board's `hi`; empty when it did not reply.
    """
    state = str(hello.get("state", "unknown"))
    rail_mv = hello.get("guarded_mv")
    if rail_mv is None:
        return CloseResult(port, state, False, f"{port}: the board says {state}, and no more. {MANUAL_HINT}")
    if rail_mv > circuit.RAIL_LIVE_MV:
        return CloseResult(
            port, state, False,
            f"{port}: {state}, but the guarded microphone still has {rail_mv} mV: take its plug out. {MANUAL_HINT}",
        )  # fmt: skip
    if state not in CLOSED:
        return CloseResult(port, state, False, f"{port}: the board says {state}. {MANUAL_HINT}")
    return CloseResult(port, state, True, f"{port}: {state}, rail at {rail_mv} mV.")


def _close_past_holder(port: str) -> CloseResult | None:
    # Another program holds the port and is no earlid. Its lock is a convention on Linux and macOS: writing is still
    # possible, and closing is worth it. It may read the board's reply before we do.
    try:
        with serial.Serial(None, BAUD, timeout=READ_TIMEOUT_S, write_timeout=WRITE_TIMEOUT_S, exclusive=None) as opened:
            opened.port = port
            opened.open()
            return _send_close(port, opened)
    except (serial.SerialException, OSError, ValueError):
        return None


def _send_close(port: str, opened: serial.Serial) -> CloseResult:
    reader = LineReader(wire.HOST_LINE_MAX)
    first = random.randrange(wire.SEQ_WRAP - 2 * TRIES)
    result: CloseResult | None = None
    for attempt in range(TRIES):
        if result:
            time.sleep(READ_BACK_S / (TRIES - 1))  # as in `_request_close`: the contact opens a while after the reply
        opened.write(wire.encode(0, {"id": first + 2 * attempt, "do": "close"}))
        opened.write(wire.encode(1, {"id": (number := first + 2 * attempt + 1), "do": "hello"}))
        result = _await_hello(port, opened, reader, number) or result
        if result and result.closed:
            return result
    return result or CloseResult(
        port, "unknown", False,
        f"{port}: `close` was sent past the program that holds the port, and its answer was not seen. "
        f"Look at the board. {MANUAL_HINT}",
    )  # fmt: skip


def _await_hello(port: str, opened: serial.Serial, reader: LineReader, number: int) -> CloseResult | None:
    """The result that the reply with this number gives; None when it was not seen in time."""
    for _ in range(int(REPLY_S / READ_TIMEOUT_S / TRIES)):
        for _, body in reader.feed(opened.read(4096)):
            if body.get("re") == number and "hi" in body:
                return read_back(port, known_fields(body["hi"], Hello))
    return None
