# SPDX-License-Identifier: MIT
"""Joins modules of the firmware into one with short names: what a board with little memory loads.

Every module costs a board a dictionary, a table of names and its own copies of constants; every name costs about 20 bytes,
once, except those that its MicroPython carries in flash.
So the modules are written one after the other, those imported first, and then

* their globals become one namespace, in which `const()` has no global left and is folded across modules;
* globals, functions, classes, attributes and arguments get names that MicroPython carries; imports of each other, docstrings and
  functions that nothing calls go. No new name is given twice, or is one that anything keeps: nothing can collide;
* `del` of another module's global, or of an own one that is declared `global` for it, deletes the one global that there is.

What is not ours keeps its name: attributes of builtins and of imported modules, and whatever a module that imports `machine`
or `esp32` asks of others than `self` and the firmware's own modules; so do keyword arguments and dunder names. An attribute
that is neither defined in the modules nor known from elsewhere is an error: nothing is renamed by half.
"""

from __future__ import annotations

import array
import ast
import builtins
import hashlib
import io
import keyword
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import chain, count, product

from earlid.flash.mpy import IMAGE_NAMES

_VALUES: tuple[object, ...] = (
    [], {}, (), "", b"", bytearray(), memoryview(b""), 0, set(), array.array("i"), hashlib.sha256(), io.BytesIO(), io.StringIO(),
    BaseException(), property(),
)  # fmt: skip
_MICROPYTHON_ATTRIBUTES = frozenset({"ipoll", "errno", "value"})  # of its builtins; the rest are CPython's too
_BUILTIN_ATTRIBUTES = frozenset(name for value in _VALUES for name in dir(value)) | _MICROPYTHON_ATTRIBUTES
_MACHINE_MODULES = frozenset({"machine", "esp32"})
_ARGUMENTS = 16  # so many names for arguments; each function begins anew
_VIPER_TYPES = frozenset({"ptr", "ptr8", "ptr16", "ptr32", "uint", "const"})


class BundleError(ValueError):
    """A construct that cannot be joined or renamed safely; the text names module and line."""


def join(sources: Mapping[str, str], entry: str, exports: Iterable[str], separate: Iterable[str] = ()) -> str:
    """One module's source that does what `entry` and everything it imports do.

    Args:
        sources: source text by module name, as `lid.app`.
        entry: the module that starts it all, as `lid.start`.
        exports: globals of `entry` that others use by name.
        separate: modules that stay files of their own; imported, and their names left alone.

    Raises:
        BundleError: for what cannot be joined, and for a circle of imports.
    """
    ordered, names = _named(sources, entry, exports, separate)
    lines = sorted({line for module in ordered for line in module.outside_imports})
    body = [ast.parse(line).body[0] for line in ("from micropython import const", *lines)]
    for module in ordered:
        body += _Renamer(module, names).statements(module.body)
    return ast.unparse(ast.fix_missing_locations(ast.Module(body, []))) + "\n"


def new_names(
    sources: Mapping[str, str], entry: str, exports: Iterable[str], separate: Iterable[str] = ()
) -> tuple[dict[tuple[str, str], str], dict[str, str]]:
    """What `join` calls the modules' globals, by module and name, and attributes, by name."""
    names = _named(sources, entry, exports, separate)[1]
    return names.globals, names.attributes


def _named(
    sources: Mapping[str, str], entry: str, exports: Iterable[str], separate: Iterable[str]
) -> tuple[list[_Module], _Names]:
    inside = {name: text for name, text in sources.items() if name not in separate}
    ordered = _in_import_order(inside, entry)
    _drop_unused(ordered, {(entry, name) for name in exports})
    return ordered, _Names(ordered, entry, frozenset(exports))


