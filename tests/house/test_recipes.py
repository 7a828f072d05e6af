# SPDX-License-Identifier: MIT
"""CONTRIBUTING.md's recipes, carried out on a copy of the tree: its files and edits applied, its commands run."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPES = {part.partition("\n")[0]: part for part in re.split(r"^### ", PAGE.partition("## Recipes")[2], flags=re.MULTILINE)[1:]}
BLOCK = re.compile(r"^(?:`([^`\n]+)`, (new|changed)[^\n]*:\n\n)?```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COPIED = ("firmware", "hardware", "host", "tests", "pyproject.toml", "Makefile", "CHANGELOG.md")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the sources, with a network of one's own (a published one) as `my_word.json` in it."""
    ignored = shutil.ignore_patterns("__pycache__", "screenshots")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, tmp_path)
    published = find_spec("pymicro_wakeword")
    assert published
    folder = Path(str(published.origin)).parent / "models"
    shutil.copy(folder / "alexa.tflite", tmp_path)
    shutil.copy(folder / "alexa.json", tmp_path / "my_word.json")
    return tmp_path


def apply(tree: Path, file: str, edits: str) -> None:
    """Replace lines: each part between `@@` lines must fit in one place, its ` ` and `-` lines becoming its ` ` and `+` lines."""
    text = (tree / file).read_text(encoding="utf-8")
    for part in re.split(r"^@@\n", edits, flags=re.MULTILINE):
        lines = part.splitlines(keepends=True)
        before = "".join(line[1:] or "\n" for line in lines if line[0] != "+")
        after = "".join(line[1:] or "\n" for line in lines if line[0] != "-")
        assert text.count(before) == 1, f"CONTRIBUTING.md edits lines of {file} that are not there (once):\n{before}"
        text = text.replace(before, after)
    (tree / file).write_text(text, encoding="utf-8")


def run(tree: Path, command: str) -> None:
    """Run a command of the page with the copy's packages before all others."""
    paths = os.pathsep.join(str(tree / name) for name in (".", "host", "firmware"))
    environment = {**os.environ, "PYTHONPATH": paths, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for name in [name for name in environment if name.startswith("PYTEST_")]:
        del environment[name]
    done = subprocess.run(
        command, shell=True, cwd=tree, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"


EVERY_TIME = ("Add a request to the wire", "Record a new event in the journal")  # the others under `make soak`


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.soak][: name not in EVERY_TIME]) for name in RECIPES])
def test_recipe_does_what_it_says(name: str, tree: Path) -> None:
    commands = 0
    for file, kind, language, text in BLOCK.findall(RECIPES[name]):
        if kind == "new":
            assert not (tree / file).exists()
            (tree / file).write_text(text, encoding="utf-8")
            run(tree, f"ruff check {file} && ruff format --check {file}")
        elif kind == "changed":
            apply(tree, file, text)
        elif language == "console":
            for line in text.splitlines():
                run(tree, line.removeprefix("$ "))
                commands += 1
    assert commands or "::" in RECIPES[name], "a recipe without a check"


def test_symbols_that_the_page_names_exist() -> None:
    named = re.findall(r"`([\w./]+\.py)::(\w+)`", PAGE)
    assert len(named) >= 6
    for file, symbol in named:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        for node in tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
            defined |= {target.id for target in targets if isinstance(target, ast.Name)}
        assert symbol in defined, f"{file} has no {symbol}"
