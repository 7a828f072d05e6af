# SPDX-License-Identifier: MIT
"""Detects what is connected to a serial port, without resetting it and without a byte that a program takes for Ctrl-C."""

from __future__ import annotations

import errno
import os
import random
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import serial
from lid import config, wire
from lid.wire_schema import Hello, known_fields
from serial.tools.list_ports_common import ListPortInfo

from earlid.board import port_proxy
from earlid.board.framing import LineReader
from earlid.board.port import open_port, port_holder
from earlid.board.port_names import is_url, real_name
from earlid.door import plain
from earlid.errors import UserError

REPLY_TIMEOUT_S = 1.2
RETRY_S = 0.4
PROBES_AT_ONCE = 16
DESCRIPTION_MAX = 60  # characters: a USB device says of itself what it likes
PROMPT = re.compile(rb">>> ?$|raw REPL; CTRL-B to exit\r\n>$")
NO_WORD = {
    "no-memory": "there was no memory for it",
    "model-damaged": "its file is damaged or missing",
    "boot-loop": "the last starts failed",
    "mic-dead": "the microphone's driver does not start",
}
BOOT_LOADER_TEXT = b"waiting for download"
# SYNC of the ROM boot loader in a SLIP frame (esptool's documentation, "Serial Protocol"), and how its reply begins.
SYNC = b"\xc0\x00\x08\x24\x00\x00\x00\x00\x00\x07\x07\x12\x20" + b"\x55" * 32 + b"\xc0"
SYNC_REPLY = b"\xc0\x01\x08"


@dataclass(frozen=True)
class ProbeResult:
    """What `probe` found at a port.

    Attributes:
        port: the device name.
        state: `earlid`, `micropython`, `bootloader`, `busy`, `no-permission`, `gone`, or `silent`.
        description, vid_pid: what the operating system says of the USB device.
        holder: who has a busy port open, as `screen (4711)`.
        hello: the `hi` of an Earlid board, else None.
        console_text: the last bytes received, as text: boot messages, output of other programs.
        error: why the port could not be opened, as a sentence.
    """

    port: str
    state: str
    description: str = ""
    vid_pid: str = ""
    holder: str = ""
    error: str = ""
    console_text: str = ""
    hello: dict[str, Any] | None = None

    @property
    def board(self) -> str:
        """The board's identifier; empty when there is none."""
        return str((self.hello or {}).get("board", ""))

    def as_json(self) -> dict[str, Any]:
        """One entry of `earlid list --json`."""
        hello = self.hello or {}
        fields = {name: value for name, value in asdict(self).items() if name not in ("hello", "console_text", "error")}
        return fields | {
            "board": self.board or None,
            "firmware": hello.get("fw"),
            "lid": hello.get("state"),
            "mute": hello.get("mute"),
            "maintenance": hello.get("maintenance"),
            "calibrated": False if is_uncalibrated(hello) else None,
        }


def no_word_text(hello: Mapping[str, Any]) -> str:
    """Why a board does not listen for its word, as `2,104 bytes found no place`; empty when it does, or does not say."""
    reason, missing = str(hello.get("no_word") or ""), hello.get("missing")
    if reason == "no-memory" and isinstance(missing, int) and missing:
        return f"{missing:,} bytes found no place"
    return NO_WORD.get(reason, reason)


def is_uncalibrated(hello: Mapping[str, Any]) -> bool:
    """Whether a board has all the settings that it came with, and so was never calibrated. False proves nothing: some setting
    was changed, or the board's firmware came with others than this computer's."""
    return hello.get("config") == f"{config.digest(config.defaults()):08x}"


def describe_ports(infos: Iterable[ListPortInfo], only: str | None = None) -> list[dict[str, str]]:
    """The fields `port`, `description` and `vid_pid` of every port, as the operating system has them.

    Args:
        infos: pyserial's list of ports.
        only: leave out all ports but this one, which need not be listed.
    """
    entries = [_describe(info) for info in infos]
    if only is None:
        return entries
    return [entry for entry in entries if real_name(entry["port"]) == real_name(only)] or [
        {"port": only, "description": "", "vid_pid": ""}
    ]


def _describe(info: ListPortInfo) -> dict[str, str]:
    vid_pid = f"{info.vid:04x}:{info.pid:04x}" if info.vid is not None and info.pid is not None else ""
    text = plain(info.description, DESCRIPTION_MAX) if info.description and info.description != "n/a" else ""
    return {"port": str(info.device), "description": text, "vid_pid": vid_pid}


def probe_described(entry: dict[str, str]) -> ProbeResult:
    """Probe one entry of `describe_ports`; a device that is no known USB serial chip is not asked for a boot loader."""
    result = probe(entry["port"], ask_boot_loader=bool(entry["vid_pid"]))
    return replace(result, description=entry["description"], vid_pid=entry["vid_pid"])


def probe_all(entries: Iterable[dict[str, str]]) -> list[ProbeResult]:
    """Probe ports side by side, in the order of the entries."""
    if not (ports := list(entries)):
        return []
    from concurrent.futures import ThreadPoolExecutor  # takes longer to load than many a verb works

    with ThreadPoolExecutor(PROBES_AT_ONCE) as pool:
        return list(pool.map(probe_described, ports))


