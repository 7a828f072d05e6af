# SPDX-License-Identifier: MIT
"""Attacks on what is deleted: by wrong clocks, at once, unannounced; half openings; purged records that come back."""

from __future__ import annotations

import json
import random
import re
import threading
from datetime import datetime, timedelta

import pytest
from earlid.board.link import Link
from earlid.cli import main
from earlid.collect.supervisor import Supervisor
from earlid.collect.sync import Sync
from earlid.ledger import purge, retention
from earlid.ledger.boards import boards
from earlid.ledger.judge import judge
from earlid.ledger.reader import Reader
from earlid.ledger.store import Ledger
from lid import record

from tests.board.fake_board import FakeBoard, seal_records
from tests.ledger.synthetic_chains import BOARD, KEYS, fields, seal_all

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NOW = datetime(2026, 11, 26, 12)
MONTHS_MS = 184 * DAY_MS  # six of them before NOW


def ms(moment):
    return int(moment.timestamp() * 1000)


class Board:
    """A board whose starts come into a ledger: each of pairs of an opening and its closing, two hours apart."""

    def __init__(self, ledger, board=BOARD):
        self.ledger, self.board, self.boot, self.slots = ledger, board, 0, []

    def start(self, began, pairs, *, synced, said=None, clock=True):
        """One start that began at a moment, fetched at its end; `said`: what this computer's clock said then, if not that."""
        self.boot += 1
        rows = []
        for i in range(pairs):
            for step, (event, reason, a) in enumerate((("open", "word", 80), ("close", "silence", 8000))):
                at = {"boot": self.boot, "score": 230, "a": a, "b": 200}
                rows.append(fields(len(self.slots) + len(rows) + 1, i * 2 * HOUR_MS + 8000 * step + 1000, event, reason, **at))
        fresh = seal_all(rows, self.board, prev=self.slots[-1][40:52] if self.slots else None)
        last_ms = rows[-1][2]
        wall_ms = ms(said or began) + last_ms
        self.ledger._synced = lambda: synced
        self.ledger.add(self.board, fresh, wall_ms)
        if clock:
            self.ledger.add_clock_point(self.board, self.boot, last_ms, wall_ms, 50)
        self.slots += fresh
        return fresh


@pytest.fixture
def ledger(location):
    with Ledger(location) as opened:
        yield opened


def count(location):
    with Reader(location) as reader:
        return reader.rows("SELECT COUNT(*) FROM records")[0][0]


def verdicts(location):
    with Reader(location) as reader:
        return [finding.verdict for board in boards(reader) for finding in judge(reader, board, KEYS).findings]


def acts_of(location, kind):
    with Reader(location) as reader:
        sql = "SELECT body FROM acts WHERE kind = :kind ORDER BY place"
        return [body and json.loads(body) for (body,) in reader.rows(sql, kind=kind)]


@pytest.fixture
def aged(ledger):
    """A ledger by a synchronised clock: 8 records that are older than six months, 192 of these days."""
    board = Board(ledger)
    board.start(NOW - timedelta(days=200), 4, synced=True)
    board.start(NOW - timedelta(days=9), 96, synced=True)
    return board


def test_old_records_are_announced_a_day_before_they_go(ledger, aged, location):
    first = retention.keep_retention(ledger, NOW)
    assert first == ({}, first.say)
    assert "8 records older than 6 months will be removed from Fri 27 Nov 2026 11:00:00 on" in first.say
    assert "`earlid purge --retention off` keeps them" in first.say
    assert retention.keep_retention(ledger, NOW + timedelta(hours=22)).say == first.say
    assert count(location) == 200
    assert retention.keep_retention(ledger, NOW + timedelta(hours=24)) == ({BOARD: 8}, "")
    assert verdicts(location) == ["intact"]
    assert acts_of(location, "purge")[-1]["asked"] == "retention"


