# SPDX-License-Identifier: MIT
"""Modules joined into one compute what they computed before, by short names; what cannot be joined safely is refused."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest
from earlid import firmware
from earlid.flash import bundle, firmware_build

START = '''
"""Entry."""
import binascii
from micropython import const
from lid import parts
from lid.parts import Counter as Tally, LIMIT

_STEP = const(3)
VERSION = "1"


def run(argument):
    """Twice over."""
    tally = Tally(argument, limit=LIMIT)
    for _ in range(4):
        tally.advance(_STEP)
    pairs = [parts.double(x) for x in (1, 2)]
    return tally.total, tally.name.upper(), parts.double(tally.total), binascii.crc32(b"x") & 0xFF, pairs
'''
PARTS = """
from lid.portable import const

LIMIT = const(9)


class Base:
    name = "base"

    def __init__(self, total, limit):
        self.total = total
        self._limit = limit

    @property
    def full(self):
        return self.total >= self._limit


class Counter(Base):
    name = "counter"

    def advance(self, step):
        if not self.full:
            self.total += step


def double(value):
    return 2 * value
"""
SOURCES = {"lid.start": START, "lid.parts": PARTS, "lid.portable": "def const(value):\n    return value\n"}


def executed(text: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setitem(sys.modules, "micropython", types.SimpleNamespace(const=lambda value: value))  # type: ignore[arg-type]
    space: dict[str, Any] = {"__name__": "joined"}
    exec(compile(text, "joined", "exec"), space)
    return space


def test_joined_modules_compute_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    space = executed(bundle.join(SOURCES, "lid.start", ["run"]), monkeypatch)
    assert space["run"](1) == (10, "COUNTER", 20, 131, [2, 4])


def test_joined_names_are_short_and_exports_are_kept() -> None:
    text = bundle.join(SOURCES, "lid.start", ["run", "VERSION"])
    for gone in ("Counter", "double", "advance", "total", "LIMIT", "Twice", "argument", "from lid"):
        assert gone not in text
    for kept in ("def run(", "VERSION = ", "limit=", "upper", "crc32", "import binascii"):
        assert kept in text
    assert text.count("= const(") == 2
    assert all(line.startswith("_") for line in text.splitlines() if "const(" in line), "constants leave no global"


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("from lid import parts\n\ndef run(x):\n    return x.unheard_of\n", "lid.start:4: whose attribute is unheard_of"),
        ("from lid import parts\n\ndef run(x):\n    return str(parts)\n", "the module parts is used as a value"),
        ("import os as system\n", "under another name"),
        ("x = 1\n\ndef run():\n    global x\n    x = 2\n", "Global in a function"),
        ("def run(*, x):\n    return x\n", "only plain arguments"),
        ("def run(:\n", "lid.start:1: "),
        ("class A:\n    if True:\n        x = 1\n", "a class may hold assignments and functions"),
    ],
)
def test_module_that_cannot_be_joined_is_refused(start: str, message: str) -> None:
    with pytest.raises(bundle.BundleError, match=message.replace("(", r"\(")):
        bundle.join({**SOURCES, "lid.start": start}, "lid.start", ["run"])


def test_circle_of_imports_is_refused() -> None:
    circle = {"lid.start": "from lid import a\n", "lid.a": "from lid import b\n", "lid.b": "from lid import a\n"}
    with pytest.raises(bundle.BundleError, match="circle"):
        bundle.join(circle, "lid.start", [])


def test_deployed_firmware_is_one_module_and_what_comes_before_it() -> None:
    build = firmware_build.build(firmware.root(), "xtensawin")
    assert set(build.files) == {"lid/__init__.mpy", "lid/gate/__init__.mpy", "lid/gate/weights.mpy", "lid/start.mpy"}
    assert firmware_build.build(firmware.root(), "xtensawin") == build, "the same every time"
