# SPDX-License-Identifier: MIT
"""Was it me? Which openings are asked about, in what order; keys, undo and bulk answers; what was labelled is said back."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from datetime import datetime, timedelta

import pytest
from earlid.cli import main
from earlid.ledger.boards import boards
from earlid.ledger.check import converse, to_check
from earlid.ledger.doubt import CHECK_PERCENT, Doubt, Habits, doubts
from earlid.ledger.queries import Opening, labels, openings
from earlid.ledger.reader import Reader
from earlid.ledger.store import Ledger
from synthetic_chains import BOARD, fields, seal_all

from tests.outputs import parse_output

DAY_MS = 86_400_000


def opening(start_ms, *, score=250, cutoff=200, live_ms=9000, ended="timeout", reason="word", label=None, board=BOARD, unc_ms=60):
    return Opening(board, 1, start_ms // 1000 % 10**9, start_ms, unc_ms, live_ms - 40, live_ms, reason, ended, False, score,
                   cutoff, label)  # fmt: skip


@pytest.fixture
def noon_ms(berlin):
    return int(datetime(2026, 11, 21, 12).timestamp() * 1000)


@pytest.fixture
def usual(noon_ms):
    return Habits([(BOARD, noon_ms - i * DAY_MS) for i in range(30)])


@pytest.mark.parametrize(
    ("changes", "sign"),
    [
        ({"score": 203}, "score near the cutoff"),
        ({"start_ms": -9 * 3_600_000}, "at an unusual hour"),
        ({"live_ms": 3000, "ended": "silence"}, "no speech after it"),
        ({"live_ms": 2000, "ended": "button"}, "closed at once by hand"),
    ],
)
def test_each_sign_raises_the_doubt_by_itself(noon_ms, usual, changes, sign):
    plain, odd = (opening(noon_ms + values.pop("start_ms", 0), **values) for values in ({}, dict(changes)))
    (calm,), (doubt,) = doubts([plain], usual), doubts([odd], usual)
    assert (calm, calm.words) == (Doubt(0, 0), [])
    assert doubt.words == [sign]
    assert doubt.percent > 0


def test_cluster_counts_within_one_board(noon_ms, usual):
    near = [opening(noon_ms), opening(noon_ms + 60_000), opening(noon_ms + 60_000, board="ff"), opening(noon_ms + 190_000)]
    words = ["others within two minutes"]
    assert [doubt.words for doubt in doubts(near, usual)] == [words, words, [], []]


def test_button_and_a_board_without_habits_raise_no_doubt(noon_ms):
    night_ms = noon_ms - 9 * 3_600_000
    few = Habits([(BOARD, noon_ms)] * 19)
    asked = [opening(night_ms), opening(night_ms, reason="button", score=0), opening(night_ms, unc_ms=DAY_MS, score=201)]
    assert [doubt.words for doubt in doubts(asked[:2], few)] == [[], []]
    assert "at an unusual hour" not in doubts(asked, Habits([(BOARD, noon_ms)] * 99))[2].words  # nobody knows its hour


@pytest.fixture
def home(berlin, sqlite_location):
    """30 mornings by the word, and three openings at night: close to the cutoff, cut short, both."""
    first = datetime(2026, 10, 23)
    rows, at = [], [fields(1, 0, "boot", "power-on")]
    odd = {10: (1.2, 204, 9000, "timeout"), 20: (4.2, 250, 2600, "silence"), 25: (22.2, 202, 2700, "silence")}
    for day in range(30):
        moments = [(7.5, 240, 9000, "timeout")] + ([odd[day]] if day in odd else [])
        for hour, score, live_ms, ended in sorted(moments):
            ms = day * DAY_MS + int(hour * 3_600_000)
            rows += [("open", "word", ms, {"score": score, "b": 200}),
                     ("close", ended, ms + live_ms, {"a": live_ms, "b": (live_ms + 20) << 16 | live_ms})]  # fmt: skip
    at += [fields(2 + i, ms, event, why, **more) for i, (event, why, ms, more) in enumerate(rows)]
    zero_ms = int(first.timestamp() * 1000)
    with Ledger(sqlite_location) as ledger:
        ledger.add(BOARD, seal_all(at), zero_ms + 30 * DAY_MS)
        for ms in range(0, 30 * DAY_MS, DAY_MS):
            ledger.add_clock_point(BOARD, 1, ms, zero_ms + ms, 50)
        ledger.set_name(BOARD, "kitchen")
    return sqlite_location


def asked(location):
    with Reader(location) as reader:
        known = boards(reader)
        return to_check(reader, known, openings(reader, known))


def kept(location):
    with Reader(location) as reader:
        return {seq: word for (_, seq), word in labels(reader, boards(reader)[0]).items()}


def test_likeliest_comes_first_and_what_is_labelled_no_more(home):
    questions = asked(home)
    assert [question.lines()[0] for question in questions] == [
        "kitchen, record 58: Tue 17 Nov 2026, 21:12:00",
        "kitchen, record 22: Mon 2 Nov 2026, 00:12:00",
        "kitchen, record 44: Thu 12 Nov 2026, 03:12:00",
    ]
    assert questions[0].lines()[1:] == [
        "live 2.7 s, ended: silence; score 202 of 255, cutoff 200",
        "score near the cutoff; at an unusual hour; no speech after it",
    ]
    assert all(question.doubt.percent >= CHECK_PERCENT for question in questions)
    with Ledger(home) as ledger:
        ledger.set_label(BOARD, 1, 58, True)
    assert [question.opening.seq for question in asked(home)] == [22, 44]


def talk(location, keys):
    """(lines, labels stored, answers) of a conversation."""
    lines, waiting = [], list(keys)
    with Ledger(location) as ledger:
        answers = converse(
            asked(location), lambda: waiting.pop(0) if waiting else "", lines.append,
            lambda item, word: ledger.set_label(item.board, item.boot, item.seq, word),
        )  # fmt: skip
    return lines, kept(location), answers


def test_answers_are_stored_at_once_and_said_back(home):
    lines, stored, answers = talk(home, "nyq")
    assert stored == {58: False, 22: True}
    assert answers == {True: 1, False: 1}
    assert [line.strip() for line in lines if "labelled" in line] == ["record 58 is labelled false", "record 22 is labelled true"]


def test_undo_takes_back_one_answer_or_a_bulk_of_them(home):
    assert talk(home, "nu")[1] == {}
    lines, stored, _ = talk(home, "nauyq")
    assert stored == {58: False, 22: True}
    assert [line.strip() for line in lines if "no label now" in line] == [
        "record 22 has no label now",
        "record 44 has no label now",
    ]


def test_later_asks_again_next_time_and_other_keys_say_so(home):
    lines, stored, answers = talk(home, "usx")
    assert stored == {}
    assert answers == {True: 0, False: 0}
    assert "        Nothing to take back." in lines
    assert "        'x' is no answer." in lines


def test_review_counts_what_is_to_check_and_json_has_it(home, capsys):
    where = ["--ledger", str(home.path)]
    assert main(["review", "2026-11-17", *where]) == 0
    assert "1 to check, likely not meant: `earlid review check`." in capsys.readouterr().out
    assert main(["review", "check", "--since", "2026-10-01", "--json", *where]) == 0
    first = parse_output("review check", capsys.readouterr().out)[0]
    assert (first["seq"], first["signs"][0], first["name"]) == (58, "score near the cutoff", "kitchen")
    assert main(["review", "check", "--since", "2026-10-01", *where]) == 0
    said = capsys.readouterr().out
    assert said.startswith("3 to check of 33 openings without a label since Thu 1 Oct 2026, 00:00:00.")
    assert "earlid review label NUMBER false" in said


def test_bulk_labels_are_said_back_with_their_times(home, capsys):
    where = ["--ledger", str(home.path)]
    assert main(["review", "label", "22", "44-58", "false", *where]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "record 22 of kitchen, Mon 2 Nov 2026, 00:12:00, is labelled false"
    assert lines[-1] == "9 openings. To take it back: earlid review label 22 44-58 none"
    assert set(kept(home).values()) == {False}
    assert len(kept(home)) == 9
    assert main(["review", "label", "22", "true", *where]) == 0
    assert capsys.readouterr().err == "record 22 of kitchen, Mon 2 Nov 2026, 00:12:00, is labelled true (it was false)\n"
    assert main(["review", "label", "900-901", "true", *where]) == 2
    assert "no opening has a number in 900-901" in capsys.readouterr().err


def test_check_at_a_terminal_takes_single_keys(home):
    since = (datetime.now() - datetime(2026, 10, 1)) // timedelta(days=1)
    words = ["review", "check", "--since", f"{since} days ago", "--ledger", str(home.path)]
    controller, terminal = pty.openpty()
    child = subprocess.Popen([sys.executable, "-m", "earlid.cli", *words], stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    shown = b""

    def read_until(text):
        nonlocal shown
        ends_s = time.monotonic() + 60
        while text not in shown:
            assert time.monotonic() < ends_s, shown
            if select.select([controller], [], [], 1)[0]:
                shown += os.read(controller, 4096)
        shown = shown.partition(text)[2]

    try:
        for key, after in ((b"n", b"1 of 3"), (b"u", b"2 of 3"), (b"n", b"1 of 3"), (b"q", b"2 of 3")):
            read_until(after)
            read_until(b"Was it meant?")
            os.write(controller, key)
        read_until(b"Labelled 1: 0 true, 1 false; 2 left to check.")
        assert child.wait(60) == 0
    finally:
        child.kill()
        os.close(controller)
    assert kept(home) == {58: False}


def test_labels_together_are_all_stored_or_none(home):
    with Ledger(home) as ledger:
        with pytest.raises(TypeError):
            ledger.set_labels([(BOARD, 1, 22, False), (BOARD, 1, 44, object())])
        assert kept(home) == {}
        ledger.set_labels([(BOARD, 1, 22, False), (BOARD, 1, 44, True)])
    assert kept(home) == {22: False, 44: True}
    assert main(["verify", "--ledger", str(home.path)]) == 0
