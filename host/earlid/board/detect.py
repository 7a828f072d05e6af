# SPDX-License-Identifier: MIT
"""Says what stands at a serial port without resetting it, and without a byte that a program would take for Ctrl-C."""

from __future__ import annotations

import errno
import os
import random
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import serial
from lid import wire
from serial.tools.list_ports_common import ListPortInfo

from earlid.board import port_proxy
from earlid.board.framing import LineReader
from earlid.board.port import open_port, port_holder
from earlid.errors import UserError

ANSWER_S = 1.2
ASK_AGAIN_S = 0.4
PROMPT = re.compile(rb">>> ?$|raw REPL; CTRL-B to exit\r\n>$")
DOWNLOAD_TEXT = b"waiting for download"
# SYNC of the ROM boot loader in a SLIP frame (esptool's documentation, "Serial Protocol"), and how its answer begins.
SYNC = b"\xc0\x00\x08\x24\x00\x00\x00\x00\x00\x07\x07\x12\x20" + b"\x55" * 32 + b"\xc0"
SYNC_ANSWER = b"\xc0\x01\x08"


@dataclass(frozen=True)
class Sighting:
    """What was seen at a port.

    Attributes:
        port: the device name.
        state: `earlid`, `micropython`, `bootloader`, `busy`, `no-permission`, `gone`, or `silent`.
        description, vid_pid: what the operating system says of the USB device.
        holder: who has a busy port open, as `screen (4711)`.
        hello: an Earlid board's own words (`hi` in the protocol), else empty.
        heard: the last bytes that were no frames, as text: boot messages, other programs.
        why: the error's sentence where the port could not be opened.
    """

    port: str
    state: str
    description: str = ""
    vid_pid: str = ""
    holder: str = ""
    why: str = ""
    heard: str = ""
    hello: dict[str, Any] | None = None

    @property
    def board(self) -> str:
        """The board's identifier, or nothing."""
        return str((self.hello or {}).get("board", ""))

    def as_json(self) -> dict[str, Any]:
        """What `earlid list --json` prints of it."""
        hello = self.hello or {}
        shown = {name: value for name, value in asdict(self).items() if name not in ("hello", "heard", "why")}
        return shown | {
            "board": self.board or None,
            "firmware": hello.get("fw"),
            "lid": hello.get("state"),
            "mute": hello.get("mute"),
            "maintenance": hello.get("maintenance"),
        }


def describe(info: ListPortInfo) -> dict[str, str]:
    """The fields of a `Sighting` that come from the operating system."""
    vid_pid = f"{info.vid:04x}:{info.pid:04x}" if info.vid is not None and info.pid is not None else ""
    text = info.description if info.description and info.description != "n/a" else ""
    return {"port": str(info.device), "description": text, "vid_pid": vid_pid}


def probe(
    port: str,
    opener: Callable[[str], serial.Serial] = open_port,
    answer_s: float = ANSWER_S,
    ask_boot_loader: bool = True,
) -> Sighting:
    """Look at one port.

    Args:
        port: the device name.
        opener: opens it without resetting the board; `open_port` outside tests.
        answer_s: seconds to wait for an answer.
        ask_boot_loader: also ask a silent device whether it is a chip in download mode.

    Returns:
        What was seen; never an exception for a port that cannot be used.
    """
    try:
        opened = opener(port)
    except UserError as error:
        return _not_opened(port, error)
    try:
        seen = _listen(opened, port, answer_s)
        if seen.state == "silent" and ask_boot_loader and _in_boot_loader(opened):
            seen = replace(seen, state="bootloader")
        return seen
    except (serial.SerialException, OSError) as error:
        return Sighting(port, "gone", why=f"{port} vanished while it was looked at: {error}")
    finally:
        opened.close()


def _not_opened(port: str, error: UserError) -> Sighting:
    cause = error.__cause__
    code = getattr(cause, "errno", None)
    text = str(cause).lower()
    if code in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EBUSY) or (os.name == "nt" and "denied" in text):
        answer = port_proxy.ask(port, "hello")
        hello = answer.get("hi") if answer else None
        return Sighting(
            port,
            "busy",
            holder=port_holder(port) or "",
            why=str(error),
            hello=hello if isinstance(hello, dict) else None,
        )
    if code in (errno.EACCES, errno.EPERM):
        return Sighting(port, "no-permission", why=str(error))
    return Sighting(port, "gone", why=str(error))


def _listen(opened: serial.Serial, port: str, answer_s: float) -> Sighting:
    reader = LineReader(wire.HOST_LINE_MAX)
    # A board answers a number that comes again with the reply it gave before: two programs must not ask with the same.
    number = random.randrange(wire.SEQ_WRAP)
    # To a REPL the frame is a comment; its prompt comes only after a carriage return, which boards skip.
    question = wire.encode(number, {"id": number, "do": "hello"})[:-1] + b"\r\n"
    heard = b""
    begin_s = time.monotonic()
    asked = 0
    over = False
    while not over:
        waited_s = time.monotonic() - begin_s
        over = waited_s >= answer_s  # and one more look: this computer may have been too busy for the answer
        if not asked or asked * ASK_AGAIN_S <= waited_s < answer_s:
            _write(opened, question)
            asked += 1
        data = opened.read(max(1, min(opened.in_waiting, 4096)))
        heard = (heard + data)[-2000:]
        for _, body in reader.feed(data):
            hello = body.get("hi")
            if isinstance(hello, dict) and "board" in hello:
                return Sighting(port, "earlid", hello=hello)
        if PROMPT.search(heard):
            return Sighting(port, "micropython", heard=_text(heard))
        if DOWNLOAD_TEXT in heard:
            return Sighting(port, "bootloader", heard=_text(heard))
    return Sighting(port, "silent", heard=_text(heard))


def _in_boot_loader(opened: serial.Serial) -> bool:
    for _ in range(2):
        _write(opened, SYNC)
        end_s = time.monotonic() + 0.2
        heard = b""
        over = False
        while not over:
            over = time.monotonic() >= end_s
            heard += opened.read(max(1, min(opened.in_waiting, 4096)))
            if SYNC_ANSWER in heard:
                return True
    return False


def _write(opened: serial.Serial, data: bytes) -> None:
    try:
        opened.write(data)
    except serial.SerialTimeoutException:
        pass  # nobody takes it: the silence will tell


def _text(heard: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 or byte == 10 else "" for byte in heard)
