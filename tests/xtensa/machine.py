# SPDX-License-Identifier: MIT
"""The emulated board: memory, objects, loaded modules and counters.

machine = Machine()
kernels = machine.load("firmware/lid/gate/kernels.py")
data = machine.memory.bytearray(16)
result = kernels.function("dot")(data, 16)      # ints stay ints, buffers become addresses
kernels.function("dot").instructions            # executed so far, its own code alone
"""

from __future__ import annotations

import builtins
import functools
import sys
from collections import Counter
from collections.abc import Callable, MutableMapping
from functools import partial
from pathlib import Path
from typing import Any

from . import mpyfile
from .memory import EmulatedMemory, misaligned
from .runtime import FUN_TABLE_BASE, MASK, Runtime
from .translate import XtensaTranslator

_OBJECTS_BASE = 0xE0000000  # where pointers to host objects seem to point: 16 bytes apart
_STACK_BYTES = 16384
_MISSING = object()


@functools.cache
def _translated(code: bytes, name: str, check_alignment: bool, profiled: bool) -> Callable[..., Callable[..., int]]:
    source = XtensaTranslator(code, name, check_alignment=check_alignment, profiled=profiled).source()
    space: dict[str, Any] = {}
    exec(compile(source, f"<{name}>", "exec"), space)
    return space["make"]  # type: ignore[no-any-return]


class Function:
    """A viper function of a loaded module; calling it runs its machine code."""

    def __init__(self, module: Module, code: mpyfile.Code, index: int) -> None:
        self.module, self.code, self.index = module, code, index
        self.name = f"{module.name}.{code.name}"
        self.calls = 0
        self.hits: Counter[int] = Counter()  # executions by offset in the code, if the machine profiles
        machine = module.machine
        self.address = machine.memory.allocate(16)  # mp_obj_fun_bc_t: type, context, children, code
        machine.memory.m32[(self.address >> 2) + 1] = module.context
        self._run: Callable[..., int] | None = None

    @property
    def run(self) -> Callable[..., int]:
        if self._run is None:
            machine = self.module.machine
            make = _translated(self.code.data, self.name, machine.check_alignment, machine.profiled)
            memory = machine.memory
            views = memory.m8, memory.m16, memory.m32
            self._run = make(*views, machine.runtime.call, misaligned, machine.counts, self.index, self.hits)
        return self._run

    @property
    def instructions(self) -> int:
        """Executed instructions of this function's own code."""
        return self.module.machine.counts[self.index]

    @property
    def helpers(self) -> int:
        """Instructions allowed for the runtime helpers that this function called."""
        return self.module.machine.helper_counts[self.index]

    def __call__(self, *arguments: Any) -> Any:
        return self.module.machine.call(self, arguments)

    def __get__(self, instance: Any, owner: Any) -> Any:
        return self if instance is None else partial(self, instance)

    def __repr__(self) -> str:
        return f"<viper {self.name}>"


class Module:
    """One compiled source file. Globals are looked up in `globals`, then among its own functions, then in builtins."""

    def __init__(self, machine: Machine, name: str, mpy: mpyfile.MpyFile, globals: MutableMapping[str, Any]) -> None:
        self.machine, self.name, self.mpy, self.globals = machine, name, mpy, globals
        memory = machine.memory
        names = memory.allocate(2 * len(mpy.names))
        for place, text in enumerate(mpy.names):
            memory.m16[(names >> 1) + place] = machine.number_of(text)
        constants = memory.allocate(4 * len(mpy.constants))
        for place, value in enumerate(mpy.constants):
            word = machine.fun_table if value is mpyfile.FUN_TABLE else machine.word_of(value)
            memory.m32[(constants >> 2) + place] = word
        self.context = memory.allocate(16)  # mp_module_context_t: type, globals, names, constants
        memory.m32[self.context >> 2 : (self.context >> 2) + 4] = memoryview(
            b"".join(word.to_bytes(4, "little") for word in (0, self.context, names, constants))
        ).cast("I")
        self.functions: dict[str, Function] = {}
        for code in mpy.body.walk():
            if code.kind == mpyfile.VIPER:
                self.functions[code.name] = machine.add(Function(self, code, len(machine.counts)))

    def function(self, name: str) -> Function:
        if name not in self.functions:
            raise KeyError(f"{self.name} has no viper function {name!r}, only {', '.join(sorted(self.functions))}")
        return self.functions[name]

    def resolve(self, name: str) -> tuple[Any, bool]:
        """A global's value, and whether it was found among the builtins."""
        value = self.globals.get(name, self.functions.get(name, _MISSING))
        if value is not _MISSING:
            return value, False
        if hasattr(builtins, name):
            return getattr(builtins, name), True
        raise NameError(f"emulated code in {self.name} wants the global {name!r}, which was not given")

    @property
    def native_bytes(self) -> int:
        """Machine code in this module, with its constants: what takes executable memory on the board."""
        return sum(len(code.data) for code in self.mpy.body.walk() if code.kind != mpyfile.BYTECODE)


