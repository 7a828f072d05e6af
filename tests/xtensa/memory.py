# SPDX-License-Identifier: MIT
"""The emulated board's RAM: one flat little-endian area, addressed from 0, and buffers that live in it.

A buffer is an ordinary memoryview into the area, so that Python code and emulated code share it. Between buffers lie
guard bytes: `check_guards` finds a kernel that wrote past an end.
"""

from __future__ import annotations

import array as array_module
import ctypes
import sys
from collections.abc import Iterable
from typing import Any

_GUARD = bytes([0xA5]) * 16
_BLOCK = 16  # MicroPython's heap hands out blocks of 16 bytes, so buffers are aligned to 16


class Misaligned(RuntimeError):
    """A 16- or 32-bit access at an address that is not a multiple of its size."""


class EmulatedMemory:
    def __init__(self, size: int = 1 << 20) -> None:
        assert sys.byteorder == "little", "the emulated memory is shared with the host as it is"
        self.area = bytearray(size)
        self.m8 = memoryview(self.area)
        self.m16, self.m32 = self.m8.cast("H"), self.m8.cast("I")
        self._host = ctypes.addressof(ctypes.c_char.from_buffer(self.area))
        self._next = 4096  # nothing lies at small addresses: a null pointer with an index hits the first guard
        self._guards: list[int] = [64]
        self.m8[64 : 64 + len(_GUARD)] = _GUARD
        self._copies: dict[int, tuple[Any, int]] = {}
        self.allocated = 0  # bytes asked for by bytearray() and array()

    def allocate(self, size: int) -> int:
        """The address of `size` fresh zero bytes."""
        at = self._next
        guard = at + size
        self._next = (guard + len(_GUARD) + _BLOCK - 1) // _BLOCK * _BLOCK
        if self._next > len(self.area):
            raise MemoryError(f"the emulated RAM of {len(self.area)} bytes is full: give EmulatedMemory a larger size")
        self.m8[guard : guard + len(_GUARD)] = _GUARD
        self._guards.append(guard)
        return at

    def bytearray(self, source: int | bytes | Iterable[int] = 0) -> memoryview:
        """MicroPython's bytearray(), in emulated RAM."""
        content = bytes(source) if isinstance(source, int | bytes) else bytes(bytearray(source))
        at = self.allocate(len(content))
        self.allocated += len(content)
        view = self.m8[at : at + len(content)]
        view[:] = content
        return view

    def array(self, typecode: str, source: Iterable[Any] = ()) -> Array:
        """MicroPython's array.array(), in emulated RAM."""
        return Array(self, typecode, source)

    def address_of(self, buffer: Any) -> int:
        """Where a buffer lies. Read-only constants (bytes) are copied in when first asked for."""
        buffer = buffer.view if isinstance(buffer, Array) else buffer
        if isinstance(buffer, bytes):
            if id(buffer) not in self._copies:
                at = self.allocate(len(buffer))
                self.m8[at : at + len(buffer)] = buffer
                self._copies[id(buffer)] = (buffer, at)
            return self._copies[id(buffer)][1]
        at = ctypes.addressof(ctypes.c_char.from_buffer(buffer)) - self._host if len(buffer) else 0
        if not 0 <= at < len(self.area):
            raise TypeError(
                f"{type(buffer).__name__} does not lie in emulated RAM: make it with bytearray() or array() of EmulatedMemory"
            )
        return at

    def check_guards(self) -> None:
        """Raise when something wrote between the buffers."""
        for guard in self._guards:
            if bytes(self.m8[guard : guard + len(_GUARD)]) != _GUARD:
                raise RuntimeError(f"emulated code wrote past a buffer's end, at {guard:#x}")


class Array:
    """An array that lies in emulated RAM; growing moves it. 'l' and 'L' have 4 bytes there."""

    def __init__(self, memory: EmulatedMemory, typecode: str, source: Iterable[Any]) -> None:
        self._memory = memory
        self._typecode = {"l": "i", "L": "I"}.get(typecode, typecode)
        self.view = self._placed(source)

    def _placed(self, source: Any) -> memoryview:
        content: Any = array_module.array(self._typecode, source)
        return self._memory.bytearray(content.tobytes()).cast(self._typecode)  # type: ignore[call-overload, no-any-return]

    def extend(self, source: Iterable[Any]) -> None:
        self.view = self._placed([*self.view, *source])

    def append(self, value: Any) -> None:
        self.extend([value])

    def __getitem__(self, place: Any) -> Any:
        return self.view[place]

    def __setitem__(self, place: Any, value: Any) -> None:
        self.view[place] = value

    def __len__(self) -> int:
        return len(self.view)


def view_of(buffer: Any) -> memoryview:
    """MicroPython's memoryview(), which takes an Array too."""
    return buffer.view if isinstance(buffer, Array) else memoryview(buffer)


def misaligned(address: int) -> None:
    raise Misaligned(f"address {address:#x}")
