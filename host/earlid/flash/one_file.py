# SPDX-License-Identifier: MIT
"""The one file: MicroPython and a file system with Earlid on it, as bytes of a whole flash, for any flasher to write at offset 0.

MicroPython's release stands in it as it is published, with its own partition table; the file system stands where that
MicroPython looks for it. All else is erased flash. The same inputs give the same bytes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from earlid import filesystem
from earlid.errors import FAILED, USAGE, UserError
from earlid.flash import image, partitions
from earlid.flash.image import MicroPythonImage
from earlid.flash.partitions import FLASH_BYTES, Partition

SCHEMA = 1
BOARDS = ("esp32",)
ESP32_CHIP_ID = 0
RELEASE_OFFSET = 0x1000  # where the boot loader of a plain ESP32 is, and so MicroPython's .bin goes
ERASED = b"\xff"
_BANNER = re.compile(rb"MicroPython v(\d+)\.(\d+)(?:\.(\d+))?[-\w.]* on \d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Layout:
    """Where everything is in a flash that a MicroPython release was written to.

    Attributes:
        version: MicroPython's, as its program says it: `1.26.1`.
        partitions: by offset, the file system's among them.
        file_system: the file system's.
        larger_flash: whether a chip with more flash looks for its file system in the same place.
    """

    version: str
    partitions: tuple[Partition, ...]
    file_system: Partition
    larger_flash: bool


@dataclass(frozen=True)
class Inspection:
    """What a one file holds: its layout, its files by path, and the bytes of its file system as they stand in the flash."""

    layout: Layout
    files: dict[str, bytes]
    file_system: bytes


def micropython_version(data: bytes) -> tuple[int, ...]:
    """The release that a program's banner names, as (1, 26, 1); empty when there is none."""
    match = _BANNER.search(data)
    return tuple(int(part or 0) for part in match.groups()) if match else ()


def layout(micropython: MicroPythonImage, flash_bytes: int = FLASH_BYTES) -> Layout:
    """Where a MicroPython release has what, in a flash of this size.

    Raises:
        UserError: code 2 when the release is for another chip, or cannot be understood.
    """
    if micropython.chip_id != ESP32_CHIP_ID:
        raise UserError(
            f"{micropython.name} is for another chip than the plain ESP32: take the .bin file of ESP32_GENERIC "
            "from micropython.org/download/ESP32_GENERIC.", USAGE,
        )  # fmt: skip
    try:
        found = _layout(micropython.data, flash_bytes)
        if RELEASE_OFFSET + len(micropython.data) > found.file_system.offset:
            raise ValueError("is longer than the room before its file system")
        return found
    except ValueError as error:
        raise UserError(
            f"{micropython.name} cannot be made into one file: it {error}. Take the .bin file of ESP32_GENERIC "
            "from micropython.org/download/ESP32_GENERIC.", USAGE,
        ) from error  # fmt: skip


def _layout(release: bytes, flash_bytes: int) -> Layout:
    rows = _rows(release)
    app = next(row for row in rows if row.is_app)
    begin = app.offset - RELEASE_OFFSET
    if release[begin : begin + 1] != bytes([image.MAGIC]):
        raise ValueError(f"has no program in its partition `{app.label}`")
    version = micropython_version(release[begin : app.end - RELEASE_OFFSET])
    if not version:
        raise ValueError(f"has another program than MicroPython in its partition `{app.label}`")
    _check_program(release[:begin], "boot loader")
    _check_program(release[begin : app.end - RELEASE_OFFSET], "program")
    place = partitions.file_system(rows, version, flash_bytes)
    every = sorted({*rows, place}, key=lambda row: row.offset)
    return Layout(".".join(map(str, version)), tuple(every), place, place in rows)


def _rows(release: bytes) -> tuple[Partition, ...]:
    return partitions.parse(release[partitions.TABLE_OFFSET - RELEASE_OFFSET :][: partitions.TABLE_BYTES])


def _check_program(data: bytes, what: str) -> None:
    # An ESP image carries a checksum, and a SHA-256 over itself.
    from esptool.bin_image import LoadFirmwareImage

    try:
        found = LoadFirmwareImage("esp32", data)
        whole = found.checksum == found.calculate_checksum() and (found.stored_digest or b"") == (found.calc_digest or b"")
    except Exception as error:  # whatever esptool makes of foreign bytes
        raise ValueError(f"has a damaged {what}") from error
    if not whole:
        raise ValueError(f"has a damaged {what} (its checksum does not fit)")


def make(micropython: MicroPythonImage, files: Mapping[str, bytes], flash_bytes: int = FLASH_BYTES) -> bytes:
    """The one file.

    Args:
        micropython: as `image.load` gives it.
        files: of the file system by their paths, as `content.files` gives them.
        flash_bytes: the size of the chip's flash.

    Returns:
        The flash from offset 0 to the end of the file system. Nothing is cut off, so that nothing old is left behind it.

    Raises:
        UserError: code 2 when the release cannot be understood or is for another chip, code 1 when the files do not fit.
    """
    place = layout(micropython, flash_bytes).file_system
    data = bytearray(ERASED * place.end)
    data[RELEASE_OFFSET : RELEASE_OFFSET + len(micropython.data)] = micropython.data
    try:
        data[place.offset :] = filesystem.build(files, place.size_bytes)
    except filesystem.LittleFSError as error:
        if error.code != filesystem.NO_SPACE:
            raise
        needed_kb = sum(map(len, files.values())) // 1024
        raise UserError(
            f"the files ({needed_kb} KB) do not fit the {place.size_bytes // 1024} KB that {micropython.name} leaves for them.",
            FAILED,
        ) from error
    return bytes(data)


