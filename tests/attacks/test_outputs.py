# SPDX-License-Identifier: MIT
"""Attacks by places: links, devices, folders of others, ports with two readers. Each ends in the sentence that a person reads."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from earlid import cli
from earlid.board.detect import probe
from earlid.board.link import Link
from earlid.doctor import gather
from earlid.flash import content, firmware_build
from earlid.gate import models
from earlid.ledger.location import Location, data_dir
from earlid.ledger.reader import Reader
from earlid.virtual.board import FIRMWARE, VirtualBoard

from tests.attacks.conftest import Said
from tests.board.fake_board import FakeBoard
from tests.flash import harness
from tests.flash.test_transcripts import holding_talk_on_request
from tests.terminal import Terminal

ALEXA = str(models.builtin_dir() / "alexa.tflite")
# Every verb that writes one file whose name it is given, but for `calibrate`, which needs a board: see below.
WRITERS: dict[str, tuple[str, ...]] = {
    "export": ("export", "-o", "OUT"),
    "csv": ("export", "--format", "csv", "-o", "OUT"),
    "parquet": ("export", "--format", "parquet", "-o", "OUT"),
    "backup": ("export", "--backup", "OUT"),
    "page": ("review", "--html", "OUT"),
    "checker": ("verify", "--html", "OUT"),
    "bundle": ("doctor", "--port", "/dev/null", "--bundle", "OUT"),
    "model": ("model", "import", ALEXA, "--out", "OUT"),
}
PRIVATE = set(WRITERS) - {"model", "checker"}


@pytest.fixture
def write(say, capsys) -> Callable[[str, str], Said]:
    """Runs one of `WRITERS` to a place."""

    def run(writer: str, place: str) -> Said:
        words = [place if word == "OUT" else word for word in WRITERS[writer]]
        if words[0] in ("export", "review"):
            return say(*words)
        capsys.readouterr()
        return Said(cli.main(words), *capsys.readouterr())

    return run


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file that belongs to somebody else's work, alone in its folder."""
    path = tmp_path / "victims" / "thesis.txt"
    path.parent.mkdir()
    path.write_text("three years")
    return path


@pytest.mark.parametrize("writer", WRITERS)
def test_output_is_never_written_through_a_link(write, writer, victim):
    link = victim.with_name("out.html")
    link.symlink_to(victim)
    said = write(writer, str(link))
    assert said.code == 2
    assert f"{link} is a link to {victim}: name that, or - for standard output." in said.err
    assert victim.read_text() == "three years"
    assert sorted(os.listdir(victim.parent)) == ["out.html", "thesis.txt"]
    assert link.is_symlink()


@pytest.mark.parametrize("writer", WRITERS)
def test_output_never_replaces_a_device_or_a_ledger(home, write, writer):
    said = write(writer, "/dev/full")
    assert said.code == 2
    assert "cannot write /dev/full: it is a device." in said.err
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)
    other = home.path.with_name("other.sqlite")
    shutil.copy(home.path, other)
    other.with_name("other.sqlite-wal").touch()
    before = other.read_bytes()
    said = write(writer, str(other))
    assert said.code == 2
    assert "other.sqlite is a database, perhaps a ledger in use: it is not replaced." in said.err
    assert other.read_bytes() == before


@pytest.mark.parametrize("writer", WRITERS)
def test_private_output_is_its_owners_alone_and_leaves_nothing_beside_it(write, writer, victim):
    out = victim.with_name("out")
    out.touch(0o644)
    before = os.umask(0)
    try:
        said = write(writer, str(out))
    finally:
        os.umask(before)
    assert said.code in (0, 1, 3), said.err  # a bundle of a port that is none has something to tell
    assert out.stat().st_size > 100
    assert stat.S_IMODE(out.stat().st_mode) == (0o600 if writer in PRIVATE else 0o666)
    assert sorted(os.listdir(victim.parent)) == ["out", "thesis.txt"]


