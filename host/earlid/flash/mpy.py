# SPDX-License-Identifier: MIT
"""Compiled MicroPython code: what a `.mpy` file takes of a 32-bit board's heap, and its machine code.

Format and objects are those of MicroPython's py/persistentcode.c and py/obj*.c; a block of the heap is 16 bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK_BYTES = 16


def _image_names() -> tuple[str, ...]:
    lines = (Path(__file__).parent / "image_names.txt").read_text(encoding="utf-8").splitlines()
    return tuple(name for line in lines if not line.startswith("#") for name in line.split())


IMAGE_NAMES = _image_names()  # in a stock image's flash: they take nothing of the heap; the shortest first

_TUPLE, _TEXT, _BYTES, _INT = 10, 5, 6, 7
_LOAD_NAME, _STORE_NAME = 0x11, 0x16
_CLASS_BODY = (23, 22)  # numbers of __name__ and __module__, which a class body begins with
_DICT_SIZES = (0, 2, 4, 6, 8, 10, 12, 17, 23, 29, 37, 47, 59, 73, 97, 127, 167, 223, 293, 389, 521, 691, 919, 1223)
_FIRST_POOL = 20  # names; each further pool holds twice as many


@dataclass(frozen=True)
class MpySizes:
    """Bytes that loading a file keeps: `heap`, and in executable memory one figure a function, `native`."""

    heap: int
    native: tuple[int, ...]


@dataclass(frozen=True)
class _Code:
    # A function, class body or module body.
    data: bytes
    is_native: bool
    children: tuple[_Code, ...]

    def walk(self) -> Iterator[_Code]:
        yield self
        for child in self.children:
            yield from child.walk()


def measure(mpy: bytes) -> MpySizes:
    """The sizes of a `.mpy` file of version 6, whose names no file before it has brought.

    Raises:
        ValueError: for other bytes.
    """
    reader = _reader(mpy)
    names, constants = reader.names, reader.constants
    body = reader.code()
    heap = blocks(2 * len(names)) + blocks(4 * len(constants)) + sum(constants)
    heap += 64 + _dict_bytes(body.data.count(_STORE_NAME) + 3)
    heap += sum(_heap_bytes(child, names) for child in body.children)  # the body itself goes once it has run
    native = tuple(len(code.data) for code in body.walk() if code.is_native)
    return MpySizes(heap + _name_bytes({name for name in names if isinstance(name, str)}), native)


def with_viper(mpy: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """The `.mpy` file with the machine code of each viper function replaced by what `change` makes of it.

    Raises:
        ValueError: for other bytes.
    """
    reader = _reader(mpy)
    reader.code()
    result = bytearray()
    copied = 0
    for head_at, start, end in reader.viper:
        code = change(mpy[start:end])
        head = len(code) << 3 | mpy[start - 1] & 7
        result += mpy[copied:head_at] + _varint(head) + code
        copied = end
    return bytes(result + mpy[copied:])


def _varint(value: int) -> bytes:
    low = [value & 127]
    while value := value >> 7:
        low.append(value & 127 | 128)
    return bytes(reversed(low))


def blocks(size: int) -> int:
    """Bytes of the heap's blocks that so many bytes take."""
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES


def _dict_bytes(entries: int) -> int:
    return blocks(8 * next((size for size in _DICT_SIZES if size >= entries), entries))


def _name_bytes(names: set[str]) -> int:
    new = names.difference(IMAGE_NAMES)
    total, pool, left = sum(len(name) + 1 for name in new) * 13 // 12, _FIRST_POOL, len(new)
    while left > 0:
        total += blocks(20 + 6 * pool)
        left -= pool
        pool *= 2
    return total


def _heap_bytes(code: _Code, names: list[str | int]) -> int:
    if code.is_native:
        return BLOCK_BYTES  # the function object
    inside = sum(_heap_bytes(child, names) for child in code.children)
    if _is_class(code.data, names):
        return 80 + _dict_bytes(len(code.children) + 2) + inside
    nested = blocks(4 * len(code.children)) + 2 * BLOCK_BYTES * len(code.children)
    return blocks(len(code.data)) + BLOCK_BYTES + nested + inside


def _is_class(data: bytes, names: list[str | int]) -> bool:
    for at in range(min(len(data) - 4, 40)):
        if data[at] == _LOAD_NAME:
            reader = _Reader(data, at + 1)
            loaded = reader.number()
            if reader.at < len(data) - 1 and data[reader.at] == _STORE_NAME:
                stored = _Reader(data, reader.at + 1).number()
                if max(loaded, stored) < len(names) and (names[loaded], names[stored]) == _CLASS_BODY:
                    return True
    return False


def _reader(mpy: bytes) -> _Reader:
    # Names and constants are read, the code of the module's body is next
    if mpy[:2] != b"M\x06":
        raise ValueError("not a .mpy file of version 6")
    reader = _Reader(mpy, 4)
    name_count, constant_count = reader.number(), reader.number()
    reader.names = [reader.name() for _ in range(name_count)]
    shared = {*(name for name in reader.names if isinstance(name, str)), *IMAGE_NAMES}
    reader.constants = [reader.constant(shared) for _ in range(constant_count)]
    return reader


class _Reader:
    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self.at = at
        self.names: list[str | int] = []
        self.constants: list[int] = []  # bytes of the heap that each takes
        self.viper: list[tuple[int, int, int]] = []  # where a function's head, its machine code, and what follows begin

    def bytes(self, count: int) -> bytes:
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self) -> int:
        value = 0
        while self.at < len(self.data):
            byte = self.data[self.at]
            self.at += 1
            value = value << 7 | byte & 127
            if byte < 128:
                break
        return value

    def name(self) -> str | int:
        size = self.number()
        if size & 1:
            return size >> 1  # the number of a name that every MicroPython has
        return self.bytes(size + 2 >> 1)[:-1].decode()

    def constant(self, shared: set[str]) -> int:
        # Bytes of the heap that it takes. A text that is a name already takes none.
        kind = self.bytes(1)[0]
        if kind < _TEXT:
            return 0
        size = self.number()
        if kind == _TUPLE:
            return blocks(8 + 4 * size) + sum(self.constant(shared) for _ in range(size))
        data = self.bytes(size)
        if kind in (_TEXT, _BYTES):
            self.at += 1
            return 0 if kind == _TEXT and data.decode() in shared else BLOCK_BYTES + blocks(size + 1)
        if kind == _INT:
            return 2 * BLOCK_BYTES if abs(int(data)) >= 1 << 30 else 0
        return BLOCK_BYTES

    def code(self) -> _Code:
        head_at = self.at
        head = self.number()
        kind = head & 3
        data = self.bytes(head >> 3)
        if kind == 2:
            self.viper.append((head_at, self.at - len(data), self.at))
        if kind:
            flags = self.number()
            if kind == 2:
                constant_bytes = self.number() if flags & 0x20 else 0
                if flags & 0x10:
                    self.number()
                self.at += constant_bytes
        count = self.number() if head & 4 else 0
        return _Code(data, bool(kind), tuple(self.code() for _ in range(count)))
