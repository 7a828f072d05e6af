# SPDX-License-Identifier: MIT
"""Output of `earlid review` and its like: narrow terminals, pipes, full disks, misspelt arguments, long ranges."""

from __future__ import annotations

import io
import os
import re
import stat
import subprocess
import sys
import threading
from datetime import datetime

import pytest
from earlid.cli import main
from earlid.ledger import render
from earlid.ledger.boards import boards
from earlid.ledger.reader import Reader
from earlid.ledger.report import BAR_CELLS, make_report
from earlid.ledger.store import Ledger
from earlid.verbs import review as review_verb
from synthetic_chains import BOARD, life

OTHER = "ffff0123456789ab"


@pytest.fixture
def zero_ms(sqlite_location, stop_clock):
    """A ledger of two boards over yesterday, in here; where its first record lies."""
    stop_clock(review_verb, datetime(2026, 11, 22, 14, 30))
    zero_ms = int(datetime(2026, 11, 21).timestamp() * 1000)
    with Ledger(sqlite_location) as ledger:
        ledger.add(BOARD, life(70, zero_ms=zero_ms, step_ms=1_200_000))
        ledger.add(OTHER, life(20, board=OTHER, zero_ms=zero_ms, step_ms=1_200_000))
        ledger.set_label(BOARD, 1, 2, False)
    return zero_ms


class Terminal(io.StringIO):
    def __init__(self, encoding="utf-8"):
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self):
        return self._encoding

    def isatty(self):
        return True


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 140])
def test_lines_fit_the_terminal(sqlite_location, zero_ms, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    with Reader(sqlite_location) as reader:
        report = make_report(reader, boards(reader), zero_ms, zero_ms + 86_400_000)
    render.print_report(report, out)
    lines = out.getvalue().splitlines()
    tables = [line for line in lines if line[:1].isspace() or line[:6] in ("number", "day   ")]
    assert len(tables) > 20
    assert max(map(len, tables)) <= max(columns, 60)  # number, time, what, why, live: less says nothing
    (bar,) = re.findall(r"[!BWnx|·]{20,}", out.getvalue())
    assert len(bar) == {40: 24, 60: 48, 80: 48, 100: 48, 140: 96}[columns]
    assert ("!" in bar) == ("!" in report.days[0].bar)
    assert "live" in out.getvalue()
    assert ("≤" in out.getvalue()) == (columns < 80)
    if columns == 140:
        assert "230 of 255, cutoff 200" in out.getvalue()


def test_downsampled_bar_keeps_the_most_important_mark():
    bar = "··n·WBnB!|··xL!W" + "·" * (BAR_CELLS - 16)
    assert render._downsample(bar, 4)[:5] == "nW!x·"


@pytest.mark.parametrize("encoding", ["ascii", "koi8-r", "cp437", "latin-1"])
def test_ascii_terminal_gets_ascii_characters(sqlite_location, zero_ms, encoding):
    with Ledger(sqlite_location) as ledger:
        ledger.set_name(BOARD, "Küche ☃")
    words = [sys.executable, "-m", "earlid.cli", "review", "2026-11-21", "--ledger", str(sqlite_location.path)]
    done = subprocess.run(words, capture_output=True, check=True, env=os.environ | {"PYTHONIOENCODING": encoding})
    text = done.stdout.decode(encoding)
    assert "openings" in text
    assert "\\u2603" in text
    assert done.stderr == b""


def test_closed_output_pipe_exits_without_error(sqlite_location, zero_ms):
    where = ["--ledger", str(sqlite_location.path)]
    for words in (["review", "--json"], ["review", "2026-11-21", "--csv"], ["export"], ["verify"]):
        child = subprocess.Popen(
            [sys.executable, "-m", "earlid.cli", *words, *where], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        child.stdout.close()
        _, err = child.communicate(timeout=60)
        assert (child.returncode, b"Traceback" in err) == (0, False), err


def test_full_disk_under_the_output_is_an_error(sqlite_location, zero_ms):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    where = ["--ledger", str(sqlite_location.path)]
    for words in (["review"], ["export"], ["export", "-o", "-"]):
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                [sys.executable, "-m", "earlid.cli", *words, *where], stdout=full, stderr=subprocess.PIPE, check=False
            )
        assert done.returncode == 1
        assert done.stderr.decode().splitlines()[-1].endswith("Write it where there is room.")
        assert b"Traceback" not in done.stderr
    assert main(["export", "-o", "/dev/full", *where]) == 2
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode), "a device was replaced by a file"


