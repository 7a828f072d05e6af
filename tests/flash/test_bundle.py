# SPDX-License-Identifier: MIT
"""Modules joined into one compute what they computed before, by short names; what cannot be joined safely is refused."""

from __future__ import annotations

import builtins
import sys
import types
from typing import Any

import pytest
from earlid import firmware
from earlid.flash import bundle, firmware_build, mpy

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


def test_joined_names_are_the_images_and_exports_are_kept() -> None:
    text = bundle.join(SOURCES, "lid.start", ["run", "VERSION"])
    for gone in ("Counter", "double", "advance", "total", "LIMIT", "Twice", "argument", "from lid"):
        assert gone not in text
    for kept in ("def run(", "VERSION = ", "limit=", "upper", "crc32", "import binascii"):
        assert kept in text
    assert text.count("= const(") == 2
    assert all(line.startswith("_") for line in text.splitlines() if "const(" in line), "constants leave no global"


HOSTILE = """
from lid.portable import const

e = const(2)
TX = 5


class RX:
    on = TX
    off = TX + on

    def append(self, IN):
        return IN + self.on + e + self.off - 2 * TX

    @property
    def gc(self):
        on = 7
        return on * TX


def run(id):
    on, pi = RX(), [1]
    pi.append(id)
    return on.append(id), on.gc, pi, [abs(IN) for IN in (-1, 2)]
"""


def test_names_of_ours_that_the_image_has_do_not_collide(monkeypatch: pytest.MonkeyPatch) -> None:
    text = bundle.join({"lid.start": HOSTILE, "lid.portable": SOURCES["lid.portable"]}, "lid.start", ["run"])
    assert executed(text, monkeypatch)["run"](3) == (10, 35, [1, 3], [1, 2])


def test_deployed_names_are_given_once_and_shadow_nothing() -> None:
    sources = {name.replace("/", "."): path.read_text() for name, path in firmware_build.source_files(firmware.root()).items()}
    separate = {name.replace("/", ".") for name in firmware_build.SEPARATE}
    modules = bundle._in_import_order({name: text for name, text in sources.items() if name not in separate}, "lid.start")
    names = bundle._Names(modules, "lid.start", frozenset({"run"}))
    visible, attributes = [*names.arguments, *names.globals.values()], list(names.attributes.values())
    assert len(visible) == len(set(visible)) > 150
    assert len(attributes) == len(set(attributes)) > 300
    new = {*visible, *attributes}
    kept = names.known - set(names.attributes)
    assert not kept & set(names.attributes.values()), "two attributes under one name"
    assert not set(dir(builtins)) & new
    assert {name for name in new if name not in mpy.IMAGE_NAMES and not name.startswith("_")} == set(), "names that cost memory"


def test_functions_that_nothing_calls_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = "def used():\n    return 11\n\ndef helper():\n    return 22\n\ndef unused(n):\n    return unused(n - 1) + helper()\n"
    text = bundle.join(
        {"lid.start": "from lid import b\n\ndef run():\n    return b.used()\n", "lid.b": parts}, "lid.start", ["run"]
    )
    assert executed(text, monkeypatch)["run"]() == 11
    assert text.count("def ") == 2
    assert "22" not in text


def test_deleted_global_is_gone_from_the_one_module(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = "def once():\n    return 11\n\ndef again():\n    return 22\n"
    start = (
        "from lid import b\n\ndef first():\n    return b.once()\n\ndef forget():\n    global first\n    del first, b.once\n\n"
        "def run():\n    x = [first(), b.again()]\n    forget()\n    y = 1\n    del y\n    return x\n"
    )
    space = executed(bundle.join({"lid.start": start, "lid.b": parts}, "lid.start", ["run"]), monkeypatch)
    before = {name for name, value in space.items() if callable(value)}
    assert space["run"]() == [11, 22]
    after = {name for name, value in space.items() if callable(value)}
    assert (len(before), len(after)) == (6, 4), "const, and of five functions three"
    with pytest.raises(NameError):
        space["run"]()


def test_texts_of_tuples_are_shared_with_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    source = "KINDS = ('open', 'close', 3)\nSIZES = (1, 2)\n\ndef run(x):\n    return KINDS.index(x), KINDS, SIZES\n"
    text = bundle.join({"lid.start": source}, "lid.start", ["run"])
    assert executed(text, monkeypatch)["run"]("close") == (1, ("open", "close", 3), (1, 2))
    assert text.count("tuple([") == 1
    reasons = "REASONS = (" + ", ".join(f"'reason{number}'" for number in range(30)) + ")\n\ndef run():\n    return REASONS\n"
    plain, shared = (mpy.measure(firmware_build.compile_module(one, "x", "xtensawin")) for one in (
        reasons, bundle.join({"lid.start": reasons}, "lid.start", ["run"])
    ))  # fmt: skip
    assert plain.heap - shared.heap > 400


def test_list_of_the_images_names_holds_names_once() -> None:
    assert len(set(mpy.IMAGE_NAMES)) == len(mpy.IMAGE_NAMES) > 700
    assert all(name.isidentifier() and not name.startswith("_") for name in mpy.IMAGE_NAMES)


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
    modules = {"lid/__init__", "lid/gate/__init__", "lid/gate/weights", "lid/migration", "lid/start"}
    assert set(build.files) == {f"{module}.mpy" for module in modules}
    assert firmware_build.build(firmware.root(), "xtensawin") == build, "the same every time"
