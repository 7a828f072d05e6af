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

from earlid.board.port_names import is_meant, is_url, natural, real_name
from earlid.board.port_trace import traced
from earlid.config_file import get
from earlid.config_keys import PORTS_ALLOW, PORTS_DENY, PORTS_UART
from earlid.door import plain
from earlid.errors import NO_BOARD, UserError

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
        path: the device, as `/dev/ttyUSB0` or `COM3`, or a URL, `socket://HOST:PORT` or `rfc2217://HOST:PORT`. Whether
            another program may have that open too is its server's business.

    Returns:
        The open port; close it with `close()`, which drops RTS before DTR.

    Raises:
        UserError: code 3, with what to do, when it cannot be opened.
    """
    end_s = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            if is_url(path):
                from earlid.board import network_port  # few need it, and it takes a while to load

                return traced(network_port.open_url(path, BAUD, READ_TIMEOUT_S, WRITE_TIMEOUT_S))
            return traced(QuietSerial(path, BAUD, timeout=READ_TIMEOUT_S, write_timeout=WRITE_TIMEOUT_S, exclusive=True))
        except OPEN_ERRORS as error:
            # A program that another thread is just starting still holds the lock of a port that was closed here.
            if getattr(error, "errno", None) not in LOCKED or time.monotonic() > end_s:
                raise UserError(_open_error_text(path, error), NO_BOARD) from error
        time.sleep(LOCK_PAUSE_S)


def _open_error_text(path: str, error: Exception) -> str:
    code = getattr(error, "errno", None)
    text = str(error).lower()
    if is_url(path):
        return f"cannot open {plain(path)}: {plain(error)}. Look after its server, and whether another program uses it."
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
    target = real_name(path)
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


def candidate_ports(lenient: bool = False) -> list[ListPortInfo]:
    """The ports that may be a board, as configured (`ports.allow`, `ports.deny`, `ports.uart`), in natural order.

    Args:
        lenient: as of `config_file.find`.
    """
    allow, deny, uart = (get(key, lenient=lenient) or () for key in (PORTS_ALLOW, PORTS_DENY, PORTS_UART))
    ports: list[ListPortInfo] = list(list_ports.comports())
    known = {real_name(str(port.device)) for port in ports if port.vid is not None}
    ports = [port for port in ports if port.vid in BOARD_VENDORS or any(is_meant(port, text) for text in allow)]
    ports = [port for port in ports if not allow or any(is_meant(port, text) for text in allow)]
    for name in uart:
        if real_name(name) not in known and os.path.exists(name):
            info = ListPortInfo(name)
            info.description = "UART"
            ports = [port for port in ports if real_name(str(port.device)) != real_name(name)] + [info]
    ports = [port for port in ports if not any(is_meant(port, text) for text in deny)]
    return sorted(ports, key=lambda port: natural(str(port.device)))


def adapter_of(name: str) -> str | None:
    """The mark of a port's USB adapter, `VID:PID:SERIAL`; empty where it has none; None for a port of `ports.uart`."""
    if any(real_name(uart) == real_name(name) for uart in get(PORTS_UART, lenient=True) or ()):
        return None
    for info in list_ports.comports():
        if real_name(str(info.device)) == real_name(name) and info.serial_number and info.vid is not None:
            return f"{info.vid:04x}:{info.pid or 0:04x}:{plain(info.serial_number)}"
    return ""
