# SPDX-License-Identifier: MIT
"""Link: requests to a board with retries, and the messages that it sends by itself, typed."""

from __future__ import annotations

import itertools
import random
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self, overload

import serial
from lid import record, signing, wire, wire_schema
from lid.wire_schema import Ask, Hello, MaintenanceHello, Telemetry, Wait, WaitReply

from earlid.board.framing import LineReader
from earlid.board.port import PORT_ERRORS, open_port
from earlid.board.signer import KeyAt, Signer
from earlid.door import plain
from earlid.errors import FAILED, NO_BOARD, UserError

REPLY_TIMEOUT_S = 5.0
PROGRESS_LIMIT_S = 60.0  # records on their way keep a request waiting no longer than this
RETRY_S = 0.5
QUIET_S = 0.25  # no byte for so long in the middle of an answer: the rest of it was lost
QUEUE_MAX = 65536
DUPLICATE_WINDOW = 64  # a number at most so far behind the last is a repeated line; further behind, a start whose hello was lost
CONSENT_RETRY_S = 2.0  # how often to ask whether somebody consented: boards remember a reply for 10 s
READ_ERRORS: tuple[type[Exception], ...] = (*PORT_ERRORS, TypeError)  # TypeError: pyserial's, closed in another thread
CLIENT = secrets.token_hex(8)  # who asks: this run of this program
SIGN_TRIES = 2  # another program's signed request takes our nonce away


class Record(wire_schema.Record):
    """One journal record as it was received, and the 64-byte slot of flash that it was checked into."""

    slot: bytes


class TelemetryMessage(NamedTuple):
    """Live numbers."""

    telemetry: Telemetry


class Started(NamedTuple):
    """The board has just started, and says who and how it is."""

    hello: Hello | MaintenanceHello


class Asked(NamedTuple):
    """Some program's request waits for the consent of whoever stands at the board."""

    ask: Ask


Message = Record | TelemetryMessage | Started | Asked


class BoardGone(UserError):
    """The port vanished or the board does not answer."""

    def __init__(self, message: str) -> None:
        super().__init__(message, NO_BOARD)


class BoardRefused(UserError):
    """The board refused a request; `err` is the protocol's word, one of `lid.wire_schema.ERRORS`.

    Of `busy`, `wait_s` says in how many seconds to ask again.
    """

    def __init__(self, err: str, say: str, wait_s: float = 0.0) -> None:
        super().__init__(say or f"the board refused: {err}", FAILED)
        self.err, self.wait_s = err, wait_s


