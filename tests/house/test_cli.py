# SPDX-License-Identifier: MIT
"""The program as a whole: what it says of itself, and to words that it does not know."""

from __future__ import annotations

import pkgutil
import tomllib
from pathlib import Path

import pytest
from earlid import cli, verbs

ROOT = Path(__file__).parents[2]


def typed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a line that ends before any verb runs."""
    with pytest.raises(SystemExit) as ended:
        cli.main(list(words))
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_every_verb_is_listed_with_help(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = typed(capsys, "--help")
    assert code == 0
    listed = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.startswith("    ") and line[4] != " "}
    names = {module.name for module in pkgutil.iter_modules(verbs.__path__)}
    assert set(listed) == names
    assert all(listed.values()), "a verb without help"
    assert set(cli.FIRST) <= names


def test_no_arguments_print_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = typed(capsys)
    assert (code, out) == (2, "")
    assert "earlid demo" in err


def test_version_is_the_projects(capsys: pytest.CaptureFixture[str]) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert typed(capsys, "--version") == (0, f"earlid {version}\n", "")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["review", "--port", "P"], ("usage: earlid review", "not understood: --port")),
        (["list", "more"], ("usage: earlid list", "not understood: more")),
        (["open"], ("usage: earlid [-h]", "'open'", "'safe'")),
    ],
)
def test_unknown_arguments_print_the_verbs_usage(
    words: list[str], says: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = typed(capsys, *words)
    assert (code, out) == (2, "")
    for text in says:
        assert text in err


@pytest.mark.parametrize("name", sorted(module.name for module in pkgutil.iter_modules(verbs.__path__)))
def test_every_verb_has_a_description(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = typed(capsys, name, "--help")
    assert (code, err) == (0, "")
    assert len(out.split("\n\n")[1].split()) >= 5, "a description of a sentence"