@pytest.mark.parametrize("writer", WRITERS)
def test_hyphen_is_standard_output(home, writer, tmp_path, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    words = ["-" if word == "OUT" else word for word in WRITERS[writer]]
    where = ["--ledger", str(home.path)] if words[0] in ("export", "review") else []
    done = subprocess.run([sys.executable, "-m", "earlid.cli", *words, *where], capture_output=True, check=False, cwd=folder)
    magic = {"parquet": b"PAR1", "backup": b"SQLite format 3\0", "model": b"ELWW", "csv": b"wall,"}
    magic |= dict.fromkeys(("page", "checker"), b"<!doctype html>")
    assert done.stdout.lower().startswith(magic.get(writer, b"{").lower()), done.stderr
    assert not os.listdir(folder)


def test_binary_for_a_terminal_is_a_sentence(home):
    words = ["export", "--format", "parquet", "-o", "-", "--ledger", str(home.path)]
    with Terminal(words, columns=200) as person:
        assert person.end() == 2
    assert "a terminal shows no such file: name one, or send the output on" in person.text


def test_pipe_of_a_shell_is_written(home, tmp_path):
    script = f"{sys.executable} -m earlid.cli export --ledger {home.path} -o >(wc -l > {tmp_path}/count); wait $!; sleep 0.2"
    subprocess.run(["bash", "-c", script], check=True)
    assert int((tmp_path / "count").read_text()) > 100


@pytest.mark.parametrize("option", ["--report", "--plot"])
def test_calibration_looks_at_its_outputs_before_it_measures(option, victim, capsys):
    link = victim.with_name("out.png")
    link.symlink_to(victim)
    assert cli.main(["calibrate", "--port", "/dev/null", "--json", option, str(link)]) == 2
    assert f"{link} is a link to {victim}" in capsys.readouterr().err


# -- where ledger and keys are ---------------------------------------------------------------------------------------------


def earlid(*words: str, **options) -> Said:
    """`earlid` in a process of its own."""
    done = subprocess.run([sys.executable, "-m", "earlid.cli", *words], capture_output=True, text=True, check=False, **options)
    return Said(done.returncode, done.stdout, done.stderr)


def bare_environment(**more: str) -> dict[str, str]:
    """This process's environment without what names a place."""
    names = ("HOME", "XDG_DATA_HOME", "EARLID_DATA_DIR", "EARLID_LEDGER", "JOURNAL_STREAM")
    return {name: value for name, value in os.environ.items() if name not in names} | more


@pytest.mark.parametrize("home", ["", None])
def test_unknown_home_is_a_sentence(home, tmp_path, monkeypatch, capsys):
    def nobody(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", nobody)  # as for the user of a container
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_DATA_HOME", "EARLID_DATA_DIR", "EARLID_LEDGER"):
        monkeypatch.delenv(name, raising=False)
    if home is not None:
        monkeypatch.setenv("HOME", home)
    for verb in ("review", "watch"):
        assert cli.main([verb]) == 2
        assert capsys.readouterr().err == (
            "earlid: no home folder is known here (HOME): set EARLID_DATA_DIR to the full path of a folder for ledger and keys.\n"
        )
    assert not os.listdir(tmp_path)


def test_home_of_a_stranger_is_a_sentence(tmp_path):
    said = earlid("review", "--ledger", "~nobody-of-this-name/ledger.sqlite", env=bare_environment(HOME=str(tmp_path)))
    assert said.code == 2
    assert "--ledger ~nobody-of-this-name/ledger.sqlite: no home folder is known for that. Name the full path." in said.err


@pytest.mark.parametrize("how", ["--ledger", "EARLID_LEDGER", "EARLID_DATA_DIR"])
def test_relative_ledger_under_a_service_is_a_sentence(how, tmp_path):
    words = ("--ledger", "kitchen") if how == "--ledger" else ()
    more = {how: "kitchen"} if not words else {}
    with (tmp_path / "journal").open("w") as journal:
        status = os.fstat(journal.fileno())
        environment = bare_environment(HOME=str(tmp_path), JOURNAL_STREAM=f"{status.st_dev}:{status.st_ino}", **more)
        code = subprocess.run(
            [sys.executable, "-m", "earlid.cli", "watch", *words], stderr=journal, env=environment, cwd="/", check=False
        ).returncode
    assert code == 2
    says = f"earlid: {how} kitchen is relative, and a service has no folder of its own: name the full path.\n"
    assert (tmp_path / "journal").read_text() == says
    said = earlid("watch", *words, env=bare_environment(HOME=str(tmp_path), **more), cwd="/", stdin=subprocess.DEVNULL)
    assert (said.code, said.err) == (2, says), "launchd starts a program in /"


def test_service_file_names_full_paths(tmp_path):
    chosen = bare_environment(HOME=str(tmp_path), EARLID_DATA_DIR="data")
    said = earlid("watch", "--service", "systemd", "--ledger", "kitchen.sqlite", env=chosen, cwd=tmp_path)
    assert said.code == 0
    (line,) = re.findall("ExecStart=(.*)", said.out)
    assert f"Environment=EARLID_DATA_DIR={tmp_path}/data\n" in said.out
    assert line.endswith(f" --ledger {tmp_path}/kitchen.sqlite")
    chosen = bare_environment(HOME=str(tmp_path), EARLID_LEDGER="study.sqlite")
    assert f"--ledger {tmp_path}/study.sqlite\n" in earlid("watch", "--service", "systemd", env=chosen, cwd=tmp_path).out


def test_ledger_of_another_user_is_named(home, say, monkeypatch):
    from earlid.ledger import location

    monkeypatch.setattr(location, "other_owner", lambda path: "alice")
    for module in ("db_errors", "store"):
        monkeypatch.setattr(f"earlid.ledger.{module}.other_owner", lambda path: "alice")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    said = say("review", "label", "52", "true", "--board", "kitchen")
    assert said.code == 2
    assert (
        f"the ledger {home.path} belongs to alice, and root would sign in it with a key of its own: run earlid as alice."
        in said.err
    )
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(home.path))

    monkeypatch.setattr("earlid.ledger.reader._open_sqlite", refused)
    said = say("review")
    assert said.code == 2
    assert f"the ledger {home.path} belongs to alice: run earlid as alice, or name your own with --ledger." in said.err


@pytest.mark.skipif(os.geteuid() != 0, reason="nobody else may give a file away")
def test_owner_of_a_file_or_of_the_folder_above_is_known(tmp_path):
    from earlid.ledger.location import other_owner

    path = tmp_path / "theirs" / "ledger.sqlite"
    path.parent.mkdir()
    assert other_owner(path) is None
    os.chown(path.parent, 54321, 54321)
    assert other_owner(path) == "user 54321"
    path.touch()
    assert other_owner(path) is None, "it is ours, in whosever folder"


# -- a port with two readers -----------------------------------------------------------------------------------------------


def test_doctor_names_a_program_that_took_no_lock(capsys):
    with FakeBoard("0123456789abcdef", []) as board:
        holder = subprocess.Popen(["sleep", "60"], stdin=os.open(board.path, os.O_RDWR | os.O_NOCTTY))
        try:
            assert cli.main(["doctor", "--port", board.path, "--no-self-test"]) == 1
        finally:
            holder.kill()
            holder.wait()
        said = capsys.readouterr().out
        assert f"{board.path}: sleep ({holder.pid}) has {board.path} open too, without a lock." in said
        assert "Do:       Close that program, then run `earlid doctor` again." in said
        assert gather.port_holder(board.path) is None


# -- the demo --------------------------------------------------------------------------------------------------------------


@contextmanager
def demo() -> Iterator[tuple[Terminal, str, dict[str, str]]]:
    """A demo that stays, its port, and the environment that it tells another terminal to have."""
    with Terminal(["demo", "--no-story"], columns=100) as person:
        person.expect("q end")
        port = re.search(r"stays at (\S+)\. ", person.text)
        folder = re.search(r"export (EARLID_DATA_DIR)=(\S+)", person.text)
        assert port
        assert folder
        yield person, port[1], {folder[1]: folder[2]}
        person.keys("q")
        person.expect("The board is gone.")
        assert person.end() == 0


@pytest.mark.soak
def test_second_demo_is_another_board_with_a_ledger_of_its_own():
    boards = []
    for _ in range(2):
        with demo() as (_, port, environment):
            with Link(port) as link:
                assert any(getattr(message, "event", "") == "selftest" for message in link.messages(60))
            said = earlid("watch", "--once", "--port", port, env={**os.environ, **environment})
            assert said.code == 0, said.err
            said = earlid("verify", env={**os.environ, **environment})
            assert "altered" not in said.out.lower()
            folder = Path(*environment.values())
            with Reader(Location(folder / "ledger.sqlite", "")) as reader:
                boards += [row[0] for row in reader.rows("SELECT board FROM boards")]
        assert not folder.exists(), "the board is gone, its ledger stays"
    assert len(boards) == len(set(boards)) == 2
    assert not (data_dir() / "ledger.sqlite").exists(), "a demo's records stand among real boards'"


@pytest.mark.usefixtures("patient")
def test_update_by_flash_keeps_the_word_of_the_demo(capsys):
    files = content.deployed(firmware_build.build(FIRMWARE, "x64"), models.load("alexa").blob)
    board = VirtualBoard(firmware=None, files=files)
    board.noise(-60)
    board.power_on()
    board.run_background(speed=None)
    try:
        harness.wait_for(board, lambda: '"selftest"' in board.console)
        with holding_talk_on_request(board):
            assert cli.main(["flash", "--port", board.serial_port, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["sent_bytes"] == 0, "it was laid out as `earlid flash` lays it out"
        assert probe(board.serial_port, timeout_s=60).hello["word"] == "Alexa"
        with Link(board.serial_port) as link:
            assert link.request("hello")["hi"]["word"] == "Alexa"
    finally:
        board.stop()
