# SPDX-License-Identifier: MIT
"""Test harness: boards at a prompt, a small firmware, a chip in its boot loader, and a cable between any of them and the host."""

from __future__ import annotations

import os
import random
import select
import socket
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from earlid.board.port import open_port
from earlid.flash import deploy, one_file
from earlid.flash.firmware_build import LOADERS, FirmwareBuild, build
from earlid.flash.repl import Repl
from earlid.flash.this_processor import for_this_processor
from earlid.virtual.board import VirtualBoard
from esp32_mock_bootloader import protocol, server

ROOT = Path(__file__).parents[2]
LOADER_SOURCES = {name: (ROOT / "firmware" / name).read_bytes() for name in LOADERS}
BYTES_PER_S = 11_520  # 115200 baud, ten bits a byte
BAUDS = {getattr(termios, f"B{baud}"): baud for baud in (9600, 38400, 57600, 115200, 230400, 460800, 921600)}
LIMIT_S = 120.0  # for what takes a second on a machine that is not busy


def wait_for(board: VirtualBoard, condition: Callable[[], bool]) -> None:
    """Wait for a condition on a board that runs by itself."""
    end_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end_s, board.console[-1500:]
        time.sleep(0.01)


@contextmanager
def bare_board(**options: object) -> Iterator[VirtualBoard]:
    """A virtual board with MicroPython and an empty file system at its prompt, as fast as the processor goes."""
    board = VirtualBoard(firmware=None, **options)  # type: ignore[arg-type]
    board.run_background(speed=None)
    try:
        restart(board, board.power_on)
        yield board
    finally:
        board.stop()


START_SOURCE = """
import binascii
import json

from lid import messages
from lid.gate import same


def say(seq, body):
    text = '%d %s' % (seq, json.dumps(body))
    print('#%s*%08x' % (text, binascii.crc32(text.encode())))


def run(model):
    print('started', messages.VERSION, model)
    board = '%016x' % 0x1122334455667788
    rows = (('boot', 'power-on', 256), ('selftest', messages.TEST, 1023))
    for n, (event, reason, a) in enumerate(rows):
        rec = [n + 1, 1, 5, event, reason, 0, 0, 0, 0, 0, 0, 0, a, 0, '0' * 24, '0' * 16]
        say(n, {'rec': rec})
    say(2, {'hi': {'board': board, 'fw': messages.VERSION, 'state': 'closed'}})
"""


def small_build(folder: Path, version: str, self_test: str = "passed") -> FirmwareBuild:
    """A compiled firmware of five modules that sends the messages of a start and returns to the prompt."""
    package = folder / "lid"
    (package / "gate").mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text("")
    (package / "gate" / "__init__.py").write_text("")
    (package / "gate" / "same.py").write_text("def same(x):\n    return x * 3 + 1\n" * 20)
    (package / "messages.py").write_text(f"VERSION = {version!r}\nTEST = {self_test!r}\n")
    (package / "start.py").write_text(START_SOURCE)
    for name, data in LOADER_SOURCES.items():
        (folder / name).write_bytes(data)
    return build(folder, "x64")


def deploy_build(
    board: VirtualBoard, build: FirmwareBuild, report: Callable[[int, int], None] | None = None, **parts: bytes
) -> deploy.DeployPlan:
    """Deploy as `earlid flash` does, without the restart; parts: model, config."""
    port = open_port(board.serial_port)
    try:
        with Repl(port) as repl:
            inventory = deploy.parse_inventory(repl.inventory())
            plan = deploy.make_plan(inventory, deploy.hash_files(repl, inventory), build, parts.get("model"), parts.get("config"))
            deploy.execute(repl, plan, report or (lambda done, total: None))
            return plan
    finally:
        port.close()


def restart(board: VirtualBoard, by: Callable[[], None] | None = None) -> str:
    """Restart a board and return what it prints up to its prompt; by: what starts it, else its reset button."""
    begin = len(board.console)
    (by or board.reset_pin)()

    def printed() -> str:
        return board.console[begin:].rpartition("rst:")[2]

    wait_for(board, lambda: ">>> " in printed())
    return printed()


def is_probe(data: bytes) -> bool:
    """Whether the host asks who is there. A piece of an image may begin as a frame does, by chance."""
    return data.startswith(b"#") and b'"hello"' in data


class CableEnd:
    """One end of a cable: a file descriptor to read and write, and how to close it."""

    def __init__(self, fileno: int, close: Callable[[], None]) -> None:
        self.fileno = fileno
        self.close = close


class _PatientConnection(server.BootloaderConnection):
    """The boot loader's end. The mock gives a reader of its flash 50 ms for each answer, which a busy machine may miss."""

    def set_timeout(self, timeout: float) -> None:
        super().set_timeout(LIMIT_S)


class _Flash(server.FlashImage):
    """The mock's flash, which takes a block at once: 4 MB byte by byte cost seconds."""

    def write_defl_block(self, payload: bytes) -> None:
        assert self._decompressor is not None
        data = self._decompressor.decompress(payload[16 : 16 + int.from_bytes(payload[:4], "little")])
        self.data[self._defl_offset : self._defl_offset + len(data)] = data[: len(self.data) - self._defl_offset]
        self._defl_offset += len(data)


