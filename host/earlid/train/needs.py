# SPDX-License-Identifier: MIT
"""What a training needs of a computer, and what this one has."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Literal, NamedTuple

from earlid.errors import FAILED, UserError
from earlid.files import read_bytes

GB = 1_000_000_000
_MEMINFO_BYTES = 1 << 16


class Needs(NamedTuple):
    """Room on the disk, memory, and minutes on two cores."""

    disk_bytes: int
    memory_bytes: int
    minutes: tuple[int, int]


OF_SIZE = {"small": Needs(1 * GB, 1 * GB, (1, 3)), "full": Needs(8 * GB, 6 * GB, (30, 60))}


def check(size: Literal["small", "full"], folder: Path) -> str:
    """A sentence that tells what is needed and what is free.

    Args:
        folder: where it is worked, which need not be there yet.

    Raises:
        UserError: code 1 when the disk has less room than is needed.
    """
    needs, free, memory = OF_SIZE[size], free_bytes(folder), memory_bytes()
    if free < needs.disk_bytes:
        raise UserError(
            f"{folder}: {gb(needs.disk_bytes)} of room are needed, {gb(free)} are free. Make room, or set EARLID_CACHE to "
            "a folder on another disk.", FAILED,
        )  # fmt: skip
    here = "memory here is not known" if memory is None else f"{gb(memory)} of memory are free"
    warning = " That is little: other programs may be pushed out." if memory is not None and memory < needs.memory_bytes else ""
    least, most = needs.minutes
    return (
        f"It takes {least} to {most} minutes on two cores, up to {gb(needs.disk_bytes)} on the disk ({gb(free)} are free) and up "
        f"to {gb(needs.memory_bytes)} of memory ({here}).{warning}"
    )


def gb(count: int) -> str:
    """Bytes for people."""
    return f"{count / GB:.1f} GB" if count < 10 * GB else f"{count / GB:.0f} GB"


def free_bytes(folder: Path) -> int:
    """Room on the disk on which a folder is, or will be."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def memory_bytes() -> int | None:
    """Memory that programs can still have here; None where the system does not tell."""
    try:
        for line in read_bytes(Path("/proc/meminfo"), _MEMINFO_BYTES).decode().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (UserError, ValueError, OSError, AttributeError):
        return None