def test_watch_says_beforehand_what_will_go_and_when(ledger, location):
    now = datetime.now()
    board = Board(ledger)
    board.start(now - timedelta(days=400), 4, synced=True)
    board.start(now - timedelta(days=9), 96, synced=True)
    said, heard = [], threading.Event()

    def log(event):
        said.append(event.text)
        if "removed" in event.text:
            heard.set()

    supervisor = Supervisor(location, ledger, lambda: [], log, lambda line: None, display=False)
    supervisor.start()
    assert heard.wait(60)
    supervisor.stop()
    (line,) = (line for line in said if "removed" in line)
    assert re.search(r"8 records older than 6 months will be removed from \w{3} \d+ \w{3} \d{4} \d\d:\d\d:\d\d on", line)
    assert [event.text for event in supervisor.events if event.kind == "note"] == [line], "the display shows it, too"
    assert count(location) == 200


def test_retention_that_was_lengthened_after_the_announcement_removes_nothing(ledger, aged, location):
    retention.keep_retention(ledger, NOW)
    ledger.set_retention("12 months")
    assert retention.keep_retention(ledger, NOW + timedelta(days=2)).removed == {}
    ledger.set_retention("off")
    assert retention.keep_retention(ledger, NOW + timedelta(days=4)) == ({}, "")
    assert count(location) == 200


@pytest.mark.parametrize("synced", [None, False, True])
def test_clock_of_2028_deletes_nothing_at_the_start_of_watch(ledger, aged, location, synced):
    ledger._synced = lambda: synced
    for day in range(40):
        check = retention.keep_retention(ledger, datetime(2028, 11, 26) + timedelta(days=day))
        assert check.removed == {}
        if synced:
            assert "200 of 200 records are older than 6 months, which is more than a tenth" in check.say
        else:
            assert "has not been synchronised since Wed 25 Nov 2026" in check.say
            assert "no record is removed for its age" in check.say
    assert count(location) == 200


def test_clock_that_leaps_after_the_announcement_removes_no_more_than_was_announced(ledger, aged, location):
    retention.keep_retention(ledger, NOW)
    ledger._synced = lambda: True
    assert retention.keep_retention(ledger, datetime(2028, 11, 26)).removed == {BOARD: 8}
    assert count(location) == 192


def test_clock_behind_the_newest_synchronised_time_removes_nothing(ledger, aged, location):
    check = retention.keep_retention(ledger, NOW - timedelta(days=30))
    assert check.removed == {}
    assert "when it was synchronised it was Wed 25 Nov 2026" in check.say


def test_clock_behind_the_newest_record_removes_nothing(ledger, location):
    board = Board(ledger)
    board.start(NOW - timedelta(days=200), 4, synced=True)
    board.start(NOW - timedelta(days=9), 96, synced=None)
    check = retention.keep_retention(ledger, NOW - timedelta(days=30))
    assert "the newest record of 00112233aabbccdd is of Wed 25 Nov 2026" in check.say


def test_clock_that_was_set_while_the_board_counted_on_removes_nothing(ledger, aged):
    ledger._synced = lambda: False
    end_ms = 95 * 2 * HOUR_MS + 9000
    ledger.add_clock_point(BOARD, 2, end_ms + HOUR_MS, ms(NOW) + 20 * DAY_MS, 50)
    check = retention.keep_retention(ledger, NOW + timedelta(days=20))
    assert check.removed == {}
    assert "it was set by 2" in check.say
    assert "while 00112233aabbccdd counted on. Let it synchronise." in check.say


def test_records_fetched_under_an_old_clock_stay_once_it_is_set_right(ledger, location):
    board = Board(ledger)
    board.start(NOW - timedelta(days=9), 96, synced=True)
    board.start(NOW - timedelta(hours=30), 3, synced=False, said=datetime(2021, 1, 1))  # the clock of 2021
    board.start(NOW - timedelta(hours=2), 1, synced=True)
    for day in range(0, 170, 7):
        assert retention.keep_retention(ledger, NOW + timedelta(days=day)).removed == {}
    assert count(location) == 200


def test_records_that_no_synchronised_clock_saw_are_kept_by_retention_and_go_when_a_person_says_so(ledger, location):
    board = Board(ledger)
    board.start(NOW - timedelta(days=200), 4, synced=None)
    board.start(NOW - timedelta(days=9), 96, synced=None)
    for day in range(3):
        assert retention.keep_retention(ledger, NOW + timedelta(days=day)).removed == {}
    with Reader(location) as reader:
        found = purge.find(ledger, boards(reader), purge.older_than("6 months", NOW))
    assert found.records == 8


