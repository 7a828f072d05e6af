# SPDX-License-Identifier: MIT
"""host/README.md: its blocks do what they say, on a ledger of a household and a virtual board; its imports are typed."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from earlid.errors import NO_BOARD
from earlid.virtual.board import VirtualBoard

from tests.page.synthetic import household

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "host" / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:^([^\n]+)\n\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ELSEWHERE = ("Not run here: ",)
BLOCKS = [(before, language, text) for before, language, text in BLOCK.findall(PAGE) if not before.startswith(ELSEWHERE)]
API = re.findall(r"^\| `(earlid(?:\.\w+)+)` \|", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ledger of three weeks."""
    folder = tmp_path_factory.mktemp("home")
    household(folder / "ledger.sqlite", days=21)
    return folder


@pytest.fixture(scope="module")
def port() -> Iterator[str]:
    with VirtualBoard() as board:
        board.run_background(speed=1.0)
        yield board.serial_port


@pytest.mark.parametrize(("before", "language", "text"), BLOCKS, ids=[f"{number}" for number in range(len(BLOCKS))])
def test_block_runs(before: str, language: str, text: str, place: Path, request: pytest.FixtureRequest) -> None:
    environment = {**os.environ, "EARLID_LEDGER": str(place / "ledger.sqlite"), "HOME": str(place), "TZ": "UTC"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    if before == "With a board:":
        environment["EARLID_PORT"] = request.getfixturevalue("port")
    command = {"sh": ["bash", "-euo", "pipefail", "-c", text], "python": [sys.executable, "-c", text]}[language]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=60)
    no_board = NO_BOARD if text.endswith("earlid list\n") else 0  # a computer without boards
    assert done.returncode in (0, no_board), done.stderr
    assert done.stdout
    assert "exit code" not in done.stdout


def test_page_has_blocks_of_both_kinds_and_says_why_others_are_not_run() -> None:
    assert {language for _, language, _ in BLOCKS} == {"sh", "python"}
    assert len(BLOCKS) >= 7
    for before, _, _ in BLOCK.findall(PAGE):
        if before.startswith(ELSEWHERE):
            assert len(before.split()) > 5, "why?"


@pytest.mark.parametrize("name", API)
def test_what_a_script_may_import_is_there_typed_and_shown(name: str) -> None:
    module, _, member = name.rpartition(".")
    found = getattr(importlib.import_module(module), member)
    assert found.__doc__
    if not isinstance(found, type):
        assert set(found.__annotations__) >= {"return"}
    assert "Any" not in str(getattr(found, "__annotations__", {}))
    assert re.search(rf"^\s*from {module} import .*\b{member}\b", PAGE, re.MULTILINE), "an example"


def test_examples_import_nothing_else() -> None:
    shown = re.findall(r"^from (earlid[\w.]+) import (.+)$", PAGE, re.MULTILINE)
    assert {f"{module}.{member.strip()}" for module, members in shown for member in members.split(",")} == set(API)
    assert 10 <= len(API) <= 14
