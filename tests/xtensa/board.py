# SPDX-License-Identifier: MIT
"""Runs firmware modules with their viper functions on emulated Xtensa code and everything else under CPython.

Modules of `lid.gate` are loaded from their source into namespaces of their own, where `micropython`, `array` and
`bytearray` are stand-ins: `@micropython.viper` gives the emulated function, buffers lie in emulated RAM.

    board = EmulatedBoard(Path("firmware"))
    frontend = board.module("lid.gate.frontend").Frontend()
    frontend.push(board.machine.memory.bytearray(320))
"""

from __future__ import annotations

import builtins
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import machine as machine_module
from . import mpyfile
from .memory import view_of


class EmulatedBoard:
    def __init__(self, firmware: Path, ram_bytes: int = 1 << 20, *, profiled: bool = False) -> None:
        self.firmware = firmware
        self.machine = machine_module.Machine(ram_bytes, profiled=profiled)
        self.modules: dict[str, types.ModuleType] = {}
        self.compiled: dict[str, machine_module.Module] = {}
        memory = self.machine.memory
        stand_ins = {"bytearray": memory.bytearray, "memoryview": view_of, "__import__": self._import}
        self._builtins = {**vars(builtins), **stand_ins}
        self._stand_ins = {
            "array": _module("array", array=memory.array),
            "uctypes": _module("uctypes", addressof=memory.address_of),
        }

    def module(self, name: str) -> types.ModuleType:
        """A firmware module such as "lid.gate.frontend", loaded once."""
        if name not in self.modules:
            path = self.firmware.joinpath(*name.split(".")).with_suffix(".py")
            module = self.modules[name] = types.ModuleType(name)
            space = vars(module)
            space.update(__builtins__=self._builtins, __file__=str(path))
            space.update(dict.fromkeys(("ptr", "ptr8", "ptr16", "ptr32", "uint")))  # annotations of viper functions
            source = path.read_text(encoding="utf-8")
            compiled = self.compiled[name] = self.machine.load_source(source, space, name)
            space["__micropython__"] = _module("micropython", const=_same, native=_same, viper=_viper(compiled))
            exec(compile(source, str(path), "exec"), space)
        return self.modules[name]

    def _import(self, name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        if name == "micropython":
            return globals["__micropython__"]
        if name in self._stand_ins:
            return self._stand_ins[name]
        if name.split(".")[0] != "lid":
            return __import__(name, globals, locals, fromlist, level)
        if level or not fromlist:
            raise ImportError(f"the emulated board understands `from {name} import ...` only")
        if self.firmware.joinpath(*name.split(".")).is_dir():
            return _module(name, **{part: self.module(f"{name}.{part}") for part in fromlist})
        return self.module(name)

    @property
    def sources(self) -> dict[str, mpyfile.MpyFile]:
        """Loaded modules in compiled form, by the path of their source."""
        return {vars(self.modules[name])["__file__"]: compiled.mpy for name, compiled in self.compiled.items()}

    @property
    def native_bytes(self) -> dict[str, int]:
        """Machine code of each loaded module."""
        return {name: compiled.native_bytes for name, compiled in self.compiled.items()}


def _module(name: str, **contents: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module).update(contents)
    return module


def _same(value: Any) -> Any:
    return value


def _viper(compiled: machine_module.Module) -> Callable[[Any], machine_module.Function]:
    return lambda function: compiled.function(function.__qualname__.replace("<locals>.", ""))
