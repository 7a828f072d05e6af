# SPDX-License-Identifier: MIT
"""The Xtensa instructions that MicroPython's emitter writes (py/asmxtensa.h), and shorter forms of them; any other is refused.

Fields and meanings: Xtensa Instruction Set Architecture reference manual, chapters 6 and 7 (little-endian encodings).
"""

from __future__ import annotations

from dataclasses import dataclass

CONDITIONS = {1: "eq", 2: "lt", 3: "ltu", 9: "ne", 10: "ge", 11: "geu"}
_LOAD_STORE = {  # by the field r: the name, and the scale of the offset
    0: ("l8ui", 0), 1: ("l16ui", 1), 2: ("l32i", 2), 4: ("s8i", 0), 5: ("s16i", 1), 6: ("s32i", 2), 9: ("l16si", 1),
}  # fmt: skip
_THREE_REGISTERS = {  # by op2 and op1
    0x10: "and", 0x20: "or", 0x30: "xor", 0x80: "add", 0x90: "addx2", 0xA0: "addx4", 0xB0: "addx8", 0xC0: "sub",
    0x82: "mull",
}  # fmt: skip


class Unsupported(ValueError):
    """An instruction that is not in the emitter's repertoire."""


@dataclass(frozen=True)
class Insn:
    """One instruction. d: register written, s and t: registers read, imm: constant, target: address in the code."""

    at: int
    size: int
    op: str
    d: int = -1
    s: int = -1
    t: int = -1
    imm: int = 0
    target: int = -1

    @property
    def after(self) -> int:
        return self.at + self.size


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) & 1 else value


def _narrow(at: int, word: int) -> Insn:
    op0, t, s, r = word & 15, word >> 4 & 15, word >> 8 & 15, word >> 12 & 15
    if op0 == 8:
        return Insn(at, 2, "l32i", d=t, s=s, imm=r * 4)
    if op0 == 9:
        return Insn(at, 2, "s32i", t=t, s=s, imm=r * 4)
    if op0 == 10:
        return Insn(at, 2, "add", d=r, s=s, t=t)
    if op0 == 11:
        return Insn(at, 2, "addi", d=r, s=s, imm=t or -1)
    if op0 == 12 and t < 8:
        imm = (t & 7) << 4 | r
        return Insn(at, 2, "movi", d=s, imm=imm - 128 if imm >= 96 else imm)
    if op0 == 13 and r == 0:
        return Insn(at, 2, "mov", d=t, s=s)
    if op0 == 13 and r == 15 and t == 1:
        return Insn(at, 2, "retw")
    raise Unsupported(f"narrow instruction {word:04x} at {at:#x}")


def _registers(at: int, word: int) -> Insn | None:
    """Instructions with op0 = 0: arithmetic between registers, shifts, calls and jumps through a register."""
    t, s, r, op1, op2 = (word >> shift & 15 for shift in (4, 8, 12, 16, 20))
    if op2 << 4 | op1 in _THREE_REGISTERS:
        return Insn(at, 3, _THREE_REGISTERS[op2 << 4 | op1], d=r, s=s, t=t)
    if (op1, op2, s) == (0, 6, 0):
        return Insn(at, 3, "neg", d=r, s=t)
    if (op1, op2) == (0, 4) and r in (0, 1):
        return Insn(at, 3, "ssl" if r else "ssr", s=s)
    if op1 == 1 and op2 in (0, 1):
        return Insn(at, 3, "slli", d=r, s=s, imm=32 - (op2 << 4 | t))
    if op1 == 1 and op2 in (2, 3):
        return Insn(at, 3, "srai", d=r, s=t, imm=(op2 & 1) << 4 | s)
    if op1 == 1 and op2 == 4:
        return Insn(at, 3, "srli", d=r, s=t, imm=s)
    if op1 == 1 and op2 in (9, 11):
        return Insn(at, 3, "srl" if op2 == 9 else "sra", d=r, s=t)
    if (op1, op2) == (1, 10):
        return Insn(at, 3, "sll", d=r, s=s)
    if op1 in (4, 5):
        return Insn(at, 3, "extui", d=r, s=t, imm=(op1 & 1) << 4 | s, target=(2 << op2) - 1)
    if (op1, op2, r) == (0, 0, 0) and t == 0b1110:
        return Insn(at, 3, "callx8", s=s)
    return None


def decode(code: bytes, at: int) -> Insn:
    """The instruction at offset `at`; branch targets are offsets too. Raises Unsupported."""
    op0 = code[at] & 15
    if op0 >= 8:
        return _narrow(at, int.from_bytes(code[at : at + 2], "little"))
    word = int.from_bytes(code[at : at + 3], "little")
    t, s, r, imm8 = word >> 4 & 15, word >> 8 & 15, word >> 12 & 15, word >> 16
    insn = None
    if op0 == 0:
        insn = _registers(at, word)
    elif op0 == 1:
        place = (at + 3 & ~3) + ((word >> 8) - 0x10000) * 4
        insn = Insn(at, 3, "movi", d=t, imm=int.from_bytes(code[place : place + 4], "little"))
    elif op0 == 2:
        if r in _LOAD_STORE:
            op, scale = _LOAD_STORE[r]
            place = imm8 << scale
            insn = Insn(at, 3, op, d=t, s=s, imm=place) if op[0] == "l" else Insn(at, 3, op, t=t, s=s, imm=place)
        elif r == 10:
            insn = Insn(at, 3, "movi", d=t, imm=_signed(s << 8 | imm8, 12))
        elif r in (12, 13):
            insn = Insn(at, 3, "addi", d=t, s=s, imm=_signed(imm8, 8) << (8 if r == 13 else 0))
    elif op0 == 6 and t & 3 == 0:
        insn = Insn(at, 3, "j", target=at + 4 + _signed(word >> 6, 18))
    elif op0 == 6 and t & 3 == 1:
        insn = Insn(at, 3, ("beqz", "bnez", "bltz", "bgez")[t >> 2], s=s, target=at + 4 + _signed(word >> 12, 12))
    elif op0 == 6 and t == 3:
        insn = Insn(at, 3, "entry", s=s, imm=(word >> 12) * 8)
    elif op0 == 7 and r in CONDITIONS:
        insn = Insn(at, 3, "b" + CONDITIONS[r], s=s, t=t, target=at + 4 + _signed(imm8, 8))
    if insn is None:
        raise Unsupported(f"instruction {word:06x} at {at:#x}")
    return insn


