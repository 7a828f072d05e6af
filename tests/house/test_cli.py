# SPDX-License-Identifier: MIT
"""The program as a whole: what it says of itself, and to words that it does not know."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from earlid import cli, verbs
from earlid.collect import events
from earlid.verbs import HELP
from jsonschema import Draft202012Validator, ValidationError
from lid import record

from tests.outputs import SCHEMA, parse_output

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
    names = {module.name.replace("_", "-") for module in pkgutil.iter_modules(verbs.__path__)}
    assert list(listed) == list(HELP)
    assert set(listed) == names
    assert all(listed.values()), "a verb without help"


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
        (["open"], ("usage: earlid [-h]", "no verb opens a lid")),
    ],
)
def test_unknown_arguments_print_the_verbs_usage(
    words: list[str], says: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = typed(capsys, *words)
    assert (code, out) == (2, "")
    for text in says:
        assert text in err


@pytest.mark.parametrize("name", sorted(HELP))
def test_every_verb_has_a_description(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = typed(capsys, name, "--help")
    assert (code, err) == (0, "")
    assert len(out.split("\n\n")[1].split()) >= 5, "a description of a sentence"


def parsers_with_json() -> Iterator[str]:
    """Verbs that take `--json`, and parts of verbs, as `model list`."""
    found = argparse.ArgumentParser().add_subparsers()
    for module in pkgutil.iter_modules(verbs.__path__):
        importlib.import_module(f"earlid.verbs.{module.name}").add(found)
    for verb, parser in found.choices.items():
        parts = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        inner = {f"{verb} {name}": part for action in parts for name, part in action.choices.items()}
        yield from (name for name, part in {verb: parser, **inner}.items() if "--json" in part.format_help())


def test_every_json_output_has_a_schema_and_a_test_against_it() -> None:
    defined = SCHEMA["$defs"]
    Draft202012Validator.check_schema(SCHEMA)
    assert set(parsers_with_json()) - {"config"} <= set(defined)  # of `config`, only `show` has it
    assert defined["watch"]["oneOf"][0]["properties"]["event"]["enum"] == list(record.EVENTS)
    assert defined["watch"]["oneOf"][1]["properties"]["event"]["enum"] == list(events.OTHERS)
    tests = "".join(path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py"))
    forms = [name for name in defined if name.split()[0] in {*(name.split()[0] for name in parsers_with_json())}]
    assert len(forms) >= 18
    for form in forms:
        assert re.search(rf'(parse_output|parse_lines)\(\s*"{form}"', tests), form


def test_json_with_another_name_or_without_one_is_not_what_the_schema_says() -> None:
    event = {"schema": 1, "board": None, "port": None, "at_ms": 1, "event": "here", "reason": "", "text": ""}
    parse_output("watch", json.dumps(event))
    for wrong in ({"schema": 2}, {"event": "open"}, {"board": "kitchen"}, {"more": 1}, {"at_ms": "now"}):
        with pytest.raises(ValidationError):
            parse_output("watch", json.dumps(event | wrong))
    with pytest.raises(ValidationError):
        parse_output("watch", json.dumps({name: event[name] for name in event if name != "text"}))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("watsh", "no verb 'watsh'; did you mean watch?"),
        ("opeen", "did you mean open?"),
        ("zzz", "no verb 'zzz': `earlid --help` lists them"),
        ("watch --jsn", "not understood: --jsn; did you mean --json?"),
        ("model lst", "did you mean list?"),
        ("model show alexa --jsn", "did you mean --json?"),
        ("flash --recipe usv", "did you mean usb?"),
        ("unmute", "the mute switch is a contact at the board"),
        ("un-mute", "the mute switch is a contact at the board"),
        ("open kitchen --now", "only your word or the talk button at the board"),
        ("help open", "only your word or the talk button at the board"),
        ("-v close", "`earlid safe` closes every lid"),
    ],
)
def test_wrong_word_is_answered_with_what_was_meant(line: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = typed(capsys, *line.split())
    assert (code, out) == (2, "")
    assert says in err


def test_help_verb_says_what_its_help_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(capsys, "help", "watch") == typed(capsys, "watch", "--help")
    assert typed(capsys, "help") == typed(capsys, "--help")


def loaded_by(*words: str) -> set[str]:
    """Modules that a line of the command loads, beyond those of an empty Python."""
    code = "import sys; before = set(sys.modules); from earlid.cli import main\n"
    code += f"try:\n    main({list(words)!r})\nexcept SystemExit: pass\n"
    code += "print(*sorted(set(sys.modules) - before), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_whole_help_loads_no_verb_and_no_package() -> None:
    loaded = loaded_by("--help")
    assert {"argparse", "earlid.usage"} <= loaded
    ours = {name for name in loaded if name.startswith("earlid.")}
    assert ours <= {"earlid.cli", "earlid.errors", "earlid.firmware", "earlid.log", "earlid.usage", "earlid.verbs"}
    assert not loaded & {"serial", "rich", "numpy", "sqlalchemy", "platformdirs", "cryptography", "logging", "json", "pathlib"}


@pytest.mark.parametrize("name", ["list", "safe", "pair", "settings", "flash", "review", "score", "bridge", "watch"])
def test_verb_loads_little_before_it_has_a_board(name: str) -> None:
    slow = {"concurrent.futures", "multiprocessing.connection", "urllib.request", "sqlalchemy", "numpy", "rich", "mpremote"}
    assert loaded_by(name, "--help") & slow == set()


@pytest.mark.parametrize("name", sorted(HELP))
def test_interrupt_while_loading_is_no_traceback(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.import_module

    def interrupted(module: str, package: str | None = None) -> ModuleType:
        if module == f"earlid.verbs.{name.replace('-', '_')}":
            raise KeyboardInterrupt
        return real(module, package)

    monkeypatch.setattr(importlib, "import_module", interrupted)
    assert cli.main([name, "--help"]) == 130
    assert capsys.readouterr().err == "earlid: interrupted\n"


# Ctrl-C at the import of any module that the line loads, the first of them included.
INTERRUPTED = """
import sys
from earlid import cli
module = sys.argv[1]
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
sys.argv = ["earlid", "list"]
cli.program()
"""


@pytest.mark.parametrize(
    "module", ["argparse", "earlid.errors", "earlid.usage", "earlid.verbs", "earlid.verbs.list", "serial", "platformdirs"]
)
def test_interrupted_import_ends_with_130(module: str) -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED, module], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "earlid: interrupted\n")
