# SPDX-License-Identifier: MIT
"""This computer's configuration: who goes before whom, what a mistake is answered with, and that its table is the code's."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import platformdirs
import pytest
from earlid import cli, config_file, folders
from earlid.config_keys import CACHE, HOOK_LIMIT_S, KEYS, LEDGER, PORT, VARIABLES
from earlid.errors import UserError
from earlid.ledger.location import data_dir, locate

from tests.outputs import parse_output

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "host" / "CONFIGURATION.md").read_text(encoding="utf-8")
VARIABLE = re.compile(r"\bEARLID_[A-Z][A-Z_]*\b")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration file, to be written; nothing else is configured."""
    path = tmp_path / "config.toml"
    path.write_text("")
    monkeypatch.setenv("EARLID_CONFIG", str(path))
    for key in KEYS:
        for variable in key.variables:
            monkeypatch.delenv(variable, raising=False)
    return path


def test_option_goes_before_the_environment_and_that_before_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config_file.find(PORT) is None
    file.write_text('port = "F"\n')
    assert config_file.find(PORT) == ("F", f"port in {file}")
    monkeypatch.setenv("ESPTOOL_PORT", "T")
    assert config_file.find(PORT) == ("T", "ESPTOOL_PORT")
    monkeypatch.setenv("EARLID_PORT", "E")
    assert config_file.find(PORT) == ("E", "EARLID_PORT")
    assert config_file.find(PORT, "O") == ("O", "-p/--port")
    monkeypatch.setenv("EARLID_PORT", "")
    assert config_file.get(PORT, "") == "T", "an empty one says nothing"


