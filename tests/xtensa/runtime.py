# SPDX-License-Identifier: MIT
"""What emulated code calls: MicroPython's runtime helpers, done in Python, each with an allowance of instructions.

The emulator counts the instructions of viper code exactly. The helpers are C code of the MicroPython image and are not
emulated; ALLOWANCE says how many instructions each is taken to cost. The first ones, which every call of a kernel
needs, were compared with valgrind's callgrind on the unix MicroPython 1.29 (x86-64: 37 to convert an integer, 110 a
buffer, 27 a result; 145 from a call in bytecode to viper code and back). The others were estimated by reading the C
functions (py/nativeglue.c, runtime.c, objfun.c, map.c, smallint.c) as gcc -O2 compiles them for a windowed Xtensa: 1
per simple operation, 3 per call and return, 10 for mp_obj_get_type, 20 for reaching the thread's state. They are meant
to be right within a factor of 1.5; a kernel that calls helpers in its inner loop would need better, and should not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .machine import Machine

MASK = 0xFFFFFFFF
FUN_TABLE_BASE = 0xF0000000  # where the emulated function table's entries point: 4 bytes per helper

# Index in mp_fun_table: (name, instructions).
ALLOWANCE: dict[int, tuple[str, int]] = {
    3: ("convert_obj_to_native", 35),  # switch on the type, mp_obj_get_int_truncated; a buffer costs BUFFER more
    4: ("convert_native_to_obj", 26),  # switch, does it fit a small int, shift; a boxed int costs BOXED more
    5: ("native_swap_globals", 35),  # thread state, compare; the same globals, as within a module
    7: ("load_global", 110),  # thread state, mp_map_lookup's hash, one or two probes
    9: ("load_attr", 190),  # type, class walk or instance map lookup
    10: ("load_method", 230),
    13: ("store_global", 110),
    14: ("store_attr", 190),
    15: ("obj_subscr", 140),
    16: ("obj_is_true", 25),
    17: ("unary_op", 45),
    18: ("binary_op", 70),  # small integers: two tests, a jump table, the operation, the overflow test
    27: ("call_function_n_kw", 90),  # type, slot, fun_viper_call with its stack check; the callee counts itself
    28: ("call_method_n_kw", 95),
    32: ("nlr_push", 35),
    33: ("nlr_pop", 30),
    44: ("arg_check_num_sig", 20),
    46: ("small_int_floor_divide", 14),  # two sign tests, an addition, QUOS
    47: ("small_int_modulo", 14),  # REMS, two sign tests, an addition
    49: ("setjmp", 200),  # stores the registers and spills every register window to the stack
}
BUFFER = 75  # mp_get_buffer: type, slot, indirect call, item size, fill in the structure
BOXED = 350  # an integer object beyond 31 bits: heap allocation and its search for a free block
BUILTIN = 90  # a name that is not a global: the second lookup, among the builtins

_BINARY: dict[int, Callable[[Any, Any], Any]] = {
    0: lambda a, b: a < b, 1: lambda a, b: a > b, 2: lambda a, b: a == b, 3: lambda a, b: a <= b,
    4: lambda a, b: a >= b, 5: lambda a, b: a != b, 8: lambda a, b: a is b,
}  # fmt: skip
# MP_BINARY_OP_INPLACE_OR is 9, MP_BINARY_OP_OR 22; both groups have this order.
_ARITHMETIC: list[Callable[[Any, Any], Any]] = [
    lambda a, b: a | b, lambda a, b: a ^ b, lambda a, b: a & b, lambda a, b: a << b, lambda a, b: a >> b,
    lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b,
]  # fmt: skip


def signed(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value


class Runtime:
    """The helpers, by index; each takes the stack pointer and up to four registers and returns one."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.handlers: dict[int, Callable[..., int]] = {
            3: self.convert_obj_to_native, 4: self.convert_native_to_obj, 5: lambda *_: 0, 7: self.load_global,
            9: self.load_attr, 10: self.load_method, 13: self.store_global, 14: self.store_attr, 15: self.obj_subscr,
            16: self.obj_is_true, 17: self.unary_op, 18: self.binary_op, 27: self.call_function, 28: self.call_method,
            32: lambda *_: 0, 33: lambda *_: 0, 44: self.arg_check, 46: self.floor_divide, 47: self.modulo,
            49: lambda *_: 0,
        }  # fmt: skip

    def call(self, target: int, sp: int, x: int, y: int, z: int, w: int) -> int:
        """CALLX8 through the function table."""
        index = (target - FUN_TABLE_BASE) >> 2
        if index not in self.handlers:
            raise RuntimeError(f"emulated code calls runtime helper {index} (see nativeglue.h), which is not provided")
        name, cost = ALLOWANCE[index]
        self.machine.spend(name, cost)
        return self.handlers[index](sp, x, y, z, w)

    # -- conversions ----------------------------------------------------------------------------------------------

    def convert_obj_to_native(self, sp: int, word: int, kind: int, *_: int) -> int:
        kind &= 15  # MP_NATIVE_TYPE_: 0 object, 1 bool, 2 int, 3 uint, 4.. pointers
        if kind == 0:
            return word
        value = self.machine.object_of(word)
        if kind == 1:
            return int(bool(value))
        if isinstance(value, int):
            return value & MASK
        if kind in (2, 3):
            raise TypeError(f"can't convert {type(value).__name__} to int")
        self.machine.spend("buffer", BUFFER)
        return self.machine.memory.address_of(value)

    def convert_native_to_obj(self, sp: int, word: int, kind: int, *_: int) -> int:
        kind &= 15
        if kind == 0:
            return word
        if kind == 1:
            return self.machine.word_of(bool(word))
        value = signed(word) if kind == 2 else word
        if not -(1 << 30) <= value < 1 << 30:
            self.machine.spend("boxed", BOXED)
            self.machine.boxed += 1
        return self.machine.word_of(value)

    # -- names and attributes -------------------------------------------------------------------------------------

    def load_global(self, sp: int, name: int, *_: int) -> int:
        text = self.machine.name_of(name)
        value, builtin = self.machine.current.module.resolve(text)
        if builtin:
            self.machine.spend("load_global", BUILTIN)
        return self.machine.word_of(value)

    def store_global(self, sp: int, name: int, word: int, *_: int) -> int:
        self.machine.current.module.globals[self.machine.name_of(name)] = self.machine.object_of(word)
        return 0

    def load_attr(self, sp: int, word: int, name: int, *_: int) -> int:
        return self.machine.word_of(getattr(self.machine.object_of(word), self.machine.name_of(name)))

    def store_attr(self, sp: int, word: int, name: int, value: int, *_: int) -> int:
        setattr(self.machine.object_of(word), self.machine.name_of(name), self.machine.object_of(value))
        return 0

    def load_method(self, sp: int, word: int, name: int, destination: int, *_: int) -> int:
        bound = getattr(self.machine.object_of(word), self.machine.name_of(name))
        self.machine.memory.m32[destination >> 2] = self.machine.word_of(bound)
        self.machine.memory.m32[(destination >> 2) + 1] = 0  # MP_OBJ_NULL: self is bound already
        return 0

    def obj_subscr(self, sp: int, base: int, index: int, value: int, *_: int) -> int:
        container, key = self.machine.object_of(base), self.machine.object_of(index)
        if value == 4:  # MP_OBJ_SENTINEL: load
            return self.machine.word_of(container[key])
        container[key] = self.machine.object_of(value)
        return 0

    # -- operators and calls --------------------------------------------------------------------------------------

    def obj_is_true(self, sp: int, word: int, *_: int) -> int:
        return int(bool(self.machine.object_of(word)))

    def unary_op(self, sp: int, op: int, word: int, *_: int) -> int:
        value = self.machine.object_of(word)
        return self.machine.word_of([lambda: +value, lambda: -value, lambda: ~value, lambda: not value][op]())

    def binary_op(self, sp: int, op: int, left: int, right: int, *_: int) -> int:
        a, b = self.machine.object_of(left), self.machine.object_of(right)
        if op in _BINARY:
            return self.machine.word_of(_BINARY[op](a, b))
        place = op - 22 if op >= 22 else op - 9
        if not 0 <= place < len(_ARITHMETIC):
            raise RuntimeError(f"emulated code uses binary operator {op} (see runtime0.h) on objects")
        return self.machine.word_of(_ARITHMETIC[place](a, b))

    def call_function(self, sp: int, function: int, counts: int, arguments: int, *_: int) -> int:
        return self.machine.call_object(self.machine.object_of(function), counts, arguments, sp)

    def call_method(self, sp: int, positional: int, keywords: int, arguments: int, *_: int) -> int:
        m32 = self.machine.memory.m32
        function = self.machine.object_of(m32[arguments >> 2])
        if m32[(arguments >> 2) + 1]:
            return self.machine.call_object(function, positional + 1 | keywords << 8, arguments + 4, sp)
        return self.machine.call_object(function, positional | keywords << 8, arguments + 8, sp)

    def arg_check(self, sp: int, given: int, keywords: int, signature: int, *_: int) -> int:
        raise TypeError(f"{self.machine.current.name} takes {signature >> 17} positional arguments, {given} given")

    def floor_divide(self, sp: int, x: int, y: int, *_: int) -> int:
        return signed(x) // signed(y) & MASK

    def modulo(self, sp: int, x: int, y: int, *_: int) -> int:
        return signed(x) % signed(y) & MASK
