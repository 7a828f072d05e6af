# SPDX-License-Identifier: MIT
"""Partition table of an ESP32's flash, in ESP-IDF's binary format: read, checked, and where MicroPython has its file system.

The format is that of ESP-IDF's documentation, "Partition Tables": entries of 32 bytes, an MD5 over them, then erased flash.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from earlid.door import plain
from earlid.filesystem import SECTOR_BYTES

TABLE_OFFSET = 0x8000
TABLE_BYTES = 0xC00
FLASH_BYTES = 4 << 20  # of the modules that Earlid is for
FILE_SYSTEM = "vfs"
# Where the table has no row for it, MicroPython takes all that is free behind the last one, from this release on
# (micropython/micropython, pull request 17337).
OWN_FILE_SYSTEM_SINCE = (1, 26, 0)
_APP, _DATA = 0, 1
_ENTRY = struct.Struct("<2sBBII16sI")
_ENTRY_MAGIC, _MD5_MAGIC = b"\xaa\x50", b"\xeb\xeb"
_APP_ALIGNMENT = 0x10000


class TableError(ValueError):
    """The table is no table, or one that a boot loader would refuse; its text is what a sentence goes on with after "it"."""


@dataclass(frozen=True)
class Partition:
    """A row of the table: offset and size in bytes of the whole flash."""

    label: str
    kind: int
    subtype: int
    offset: int
    size_bytes: int

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.offset + self.size_bytes

    @property
    def is_app(self) -> bool:
        """Whether it is for a program."""
        return self.kind == _APP


def parse(table: bytes) -> tuple[Partition, ...]:
    """The rows of a table, in its order.

    Args:
        table: what stands in the flash at `TABLE_OFFSET`.

    Raises:
        TableError: when there is none, its MD5 is missing or wrong, or its rows overlap or stand where none may.
    """
    rows: list[Partition] = []
    for at in range(0, min(len(table), TABLE_BYTES) - _ENTRY.size + 1, _ENTRY.size):
        magic, kind, subtype, offset, size_bytes, label, _ = _ENTRY.unpack_from(table, at)
        if magic == _MD5_MAGIC:
            if table[at + 16 : at + 32] != hashlib.md5(table[:at], usedforsecurity=False).digest():
                raise TableError("has a damaged partition table (its MD5 does not fit)")
            break
        if magic != _ENTRY_MAGIC:
            raise TableError("has no partition table" if not rows else "has a partition table without its MD5")
        name = plain(label.split(b"\0")[0].decode("ascii", "backslashreplace"))
        rows.append(Partition(name, kind, subtype, offset, size_bytes))
    else:
        raise TableError("has a partition table without an end")
    _check(rows)
    return tuple(rows)


def _check(rows: list[Partition]) -> None:
    end, last = TABLE_OFFSET + SECTOR_BYTES, "the table itself"
    for row in sorted(rows, key=lambda row: row.offset):
        if row.offset % (_APP_ALIGNMENT if row.is_app else SECTOR_BYTES) or not row.size_bytes:
            raise TableError(f"has a partition `{row.label}` at {row.offset:#x}, where none can be")
        if row.offset < end:
            raise TableError(f"has partitions that overlap: {last} and `{row.label}`")
        end, last = row.end, f"`{row.label}`"
    if len({row.label for row in rows}) != len(rows):
        raise TableError("has two partitions of one label")
    if not any(row.is_app for row in rows):
        raise TableError("has no partition for a program")


def file_system(rows: tuple[Partition, ...], version: tuple[int, ...], flash_bytes: int) -> Partition:
    """Where a MicroPython has its file system.

    Args:
        rows: as `parse` gives them.
        version: the release, as (1, 26, 1).
        flash_bytes: the size of the chip's flash.

    Raises:
        TableError: when it has none there, or the flash ends before it does.
    """
    found = next((row for row in rows if row.label == FILE_SYSTEM), None)
    end = max(row.end for row in rows)
    if found is None:
        if version < OWN_FILE_SYSTEM_SINCE:
            release = ".".join(map(str, version))
            raise TableError(f"has no partition `{FILE_SYSTEM}`, and MicroPython {release} makes none: it has no file system")
        found = Partition(FILE_SYSTEM, _DATA, 0x81, end, flash_bytes - end)
    elif found.kind != _DATA or found.size_bytes % SECTOR_BYTES:
        raise TableError(f"has a partition `{FILE_SYSTEM}` that cannot hold files")
    if end > flash_bytes or found.size_bytes <= 0:
        raise TableError(f"needs more flash than {flash_bytes >> 20} MB: its partitions end at {end:#x}")
    return found
