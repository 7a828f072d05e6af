# SPDX-License-Identifier: MIT
"""A digest of the code that something was made by, so that an edit makes anew what it can have changed, and nothing else."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

from earlid import firmware
from earlid.train.workspace import digest_of, file_digest

HOST = Path(__file__).parents[2]
FOLLOWED = ("earlid.train", "earlid.sound", "earlid.gate")  # packages whose imports of each other are followed


@functools.cache
def code_digest(*names: str) -> str:
    """SHA-256, in hex, of the code of modules: their own, all that they import of `FOLLOWED`, and the gate that MicroPython runs.

    Args:
        names: of modules, as `earlid.train.material`.
    """
    paths = {*_reached(names), *(HOST / "earlid" / "gate").glob("mp_*.py"), *(firmware.root() / "lid" / "gate").glob("*.py")}
    return digest_of(sorted([path.parent.name, path.name, file_digest(path)] for path in paths))


def _reached(names: tuple[str, ...]) -> set[Path]:
    waiting, reached = list(names), set[Path]()
    while waiting:
        name = waiting.pop()
        path = HOST.joinpath(*name.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if name.startswith(FOLLOWED) and path.exists() and path not in reached:
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
