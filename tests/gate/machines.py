# SPDX-License-Identifier: MIT
"""Two machines that run single kernels: CPython with checked 32-bit integers, and the ESP32's machine code, emulated."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from types import ModuleType
from typing import Any

import checked

from tests.xtensa.board import EmulatedBoard
from tests.xtensa.gate import FIRMWARE


class Checked:
    """The kernels' source; whatever leaves 32 bits raises."""

    def module(self, name: str) -> ModuleType:
        return checked.load_checked(f"lid.gate.{name}")

    def buffer(self, content: bytes) -> Any:
        return bytearray(content)

    def finish(self) -> None:
        """Raise when something went wrong that no result shows."""


class Emulated:
    """The kernels' machine code; buffers lie between guards."""

    def __init__(self) -> None:
        self.board = EmulatedBoard(FIRMWARE)

    def module(self, name: str) -> ModuleType:
        return self.board.module(f"lid.gate.{name}")

    def buffer(self, content: bytes) -> Any:
        return self.board.machine.memory.bytearray(content)

    def finish(self) -> None:
        self.board.machine.memory.check_guards()
        assert self.board.machine.boxed == 0, "a kernel returned an integer beyond 31 bits, which allocates on the board"


SEED = 20261126


def halves(values: Iterable[int]) -> bytes:
    """16-bit values, signed or not, little-endian."""
    return b"".join((value & 0xFFFF).to_bytes(2, "little") for value in values)


def words(values: Iterable[int]) -> bytes:
    return b"".join(value.to_bytes(4, "little") for value in values)


def as_int16(buffer: Any) -> list[int]:
    return list(struct.unpack(f"<{len(buffer) // 2}h", bytes(buffer)))


def as_uint16(buffer: Any) -> list[int]:
    return list(struct.unpack(f"<{len(buffer) // 2}H", bytes(buffer)))


def as_words(buffer: Any) -> list[int]:
    return list(struct.unpack(f"<{len(buffer) // 4}I", bytes(buffer)))
