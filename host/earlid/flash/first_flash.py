# SPDX-License-Identifier: MIT
"""First flash: whether a chip's file system holds nothing that must be kept, so that it may be given the one file."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from littlefs import LittleFS, LittleFSError
from littlefs.context import UserContext

from earlid.filesystem import SECTOR_BYTES
from earlid.flash import partitions
from earlid.flash.partitions import Partition

Read = Callable[[int, int], bytes]
"""Reads a chip's flash: offset, bytes."""

BARE = frozenset({"boot.py"})  # what MicroPython itself makes in an empty file system
OWN = ("identity", "journal", "baseline", "config.", "active", "starts", "lid-", "model-")  # how names of Earlid's files begin


class _ChipBlocks(UserContext):
    """Blocks of a partition, read from the chip when littlefs asks for them. What goes wrong is kept: littlefs hides it."""

    def __init__(self, read: Read, offset: int) -> None:
        super().__init__(buffsize=0)
        self._read, self._offset = read, offset
        self._blocks: dict[int, bytes] = {}
        self.error: Exception | None = None

    def read(self, cfg: object, block: int, off: int, size: int) -> bytearray:
        try:
            if self.error is None and block not in self._blocks:
                self._blocks[block] = self._read(self._offset + block * SECTOR_BYTES, SECTOR_BYTES)
        except Exception as error:
            self.error = error
        return bytearray(self._blocks.get(block, bytes(SECTOR_BYTES))[off : off + size])


def places(own_table: bytes, release: Partition, flash_bytes: int) -> tuple[Partition, ...]:
    """Where a chip may have a file system: where the release that is to be written has it, and where its own table has it.

    Args:
        own_table: what stands in the flash at `partitions.TABLE_OFFSET`.
        release: the file system's place by the release.
        flash_bytes: the size of the chip's flash.
    """
    try:
        rows = partitions.parse(own_table)
        own = partitions.file_system(rows, partitions.OWN_FILE_SYSTEM_SINCE, flash_bytes)
    except partitions.TableError:
        return (release,)
    return (release,) if own.offset == release.offset else (release, own)


def holds_nothing(read: Read, where: Iterable[Partition], *, foreign: bool) -> bool:
    """Whether nothing is lost when a chip is given the one file. In doubt it is not so.

    Args:
        read: reads its flash; what it raises is raised here.
        where: as `places` gives it.
        foreign: its program is another project's, which may be overwritten: only files of Earlid's count then.
    """
    return all(_is_free(read, place.offset, foreign) for place in where)


def _is_free(read: Read, offset: int, foreign: bool) -> bool:
    if not read(offset, 2 * SECTOR_BYTES).strip(b"\xff"):
        return True  # MicroPython would make an empty file system of it
    names = _root_names(read, offset)
    if names is None:
        return foreign
    return not any(name.startswith(OWN) for name in names) if foreign else names <= BARE


def _root_names(read: Read, offset: int) -> frozenset[str] | None:
    """The names in the root of a littlefs; None when there is none."""
    blocks = _ChipBlocks(read, offset)
    try:
        fs = LittleFS(context=blocks, mount=False, block_size=SECTOR_BYTES, block_count=0)  # as many as it says itself
        fs.mount()
        names = frozenset(fs.listdir("/"))
    except LittleFSError:
        names = None
    if blocks.error:
        raise blocks.error
    return names