def probe(
    port: str,
    opener: Callable[[str], serial.Serial] = open_port,
    timeout_s: float = REPLY_TIMEOUT_S,
    ask_boot_loader: bool = True,
) -> ProbeResult:
    """Detect what is connected to one port.

    Args:
        port: the device name.
        opener: opens it without resetting the board; `open_port` outside tests.
        timeout_s: how long to wait for a reply.
        ask_boot_loader: also ask a silent device whether it is a chip in download mode.

    Returns:
        The state and its details; a port that cannot be used is a state too, never an exception.
    """
    try:
        opened = opener(port)
    except UserError as error:
        return _open_failed(port, error)
    try:
        result = _identify(opened, port, timeout_s)
        if result.state == "silent" and ask_boot_loader and _is_boot_loader(opened):
            result = replace(result, state="bootloader")
        return result
    except (serial.SerialException, OSError) as error:
        return ProbeResult(port, "gone", error=f"{port} vanished while it was looked at: {error}")
    finally:
        opened.close()


def hears_earlid(opened: serial.Serial, requests_s: Sequence[float], listen_s: float, stop: Callable[[], bool]) -> bool:
    """Ask who is there and listen: whether an Earlid is heard, if only on a bad line. A device that is none gets few bytes.

    Args:
        opened: the port.
        requests_s: when to ask, in seconds from now, in order.
        listen_s: how long to listen.
        stop: asked all the time whether to end.

    Raises:
        OSError: the port vanished.
    """
    reader = LineReader(wire.HOST_LINE_MAX)
    waiting = list(requests_s)
    begin_s = time.monotonic()
    over = False
    while not over and not stop():
        waited_s = time.monotonic() - begin_s
        over = waited_s >= listen_s
        if waiting and waited_s >= waiting[0]:
            del waiting[0]
            _write(opened, hello_request())
        if reader.feed(opened.read(max(1, min(opened.in_waiting, 4096)))) or reader.bad_lines:
            return True
    return False


def hello_request() -> bytes:
    """A line that asks a board who it is, harmless to any program at a prompt."""
    # A board answers a repeated request number with its earlier reply: two programs must not use the same one.
    number = random.randrange(wire.SEQ_WRAP)
    # To a REPL the frame is a comment; its prompt comes only after a carriage return, which boards skip.
    return bytes(wire.encode(number, {"id": number, "do": "hello"})[:-1]) + b"\r\n"


def _open_failed(port: str, error: UserError) -> ProbeResult:
    cause = error.__cause__
    code = getattr(cause, "errno", None)
    text = str(cause).lower()
    busy = code in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EBUSY) or (os.name == "nt" and "denied" in text)
    reply = port_proxy.request(port, "hello") if busy or is_url(port) else None
    if busy or reply:
        hello = known_fields(reply.get("hi"), Hello) if reply else None
        return ProbeResult(
            port,
            "busy",
            holder=port_holder(port) or "",
            error=str(error),
            hello=hello or None,
        )
    if code in (errno.EACCES, errno.EPERM):
        return ProbeResult(port, "no-permission", error=str(error))
    return ProbeResult(port, "gone", error=str(error))


def _identify(opened: serial.Serial, port: str, timeout_s: float) -> ProbeResult:
    reader = LineReader(wire.HOST_LINE_MAX)
    request = hello_request()
    received = b""
    begin_s = time.monotonic()
    requests = 0
    over = False
    while not over:
        waited_s = time.monotonic() - begin_s
        over = waited_s >= timeout_s  # and one more look: this computer may have been too busy to see the reply
        if not requests or requests * RETRY_S <= waited_s < timeout_s:
            _write(opened, request)
            requests += 1
        data = opened.read(max(1, min(opened.in_waiting, 4096)))
        received = (received + data)[-2000:]
        for _, body in reader.feed(data):
            hello = known_fields(body.get("hi"), Hello)
            if "board" in hello:
                return ProbeResult(port, "earlid", hello=hello)
        if PROMPT.search(received):
            return ProbeResult(port, "micropython", console_text=_text(received))
        if BOOT_LOADER_TEXT in received:
            return ProbeResult(port, "bootloader", console_text=_text(received))
    return ProbeResult(port, "silent", console_text=_text(received))


def _is_boot_loader(opened: serial.Serial) -> bool:
    for _ in range(2):
        _write(opened, SYNC)
        end_s = time.monotonic() + 0.2
        received = b""
        over = False
        while not over:
            over = time.monotonic() >= end_s
            received += opened.read(max(1, min(opened.in_waiting, 4096)))
            if SYNC_REPLY in received:
                return True
    return False


def _write(opened: serial.Serial, data: bytes) -> None:
    try:
        opened.write(data)
    except serial.SerialTimeoutException:
        pass  # nobody reads it: no reply will come


def _text(data: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 or byte == 10 else "" for byte in data)
