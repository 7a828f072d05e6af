# SPDX-License-Identifier: MIT
"""NOR flash in a file: write semantics, wear, torn writes and write errors."""

from __future__ import annotations

import random
from pathlib import Path

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
        self.rng = rng
        self.data = bytearray(b"\xff" * FLASH_BYTES)
        self._file = None
        if path is not None:
            if path.exists():
                image = path.read_bytes()
                if len(image) != FLASH_BYTES:
                    raise ValueError(f"{path}: {len(image)} bytes are no flash image ({FLASH_BYTES} bytes)")
                self.data[:] = image
            else:
                path.write_bytes(self.data)
            self._file = path.open("r+b", buffering=0)
        self.writes = 0  # programs and erases since the start
        self.erases = [0] * (FLASH_BYTES // FLASH_BLOCK)
        self.power_cut_at: int | None = None
        self.torn = True
        self.failing = False
        self.erase_us = 45_000
        self.program_us_per_256 = 700

    def close(self) -> None:
        """Close the image file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def load(self, image: bytes) -> None:
        """Replace the whole content (from outside, not by the chip)."""
        if len(image) != FLASH_BYTES:
            raise ValueError(f"a flash image has {FLASH_BYTES} bytes, not {len(image)}")
        self.data[:] = image
        self._save(0, FLASH_BYTES)

    def read(self, address: int, length: int) -> bytes:
        """The bytes at an address."""
        return bytes(self.data[address : address + length])

    def program(self, address: int, payload: bytes) -> tuple[int, int]:
        """Clear bits; returns status and microseconds. Raises PowerLost when this is the write to be cut."""
        if self.failing:
            return ERR_FAIL, 100
        end = address + len(payload)
        if self._power_cut_now():
            programmed = self.rng.randrange(len(payload) + 1) if self.torn else 0
            self._clear_bits(address, payload[:programmed])
            if self.torn and programmed < len(payload):  # the byte that was being written: some of its bits
                self._clear_bits(address + programmed, bytes([payload[programmed] | self.rng.randrange(256)]))
            self._save(address, end)
            raise PowerLost
        self._clear_bits(address, payload)
        self._save(address, end)
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
            if self._power_cut_now():
                if self.torn:  # some bytes already erased, some not yet
                    for i in range(start, start + FLASH_BLOCK):
                        self.data[i] |= self.rng.choice((0, 0, 0xFF, self.rng.randrange(256)))
                    self._save(start, start + FLASH_BLOCK)
                raise PowerLost
            self.data[start : start + FLASH_BLOCK] = b"\xff" * FLASH_BLOCK
            self.erases[block] += 1
            self._save(start, start + FLASH_BLOCK)
        return 0, self.erase_us * len(blocks)

    def _power_cut_now(self) -> bool:
        self.writes += 1
        if self.power_cut_at is not None and self.writes >= self.power_cut_at:
            self.power_cut_at = None
            return True
        return False

    def _clear_bits(self, address: int, payload: bytes) -> None:
        end = address + len(payload)
        if not payload:
            return
        old = int.from_bytes(self.data[address:end], "little")
        new = old & int.from_bytes(payload, "little")
        self.data[address:end] = new.to_bytes(len(payload), "little")

    def _save(self, start: int, end: int) -> None:
        if self._file is not None:
            self._file.seek(start)
            self._file.write(self.data[start:end])