class Link:
    """A connection to a board at a port. Not for several threads at once: see `shared_link`.

    Only frames of `lid.wire` are ever sent: printable lines that begin with `#`, to a REPL a comment.

    Args:
        port: a device name, opened exclusively and without resetting the board, or an open serial port.
        key_at: keys to sign requests with, as `earlid.ledger.keys.key_at`; without, they go unsigned.

    Raises:
        UserError: code 3 when the port cannot be opened.
    """

    def __init__(self, port: str | serial.Serial, key_at: KeyAt = lambda board, epoch: None) -> None:
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
        self._lock: AbstractContextManager[object] = nullcontext()  # held while what was received is looked at
        self._sending = threading.Lock()
        self._awaited: set[int] = set()  # requests whose reply somebody waits for
        self._signer = Signer(key_at)
        self.heard_s = float("-inf")  # when the board last said anything, of `time.monotonic`
        self.telemetry: Telemetry | None = None  # the newest
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

    @property
    def proto(self) -> int:
        """The board's protocol version; 0 until it has said it."""
        return self._signer.proto

    @property
    def fw(self) -> str:
        """The board's firmware version; empty until it has said it."""
        return self._signer.fw

    @property
    def authority(self) -> bool | None:
        """Whether our signed requests count with the board: its key is here; None where it asks for no signature."""
        return self._signer.signs if self._signer.wanted else None

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

    def exchange(self, do: str, timeout_s: float = REPLY_TIMEOUT_S, patient: bool = True, **arguments: Any) -> dict[str, Any]:
        """As `request`, for any verb and any firmware: the reply as it came. Asked again with the same id while none comes.

        Args:
            patient: records on their way are progress; else `timeout_s` is the limit whatever the board sends.
        """
        return self._signed(lambda: self._exchange(do, timeout_s, arguments, patient))

    def _signed(self, send: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Send a request that may be signed, again with the newest nonce and epoch, and at last unsigned."""
        for tries_left in reversed(range(SIGN_TRIES)):
            try:
                return send()
            except BoardRefused as refused:
                if refused.err != "mac":
                    raise
                self._exchange("hello", REPLY_TIMEOUT_S, {})
                if not tries_left:
                    self._signer.give_up()
        return send()

    def _exchange(self, do: str, timeout_s: float, arguments: dict[str, Any], patient: bool = True) -> dict[str, Any]:
        with self._awaiting(do, arguments) as (number, body):
            began_s = send_at_s = time.monotonic()
            checked_again = False
            while number not in self._replies:
                now = time.monotonic()
                moving = patient and now - began_s < PROGRESS_LIMIT_S
                late = now - (max(began_s, self._progress_s) if moving else began_s) > timeout_s
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
                if moving and self._progress_s > now:  # records are on their way: the reply comes behind them
                    send_at_s = self._progress_s + RETRY_S
            return _accepted(self._replies[number])

    @contextmanager
    def _awaiting(self, do: str, arguments: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
        """A new request's number and body; its reply is kept inside the block."""
        number, body = self._compose(do, arguments)
        self._awaited.add(number)
        try:
            yield number, body
        finally:
            self._awaited.discard(number)
            self._replies.pop(number, None)

    def request_consent(self, do: str, on_wait: Callable[[Wait], None], **arguments: Any) -> dict[str, Any]:
        """Ask for what a person at the board has to consent to, and wait for that; withdrawn when it is interrupted.

        Args:
            do: `pair`, `config-rollback` or `config-set`.
            on_wait: called again and again while the request waits, with how long it still does; what it raises, as Ctrl-C
                does, withdraws the request.
            arguments: as of `request`.

        Returns:
            The reply's body, checked as by `request`; at once when the board asks for no consent.

        Raises:
            BoardRefused: `consent` when nobody consented in time, or another program's request took its place.
            BoardGone: no reply in time, or the port is gone.
            UserError: the board restarted, or announced something else than was asked.
        """
        try:
            reply = self._signed(lambda: self._await_consent(do, on_wait, arguments))
        except BaseException as error:
            if not isinstance(error, BoardRefused | BoardGone):
                with suppress(UserError):
                    self.exchange("cancel")
            raise
        return _checked(do, arguments, reply)

    def _await_consent(self, do: str, on_wait: Callable[[Wait], None], arguments: dict[str, Any]) -> dict[str, Any]:
        with self._awaiting(do, arguments) as (number, body):
            restarts = self.restarts
            digest = signing.digest(signing.canonical(body))
            end_s = give_up_s = time.monotonic() + REPLY_TIMEOUT_S
            send_at_s, waiting, over = 0.0, False, False
            while not over:
                now_s = time.monotonic()
                over = now_s >= give_up_s  # and one more look: where this computer stood still, the reply may lie there unread
                if now_s >= send_at_s:
                    self._send(body)
                    send_at_s = now_s + (CONSENT_RETRY_S if waiting else RETRY_S)
                self._receive()
                reply = self._replies.pop(number, None)
                if reply and wire_schema.problem(reply, WaitReply):
                    return _accepted(reply)
                if reply:
                    if reply["wait"]["ask"] != digest:
                        raise UserError(f"the board announces {reply['wait']['ask']}, not what was asked ({digest}).", FAILED)
                    left_s = reply["wait"]["ms"] / 1000
                    if waiting and now_s + left_s > end_s + REPLY_TIMEOUT_S:
                        raise UserError("the board's answer was lost on the line: ask again if it was not done.", FAILED)
                    end_s = min(end_s, now_s + left_s) if waiting else now_s + left_s
                    give_up_s, waiting = end_s + REPLY_TIMEOUT_S, True
                if self.restarts != restarts:
                    raise UserError("the board restarted meanwhile; nothing was changed. Ask again.", FAILED)
                if waiting:
                    on_wait({"ask": digest, "ms": max(0, round((end_s - now_s) * 1000))})
        raise BoardGone(f"the board at {self.path} does not answer. `earlid doctor` looks for the cause.")

    def request_once(self, do: str, **arguments: Any) -> dict[str, Any] | None:
        """Send a request once, for requests that matter for the records they bring.

        Returns:
            The reply's body; None when the line went quiet without it.

        Raises:
            BoardRefused: the board said no.
            BoardGone: the port is gone.
        """
        with self._awaiting(do, arguments) as (number, body):
            self._send(body)
            began_s = time.monotonic()
            quiet_at_s = began_s + RETRY_S
            while number not in self._replies and time.monotonic() < quiet_at_s:
                if self._receive():
                    quiet_at_s = min(time.monotonic() + QUIET_S, began_s + PROGRESS_LIMIT_S)
            reply = self._replies.get(number)
            return _checked(do, arguments, _accepted(reply)) if reply else None

    def messages(self, timeout_s: float) -> Iterator[Message]:
        """The messages that the board sent by itself, oldest first, for `timeout_s` seconds (0: only what waits)."""
        end_s = time.monotonic() + timeout_s
        while True:
            for _ in range(len(self._queue)):  # what comes meanwhile waits: a board that never pauses must not keep us here
                yield self._queue.popleft()
            if time.monotonic() >= end_s:
                return
            self._receive()

    def pop_records(self) -> list[Record]:
        """The waiting records, oldest first; other messages stay for `messages`."""
        with self._lock:
            records = [message for message in self._queue if isinstance(message, Record)]
            rest = [message for message in self._queue if not isinstance(message, Record)]
            self._queue.clear()
            self._queue.extend(rest)
        return records

    def _compose(self, do: str, arguments: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        number = next(self._ids) % wire.SEQ_WRAP
        named = {name.rstrip("_"): value for name, value in arguments.items()}
        return number, self._signer.sign({"id": number, "do": do} | named | {"client": CLIENT})

    def _send(self, body: dict[str, Any]) -> None:
        try:
            with self._sending:
                line = wire.encode(next(self._send_seq), body)
                if len(line) > wire.BOARD_LINE_MAX:
                    raise ValueError(f"request {body['do']} has {len(line)} bytes, a board takes {wire.BOARD_LINE_MAX}")
                self._port.write(line)
        except serial.SerialTimeoutException:
            pass  # the board does not read now: the retry will get through, or no reply comes
        except PORT_ERRORS as error:
            raise BoardGone(f"the board at {self.path} is gone: {error}") from error

    def _receive(self) -> bool:
        """Process the bytes that the port has; False when it had none for READ_TIMEOUT_S."""
        data = self._read_port()
        self._take(data)
        return bool(data)

    def _read_port(self) -> bytes:
        try:
            return self._port.read(max(1, min(self._port.in_waiting, 65536)))
        except READ_ERRORS as error:
            raise BoardGone(f"the board at {self.path} is gone: {error}") from error

    def _take(self, data: bytes) -> None:
        for seq, body in self._reader.feed(data):
            self.heard_s = time.monotonic()
            self._count_missed(seq, body)
            self._dispatch(body)

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
                self.last_bad_record = plain(error)
                return
            received = Record._make(body["rec"])
            received.slot = slot
            self._queue.append(received)
        elif "tm" in body:
            if not self._is_bad(body["tm"], Telemetry):
                self.telemetry = body["tm"]
                self._queue.append(TelemetryMessage(body["tm"]))
        elif "hi" in body and "re" not in body:
            hello = body["hi"]
            in_maintenance = isinstance(hello, dict) and hello.get("maintenance") is True
            if not self._is_bad(hello, MaintenanceHello if in_maintenance else Hello):
                self.restarts += 1
                self._signer.learn(hello)
                self._queue.append(Started(hello))
        elif "ask" in body and "re" not in body:
            if not self._is_bad(body["ask"], Ask):
                self._queue.append(Asked(body["ask"]))
        elif type(body.get("re")) is int:
            self._signer.learn_reply(body)
            if body["re"] in self._awaited:
                self._replies[body["re"]] = body

    def _is_bad(self, value: object, expected: object) -> bool:
        bad = bool(wire_schema.problem(value, expected))
        self.bad_messages += bad
        return bad


def _accepted(reply: dict[str, Any]) -> dict[str, Any]:
    if reply.get("ok") is not True:
        refusal = wire_schema.known_fields(reply, wire_schema.Refusal)
        raise BoardRefused(refusal.get("err", "unknown"), plain(refusal.get("say", "")), refusal.get("ms", 0) / 1000)
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
