# SPDX-License-Identifier: MIT
"""What the gate's README says of kernels, files and costs is so."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.xtensa import bench_gate, mpyfile
from tests.xtensa.gate import FIRMWARE, Gate

GATE = FIRMWARE / "lid" / "gate"
ROOT = Path(__file__).parents[2]
TEXT = (GATE / "README.md").read_text()
COSTS = {name: int(cost) for name, cost in re.findall(r"^\|.*?\| `(\w+\.\w+)` \|.*\| (\d+) \|$", TEXT, re.MULTILINE)}


def kernels() -> set[str]:
    """All viper functions of the gate."""
    found = set()
    for path in GATE.glob("*.py"):
        codes = mpyfile.compile_source(path.read_text(), path.name).body.walk()
        found |= {f"{path.stem}.{code.name}" for code in codes if code.kind == mpyfile.VIPER}
    return found


def test_readme_names_every_kernel() -> None:
    modules = {path.stem for path in GATE.glob("*.py")}
    named = {name for name in re.findall(r"`(\w+\.\w+)`", TEXT) if name.partition(".")[0] in modules and name[-3:] != ".py"}
    assert named == kernels()


@pytest.mark.parametrize("path", sorted(set(re.findall(r"[`\s]((?:tests|host)/[\w/.]+\w)", TEXT))))
def test_file_that_the_readme_names_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_costs_in_the_readme_are_the_benchs() -> None:
    measured = bench_gate.whole_gate(Gate(), "alexa", bench_gate.speech())
    assert {kernel.name: pytest.approx(kernel.own + kernel.helpers, rel=0.01) for kernel in measured.kernels} == COSTS
    assert f"the sum is {measured.millions_a_second:.1f} million" in TEXT
    assert f"costs about {round(measured.interpreted, -2):,.0f} more" in TEXT


def bare_constants(tree: ast.AST) -> list[str]:
    """Whole numbers above 32 in viper functions that are no index and no step of a pointer."""

    def visit(node: ast.AST, inside: bool) -> Iterator[str]:
        pointer = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.startswith("ptr")
        for child in ast.iter_child_nodes(node):
            place = inside or pointer or (isinstance(node, ast.Subscript) and child is node.slice)
            if isinstance(child, ast.Constant) and isinstance(child.value, int) and child.value > 32 and not place:
                yield f"{child.value} in line {child.lineno}"
            yield from visit(child, place)

    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    viper = [node for node in functions if any("viper" in ast.unparse(each) for each in node.decorator_list)]
    return [constant for function in viper for constant in visit(function, False)]


@pytest.mark.parametrize("path", sorted(GATE.glob("*.py")), ids=lambda path: path.stem)
def test_kernel_constants_have_names(path: Path) -> None:
    assert bare_constants(ast.parse(path.read_text())) == []
