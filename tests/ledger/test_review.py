# SPDX-License-Identifier: MIT
"""`earlid review`: reports over midnight and daylight saving, filters, labels, names, errors."""

from __future__ import annotations

import csv
import json
from datetime import datetime

import pytest
from earlid.cli import main
from earlid.ledger.boards import boards
from earlid.ledger.gaps import find_gaps
from earlid.ledger.queries import openings
from earlid.ledger.reader import Reader
from earlid.ledger.report import BAR_CELLS, live_today, make_report
from earlid.ledger.store import Ledger
from earlid.verbs import review as review_verb
from lid import record
from synthetic_chains import BOARD, fields, seal_all


@pytest.fixture(autouse=True)
def afternoon(stop_clock):
    """It is half past two, a day later than most of what is told here."""
    stop_clock(review_verb, datetime(2026, 11, 22, 14, 30))


def local_ms(*parts):
    return int(datetime(*parts).timestamp() * 1000)


def keep(location, rows, zero_ms, board=BOARD, taken_ms=None):
    with Ledger(location) as ledger:
        ledger.add(board, seal_all(rows, board), zero_ms if taken_ms is None else taken_ms)
        for boot in {row[1] for row in rows}:
            ledger.add_clock_point(board, boot, 0, zero_ms + (boot - 1) * 86_400_000, 50)
        with ledger.transaction() as connection:  # seen last when it was, not when this test runs
            seen_ms = zero_ms if taken_ms is None else taken_ms
            connection.exec_driver_sql("UPDATE boards SET last_seen_ms = ? WHERE board = ?", (seen_ms, board))


@pytest.fixture
def sample(berlin, sqlite_location):
    """A Saturday: word at 7:12 for 8 s, button over midnight, a near miss, a fault, a restart that cuts an opening."""
    zero_ms = local_ms(2026, 11, 21)
    hour = 3_600_000
    rows = [
        fields(1, 1000, "boot", "power-on"),
        fields(2, 7 * hour + 720_000, "open", "word", score=230, a=80, b=200),
        fields(3, 7 * hour + 728_000, "close", "timeout", a=8000, b=12),
        fields(4, 9 * hour, "near-miss", "word", score=150, a=140, b=200),
        fields(5, 10 * hour, "fault", "mic-clipped", a=9, b=5),
        fields(6, 24 * hour - 60_000, "open", "button"),
        fields(7, 24 * hour + 60_000, "close", "button", a=120_000, b=12),
        fields(8, 25 * hour, "open", "word", score=210, b=200),
        fields(9, 2 * hour, "boot", "watchdog", boot=2),
        fields(10, 3 * hour, "open", "button", boot=2),
    ]
    keep(sqlite_location, rows, zero_ms, taken_ms=zero_ms + 27 * hour + 30_000)
    return sqlite_location


def review(sample, capsys, *words):
    code = main(["review", *words, "--ledger", str(sample.path)])
    return code, capsys.readouterr()


def test_openings_pair_with_closes_and_cut_ones_say_so(sample):
    with Reader(sample) as reader:
        listed = openings(reader, boards(reader))
    assert [(item.seq, item.reason, item.live_ms, item.ended) for item in listed] == [
        (2, "word", 8000, "timeout"),
        (6, "button", 120_000, "button"),
        (8, "word", None, "restart"),
        (10, "button", None, "open"),
    ]


def test_opening_under_way_is_one_beside_other_boards(sample):
    zero_ms = local_ms(2026, 11, 22)
    rows = [fields(1, 1000, "boot", "power-on"), fields(2, 3 * 3_600_000, "open", "button")]
    for other in ("0000000000000001", "ffffffffffffffff"):
        keep(sample, rows, zero_ms, board=other)
    with Reader(sample) as reader:
        listed = openings(reader, boards(reader))
    assert sorted((item.board, item.seq) for item in listed if item.ended == "open") == [
        ("0000000000000001", 2), (BOARD, 10), ("ffffffffffffffff", 2),
    ]  # fmt: skip


def test_live_time_is_split_at_midnight(sample):
    with Reader(sample) as reader:
        report = make_report(reader, boards(reader), local_ms(2026, 11, 21), local_ms(2026, 11, 23))
        today = live_today(reader, boards(reader), local_ms(2026, 11, 22, 4))
    first, second = report.days
    assert first.live_ms == 8000 + 60_000
    # After midnight: a minute of the button's, nothing known of the one cut short, and 30 s of the last until last seen.
    assert second.live_ms == 60_000 + 30_000
    assert today == {BOARD: 90_000}
    assert (first.openings["word"], first.openings["button"], first.near_misses, first.faults) == (1, 1, 1, 1)
    assert first.bar[7 * 4] == "W"
    assert (first.bar[9 * 4], first.bar[10 * 4], first.bar[-1], second.bar[0]) == ("n", "!", "B", "B")


def test_review_prints_days_entries_and_totals(sample, capsys):
    code, output = review(sample, capsys, "--since", "2026-11-21", "--until", "2026-11-21")
    assert code == 0
    assert output.err == ""
    text = output.out
    assert "Sat 21 Nov 2026" in text
    for line in ("2 07:12:00 ±1 s open word 8.0 s timeout 230/200", "5 10:00:00 ±1 s fault mic-clipped (9)"):
        assert line in [" ".join(shown.split()) for shown in text.splitlines()]
    assert "Live 1 min 08 s in 2 openings (1 by button, 1 by word); 0 labelled false." in text
    assert "1 near miss, 1 start, 1 fault." in text
    assert "\x1b" not in text


