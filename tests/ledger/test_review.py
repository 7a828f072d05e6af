# SPDX-License-Identifier: MIT
"""`earlid review`: reports over midnight and daylight saving, filters, labels, names, errors."""

from __future__ import annotations

import csv
import io
from datetime import datetime

import pytest
from earlid.cli import main
from earlid.ledger.boards import boards
from earlid.ledger.exposure import LONGEST_MS, SLACK_MS
from earlid.ledger.gaps import find_gaps
from earlid.ledger.queries import openings
from earlid.ledger.reader import Reader
from earlid.ledger.render import print_report
from earlid.ledger.report import BAR_CELLS, live_today, make_report
from earlid.ledger.store import Ledger
from earlid.ledger.time_format import bounds_text
from earlid.verbs import review as review_verb
from lid import record

from tests.ledger.synthetic_chains import BOARD, fields, seal_all
from tests.outputs import parse_output

SECOND_MS = 5_400_000


@pytest.fixture(autouse=True)
def afternoon(stop_clock):
    """It is half past two, a day later than most of what is told here."""
    stop_clock(review_verb, datetime(2026, 11, 22, 14, 30))


def local_ms(*parts):
    return int(datetime(*parts).timestamp() * 1000)


def keep(location, rows, zero_ms, board=BOARD, taken_ms=None):
    """Records of start `boot`, whose ms count from so many days less one after `zero_ms`; taken at once, or at `taken_ms`.

    Start 2 begins SECOND_MS later: the first one lasts until then.
    """
    rows = [[*row[:2], row[2] - (SECOND_MS if row[1] == 2 else 0), *row[3:]] for row in rows]
    begins_ms = {row[1]: zero_ms + (row[1] - 1) * 86_400_000 + (SECOND_MS if row[1] == 2 else 0) for row in rows}
    each_ms = [begins_ms[row[1]] + row[2] if taken_ms is None else taken_ms for row in rows]
    with Ledger(location) as ledger:
        ledger.add(board, seal_all(rows, board), each_ms)
        for boot, begin_ms in begins_ms.items():
            ledger.add_clock_point(board, boot, 0, begin_ms, 50)
        with ledger.transaction() as connection:  # seen last when it was, not when this test runs
            seen_ms = zero_ms if taken_ms is None else taken_ms
            connection.exec_driver_sql("UPDATE boards SET last_seen_ms = ? WHERE board = ?", (seen_ms, board))


def receipt(least_ms, most_ms):
    """`b` of a close."""
    return most_ms << 16 | least_ms


