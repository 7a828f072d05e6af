# SPDX-License-Identifier: MIT
"""What documents and messages tell people to type is there: verbs, their options, `make` targets, files that are linked."""

from __future__ import annotations

import functools
import io
import re
from contextlib import redirect_stdout, suppress
from pathlib import Path
from xml.etree import ElementTree

import pytest
from earlid import cli

ROOT = Path(__file__).parents[2]
FOLDERS = ("firmware", "hardware", "host", "tests")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md"))])
SOURCES = sorted((ROOT / "host").rglob("*.py"))
FENCED = re.compile(r"^```(?:python|diff)\n.*?^```$", re.MULTILINE | re.DOTALL)  # test_recipes.py tries these
COMMAND = re.compile(r"`(?:[A-Z_]+=\S+ )?earlid ([a-z][a-z-]*)([^`\n]*)`")


@functools.cache
def help_of(verb: str) -> str:
    """What `earlid VERB --help` prints, with that of its parts; empty when there is no such verb."""
    out = io.StringIO()
    with redirect_stdout(out), suppress(SystemExit):
        cli.main([verb, "--help"])
    text = out.getvalue()
    for part in re.findall(r"^    ([a-z]+)  ", text, re.MULTILINE) if verb == "model" else []:
        with redirect_stdout(out), suppress(SystemExit):
            cli.main([verb, part, "--help"])
    return out.getvalue()


def test_this_test_sees_commands_and_knows_wrong_ones() -> None:
    assert "--all" in help_of("flash")
    assert "--out" in help_of("model"), "of its part `import`"
    assert not help_of("open")
    assert COMMAND.findall("run `EARLID_PORT=P earlid watch --once`") == [("watch", " --once")]
    assert sum(len(COMMAND.findall(path.read_text(encoding="utf-8"))) for path in [*DOCUMENTS, *SOURCES]) > 60


@pytest.mark.parametrize("path", [*DOCUMENTS, *SOURCES], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_in_backticks_exist(path: Path) -> None:
    wrong = []
    # A message may run over several literals: `earlid watch " "--once`
    text = re.sub(r'"\n\s*f?"', "", FENCED.sub("", path.read_text(encoding="utf-8")))
    for verb, rest in COMMAND.findall(text):
        said = help_of(verb)
        missing = [option for option in re.findall(r"(?<!\w)--?[a-z][a-z-]*", rest) if option not in said]
        if not said or missing:
            wrong.append(f"earlid {verb}{rest}")
    assert not wrong


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_make_targets_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z -]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    every = {name for line in targets for name in line.split()}
    asked = re.findall(r"(?:`|^    )make ([a-z-]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert not set(asked) - every


def known_files() -> tuple[set[str], set[str]]:
    """(paths from the root, bare names) of all files that a document may name."""
    paths = [path for path in ROOT.iterdir() if path.is_file()]
    paths += [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    return {path.relative_to(ROOT).as_posix() for path in paths}, {path.name for path in paths}


@pytest.mark.parametrize("name", [path.name for path in sorted(ROOT.glob("*.md")) if path.name != "CHANGELOG.md"])
def test_files_that_the_main_documents_name_exist(name: str) -> None:
    paths, names = known_files()
    named = re.findall(r"`([\w./-]+\.(?:py|md|json|svg|sh|js|css|ini))`(?!, new)", (ROOT / name).read_text(encoding="utf-8"))
    assert [file for file in named if file not in (paths if "/" in file else names)] == []


def test_modules_that_documents_start_exist() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    named = re.findall(r"python -m ((?:tests|hardware|earlid)[.\w]*)|`(tests(?:\.\w+)+)`", text)
    modules = {(first or second).rstrip(".") for first, second in named}
    assert len(modules) > 5
    paths = {module: ROOT / ("host" if module.startswith("earlid") else "") / Path(*module.split(".")) for module in modules}
    assert [module for module, path in paths.items() if not (path.with_suffix(".py").exists() or path.is_dir())] == []


def test_pictures_of_the_main_documents_are_well_formed() -> None:
    for path in (ROOT / "firmware" / "architecture.svg", ROOT / "host" / "earlid" / "demo" / "recording.svg"):
        assert ElementTree.parse(path).getroot().tag.endswith("svg"), path.name