def test_filters_select_entries_and_json_has_them(sample, capsys):
    code, output = review(sample, capsys, "--since", "2026-11-21", "--until", "2026-11-22", "--event", "open", "--reason", "word",
                        "--json")  # fmt: skip
    report = json.loads(output.out)
    assert code == 0
    assert [entry["seq"] for entry in report["entries"]] == [2, 8]
    assert report["entries"][0]["wall"] == "2026-11-21T07:12:00.000+01:00"
    assert report["totals"]["live_ms"] == 158_000
    assert len(report["days"]) == 2
    assert all(len(day["bar"]) == BAR_CELLS for day in report["days"])


def test_csv_has_every_record(sample, capsys):
    _, output = review(sample, capsys, "--since", "2026-11-21", "--until", "2026-11-23", "--csv")
    rows = list(csv.DictReader(output.out.splitlines()))
    assert [int(row["seq"]) for row in rows] == list(range(1, 11))


def test_labels_are_shown_and_counted(sample, capsys):
    assert review(sample, capsys, "label", "2", "false")[0] == 0
    _, output = review(sample, capsys, "--since", "2026-11-21", "--until", "2026-11-21")
    assert "230/200  false" in output.out
    assert "1 labelled false" in output.out
    assert review(sample, capsys, "label", "2", "none")[0] == 0
    for words, why in (
        (["label", "3", "true"], "only openings and near misses"),
        (["label", "99", "true"], "not in the ledger"),
        (["label", "two", "true"], "no record's number"),
        (["label", "2", "maybe"], "true, false or none"),
        (["lable", "2", "true"], "say `earlid review label"),
    ):
        code, output = review(sample, capsys, *words)
        assert (code, why in output.err) == (2, True), output.err


def test_boards_are_chosen_by_name(sample, capsys):
    keep(sample, [fields(1, 5, "mute")], local_ms(2026, 11, 21, 12), board="ffff")
    assert review(sample, capsys, "name", "ffff", "kitchen")[0] == 0
    _, output = review(sample, capsys, "--since", "2026-11-21", "--until", "2026-11-21")
    assert "kitchen" in output.out
    assert BOARD in output.out
    _, output = review(sample, capsys, "--since", "2026-11-21", "--board", "Kitchen", "--json")
    assert {entry["board"] for entry in json.loads(output.out)["entries"]} == {"ffff"}
    code, output = review(sample, capsys, "--board", "cellar")
    assert code == 2
    assert "kitchen" in output.err
    assert review(sample, capsys, "label", "1", "true")[0] == 2


def test_gaps_are_shown(sample, capsys):
    with Ledger(sample) as ledger:
        ledger.add(BOARD, seal_all([fields(15, 4 * 3_600_000, "mute", boot=2)], prev=bytes(12)))
    with Reader(sample) as reader:
        assert [(gap.first, gap.last) for gap in find_gaps(reader, boards(reader))] == [(11, 14)]
    _, output = review(sample, capsys, "--since", "2026-11-21")
    assert "records 11 to 14" in output.out


def test_day_of_25_hours_shows_all_of_them(berlin, sqlite_location):
    zero_ms = local_ms(2026, 10, 25)
    rows = [fields(i + 1, i * 3_600_000, "open" if i % 2 == 0 else "close", "button", a=3_600_000) for i in range(25)]
    keep(sqlite_location, rows, zero_ms)
    with Reader(sqlite_location) as reader:
        report = make_report(reader, boards(reader), zero_ms, local_ms(2026, 10, 26))
    assert len(report.days) == 1
    assert len(report.entries) == 25
    assert report.days[0].live_ms == 12 * 3_600_000
    assert report.days[0].openings.total() == 13


def test_empty_ledger_and_invalid_arguments_are_errors(sqlite_location, capsys):
    assert review(sqlite_location, capsys)[0] == 1
    with Ledger(sqlite_location):
        pass
    code, output = review(sqlite_location, capsys)
    assert code == 0
    assert "no board yet" in output.out
    assert review(sqlite_location, capsys, "--since", "someday")[0] == 2
    assert review(sqlite_location, capsys, "--since", "today", "--until", "yesterday")[0] == 2


def test_colour_follows_terminal_and_no_color(sample, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[33m" in review(sample, capsys, "--since", "2026-11-21")[1].out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in review(sample, capsys, "--since", "2026-11-21")[1].out


def test_verify_judges_each_board_and_accepts_anchors(sample, capsys):
    keep(sample, [fields(1, 5, "mute"), fields(2, 6, "unmute")], local_ms(2026, 11, 21, 12), board="ffff")
    where = ["--ledger", str(sample.path)]
    assert main(["verify", "--json", *where]) == 0
    openings = json.loads(capsys.readouterr().out)
    codes = {item["board"]: item["anchor"] for item in openings}
    assert main(["verify", "--anchor", codes[BOARD], "--anchor", codes["ffff"], *where]) == 0
    assert main(["verify", "--anchor", codes["ffff"][:-1] + "?", *where]) == 2
    capsys.readouterr()
    with Ledger(sample) as ledger, ledger.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM records WHERE seq = 2 AND board_id = 2")
    assert main(["verify", "--board", "ffff", "--anchor", codes["ffff"], *where]) == 4
    output = capsys.readouterr().out
    assert "Tail cut" in output
    assert "Altered sums" in output
    assert main(["verify", "--anchor", codes["ffff"], *where]) == 2
    assert "fits no board" in capsys.readouterr().err


def test_every_event_and_reason_is_shown(berlin, sqlite_location, capsys):
    rows = [fields(i + 1, i * 1000, event, reason) for i, (event, reason) in enumerate(
        [(event, "") for event in record.EVENTS] + [("fault", reason) for reason in record.REASONS]
    )]  # fmt: skip
    keep(sqlite_location, rows, local_ms(2026, 11, 21))
    code, output = review(sqlite_location, capsys, "--since", "2026-11-21")
    assert code == 0
    assert "pump-stuck" in output.out
