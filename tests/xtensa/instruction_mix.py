# SPDX-License-Identifier: MIT
"""What kinds of instructions a profiled function executed: says where a kernel's time goes and what to rewrite."""

from __future__ import annotations

from collections import Counter

from earlid.flash.xtensa import Insn, decode

from .machine import Function

_KINDS = {
    "moves": ("mov",), "constants": ("movi",), "multiply": ("mull",), "calls": ("callx8", "entry", "retw"),
    "add, logic": ("add", "addi", "addx2", "addx4", "addx8", "sub", "neg", "and", "or", "xor", "extui"),
    "shifts": ("ssl", "ssr", "sll", "srl", "sra", "slli", "srli", "srai"),
}  # fmt: skip
_BY_OP = {op: kind for kind, ops in _KINDS.items() for op in ops}
KINDS = ("load local", "store local", "load", "store", *_KINDS, "branches")


def kind_of(insn: Insn) -> str:
    if insn.op in ("l32i", "s32i") and insn.s == 1:
        return "load local" if insn.op == "l32i" else "store local"
    if insn.op in ("l8ui", "l16ui", "l16si", "l32i"):
        return "load"
    if insn.op in ("s8i", "s16i", "s32i"):
        return "store"
    return _BY_OP.get(insn.op, "branches")


def mix(function: Function) -> Counter[str]:
    """Executed instructions by kind. A local that found no register costs a load or a store at every use."""
    found: Counter[str] = Counter()
    for at, count in function.hits.items():
        found[kind_of(decode(function.code.data, at))] += count
    return found