def test_export_writes_into_pipes_and_not_through_links(sqlite_location, zero_ms, tmp_path):
    where = ["--ledger", str(sqlite_location.path)]
    pipe, link, target = tmp_path / "pipe", tmp_path / "link", tmp_path / "target.csv"
    os.mkfifo(pipe)
    link.symlink_to(target)
    got = []
    taker = threading.Thread(target=lambda: got.append(pipe.read_text()))
    taker.start()
    assert main(["export", "-o", str(pipe), *where]) == 0
    taker.join()
    assert sum(line.startswith('{"rec":') for line in got[0].splitlines()) == 90
    assert main(["export", "--format", "csv", "-o", str(link), *where]) == 2
    assert link.is_symlink()
    assert not target.exists()


def review(location, capsys, *words):
    code = main(["review", *words, "--ledger", str(location.path)])
    return code, capsys.readouterr()


def test_period_without_an_option_is_accepted(sqlite_location, zero_ms, capsys):
    for words in (["yesterday"], ["--until", "yesterday"], ["--since", "yesterday", "--until", "yesterday"]):
        code, output = review(sqlite_location, capsys, *words)
        assert code == 0
        assert output.out.count(" openings (") == 1
        assert output.out.splitlines()[3].startswith(datetime.fromtimestamp(zero_ms / 1000).strftime("%a"))
    assert review(sqlite_location, capsys, "day", "before", "yesterday")[1].out.count("Nothing was recorded.") == 1
    code, output = review(sqlite_location, capsys, "lable", "2", "true")
    assert code == 2
    assert "no such time: 'lable 2 true'" in output.err
    assert "earlid review label" in output.err
    assert review(sqlite_location, capsys, "yesterday", "--since", "today")[0] == 2
    assert review(sqlite_location, capsys, "--since", "today", "--until", "yesterday")[0] == 2


def test_long_report_counts_quiet_days(sqlite_location, zero_ms, capsys):
    code, output = review(sqlite_location, capsys, "--since", "30 years ago")
    assert code == 0
    assert "days on which nothing happened" in output.out
    assert "For single records ask about fewer days" in output.out
    assert len(output.out.splitlines()) < 15
    assert "For single" not in review(sqlite_location, capsys, "--since", "1 year ago", "--event", "open")[1].out


def test_invalid_names_and_numbers_are_usage_errors(sqlite_location, zero_ms, capsys):
    assert review(sqlite_location, capsys, "name", BOARD[:4], "Kitchen")[0] == 0
    for words, say in (
        (["name", OTHER, "kitchen"], "another board is called"),
        (["name", OTHER, BOARD], "another board is called"),
        (["name", "cellar", "x"], "no board is called"),
        (["label", "99999999999999999999", "true"], "no record's number"),
        (["label", "٣", "true"], "no record's number"),
        (["label", "5000", "true"], "not in the ledger"),
        (["label", "2", "true"], "several boards"),
        (["label", "1", "true", "--board", "kitchen"], "is a boot"),
        (["--board", "cellar"], "no board is called"),
    ):
        code, output = review(sqlite_location, capsys, *words)
        assert (code, say in output.err) == (2, True), output.err
    assert review(sqlite_location, capsys, "name", "kitchen", "")[1].err.endswith("has no name now\n")
