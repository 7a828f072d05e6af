# SPDX-License-Identifier: MIT
"""What `earlid.files` promises: whole or not at all, the modes, links and devices, errors that say what to do."""

from __future__ import annotations

import os
import socket
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest
from earlid.errors import FAILED, USAGE, UserError
from earlid.files import open_atomically, read_json, write_atomically


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with old content, alone in its folder."""
    path = tmp_path / "file.txt"
    path.write_text("old")
    return path


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("data", ["new\r\nä\n", b"\xff\n"])
@pytest.mark.parametrize("sync", [False, True])
def test_content_is_replaced_byte_for_byte(path: Path, data: str | bytes, sync: bool) -> None:
    write_atomically(path, data, sync=sync)
    assert path.read_bytes() == (data if isinstance(data, bytes) else data.encode())
    assert os.listdir(path.parent) == [path.name]


def test_failed_write_leaves_the_old_file_and_nothing_else(path: Path) -> None:
    with suppress(ZeroDivisionError), open_atomically(path) as file:
        file.write("half of it")
        file.flush()
        assert path.read_text() == "old", "seen before it was whole"
        1 / 0  # noqa: B018
    assert path.read_text() == "old"
    assert os.listdir(path.parent) == [path.name]


def test_killed_writer_leaves_the_old_file_whole(path: Path) -> None:
    script = (
        "import os, pathlib, sys\nfrom earlid.files import open_atomically\n"
        "with open_atomically(pathlib.Path(sys.argv[1])) as file:\n    file.write('half'); file.flush(); os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == 9
    assert path.read_text() == "old"
    write_atomically(path, "new")
    assert path.read_text() == "new", "what the dead writer left is in nobody's way"


def test_private_file_is_its_owners_alone_even_where_an_open_one_stood(path: Path) -> None:
    path.chmod(0o644)
    write_atomically(path, "new", private=True)
    assert mode_of(path) == 0o600
    with open_atomically(path, private=True):
        assert {mode_of(item) for item in path.parent.iterdir()} == {0o600}, "while it is written, too"


def test_public_file_is_as_the_umask_says(path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(path, "new")
    finally:
        os.umask(before)
    assert mode_of(path) == 0o640


@pytest.mark.parametrize("target", ["file.txt", "none", "/dev/null"])
def test_symbolic_link_is_neither_followed_nor_replaced(path: Path, target: str) -> None:
    link = path.with_name("link")
    link.symlink_to(target)
    with pytest.raises(UserError, match=rf"is a link to .*{target}: name that, or - for standard output") as raised:
        write_atomically(link, "new")
    assert raised.value.code == USAGE
    assert link.is_symlink()
    assert path.read_text() == "old"
    assert len(os.listdir(path.parent)) == 2


@pytest.mark.parametrize(("name", "kind"), [("/dev/full", "device"), ("socket", "socket")])
def test_device_or_socket_is_neither_written_nor_replaced(
    path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: str
) -> None:
    monkeypatch.chdir(path.parent)
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind("socket")
        with pytest.raises(UserError, match=rf"cannot write {name}: it is a {kind}\. Name a file") as raised:
            write_atomically(Path(name), "new")
    assert raised.value.code == USAGE


def test_database_is_not_replaced_by_an_output(path: Path) -> None:
    with closing(sqlite3.connect(path.with_name("ledger.sqlite"))) as ledger:
        ledger.execute("CREATE TABLE records (seq)")
    ledger_path = path.with_name("ledger.sqlite")
    before = ledger_path.read_bytes()
    for over_database, log in ((False, False), (True, True)):  # never, or not while it is in use
        if log:
            ledger_path.with_name("ledger.sqlite-wal").touch()
        with (
            pytest.raises(UserError, match="is a database, perhaps a ledger"),
            open_atomically(ledger_path, over_database=over_database),
        ):
            pass
    assert ledger_path.read_bytes() == before
    ledger_path.with_name("ledger.sqlite-wal").unlink()
    with open_atomically(ledger_path, over_database=True) as file:
        file.write("a newer backup")
    assert ledger_path.read_text() == "a newer backup"


def test_pipe_is_written_as_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(pipe, "new", private=True, sync=True)
    assert os.read(reader, 10) == b"new"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
@pytest.mark.parametrize("data", ["ä\n", b"\xff"])
def test_standard_output_can_be_named_as_a_file(name: str, data: str | bytes, tmp_path: Path) -> None:
    script = f"import pathlib; from earlid.files import write_atomically as w; print(1); w(pathlib.Path({name!r}), {data!r})"
    script += "; print(2)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, cwd=tmp_path)
    if name == "-":  # in its place between what else is printed
        assert done.stdout == b"1\n" + (data if isinstance(data, bytes) else data.encode()) + b"2\n"
    assert not os.listdir(tmp_path)


def test_standard_output_that_is_a_file_is_not_replaced(tmp_path: Path) -> None:
    script = "import pathlib; from earlid.files import write_atomically as w; w(pathlib.Path('/dev/stdout'), 'new')"
    with (tmp_path / "out").open("wb") as out:
        done = subprocess.run([sys.executable, "-c", script], stdout=out, stderr=subprocess.PIPE, text=True, check=False)
    assert "/out: name that, or - for standard output." in done.stderr


def test_file_beyond_the_limit_of_sizes_is_an_error_with_a_next_step(path: Path) -> None:
    script = (
        "import pathlib, resource, signal, sys; from earlid.files import write_atomically as w\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: w(pathlib.Path(sys.argv[1]), 'n' * 5000)\nexcept Exception as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    says = "File too large. Name a file in a folder that exists, can be written to, and has room."
    assert done.stdout == f"cannot write {path}: {says}\n"
    assert path.read_text() == "old"
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("name", ["none/file", "", "file.txt/file"])
def test_impossible_place_is_an_error_with_the_callers_next_step(path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"cannot write .*\. Look elsewhere\.") as raised:
        write_atomically(path.parent / name, "new", next_step="Look elsewhere.")
    assert raised.value.code == FAILED
    assert os.listdir(path.parent) == [path.name]


def test_folder_is_made_only_when_asked_and_private_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    write_atomically(path, "new", private=True, make_folder=True)
    assert path.read_text() == "new"
    assert mode_of(path.parent) == 0o700


def test_json_is_read(path: Path) -> None:
    path.write_text('{"ä": [1]}', encoding="utf-8")
    assert read_json(path) == {"ä": [1]}


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, r"No such file.*\. Name a file"), (b"{", "is not JSON"), (b"\xff", "is not JSON"), (b"[" * 200_000, "is not JSON")],
    ids=["missing", "half", "no text", "too deep"],
)
def test_unreadable_json_is_a_usage_error_with_a_next_step(path: Path, content: bytes | None, says: str) -> None:
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(UserError, match=says) as raised:
        read_json(path)
    assert raised.value.code == USAGE
