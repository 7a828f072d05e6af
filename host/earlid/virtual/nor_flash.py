# SPDX-License-Identifier: MIT
"""NOR flash in a file: wear, power cuts and write errors of the cells of `nor_cells`."""

from __future__ import annotations

import os
import random
from pathlib import Path

from earlid.virtual import nor_cells
from earlid.virtual.protocol import FLASH_BLOCK

FLASH_BYTES = 512 * FLASH_BLOCK
ERR_FAIL = -1  # ESP_FAIL


class PowerLost(Exception):
    """The supply went away in the middle of a write."""


class NorFlash:
    """2 MiB of NOR flash. Programming only clears bits; an erase sets a whole 4096-byte block.

    `path`: image kept in a file (made if missing), or None for one that lives in memory only.
    """

    def __init__(self, path: Path | None, rng: random.Random) -> None:
        self.path = path
        self.data = bytearray(b"\xff" * FLASH_BYTES)
        self.cells = nor_cells.Cells(self.data, rng)
        if path is not None and path.exists():
            image = path.read_bytes()
            if len(image) != FLASH_BYTES:
                raise ValueError(f"{path}: {len(image)} bytes are no flash image ({FLASH_BYTES} bytes)")
            self.data[:] = image
        # A file in any case: the chip reads there by itself
        self.content_fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666) if path is not None else os.memfd_create("flash")
        self._save(0, FLASH_BYTES)
        self.writes = 0  # programs and erases since the start
        self.erases = [0] * (FLASH_BYTES // FLASH_BLOCK)
        self.power_cut_at: int | None = None
        self.cut_kind = nor_cells.TORN  # what the write that is cut leaves: a kind of `nor_cells`
        self.failing = False
        self.erase_us = 45_000
        self.program_us_per_256 = 700

    def close(self) -> None:
        """Close the image file."""
        if self.content_fd >= 0:
            os.close(self.content_fd)
            self.content_fd = -1

    def load(self, image: bytes) -> None:
        """Replace the whole content (from outside, not by the chip)."""
        if len(image) != FLASH_BYTES:
            raise ValueError(f"a flash image has {FLASH_BYTES} bytes, not {len(image)}")
        self.data[:] = image
        self._save(0, FLASH_BYTES)

    def program(self, address: int, payload: bytes) -> tuple[int, int]:
        """Clear bits; returns status and microseconds. Raises PowerLost when this is the write to be cut."""
        if self.failing:
            return ERR_FAIL, 100
        end = address + len(payload)
        cut = self._power_cut_now()
        if cut:
            self.cells.cut_program(address, payload, self.cut_kind)
        else:
            self.cells.program(address, payload)
        self._save(address, end)
        if cut:
            raise PowerLost
        return 0, self.program_us_per_256 * -(-len(payload) // 256)

    def erase(self, address: int, length: int) -> tuple[int, int]:
        """Set whole blocks; returns status and microseconds. Raises PowerLost when this is the write to be cut."""
        if self.failing:
            return ERR_FAIL, 100
        if address % FLASH_BLOCK or length % FLASH_BLOCK:
            return -0x102, 10  # ESP_ERR_INVALID_ARG
        blocks = range(address // FLASH_BLOCK, (address + length) // FLASH_BLOCK)
        for block in blocks:
            start = block * FLASH_BLOCK
            cut = self._power_cut_now()
            if cut:
                self.cells.cut_erase(block, self.cut_kind)
            else:
                self.cells.erase(block)
                self.erases[block] += 1
            self._save(start, start + FLASH_BLOCK)
            if cut:
                raise PowerLost
        return 0, self.erase_us * len(blocks)

    def _power_cut_now(self) -> bool:
        self.writes += 1
        if self.power_cut_at is not None and self.writes >= self.power_cut_at:
            self.power_cut_at = None
            return True
        return False

    def _save(self, start: int, end: int) -> None:
        if self.content_fd >= 0:
            os.pwrite(self.content_fd, memoryview(self.data)[start:end], start)
