# SPDX-License-Identifier: MIT
"""UART text: line ends, timing and loss of what the chip prints and receives, and the REPL's mode as seen from outside."""

from __future__ import annotations

import re
from collections import deque

BYTES_PER_US = 115_200 / 10 / 1e6
HALF_HOP_BYTES = 58  # that come in 5 ms
TX_FIFO_BYTES = 128
RX_BUFFER_BYTES = 260  # the port's input ring: what the firmware does not take in time is lost
RAW_REPL = b"raw REPL; CTRL-B to exit\r\n>"
LOG_BYTES = 4_000_000
BANNER = b"MicroPython "
_LONE_NEWLINE = re.compile(rb"(?<!\r)\n")


class Transmitter:
    """The chip's output: line ends as the ESP32 port makes them, the FIFO's time, a raw REPL's greeting hidden."""

    def __init__(self) -> None:
        self.text = bytearray()
        self.total = 0
        self.raw_repl = False
        self._last = 0
        self._hidden = b""
        self._hide = False
        self._tail = b""
        self._busy_until = 0

    def reset(self, raw_repl: bool) -> None:
        """Start of a chip, in the raw or the friendly REPL."""
        self.raw_repl = raw_repl
        self._last = 0
        self._tail = b""
        self._hide = False
        self._hidden = b""

    def hide_until_raw(self) -> None:
        """Keep back what comes until the raw REPL answers."""
        self._hide = True

    def encode(self, data: bytes) -> bytes:
        """The bytes on the wire for what the chip printed."""
        if not data:
            return data
        sent = _LONE_NEWLINE.sub(b"\r\n", data)
        if self._last == 13 and data[0] == 10:
            sent = sent[1:]
        self._last = data[-1]
        if self._hide:
            self._hidden += sent
            at = self._hidden.find(RAW_REPL)
            if at < 0:
                return b""
            sent, self._hidden, self._hide = self._hidden[at:], b"", False
        self._track_repl_mode(sent)
        self.log(sent)
        return sent

    def _track_repl_mode(self, sent: bytes) -> None:
        recent = self._tail + sent
        raw_at, banner_at = recent.rfind(RAW_REPL), recent.rfind(b"\r\n" + BANNER)
        if raw_at > banner_at:
            self.raw_repl = True
        elif banner_at >= 0:
            self.raw_repl = False
        self._tail = recent[-len(RAW_REPL) :]

    def log(self, sent: bytes) -> None:
        """Append to the console text what went out."""
        self.text += sent
        self.total += len(sent)
        if len(self.text) > LOG_BYTES:
            del self.text[: LOG_BYTES // 2]

    def stall_us(self, now_us: int, count: int) -> int:
        """How long the chip stood at a full FIFO for `count` bytes more."""
        # Whole numbers (1152 a microsecond, 100000 a byte): in how many pieces it was read must not matter
        self._busy_until = max(self._busy_until, now_us * 1152) + count * 100_000
        return max(0, (self._busy_until - TX_FIFO_BYTES * 100_000) // 1152 - now_us)


class Receiver:
    """The chip's input, at the line's speed."""

    def __init__(self) -> None:
        self.queue: deque[int] = deque()
        self.overrun = 0
        self._idle = True
        self._credit = 0.0
        self._since_us = 0

    def put(self, data: bytes) -> None:
        """Queue bytes that the host sent."""
        self.queue.extend(data)

    def due(self, now_us: int, room: int, paced: bool) -> bytes:
        """The bytes that reach the chip now, `room` bytes of its buffer being free."""
        if not paced:
            count = min(len(self.queue), max(0, room))
        else:
            limit = HALF_HOP_BYTES if self._idle else RX_BUFFER_BYTES  # on average it was sent half a hop ago
            self._credit = min(limit, self._credit + (now_us - self._since_us) * BYTES_PER_US)
            count = min(len(self.queue), int(self._credit))
            self._credit -= count
        self._since_us = now_us
        data = bytes(self.queue.popleft() for _ in range(count))
        self._idle = not self.queue
        if len(data) > room:
            self.overrun += len(data) - max(0, room)
            data = data[: max(0, room)]
        return data