def test_never_more_than_a_tenth_at_once_without_a_person(ledger, location, say_at, capsys):
    board = Board(ledger)
    board.start(NOW - timedelta(days=200), 12, synced=True)
    board.start(NOW - timedelta(days=9), 88, synced=True)
    for day in range(5):
        check = retention.keep_retention(ledger, NOW + timedelta(days=day))
        assert check.removed == {}
        assert "24 of 200 records are older than 6 months, which is more than a tenth" in check.say
        assert "only when a person says so, with `earlid purge`" in check.say
    code, err = say_at(NOW, "purge")
    assert (code, "add --yes" in err) == (2, True)
    code, err = say_at(NOW, "purge", "--yes")
    assert (code, "24 records removed" in err) == (0, True)


@pytest.fixture
def say_at(location, monkeypatch, capsys):
    """`earlid` at a moment by this computer's clock."""
    from earlid.verbs import purge as verb

    def run(moment, *words):
        class Stopped(datetime):
            @classmethod
            def now(cls, tz=None):
                return moment

        monkeypatch.setattr(verb, "datetime", Stopped)
        capsys.readouterr()
        code = main([*words, "--ledger", str(location.path)])
        return code, capsys.readouterr().err

    return run


@pytest.mark.parametrize("words", [[], ["--older-than", "6 months"], ["--retention", "6 months"]])
def test_purge_by_age_under_a_wrong_clock_is_refused_even_with_yes(aged, location, say_at, words):
    code, err = say_at(datetime(2028, 11, 26), "purge", "--yes", *words)
    assert code == 1
    assert "nothing removed: this computer's clock says Sun 26 Nov 2028" in err
    assert "with --between" in err
    assert count(location) == 200


def test_dry_run_of_a_retention_sets_none(aged, location, ledger, say_at):
    assert say_at(NOW, "purge", "--retention", "1 week", "--dry-run")[0] == 0
    assert retention.retention_of(ledger) == "6 months"
    assert count(location) == 200


def between(ledger, location, first, last):
    with Reader(location) as reader:
        return purge.find(ledger, boards(reader), purge.between(first, last, NOW))


def test_half_an_opening_takes_the_whole(ledger, location):
    Board(ledger).start(datetime(2026, 11, 20, 8), 3, synced=True)  # open 08:00:01, close 08:00:09; 10:00, 12:00
    found = between(ledger, location, "2026-11-20 10:00:05", "2026-11-20 11:00")
    assert [(run.first, run.last) for run in found.runs] == [((1, 3), (1, 4))]
    found = between(ledger, location, "2026-11-20 09:00", "2026-11-20 10:00:03")
    assert [(run.first, run.last) for run in found.runs] == [((1, 3), (1, 4))]


def test_half_an_opening_by_age_stays_whole(ledger, location):
    Board(ledger).start(NOW - timedelta(hours=4), 2, synced=True)
    with Reader(location) as reader:
        limit = purge.Selection(None, ms(NOW - timedelta(hours=2)) + 5000, "test", purge.OLD)
        found = purge.find(ledger, boards(reader), limit)
    assert [(run.first, run.last) for run in found.runs] == [((1, 1), (1, 2))]


def test_opening_that_a_reset_ended_goes_with_what_the_next_start_says_of_it(ledger, location):
    rows = [
        fields(1, 0, "boot", "power-on"), fields(2, 1000, "open", "word"), fields(3, 0, "boot", "watchdog", boot=2),
        fields(4, 5, "close", "reset", boot=2, a=100, b=9000), fields(5, HOUR_MS, "near-miss", "word", boot=2),
    ]  # fmt: skip
    ledger.add(BOARD, seal_all(rows))
    for boot, began in ((1, datetime(2026, 11, 20, 8)), (2, datetime(2026, 11, 20, 8, 0, 5))):
        ledger.add_clock_point(BOARD, boot, 0, ms(began), 50)
    found = between(ledger, location, "2026-11-20 08:00:01", "2026-11-20 08:00:01")
    assert [(run.first, run.last) for run in found.runs] == [((1, 2), (1, 2)), ((2, 4), (2, 4))]


