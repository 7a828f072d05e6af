# SPDX-License-Identifier: MIT
"""The story told truly: one definition of live time, lids as known, marks, totals, times that are taken back, was it me."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
import time
from datetime import datetime

import pytest
from earlid.ledger.boards import boards
from earlid.ledger.exposure import live_bounds, live_time
from earlid.ledger.queries import entries
from earlid.ledger.reader import Reader
from earlid.ledger.report import BAR_CELLS
from earlid.ledger.store import Ledger
from earlid.ledger.time_format import bounds_text
from earlid.page.page_data import load_rows

from tests.attacks.conftest import STUDY, STUDY_KEY
from tests.ledger.synthetic_chains import fields, seal_all

DAY = "2026-11-20"  # 12 openings of each board, at 08:00:01, 09:00:01, ... by the word


def lines_of(text):
    return [" ".join(line.split()) for line in text.splitlines()]


def add_to_study(home, *rows, at="2026-11-20T23:30"):
    """More records of the study's last start: (event, reason, ms after 08:00, other fields)."""
    known = home.slots[STUDY]
    made = [fields(len(known) + 1 + i, ms, event, reason, boot=4, **others) for i, (event, reason, ms, others) in enumerate(rows)]
    with Ledger(home.location) as ledger:
        ledger.add(STUDY, seal_all(made, STUDY, STUDY_KEY, known[-1][40:52]), int(datetime.fromisoformat(at).timestamp() * 1000))


def see(home, moment):
    """Both boards were last heard of then."""
    with sqlite3.connect(home.path) as database:
        database.execute("UPDATE boards SET last_seen_ms = ?", (int(moment.timestamp() * 1000),))


HOUR = 3_600_000


def test_live_time_is_one_figure_in_text_json_csv_and_page(home, say):
    with Reader(home.location) as reader:
        known = boards(reader)
        from_ms = int(datetime(2026, 11, 20).timestamp() * 1000)
        bounds = [live_time(live_bounds(list(entries(reader, [board], from_ms, from_ms + 24 * HOUR)))) for board in known]
        page = load_rows(reader, known, from_ms, from_ms + 24 * HOUR).openings
    least, most = (sum(pair) for pair in zip(*bounds, strict=True))
    report = json.loads(say("review", DAY, "--json").out)
    assert (report["totals"]["live_least_ms"], report["totals"]["live_most_ms"]) == (least, most)
    rows = csv.DictReader(say("review", DAY, "--csv").out.splitlines())
    each = [(int(row["live_least_ms"]), int(row["live_most_ms"])) for row in rows if row["live_least_ms"]]
    assert tuple(map(sum, zip(*each, strict=True))) == (least, most)
    assert (sum(row[6] for row in page), sum(row[7] for row in page)) == (least, most)
    (total,) = [line for line in lines_of(say("review", DAY).out) if line.startswith("Live ")]
    assert total == f"Live {bounds_text(least, most)} in 24 openings (24 by word); 0 labelled false."


def test_board_not_heard_of_is_unknown_never_closed(home, say):
    see(home, datetime(2026, 11, 20, 21))
    first, second = lines_of(say("review", DAY).out)[:2]
    assert first == "kitchen: unknown since Fri 20 Nov 2026, 21:00:00, closed then"
    assert second == f"{STUDY}: unknown since Fri 20 Nov 2026, 21:00:00, closed then"
    see(home, datetime.now())
    assert lines_of(say("review", DAY).out)[0].startswith("kitchen: closed since Fri 20 Nov 2026, 19:00:0")


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([("fault", "pump-stuck", 13 * HOUR, {})], "FAULT (pump-stuck) since Fri 20 Nov 2026, 21:00:00."),
        ([("live", "unexpected", 13 * HOUR, {"a": 3010})], "LIVE with its lid closed since Fri 20 Nov 2026, 21:00:00."),
        (
            [
                ("open", "word", 13 * HOUR, {"b": 200}),
                ("close", "timeout", 13 * HOUR + 8000, {"a": 8000, "b": 0xFFFF << 16 | 7900}),
            ],
            "maybe live since Fri 20 Nov 2026, 21:00:00.",
        ),
    ],
    ids=["fault", "live", "maybe live"],
)
def test_fault_and_maybe_live_stand_first_in_red(home, say, monkeypatch, rows, sentence):
    add_to_study(home, *rows)
    see(home, datetime.now())
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    assert say("review", DAY).out.splitlines()[0] == f"\x1b[1;31m{STUDY}: {sentence}\x1b[0m"


def test_opening_under_way_of_a_board_that_went_is_maybe_live(home, say):
    add_to_study(home, ("open", "word", 13 * HOUR, {"b": 200}))
    see(home, datetime(2026, 11, 20, 21, 0, 5))
    first = lines_of(say("review", DAY).out)[0]
    assert first == f"{STUDY}: unknown since Fri 20 Nov 2026, 21:00:05, open then: maybe live."


