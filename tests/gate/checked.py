# SPDX-License-Identifier: MIT
"""The gate's own source under CPython, with viper's types and 32 bits that may not be left.

    frontend = load_checked("lid.gate.frontend").Frontend()     # any module of lid.gate; use it as on the board
    frontend.push(hop)                                          # Overflow, OutOfBounds, ... name file, line, function
    double = check_source("@micropython.viper\ndef double(x: int) -> int:\n    return x + x\n").double

Every function decorated `@micropython.viper` is translated statement by statement; the rest of the module runs as it
is, and what it imports from `lid.gate` is loaded the same way. The rules are those of MicroPython's native emitter
(py/emitnative.c), read as the strictest of its targets, so that what passes here means the same on a 32-bit board and
on the 64-bit unix port:

* A local has the type of its first assignment. A binary operation has the type of its left operand; a comparison wants
  the same type on both sides; `//` and `%` want a signed left operand; a `bool` does not compute.
* No result may leave int32, or uint32 where the left operand is `uint`. Nor may a cast change a value: `uint(-1)` and
  `int(uint(...))` above 2^31 - 1 read differently on 64 bits.
* Shifts by less than 0 or more than 31 are refused. So are constants beyond 31 bits, which are objects on the board.
* ptr8 and ptr16 load unsigned. ptr32 loads signed on the board and unsigned on 64 bits, so a loaded value with the top
  bit set is refused unless it is cast on the spot: `uint(p[0])`. Stores cut off the high bits, as on the board.
* Every access is checked against its buffer's bounds and for alignment, which the board's processor insists on.
  `int(p)` is an address; `ptr16(int(p) + 4)` is how a pointer moves.
* Globals other than `const()` are refused: viper would look them up by name at each use. So are calls but for casts.

It costs about 15 ms per hop of the frontend, a thousand times what MicroPython takes: use short signals.
"""

from __future__ import annotations

import ast
import builtins
import importlib.util
import types
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

SLOT = 1 << 20  # each buffer of a call has a megabyte of addresses to itself, and starts GUARD bytes into it
GUARD = 1 << 16
FIRST_SLOT = 256
PLACED_SLOT = 1024  # buffers whose address was asked for: the same in every call
MARKS = {"int": (-(1 << 31), (1 << 31) - 1), "uint": (0, (1 << 32) - 1)}
WIDTH = {"ptr8": 1, "ptr16": 2, "ptr32": 4}
OPERATORS = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.FloorDiv: "//", ast.Mod: "%", ast.LShift: "<<", ast.RShift: ">>",
    ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^",
}  # fmt: skip
COMPARISONS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}


class CheckError(AssertionError):
    """Something that would go wrong, or mean something else, on a board."""


class Overflow(CheckError):
    """A value left its 32 bits."""


class OutOfBounds(CheckError):
    """An access outside a buffer, or one that is not aligned."""


class BadShift(CheckError):
    """A shift by less than 0 or more than 31."""


class BadType(CheckError):
    """Viper would refuse this, or take it for an object."""


_placed: dict[int, tuple[memoryview, int]] = {}  # by identity of the buffer, which the view keeps alive


def addressof(buffer: Any) -> int:
    """uctypes.addressof()."""
    if id(buffer) not in _placed:
        _placed[id(buffer)] = memoryview(buffer).cast("B"), (PLACED_SLOT + len(_placed)) * SLOT + GUARD
    return _placed[id(buffer)][1]


