# SPDX-License-Identifier: MIT
"""Link: requests to a board with retries, and the messages that it sends by itself, typed."""

from __future__ import annotations

import itertools
import random
import time
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Any, NamedTuple, Self

import serial
from lid import record, wire

from earlid.board.framing import LineReader
from earlid.board.port import open_port
from earlid.errors import FAILED, NO_BOARD, UserError

REPLY_TIMEOUT_S = 5.0
RETRY_S = 0.5
QUIET_S = 0.25  # no byte for so long in the middle of an answer: the rest of it was lost
QUEUE_MAX = 65536
DUPLICATE_WINDOW = 64  # a number at most so far behind the last is a repeated line; further behind, a start whose hello was lost


class Record(NamedTuple):
    """One journal record: `lid.record.FIELDS`, link and mac in hex, and the 64-byte slot they were checked into."""

    seq: int
    boot: int
    ms: int
    event: str
    reason: str
    score: int
    flags: int
    energy_log2_q8: int
    guarded_mv: int
    sentinel_mv: int
    wall_ms: int
    wall_unc_ms: int
    a: int
    b: int
    link: str
    mac: str
    slot: bytes


class Telemetry(dict[str, Any]):
    """Live numbers (`tm` in the protocol): ms state lvl floor score prob gate rail live drop over."""


class Hello(dict[str, Any]):
    """Who the board is and how (`hi` in the protocol). By itself it means that the board has just started."""


Message = Record | Telemetry | Hello


class BoardGone(UserError):
    """The port vanished or the board does not answer."""

    def __init__(self, message: str) -> None:
        super().__init__(message, NO_BOARD)


class BoardRefused(UserError):
    """The board refused a request; `err` is the protocol's word: presence, unknown, argument, state, flash."""

    def __init__(self, err: str, say: str) -> None:
        super().__init__(say or f"the board refused: {err}", FAILED)
        self.err = err


