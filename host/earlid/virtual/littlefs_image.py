# SPDX-License-Identifier: MIT
"""littlefs images: the file system of the board's flash, written and read with the reference implementation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from littlefs import LittleFS, LittleFSError

from earlid.firmware import HOST_ONLY, RECIPES, circuit_path
from earlid.virtual.nor_flash import FLASH_BYTES
from earlid.virtual.protocol import FLASH_BLOCK

NO_SPACE = -28


def _file_system(mount: bool) -> LittleFS:
    # As MicroPython's VfsLfs2 mounts it: read and program sizes 32, caches of 128
    return LittleFS(
        mount=mount,
        block_size=FLASH_BLOCK,
        block_count=FLASH_BYTES // FLASH_BLOCK,
        read_size=32,
        prog_size=32,
        cache_size=128,
        lookahead_size=32,
    )


def mount(image: bytes | bytearray) -> LittleFS:
    """Mount a copy of an image; raises littlefs.LittleFSError when it is no file system."""
    fs = _file_system(mount=False)
    fs.context.buffer[:] = image
    fs.mount()
    return fs


def firmware_files(folder: Path, recipe: str = RECIPES[0]) -> dict[str, bytes]:
    """What gets copied to the board from a firmware folder: every .py and .mpy file that is not for hosts, by its path there."""
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix in (".py", ".mpy") and "__pycache__" not in path.parts]
    files = {path.relative_to(folder).as_posix(): path for path in paths}
    if recipe != RECIPES[0]:
        files["lid/circuit.py"] = folder / circuit_path(recipe)
    return {name: path.read_bytes() for name, path in files.items() if name not in HOST_ONLY and not name.startswith("circuits/")}


def write_files(fs: LittleFS, files: Mapping[str, bytes]) -> None:
    """Write files by their paths, making folders as needed."""
    for name, content in files.items():
        parent = PurePosixPath("/", name).parent
        if str(parent) != "/":
            fs.makedirs(str(parent), exist_ok=True)
        with fs.open(str(PurePosixPath("/", name)), "wb") as file:
            file.write(content)


def build(files: Mapping[str, bytes]) -> bytes:
    """A fresh image with these files in it."""
    fs = _file_system(mount=True)
    write_files(fs, files)
    return bytes(fs.context.buffer)


def amend(image: bytes | bytearray, files: Mapping[str, bytes]) -> bytes:
    """An image with these files written into what it already holds."""
    fs = mount(image)
    write_files(fs, files)
    return bytes(fs.context.buffer)


def read_files(image: bytes | bytearray) -> dict[str, bytes]:
    """Every file of an image, by its path without the leading slash."""
    fs = mount(image)
    files = {}
    for folder, _, names in fs.walk("/"):
        for name in names:
            path = PurePosixPath(folder, name)
            with fs.open(str(path), "rb") as file:
                files[str(path.relative_to("/"))] = file.read()
    return files


def fill(image: bytes | bytearray, leave_blocks: int = 0) -> bytes:
    """An image filled up with one file, `leave_blocks` blocks left free."""
    fs = mount(image)
    room = FLASH_BYTES // FLASH_BLOCK - fs.used_block_count - leave_blocks
    for blocks in range(room, 0, -1):  # pointers and metadata take some, too: as much as fits
        try:
            with fs.open("filler.bin", "wb") as file:
                file.write(b"\x00" * (blocks * FLASH_BLOCK))
            break
        except LittleFSError as error:
            if error.code != NO_SPACE:
                raise
    return bytes(fs.context.buffer)