class CheckedMemory:
    """The buffers that one call was given, at addresses that fit a signed 32-bit integer."""

    def __init__(self) -> None:
        self.slots: list[memoryview] = []

    def add(self, buffer: Any) -> int:
        if isinstance(buffer, int):
            return buffer
        if id(buffer) in _placed:
            return addressof(buffer)
        self.slots.append(memoryview(buffer).cast("B"))
        return (FIRST_SLOT + len(self.slots) - 1) * SLOT + GUARD

    def find(self, address: int, size: int, where: str) -> tuple[memoryview, int]:
        slot, offset = (address // SLOT) - FIRST_SLOT, address % SLOT - GUARD
        slots = self.slots
        if slot >= PLACED_SLOT - FIRST_SLOT:
            slot, slots = slot - (PLACED_SLOT - FIRST_SLOT), [view for view, _ in _placed.values()]
        if not 0 <= slot < len(slots):
            raise OutOfBounds(f"{where}: address {address:#x} is in no buffer")
        view = slots[slot]
        if not 0 <= offset <= len(view) - size:
            raise OutOfBounds(f"{where}: byte {offset} of a buffer of {len(view)}")
        if offset % size:
            raise OutOfBounds(f"{where}: byte {offset} is not aligned to {size}")
        return view, offset

    def load8(self, address: int, where: str) -> int:
        view, at = self.find(address, 1, where)
        return view[at]

    def load16(self, address: int, where: str) -> int:
        view, at = self.find(address, 2, where)
        return view[at] | view[at + 1] << 8

    def load32(self, address: int, where: str) -> int:
        view, at = self.find(address, 4, where)
        return int.from_bytes(view[at : at + 4], "little")

    def load32_signed(self, address: int, where: str) -> int:
        value = self.load32(address, where)
        if value >> 31:
            raise Overflow(f"{where}: ptr32 load of {value:#x} is negative on the board and positive on 64 bits")
        return value

    def store(self, address: int, size: int, value: int, where: str) -> None:
        view, at = self.find(address, size, where)
        view[at : at + size] = (int(value) & ((1 << 8 * size) - 1)).to_bytes(size, "little")


def overflow(value: int, kind: str, where: str) -> int:
    raise Overflow(f"{where}: {value} leaves {kind}32")


def bad_shift(count: int, where: str) -> int:
    raise BadShift(f"{where}: shift by {count}")


class CheckingTranslator:
    """One viper function -> Python source that checks."""

    def __init__(self, function: ast.FunctionDef, constants: dict[str, int], file: str) -> None:
        self.function, self.constants, self.file = function, constants, file
        self.types: dict[str, str] = {}
        self.lines: list[str] = []
        self.assigned = {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}

    def where(self, node: ast.AST) -> str:
        return f"{self.file}:{getattr(node, 'lineno', 0)} in {self.function.name}"

    def refuse(self, node: ast.AST, why: str) -> BadType:
        return BadType(f"{self.where(node)}: {why}: {ast.unparse(node)}")

    # -- expressions: (type, Python source) --

    def constant(self, node: ast.expr) -> int | None:
        """The value of a constant expression, which MicroPython folds too."""
        value: Any = None
        if isinstance(node, ast.Constant) and type(node.value) is int:
            value = node.value
        elif isinstance(node, ast.Name) and node.id in self.constants and node.id not in self.types:
            value = self.constants[node.id]
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Invert):
            inner = self.constant(node.operand)
            if inner is not None:
                value = -inner if isinstance(node.op, ast.USub) else ~inner
        elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            left, right = self.constant(node.left), self.constant(node.right)
            if left is not None and right is not None:
                value = eval(f"{left} {OPERATORS[type(node.op)]} ({right})")
        if value is not None and not -(1 << 30) <= value < 1 << 30:
            raise self.refuse(node, f"constant {value} is an object on a 32-bit board")
        return value

    def bounded(self, kind: str, code: str, node: ast.AST) -> str:
        low, high = MARKS[kind]
        return f"(_t if {low} <= (_t := {code}) <= {high} else _overflow(_t, {kind!r}, {self.where(node)!r}))"

    def expression(self, node: ast.expr) -> tuple[str, str]:
        value = self.constant(node)
        if value is not None:
            return "int", f"({value})"
        if isinstance(node, ast.Constant) and isinstance(node.value, bool):
            return "bool", repr(node.value)
        if isinstance(node, ast.Name):
            if node.id not in self.types:
                raise self.refuse(node, "used before its type is known" if node.id in self.assigned else "a global")
            return self.types[node.id], node.id
        if isinstance(node, ast.BinOp):
            return self.binary(node, node.left, node.op, node.right)
        if isinstance(node, ast.UnaryOp):
            return self.unary(node)
        if isinstance(node, ast.Compare):
            return self.compare(node)
        if isinstance(node, ast.BoolOp):
            word = " and " if isinstance(node.op, ast.And) else " or "
            return "bool", "(" + word.join(self.expression(value)[1] for value in node.values) + ")"
        if isinstance(node, ast.IfExp):
            (kind, body), (other, orelse) = self.expression(node.body), self.expression(node.orelse)
            if kind != other:
                raise self.refuse(node, f"{kind} or {other}")
            return kind, f"({body} if {self.expression(node.test)[1]} else {orelse})"
        if isinstance(node, ast.Subscript):
            return self.load(node, "load32_signed")
        if isinstance(node, ast.Call):
            return self.cast(node)
        raise self.refuse(node, "not known to the checker")

    def binary(self, node: ast.AST, left: ast.expr, op: ast.operator, right: ast.expr) -> tuple[str, str]:
        (kind, a), (other, b) = self.expression(left), self.expression(right)
        if kind not in MARKS or other not in MARKS or type(op) not in OPERATORS:
            raise self.refuse(node, f"no such operation between {kind} and {other}")
        if isinstance(op, ast.FloorDiv | ast.Mod) and kind == "uint":
            raise self.refuse(node, "viper does not divide uint")
        if isinstance(op, ast.LShift | ast.RShift):
            count = self.constant(right)
            if count is None:
                b = f"(_n if 0 <= (_n := {b}) <= 31 else _bad_shift(_n, {self.where(node)!r}))"
            elif not 0 <= count <= 31:
                raise BadShift(f"{self.where(node)}: shift by {count}")
        code = f"({a} {OPERATORS[type(op)]} {b})"
        safe = isinstance(op, ast.RShift | ast.BitAnd | ast.BitOr | ast.BitXor) and kind == other
        return kind, code if safe else self.bounded(kind, code, node)

    def unary(self, node: ast.UnaryOp) -> tuple[str, str]:
        kind, code = self.expression(node.operand)
        if isinstance(node.op, ast.Not):
            return "bool", f"(not {code})"
        if kind not in MARKS:
            raise self.refuse(node, f"no such operation on {kind}")
        sign = {ast.USub: "-", ast.Invert: "~", ast.UAdd: "+"}[type(node.op)]
        return kind, self.bounded(kind, f"({sign}{code})", node)

    def compare(self, node: ast.Compare) -> tuple[str, str]:
        sides = [self.expression(side) for side in [node.left, *node.comparators]]
        for (kind, _), (other, _) in pairwise(sides):
            if kind != other or kind not in MARKS:
                raise self.refuse(node, f"comparison of {kind} and {other}")
        out = sides[0][1]
        for op, (_, side) in zip(node.ops, sides[1:], strict=True):
            if type(op) not in COMPARISONS:
                raise self.refuse(node, "not known to viper")
            out += f" {COMPARISONS[type(op)]} {side}"
        return "bool", f"({out})"

    def address(self, node: ast.Subscript) -> tuple[str, str]:
        kind, base = self.expression(node.value)
        if kind not in WIDTH:
            raise self.refuse(node, f"a subscript of {kind}")
        index_kind, index = self.expression(node.slice)
        if index_kind not in MARKS:
            raise self.refuse(node, f"an index of type {index_kind}")
        return kind, f"{base} + {WIDTH[kind]} * {index}"

    def load(self, node: ast.Subscript, load32: str) -> tuple[str, str]:
        kind, address = self.address(node)
        name = load32 if kind == "ptr32" else f"load{8 * WIDTH[kind]}"
        return "int", f"_m.{name}({address}, {self.where(node)!r})"

    def cast(self, node: ast.Call) -> tuple[str, str]:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if (name not in MARKS and name not in WIDTH and name != "bool") or len(node.args) != 1 or node.keywords:
            raise self.refuse(node, "a call is no cast")
        argument = node.args[0]
        if name == "uint" and isinstance(argument, ast.Subscript):
            return "uint", self.load(argument, "load32")[1]
        kind, code = self.expression(argument)
        return name, self.bounded(name, code, node) if name in MARKS and kind in MARKS and kind != name else code

    # -- statements --

    def emit(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def assign(self, depth: int, target: ast.expr, kind: str, code: str) -> None:
        if isinstance(target, ast.Subscript):
            if kind not in MARKS and kind != "bool":
                raise self.refuse(target, f"a store of {kind}")
            pointer, address = self.address(target)
            self.emit(depth, f"_m.store({address}, {WIDTH[pointer]}, {code}, {self.where(target)!r})")
        elif isinstance(target, ast.Name):
            known = self.types.setdefault(target.id, kind)
            if known != kind:
                raise self.refuse(target, f"has type {known} but source is {kind}")
            self.emit(depth, f"{target.id} = {code}")
        else:
            raise self.refuse(target, "not a target known to the checker")

    def block(self, depth: int, statements: list[ast.stmt]) -> None:
        for statement in statements:
            self.statement(depth, statement)

    def statement(self, depth: int, node: ast.stmt) -> None:
        if isinstance(node, ast.Assign):
            kind, text = self.expression(node.value)
            if len(node.targets) > 1:
                self.emit(depth, f"_value = {text}")
                text = "_value"
            for target in node.targets:
                self.assign(depth, target, kind, text)
        elif isinstance(node, ast.AugAssign):
            load = ast.parse(ast.unparse(node.target), mode="eval").body
            for part in ast.walk(load):
                ast.copy_location(part, node)
            self.assign(depth, node.target, *self.binary(node, load, node.op, node.value))
        elif isinstance(node, ast.While) and not node.orelse:
            self.emit(depth, f"while {self.expression(node.test)[1]}:")
            self.block(depth + 1, node.body)
        elif isinstance(node, ast.If):
            self.emit(depth, f"if {self.expression(node.test)[1]}:")
            self.block(depth + 1, node.body)
            if node.orelse:
                self.emit(depth, "else:")
                self.block(depth + 1, node.orelse)
        elif isinstance(node, ast.For):
            self.loop(depth, node)
        elif isinstance(node, ast.Return):
            self.emit(depth, "return" if node.value is None else f"return {self.expression(node.value)[1]}")
        elif isinstance(node, ast.Pass | ast.Break | ast.Continue):
            self.emit(depth, ast.unparse(node))
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            raise self.refuse(node, "not known to the checker")

    def loop(self, depth: int, node: ast.For) -> None:
        call = node.iter
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "range"):
            raise self.refuse(node, "a loop over anything but range()")
        limits = [self.expression(argument) for argument in call.args]
        if any(kind != "int" for kind, _ in limits) or not isinstance(node.target, ast.Name):
            raise self.refuse(node, "a range that is not of int")
        if self.types.setdefault(node.target.id, "int") != "int":
            raise self.refuse(node, "the loop's variable is not an int")
        self.emit(depth, f"for {node.target.id} in range({', '.join(code for _, code in limits)}):")
        self.block(depth + 1, node.body)

    def source(self) -> str:
        names = []
        for argument in self.function.args.args:
            kind = ast.unparse(argument.annotation) if argument.annotation else "object"
            if kind not in MARKS and kind not in WIDTH and kind != "bool":
                raise self.refuse(argument, f"an argument of type {kind}")
            names.append(argument.arg)
            self.types[argument.arg] = kind
        self.emit(0, f"def {self.function.name}({', '.join(names)}):")
        self.emit(1, "_m = _Memory()")
        for name in names:
            if self.types[name] in WIDTH:
                self.emit(1, f"{name} = _m.add({name})")
            elif self.types[name] in MARKS:
                self.emit(1, f"{name} = {self.bounded(self.types[name], name, self.function)}")
        self.block(1, self.function.body)
        return "\n".join(self.lines) + "\n"