class BootloaderChip:
    """An ESP chip in its boot loader: esp32-mock-bootloader's protocol and flash, in a thread of this process."""

    def __init__(self, chip: str = "esp32", flash: server.FlashImage | None = None) -> None:
        self.flash = flash or _Flash()
        self._ours, theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._stop = threading.Event()
        connection = _PatientConnection(sock=theirs)
        self._thread = threading.Thread(target=self._serve, args=(connection, chip), daemon=True)
        self._thread.start()

    def _serve(self, connection: server.BootloaderConnection, chip: str) -> None:
        server.handle_client(connection, self._stop, chip, exit_on_disconnect=True, flash=self.flash)

    def end(self) -> CableEnd:
        """The chip's end of a cable."""
        return CableEnd(self._ours.fileno(), self.close)

    def close(self) -> None:
        """Power off."""
        self._stop.set()
        self._ours.close()
        self._thread.join(timeout=3)


@contextmanager
def flash_id(jedec_id: int) -> Iterator[None]:
    """Every chip of a `with` block has a flash with this JEDEC number (0x154020: 2 MB)."""
    saved = protocol.MOCK_FLASH_ID
    protocol.MOCK_FLASH_ID = jedec_id
    try:
        yield
    finally:
        protocol.MOCK_FLASH_ID = saved


def board_end(board: VirtualBoard) -> CableEnd:
    """A virtual board's end of a cable."""
    fileno = os.open(board.serial_port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    tty.setraw(fileno)
    return CableEnd(fileno, lambda: os.close(fileno))


Pace = float | Literal["baud"] | None
"""Bytes a second of a line each way, as many as its baud rate lets through, or as many as come."""


class Cable:
    """A pseudo-terminal for the host whose far end can be changed while it is open; it counts and paces bytes, and breaks.

    Attributes:
        path: what the host opens.
        sent, received: bytes from and to the host.
        far_end: where the bytes go.
        intercept: called with every chunk from the host; returns what goes on.
    """

    def __init__(self, far_end: CableEnd, bytes_per_s: Pace = None) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self.far_end = far_end
        self.sent = self.received = 0
        self.intercept: Callable[[bytes], bytes] = lambda data: data
        self._bytes_per_s = bytes_per_s
        self._gone = False
        self._free_s = {True: 0.0, False: 0.0}
        self._thread = threading.Thread(target=self._pump, daemon=True)
        self._thread.start()

    def _pump(self) -> None:
        while not self._gone:
            try:
                ready, _, _ = select.select([self._master, self.far_end.fileno], [], [], 0.02)
                for source in ready:
                    self._carry(source)
            except (OSError, ValueError):
                time.sleep(0.01)
        os.close(self._master)  # here: closed by another thread, its number may be another file's when it is read next

    def _carry(self, source: int) -> None:
        up = source == self._master
        data = os.read(source, 4096 if not self._bytes_per_s else 64 if self._bytes_per_s != "baud" else 1024)
        if not data:
            raise OSError
        self._pace(up, len(data))
        if up:
            self.sent += len(data)
            data = self.intercept(data)
            self._push(self.far_end.fileno, data)
        else:
            self.received += len(data)
            self._push(self._master, data)

    def _push(self, fileno: int, data: bytes) -> None:
        # Nobody may be reading there: that must not keep the cable from being closed.
        while data and not self._gone:
            if select.select([], [fileno], [], 0.02)[1]:
                with suppress(BlockingIOError):
                    data = data[os.write(fileno, data) :]

    def _pace(self, up: bool, count: int) -> None:
        # Each way has its own wire: a byte leaves when the one before it has gone.
        if self._bytes_per_s:
            bytes_per_s = self.baud / 10 if self._bytes_per_s == "baud" else self._bytes_per_s
            now_s = time.monotonic()
            self._free_s[up] = max(self._free_s[up], now_s) + count / bytes_per_s
            time.sleep(max(0.0, self._free_s[up] - now_s))

    @property
    def baud(self) -> int:
        """The speed that the host has set."""
        return BAUDS[termios.tcgetattr(self._slave)[5]]

    def vanish(self) -> None:
        """Pull the cable."""
        self._gone = True

    def close(self) -> None:
        """Pull the cable and close its far end."""
        self.vanish()
        self._thread.join()
        self.far_end.close()
        # The slave stays open: as long as it does, no other board gets this port's name while somebody may still try it.


@contextmanager
def cable(far_end: CableEnd, bytes_per_s: Pace = None) -> Iterator[Cable]:
    """A cable for a `with` block."""
    made = Cable(far_end, bytes_per_s)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def starting(chip: BootloaderChip, cable: Cable) -> Iterator[list[VirtualBoard]]:
    """The board, as soon as there is one: it starts from the chip's flash when somebody asks who is there."""
    boards: list[VirtualBoard] = []

    def intercept(data: bytes) -> bytes:
        if is_probe(data) and not boards and chip.flash.data[0x1000] == 0xE9:
            written = one_file.inspect(bytes(chip.flash.data)).file_system
            boards.append(VirtualBoard(file_system=for_this_processor(written)))
            boards[0].noise(-60)
            boards[0].power_on()
            boards[0].run_background(speed=None)
            cable.far_end = board_end(boards[0])
        return data

    cable.intercept = intercept
    try:
        yield boards
    finally:
        for board in boards:
            board.stop()


def fake_model(size: int = 3000) -> bytes:
    """Incompressible bytes that pass for a compiled word."""
    return b"ELWW" + random.Random(size).randbytes(size)
