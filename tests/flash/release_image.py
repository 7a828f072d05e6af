# SPDX-License-Identifier: MIT
"""A made-up MicroPython release for tests: small programs with true checksums behind a true partition table.

Its layout and its names are those of the published .bin files; no part of MicroPython is in it.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable

from earlid.flash import image
from earlid.flash.image import MicroPythonImage

TABLE_AT, APP_AT = 0x7000, 0xF000  # in the .bin, which goes to 0x1000
Row = tuple[str, int, int, int, int]  # label, type, subtype, offset, bytes
ROWS: tuple[Row, ...] = (
    ("nvs", 1, 2, 0x9000, 0x6000), ("phy_init", 1, 1, 0xF000, 0x1000), ("factory", 0, 0, 0x10000, 0x1F0000),
)  # fmt: skip
VFS_ROW: Row = ("vfs", 1, 0x81, 0x200000, 0x200000)


def esp_image(text: bytes, chip_id: int = 0) -> bytes:
    """An ESP image of one segment that holds a text, with its checksum and its SHA-256."""
    body = text.ljust(-len(text) % 4 + len(text), b"\0")
    data = struct.pack("<BBBBI", image.MAGIC, 1, 2, 0x20, 0x40080000) + struct.pack("<B3xHB8xB", 0xEE, chip_id, 0, 1)
    data += struct.pack("<II", 0x3F400020, len(body)) + body
    checksum = 0xEF
    for byte in body:
        checksum ^= byte
    data += bytes(15 - len(data) % 16) + bytes([checksum])
    return data + hashlib.sha256(data).digest()


def table(rows: Iterable[Row], *, with_md5: bool = True) -> bytes:
    """A partition table as it stands in flash."""
    data = b"".join(
        struct.pack("<2sBBII16sI", b"\xaa\x50", kind, subtype, offset, size, label.encode(), 0)
        for label, kind, subtype, offset, size in rows
    )
    if with_md5:
        data += b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(data).digest()
    return data.ljust(0xC00, b"\xff")


def release(
    version: str = "1.26.1", rows: Iterable[Row] = ROWS, *, chip_id: int = 0, partition_table: bytes | None = None,
    app_bytes: int = 20_000,
) -> MicroPythonImage:  # fmt: skip
    """The release's image, as `image.load` would give it."""
    banner = f"MicroPython v{version} on 2025-09-11; Generic ESP32 module with ESP32".encode()
    filling = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(app_bytes // 32))  # does not compress
    data = esp_image(b"boot loader", chip_id).ljust(TABLE_AT, b"\xff")
    data += (table(rows) if partition_table is None else partition_table).ljust(APP_AT - TABLE_AT, b"\xff")
    data += esp_image(banner + b"\0" + filling, chip_id)
    return image.check(data, f"ESP32_GENERIC-20250911-v{version}.bin")
