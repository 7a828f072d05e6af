# SPDX-License-Identifier: MIT
"""littlefs, as MicroPython has it on an ESP32's flash: images written and read with the reference implementation."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import PurePosixPath

from littlefs import LittleFS
from littlefs import LittleFSError as LittleFSError

SECTOR_BYTES = 4096
NO_SPACE = -28


def _make(block_count: int, mount: bool) -> LittleFS:
    # As MicroPython's VfsLfs2 mounts it: read and program sizes 32, caches of 128
    return LittleFS(
        mount=mount,
        block_size=SECTOR_BYTES,
        block_count=block_count,
        read_size=32,
        prog_size=32,
        cache_size=128,
        lookahead_size=32,
    )


def mount(image: bytes | bytearray) -> LittleFS:
    """Mount a copy of an image; raises littlefs.LittleFSError when it is no file system, or one of another size."""
    fs = _make(len(image) // SECTOR_BYTES, mount=False)
    fs.context.buffer[:] = image
    fs.mount()
    return fs


def write_files(fs: LittleFS, files: Mapping[str, bytes]) -> None:
    """Write files by their paths, in the order of these, making folders as needed."""
    for name in sorted(files):
        parent = PurePosixPath("/", name).parent
        if str(parent) != "/":
            fs.makedirs(str(parent), exist_ok=True)
        with fs.open(str(PurePosixPath("/", name)), "wb") as file:
            file.write(files[name])


def build(files: Mapping[str, bytes], size_bytes: int) -> bytes:
    """A fresh image of so many bytes with these files in it: the same files, the same bytes.

    Raises:
        littlefs.LittleFSError: `NO_SPACE` when they do not fit.
    """
    return _build(tuple(sorted(files.items())), size_bytes)


@functools.lru_cache(maxsize=4)  # many virtual boards start with the same files
def _build(files: tuple[tuple[str, bytes], ...], size_bytes: int) -> bytes:
    fs = _make(size_bytes // SECTOR_BYTES, mount=True)
    write_files(fs, dict(files))
    return bytes(fs.context.buffer)


def amend(image: bytes | bytearray, files: Mapping[str, bytes]) -> bytes:
    """An image with these files written into what it already holds."""
    fs = mount(image)
    write_files(fs, files)
    return bytes(fs.context.buffer)


def read_files(image: bytes | bytearray) -> dict[str, bytes]:
    """Every file of an image, by its path with the leading slash.

    Raises:
        littlefs.LittleFSError: when it is no file system, or is damaged.
    """
    fs = mount(image)
    files = {}
    for folder, _, names in fs.walk("/"):
        for name in names:
            path = str(PurePosixPath(folder, name))
            with fs.open(path, "rb") as file:
                files[path] = file.read()
    return files
