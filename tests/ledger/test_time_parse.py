# SPDX-License-Identifier: MIT
"""Parsing of times as people say them."""

from __future__ import annotations

import time
from datetime import date, datetime, timedelta

import pytest
from earlid.errors import UserError
from earlid.ledger import time_format
from earlid.ledger.time_parse import parse_age, parse_period, parse_when
from hypothesis import example, given, settings
from hypothesis import strategies as st

NOW = datetime(2026, 11, 22, 14, 30)  # a Sunday


def at(*parts, fold=0):
    return datetime(2026, *parts, fold=fold)


@pytest.mark.parametrize(
    ("text", "expected", "said_s"),
    [
        ("now", NOW, 0),
        ("noon", at(11, 22, 12), 0),
        ("14:05", at(11, 22, 14, 5), 60),
        ("at 9:15", at(11, 22, 9, 15), 60),
        ("9pm", at(11, 22, 21), 60),
        ("12 am", at(11, 22), 60),
        ("yesterday 18:00", at(11, 21, 18), 60),
        ("Yesterday at 6 pm", at(11, 21, 18), 60),
        ("monday noon", at(11, 16, 12), 0),
        ("21 nov 08:00:30", at(11, 21, 8, 0, 30), 1),
        ("2026-03-29 14:05", at(3, 29, 14, 5), 60),
        ("2026-03-29T14:05:10", at(3, 29, 14, 5, 10), 1),
        ("3 days ago", at(11, 19, 14, 30), 0),
        ("last 3 days", at(11, 19, 14, 30), 0),
        ("2w", at(11, 8, 14, 30), 0),
        ("two weeks ago", at(11, 8, 14, 30), 0),
        ("90 minutes ago", at(11, 22, 13, 0), 0),
        ("1.5 hours", at(11, 22, 13, 0), 0),
        ("an hour ago", at(11, 22, 13, 30), 0),
        ("past hour", at(11, 22, 13, 30), 0),
        ("half an hour ago", at(11, 22, 14, 0), 0),
        ("30 sec", at(11, 22, 14, 29, 30), 0),
        ("6 months", at(5, 22, 14, 30), 0),
        ("half a year", at(5, 22, 14, 30), 0),
        ("1 year ago", datetime(2025, 11, 22, 14, 30), 0),
        ("2026-03-29T14:05:10.250", at(3, 29, 14, 5, 10, 250_000), 0.001),
        ("2026-03-29T140510", at(3, 29, 14, 5, 10), 1),
        ("20260329T140510", at(3, 29, 14, 5, 10), 1),
        ("2026-03-29T14:05:10.250+02:00", at(3, 29, 14, 5, 10, 250_000), 0.001),
    ],
)
def test_moments_are_parsed_and_end_with_the_minute_or_second_that_was_said(berlin, text, expected, said_s):
    wanted = int(expected.timestamp() * 1000)
    assert (parse_when(text, NOW), parse_when(text, NOW, end=True)) == (wanted, wanted + said_s * 1000)


def test_end_of_a_minute_before_a_clock_change_is_a_minute_later(berlin):
    last = "2026-10-25 02:59:59"
    assert parse_when(last, NOW, end=True) - parse_when(last, NOW) == 1000


def test_period_of_a_moment_reaches_up_to_now(berlin):
    assert parse_period("14:05", NOW) == (int(at(11, 22, 14, 5).timestamp() * 1000), None)


@pytest.mark.parametrize(
    ("text", "first", "behind"),
    [
        ("today", (11, 22), (11, 23)),
        ("Yesterday", (11, 21), (11, 22)),
        ("the day before yesterday", (11, 20), (11, 21)),
        ("sunday", (11, 22), (11, 23)),
        ("last sunday", (11, 15), (11, 16)),
        ("on monday", (11, 16), (11, 17)),
        ("Tue", (11, 17), (11, 18)),
        ("this week", (11, 16), (11, 23)),
        ("last week", (11, 9), (11, 16)),
        ("this month", (11, 1), (12, 1)),
        ("last month", (10, 1), (11, 1)),
        ("this year", (1, 1), (13, 1)),
        ("2026-10", (10, 1), (11, 1)),
        ("2026-10-25", (10, 25), (10, 26)),
        ("2026/10/25", (10, 25), (10, 26)),
        ("25.10.2026", (10, 25), (10, 26)),
        ("25.10.", (10, 25), (10, 26)),
        ("nov 21", (11, 21), (11, 22)),
        ("21st November, 2026", (11, 21), (11, 22)),
        ("20261025", (10, 25), (10, 26)),
        ("Sun 25 Oct 2026", (10, 25), (10, 26)),
        ("Sun 25 Oct 2026.", (10, 25), (10, 26)),
        ("Sunday, 2026-10-25", (10, 25), (10, 26)),
    ],
)
def test_days_weeks_and_months_parse_to_start_and_end(berlin, text, first, behind):
    end = date(2027, 1, 1) if behind == (13, 1) else date(2026, *behind)
    assert parse_when(text, NOW) == time_format.day_start_ms(date(2026, *first))
    assert parse_when(text, NOW, end=True) == time_format.day_start_ms(end)


def test_day_without_a_year_is_the_most_recent(berlin):
    assert parse_when("dec 24", NOW) == time_format.day_start_ms(date(2025, 12, 24))