def test_opening_that_lasts_stays_until_it_is_over(ledger, location):
    ledger.add(BOARD, seal_all([fields(1, 0, "boot", "power-on"), fields(2, 1000, "open", "word")]))
    ledger.add_clock_point(BOARD, 1, 0, ms(datetime(2026, 11, 20, 8)), 50)
    found = between(ledger, location, "2026-11-20", "2026-11-20")
    assert [run.last for run in found.runs] == [(1, 1)]
    assert found.lasting == 1


def test_rail_that_was_live_goes_as_a_whole_and_leaves_openings_in_between(ledger, location):
    rows = [
        fields(1, 1000, "live", "welded", b=0), fields(2, 60_000, "near-miss", "word"),
        fields(3, HOUR_MS, "mark", "live", a=HOUR_MS - 1000),
        fields(4, 2 * HOUR_MS, "dead", "", a=2 * HOUR_MS - 1000, b=2 * HOUR_MS - 900),
    ]  # fmt: skip
    ledger.add(BOARD, seal_all(rows))
    ledger.add_clock_point(BOARD, 1, 0, ms(datetime(2026, 11, 20, 8)), 50)
    found = between(ledger, location, "2026-11-20 08:00", "2026-11-20 08:00")
    assert [(run.first, run.last) for run in found.runs] == [((1, 1), (1, 1)), ((1, 3), (1, 4))]


@pytest.mark.parametrize(("last", "purged"), [("2026-11-20 10:00:08", 2), ("2026-11-20 10:00:09", 2), ("2026-11-20 10:00", 2)])
def test_between_means_all_of_the_second_that_is_shown(ledger, location, last, purged):
    Board(ledger).start(datetime(2026, 11, 20, 8, 0, 0, 900_000), 2, synced=True)
    assert between(ledger, location, "2026-11-20 10:00:01", last).records == purged
    assert between(ledger, location, "2026-11-20 10:00:01", "2026-11-20 10:00:01").records == 2  # open at 10:00:01.9
    assert between(ledger, location, "2026-11-20 10:00", "2026-11-20 10:00").records == 2


def test_record_of_a_rough_time_stays_and_is_named(ledger, location, say_at):
    board = Board(ledger)
    board.start(datetime(2026, 11, 20, 8), 1, synced=True)
    board.start(datetime(2026, 11, 20, 18), 1, synced=True, clock=False)
    board.start(datetime(2026, 11, 21, 8), 1, synced=True)
    code, err = say_at(NOW, "purge", "--between", "2026-11-20 12:00", "2026-11-20 19:00", "--yes")
    assert code == 0
    assert "2 more may be meant, but their time is known only roughly: they stay" in err
    assert count(location) == 6
    code, err = say_at(NOW, "purge", "--between", "2026-11-20 00:00", "2026-11-21", "--yes")
    assert "6 records removed" in err


@pytest.mark.parametrize(("first", "last"), [(1, 40), (21, 40), (1, 20), (11, 30), (40, 40)])
def test_purged_records_do_not_come_back_from_the_board(ledger, location, first, last, capsys):
    slots = seal_records(BOARD, 60)
    with FakeBoard(BOARD, slots[:40]) as board, Link(board.path) as link:
        assert Sync(link, ledger).catch_up().stored == 40
        assert purge.purge(ledger, [purge.Run(BOARD, (1, first), (1, last), last - first + 1)], "test") == {
            BOARD: last - first + 1
        }
        assert Sync(link, ledger).catch_up().stored == 0
    assert count(location) == 40 - (last - first + 1)
    with FakeBoard(BOARD, slots) as board, Link(board.path) as link:
        assert Sync(link, ledger).catch_up().stored == 20
    assert count(location) == 60 - (last - first + 1)
    assert main(["verify", "--ledger", str(location.path)]) == 0
    assert f"{last - first + 1} purged in between" in capsys.readouterr().out


