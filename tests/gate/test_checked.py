# SPDX-License-Identifier: MIT
"""The checker itself: faults raise, and code without faults means what it means on MicroPython."""

from __future__ import annotations

import subprocess
from array import array
from pathlib import Path

import checked
import pytest
from earlid.gate import runner

VIPER = "import micropython\nfrom micropython import const\n"


def viper(text: str) -> str:
    return f"{VIPER}@micropython.viper\n{text}"


@pytest.mark.parametrize(
    ("text", "arguments", "error"),
    [
        ("def f(x: int) -> int:\n    return x + 1", (2**31 - 1,), checked.Overflow),
        ("def f(x: int) -> int:\n    return x * x", (46341,), checked.Overflow),
        ("def f(x: int) -> int:\n    return -x", (-(2**31),), checked.Overflow),
        ("def f(x: int) -> int:\n    return x << 4", (2**28,), checked.Overflow),
        ("def f(x: uint) -> uint:\n    return x - 1", (0,), checked.Overflow),
        ("def f(x: uint) -> uint:\n    return x + x", (2**31,), checked.Overflow),
        ("def f(x: int) -> uint:\n    return uint(x)", (-1,), checked.Overflow),
        ("def f(x: uint) -> int:\n    return int(x)", (2**31,), checked.Overflow),
        ("def f(x: int):\n    pass", (2**31,), checked.Overflow),
        ("def f(x: int) -> int:\n    return 1 << x", (32,), checked.BadShift),
        ("def f(x: int) -> int:\n    return x >> x", (-1,), checked.BadShift),
        ("def f(p: ptr16) -> int:\n    return p[4]", (bytearray(8),), checked.OutOfBounds),
        ("def f(p: ptr16) -> int:\n    return p[-1]", (bytearray(8),), checked.OutOfBounds),
        ("def f(p: ptr8):\n    p[8] = 1", (bytearray(8),), checked.OutOfBounds),
        ("def f(p: ptr8) -> int:\n    return ptr16(int(p) + 1)[0]", (bytearray(8),), checked.OutOfBounds),
        ("def f(p: ptr32) -> int:\n    return p[0]", (bytearray(b"\xff" * 4),), checked.Overflow),
        ("def f(x: int) -> int:\n    return x + (1 << 30)", (1,), checked.BadType),
        ("def f(x: int, y: uint) -> int:\n    return 1 if x < y else 0", (1, 1), checked.BadType),
        ("def f(x: uint) -> int:\n    return int(x // 2)", (1,), checked.BadType),
        ("def f(x: int) -> int:\n    y = uint(x)\n    y = x\n    return x", (1,), checked.BadType),
        ("def f(x: int) -> int:\n    return other + x", (1,), checked.BadType),
        ("def f(x: int) -> int:\n    return (x < 1) + x", (1,), checked.BadType),
        ("def f(x) -> int:\n    return x[0]", ([1],), checked.BadType),
        ("def f(x: int) -> int:\n    return abs(x)", (1,), checked.BadType),
        ("def f(x: int) -> int:\n    y += x\n    return y", (1,), checked.BadType),
    ],
)
def test_fault_of_viper_code_raises(text: str, arguments: tuple, error: type[Exception]) -> None:
    with pytest.raises(error):
        checked.check_source(viper(text)).f(*arguments)


def test_checked_code_equals_micropython(tmp_path: Path) -> None:
    # The same source on MicroPython and here: types by the left operand, unsigned loads, stores that cut off.
    text = (
        VIPER
        + """
from array import array
SIX = const(6)
@micropython.viper
def f(p: ptr8, q: ptr16, w: ptr32, x: int, y: uint) -> int:
    p[0] = x
    q[1] = x - 70000
    w[0] = x
    big = uint(w[1]) >> 4
    total = p[0] + q[1] * 3 - (x >> 1) + int(big >> 8) + SIX
    for i in range(1, 4):
        if i == 2 and x < 0:
            continue
        total += i ^ x
    q = ptr16(int(q) + 2)
    q[0] |= 4096
    total -= q[0] if x != 0 else -q[0]
    while total > 1000000 or total < -1000000:
        total //= 3
    return total + (x % 7) - int(y & 15) + (0 if not x else 1)
"""
    )
    cases = [(x, y) for x in (-70000, -300, -1, 0, 1, 77, 65535, 1 << 20) for y in (0, 9, (1 << 30) - 1)]
    call = "f(bytearray(4), array('H', [9, 8, 7]), array('I', [5, 1 << 31]), {}, {})"
    script = tmp_path / "same.py"
    script.write_text(text + "".join(f"print({call.format(x, y)})\n" for x, y in cases))
    done = subprocess.run(runner.micropython_command(script), capture_output=True, text=True, check=True, timeout=300)
    f = checked.check_source(text).f
    here = [f(bytearray(4), array("H", [9, 8, 7]), array("I", [5, 1 << 31]), x, y) for x, y in cases]
    assert here == [int(line) for line in done.stdout.split()]
