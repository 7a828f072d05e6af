# SPDX-License-Identifier: MIT
"""Foreign programs: what a chip that is to be written carries, by what it says when it starts and by the image in its flash.

The forms of the logs are those seen in public: ESP-IDF's boot loader and application start, ESPHome's and Tasmota's loggers,
the Arduino core's. Offsets of an image are those of ESP-IDF's "App Image Format".
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from earlid.door import plain

APP_OFFSET = 0x10000  # where ESP-IDF's default partition table and MicroPython's have the application
LOOK_BYTES = 256
_DESCRIPTION_OFFSET = 32  # behind the image's and its first segment's header
_DESCRIPTION_MAGIC = 0xABCD5432
_IMAGE_MAGIC = 0xE9
_NAME_MAX = 40

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


class Found(NamedTuple):
    """What is in a chip's flash.

    Attributes:
        chip, flash_size: as esptool names them, as `ESP32` and `4MB`.
        loader, application: the first LOOK_BYTES of the second-stage boot loader and of the application.
    """

    chip: str
    flash_size: str
    loader: bytes
    application: bytes


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
    magic, version, name = struct.unpack_from("<I12x32s32s", application.ljust(LOOK_BYTES, b"\0"), _DESCRIPTION_OFFSET)
    if magic != _DESCRIPTION_MAGIC:
        return "a program that does not say its name"
    text, number = (part.split(b"\0")[0].decode(errors="replace") for part in (name, version))
    if text == "micropython":
        return "MicroPython"
    if text == "arduino-lib-builder":  # of the core, whatever was built with it
        return "an Arduino program"
    return plain(f"{text} {number}".strip() or "a program without a name", _NAME_MAX)


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
