# SPDX-License-Identifier: MIT
"""Raw REPL of a board, through mpremote's transport, on a port that is opened without resetting the board."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import serial
from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

from earlid.board.link import BoardGone
from earlid.board.port import READ_TIMEOUT_S
from earlid.errors import UserError
from earlid.flash import transfer

REPL_TIMEOUT_S = 3.0  # between two characters of the board
FLASH_WORK_FACTOR = 3  # times that, while the board works on flash
ENTER_TRIES = 3
INTERRUPT_S = 1.0  # for running code to end after Ctrl-C
CTRL_C = b"\x03"
FILE_MAX_BYTES = 16 << 20  # the largest flash of an ESP32 module
NONSENSE = (
    "the board's prompt answers otherwise than MicroPython: is there another program on it? `earlid flash --micropython` "
    "writes it anew."
)
T = TypeVar("T")


class NoRepl(BoardGone):
    """The board gives no prompt."""


class _Transport(SerialTransport):  # type: ignore[misc]  # mpremote has no types
    """mpremote's transport on a port that is open already; its own constructor would open it anew."""

    def __init__(self, port: serial.Serial) -> None:
        self.in_raw_repl = False
        self.use_raw_paste = True
        self.device_name = port.port
        self.mounted = False
        self.serial = port
        self.is_pty = True  # makes it wait in read() instead of asking every 10 ms: faster on every port

    def enter_quietly(self) -> None:
        """mpremote's `enter_raw_repl` without a soft reset, and without its printing to stdout what it did not expect."""
        self.serial.write(b"\r\x03")  # ends what runs
        while waiting := self.serial.in_waiting:
            self.serial.read(waiting)
        self.serial.write(b"\r\x01")
        banner = b"raw REPL; CTRL-B to exit\r\n"
        if not self.read_until(1, banner, timeout_overall=REPL_TIMEOUT_S).endswith(banner):
            raise TransportError("no raw REPL")
        self.in_raw_repl = True


class Repl:
    """The raw REPL of a board, entered on construction, without a soft reset.

    Args:
        port: an open serial port; it stays open, and is closed by whoever opened it.
        tries: how often to ask for the prompt.

    Raises:
        NoRepl: code 3 when no prompt comes.
    """

    def __init__(self, port: serial.Serial, tries: int = ENTER_TRIES) -> None:
        self._port = port
        self._transport = _Transport(port)
        self._running = False  # code of ours, as far as is known
        port.timeout = REPL_TIMEOUT_S
        for attempt in range(tries):
            try:
                self._transport.enter_quietly()
                return
            except (TransportError, serial.SerialException, OSError) as error:
                if attempt == tries - 1:
                    port.timeout = READ_TIMEOUT_S
                    raise NoRepl(
                        f"no MicroPython prompt at {port.port}. Press the board's reset button and try again; "
                        "if that does not help, write MicroPython anew with `earlid flash --image`."
                    ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(TransportError, serial.SerialException, OSError):
            if kind is not None and self._running:
                self._port.timeout = INTERRUPT_S
                self._port.write(CTRL_C)  # whatever runs there must end before the prompt comes back
                self._transport.read_until(1, b"\x04>", timeout=INTERRUPT_S)
            self._transport.exit_raw_repl()
            self._port.timeout = READ_TIMEOUT_S

    def run(self, code: str) -> str:
        """Run Python on the board.

        Returns:
            What it printed.

        Raises:
            UserError: code 1 with the last line of the board's traceback; code 3 when the board is gone.
        """
        self._running = True
        try:
            printed, error_text = self._transport.exec_raw(code.encode(), timeout=REPL_TIMEOUT_S * FLASH_WORK_FACTOR)
        except (TransportError, serial.SerialException, OSError) as error:
            raise self._gone(error) from error
        self._running = False
        if error_text:
            raise UserError(_traceback(error_text.decode(errors="replace")))
        return str(printed.decode(errors="replace"))

    def _gone(self, error: Exception) -> BoardGone:
        return BoardGone(f"the board at {self._port.port} fell silent ({error}). Run `earlid flash` again.")

    def inventory(self) -> dict[str, Any]:
        """The board's MicroPython and its files (`transfer.INVENTORY`)."""
        return self._read(transfer.INVENTORY, lambda printed: dict(json.loads(printed)))

    def hashes(self, paths: Iterable[str]) -> dict[str, str]:
        """SHA-256 of files on the board by path, in hex; `-` for what cannot be read."""
        code = f"PATHS={list(paths)!r}\n{transfer.HASH}"
        return self._read(code, lambda printed: dict(line.split() for line in printed.splitlines() if line))

    def word(self, path: str) -> bytes:
        """A word's blob on the board with zeros for its weights: its tables say what it takes. Empty when it cannot be read."""
        return self._read(f"PATH={path!r}\n{transfer.WORD}", _padded)

    def _read(self, code: str, parse: Callable[[str], T]) -> T:
        """What code prints, parsed; UserError, code 1, when it is not what that code prints."""
        printed = self.run(code)
        try:
            return parse(printed)
        except (ValueError, TypeError, RecursionError) as error:
            raise UserError(NONSENSE) from error

    def send_blocks(self, blocks: Sequence[bytes], report: Callable[[int], None]) -> None:
        """Stream masked blocks to `transfer.RECEIVE`.

        Args:
            blocks: as `transfer.blocks` makes them.
            report: called after each block with the number of blocks sent.

        Raises:
            UserError: as `run`.
        """
        self._running = True
        try:
            self._transport.exec_raw_no_follow(transfer.RECEIVE.encode())
            for number, block in enumerate(blocks):
                self._await_block_request()
                self._port.write(block)
                report(number + 1)
            _, error_text = self._transport.follow(timeout=REPL_TIMEOUT_S * FLASH_WORK_FACTOR)
        except (TransportError, serial.SerialException, OSError) as error:
            raise self._gone(error) from error
        self._running = False
        if error_text:
            raise UserError(_traceback(error_text.decode(errors="replace")))

    def _await_block_request(self) -> None:
        # A flash sector's erase may take 0.4 s, a garbage collection less.
        end_s = time.monotonic() + REPL_TIMEOUT_S * FLASH_WORK_FACTOR
        while (received := self._port.read(1)) != transfer.BLOCK_REQUEST:
            if received == b"\x04":
                error_text = self._transport.read_until(1, b"\x04", timeout=REPL_TIMEOUT_S)
                raise UserError(_traceback(error_text[:-1].decode(errors="replace")))
            if time.monotonic() > end_s:
                raise TransportError("no answer during the transfer")

    def run_detached(self, code: str) -> None:
        """Start code that never returns to the prompt, as a reset."""
        try:
            self._transport.exec_raw_no_follow(code.encode())
        except (TransportError, serial.SerialException, OSError) as error:
            raise self._gone(error) from error


def _padded(printed: str) -> bytes:
    size, _, tables = printed.strip().partition(" ")
    if not 0 <= int(size or 0) <= FILE_MAX_BYTES:
        raise ValueError("no file of a board is so long")
    return bytes.fromhex(tables).ljust(int(size or 0), b"\0")


def _traceback(text: str) -> str:
    last = text.strip().splitlines()[-1] if text.strip() else "no reason given"
    if "ENOSPC" in last or last.strip() == "OSError: 28":
        return "the board's flash is full. Free some space, or start over with `earlid flash --erase` (no journal stays)."
    return f"the board's MicroPython stopped with: {last}. Run `earlid flash` again."
