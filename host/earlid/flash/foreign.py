# SPDX-License-Identifier: MIT
"""Foreign programs: what a chip that is to be written carries, by what it says when it starts and by the image in its flash.

The forms of the logs are those seen in public: ESP-IDF's boot loader and application start, ESPHome's and Tasmota's loggers,
the Arduino core's. Offsets of an image are those of ESP-IDF's "App Image Format".
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import NamedTuple

from earlid.door import plain

APP_OFFSET = 0x10000  # where ESP-IDF's default partition table and MicroPython's have the application
LOOK_BYTES = 256
LOOK_FURTHER_BYTES = 0x10000  # MicroPython's releases leave their name out; their banner stands 25 KB behind the beginning
_DESCRIPTION_OFFSET = 32  # behind the image's and its first segment's header
_DESCRIPTION_MAGIC = 0xABCD5432
_IMAGE_MAGIC = 0xE9
_NAME_MAX = 40
_NAMELESS, _SILENT = "a program without a name", "a program that does not say its name"
_BANNER = re.compile(rb"MicroPython v\d[-\w.]* on \d{4}-\d\d-\d\d")

_LOGS = (  # the first that fits names the program: above are those that are built with what is below
    (r"ESPHome version (\S+)", "ESPHome {}"),
    (r"\[[CDEIVW]\]\[[\w.]+:\d+\]", "ESPHome"),
    (r"Tasmota(?: Version)? v?(\d[\w.]*)", "Tasmota {}"),
    (r"\d\d:\d\d:\d\d(?:\.\d+)?[ -]+(?:CMD|RSL|MQT|WIF|HDW|CFG): ", "Tasmota"),
    (r"MicroPython v?(\d\S*)", "MicroPython {}"),
    (r"\[ *\d+\]\[[EWIDV]\]\[[\w-]+\.(?:cpp|c|h):\d+\]", "an Arduino program"),
    (r"Project name: +(\S+)", "{}, an ESP-IDF program"),
    (r"ESP-IDF v?(\d\S*) 2nd stage bootloader", "a program of ESP-IDF {}"),
    (r"\brst:0x[0-9a-f]+ \(", "a program that does not say its name"),
)


class Flash(NamedTuple):
    """A chip's flash, to be looked at.

    Attributes:
        chip, size: as esptool names them, as `ESP32` and `4MB`.
        size_bytes: the same size.
        loader_offset: where its second-stage boot loader stands.
        read: reads it: offset, bytes.
    """

    chip: str
    size: str
    size_bytes: int
    loader_offset: int
    read: Callable[[int, int], bytes]


class Found(NamedTuple):
    """What is in a chip's flash.

    Attributes:
        chip, flash_size: as esptool names them, as `ESP32` and `4MB`.
        loader, application: the first LOOK_BYTES of the second-stage boot loader and of the application; of an application
            that does not say its name LOOK_FURTHER_BYTES.
    """

    chip: str
    flash_size: str
    loader: bytes
    application: bytes


def look(flash: Flash) -> Found:
    """Look at a chip's boot loader and application."""
    loader, application = (bytes(flash.read(offset, LOOK_BYTES)) for offset in (flash.loader_offset, APP_OFFSET))
    if program_of(application) in (_NAMELESS, _SILENT):
        application = bytes(flash.read(APP_OFFSET, LOOK_FURTHER_BYTES))
    return Found(flash.chip, flash.size, loader, application)


def program_in(log: str) -> str:
    """The program that a text comes from, as far as it tells; empty when it does not."""
    if "invalid header: 0xffffffff" in log:  # an empty chip's boot loader
        return ""
    for pattern, name in _LOGS:
        if match := re.search(pattern, log, re.MULTILINE):
            return name.format(*(plain(group, _NAME_MAX) for group in match.groups()))
    return ""


def program_of(application: bytes) -> str:
    """The program that an application's image names; `MicroPython` for that; empty when there is no such image."""
    if application[:1] != bytes([_IMAGE_MAGIC]):
        return ""
    if _BANNER.search(application):
        return "MicroPython"
    magic, version, name = struct.unpack_from("<I12x32s32s", application.ljust(LOOK_BYTES, b"\0"), _DESCRIPTION_OFFSET)
    if magic != _DESCRIPTION_MAGIC:
        return _SILENT
    text, number = (part.split(b"\0")[0].decode(errors="replace") for part in (name, version))
    if text == "micropython":
        return "MicroPython"
    if text == "arduino-lib-builder":  # of the core, whatever was built with it
        return "an Arduino program"
    return plain(f"{text} {number}".strip() or _NAMELESS, _NAME_MAX)


def overwritten(found: Found, log: str) -> str:
    """What is lost when the chip is written, as a sentence; empty for an empty chip, MicroPython, and so Earlid.

    Args:
        found: what is in its flash.
        log: what was heard from it.
    """
    if set(found.loader) <= {0xFF}:
        return ""
    in_flash = program_of(found.application)
    if in_flash == "MicroPython":
        return ""
    program = program_in(log) or in_flash or "something that is no program of a usual place"
    return f"This {found.chip} with {found.flash_size} of flash carries {program}."
