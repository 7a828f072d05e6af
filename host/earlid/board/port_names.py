# SPDX-License-Identifier: MIT
"""Port names: which of two are the same port, which port a pattern means, and in what order people expect them."""

from __future__ import annotations

import glob
import os
import re
from fnmatch import fnmatchcase

from serial.tools.list_ports_common import ListPortInfo

URLS = ("socket://", "rfc2217://")


def is_url(name: str) -> bool:
    """Whether a port is reached over a network."""
    return name.lower().startswith(URLS)


def real_name(name: str) -> str:
    """The name under which a port is the same for everybody: links such as those of /dev/serial/by-id are followed."""
    return name if "://" in name else os.path.realpath(name)


def plug_mark(name: str) -> int | None:
    """A number that is another one once a port was unplugged and plugged in again; None while there is none."""
    try:
        return os.stat(name).st_ino
    except OSError:
        return None


def natural(name: str) -> tuple[tuple[str, int], ...]:
    """A key to sort names by: COM10 after COM2."""
    return tuple((text, int(digits or 0)) for text, digits in re.findall(r"(\D*)(\d*)", name))


def is_meant(port: ListPortInfo, pattern: str) -> bool:
    """Whether a pattern of the configuration means a port.

    Args:
        pattern: of its name or of a link to it (`/dev/ttyACM*`, `/dev/serial/by-id/*Espressif*`, `COM7`), its `VID:PID`, or its
            USB serial number; letters' case does not count.
    """
    usb = f"{port.vid:04x}:{port.pid:04x}" if port.vid is not None and port.pid is not None else ""
    words = [str(port.device), usb, str(port.serial_number or "")]
    if any(word and fnmatchcase(word.lower(), pattern.lower()) for word in words):
        return True
    return os.path.isabs(pattern) and real_name(str(port.device)) in map(real_name, glob.glob(pattern))
