# SPDX-License-Identifier: MIT
"""Every source file names its licence in its first line, in the form that licence scanners read."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
SUFFIXES = {".py", ".js", ".css", ".html", ".sh"}


def first_line(path: Path) -> str:
    """The first line of a text file, or the one after `#!`."""
    lines = [*path.read_text(encoding="utf-8").splitlines()[:2], "", ""]
    return lines[1] if lines[0].startswith("#!") else lines[0]


def test_source_files_name_their_licence_in_the_first_line() -> None:
    folders = [ROOT / name for name in ("firmware", "hardware", "host", "tests")]
    paths = [path for folder in folders for path in folder.rglob("*") if path.suffix in SUFFIXES]
    assert len(paths) > 300
    wrong = [
        path.name
        for path in [*paths, ROOT / "Makefile", ROOT / ".ci" / "run"]
        if "SPDX-License-Identifier: MIT" not in first_line(path)
    ]
    assert not wrong