def manifest(
    name: str,
    data: bytes,
    micropython: MicroPythonImage,
    files: Mapping[str, bytes],
    *,
    recipe: str,
    word: str | None,
    flash_bytes: int = FLASH_BYTES,
    board: str = BOARDS[0],
) -> dict[str, Any]:
    """What the .json beside a one file says.

    Args:
        name: the one file's.
        data: its bytes.
        micropython, files, flash_bytes: what it was made of.
        recipe: of the copper, one of `firmware.RECIPES`.
        word: the word's name, or None.
        board: one of `BOARDS`.
    """
    found = layout(micropython, flash_bytes)
    release_hash = _hash(micropython.data)
    return {
        "schema": SCHEMA,
        "earlid": metadata.version("earlid"),
        "image": {"name": name, "bytes": len(data), "sha256": _hash(data)},
        "micropython": {
            "name": image.PINNED.name if release_hash == image.PINNED.sha256 else micropython.name,
            "version": found.version,
            "bytes": len(micropython.data),
            "sha256": release_hash,
        },
        "littlefs": metadata.version("littlefs-python"),  # which may lay the same files out otherwise in another version
        "board": board,
        "flash_bytes": flash_bytes,
        "larger_flash": found.larger_flash,
        "recipe": recipe,
        "word": word,
        "partitions": _partitions(found.partitions),
        "files": _files(files),
    }


def _partitions(rows: tuple[Partition, ...]) -> list[dict[str, Any]]:
    return [{"label": row.label, "offset": row.offset, "bytes": row.size_bytes} for row in rows]


def _files(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    return [{"path": path, "bytes": len(data), "sha256": _hash(data)} for path, data in sorted(files.items())]


def inspect(data: bytes, name: str = "this file", flash_bytes: int | None = None) -> Inspection:
    """What a one file holds.

    Args:
        data: its bytes.
        name: what to call it in an error.
        flash_bytes: the size of the flash that it is for; None for the least of which it is not longer.

    Raises:
        UserError: code 2 when it is none, code 1 when it is one that was cut or damaged.
    """
    if not data or data[:RELEASE_OFFSET].strip(ERASED) or data[RELEASE_OFFSET : RELEASE_OFFSET + 1] != bytes([image.MAGIC]):
        what = "MicroPython alone, or another image for offset 0x1000" if data[:1] == bytes([image.MAGIC]) else "something else"
        raise UserError(f"{name} is no file of `earlid image`, but {what}.", USAGE)
    if flash_bytes is None:
        flash_bytes = FLASH_BYTES
        while flash_bytes < len(data):
            flash_bytes *= 2
    release = data[RELEASE_OFFSET:]
    try:
        if len(data) <= partitions.TABLE_OFFSET or len(data) < max(row.end for row in _rows(release)):
            raise _cut_off(data, name)
        found = _layout(release, flash_bytes)
    except ValueError as error:
        raise UserError(f"{name} is damaged: it {error}. Make it anew with `earlid image`.", FAILED) from error
    place = found.file_system
    if len(data) < place.end:
        raise _cut_off(data, name)
    vfs = data[place.offset : place.end]
    try:
        return Inspection(found, filesystem.read_files(vfs), vfs)
    except filesystem.LittleFSError as error:
        raise UserError(
            f"{name} is damaged: its file system cannot be read. Make it anew with `earlid image`.", FAILED
        ) from error


def describe(name: str, data: bytes, found: Inspection) -> dict[str, Any]:
    """What a one file holds, in the manifest's words."""
    return {
        "schema": SCHEMA,
        "image": {"name": name, "bytes": len(data), "sha256": _hash(data)},
        "micropython": {"version": found.layout.version},
        "partitions": _partitions(found.layout.partitions),
        "files": _files(found.files),
    }


def differences(data: bytes, found: Inspection, told: Any) -> list[str]:
    """In what a one file is not as its manifest says, a sentence each; empty when it is.

    Args:
        data: its bytes.
        found: what `inspect` saw in them.
        told: the manifest, as it was read: anything.
    """
    try:
        image_told, release = told["image"], told["micropython"]
        if told["schema"] != SCHEMA:
            return ["the manifest is of another version of Earlid"]
        wrong = []
        if image_told["bytes"] != len(data):
            wrong.append(f"it has {len(data):,} bytes, not {image_told['bytes']:,}")
        if _hash(data[RELEASE_OFFSET : RELEASE_OFFSET + release["bytes"]]) != release["sha256"]:
            wrong.append(f"the MicroPython in it is not {release['name']}")
        if _partitions(found.layout.partitions) != told["partitions"]:
            wrong.append("the partitions are others")
        wrong += _file_differences(found.files, {row["path"]: row["sha256"] for row in told["files"]})
        if not wrong and _hash(data) != image_told["sha256"]:
            wrong.append("bytes outside of MicroPython and of the files differ")
    except (KeyError, TypeError, ValueError):
        return ["the manifest is none of a one file"]
    return wrong


def _file_differences(files: Mapping[str, bytes], told: Mapping[str, str]) -> list[str]:
    wrong = []
    for path in sorted({*files, *told}):
        if path not in told:
            wrong.append(f"{path} is not in the manifest")
        elif path not in files:
            wrong.append(f"{path} is missing")
        elif _hash(files[path]) != told[path]:
            wrong.append(f"{path} has another content")
    return wrong


def _cut_off(data: bytes, name: str) -> UserError:
    return UserError(
        f"{name} was cut off: it has {len(data):,} bytes, which is not all of it. Make it anew with `earlid image`, or download "
        "it again.", FAILED,
    )  # fmt: skip


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
