# SPDX-License-Identifier: MIT
"""The board's machine code is mpy-cross's, shortened: every function of it, and the one that the tests here emulate.

That it computes the same is what test_emulator.py (random programs) and test_gate_xtensa.py (the gate's oracles) say.
"""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import pytest
from earlid.flash import firmware_build, mpy, shorten, xtensa
from earlid.flash.xtensa import Insn, Unsupported

from . import mpyfile
from .gate import FIRMWARE
from .translate import reachable

SOURCES = sorted(path for path in (FIRMWARE / "lid").rglob("*.py") if "@micropython.viper" in path.read_text())


def functions(path: Path, *, shortened: bool) -> dict[str, bytes]:
    body = mpyfile.compile_source(path.read_text(), path.name, shortened=shortened).body
    return {code.name: code.data for code in body.walk() if code.kind == mpyfile.VIPER}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_function_of_the_firmware_gets_shorter(path: Path) -> None:
    before = functions(path, shortened=False)
    after = functions(path, shortened=True)
    assert {name: len(code) for name, code in before.items() if len(after[name]) > 0.82 * len(code)} == {}


def steps(code: bytes) -> tuple[Insn, ...]:
    """The instructions, wherever the constants of the file have the table of helpers."""
    ordered = sorted(reachable(code).values(), key=lambda insn: insn.at)
    number = {insn.at: place for place, insn in enumerate(ordered)}
    kept = [insn for insn in ordered if (insn.op, insn.d, insn.s) != ("l32i", 7, 7)]
    return tuple(dataclasses.replace(i, at=0, target=i.target if i.op == "extui" else number.get(i.target, -1)) for i in kept)


def test_board_runs_the_machine_code_that_is_emulated() -> None:
    entry = firmware_build.build(FIRMWARE, firmware_build.ESP32_ARCH).files["lid/start.mpy"]
    deployed: list[bytes] = []

    def note(code: bytes) -> bytes:
        deployed.append(code)
        return code

    assert mpy.with_viper(entry, note) == entry
    emulated = {steps(code) for path in SOURCES for code in functions(path, shortened=True).values()}
    assert emulated <= {steps(code) for code in deployed}
    assert len(emulated) > 15


def test_instruction_survives_encoding() -> None:
    seen = set()
    for path, shortened in itertools.product(SOURCES, (False, True)):
        for code in functions(path, shortened=shortened).values():
            for insn in reachable(code).values():
                if code[insn.at] & 15 == 1:  # a constant from its place before the code
                    continue
                encoded = xtensa.encode(insn, {})
                assert len(encoded) <= insn.size
                found = xtensa.decode(code[: insn.at] + encoded + bytes(3), insn.at)
                assert dataclasses.replace(found, size=insn.size) == insn
                seen.add(insn.op)
    assert len(seen) > 30, seen


def test_branch_beyond_its_reach_is_refused() -> None:
    near = Insn(0, 3, "beq", s=4, t=5, target=131)
    assert xtensa.decode(xtensa.encode(near, {}), 0) == near
    with pytest.raises(Unsupported, match="beq over 128 bytes"):
        xtensa.encode(dataclasses.replace(near, target=132), {})


HANDS_OUT_ITS_FRAME = """
@micropython.viper
def f(x: int) -> int:
    return int(len(TABLE)) + x
"""


def test_function_that_hands_out_its_frame_stays() -> None:
    raw, code = (
        mpyfile.compile_source(HANDS_OUT_ITS_FRAME, shortened=shortened).body.children[0].data for shortened in (False, True)
    )
    assert shorten.shorten(raw) == code == raw


def assembled(*insns: Insn) -> bytes:
    """Machine code of instructions whose targets are numbers among them."""
    places = list(itertools.accumulate(map(xtensa.size_of, insns), initial=0))
    placed = [
        dataclasses.replace(i, at=at, target=places[i.target] if i.op[0] in "bj" else -1)
        for i, at in zip(insns, places, strict=False)
    ]
    return b"".join(xtensa.encode(insn, {}) for insn in placed)


ENTRY, RETURN = Insn(0, 3, "entry", s=1, imm=32), Insn(0, 2, "retw")


def move(register: int, value: int) -> Insn:
    return Insn(0, 2, "movi", d=register, imm=value)


def operations(code: bytes) -> list[str]:
    return [insn.op for _, insn in sorted(reachable(code).items())]


WHOLE = ["entry", "movi", "bnez", "movi", "beq", "movi", "beqz", "movi", "retw", "movi", "retw"]


@pytest.mark.parametrize(("also", "result", "expected"), [
    (7, move(2, 1), ["entry", "bnez", "bne", "movi", "retw", "movi", "retw"]),
    (6, move(2, 1), WHOLE),
    (3, Insn(0, 2, "mov", d=2, s=10), ["entry", "bnez", *WHOLE[3:7], "mov", *WHOLE[8:]]),
], ids=["alone", "jumped into", "read later"])  # fmt: skip
def test_comparison_stays_where_it_is_more_than_a_branch(also: int, result: Insn, expected: list[str]) -> None:
    code = assembled(
        ENTRY, move(10, 5), Insn(0, 3, "bnez", s=2, target=also), move(10, 1),
        Insn(0, 3, "beq", s=3, t=4, target=6), move(10, 0), Insn(0, 3, "beqz", s=10, target=9),
        result, RETURN, move(2, 0), RETURN,
    )  # fmt: skip
    assert operations(shorten.shorten(code)) == expected


@pytest.mark.parametrize(("also", "expected"), [
    (5, ["entry", "beqz", "beqz", "movi", "retw", "movi", "retw"]),
    (3, ["entry", "beqz", "bnez", "j", "movi", "retw", "movi", "retw"]),
])  # fmt: skip
def test_jump_that_is_jumped_to_stays(also: int, expected: list[str]) -> None:
    code = assembled(
        ENTRY, Insn(0, 3, "beqz", s=2, target=also), Insn(0, 3, "bnez", s=3, target=4), Insn(0, 3, "j", target=6),
        move(2, 1), RETURN, move(2, 0), RETURN,
    )  # fmt: skip
    assert operations(shorten.shorten(code)) == expected


def test_unknown_instruction_stops_the_build() -> None:
    with pytest.raises(Unsupported, match="000000"):
        shorten.shorten(bytes(8))