class Machine:
    def __init__(
        self, ram_bytes: int = 1 << 20, *, check_alignment: bool = True, profiled: bool = False, shortened: bool = True
    ) -> None:
        self.memory = EmulatedMemory(ram_bytes)
        self.shortened = shortened  # as the board gets the code, or as mpy-cross writes it
        self.check_alignment, self.profiled = check_alignment, profiled
        self.counts: list[int] = []  # instructions, per function
        self.helper_counts: list[int] = []  # allowances for helpers, per calling function
        self.helper_calls: Counter[str] = Counter()
        self.boxed = 0  # integers beyond 31 bits that viper code made into objects: each is an allocation on the board
        self.functions: dict[int, Function] = {}
        self.runtime = Runtime(self)
        self._names: list[str] = []
        self._numbers: dict[str, int] = {}
        self._objects: list[Any] = []
        self._lasting = 0  # objects that constant tables point to; the others go at the end of a call
        self.fun_table = self.memory.allocate(4 * 64)
        for index in range(64):
            self.memory.m32[(self.fun_table >> 2) + index] = FUN_TABLE_BASE + 4 * index
        for index, value in enumerate((None, False, True)):
            self.memory.m32[(self.fun_table >> 2) + index] = self.word_of(value)
        self._keep_objects()
        self._arguments = self.memory.allocate(4 * 32)
        self._stack_top = self.memory.allocate(_STACK_BYTES) + _STACK_BYTES
        self._running: list[Function] = []

    # -- loading --------------------------------------------------------------------------------------------------

    def load(self, path: str | Path, globals: MutableMapping[str, Any] | None = None, name: str = "") -> Module:
        """Compile a source file for the ESP32 and make its viper functions callable."""
        path = Path(path)
        return self.load_source(path.read_text(encoding="utf-8"), globals, name or path.stem)

    def load_source(self, source: str, globals: MutableMapping[str, Any] | None = None, name: str = "module") -> Module:
        mpy = mpyfile.compile_source(source, f"{name.rpartition('.')[2]}.py", shortened=self.shortened)
        module = Module(self, name, mpy, {} if globals is None else globals)
        self._keep_objects()
        return module

    def add(self, function: Function) -> Function:
        self.functions[function.address] = function
        self.counts.append(0)
        self.helper_counts.append(0)
        return function

    # -- objects and names as words -------------------------------------------------------------------------------

    def word_of(self, value: Any) -> int:
        """The 32-bit word that stands for a Python object: a small integer, or a pointer to something."""
        if isinstance(value, Function):
            return value.address
        if type(value) is int and -(1 << 30) <= value < 1 << 30:
            return (value << 1 | 1) & MASK
        self._objects.append(value)
        return _OBJECTS_BASE + 16 * (len(self._objects) - 1)

    def object_of(self, word: int) -> Any:
        if word & 1:
            return (word - (1 << 32) if word >> 31 else word) >> 1
        if word >= _OBJECTS_BASE:
            return self._objects[(word - _OBJECTS_BASE) >> 4]
        if word in self.functions:
            return self.functions[word]
        raise RuntimeError(f"emulated code hands over {word:#x}, which is no object")

    def number_of(self, name: str) -> int:
        if name not in self._numbers:
            self._numbers[name] = len(self._names)
            self._names.append(name)
        return self._numbers[name]

    def name_of(self, number: int) -> str:
        return self._names[number]

    def _keep_objects(self) -> None:
        self._lasting = len(self._objects)

    # -- calling --------------------------------------------------------------------------------------------------

    @property
    def current(self) -> Function:
        return self._running[-1]

    def spend(self, name: str, instructions: int) -> None:
        self.helper_calls[name] += 1
        self.helper_counts[self._running[-1].index] += instructions

    def _enter(self, function: Function, counts: int, arguments: int, sp: int) -> int:
        if sp < self._stack_top - _STACK_BYTES:
            raise RecursionError(f"the emulated stack of {_STACK_BYTES} bytes is full in {function.name}")
        self._running.append(function)
        function.calls += 1
        try:
            return function.run(function.address, counts & 0xFF, counts >> 8, arguments, sp)
        except IndexError as error:
            raise RuntimeError(f"{function.name} reads or writes outside the emulated RAM") from error
        finally:
            self._running.pop()

    def call_object(self, callee: Any, counts: int, arguments: int, sp: int) -> int:
        """A call from emulated code: to other emulated code, or to a Python callable."""
        if isinstance(callee, Function):
            return self._enter(callee, counts, arguments, sp)
        words = self.memory.m32[arguments >> 2 : (arguments >> 2) + (counts & 0xFF)]
        return self.word_of(callee(*[self.object_of(word) for word in words]))

    def call(self, function: Function, arguments: tuple[Any, ...]) -> Any:
        """A call from Python, with ints, buffers in emulated RAM, bytes constants or other objects."""
        nested = len(self._running)
        if nested:
            raise RuntimeError("a Python function that emulated code called calls emulated code again")
        base = self._arguments >> 2
        tracer = sys.gettrace()  # whoever watches Python code (interpreter_cost.py) is not to watch, and slow down, emulated code
        sys.settrace(None)
        try:
            for place, value in enumerate(arguments):
                self.memory.m32[base + place] = self.word_of(value)
            return self.object_of(self._enter(function, len(arguments), self._arguments, self._stack_top))
        finally:
            del self._objects[self._lasting :]
            sys.settrace(tracer)

    # -- counters -------------------------------------------------------------------------------------------------

    @property
    def instructions(self) -> dict[str, int]:
        """Executed instructions per function, of its own code alone."""
        return {function.name: self.counts[function.index] for function in self.functions.values()}

    def reset_counters(self) -> None:
        for index in range(len(self.counts)):
            self.counts[index] = self.helper_counts[index] = 0
        for function in self.functions.values():
            function.calls = 0
            function.hits.clear()
        self.helper_calls.clear()
        self.boxed = 0


def load(path: str | Path, globals: MutableMapping[str, Any] | None = None) -> Module:
    """A source file's viper functions on a machine of their own (`.machine`)."""
    return Machine().load(path, globals)
