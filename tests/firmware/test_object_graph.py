# SPDX-License-Identifier: MIT
"""References between the loop's objects: collaborators are arguments, and none refers back."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import lid

FIRMWARE = Path(lid.__file__).parent.parent
MICROPYTHON = str(Path(sys.executable).parent / "micropython")
WALK = Path(__file__).parent / "reference_cycles.py"


def test_objects_of_the_loop_hold_no_reference_cycle():
    done = subprocess.run(
        [MICROPYTHON, str(WALK)],
        env={**os.environ, "MICROPYPATH": str(FIRMWARE)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "cycle" not in done.stdout
    for name in ("Contact", "Recorder", "Requests", "Status"):
        assert f"'{name}'" in done.stdout, "the walk did not come to it"


def test_no_class_takes_the_app():
    for path in sorted((FIRMWARE / "lid").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                taken = {argument.arg for function in ast.walk(node) if isinstance(function, ast.FunctionDef)
                         for argument in function.args.args}  # fmt: skip
                assert "app" not in taken, f"{path.name}: {node.name}"


def test_app_is_imported_by_the_start_only():
    importers = {
        path.name
        for path in (FIRMWARE / "lid").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "lid.app"
    }
    assert importers == {"start.py"}
