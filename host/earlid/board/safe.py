# SPDX-License-Identifier: MIT
"""Closes the lid at a port in every possible way: over the port itself, or through the program that holds it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import serial
from lid import circuit, wire
from lid.wire_schema import Hello, known_fields

from earlid.board import port_proxy
from earlid.board.detect import probe
from earlid.board.framing import LineReader
from earlid.board.link import BoardGone, BoardRefused, Link
from earlid.board.port import BAUD, OPEN_ERRORS, READ_TIMEOUT_S, WRITE_TIMEOUT_S
from earlid.board.port_trace import traced
from earlid.door import plain
from earlid.errors import UserError

CLOSED = ("closed", "muted", "fault")
TRIES = 3
LIMIT_S = 10.0  # for all ports together, whatever the boards and their ports do
REPLY_S = 1.5
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
    """`close_lid` at several ports side by side, in the order of the ports; within LIMIT_S."""
    results: dict[str, CloseResult] = {}

    def close(port: str) -> None:
        results[port] = close_lid(port)

    threads = [threading.Thread(target=close, args=(port,), daemon=True) for port in ports]
    end_s = time.monotonic() + LIMIT_S
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end_s - time.monotonic()))
    late = f"not confirmed closed within {LIMIT_S:.0f} s. {MANUAL_HINT}"
    return [results.get(port) or CloseResult(port, "unknown", False, f"{port}: {late}") for port in ports]


def close_lid(port: str) -> CloseResult:
    """Close the lid at a port and read back that its rail is dead; never raises.

    Tried in turn: asking the board; asking the program that holds the port; writing to the port beside that program.
    """
    try:
        return _close_lid(port)
    except Exception as error:
        return CloseResult(port, "unknown", False, f"{port}: not confirmed closed: {type(error).__name__}. {MANUAL_HINT}")


def _close_lid(port: str) -> CloseResult:
    error_text = ""
    for attempt in range(TRIES):
        try:
            with Link(port) as link:
                return _close_by(port, lambda do: link.exchange(do, REPLY_S, patient=False))
        except BoardRefused as refused:
            return CloseResult(port, "unknown", False, f"{port}: the board refused to close: {refused} {MANUAL_HINT}")
        except BoardGone as gone:
            error_text = str(gone)
            if not attempt and probe(port).state in ("micropython", "bootloader"):
                return CloseResult(port, "none", True, f"{port}: no Earlid runs there, so nothing feeds its lid.")
        except UserError as error:  # it cannot be opened
            return _close_held(port) or CloseResult(port, "unknown", False, str(error))
    return CloseResult(port, "unknown", False, f"{error_text} {MANUAL_HINT}")


def _close_held(port: str) -> CloseResult | None:
    """Close the lid at a port that another program holds; None when there was no way to."""
    reply = port_proxy.request(port, "close")
    through = _close_by(port, lambda do: port_proxy.request(port, do) or {}, reply) if reply else None
    if through and through.state != "unknown":
        return through
    past = _close_past_holder(port)
    return past if past and past.state != "unknown" else through or past


def _close_by(port: str, send: SendRequest, reply: dict[str, Any] | None = None) -> CloseResult:
    reply = reply or send("close")
    if not reply.get("ok"):
        reason = plain(reply.get("say") or "") or "the program that holds the port gave no answer."
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
            return _send_close(port, traced(opened))
    except OPEN_ERRORS:
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
    end_s = time.monotonic() + REPLY_S / TRIES
    while True:
        over = time.monotonic() > end_s  # and one more look: this computer may have stood still
        for _, body in reader.feed(opened.read(max(1, min(opened.in_waiting, 4096)))):
            if body.get("re") == number and "hi" in body:
                return read_back(port, known_fields(body["hi"], Hello))
        if over:
            return None
