# SPDX-License-Identifier: MIT
"""MicroPython image for a bare board: pinned, downloaded once, checked by its SHA-256, kept in the user's cache."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from earlid.config_file import cache_folder
from earlid.errors import FAILED, USAGE, UserError
from earlid.files import read_bytes, write_atomically

DOWNLOAD_URL = "https://micropython.org/resources/firmware/"
TIMEOUT_S = 20
MAGIC = 0xE9  # first byte of an ESP image (esptool's documentation, "Firmware Image Format")
CHIP_ID_AT = 12  # 16 bits: 0 is the plain ESP32
HEADER_BYTES = 24
IMAGE_MAX_BYTES = 16 << 20  # the largest flash of an ESP32 module


@dataclass(frozen=True)
class Release:
    """A published image: its file name, its size and what its bytes must hash to."""

    name: str
    size_bytes: int
    sha256: str


# MicroPython publishes no hashes. This one is of a copy that an unrelated public repository keeps, not of the site's
# own file; the checksums and hashes inside it (of the boot loader and of the application) are right.
PINNED = Release(
    "ESP32_GENERIC-20250911-v1.26.1.bin",
    1734416,
    "6b5272b6edd15fc4d1627ec559a27a5d5a7b86e5ea7f8013941eb10c877edd4e",
)


@dataclass(frozen=True)
class MicroPythonImage:
    """A checked MicroPython image: its file name, its bytes, and the chip it is for (esptool's IMAGE_CHIP_ID)."""

    name: str
    data: bytes
    chip_id: int


def load(path: str | None, report: Callable[[int, int], None] = lambda done, total: None) -> MicroPythonImage:
    """Load the image to write.

    Args:
        path: a file the user named, or None for the pinned release, from the cache or from micropython.org.
        report: called with (bytes downloaded, bytes in all).

    Raises:
        UserError: code 2 when the file is no image, code 1 when it cannot be had or is not what was pinned.
    """
    if path:
        return check(read_bytes(Path(path), IMAGE_MAX_BYTES), Path(path).name)
    return _pinned(report)


def check(data: bytes, name: str) -> MicroPythonImage:
    """Check that an ESP boot loader would start this image.

    Raises:
        UserError: code 2, saying what the file should be.
    """
    if len(data) < HEADER_BYTES or data[0] != MAGIC:
        raise UserError(
            f"{name} is no ESP32 image (it does not begin with 0xE9): take the .bin file of ESP32_GENERIC "
            "from micropython.org/download/ESP32_GENERIC.", USAGE,
        )  # fmt: skip
    return MicroPythonImage(name, data, struct.unpack_from("<H", data, CHIP_ID_AT)[0])


def cached() -> MicroPythonImage | None:
    """The pinned release, if this computer has it whole: nothing is downloaded."""
    path = cache_folder() / PINNED.name
    data = path.read_bytes() if path.is_file() else b""
    return check(data, PINNED.name) if hashlib.sha256(data).hexdigest() == PINNED.sha256 else None


def _pinned(report: Callable[[int, int], None]) -> MicroPythonImage:
    if found := cached():
        return found
    data = _download(DOWNLOAD_URL + PINNED.name, report)
    digest = hashlib.sha256(data).hexdigest()
    if digest != PINNED.sha256:
        raise UserError(
            f"the {PINNED.name} that was downloaded is not the one Earlid was tested with (SHA-256 {digest[:16]}..., "
            f"expected {PINNED.sha256[:16]}...). Nothing was written. Try again on another network, "
            "or name a file you trust with --image FILE.", FAILED,
        )  # fmt: skip
    write_atomically(
        cache_folder() / PINNED.name, data, make_folder=True, next_step="Set EARLID_CACHE to a folder that can be written."
    )
    return check(data, PINNED.name)


def _download(url: str, report: Callable[[int, int], None]) -> bytes:
    import urllib.error  # loaded for few: most boards have MicroPython, or the image is kept
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:
            return _read_all(response, PINNED.size_bytes, report)
    except urllib.error.HTTPError as error:
        cause = f"the server answered {error.code}"
    except (urllib.error.URLError, OSError, TimeoutError) as error:
        cause = f"no connection ({getattr(error, 'reason', error)})"
    raise UserError(
        f"cannot download {url}: {cause}. Fetch it on a computer that is online and name it: "
        f"--image {PINNED.name}", FAILED,
    )  # fmt: skip


def _read_all(response: IO[bytes], size_bytes: int, report: Callable[[int, int], None]) -> bytes:
    # A little more than expected is read, never without end.
    parts: list[bytes] = []
    done = 0
    while done <= size_bytes and (part := response.read(65536)):
        parts.append(part)
        done += len(part)
        report(done, size_bytes)
    return b"".join(parts)
