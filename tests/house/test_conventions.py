# SPDX-License-Identifier: MIT
"""What holds over the whole tree: licence lines, one version, the same checks before a commit as in `make lint`."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

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
    paths += [ROOT / "Makefile", ROOT / ".ci" / "run", ROOT / ".pre-commit-config.yaml"]
    assert [path.name for path in paths if "SPDX-License-Identifier: MIT" not in first_line(path)] == []


def test_no_link_is_kept_which_would_lead_out_of_the_tree() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    listed = subprocess.run(["git", "ls-files", "-s", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    modes = {entry.split(maxsplit=1)[0] for entry in listed.split("\0") if entry}
    assert modes <= {"100644", "100755"}


def test_package_firmware_and_changelog_have_one_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    firmware = "\n".join(path.read_text() for path in sorted((ROOT / "firmware" / "lid").glob("*.py")))
    assert re.findall(r'^VERSION = "(.*)"$', firmware, re.MULTILINE) == [version]
    major, minor, patch = map(int, version.split("."))
    assert re.findall(r"^VERSION_CODE = const\((0x[0-9a-f]+)\)", firmware, re.MULTILINE) == [
        f"0x{major << 16 | minor << 8 | patch:06x}"
    ]
    newest = next(line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## "))
    assert newest.startswith(f"## [{version}] - ")


def test_hooks_before_a_commit_run_what_lint_runs() -> None:
    makefile = (ROOT / "Makefile").read_text()
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe
    lint = {line.strip().removeprefix("$(BIN)/").removesuffix(" .").replace(" --quiet", "") for line in recipe[1].splitlines()}
    entries = re.findall(r"entry: \.venv/bin/(.*)", (ROOT / ".pre-commit-config.yaml").read_text())
    assert {entry.replace(" --force-exclude", "") for entry in entries} == lint


def test_commits_that_blame_skips_are_whole_hashes_with_their_subject() -> None:
    lines = (ROOT / ".git-blame-ignore-revs").read_text().splitlines()
    hashes = [number for number, line in enumerate(lines) if not line.startswith("#")]
    assert all(re.fullmatch("[0-9a-f]{40}", lines[number]) and ": " in lines[number - 1] for number in hashes)
    assert len({lines[number] for number in hashes}) == len(hashes) >= 4
