# SPDX-License-Identifier: MIT
"""A full disk: the kernel refuses the write, and no acknowledged record is lost."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest
from earlid.cli import main
from earlid.errors import UserError
from earlid.ledger.boards import boards
from earlid.ledger.judge import judge
from earlid.ledger.reader import Reader
from earlid.ledger.store import Ledger
from synthetic_chains import BOARD, KEYS, life

from tests.board.fake_board import FakeBoard, seal_records

SIZE = 3000
# A file system of its own for this process and its children; no privilege but a user namespace.
OWN_DISK = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
MOUNT = 'mount -t tmpfs -o size=8m tmpfs "$1" && '
WATCHED = (
    MOUNT + 'head -c 7860k /dev/zero > "$1/ballast"; '
    '"$2" -m earlid.cli watch -q -p "$3" --ledger "$1/ledger.sqlite" & watching=$!; '
    'read -r go; rm "$1/ballast"; read -r go; kill -TERM $watching; wait $watching; echo "watch: $?"; '
    'cat "$1/ledger.sqlite" > "$4"'
)


@pytest.fixture
def small_disk(tmp_path):
    """Where a file system of 8 MiB can be mounted."""
    point = tmp_path / "disk"
    point.mkdir()
    if subprocess.run([*OWN_DISK, MOUNT + "true", "sh", str(point)], capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody mount a file system in a name space of its own")
    return point


def until(condition, what):
    end_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end_s, what
        time.sleep(0.05)


def test_watch_survives_a_full_disk(small_disk, sqlite_location):
    with FakeBoard(BOARD, seal_records(BOARD, SIZE)) as board:
        words = [*OWN_DISK, WATCHED, "sh", str(small_disk), sys.executable, board.path, str(sqlite_location.path)]
        child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 start_new_session=True)  # fmt: skip
        assert child.stdin is not None
        assert child.stderr is not None
        try:
            output = ""
            while "is full. Nothing acknowledged is lost" not in output:
                output = child.stderr.readline()
                assert output, "watch ended by itself"
            acked = board.acked
            assert acked < SIZE
            child.stdin.write("\n")
            child.stdin.flush()
            until(lambda: board.acked == SIZE, f"the board's records are not fetched, {board.acked} are")
            out, err = child.communicate("\n", timeout=60)
        finally:
            with suppress(ProcessLookupError):  # none is left when all went well
                os.killpg(child.pid, signal.SIGKILL)  # `watch` too: it would hold the port of a later test
            child.wait()
    assert "watch: 0" in out
    assert err.count("is full") == 0, "said again and again"
    with Reader(sqlite_location) as reader:
        judged = judge(reader, boards(reader)[0], KEYS)
    assert (judged.exit_code, judged.records) == (0, SIZE), judged.findings


def test_file_size_limit_is_not_reported_as_damage(sqlite_location, capsys):
    slots = life(2000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    stored = 10

    def fill():
        nonlocal stored
        while stored < 2000:
            ledger.add(BOARD, slots[stored : stored + 10])
            stored += 10

    with Ledger(sqlite_location) as ledger:
        ledger.add(BOARD, slots[:10])
        size = sqlite_location.path.with_name("ledger.sqlite-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100_000, limits[1]))  # Python ignores the signal: EFBIG
        try:
            with pytest.raises(UserError, match=r"refused a write .*Nothing acknowledged is lost") as caught:
                fill()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert caught.value.code == 1
        with Reader(sqlite_location) as reader:
            assert reader.rows("SELECT COUNT(*) FROM records") == [(stored,)]
        ledger.add(BOARD, slots)
    assert main(["verify", "--ledger", str(sqlite_location.path)]) == 0
    assert "2000 records" in capsys.readouterr().out
