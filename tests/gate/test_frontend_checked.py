# SPDX-License-Identifier: MIT
"""Thirty-two bits proven: the gate's kernels with integers that raise, over the loudest and oddest signals."""

from __future__ import annotations

import math
import random
import subprocess
from pathlib import Path

import checked
import numpy as np
import pytest
import signals
from earlid import firmware
from earlid.gate import runner
from test_frontend import reference

VIPER = "import micropython\nfrom micropython import const\n"


def viper(text: str) -> str:
    return f"{VIPER}@micropython.viper\n{text}"


def run_checked(pcm: np.ndarray) -> np.ndarray:
    frontend = checked.load_checked("lid.gate.frontend").Frontend()
    hops = pcm[: len(pcm) // 160 * 160].reshape(-1, 160)
    return np.array([list(frontend.features) for hop in hops if frontend.push(bytearray(hop.astype("<i2").tobytes()))])


@pytest.mark.parametrize("name", list(signals.odd_ends(signals.SEED, 0.1)))
def test_no_value_leaves_32_bits_and_the_features_are_right(name: str) -> None:
    pcm = signals.odd_ends(signals.SEED, 0.16)[name]
    assert np.array_equal(run_checked(pcm), reference(pcm)), f"{name}, seed {signals.SEED}"


def test_no_value_leaves_32_bits_on_mixtures() -> None:
    seed = signals.SEED + 50
    pcm = signals.mixtures(seed, 1 / 60)
    assert np.array_equal(run_checked(pcm), reference(pcm)), f"seed {seed}"


def noise_estimate(root: int, channel: int) -> int:
    """What the first hop leaves as a channel's estimate: each root leaves another one."""
    level, smoothing = root << 10, 983 if channel % 2 else 409
    return (level >> 14) * smoothing + ((level & 16383) * smoothing >> 14)


def test_roots_are_exact_at_every_edge() -> None:
    # The 40-bit square root against integers of any size, rounded to the nearest, but that 65535 never rounds up.
    channels, tables = checked.load_checked("lid.gate.channels"), checked.load_checked("lid.gate.tables")
    rng = random.Random(signals.SEED)
    edges = [n * n + d for e in range(20) for n in (2**e - 1, 2**e, 2**e + 1, 3 * 2**e) for d in (-1, 0, 1, n, n + 1)]
    sums = [n for n in edges if 0 <= n < 2**40] + [rng.getrandbits(rng.randint(1, 40)) for _ in range(400)]
    sums += [0] * (-len(sums) % 40)
    guesses, lengths = channels.root_guesses(), channels.bit_lengths()
    for at in range(0, len(sums), 40):
        part = sums[at : at + 40]
        pairs = np.array([[n >> 16, n & 65535] for n in part], "<u4")
        out = bytearray(160)
        buffers = bytearray(pairs.tobytes()), out, guesses, tables.GAIN, lengths, tables.LOGS, bytearray(80)
        channels.compress(0, 0, *buffers, 0)
        for channel, (n, found) in enumerate(zip(part, np.frombuffer(out, "<u4"), strict=True)):
            root = math.isqrt(n)
            root += n - root * root > root and root != 65535
            assert found == noise_estimate(root, channel), f"{n}, seed {signals.SEED}"


# -- the test of the test --------------------------------------------------------------------------------------------


def test_a_planted_overflow_is_caught() -> None:
    twiddles = checked.load_checked("lid.gate.twiddles").split_twiddles()
    path = firmware.root() / "lid" / "gate" / "spectrum.py"
    text = path.read_text()
    planted = text.replace("reg0 * twiddles[0]", "reg0 * twiddles[0] * 6")
    assert planted != text
    buffers = [bytearray(b"\x00\x00\x00\x60" * 512) for _ in range(2)]
    checked.check_source(text, "spectrum.py").power_spectrum(0, 0, buffers[0], twiddles)
    with pytest.raises(checked.Overflow, match=r"spectrum.py:\d+ in power_spectrum: \d+ leaves int32"):
        checked.check_source(planted, "spectrum.py").power_spectrum(0, 0, buffers[1], twiddles)


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
def test_what_goes_wrong_on_a_board_raises(text: str, arguments: tuple, error: type[Exception]) -> None:
    with pytest.raises(error):
        checked.check_source(viper(text)).f(*arguments)


def test_viper_s_meaning_is_kept(tmp_path: Path) -> None:
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
    from array import array

    f = checked.check_source(text).f
    here = [f(bytearray(4), array("H", [9, 8, 7]), array("I", [5, 1 << 31]), x, y) for x, y in cases]
    assert here == [int(line) for line in done.stdout.split()]