def test_paths_of_the_file_are_where_ledger_and_keys_go(file: Path, tmp_path: Path) -> None:
    file.write_text(f'data_dir = "{tmp_path}/d"\ncache = "~/c"\n')
    assert data_dir() == tmp_path / "d"
    assert locate(None).path == tmp_path / "d" / "ledger.sqlite"
    assert config_file.get(CACHE) == Path.home() / "c"
    file.write_text('ledger = "postgresql://me@host/name"\n')
    assert locate(None).url == "postgresql+psycopg://me@host/name"
    assert locate(f"{tmp_path}/l").path == tmp_path / "l"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ports = 1", r"ports must be a table, as \[ports\], and is 1"),
        ("allow = []", r"no key 'allow'. Did you mean 'ports.allow'\?"),
        ("[ports]\nallow = 'x'", "ports.allow must be a list of texts"),
        ("EARLID_LEDGER = 1", r"no key 'EARLID_LEDGER'. Did you mean 'ledger'\?"),
        ("[data]\ndir = 1", r"no key 'data'"),
        ("ledger = 7", "ledger must be a text, .* and is 7"),
        ('data_dir = "here"', "data_dir must be a full path"),
        ('ledger = "here.sqlite"', "ledger must be a full path"),
        ('port = "a\\u001b[2J"', "port must be a text"),
        ("hook_limit_s = 0", "hook_limit_s must be a whole number from 1 to 86400, and is 0"),
        ("hooks_at_once = 1" + 30 * "0", "hooks_at_once must be a whole number from 1 to 86400"),
        ("[hooks]\nopen = ['a', ['b']]", "hooks must be a table of event"),
        ("a b", "is no TOML: .*line 1"),
        ("a = " + "[" * 5000, "is no TOML"),
        ('mqtt_password = "x"', "no password belongs in this file"),
        ('"x\\u001b[2J" = 1', r"no key 'x\\\\x1b\[2J'"),
    ],
)
def test_mistake_in_the_file_is_said(
    text: str, says: str, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(text)
    with pytest.raises(UserError, match=says):
        config_file.find(LEDGER)
    assert config_file.get(LEDGER, lenient=True) is None
    assert config_file.get(LEDGER, "named") == "named", "what needs nothing of the file does not mind it"
    assert cli.main(["config", "check"]) == 2
    said = capsys.readouterr()
    assert re.search(says, said.err)
    assert said.out == ""


def test_pipe_that_nobody_writes_to_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setenv("EARLID_CONFIG", str(tmp_path / "pipe"))
    with pytest.raises(UserError, match="is a pipe"):
        config_file.find(LEDGER)
    assert config_file.get(LEDGER, lenient=True) is None


@pytest.mark.parametrize("text", ["0", "-5", "x", "1.5", "9" * 5000, "\u0663"])
def test_variable_that_is_no_number_is_said(text: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARLID_HOOK_LIMIT_S", text)
    with pytest.raises(UserError, match="must be a whole number from 1 to 86400"):
        config_file.find(HOOK_LIMIT_S)


def test_file_of_others_is_not_believed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('port = "F"\n')
    file.chmod(0o666)
    with pytest.raises(UserError, match="chmod go-w"):
        config_file.find(PORT)
    file.chmod(0o644)
    assert config_file.get(PORT) == "F"
    if os.geteuid() == 0:
        os.chown(file, 12345, 0)
    monkeypatch.setattr("os.geteuid", lambda: 54321)
    with pytest.raises(UserError, match="somebody else"):
        config_file.find(PORT)


def test_named_file_must_be_there_and_the_default_one_need_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARLID_CONFIG", str(tmp_path / "none"))
    with pytest.raises(UserError, match="cannot read"):
        config_file.find(CACHE)
    monkeypatch.delenv("EARLID_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert config_file.config_path() == tmp_path / "earlid" / "config.toml"
    assert config_file.read() == ({}, [])


def test_verb_shows_what_is_in_force_and_no_password(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text('ledger = "postgresql://me:pass@word@host/name"\nport = "/dev/x"\n')
    monkeypatch.setenv("EARLID_CACHE", "/c")
    assert cli.main(["config", "show"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert f'ledger = "postgresql://me:***@host/name"  # ledger in {file}' in said
    assert 'cache = "/c"  # EARLID_CACHE' in said
    assert "# data_dir: as it comes" in said
    assert cli.main(["config", "show", "--json"]) == 0
    assert parse_output("config show", capsys.readouterr().out)["port"] == {"value": "/dev/x", "source": f"port in {file}"}
    assert cli.main(["config", "path"]) == 0
    assert capsys.readouterr().out == f"{file}\n"
    assert cli.main(["config", "check"]) == 0
    assert capsys.readouterr().out == f"{file}: 2 keys\n"
    monkeypatch.setenv("EARLID_LEGDER", "x")
    assert cli.main(["config", "check"]) == 2
    assert "EARLID_LEGDER. Did you mean EARLID_LEDGER?" in capsys.readouterr().err


def test_table_of_the_page_is_the_codes() -> None:
    assert config_file.table() in PAGE, "paste what `config_file.table()` prints"


def test_every_variable_that_the_code_reads_is_in_the_table() -> None:
    known = {variable for key in KEYS for variable in key.variables} | {name for name, _ in VARIABLES}
    read: dict[str, str] = {}
    named: dict[str, str] = {}
    for path in sorted((ROOT / "host").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        named |= dict.fromkeys(VARIABLE.findall(text), path.name)
        for node in ast.walk(ast.parse(text)) if "environ" in text or "getenv" in text else ():
            # os.environ.get("X"), os.getenv("X"), "X" in os.environ, os.environ["X"] where it is read
            words: list[ast.expr] = []
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("os.environ.get", "os.getenv", "environ.get"):
                words = node.args[:1]
            elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ" and isinstance(node.ctx, ast.Load):
                words = [node.slice]
            elif isinstance(node, ast.Compare) and ast.unparse(node.comparators[0]) == "os.environ":
                words = [node.left]
            read |= {word.value: path.name for word in words if isinstance(word, ast.Constant) and isinstance(word.value, str)}
    assert len(read) > 5
    assert {name: where for name, where in (read | named).items() if name not in known} == {}
    unused = {name for name in known if name.startswith("EARLID_")} - set(named) - {key.variables[0] for key in KEYS}
    assert not unused


def test_every_key_is_read_by_something() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "host").rglob("*.py") if path.name != "config_keys.py")
    tree = ast.parse((ROOT / "host" / "earlid" / "config_keys.py").read_text(encoding="utf-8"))
    names = [
        node.targets[0].id
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and ast.unparse(node.value).startswith("Key(")
    ]
    assert len(names) == len(KEYS)
    used = re.sub(r"^ *(from|import) .*$", "", text, flags=re.MULTILINE)
    assert [name for name in names if not re.search(rf"\b{name}\b", used)] == []


@pytest.mark.parametrize("home", ["/home/me", "/", "/root/", "relative", "", None])
@pytest.mark.parametrize("chosen", ["/elsewhere", "/x/", "relative", " ", "~/x", "", None])
def test_folders_are_those_of_platformdirs(monkeypatch, home, chosen):
    for name, value in (("HOME", home), ("XDG_DATA_HOME", chosen), ("XDG_CONFIG_HOME", chosen)):
        monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
    assert folders.data() == Path(platformdirs.user_data_dir("earlid", appauthor=False))
    assert folders.config() == Path(platformdirs.user_config_dir("earlid", appauthor=False))