def test_last_night_is_from_evening_to_morning(berlin):
    assert parse_when("last night", NOW) == int(at(11, 21, 18).timestamp() * 1000)
    assert parse_when("last night", NOW, end=True) == int(at(11, 22, 6).timestamp() * 1000)


def test_hours_ago_are_exact_across_a_clock_change(berlin):
    after = at(3, 29, 3, 10)  # ten minutes after two became three
    assert parse_when("1 hour ago", after) == int(after.timestamp() * 1000) - 3_600_000
    assert parse_when("1 day ago", after) == int(at(3, 28, 3, 10).timestamp() * 1000)


def test_month_before_the_31st_ends_on_the_last_day(berlin):
    assert parse_age("6 months", datetime(2026, 8, 31)) == int(datetime(2026, 2, 28).timestamp() * 1000)


@pytest.mark.parametrize(
    "text",
    ["soon", "", "32 moons", "2026-13-01", "31 feb", "-1 day", "25:00", "13pm", "30m", "11/21/2026", "tomorrow", "1.5 months",
     "99999 years ago", "99999999999999 days", "999999999999999999999 hours ago", "lable 2 true"],
)  # fmt: skip
def test_invalid_time_is_refused_with_examples(text):
    with pytest.raises(UserError, match=r"no such time.*yesterday"):
        parse_when(text, NOW)


ZONES = (
    "UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "America/Havana", "Africa/Casablanca", "Asia/Kathmandu",
    "Pacific/Apia", "Europe/Dublin",
)  # fmt: skip


@pytest.fixture(scope="module", params=ZONES)
def zone(request):
    """The computer's time zone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


@settings(max_examples=300, deadline=None)
@given(st.integers(946_684_800_000, 1_893_456_000_000))  # 2000 to 2030
@example(1_792_888_200_000)  # Berlin, 25 October 2026: 02:30, first of two
@example(1_792_891_800_000)  # the second
def test_every_time_shown_is_taken_back(zone, wall_ms):
    now = datetime(2030, 1, 2, 12)
    second_ms = wall_ms // 1000 * 1000
    iso, day, shown = time_format.iso_text(wall_ms), time_format.local_day(wall_ms), time_format.moment_text(wall_ms)
    assert parse_when(iso, now) == wall_ms, iso
    assert (parse_when(shown, now), parse_when(shown, now, end=True)) == (second_ms, second_ms + 1000), shown
    for text in (time_format.day_text(day), day.isoformat(), day.strftime("%Y%m%d")):
        assert parse_when(text, now) == time_format.day_start_ms(day) <= wall_ms < parse_when(text, now, end=True), text
    nearby = datetime.fromtimestamp(wall_ms / 1000) + timedelta(days=300)  # the page leaves the year out
    assert parse_when(shown.replace(f" {day.year}", ""), nearby) == second_ms, shown


def test_second_time_of_a_night_of_25_hours_is_shown_with_its_offset(berlin):
    first, second = 1_792_888_200_000, 1_792_891_800_000
    shown = [time_format.clock_text(ms) for ms in (first, second, second + 1_800_000)]
    assert shown == ["02:30:00", "02:30:00+01:00", "03:00:00"]
    assert time_format.moment_text(second) == "Sun 25 Oct 2026, 02:30:00+01:00"


def test_day_without_a_year_is_the_last_on_that_weekday(berlin):
    assert parse_when("Wed 25 Nov", NOW) == time_format.day_start_ms(date(2020, 11, 25))
    for text in ("Mon 22 Nov 2026", "Mon 20261122"):
        with pytest.raises(UserError):
            parse_when(text, NOW)


@pytest.mark.parametrize(
    ("text", "first", "behind"),
    [
        ("Sat 21 Nov 2026, 10:00 to 11:00", at(11, 21, 10), at(11, 21, 11, 1)),
        ("Sat 21 Nov 2026, 23:59:30 to Sun 22 Nov 2026, 00:00:10", at(11, 21, 23, 59, 30), at(11, 22, 0, 0, 11)),
        ("Mon 16 Nov 2026 to Wed 18 Nov 2026", at(11, 16), at(11, 19)),
        ("Sun 25 Oct 2026, 02:30:00+01:00 to 02:40:00+01:00", at(10, 25, 2, 30, fold=1), at(10, 25, 2, 40, 1, fold=1)),
    ],
)
def test_range_as_the_page_shows_it_is_taken_back(berlin, text, first, behind):
    assert parse_period(text, NOW) == tuple(int(moment.timestamp() * 1000) for moment in (first, behind))
    with pytest.raises(UserError, match="ends before it begins"):
        parse_period("Sat 21 Nov 2026, 10:00 to 09:00", NOW)


@pytest.mark.parametrize("text", ["yesterday", "30m", "99999 years", "soon"])
def test_invalid_span_is_refused_with_examples(text):
    with pytest.raises(UserError, match=r"no such span.*90 days"):
        parse_age(text, NOW)


_PHRASES = (
    "last past this the on at a an half 2 31 14:30 9pm day days week month year hour min s m mon may nov 2026 21.11. ago am"
)


@given(st.one_of(st.text(max_size=30), st.lists(st.sampled_from(_PHRASES.split()), max_size=6).map(" ".join)))
def test_random_text_parses_or_is_a_usage_error(text):
    for end in (False, True):
        try:
            datetime.fromtimestamp(parse_when(text, NOW, end=end) / 1000)
        except UserError:
            pass
