# SPDX-License-Identifier: MIT
"""Serial port: opens it without resetting the board; a failure is one sentence that says what to do."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import serial
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from earlid.config_file import get
from earlid.config_keys import PORT
from earlid.door import plain
from earlid.errors import NO_BOARD, USAGE, UserError

try:
    from termios import error as TerminalError  # no OSError, and what a vanishing port raises wherever pyserial sets it up
except ImportError:  # Windows
    TerminalError = OSError  # type: ignore[misc, assignment]

PORT_ERRORS: tuple[type[Exception], ...] = (serial.SerialException, OSError, TerminalError)
OPEN_ERRORS: tuple[type[Exception], ...] = (*PORT_ERRORS, ValueError)
BAUD = 115200
READ_TIMEOUT_S = 0.05
WRITE_TIMEOUT_S = 2.0
LOCKED = (errno.EAGAIN, errno.EWOULDBLOCK)
LOCK_WAIT_S = 0.25
LOCK_PAUSE_S = 0.05
NO_SERIAL_PORT = "is no serial port"

# Makers of the USB serial chips that stand on ESP32 boards: Silicon Labs, WCH, FTDI, Prolific, Espressif.
BOARD_VENDORS = frozenset({0x10C4, 0x1A86, 0x0403, 0x067B, 0x303A})


class QuietSerial(serial.Serial):
    """A port whose opening and closing never resets an ESP32 board.

    Boards reset when RTS is on while DTR is off. So both are on from the kernel's open to our close (native-USB chips
    send nothing otherwise), and RTS goes first: DTR alone only pulls the boot pin, which a running chip ignores.
    """

    def close(self) -> None:
        if self.is_open:
            for line in ("rts", "dtr"):
                try:
                    setattr(self, line, False)
                except PORT_ERRORS:  # a pseudo-terminal has no such lines; an unplugged port has none left
                    break
        super().close()


def open_port(path: str) -> serial.Serial:
    """Open a serial port for this process alone, at 115200 baud, with short read timeouts.

    Args:
        path: the device, as `/dev/ttyUSB0` or `COM3`.

    Returns:
        The open port; close it with `close()`, which drops RTS before DTR.

    Raises:
        UserError: code 3, with what to do, when it cannot be opened.
    """
    end_s = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            return QuietSerial(path, BAUD, timeout=READ_TIMEOUT_S, write_timeout=WRITE_TIMEOUT_S, exclusive=True)
        except OPEN_ERRORS as error:
            # A program that another thread is just starting still holds the lock of a port that was closed here.
            if getattr(error, "errno", None) not in LOCKED or time.monotonic() > end_s:
                raise UserError(_open_error_text(path, error), NO_BOARD) from error
        time.sleep(LOCK_PAUSE_S)


def _open_error_text(path: str, error: Exception) -> str:
    code = getattr(error, "errno", None)
    text = str(error).lower()
    if code in (errno.EACCES, errno.EPERM) and os.name == "posix":
        return f"no permission to open {path}. On Debian, Ubuntu: `sudo usermod -aG dialout $USER`, then log in again."
    # pyserial on Windows gives no number, only the system's words.
    if code in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EBUSY) or "permissionerror" in text:
        holder = port_holder(path)
        who = f"{holder} has it open" if holder else "another program has it open"
        return f"{path} is busy: {who}. Close that program, then try again."
    if code in (errno.ENOENT, errno.ENODEV, errno.ENXIO) or "filenotfound" in text:
        return f"there is no {path}. Check the cable (some carry power only) and see `earlid list`."
    if code == errno.ENOTTY or "inappropriate ioctl" in text or isinstance(error, ValueError):
        return f"{path} {NO_SERIAL_PORT}. See `earlid list` for those there are."
    return f"cannot open {path}: {error}. Unplug the board, plug it in again, and see `earlid list`."


def port_holder(path: str) -> str | None:
    """Name and number of a process that has the port open, as `screen (4711)`; None when /proc does not show one."""
    target = os.path.realpath(path)
    for entry in Path("/proc").glob("[0-9]*"):
        if int(entry.name) == os.getpid():
            continue
        try:
            if any(_links_to(link, target) for link in (entry / "fd").iterdir()):
                return f"{plain((entry / 'comm').read_text(errors='replace').strip())} ({entry.name})"  # it names itself
        except OSError:  # other users' processes, or one that ended meanwhile
            continue
    return None


def _links_to(link: Path, target: str) -> bool:
    try:
        return os.readlink(link) == target
    except OSError:  # closed meanwhile: its process may have others
        return False


def candidate_ports() -> list[ListPortInfo]:
    """The USB serial ports that may be a board, sorted by device name."""
    return sorted((port for port in list_ports.comports() if port.vid in BOARD_VENDORS), key=lambda port: str(port.device))


def named_port(argument: str | None) -> str | None:
    """The port that the user named: the argument, else EARLID_PORT, ESPTOOL_PORT or the configured one; None when none is."""
    return get(PORT, argument)


def pick_port(argument: str | None) -> str:
    """The port to use: the one that is named, or that of the only board there is.

    Raises:
        UserError: code 3 when no board is found, code 2 with the list when there are several.
    """
    if named := named_port(argument):
        return named
    ports = candidate_ports()
    if not ports:
        raise UserError("no board found. Plug one in with a data cable, or name its port with -p.", NO_BOARD)
    if len(ports) > 1:
        listed = ", ".join(f"{port.device} ({port.description}, {port.serial_number or 'no serial'})" for port in ports)
        raise UserError(f"several boards: {listed}. Choose one with -p PORT.", USAGE)
    return str(ports[0].device)
