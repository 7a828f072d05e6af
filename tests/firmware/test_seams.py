# SPDX-License-Identifier: MIT
"""How the loop's objects hang together: they are handed what they need, and none reaches back."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import lid

FIRMWARE = Path(lid.__file__).parent.parent
MICROPYTHON = str(Path(sys.executable).parent / "micropython")
WALK = Path(__file__).parent / "reference_cycles.py"


def test_objects_of_the_loop_hold_no_cycle_of_references():
    done = subprocess.run(
        [MICROPYTHON, str(WALK)],
        env={**os.environ, "MICROPYPATH": str(FIRMWARE)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "cycle" not in done.stdout
    for name in ("Contact", "Recorder", "Requests", "Status"):
        assert f"'{name}'" in done.stdout, "the walk did not come to it"


def test_no_class_is_handed_the_whole_app():
    for path in sorted((FIRMWARE / "lid").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                taken = {argument.arg for function in ast.walk(node) if isinstance(function, ast.FunctionDef)
                         for argument in function.args.args}  # fmt: skip
                assert "app" not in taken, f"{path.name}: {node.name}"


def test_only_the_start_imports_the_loop():
    importers = {
        path.name
        for path in (FIRMWARE / "lid").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "lid.app"
    }
    assert importers == {"start.py"}
