# SPDX-License-Identifier: MIT
"""The arrows of ARCHITECTURE.md: imports run down the floors and never in a circle, and each craft has one room."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]

# From the top down. A room (a folder, or a file beside them) imports of rooms below it, never of one beside or above it.
FLOORS = (
    ("cli",),
    ("usage",),
    ("verbs",),
    ("demo", "release"),
    ("page", "flash", "doctor", "collect", "calibrate", "evaluate", "train", "bridge", "witness"),
    ("port_choice", "guide"),
    ("ledger", "board", "virtual", "gate", "accuracy", "sound"),
    ("config_file", "extras"),
    ("files", "errors", "arguments", "firmware", "log", "door", "scores", "host_clock", "config_keys", "folders", "filesystem"),
    ("lid",),
)
# What is allowed beside them, and why.
SIDEWAYS = {
    ("files", "errors"): "what cannot be written is an error with a next step",
    ("sound", "gate"): "sounds are read as the gate hears them, and made at its rate",
}
# Programs that a string names, which no import shows: (file, what the string is) -> why it is no arrow.
LAUNCHED = {("collect/service_call.py", "earlid.cli"): "the command that a service of the operating system starts"}

SQL = re.compile(r"\s*(SELECT\s|INSERT INTO\s|UPDATE \w+ SET\s|DELETE FROM\s|CREATE (TABLE|INDEX)\s|PRAGMA\s)")
DATABASES = {"sqlite3", "sqlalchemy", "psycopg"}
REPLACING = {"os.replace", "os.rename", "os.renames", "shutil.move", "tempfile.mkstemp", "tempfile.NamedTemporaryFile"}


class Source(NamedTuple):
    """A file: its name below `earlid` or `lid`, its room, and its tree."""

    name: str
    room: str
    tree: ast.Module


@functools.cache
def sources(root: Path) -> dict[str, Source]:
    """Module name -> source, of host/earlid and firmware/lid below a root."""
    found = {}
    for package, folder in (("earlid", root / "host" / "earlid"), ("lid", root / "firmware" / "lid")):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            room = "lid" if package == "lid" else parts[0] if parts[0] != "__init__" else "earlid"
            module = ".".join((package, *parts)).removesuffix(".__init__")
            name = ("lid/" if package == "lid" else "") + path.relative_to(folder).as_posix()
            found[module] = Source(name, room, ast.parse(path.read_text(encoding="utf-8")))
    return found


def imported(module: str, source: Source) -> Iterator[str]:
    """Dotted names that a file imports, anywhere in it, also in a function or for types only."""
    package = module if source.name.endswith("__init__.py") else module.rpartition(".")[0]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*package.split(".")[: len(package.split(".")) - node.level + 1], *base.split(".")]).strip(".")
            yield from (f"{base}.{alias.name}" for alias in node.names)


def launched(source: Source) -> Iterator[str]:
    """Strings that are the name of a program: `name.py`, or a module of ours."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if re.fullmatch(r"\w+\.py|earlid(\.\w+)+", node.value):
                yield node.value
            elif node.value == "earlid.verbs.":  # of an f-string
                yield "earlid.verbs"


def resolve(name: str, modules: Mapping[str, Source]) -> str | None:
    """The module of ours that a dotted name leads to; None for anything else."""
    parts = name.split(".")
    known = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((module for module in known if module in modules), None)


def neighbour(name: str, module: str, modules: Mapping[str, Source]) -> str | None:
    """The module of a bare name in the same folder, the one above it, or `chip` in it."""
    folder = module.rpartition(".")[0]
    places = (f"{place}.{name}" for place in (folder, folder.rpartition(".")[0], f"{folder}.chip"))
    return next((place for place in places if place in modules), None)


def arrows(modules: Mapping[str, Source]) -> dict[str, set[str]]:
    """Module -> the modules of ours that it imports or starts."""
    found: dict[str, set[str]] = {}
    for module, source in modules.items():
        targets = {resolve(name, modules) for name in imported(module, source)}
        if ".chip." in module or ".mp_" in module:  # scripts of MicroPython: their neighbours have bare names
            targets |= {neighbour(name.split(".")[0], module, modules) for name in imported(module, source)}
        for text in launched(source):
            if text.endswith(".py"):
                targets.add(neighbour(text.removesuffix(".py"), module, modules))
            elif text in modules and (source.name, text) not in LAUNCHED:
                targets.add(text)
        found[module] = {target for target in targets if target and target != module}
    return found


