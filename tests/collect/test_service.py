# SPDX-License-Identifier: MIT
"""`earlid watch --service`: systemd and launchd read the files as they are meant, and their command runs and ends cleanly."""

from __future__ import annotations

import os
import plistlib
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest
from earlid.cli import main
from earlid.ledger.location import locate
from earlid.ledger.reader import Reader

from tests.board.fake_board import FakeBoard, seal_records

BOARD = "00112233aabbccdd"
ODD = "a \"b\" 'c' $HOME 100% \\ <&> ü"


def unit(capsys, kind, *words):
    assert main(["watch", "--service", kind, *words]) == 0
    return capsys.readouterr().out


def systemd_words(text):
    """The command of a unit, read by systemd's rules as far as they are a shell's."""
    line = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    words = [word.replace("$$", "$").replace("%%", "%") for word in shlex.split(line.removeprefix("ExecStart="))]
    return words


def launchd_words(text):
    return plistlib.loads(text.encode())["ProgramArguments"]


@pytest.mark.parametrize("kind", ["systemd", "launchd"])
def test_service_has_the_folder_that_was_chosen(capsys, monkeypatch, tmp_path, kind):
    def folder():
        text = unit(capsys, kind)
        if kind == "launchd":
            return plistlib.loads(text.encode()).get("EnvironmentVariables", {}).get("EARLID_DATA_DIR")
        variables = [word for line in text.splitlines() if line.startswith("Environment=") for word in shlex.split(line)]
        return "".join(variables).removeprefix("Environment=EARLID_DATA_DIR=").replace("%%", "%") or None

    monkeypatch.setenv("EARLID_DATA_DIR", str(tmp_path / ODD))
    assert folder() == str(tmp_path / ODD)
    monkeypatch.delenv("EARLID_DATA_DIR")
    assert folder() is None


@pytest.mark.parametrize(("kind", "words_of"), [("systemd", systemd_words), ("launchd", launchd_words)])
def test_service_file_quotes_every_argument(capsys, kind, words_of):
    words = words_of(unit(capsys, kind, "-p", ODD, "--ledger", f"/tmp/{ODD}.sqlite"))
    assert words == [
        sys.executable, "-m", "earlid.cli", "watch", "--quiet", "--port", ODD, "--ledger", f"/tmp/{ODD}.sqlite",
    ]  # fmt: skip


def test_systemd_analyze_accepts_the_unit(capsys, tmp_path, monkeypatch):
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd here (apt-get install systemd)")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("EARLID_DATA_DIR", str(tmp_path / ODD))
    path = tmp_path / "earlid-watch.service"
    good = unit(capsys, "systemd", "--ledger", f"/tmp/{ODD}.sqlite")
    for text, fine in ((good, True), (good.replace("Restart=", "Restrat="), False), (good.replace(sys.executable, "/no"), False)):
        path.write_text(text)
        done = subprocess.run(["systemd-analyze", "--user", "verify", str(path)], capture_output=True, text=True, check=False)
        complaints = [line for line in done.stderr.splitlines() if path.name in line]
        assert (done.returncode == 0 and not complaints) == fine, done.stderr


@pytest.mark.parametrize(("kind", "words_of"), [("systemd", systemd_words), ("launchd", launchd_words)])
def test_service_command_collects_and_ends_at_sigterm(capsys, tmp_path, kind, words_of):
    ledger = tmp_path / "led ger.sqlite"
    slots = seal_records(BOARD, 12)
    with FakeBoard(BOARD, slots[:10]) as board:
        words = words_of(unit(capsys, kind, "-p", board.path, "--ledger", str(ledger)))
        environment = {"EARLID_DATA_DIR": str(tmp_path / "data"), "HOME": str(tmp_path)}  # a service has little else
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 text=True, cwd="/", env=environment)  # fmt: skip
        try:
            for count in (10, 11):
                until_s = time.monotonic() + 60
                while board.acked < count:
                    assert time.monotonic() < until_s, f"{board.acked} records acknowledged"
                    assert child.poll() is None
                    time.sleep(0.02)
                if count == 10:
                    board.append(slots[10])
            child.send_signal(signal.SIGTERM)
            out, err = child.communicate(timeout=60)
        finally:
            child.kill()
            child.wait()
    assert child.returncode == 0, err
    assert out == ""
    assert len(err.splitlines()) == 2, err  # quiet: that the board is here, its firmware old, and no line a record
    assert "10 records fetched" in err
    assert os.stat(ledger).st_mode & 0o777 == 0o600
    with Reader(locate(str(ledger))) as reader:
        assert reader.rows("SELECT COUNT(*) FROM records") == [(11,)]