class _Module:
    """A module's statements, what they import from inside and outside the bundle, and the globals they define."""

    def __init__(self, name: str, tree: ast.Module, inside: Mapping[str, str]) -> None:
        self.name = name
        self.body = tree.body
        self.modules: dict[str, str] = {}  # local name: module of the bundle
        self.imported: dict[str, tuple[str, str]] = {}  # local name: module of the bundle and its global
        self.outside_imports: list[str] = []
        self.outside_names: set[str] = set()
        for node in self.nodes():
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self._from_outside(node, f"import {alias.name}", alias.asname or alias.name)
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    self._read_from(node, alias, inside)
        self.uses_machine = bool(self.outside_names & _MACHINE_MODULES)
        self.globals = dict.fromkeys(_defined(self.body))
        self.constants = {name for node in self.body if _is_constant(node) for name in _defined([node])}

    def _read_from(self, node: ast.ImportFrom, alias: ast.alias, inside: Mapping[str, str]) -> None:
        origin, here = node.module or "", alias.asname or alias.name
        if f"{origin}.{alias.name}" in inside:
            self.modules[here] = f"{origin}.{alias.name}"
        elif alias.name == "const":
            pass  # one import serves all
        elif origin in inside:
            self.imported[here] = (origin, alias.name)
        else:
            self._from_outside(node, f"from {origin} import {alias.name}", here)

    def _from_outside(self, node: ast.stmt, line: str, here: str) -> None:
        if not line.endswith(f" {here}") or "." in here:
            raise BundleError(f"{self.name}:{node.lineno}: `{line}` under another name cannot be joined")
        self.outside_imports.append(line)
        self.outside_names.add(here)

    def nodes(self) -> Iterator[ast.AST]:
        for statement in self.body:
            yield from ast.walk(statement)

    def needs(self) -> set[str]:
        return {*self.modules.values(), *(module for module, _ in self.imported.values())}