def test_word_outranks_button_in_the_bar_and_labelled_false_all(home, say):
    close = {"a": 4000, "b": 4020 << 16 | 3980}
    add_to_study(
        home,
        ("open", "button", 12 * HOUR, {"b": 200}), ("close", "button", 12 * HOUR + 4000, close),  # 20:00
        ("open", "word", 12 * HOUR + 60_000, {"score": 230, "b": 200}), ("close", "timeout", 12 * HOUR + 64_000, close),
        ("fault", "mic-clipped", 13 * HOUR, {"a": 9, "b": 5}),  # 21:00
        ("open", "word", 13 * HOUR + 60_000, {"score": 230, "b": 200}), ("close", "timeout", 13 * HOUR + 64_000, close),
    )  # fmt: skip

    def cell(hour):
        return json.loads(say("review", DAY, "--json").out)["days"][0]["bar"][hour * BAR_CELLS // 24]

    assert (cell(20), cell(21)) == ("W", "!")
    assert say("review", "label", str(len(home.slots[STUDY]) + 6), "false").code == 0
    assert (cell(20), cell(21)) == ("W", "x")
    assert "x labelled false" in say("review", DAY).out


def test_totals_follow_the_filters(home, say):
    add_to_study(home, ("near-miss", "word", 13 * HOUR, {"score": 190, "a": 140, "b": 200}))
    text = say("review", DAY, "--event", "near-miss").out
    assert "Live 0.0 s in 0 openings; 0 labelled false." in text
    assert "1 near miss, 0 starts, 0 faults." in text
    text = say("review", DAY, "--reason", "button").out
    assert "No such record." in text
    assert "Live 0.0 s in 0 openings" in text


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"])
def test_every_time_printed_is_taken_back(home, say, monkeypatch, zone):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    text = (
        say("review", "--since", "2026-11-18", "--until", "2026-11-21").out + say("review", "check", "--since", "2026-11-01").out
    )
    days = set(re.findall(r"\b[A-Z][a-z]{2} \d+ [A-Z][a-z]{2} \d{4}(?:, \d\d:\d\d:\d\d\S*)?", text))
    assert len(days) > 4
    for said in days:
        assert say("review", said).code == 0, said
        assert say("review", "--since", said, "--json").code == 0, said
    wall = json.loads(say("review", "2026-11-19", "--json").out)["entries"][3]["wall"]
    found = json.loads(say("review", "--since", wall, "--until", wall, "--json").out)["entries"]
    assert wall in [entry["wall"] for entry in found]


def test_compact_date_is_the_whole_day(home, say):
    assert say("review", "20261120").out == say("review", "Fri 20 Nov 2026").out == say("review", DAY).out


def test_second_2_oclock_of_the_night_has_its_offset(home, say):
    night = seal_all(
        [fields(1, 0, "boot", "power-on"), fields(2, HOUR, "mute"), fields(3, 2 * HOUR, "unmute")], "ffffffff00000000"
    )
    zero_ms = int(datetime(2026, 10, 25, 1, 30).timestamp() * 1000)
    with Ledger(home.location) as ledger:
        ledger.add("ffffffff00000000", night, zero_ms + 3 * HOUR)
        ledger.add_clock_point("ffffffff00000000", 1, 0, zero_ms, 50)
    text = lines_of(say("review", "2026-10-25", "--board", "ffff").out)
    assert "2 02:30:00 mute" in text
    assert "3 02:30:00+01:00 unmute" in text
    found = json.loads(
        say("review", "--since", "Sun 25 Oct 2026, 02:30:00+01:00", "--until", "2026-10-25", "--board", "ffff", "--json").out
    )
    assert [entry["seq"] for entry in found["entries"]] == [3]


def test_doubtful_time_stands_first_with_its_bounds(home, say):
    """A start without a clock lies anywhere between its neighbours: its openings are listed, first, and count as a maybe."""
    known = home.slots[STUDY]
    rows = [("boot", "power-on", 0, {}), ("open", "word", 1000, {"score": 230, "b": 200}),
            ("close", "timeout", 9000, {"a": 8000, "b": 8020 << 16 | 7980})]  # fmt: skip
    made = [fields(len(known) + 1 + i, ms, event, reason, boot=5, **more) for i, (event, reason, ms, more) in enumerate(rows)]
    with Ledger(home.location) as ledger:
        taken_ms = int(datetime(2026, 11, 23, 12).timestamp() * 1000)
        ledger.add(STUDY, seal_all(made, STUDY, STUDY_KEY, known[-1][40:52]), taken_ms)
    for day in ("2026-11-21", "2026-11-22"):
        text = lines_of(say("review", day, "--board", STUDY).out)
        at = text.index("At a time that is not certain")
        assert re.search(
            r"^102 \w+ \d+ Nov 2026, \d\d:\d\d:\d\d ±\d+ h open word 8.0 s timeout 230 of 255, cutoff 200$", text[at + 2]
        )
        assert "Live 0.0 to 8.1 s in " in " ".join(text)


def test_was_it_me_asks_ranked_and_says_back(home, say):
    short, long = ({"a": ms, "b": ms + 20 << 16 | ms - 20} for ms in (3000, 9000))
    add_to_study(
        home,
        ("open", "word", 13 * HOUR, {"score": 202, "b": 200}), ("close", "silence", 13 * HOUR + 3000, short),
        ("open", "word", 14 * HOUR, {"score": 212, "b": 200}), ("close", "silence", 14 * HOUR + 9000, long),
    )  # fmt: skip
    first = len(home.slots[STUDY]) + 1
    text = say("review", "check", "--since", "2026-11-01").out
    assert text.startswith("2 to check of ")
    assert text.index(f"record {first}:") < text.index(f"record {first + 2}:")
    assert "score near the cutoff; at an unusual hour; no speech after it" in text
    said = say("review", "label", f"{first}-{first + 3}", "false").err
    assert f"record {first} of {STUDY}, Fri 20 Nov 2026, 21:00:00, is labelled false" in said
    assert f"2 openings. To take it back: earlid review label {first}-{first + 3} none" in said
    assert say("review", "check", "--since", "2026-11-01").out.startswith("0 to check of ")


def test_one_notation_of_a_score(home, say):
    text = say("review", DAY).out
    assert text.count("230 of 255, cutoff 200") == 24
    assert "230/200" not in text


def test_day_without_records_looks_finished(home, say):
    text = say("review", "2020-01-01").out
    assert "Nothing was recorded." in text
    assert "Live 0.0 s in 0 openings; 0 labelled false." in text
