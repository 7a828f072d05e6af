# SPDX-License-Identifier: MIT
"""A development board behind a USB plug: its two reset transistors, its chip in the boot loader, and what it runs.

The boot loader is esp32-mock-bootloader's. What runs after a reset is made from the bytes of the flash by `start`.
Everything here happens in one thread, the event loop's of serial_server.py.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Protocol

from esp32_mock_bootloader import protocol

from tests.flash.harness import BootloaderChip

ROM_BAUD = 115_200
DOWNLOAD_BANNER = b"ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET),boot:0x3 (DOWNLOAD_BOOT)\r\nwaiting for download\r\n"
CHANGE_BAUD, WRITE_BLOCK = b"\xc0\x00\x0f", b"\xc0\x00\x11"  # how a command of the boot loader begins on the line


class Program(Protocol):
    """What runs on a chip: a file descriptor to its serial line; `stop` returns the flash as it left it, None if untouched."""

    fileno: int

    def stop(self) -> bytes | None: ...


class Speaker:
    """A program that says its lines when it starts, and listens to nobody."""

    def __init__(self, lines: bytes) -> None:
        self._ours, theirs = socket.socketpair()
        self._theirs = theirs
        theirs.setblocking(False)
        self.fileno = theirs.fileno()
        self._ours.sendall(lines)

    def say(self, data: bytes) -> None:
        """Send more."""
        self._ours.sendall(data)

    def stop(self) -> bytes | None:
        self._ours.close()
        self._theirs.close()
        return None


def no_program(flash: bytes) -> Program:
    """What the ROM says when there is nothing to start."""
    return Speaker(b"rst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n" + b"invalid header: 0xffffffff\r\n" * 3)


class DevBoard:
    """A board at a USB port.

    Args:
        chip: as esp32-mock-bootloader names it.
        flash: the first bytes of the flash; the rest is erased.
        start: makes what runs from the flash's bytes.
        info: USB vendor and product number.
        transistors: whether DTR and RTS reset the chip, or nothing does.
        fastest_baud: above it every byte is lost.
        busy: whether another program has its port open.
        slow_from_block: from this block of an image on, every byte above 115200 baud is lost.
        unplug_at_block: the cable is pulled when this block of an image arrives.

    Attributes:
        flash_at_first: all of it, before anything was written.
        starts: "program" or "download", one for each start.
        received: every byte the page has sent.
        blocks: how many blocks of an image have come.
        program: what runs.
        started_from: the flash at the last start of a program.
    """

    def __init__(
        self,
        chip: str = "esp32",
        flash: bytes = b"",
        start: Callable[[bytes], Program] = no_program,
        info: tuple[int, int] = (0x1A86, 0x7523),
        transistors: bool = True,
        fastest_baud: int = 2_000_000,
        busy: bool = False,
        slow_from_block: int | None = None,
        unplug_at_block: int | None = None,
    ) -> None:
        self.info, self.busy = info, busy
        self.starts: list[str] = []
        self.received = bytearray()
        self.blocks = 0
        self.plugged = True
        self.unplug_at_block = unplug_at_block
        self.on_data: Callable[[bytes], None] = lambda data: None
        self.on_unplug: Callable[[], None] = lambda: None
        self.start = start
        self._chip, self._transistors, self._fastest_baud = chip, transistors, fastest_baud
        self._slow_from_block = slow_from_block
        self.flash_at_first = flash.ljust(protocol.FLASH_MOCK_SIZE, b"\xff")
        self._flash = bytearray(self.flash_at_first)
        self._loader: BootloaderChip | None = None
        self.program: Program | None = None
        self.started_from = b""
        self._in_reset = False
        self._page_baud = 0  # 0: the page has the port closed
        self._chip_baud = self._next_baud = ROM_BAUD
        self._watched = -1

    @property
    def flash(self) -> bytes:
        """What the flash holds, while nothing runs from it."""
        return bytes(self._loader.flash.data) if self._loader else bytes(self._flash)

    # The plug

    def power_on(self) -> None:
        """The cable is in: the chip starts what it holds."""
        self.plugged = True
        self._run(download=False)

    def unplug(self) -> None:
        """Pull the cable, which is also the supply."""
        if not self.plugged:
            return
        self.plugged = self._in_reset = False
        self._halt()
        self._page_baud = 0
        self.on_unplug()

    def reset(self) -> None:
        """Press the reset button."""
        self._run(download=False)

    # The line

    def open(self, baud: int) -> None:
        """The page opens the port: the driver asserts both signals at once, which resets nothing."""
        self._page_baud = baud
        self._watch()

    def close(self) -> None:
        """The page closes the port: the driver lets both signals go at once, which resets nothing."""
        self.signals(False, False)
        self._page_baud = 0
        self._unwatch()

    def signals(self, dtr: bool, rts: bool) -> None:
        """RTS without DTR holds the chip in reset; at its end DTR without RTS selects the boot loader."""
        if not self._transistors:
            return
        if rts and not dtr:
            self._in_reset = True
            self._halt()
        elif self._in_reset:
            self._in_reset = False
            self._run(download=dtr)

    def write(self, data: bytes) -> None:
        """Bytes from the page."""
        self.received += data
        if self._page_baud != self._chip_baud or self._page_baud > self._fastest_baud:
            return
        if self._loader and data.startswith(CHANGE_BAUD):
            self._next_baud = int.from_bytes(data[9:13], "little")
        if self._loader and data.startswith(WRITE_BLOCK):
            self.blocks += 1
            if self.blocks == self._slow_from_block:
                self._fastest_baud = ROM_BAUD
                return
            if self.blocks == self.unplug_at_block:
                self.unplug()
                return
        if self._watched >= 0:
            self._push(data)

    def _push(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._watched, data) :]
            except BlockingIOError:
                continue

    def send(self, data: bytes) -> None:
        """Bytes to the page, past whatever the chip does."""
        self._say(data)

    # The chip

    def _halt(self) -> None:
        self._unwatch()
        if self._loader:
            self._flash[:] = self._loader.flash.data
            self._loader.close()
            self._loader = None
        if self.program:
            left = self.program.stop()
            if left is not None:
                self._flash[:] = left
            self.program = None

    def _run(self, download: bool) -> None:
        self._halt()
        self._chip_baud = self._next_baud = ROM_BAUD
        self.starts.append("download" if download else "program")
        if download:
            self._loader = BootloaderChip(self._chip)
            self._loader.flash.data[: len(self._flash)] = self._flash
            self._say(DOWNLOAD_BANNER)
        else:
            self.started_from = bytes(self._flash)
            self.program = self.start(self.started_from)
        self._watch()

    def _say(self, data: bytes) -> None:
        if self._page_baud == self._chip_baud and self._page_baud <= self._fastest_baud:
            self.on_data(data)
        self._chip_baud = self._next_baud  # the answer to a change of the baud rate is the last at the old one

    def _watch(self) -> None:
        if self._page_baud and self._watched < 0 and (self._loader or self.program):
            self._watched = self._loader.end().fileno if self._loader else self.program.fileno
            asyncio.get_running_loop().add_reader(self._watched, self._readable)

    def _unwatch(self) -> None:
        if self._watched >= 0:
            asyncio.get_running_loop().remove_reader(self._watched)
            self._watched = -1

    def _readable(self) -> None:
        try:
            data = os.read(self._watched, 4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._say(data)
        else:
            self._unwatch()
