# SPDX-License-Identifier: MIT
"""Viper's arithmetic on a 32-bit board as Python classes: a second, independent statement of what kernels compute.

Viper source executes under CPython with these in place of `int`, `uint` and the pointers. `overflowed` tells whether a
result had to be wrapped: without it, a 64-bit MicroPython must agree.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

overflowed = False


def _wrap(kind: type[Int32], value: int) -> Int32:
    global overflowed
    wrapped = value & 0xFFFFFFFF
    if kind is Int32 and wrapped >> 31:
        wrapped -= 1 << 32
    overflowed |= wrapped != value
    return int.__new__(kind, wrapped)


def _operator(name: str, *, shift: bool = False) -> Callable[[Any, int], Int32]:
    plain = getattr(int, name)

    def apply(self: Int32, other: int) -> Int32:
        return _wrap(type(self), plain(self, int.__and__(other, 31) if shift else other))

    return apply


class Int32(int):
    """A signed 32-bit integer; the result of an operation has the left operand's kind, as in viper."""

    def __new__(cls, value: int = 0) -> Int32:
        return _wrap(cls, int(value) & 0xFFFFFFFF if cls is Uint32 else int(value))

    __add__, __sub__, __mul__ = (_operator(f"__{n}__") for n in ("add", "sub", "mul"))
    __and__, __or__, __xor__ = (_operator(f"__{n}__") for n in ("and", "or", "xor"))
    __floordiv__, __mod__ = _operator("__floordiv__"), _operator("__mod__")
    __lshift__, __rshift__ = _operator("__lshift__", shift=True), _operator("__rshift__", shift=True)

    def __neg__(self) -> Int32:
        return _wrap(type(self), int.__neg__(self))

    def __invert__(self) -> Int32:
        return _wrap(type(self), int.__invert__(self))


class Uint32(Int32):
    """An unsigned one."""


class Pointer:
    """ptr8, ptr16 or ptr32 over a list of cells: loads are unsigned (32-bit ones signed), stores cut off."""

    def __init__(self, bits: int, cells: list[int]) -> None:
        self.bits, self.cells = bits, cells

    def __getitem__(self, index: int) -> Int32:
        assert index >= 0
        cell = self.cells[index]
        return Int32(cell - (1 << 32) if self.bits == 32 and cell >> 31 else cell)

    def __setitem__(self, index: int, value: int) -> None:
        assert index >= 0
        self.cells[index] = int(value) & ((1 << self.bits) - 1)


def _range(*limits: int) -> Iterator[Int32]:
    return map(Int32, range(*map(int, limits)))


class _Literals(ast.NodeTransformer):
    """Makes every whole number of a source an `int` of its own: `1 << 31` wraps like everything else."""

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if type(node.value) is not int:
            return node
        return ast.Call(ast.Name("int", ast.Load()), [node], [])


def execute(source: str, function: str, arguments: list[Any]) -> tuple[Any, bool]:
    """The result of a function of viper source in 32-bit arithmetic, and whether anything wrapped."""
    global overflowed
    space: dict[str, Any] = {"int": Int32, "uint": Uint32, "range": _range, "ptr8": None, "ptr16": None, "ptr32": None}
    tree = _Literals().visit(ast.parse(source.replace("@micropython.viper\n", "")))
    exec(compile(ast.fix_missing_locations(tree), "viper", "exec"), space)
    overflowed = False
    result = space[function](*[Int32(a) if isinstance(a, int) else a for a in arguments])
    return result, overflowed
