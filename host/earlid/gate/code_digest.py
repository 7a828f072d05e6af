# SPDX-License-Identifier: MIT
"""A digest of the code that something was made by, so that an edit makes anew what it can have changed, and nothing else."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from earlid import firmware

HOST = Path(__file__).parents[2]


def code_digest(*names: str, data: Iterable[Path] = ()) -> str:
    """SHA-256, in hex, of the code of modules, of all that they import, and of the gate that MicroPython runs.

    Modules of no package within `earlid`, as `earlid.errors`, change no result: they do not count.

    Args:
        names: of modules, as `earlid.train.material`.
        data: further files.
    """
    run = *(HOST / "earlid" / "gate").glob("mp_*.py"), *(firmware.root() / "lid" / "gate").glob("*.py")
    paths = {*_reached(names), *run, *data}
    found = sorted((path.parent.name, path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths)
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()


def _reached(names: tuple[str, ...]) -> set[Path]:
    waiting, reached = list(names), set[Path]()
    while waiting:
        name = waiting.pop()
        path = HOST.joinpath(*name.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if name.count(".") > 1 and name.startswith("earlid.") and path.exists() and path not in reached:
            reached.add(path)
            waiting += _imported(path)
    return reached


def _imported(path: Path) -> Iterator[str]:
    """What a file imports, inside functions too: modules, and what may be a module of a package."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