def circles(graph: Mapping[str, set[str]]) -> Iterator[list[str]]:
    """A circle of modules for each knot of them (strongly connected components, Tarjan 1972)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []

    def visit(node: str) -> Iterator[list[str]]:
        number[node] = low[node] = len(number)
        stack.append(node)
        for target in sorted(graph[node]):
            if target not in number:
                yield from visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], number[target])
        if low[node] == number[node]:
            at = stack.index(node)
            if len(stack) - at > 1:
                yield stack[at:]
            del stack[at:]

    for node in graph:
        if node not in number:
            yield from visit(node)


def called(node: ast.AST) -> str:
    """`module.function` of a call, as far as names tell; empty for anything else."""
    func = node.func if isinstance(node, ast.Call) else None
    if isinstance(func, ast.Attribute):
        return f"{func.value.id if isinstance(func.value, ast.Name) else ''}.{func.attr}"
    return func.id if isinstance(func, ast.Name) else ""


def crafts(source: Source, names: set[str]) -> Iterator[str]:
    """What a file does that only another room may."""
    if source.room not in ("usage", "verbs", "arguments") and "argparse" in names:
        yield "argparse outside usage, arguments and verbs"
    if source.room != "ledger" and DATABASES & names:
        yield "a database outside the ledger"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and source.room != "ledger" and SQL.match(node.value):
            yield "SQL outside the ledger"
        if not isinstance(node, ast.Call) or source.room == "files":
            continue
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        # Path.replace takes one name; str.replace takes two, and datetime's and a dataclass's fields have names.
        if called(node) in REPLACING or (method == "replace" and len(node.args) == 1 and not node.keywords):
            yield "a second atomic writer: `earlid.files` has the one there is"
        if called(node) == "json.loads" and any(called(part).endswith(".read_text") for part in ast.walk(node)):
            yield "a second reader of JSON files: `earlid.files` has the one there is"
        if source.room == "verbs" and method in ("write_text", "write_bytes", "open"):
            yield "a verb that writes a file by itself"


def faults(root: Path) -> list[str]:
    """Everything below a root that breaks a rule of this page, as sentences."""
    modules = sources(root)
    floor_of = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    graph = arrows(modules)
    found = [f"circle: {' - '.join(sorted(modules[module].name for module in circle))}" for circle in circles(graph)]
    for module, source in modules.items():
        if source.room not in floor_of and source.room != "earlid":
            found.append(f"{source.name}: the room {source.room} stands on no floor")
            continue
        for target in graph[module]:
            there = modules[target]
            if source.room == there.room == "verbs" and not source.name.endswith("__init__.py"):
                found.append(f"{source.name} imports the verb {there.name}")
            elif source.room not in (there.room, "earlid") and (source.room, there.room) not in SIDEWAYS:
                up = floor_of[source.room] - floor_of.get(there.room, 0)
                if up >= 0:
                    found.append(f"{source.name} imports {'up' if up else 'sideways'}: {there.name}")
            if source.name.startswith("lid/gate/") and not there.name.startswith(("lid/gate/", "lid/__init__")):
                found.append(f"{source.name} imports from outside the gate: {there.name}")
        if source.room != "lid":
            names = {name.split(".")[0] for name in imported(module, source)}
            found += [f"{source.name}: {craft}" for craft in sorted(set(crafts(source, names)))]
    return sorted(found)


def test_imports_run_down_and_every_craft_has_one_room() -> None:
    assert faults(ROOT) == []


def test_arrows_that_only_a_string_shows_are_seen() -> None:
    graph = arrows(sources(ROOT))
    assert {"earlid.virtual.forkserver", "earlid.virtual.chip.launch"} <= graph["earlid.virtual.processor"]
    assert "earlid.gate.mp_score" in graph["earlid.gate.score"]
    assert "earlid.verbs" in graph["earlid.usage"]
    assert "earlid.virtual.protocol" in graph["earlid.virtual.chip.bridge"], "a neighbour's bare name"
    assert "earlid.ledger.purge" in graph["earlid.verbs.purge"], "inside a function"
    assert len(graph) > 150


def test_every_exception_is_needed() -> None:
    modules = sources(ROOT)
    rooms = {(modules[a].room, modules[b].room) for a, targets in arrows(modules).items() for b in targets}
    assert set(SIDEWAYS) <= rooms
    launches = {(source.name, text) for source in modules.values() for text in launched(source)}
    assert set(LAUNCHED) <= launches


# Small trees, each with one fault: what is written into which file, and what the test must say of it.
FAULTY = {
    "circle": (
        {"ledger/a.py": "from earlid.ledger import b", "ledger/b.py": "def f():\n    from earlid.ledger.a import x"},
        "circle: ledger/a.py - ledger/b.py",
    ),
    "circle of three for types": (
        {
            "gate/a.py": "from earlid.gate import b",
            "gate/b.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from earlid.gate.c import C",
            "gate/c.py": "import earlid.gate.a",
        },
        "circle: gate/a.py - gate/b.py - gate/c.py",
    ),
    "circle on the board": (
        {"../../firmware/lid/a.py": "from lid import b", "../../firmware/lid/b.py": "from lid.a import x"},
        "circle: lid/a.py - lid/b.py",
    ),
    "relative circle": ({"page/a.py": "from . import b", "page/b.py": "from .a import x"}, "circle: page/a.py - page/b.py"),
    "up": ({"ledger/a.py": "from earlid.page.b import x", "page/b.py": ""}, "ledger/a.py imports up: page/b.py"),
    "up in a function": (
        {"board/a.py": "def f():\n    import earlid.verbs.b", "verbs/b.py": ""},
        "board/a.py imports up: verbs/b.py",
    ),
    "up by a string": (
        {"gate/a.py": 'command = ["-m", "earlid.page.b"]', "page/b.py": ""},
        "gate/a.py imports up: page/b.py",
    ),
    "sideways": (
        {"evaluate/a.py": "from earlid.calibrate.b import x", "calibrate/b.py": ""},
        "evaluate/a.py imports sideways: calibrate/b.py",
    ),
    "firmware that imports the host": (
        {"../../firmware/lid/a.py": "from earlid import errors", "errors.py": ""},
        "lid/a.py imports up: errors.py",
    ),
    "gate that imports the board": (
        {"../../firmware/lid/gate/a.py": "from lid import board", "../../firmware/lid/board.py": ""},
        "lid/gate/a.py imports from outside the gate: lid/board.py",
    ),
    "unknown room": ({"attic/a.py": ""}, "attic/a.py: the room attic stands on no floor"),
    "verb of a verb": (
        {"verbs/a.py": "from earlid.verbs.b import run", "verbs/b.py": ""},
        "verbs/a.py imports the verb verbs/b.py",
    ),
    "argparse": ({"ledger/a.py": "import argparse"}, "ledger/a.py: argparse outside usage, arguments and verbs"),
    "SQL": ({"verbs/a.py": 'x = f"SELECT {1} FROM records"'}, "verbs/a.py: SQL outside the ledger"),
    "database": ({"page/a.py": "import sqlite3"}, "page/a.py: a database outside the ledger"),
    "os.replace": (
        {"flash/a.py": "import os\nos.replace('a', 'b')"},
        "flash/a.py: a second atomic writer: `earlid.files` has the one there is",
    ),
    "Path.replace": (
        {"flash/a.py": "def f(part, path):\n    part.replace(path)"},
        "flash/a.py: a second atomic writer: `earlid.files` has the one there is",
    ),
    "JSON": (
        {"flash/a.py": "import json\ndef f(path):\n    return json.loads(path.read_text())"},
        "flash/a.py: a second reader of JSON files: `earlid.files` has the one there is",
    ),
    "verb that writes": (
        {"verbs/a.py": "def f(path):\n    path.write_text('')"},
        "verbs/a.py: a verb that writes a file by itself",
    ),
}
SOUND = {
    "verbs/a.py": "import argparse\nfrom earlid import arguments\nfrom earlid.ledger import queries\nx = 'a'.replace('a', 'b')",
    "ledger/queries.py": "import sqlite3\nfrom lid import record\nx = 'SELECT 1'",
    "arguments.py": "import argparse",
    "files.py": "import os\nfrom earlid.errors import UserError\nos.replace('a', 'b')",
    "errors.py": "",
    "../../firmware/lid/record.py": "",
    "../../firmware/lid/gate/a.py": "from lid.gate import b",
    "../../firmware/lid/gate/b.py": "import struct",
}


def plant(root: Path, files: Mapping[str, str]) -> Path:
    """A tree with these files below host/earlid."""
    for name, text in files.items():
        path = root / "host" / "earlid" / name
        (root / "host" / "earlid").mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize("kind", FAULTY)
def test_planted_fault_is_found(kind: str, tmp_path: Path) -> None:
    files, says = FAULTY[kind]
    assert faults(plant(tmp_path, SOUND | files)) == [says]


def test_sound_tree_has_no_fault(tmp_path: Path) -> None:
    assert faults(plant(tmp_path, SOUND)) == []


def test_architecture_page_shows_the_floors() -> None:
    rows = [line for line in (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    for floor in FLOORS[:-1]:
        assert any(all(re.search(rf"`{room}(/|\.py)`", row) for room in floor) for row in rows), f"no row has {', '.join(floor)}"
