# SPDX-License-Identifier: MIT
"""Content of a virtual board's flash: a folder of sources, or a file that fills it up."""

from __future__ import annotations

from pathlib import Path

from earlid import filesystem
from earlid.filesystem import SECTOR_BYTES
from earlid.firmware import HOST_ONLY, RECIPES, circuit_path


def firmware_files(folder: Path, recipe: str = RECIPES[0]) -> dict[str, bytes]:
    """What gets copied to the board from a firmware folder: every .py and .mpy file that is not for hosts, by its path there."""
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix in (".py", ".mpy") and "__pycache__" not in path.parts]
    files = {path.relative_to(folder).as_posix(): path for path in paths}
    if recipe != RECIPES[0]:
        files["lid/circuit.py"] = folder / circuit_path(recipe)
    return {name: path.read_bytes() for name, path in files.items() if name not in HOST_ONLY and not name.startswith("circuits/")}


def fill(image: bytes | bytearray, leave_blocks: int = 0) -> bytes:
    """An image filled up with one file, `leave_blocks` blocks left free."""
    fs = filesystem.mount(image)
    room = fs.block_count - fs.used_block_count - leave_blocks
    for blocks in range(room, 0, -1):  # pointers and metadata take some, too: as much as fits
        try:
            with fs.open("filler.bin", "wb") as file:
                file.write(b"\x00" * (blocks * SECTOR_BYTES))
            break
        except filesystem.LittleFSError as error:
            if error.code != filesystem.NO_SPACE:
                raise
    return bytes(fs.context.buffer)
