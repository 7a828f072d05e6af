# SPDX-License-Identifier: MIT
"""The RTC's user memory as the ESP32 port has it (`machine.RTC().memory()`): no reset erases it but one that takes its supply."""

from __future__ import annotations

import random

from earlid.virtual.protocol import RTC_BYTES


class RtcMemory:
    """Up to 2,048 bytes without a checksum. Its random source is its own: a fault here moves nothing else of a run."""

    def __init__(self, seed: int) -> None:
        self.content = b""
        self.lingering_flips: int | None = None  # bits that flip when the supply goes; None: everything is lost
        self._rng = random.Random(f"rtc {seed}")

    def write(self, data: bytes) -> None:
        """The chip replaces the content."""
        if len(data) > RTC_BYTES:
            raise ValueError(f"{len(data)} bytes do not fit the RTC's {RTC_BYTES}")
        self.content = data

    def lose_supply(self) -> None:
        """Power-off, reset pin, brown-out: the port finds no signature and starts empty, unless charge lingers."""
        if self.lingering_flips is None:
            self.content = b""
        else:
            self.flip(self.lingering_flips)

    def flip(self, count: int) -> None:
        """Flip `count` different bits (all of them if there are fewer)."""
        content = bytearray(self.content)
        for bit in self._rng.sample(range(8 * len(content)), min(count, 8 * len(content))):
            content[bit >> 3] ^= 1 << (bit & 7)
        self.content = bytes(content)