class Link:
    """A connection to a board at a port. Not for several threads at once.

    Only frames of `lid.wire` are ever sent: printable lines that begin with `#`, to a REPL a comment.

    Args:
        port: a device name, opened exclusively and without resetting the board, or an open serial port.

    Raises:
        UserError: code 3 when the port cannot be opened.
    """

    def __init__(self, port: str | serial.Serial) -> None:
        self._port = open_port(port) if isinstance(port, str) else port
        self.path = str(self._port.port or "port")
        self._reader = LineReader(wire.HOST_LINE_MAX)
        self._queue: deque[Message] = deque(maxlen=QUEUE_MAX)
        self._replies: dict[int, dict[str, Any]] = {}
        self._send_seq = itertools.count()
        # Begins anywhere, so that replies meant for the program before us do not pass for ours.
        self._ids = itertools.count(random.randrange(wire.SEQ_WRAP))
        self._last_seq: int | None = None
        self._progress_s = time.monotonic()
        self.missed_lines = 0
        self.bad_records = 0
        self.last_bad_record = ""
        self.restarts = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the port; the board is not reset and does not notice."""
        self._port.close()

    @property
    def noise_bytes(self) -> int:
        """Bytes received that belong to no frame (REPL noise, torn lines)."""
        return self._reader.noise_bytes

    @property
    def bad_lines(self) -> int:
        """Lines that looked like frames and were damaged."""
        return self._reader.bad_lines

    def request(self, do: str, timeout_s: float = REPLY_TIMEOUT_S, **arguments: Any) -> dict[str, Any]:
        """Send a request and wait for the reply; sent again with the same id while nothing comes back.

        Args:
            do: the protocol's verb.
            timeout_s: seconds without progress (a reply, or a record on its way) after which to give up.
            arguments: the verb's arguments; a trailing underscore is dropped (`from_` for `from`).

        Returns:
            The reply's body, with `re` and `ok`. Records sent before it wait in `messages`.

        Raises:
            BoardRefused: the board said no.
            BoardGone: no reply in time, or the port is gone.
            ValueError: the request is longer than a board takes.
        """
        number, body = self._compose(do, arguments)
        self._progress_s = time.monotonic()
        send_at_s = self._progress_s
        checked_again = False
        while number not in self._replies:
            now = time.monotonic()
            late = now - self._progress_s > timeout_s
            if late and checked_again:
                raise BoardGone(
                    f"the board at {self.path} does not answer. Is Earlid's firmware on it (`earlid flash`), "
                    "and is it out of maintenance mode?"
                )
            if now >= send_at_s:
                self._send(body)
                send_at_s = now + RETRY_S
            checked_again = late  # where this computer stood still, the reply may lie there unread
            self._receive()
            if self._progress_s > now:  # records are on their way: the reply comes behind them
                send_at_s = self._progress_s + RETRY_S
        reply = self._replies.pop(number)
        self._replies.clear()
        return self._check(reply)

    def request_once(self, do: str, **arguments: Any) -> dict[str, Any] | None:
        """Send a request once, for requests that matter for the records they bring.

        Returns:
            The reply's body; None when the line went quiet without it.

        Raises:
            BoardRefused: the board said no.
            BoardGone: the port is gone.
        """
        number, body = self._compose(do, arguments)
        self._send(body)
        quiet_at_s = time.monotonic() + RETRY_S
        while number not in self._replies and time.monotonic() < quiet_at_s:
            if self._receive():
                quiet_at_s = time.monotonic() + QUIET_S
        reply = self._replies.pop(number, None)
        self._replies.clear()
        return self._check(reply) if reply else None

    def messages(self, timeout_s: float) -> Iterator[Message]:
        """The messages that the board sent by itself, oldest first, for `timeout_s` seconds (0: only what waits)."""
        end_s = time.monotonic() + timeout_s
        while True:
            while self._queue:
                yield self._queue.popleft()
            if time.monotonic() >= end_s:
                return
            self._receive()

    def pop_records(self) -> list[Record]:
        """The waiting records, oldest first; other messages stay for `messages`."""
        records = [message for message in self._queue if isinstance(message, Record)]
        rest = [message for message in self._queue if not isinstance(message, Record)]
        self._queue.clear()
        self._queue.extend(rest)
        return records

    def _compose(self, do: str, arguments: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        number = next(self._ids) % wire.SEQ_WRAP
        return number, {"id": number, "do": do} | {name.rstrip("_"): value for name, value in arguments.items()}

    @staticmethod
    def _check(reply: dict[str, Any]) -> dict[str, Any]:
        if reply.get("ok") is not True:
            raise BoardRefused(str(reply.get("err", "unknown")), str(reply.get("say", "")))
        return reply

    def _send(self, body: dict[str, Any]) -> None:
        line = wire.encode(next(self._send_seq), body)
        if len(line) > wire.BOARD_LINE_MAX:
            raise ValueError(f"request {body['do']} has {len(line)} bytes, a board takes {wire.BOARD_LINE_MAX}")
        try:
            self._port.write(line)
        except serial.SerialTimeoutException:
            pass  # the board does not read now: the retry will get through, or no reply comes
        except (serial.SerialException, OSError) as error:
            raise BoardGone(f"the board at {self.path} is gone: {error}") from error

    def _receive(self) -> bool:
        """Process the bytes that the port has; False when it had none for READ_TIMEOUT_S."""
        try:
            data = self._port.read(max(1, min(self._port.in_waiting, 65536)))
        except (serial.SerialException, OSError, TypeError) as error:  # TypeError: pyserial's, closed in another thread
            raise BoardGone(f"the board at {self.path} is gone: {error}") from error
        for seq, body in self._reader.feed(data):
            self._count_missed(seq, body)
            self._dispatch(body)
        return bool(data)

    def _count_missed(self, seq: int, body: dict[str, Any]) -> None:
        if self._last_seq is not None:
            ahead = (seq - self._last_seq - 1) % wire.SEQ_WRAP
            if "hi" in body and "re" not in body:
                self.missed_lines += seq  # a start: the board counts from 0 again
            elif ahead < wire.SEQ_WRAP // 2:
                self.missed_lines += ahead
            elif ahead >= wire.SEQ_WRAP - DUPLICATE_WINDOW:
                return  # a line that came twice
        self._last_seq = seq

    def _dispatch(self, body: dict[str, Any]) -> None:
        if "rec" in body:
            self._progress_s = time.monotonic()
            try:
                slot = record.wire_to_slot(body["rec"])
            except ValueError as error:
                self.bad_records += 1
                self.last_bad_record = str(error)
                return
            self._queue.append(Record._make([*body["rec"], slot]))
        elif isinstance(body.get("tm"), dict):
            self._queue.append(Telemetry(body["tm"]))
        elif isinstance(body.get("hi"), dict) and "re" not in body:
            self.restarts += 1
            self._queue.append(Hello(body["hi"]))
        elif type(body.get("re")) is int:
            self._replies[body["re"]] = body