def _defined(body: Iterable[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.For | ast.If | ast.Try | ast.With):
            for part in ast.walk(node):
                if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                    yield part.id


def _is_constant(node: ast.stmt) -> bool:
    # With an underscore before its name the compiler folds it and makes no global.
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
        return False
    return isinstance(node.value.func, ast.Name) and node.value.func.id == "const"


def _in_import_order(inside: Mapping[str, str], entry: str) -> list[_Module]:
    modules: dict[str, _Module] = {}
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        if name not in modules:
            try:
                tree = ast.parse(inside[name])
            except SyntaxError as error:
                raise BundleError(f"{name}:{error.lineno}: {error.msg}") from error
            modules[name] = _Module(name, tree, inside)
            waiting += modules[name].needs()
    graph = {name: sorted(modules[name].needs()) for name in sorted(modules)}
    try:
        return [modules[name] for name in TopologicalSorter(graph).static_order()]
    except CycleError as error:
        raise BundleError("a circle of imports: " + " -> ".join(error.args[1])) from error


def _drop_unused(modules: list[_Module], exports: set[tuple[str, str]]) -> None:
    # Functions that only hosts call: what the wire and the record need on their side.
    reads = {
        node: set(_reads(module, node)) - ({(module.name, node.name)} if isinstance(node, ast.FunctionDef) else set())
        for module in modules for node in module.body
    }  # fmt: skip
    while True:
        used = exports.union(*(reads[node] for module in modules for node in module.body))
        before = sum(len(module.body) for module in modules)
        for module in modules:
            module.body = [
                node for node in module.body if not isinstance(node, ast.FunctionDef) or (module.name, node.name) in used
            ]
        if sum(len(module.body) for module in modules) == before:
            return


def _reads(module: _Module, tree: ast.AST) -> Iterator[tuple[str, str]]:
    """What a tree reads of the bundle's globals, as module and name; others under its own module's name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield module.imported.get(node.id, (module.name, node.id))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield module.modules.get(node.value.id, ""), node.attr


class _Names:
    """What everything is called afterwards: `attributes` by old name, `globals` by module and old name."""

    def __init__(self, modules: list[_Module], entry: str, exports: frozenset[str]) -> None:
        own: dict[str, None] = {}
        foreign = set(_BUILTIN_ATTRIBUTES)
        locals_: set[str] = set()
        self.keywords: set[str] = set()
        for module in modules:
            for node in module.nodes():
                if isinstance(node, ast.ClassDef):
                    own |= dict.fromkeys(_defined(node.body))
                elif isinstance(node, ast.Attribute):
                    if _is_self(node.value) and isinstance(node.ctx, ast.Store):
                        own[node.attr] = None
                    elif _is_foreign(node.value, module):
                        foreign.add(node.attr)
                elif isinstance(node, ast.keyword) and node.arg:
                    self.keywords.add(node.arg)
                elif isinstance(node, ast.Name):
                    locals_.add(node.id)
                elif isinstance(node, ast.arg):
                    locals_.add(node.arg)
        self.known = foreign | set(own)
        taken = {*dir(builtins), *_VIPER_TYPES, *exports, *keyword.kwlist}
        taken |= {name for module in modules for name in module.outside_names}
        free = (name for name in chain(IMAGE_NAMES, _short_names()) if name not in taken | locals_ | self.known)
        self.arguments = [next(free) for _ in range(_ARGUMENTS)]
        self.globals: dict[tuple[str, str], str] = {}
        constants = count()
        for module in modules:
            for name in module.globals:
                if module.name == entry and name in exports:
                    new = name
                else:
                    new = f"_{next(constants)}" if name in module.constants else next(free)
                self.globals[module.name, name] = new
        # A class body sees globals beside its own names; elsewhere no attribute meets a global or an argument of its name.
        taken |= foreign | {self.globals.get(read, read[1]) for module in modules for read in _class_reads(module)}
        renamed = [name for name in own if name not in foreign and not name.startswith("__")]
        free = (name for name in chain(IMAGE_NAMES, _short_names()) if name not in taken)
        self.attributes = dict(zip(renamed, free, strict=False))


def _class_reads(module: _Module) -> Iterator[tuple[str, str]]:
    """Globals, as module and name, that class bodies read while they run: values, decorators, defaults."""
    for node in module.nodes():
        if isinstance(node, ast.ClassDef):
            for part in node.body:
                inside = [*part.decorator_list, *part.args.defaults] if isinstance(part, ast.FunctionDef) else [part]
                yield from chain.from_iterable(_reads(module, tree) for tree in inside)


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def _is_foreign(base: ast.expr, module: _Module) -> bool:
    if isinstance(base, ast.Name) and base.id in module.outside_names:
        return True
    return module.uses_machine and not _is_self(base) and not (isinstance(base, ast.Name) and base.id in module.modules)


def _short_names() -> Iterator[str]:
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    for size in count(1):
        yield from map("".join, product(alphabet, repeat=size))


class _Renamer(ast.NodeTransformer):
    """Rewrites one module's statements with the new names."""

    def __init__(self, module: _Module, names: _Names) -> None:
        self._module = module
        self._names = names
        self._locals: list[dict[str, str]] = []  # of the functions around, innermost last: old name, new name
        self._in_class = False

    def statements(self, body: Iterable[ast.stmt]) -> list[ast.stmt]:
        """Without imports and docstrings."""
        kept = [node for node in body if not isinstance(node, ast.Import | ast.ImportFrom) and not _is_text(node)]
        return [self.visit(node if self._locals else _with_shared_texts(node)) for node in kept]

    def _global(self, name: str) -> str:
        module = self._module
        if name in module.modules:
            raise BundleError(f"{module.name}: the module {name} is used as a value")
        return self._names.globals.get(module.imported.get(name, (module.name, name)), name)

    def visit_Name(self, node: ast.Name) -> ast.Name:
        known = self._locals[-1] if self._locals else {}
        return ast.Name(known[node.id] if node.id in known else self._global(node.id), node.ctx)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        base = node.value
        if isinstance(base, ast.Name) and not (self._locals and base.id in self._locals[-1]):
            if base.id in self._module.modules:
                return ast.Name(self._names.globals[self._module.modules[base.id], node.attr], node.ctx)
            if base.id in self._module.outside_names:
                return node
        if node.attr not in self._names.known and not node.attr.startswith("__"):
            raise BundleError(f"{self._module.name}:{node.lineno}: whose attribute is {node.attr}?")
        return ast.Attribute(self.visit(base), self._names.attributes.get(node.attr, node.attr), node.ctx)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        stored = {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
        for part in ast.walk(node):
            if isinstance(part, ast.Nonlocal | ast.Lambda | ast.ClassDef | ast.AsyncFunctionDef) or (
                isinstance(part, ast.Global) and not stored.isdisjoint(part.names)
            ):
                raise BundleError(f"{self._module.name}:{part.lineno}: {type(part).__name__} in a function cannot be renamed")
        if self._in_class:
            name = self._names.attributes.get(node.name, node.name)
        else:
            name = node.name if self._locals else self._global(node.name)
        decorators, defaults = ([self.visit(part) for part in parts] for parts in (node.decorator_list, node.args.defaults))
        in_class, self._in_class = self._in_class, False
        self._locals.append(self._name_locals(node))
        args = [ast.arg(self._locals[-1][arg.arg], arg.annotation) for arg in node.args.args]
        body = self.statements(node.body) or [ast.Pass()]
        deleted = set(_deleted(body)) - set(self._locals[-1].values())
        if deleted:
            body.insert(0, ast.Global(sorted(deleted)))
        self._locals.pop()
        self._in_class = in_class
        node.name, node.body, node.decorator_list, node.type_comment = name, body, decorators, None
        node.args.args, node.args.defaults = args, defaults
        return node

    def _name_locals(self, node: ast.FunctionDef) -> dict[str, str]:
        if node.args.kwonlyargs or node.args.posonlyargs or node.args.kwarg:
            raise BundleError(f"{self._module.name}:{node.lineno}: only plain arguments and *args can be renamed")
        outer = self._locals[-1] if self._locals else {}
        bound = {arg.arg for arg in [*node.args.args, *filter(None, [node.args.vararg])]}
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                bound.add(part.id)
            elif isinstance(part, ast.ExceptHandler) and part.name:
                bound.add(part.name)
            elif isinstance(part, ast.FunctionDef) and part is not node:
                bound |= {part.name, *(arg.arg for arg in part.args.args)}
        free = (name for name in self._names.arguments if name not in outer.values())
        renamed = [arg.arg for arg in node.args.args if arg.arg != "self" and arg.arg not in self._names.keywords]
        return {**outer, **{name: name for name in bound}, **{name: next(free) for name in renamed}}

    def visit_Global(self, node: ast.Global) -> ast.stmt:
        return ast.Pass()  # written anew at the function's head

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        bases = [self.visit(base) for base in node.bases]
        self._in_class = True
        body: list[ast.stmt] = []
        own = {name: self._names.attributes.get(name, name) for name in _defined(node.body)}
        for part in node.body:
            if isinstance(part, ast.Assign):
                targets = [self._class_name(target) for target in part.targets]
                self._locals.append(own)
                body.append(ast.Assign(targets, self.visit(part.value)))
                self._locals.pop()
            elif isinstance(part, ast.FunctionDef):
                body.append(self.visit(part))
            elif not _is_text(part) and not isinstance(part, ast.Pass):
                raise BundleError(f"{self._module.name}:{part.lineno}: a class may hold assignments and functions")
        self._in_class = False
        node.name, node.bases, node.body = self._global(node.name), bases, body or [ast.Pass()]
        return node

    def _class_name(self, target: ast.expr) -> ast.expr:
        if not isinstance(target, ast.Name):
            raise BundleError(f"{self._module.name}:{target.lineno}: a class may assign plain names")
        return ast.Name(self._names.attributes.get(target.id, target.id), ast.Store())

    def visit_Import(self, node: ast.Import) -> ast.stmt:
        return ast.Pass()  # inside a function: the bundle has it

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt:
        return ast.Pass()


def _deleted(body: Iterable[ast.stmt]) -> Iterator[str]:
    for statement in body:
        for part in ast.walk(statement):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Del):
                yield part.id


def _with_shared_texts(node: ast.stmt) -> ast.stmt:
    # A constant tuple has its own copy of every text in it, a list takes those that code has as names.
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple) and any(map(_is_string, node.value.elts)):
        node.value = ast.Call(ast.Name("tuple", ast.Load()), [ast.List(node.value.elts, ast.Load())], [])
    return node


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and _is_string(node.value)


def _is_string(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