def test_purge_takes_out_what_acts_said_of_its_records_alone(ledger, location):
    board = Board(ledger)
    board.start(datetime(2026, 11, 20, 8), 3, synced=True)
    board.start(datetime(2026, 11, 21, 8), 3, synced=True)
    ledger.set_label(BOARD, 1, 1, False)
    ledger.set_label(BOARD, 2, 7, True)
    with Reader(location) as reader:
        runs = purge.find(ledger, boards(reader), purge.between("2026-11-20", "2026-11-20", NOW)).runs
    assert purge.purge(ledger, runs, "between two dates") == {BOARD: 6}
    assert [body is None for body in acts_of(location, "label")] == [True, False]
    assert [body is None for body in acts_of(location, "took")] == [True, False]
    assert [body is None for body in acts_of(location, "clock")] == [True, False]
    (receipt,) = acts_of(location, "purge")
    (run,) = receipt["runs"]
    assert (run["seq_from"], run["seq_to"], run["count"], receipt["asked"]) == (1, 6, 6, "person")
    with Reader(location) as reader:
        gone = reader.rows("SELECT installation, number FROM acts WHERE body IS NULL ORDER BY place")
    assert receipt["redacts"] == [list(row) for row in gone]
    assert verdicts(location) == ["intact"]


def test_act_of_records_that_are_partly_kept_stays(ledger, location):
    Board(ledger).start(datetime(2026, 11, 20, 8), 3, synced=True)
    for first, last in (("09:00", "10:30"), ("07:00", "09:00")):
        with Reader(location) as reader:
            when = purge.between(f"2026-11-20 {first}", f"2026-11-20 {last}", NOW)
            assert purge.purge(ledger, purge.find(ledger, boards(reader), when).runs, "test") == {BOARD: 2}
        assert acts_of(location, "took")[0] is not None
        assert acts_of(location, "clock")[0] is not None
    with Reader(location) as reader:
        purge.purge(ledger, purge.find(ledger, boards(reader), purge.everything()).runs, "test")
    assert acts_of(location, "took") == [None]
    assert acts_of(location, "clock") == [None]


@pytest.mark.parametrize("seed", range(12))
def test_random_purges_leave_whole_openings_and_an_intact_ledger(ledger, location, tmp_path, seed, capsys):
    rng = random.Random(seed)
    board = Board(ledger)
    for day in range(4):
        board.start(datetime(2026, 11, 16 + day, 6), rng.randrange(1, 7), synced=rng.random() < 0.7, clock=rng.random() < 0.8)
        for slot in range(len(board.slots)):
            if rng.random() < 0.1:
                ledger.set_label(BOARD, board.boot, slot + 1, rng.random() < 0.5)
    for _ in range(rng.randrange(1, 6)):
        began = datetime(2026, 11, 16) + timedelta(seconds=rng.randrange(4 * 86_400))
        ended = began + timedelta(seconds=rng.randrange(1, 2 * 86_400))
        selection = purge.Selection(ms(began), ms(ended), "test", rng.choice((purge.SHOWN, purge.OLD, purge.CERTAIN)))
        with Reader(location) as reader:
            found = purge.find(ledger, boards(reader), selection)
        assert sum(purge.purge(ledger, found.runs, "test").values()) == found.records, f"seed {seed}"
    with Reader(location) as reader:
        kept = reader.rows("SELECT boot, seq, event FROM records ORDER BY boot, seq")
        opens = {(boot, seq) for boot, seq, event in kept if record.EVENTS[event] == "open"}
        closes = {(boot, seq) for boot, seq, event in kept if record.EVENTS[event] == "close"}
    assert {(boot, seq + 1) for boot, seq in opens} == closes, f"seed {seed}"
    code = main(["verify", "--ledger", str(location.path)])
    assert code == 0 or not kept, f"seed {seed}: {capsys.readouterr().out}"
    exported, other = tmp_path / "out.jsonl", tmp_path / "other.sqlite"
    for words in (["export", "-o", str(exported), "--ledger", str(location.path)], ["verify", str(exported)],
                  ["export", "--import", str(exported), "--ledger", str(other)], ["verify", "--ledger", str(other)]):  # fmt: skip
        assert main(words) == 0 or not kept, f"seed {seed}, {words}: {capsys.readouterr()}"
