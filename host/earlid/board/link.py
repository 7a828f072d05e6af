# SPDX-License-Identifier: MIT
"""Link: requests to a board with retries, and the messages that it sends by itself, typed."""

from __future__ import annotations

import itertools
import random
import time
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self, overload

import serial
from lid import record, wire, wire_schema
from lid.wire_schema import Hello, MaintenanceHello, Telemetry

from earlid.board.framing import LineReader
from earlid.board.port import open_port
from earlid.errors import FAILED, NO_BOARD, UserError

REPLY_TIMEOUT_S = 5.0
RETRY_S = 0.5
QUIET_S = 0.25  # no byte for so long in the middle of an answer: the rest of it was lost
QUEUE_MAX = 65536
DUPLICATE_WINDOW = 64  # a number at most so far behind the last is a repeated line; further behind, a start whose hello was lost


class Record(wire_schema.Record):
    """One journal record as it was received, and the 64-byte slot of flash that it was checked into."""

    slot: bytes


class TelemetryMessage(NamedTuple):
    """Live numbers."""

    telemetry: Telemetry


class Started(NamedTuple):
    """The board has just started, and says who and how it is."""

    hello: Hello | MaintenanceHello


Message = Record | TelemetryMessage | Started


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
        self.bad_messages = 0  # telemetry and greetings that are not as `lid.wire_schema` has them
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

    # The replies' types, one overload a request: as `lid.wire_schema.REQUESTS` has them, which a test compares.
    @overload
    def request(self, do: Literal["hello"], timeout_s: float = ..., *, brief: Literal[1]) -> wire_schema.BriefHelloReply: ...
    @overload
    def request(self, do: Literal["hello"], timeout_s: float = ...) -> wire_schema.HelloReply: ...
    @overload
    def request(self, do: Literal["sync"], timeout_s: float = ..., *, from_: int, max: int) -> wire_schema.SyncReply: ...
    @overload
    def request(self, do: Literal["ack"], timeout_s: float = ..., *, seq: int, link: str) -> wire_schema.AckReply: ...
    @overload
    def request(self, do: Literal["clock"], timeout_s: float = ..., *, wall_ms: int, unc_ms: int) -> wire_schema.ClockReply: ...
    @overload
    def request(self, do: Literal["close"], timeout_s: float = ...) -> wire_schema.CloseReply: ...
    @overload
    def request(self, do: Literal["telemetry"], timeout_s: float = ..., *, every_ms: int) -> wire_schema.Reply: ...
    @overload
    def request(self, do: Literal["selftest"], timeout_s: float = ...) -> wire_schema.SelftestReply: ...
    @overload
    def request(self, do: Literal["config-get"], timeout_s: float = ...) -> wire_schema.ConfigGetReply: ...
    @overload
    def request(
        self, do: Literal["config-set"], timeout_s: float = ..., *, config: dict[str, int]
    ) -> wire_schema.DigestReply: ...
    @overload
    def request(self, do: Literal["config-rollback"], timeout_s: float = ...) -> wire_schema.DigestReply: ...
    @overload
    def request(self, do: Literal["pair"], timeout_s: float = ...) -> wire_schema.PairReply: ...
    @overload
    def request(self, do: Literal["probe"], timeout_s: float = ..., *, ms: int) -> wire_schema.ProbeReply: ...
    @overload
    def request(self, do: Literal["cancel"], timeout_s: float = ...) -> wire_schema.Reply: ...

    def request(self, do: str, timeout_s: float = REPLY_TIMEOUT_S, **arguments: Any) -> Any:
        """Ask the board and wait for its reply, which is checked against `lid.wire_schema`.

        Args:
            do: the protocol's verb.
            timeout_s: seconds without progress (a reply, or a record on its way) after which to give up.
            arguments: the verb's arguments; a trailing underscore is dropped (`from_` for `from`).

        Returns:
            The reply's body, with `re` and `ok`. Records sent before it wait in `messages`.

        Raises:
            BoardRefused: the board said no.
            BoardGone: no reply in time, or the port is gone.
            UserError: the reply is not as the schema has it.
            ValueError: the request is longer than a board takes.
        """
        return _checked(do, arguments, self.exchange(do, timeout_s, **arguments))

    def exchange(self, do: str, timeout_s: float = REPLY_TIMEOUT_S, **arguments: Any) -> dict[str, Any]:
        """As `request`, for any verb and any firmware: the reply as it came. Asked again with the same id while none comes."""
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
        return _accepted(reply)

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
        return _checked(do, arguments, _accepted(reply)) if reply else None

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
            received = Record._make(body["rec"])
            received.slot = slot
            self._queue.append(received)
        elif "tm" in body:
            if not self._is_bad(body["tm"], Telemetry):
                self._queue.append(TelemetryMessage(body["tm"]))
        elif "hi" in body and "re" not in body:
            hello = body["hi"]
            in_maintenance = isinstance(hello, dict) and hello.get("maintenance") is True
            if not self._is_bad(hello, MaintenanceHello if in_maintenance else Hello):
                self.restarts += 1
                self._queue.append(Started(hello))
        elif type(body.get("re")) is int:
            self._replies[body["re"]] = body

    def _is_bad(self, value: object, expected: object) -> bool:
        bad = bool(wire_schema.problem(value, expected))
        self.bad_messages += bad
        return bad


def _accepted(reply: dict[str, Any]) -> dict[str, Any]:
    if reply.get("ok") is not True:
        refusal = wire_schema.known_fields(reply, wire_schema.Refusal)
        raise BoardRefused(refusal.get("err", "unknown"), refusal.get("say", ""))
    return reply


def _checked(do: str, arguments: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
    request = wire_schema.REQUESTS.get(do)
    expected = wire_schema.BriefHelloReply if arguments.get("brief") else request and request.reply
    if expected and (wrong := wire_schema.problem(reply, expected)):
        raise UserError(
            f"the board's reply to `{do}` is not understood: {wrong}. Its firmware and this Earlid do not fit: "
            "update Earlid, or run `earlid flash`.",
            FAILED,
        )
    return reply
