# SPDX-License-Identifier: MIT
"""The board's serial port as the host sees it: a pseudo-terminal, and the faults of a bad cable.

A pseudo-terminal carries no DTR or RTS and no baud rate; opening it can therefore never reset the board.
"""

from __future__ import annotations

import errno
import math
import os
import random
import select
import termios
import tty
from collections import deque
from pathlib import Path

HOST_BUFFER = 65_536  # what the host's driver holds for a reader that is slow; beyond it bytes are lost


class LineFaults:
    """Bit errors and lost or duplicated lines, from a random source of its own seed."""

    def __init__(self, bit_error_rate: float = 0.0, drop_rate: float = 0.0, duplicate_rate: float = 0.0, seed: int = 0) -> None:
        for name, rate in (("bit error", bit_error_rate), ("drop", drop_rate), ("duplicate", duplicate_rate)):
            if not 0 <= rate < 1:
                raise ValueError(f"{name} rate {rate} is not in [0, 1)")
        self.bit_error_rate = bit_error_rate
        self.drop_rate = drop_rate
        self.duplicate_rate = duplicate_rate
        self.rng = random.Random(seed)
        self._partial = b""
        self._gap = self._next_gap()

    def _next_gap(self) -> int:
        if not self.bit_error_rate:
            return -1
        return int(math.log(1 - self.rng.random()) / math.log1p(-self.bit_error_rate))

    def apply(self, data: bytes) -> bytes:
        """What arrives when `data` is sent. Whole lines are held back until their end when lines may be lost."""
        if self.drop_rate or self.duplicate_rate:
            *lines, self._partial = (self._partial + data).split(b"\n")
            data = b""
            for line in lines:
                luck = self.rng.random()
                if luck < self.drop_rate:
                    continue
                data += (line + b"\n") * (2 if luck > 1 - self.duplicate_rate else 1)
        if self._gap < 0 or not data:
            return data
        damaged = bytearray(data)
        bits = 8 * len(damaged)
        while self._gap < bits:
            damaged[self._gap >> 3] ^= 1 << (self._gap & 7)
            self._gap += 1 + self._next_gap()
        self._gap -= bits
        return bytes(damaged)


class PtyPort:
    """The host's end of the line: `path` is what pyserial and mpremote open. `link` is a symbolic link kept to point at it.

    The pseudo-terminal is made when somebody first asks for it. Their numbers are used again and again: a program left over
    from elsewhere that still tries the path of a board long gone would find this board there, and speak to it.
    """

    def __init__(self, link: Path | None = None) -> None:
        self.link = link
        self.master_fd = -1
        self.listening_fd = -1  # the same while somebody has the port open, else -1
        self._path = ""
        self._plugged = False
        self.lost_bytes = 0  # never read by the host
        self.to_host = LineFaults()
        self.to_board = LineFaults()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._poll = select.poll()
        self.plug()

    @property
    def path(self) -> str:
        """The pseudo-terminal's; while unplugged, where it was."""
        if self._plugged and self.master_fd < 0:
            self._open()
        return self._path

    def plug(self) -> None:
        """The cable is in: a new pseudo-terminal, at once if anybody may be waiting for it."""
        if self._plugged:
            return
        self._plugged = True
        if self.link is not None or self._path:
            self._open()

    def _open(self) -> None:
        self.master_fd, slave = os.openpty()
        tty.setraw(slave)
        self._path = os.ttyname(slave)
        os.close(slave)  # from now on a hang-up on our side tells that nobody has it open
        os.set_blocking(self.master_fd, False)
        self._poll.register(self.master_fd, select.POLLIN)
        if self.link is not None:
            self.link.unlink(missing_ok=True)
            self.link.symlink_to(self.path)

    def unplug(self) -> None:
        """The pseudo-terminal goes away: whoever has it open gets an input/output error."""
        self._plugged = False
        if self.master_fd < 0:
            return
        self._poll.unregister(self.master_fd)
        os.close(self.master_fd)
        self.master_fd = self.listening_fd = -1
        self._waiting.clear()
        self._waiting_bytes = 0
        if self.link is not None:
            self.link.unlink(missing_ok=True)

    def poll(self) -> None:
        """Check whether anybody has the port open; send what waits for a slow reader."""
        if self.master_fd < 0:
            return
        events = self._poll.poll(0)
        hung_up = bool(events) and bool(events[0][1] & select.POLLHUP)
        self.listening_fd = -1 if hung_up else self.master_fd
        if hung_up:
            self.lost_bytes += self._waiting_bytes
            self._waiting.clear()
            self._waiting_bytes = 0
        elif self._waiting:
            self._flush()

    def read(self) -> bytes:
        """What the host has sent, after the line's faults; nothing if there is nothing."""
        try:
            return self.to_board.apply(os.read(self.master_fd, 4096))
        except OSError:  # closed meanwhile
            self.poll()
            return b""

    def write(self, data: bytes) -> None:
        """Send to the host; lost if nobody has the port open, or if the reader is far behind."""
        data = self.to_host.apply(data)
        self.poll()
        if self.listening_fd < 0:
            self.lost_bytes += len(data)
            return
        if termios.tcgetattr(self.master_fd)[3] & termios.ECHO:
            tty.setraw(self.master_fd)  # just opened, by somebody who has not set it up yet: it must not echo
        if self._waiting_bytes + len(data) > HOST_BUFFER:
            self.lost_bytes += len(data)
            return
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self._flush()

    def _flush(self) -> None:
        while self._waiting:
            data = self._waiting[0]
            try:
                sent = os.write(self.master_fd, data)
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EIO):
                    raise
                return
            self._waiting_bytes -= sent
            if sent < len(data):
                self._waiting[0] = data[sent:]
                return
            self._waiting.popleft()
