# SPDX-License-Identifier: MIT
"""The estimate for interpreted code: bytecodes per line, and lines executed."""

from __future__ import annotations

from collections import Counter

from . import interpreter_cost, mpyfile

SOURCE = """\
class Adder:
    def total(self, items):
        found = 0
        for item in items:
            found += item
        return found + self.base
"""


def test_bytecodes_are_counted_by_line() -> None:
    mpy = mpyfile.compile_source(SOURCE, "adder.py")
    total = next(code for code in mpy.body.walk() if code.name == "Adder.total")
    assert interpreter_cost.lines_of(total) == {
        3: Counter({"local or constant": 2}),  # the constant, the store
        4: Counter({"local or constant": 2, "iterator": 2}),  # the list; GET_ITER, FOR_ITER; the store
        5: Counter({"local or constant": 3, "operator": 1, "jump": 1}),  # with the jump back
        6: Counter({"local or constant": 2, "attribute": 1, "operator": 1, "return": 1}),
    }


def test_executed_bytecodes_are_counted() -> None:
    space: dict[str, type] = {}
    exec(compile(SOURCE, "adder.py", "exec"), space)
    adder = space["Adder"]()
    adder.base = 1
    with interpreter_cost.BytecodeCounter({"adder.py": mpyfile.compile_source(SOURCE, "adder.py")}) as watch:
        assert adder.total([1, 2, 3]) == 7
    assert watch.executed["operator"] == 3 + 1
    assert watch.executed["frame"] == 1
    assert watch.bytecodes == 2 + 4 * 4 + 3 * 5 + 5
    assert watch.instructions == sum(interpreter_cost.ALLOWANCE[kind] * count for kind, count in watch.executed.items())
