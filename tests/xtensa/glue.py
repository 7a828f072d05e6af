"""Estimates what MicroPython's interpreter spends between the kernels: the bytecode of the gate's classes.

Which lines execute is watched while CPython runs the classes (`Watch`); how many bytecodes of which kind MicroPython
has for a line is read from the .mpy file, whose functions carry line numbers (py/bc.h). Each bytecode is taken to cost
the instructions that ALLOWANCE says, estimated as in runtime.py from py/vm.c: about 7 to fetch and dispatch, and what
the operation does. A line with a loop or a conditional expression in it counts as if it ran in full.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

from . import mpyfile

# Instructions by kind of bytecode. The callee of a call counts by itself; a viper callee's conversions do, too.
ALLOWANCE = {
    "local or constant": 10,
    "global": 100,  # mp_load_global: thread state, hash, probe
    "attribute": 115,  # an instance's own dictionary, or a module's
    "store attribute": 160,
    "method": 170,  # found in the class, behind the instance
    "subscript": 120,
    "call": 150,  # type, slot, argument copy, stack check, and a frame if the callee is bytecode
    "return": 30,
    "jump": 20,
    "operator": 65,  # small integers
    "iterator": 75,
    "build": 150,
    "other": 20,
}

_QSTR = {2: "global", 3: "attribute", 4: "method", 7: "global", 8: "store attribute"}
_BYTE = {5: "subscript", 6: "subscript", 14: "iterator", 15: "iterator"}


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
    while at < len(code.data):
        here = max((entry for entry in borders if entry[0] <= at - start), default=(0, 1))[1]
        found[here][_kind(code.data[at])] += 1
        at += _length(code.data, at)
    return dict(found)


class Watch:
    """While it is entered, counts executed bytecodes of the given functions, by kind.

    `modules` maps the file name that CPython knows a module by to its compiled form.
    """

    def __init__(self, modules: dict[str, mpyfile.MpyFile]) -> None:
        self.executed: Counter[str] = Counter()
        self._costs: dict[tuple[str, int], Counter[str]] = {}
        self._files = set(modules)
        for file, mpy in modules.items():
            for code in mpy.body.walk():
                if code.kind == mpyfile.BYTECODE and code is not mpy.body:
                    self._costs.update({(file, line): kinds for line, kinds in lines_of(code).items()})
        self._hits: Counter[tuple[str, int]] = Counter()

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename not in self._files:
            return None
        if event == "line":
            self._hits[frame.f_code.co_filename, frame.f_lineno] += 1
        return self._trace

    def __enter__(self) -> Watch:
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        sys.settrace(self._before)
        for place, times in self._hits.items():
            for name, count in self._costs.get(place, Counter()).items():
                self.executed[name] += times * count
        self._hits.clear()

    @property
    def bytecodes(self) -> int:
        return self.executed.total()

    @property
    def instructions(self) -> int:
        return sum(ALLOWANCE[kind] * count for kind, count in self.executed.items())