_LOAD_STORE_CODES = {name: (r, scale) for r, (name, scale) in _LOAD_STORE.items()}
_REGISTER_CODES = {name: code for code, name in _THREE_REGISTERS.items()}
_CONDITION_CODES = {"b" + name: r for r, name in CONDITIONS.items()}
_ZERO_CONDITIONS = ("beqz", "bnez", "bltz", "bgez")


def _pack(op0: int, t: int = 0, s: int = 0, r: int = 0, imm8: int = 0) -> tuple[int, int]:
    return op0 | t << 4 | s << 8 | r << 12 | imm8 << 16, 3


def _encoded(i: Insn, distance: int, literal: int) -> tuple[int, int]:
    """The word and its bytes. distance: target less address less 4; literal: of a constant that has a place of its own."""
    op, d, s, t, imm = i.op, i.d, i.s, i.t, i.imm
    signed = _signed(imm & 0xFFFFFFFF, 32)
    if op in ("l32i", "s32i") and imm <= 60:
        return (8 if op == "l32i" else 9) | (d if op == "l32i" else t) << 4 | s << 8 | imm << 10, 2
    if op in _LOAD_STORE_CODES:
        r, scale = _LOAD_STORE_CODES[op]
        return _pack(2, d if op[0] == "l" else t, s, r, imm >> scale)
    if op == "add":
        return 10 | t << 4 | s << 8 | d << 12, 2
    if op in _REGISTER_CODES:
        return _pack(0, t, s, d, _REGISTER_CODES[op] & 15 | (_REGISTER_CODES[op] >> 4) << 4)
    if op == "mov":
        return 13 | d << 4 | s << 8, 2
    if op == "movi" and -32 <= signed < 96:
        return 12 | (signed >> 4 & 7) << 4 | d << 8 | (signed & 15) << 12, 2
    if op == "movi" and -2048 <= signed < 2048:
        return _pack(2, d, signed >> 8 & 15, 10, signed & 255)
    if op == "movi":
        return 1 | d << 4 | (literal & 0xFFFF) << 8, 3
    if op == "addi" and (imm == -1 or 0 < imm < 16):
        return 11 | (imm & 15 if imm > 0 else 0) << 4 | s << 8 | d << 12, 2
    if op == "addi":
        return _pack(2, d, s, 12, imm & 255) if -128 <= imm < 128 else _pack(2, d, s, 13, imm >> 8 & 255)
    if op == "neg":
        return _pack(0, s, 0, d, 0x60)
    if op in ("ssr", "ssl"):
        return _pack(0, 0, s, op == "ssl", 0x40)
    if op == "slli":
        return _pack(0, 32 - imm & 15, s, d, 1 | (32 - imm >> 4) << 4)
    if op == "srai":
        return _pack(0, s, imm & 15, d, 1 | (2 | imm >> 4) << 4)
    if op == "srli":
        return _pack(0, s, imm, d, 0x41)
    if op in ("srl", "sra"):
        return _pack(0, s, 0, d, 0x91 if op == "srl" else 0xB1)
    if op == "sll":
        return _pack(0, 0, s, d, 0xA1)
    if op == "extui":
        return _pack(0, s, imm & 15, d, 4 | imm >> 4 | (i.target.bit_length() - 1) << 4)
    if op == "callx8":
        return _pack(0, 14, s)
    if op == "retw":
        return 0xF01D, 2
    if op == "entry":
        return 6 | 3 << 4 | s << 8 | imm // 8 << 12, 3
    if op == "j":
        bits, word = 18, 6 | (distance & 0x3FFFF) << 6
    elif op in _ZERO_CONDITIONS:
        bits, word = 12, 6 | (1 | _ZERO_CONDITIONS.index(op) << 2) << 4 | s << 8 | (distance & 0xFFF) << 12
    else:
        bits, word = 8, 7 | t << 4 | s << 8 | _CONDITION_CODES[op] << 12 | (distance & 255) << 16
    if not -(1 << bits - 1) <= distance < 1 << bits - 1:
        raise Unsupported(f"{op} over {distance} bytes")
    return word, 3


def size_of(i: Insn) -> int:
    """Bytes of the instruction, wherever it stands."""
    return _encoded(i, 0, 0)[1]


def encode(i: Insn, places: dict[int, int]) -> bytes:
    """The shortest form of an instruction; `decode` reversed.

    Args:
        i: its address is `at`, a jump's `target` is an address too.
        places: addresses of the constants that do not fit an instruction, by value.

    Raises:
        Unsupported: when the target is too far for such a jump.
    """
    literal = (places.get(i.imm & 0xFFFFFFFF, 0) - (i.at + 3 & ~3)) // 4 if i.op == "movi" else 0
    word, size = _encoded(i, i.target - i.at - 4, literal)
    return word.to_bytes(size, "little")