@pytest.fixture
def sample(berlin, sqlite_location):
    """A Saturday: word at 7:12 for 8 s, button over midnight, a near miss, a fault, a reset that ends an opening."""
    zero_ms = local_ms(2026, 11, 21)
    hour = 3_600_000
    rows = [
        fields(1, 1000, "boot", "power-on"),
        fields(2, 7 * hour + 720_000, "open", "word", score=230, a=80, b=200),
        fields(3, 7 * hour + 728_000, "close", "timeout", a=7970, b=receipt(7980, 8040)),
        fields(4, 9 * hour, "near-miss", "word", score=150, a=140, b=200),
        fields(5, 10 * hour, "fault", "mic-clipped", a=9, b=5),
        fields(6, 24 * hour - 20_000, "open", "button"),
        fields(7, 24 * hour + 30_000, "close", "button", a=50_000, b=receipt(49_980, 50_040)),
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
    assert [(item.seq, item.reason, item.least_ms, item.most_ms, item.ended) for item in listed] == [
        (2, "word", 7980, 8040, "timeout"),
        (6, "button", 49_980, 50_040, "button"),
        (8, "word", 0, LONGEST_MS, "restart"),
        (10, "button", 0, 30_000 + SLACK_MS, "open"),
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
    assert first.live == (7980 + 20_000, 8040 + 20_000)
    # After midnight: half a minute of the button's, of the one cut short what no lid exceeds, and the last until last seen.
    assert second.live == (29_980, 30_040 + LONGEST_MS + 30_000 + SLACK_MS)
    assert today == {BOARD: (second.live, False)}
    assert (first.openings["word"], first.openings["button"], first.near_misses, first.faults) == (1, 1, 1, 1)
    assert first.bar[7 * 4] == "W"
    assert (first.bar[9 * 4], first.bar[10 * 4], first.bar[-1], second.bar[0]) == ("n", "!", "B", "B")


def test_review_prints_days_entries_and_totals(sample, capsys):
    code, output = review(sample, capsys, "--since", "2026-11-21", "--until", "2026-11-21")
    assert code == 0
    assert output.err == ""
    text = output.out
    assert "Sat 21 Nov 2026" in text
    for line in ("2 07:12:00 ±1 s open word 8.0 s timeout 230 of 255, cutoff 200", "5 10:00:00 ±1 s fault mic-clipped (9)"):
        assert line in [" ".join(shown.split()) for shown in text.splitlines()]
    assert "Live 28.0 s in 2 openings (1 by button, 1 by word); 0 labelled false." in text
    assert "1 near miss, 1 start, 1 fault." in text
    assert "\x1b" not in text


def test_filters_select_entries_and_json_has_them(sample, capsys):
    code, output = review(sample, capsys, "--since", "2026-11-21", "--until", "2026-11-22", "--event", "open", "--reason", "word",
                        "--json")  # fmt: skip
    report = parse_output("review", output.out)
    assert code == 0
    assert [entry["seq"] for entry in report["entries"]] == [2, 8]
    assert report["entries"][0]["wall"] == "2026-11-21T07:12:00.000+01:00"
    assert [opening["seq"] for opening in report["openings"]] == [2, 8]
    assert (report["totals"]["live_least_ms"], report["totals"]["live_most_ms"]) == (7980, 8040 + LONGEST_MS)
    assert report["totals"]["counts"] == [{"event": "open", "reason": "word", "count": 2}]
    assert len(report["days"]) == 2
    assert all(len(day["bar"]) == BAR_CELLS for day in report["days"])


@pytest.fixture
def welded(sample):
    """The same, and a contact that stays welded after an opening."""
    hour = 3_600_000
    rows = [
        fields(11, 3 * hour + 20_000, "close", "button", boot=2, a=19_700, b=receipt(19_900, 20_000)),
        fields(12, 3 * hour + 20_001, "live", "welded", boot=2, a=3010),
        fields(13, 3 * hour + 20_002, "fault", "welded", boot=2, a=3010, b=300),
        fields(14, 3 * hour + 25_001, "mark", "live", boot=2, a=5000, b=4980),
    ]
    keep(sample, rows, local_ms(2026, 11, 21), taken_ms=local_ms(2026, 11, 22, 3, 0, 30))
    return sample


def test_welded_contact_is_live_first_and_red_until_a_dead(welded, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    _, output = review(welded, capsys, "--since", "2026-11-22")
    lines = output.out.splitlines()
    red = [line.removeprefix("\x1b[1;31m").removesuffix("\x1b[0m") for line in lines if line.startswith("\x1b[1;31m")]
    assert red[0] == f"{BOARD}: unknown since 03:00:30, LIVE with its lid closed then."
    assert "12 03:00:20 live welded 5.0 to 10.1 s live" in [" ".join(line.split()) for line in red]
    rows = [line for line in lines if " open " in line or "live   welded" in line]
    assert "live   welded" in rows[0]
    assert "1 time of it with the lid closed, 5.0 to 10.1 s: see the rows that stand first." in red
    assert "\x1b[1;31mL\x1b[0m" in output.out
    with Reader(welded) as reader:
        assert live_today(reader, boards(reader), local_ms(2026, 11, 22, 4))[BOARD].live
        before = make_report(reader, boards(reader), local_ms(2026, 11, 21), local_ms(2026, 11, 22))
        assert not any(opening.outside for opening in before.openings)
    with Ledger(welded) as ledger:
        ledger.add(BOARD, seal_all([fields(15, 11 * 3_600_000 - SECOND_MS, "dead", "mute", boot=2, a=28_779_900, b=28_780_030)]))
    with Reader(welded) as reader:  # long after the range and its margin
        night = make_report(reader, boards(reader), local_ms(2026, 11, 22), local_ms(2026, 11, 22, 4))
        (ended,) = [opening for opening in night.openings if opening.outside]
        assert (ended.ended, ended.most_ms) == ("mute", 28_780_030)
        assert not live_today(reader, boards(reader), local_ms(2026, 11, 22, 12))[BOARD].live
        assert live_today(reader, boards(reader), local_ms(2026, 11, 22, 8))[BOARD].bounds.least_ms > 4 * 3_600_000


def test_rail_live_for_days_is_one_row_wherever_one_looks(berlin, sqlite_location):
    hour = 3_600_000
    rows = [fields(1, 0, "boot", "power-on"), fields(2, hour, "live", "welded", a=3000)]
    rows += [fields(3 + i, (2 + i) * hour, "mark", "live", a=(1 + i) * hour, b=(1 + i) * hour - 20) for i in range(70)]
    rows += [fields(73, 72 * hour, "mute"), fields(74, 72 * hour + 30, "dead", "mute", a=71 * hour, b=71 * hour + 50)]
    keep(sqlite_location, rows[:-1], local_ms(2026, 11, 19), taken_ms=local_ms(2026, 11, 22))
    for last in (False, True):
        with Reader(sqlite_location) as reader:
            for day in (19, 20, 21):
                report = make_report(reader, boards(reader), local_ms(2026, 11, day), local_ms(2026, 11, day + 1))
                (found,) = report.openings
                assert (found.seq, found.reason, found.ended) == (2, "welded", "mute" if last else "live")
                assert found.start_ms == local_ms(2026, 11, 19, 1)
                assert report.live.least_ms > 22 * hour
                text = io.StringIO()
                print_report(report, text)
                when = "2 01:00:00" if day == 19 else "Thu 19 Nov 2026 2 01:00:00"
                assert f" {when} live welded" in " ".join(text.getvalue().split())
        with Ledger(sqlite_location) as ledger:
            ledger.add(BOARD, seal_all(rows)[-1:], local_ms(2026, 11, 22, 1))


def test_reset_that_a_start_tells_of_days_later_ends_the_opening_it_ended(sample):
    keep(sample, [fields(11, 900, "boot", "power-on", boot=9), fields(12, 901, "close", "reset", boot=9, a=5000, b=5400)],
         local_ms(2026, 11, 21))  # fmt: skip
    with Reader(sample) as reader:
        every = openings(reader, boards(reader))
        assert [(item.seq, item.least_ms, item.most_ms) for item in every if item.ended == "reset"] == [(10, 5000, 5400)]
        assert openings(reader, boards(reader), local_ms(2026, 11, 29)) == []


def test_what_was_held_back_of_a_hosts_records_is_told(sample, capsys):
    keep(sample, [fields(11, 4 * 3_600_000, "limited", boot=2, a=17, b=300_000), fields(12, 4 * 3_600_000, "near-miss",
         "refractory", boot=2, score=190, a=140, b=180)], local_ms(2026, 11, 21))  # fmt: skip
    _, output = review(sample, capsys, "--since", "2026-11-22", "--event", "limited", "--event", "near-miss")
    lines = [" ".join(line.split()) for line in output.out.splitlines()]
    assert "11 04:00:00 limited 17 records of a host held back" in lines
    assert "12 04:00:00 near-miss refractory 190 of 255, cutoff 180" in lines


def test_live_time_without_an_upper_bound_says_at_least(sample, capsys):
    rows = [
        fields(11, 3 * 3_600_000 + 20_000, "close", "button", boot=2, a=19_700, b=receipt(19_900, 20_000)),
        fields(12, 900, "boot", "power-on", boot=3),
        fields(13, 950, "live", "start", boot=3, a=3000, b=0xFFFFFFFF),
        fields(14, 31_950, "dead", boot=3, a=31_000, b=31_020),
    ]
    keep(sample, rows, local_ms(2026, 11, 21), taken_ms=local_ms(2026, 11, 23, 1))
    _, output = review(sample, capsys, "--since", "2026-11-23", "--until", "2026-11-23", "--json")
    report = parse_output("review", output.out)
    assert (report["totals"]["live_least_ms"], report["totals"]["live_most_ms"]) == (31_000, None)
    assert (report["openings"][0]["reason"], report["openings"][0]["outside"]) == ("start", True)
    _, output = review(sample, capsys, "--since", "2026-11-23", "--until", "2026-11-23")
    assert "Live at least 31.0 s in 0 openings" in output.out
    assert "LIVE" not in output.out
    _, output = review(sample, capsys, "--since", "2026-11-23", "--until", "2026-11-23", "--csv")
    bounds = {row["event"]: (row["live_least_ms"], row["live_most_ms"]) for row in csv.DictReader(output.out.splitlines())}
    assert bounds == {"boot": ("", ""), "live": ("31000", ""), "dead": ("", "")}


@pytest.mark.parametrize(
    ("least_ms", "most_ms", "text"),
    [
        (12_400, 12_400, "12.4 s"),
        (12_340, 12_440, "12.4 s"),
        (12_400, 30_910, "12.4 to 31.0 s"),
        (59_000, 60_250, "59.0 s to 1 min 01 s"),
        (200_000, 200_900, "3 min 20 s"),
        (200_000, 241_200, "3 min 20 s to 4 min 02 s"),
        (31_000, None, "at least 31.0 s"),
        (0, 0, "0.0 s"),
    ],
)
def test_bounds_are_one_figure_where_they_agree_to_its_digit(least_ms, most_ms, text):
    assert bounds_text(least_ms, most_ms) == text


def test_csv_has_every_record(sample, capsys):
    _, output = review(sample, capsys, "--since", "2026-11-21", "--until", "2026-11-23", "--csv")
    rows = list(csv.DictReader(output.out.splitlines()))
    assert [int(row["seq"]) for row in rows] == list(range(1, 11))


def test_labels_are_shown_and_counted(sample, capsys):
    assert review(sample, capsys, "label", "2", "false")[0] == 0
    _, output = review(sample, capsys, "--since", "2026-11-21", "--until", "2026-11-21")
    assert "230 of 255, cutoff 200  false" in output.out
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
    assert {entry["board"] for entry in parse_output("review", output.out)["entries"]} == {"ffff"}
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
    rows = [fields(i + 1, i * 3_600_000, "open", "button") for i in range(25)]
    keep(sqlite_location, rows, zero_ms)
    with Reader(sqlite_location) as reader:
        report = make_report(reader, boards(reader), zero_ms, local_ms(2026, 10, 26))
    assert len(report.days) == 1
    assert len(report.entries) == 25
    assert report.days[0].live.least_ms == 0
    assert report.days[0].openings.total() == 25


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
    openings = parse_output("verify", capsys.readouterr().out)
    codes = {item["board"]: item["anchor"] for item in openings if item["board"]}
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
