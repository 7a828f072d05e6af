# SPDX-License-Identifier: MIT
"""Estimates what MicroPython's interpreter spends between the kernels: the bytecode of the gate's classes.

Which lines execute is watched while CPython runs the classes (`BytecodeCounter`); how many bytecodes of which kind MicroPython
has for a line is read from the .mpy file, whose functions carry line numbers (py/bc.h). A line with a loop or a
conditional expression in it counts as if it ran in full.

Each bytecode is taken to cost what ALLOWANCE says. Those are x86-64 instructions of the unix MicroPython 1.29, found
with valgrind's callgrind as the difference that one more statement makes in a loop. The same C code for Xtensa has
about as many: it lacks memory operands, but needs no 64-bit halves. Only entering a bytecode function is known to cost
more there: its exception handler is a setjmp that spills the register windows (runtime.ALLOWANCE).
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

from . import mpyfile

# Instructions by kind of bytecode. What a viper callee converts is counted with the callee.
ALLOWANCE = {
    "local or constant": 10,
    "global": 110,
    "attribute": 100,  # of an instance, found in its own dictionary
    "module attribute": 165,  # to read it or to call it
    "store attribute": 135,
    "method": 430,  # not in the instance, then in its class; bound
    "subscript": 125,
    "store subscript": 210,
    "call": 145,  # to the first instruction of viper code or of a C function, and back
    "frame": 700,  # entering and leaving a bytecode function: frame, prelude, arguments, exception handler
    "return": 20,
    "jump": 45,  # with the truth test, and the look for pending events when it goes back
    "operator": 78,  # on small integers
    "iterator": 75,
    "build": 150,
    "other": 20,
}

_QSTR = {2: "global", 3: "attribute", 4: "method", 7: "global", 8: "store attribute"}
_BYTE = {5: "subscript", 6: "store subscript", 14: "iterator", 15: "iterator"}


def _kind(op: int) -> str:
    group, place = op & 0xF0, op & 0x0F
    if group == 0x10:
        return _QSTR.get(place, "other")
    if group == 0x20:
        return "build" if place >= 10 else "local or constant"
    if group == 0x30:
        return "call" if 4 <= place <= 7 else "build"
    if group == 0x40:
        return "iterator" if place == 11 else "jump"
    if group == 0x50:
        return _BYTE.get(place, "local or constant")
    if group == 0x60:
        return "return" if place == 3 else "other"
    return "operator" if op >= 0xD0 else "local or constant"


def _length(code: bytes, at: int) -> int:
    op = code[at]
    shape = 0x3A4 >> 2 * (op >> 4) & 3  # 0: bare, 1: name, 2: number, 3: offset
    end = at + 1
    if shape in (1, 2):
        while code[end] & 0x80:
            end += 1
        end += 1
    elif shape == 3:
        end += 2 if code[end] & 0x80 else 1
    return end - at + (op & 0x9E == 0)


def _prelude(code: bytes) -> tuple[bytes, int, int]:
    """Line number table, how many bytes of it are names, and where the bytecodes begin."""
    at, arguments = 1, code[0] & 3
    shift = 0
    keyword = 0
    while code[at - 1] & 0x80:
        arguments |= (code[at] & 4) << shift
        keyword |= (code[at] >> 3 & 1) << shift
        shift += 1
        at += 1
    info = shift = 0
    cells = 0
    while True:
        byte = code[at]
        at += 1
        cells |= (byte & 1) << shift
        info |= (byte >> 1 & 0x3F) << 6 * shift
        shift += 1
        if not byte & 0x80:
            break
    return code[at : at + info], 1 + arguments + keyword, at + info + cells


def _line_steps(table: bytes, names: int) -> Iterator[tuple[int, int]]:
    at = 0
    for _ in range(names):
        while table[at] & 0x80:
            at += 1
        at += 1
    while at < len(table):
        byte = table[at]
        if byte & 0x80:
            yield byte & 0x0F, byte << 4 & 0x700 | table[at + 1]
            at += 2
        else:
            yield byte & 0x1F, byte >> 5
            at += 1


def lines_of(code: mpyfile.Code) -> dict[int, Counter[str]]:
    """The bytecodes of a function by source line, counted by kind."""
    table, names, start = _prelude(code.data)
    borders = []
    offset, line = 0, 1
    for size, step in _line_steps(table, names):
        offset += size
        line += step
        borders.append((offset, line))
    found: dict[int, Counter[str]] = defaultdict(Counter)
    at = start
    before = ""
    while at < len(code.data):
        here = max((entry for entry in borders if entry[0] <= at - start), default=(0, 1))[1]
        kind = _kind(code.data[at])
        if kind in ("attribute", "method") and before == "global":
            kind = "module attribute"
        found[here][kind] += 1
        before = kind
        at += _length(code.data, at)
    return dict(found)


class BytecodeCounter:
    """While it is entered, counts executed bytecodes of the given modules' functions.

    `modules` maps the file name that CPython knows a module by to its compiled form.
    """

    def __init__(self, modules: dict[str, mpyfile.MpyFile]) -> None:
        self.executed: Counter[str] = Counter()  # bytecodes by kind; "frame" counts calls of bytecode functions
        self.by_function: Counter[str] = Counter()  # instructions
        self._lines: dict[tuple[str, int], tuple[str, Counter[str]]] = {}
        self._files = set(modules)
        for file, mpy in modules.items():
            for code in mpy.body.walk():
                if code.kind == mpyfile.BYTECODE and code is not mpy.body:
                    self._lines.update({(file, line): (code.name, kinds) for line, kinds in lines_of(code).items()})
        self._hits: Counter[tuple[str, int]] = Counter()
        self._frames: Counter[str] = Counter()

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename not in self._files:
            return None
        if event == "call":
            self._frames[frame.f_code.co_qualname] += 1
        elif event == "line":
            self._hits[frame.f_code.co_filename, frame.f_lineno] += 1
        return self._trace

    def __enter__(self) -> BytecodeCounter:
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        sys.settrace(self._before)
        for name, times in self._frames.items():
            self.executed["frame"] += times
            self.by_function[name] += times * ALLOWANCE["frame"]
        for place, times in self._hits.items():
            name, kinds = self._lines.get(place, ("", Counter()))
            for bytecode, count in kinds.items():
                self.executed[bytecode] += times * count
                self.by_function[name] += times * count * ALLOWANCE[bytecode]
        self._hits.clear()
        self._frames.clear()

    @property
    def bytecodes(self) -> int:
        return self.executed.total() - self.executed["frame"]

    @property
    def instructions(self) -> int:
        return self.by_function.total()