def _is_viper(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and any("viper" in ast.unparse(each) for each in node.decorator_list)


def _constants(tree: ast.Module) -> dict[str, int]:
    found: dict[str, int] = {}
    for node in tree.body:
        if not isinstance(node, ast.Assign):
            continue
        value = node.value
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "const":
            target = ast.unparse(node.targets[0])
            code = compile(ast.Expression(value.args[0]), "const", "eval")
            found[target] = eval(code, {"const": lambda each: each}, dict(found))
    return found


def _import(name: str, space: Any = None, local: Any = None, wanted: Any = (), level: int = 0) -> Any:
    """`import` as a checked module sees it: MicroPython's own module is a stand-in, lid.gate is checked too."""
    if name == "micropython":
        plain: Callable[[Any], Any] = lambda each: each  # noqa: E731
        return types.SimpleNamespace(const=plain, native=plain, viper=plain)
    if name == "uctypes":
        return types.SimpleNamespace(addressof=addressof)
    if name == "lid.gate" and wanted:
        return types.SimpleNamespace(**{each: load_checked(f"lid.gate.{each}") for each in wanted})
    if name.startswith("lid.gate.") and wanted:
        return load_checked(name)
    return builtins.__import__(name, space, local, wanted, level)


def check_source(text: str, file: str = "source") -> types.ModuleType:
    """Execute a module's source with its viper functions checked."""
    tree = ast.parse(text)
    constants = _constants(tree)
    module = types.ModuleType(file)
    tools = {"_Memory": CheckedMemory, "_overflow": overflow, "_bad_shift": bad_shift}
    module.__dict__.update(tools, __builtins__={**vars(builtins), "__import__": _import})

    class Replace(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
            if not _is_viper(node):
                return node
            return ast.parse(CheckingTranslator(node, constants, file).source()).body[0]

    whole = ast.fix_missing_locations(Replace().visit(tree))
    exec(compile(whole, file, "exec"), module.__dict__)
    return module


_loaded: dict[str, types.ModuleType] = {}


def load_checked(name: str) -> types.ModuleType:
    """A module of the firmware by its dotted name, such as `lid.gate.kernels`, with its viper functions checked."""
    if name not in _loaded:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(name)
        path = Path(spec.origin)
        _loaded[name] = check_source(path.read_text(encoding="utf-8"), path.name)
    return _loaded[name]
