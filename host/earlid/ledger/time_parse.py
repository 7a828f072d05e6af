# SPDX-License-Identifier: MIT
"""Times as people say them, in the computer's time zone, daylight saving included. No input or output but the zone."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from earlid.errors import USAGE, UserError
from earlid.ledger.time_format import day_start_ms, local_day

EXAMPLES = "today, yesterday, monday, last week, 14:30, 'yesterday 18:00', 2026-11-22, '21 nov', '3 days ago', 2w, 6 months"
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
           "december")  # fmt: skip
MINUTE_MS = 60_000
_UNIT_MS = {
    "second": 1000, "sec": 1000, "s": 1000, "minute": 60_000, "min": 60_000, "hour": 3_600_000, "hr": 3_600_000, "h": 3_600_000,
}  # fmt: skip
_UNIT_DAYS = {"day": 1, "d": 1, "week": 7, "wk": 7, "w": 7}
_UNIT_MONTHS = {"month": 1, "mo": 1, "year": 12, "yr": 12, "y": 12}  # no "m": minutes or months?
_NUMBERS = {"a": "1", "an": "1", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6"}
_NAMED_TIMES = {"noon": time(12), "midnight": time(0)}  # moments: they end as they begin
_WHOLE_DAYS = {"today": 0, "yesterday": 1, "day before yesterday": 2}


class _Period(NamedTuple):
    """Local times, mostly without zone. What was said to the minute or second ends with it, `rest_ms` after `end`."""

    start: datetime
    end: datetime
    rest_ms: int = 0

    def bound_ms(self, *, end: bool) -> int:
        """Unix ms of its start or end."""
        return int(self.end.timestamp() * 1000) + self.rest_ms if end else int(self.start.timestamp() * 1000)


def parse_when(text: str, now: datetime, *, end: bool = False) -> int:
    """Unix ms of a time as people say it.

    Args:
        text: one of the forms in EXAMPLES.
        now: local time without zone.
        end: a day, a month, a minute, a second means its end, not its start (for `--until`): all of what was said.

    Raises:
        UserError: code 2, with examples.
    """
    words = _normalised(text)
    try:
        named = _calendar_period(words, now)
        result_ms = None if named else _span_ms(words, now)
        if result_ms is None:
            period = named or _period(words, text.strip(), now)
            result_ms = period.bound_ms(end=end) if period else -1
        if result_ms >= 0:
            return result_ms
    except (ValueError, OverflowError, OSError):  # the 32nd, or long before any computer
        pass
    raise UserError(f"no such time: {text!r}. Say for example {EXAMPLES}.", USAGE)


def parse_period(text: str, now: datetime) -> tuple[int, int | None]:
    """The range of Unix ms (end excluded) of a day, week or month as people say it; no end when it is not over yet, or a moment.

    Raises:
        UserError: code 2, with examples.
    """
    from_ms, end_ms = (parse_when(text, now, end=end) for end in (False, True))
    return from_ms, end_ms if from_ms + MINUTE_MS < end_ms < now.timestamp() * 1000 else None


def parse_range(since: str | None, until: str | None, now: datetime, default: str) -> tuple[int, int | None]:
    """The range of Unix ms (end excluded) of `--since` and `--until`; no end when it reaches up to now.

    Args:
        since: where it starts; None for `default`, or with `until` and the default `today` for the start of that day.
        until: where it ends.
        now: local time without zone.
        default: as `since`.

    Raises:
        UserError: code 2 when one of them is no time, or nothing can lie between them.
    """
    to_ms = parse_when(until, now, end=True) if until else None
    if to_ms and not since and default == "today":
        from_ms = day_start_ms(local_day(to_ms - 1))
    else:
        from_ms = parse_when(since or default, now)
    if from_ms >= (to_ms or now.timestamp() * 1000):
        raise UserError("nothing can be between: --since lies after --until, or after now.", USAGE)
    return from_ms, to_ms


def parse_age(text: str, now: datetime) -> int:
    """Unix ms that lies a span (`6 months`, `90 days`, `2w`) before now; UserError, code 2, when it is no span."""
    try:
        start_ms = _span_ms(_normalised(text), now)
    except (ValueError, OverflowError, OSError):
        start_ms = None
    if start_ms is None or start_ms < 0:
        raise UserError(f"no such span: {text!r}. Say for example '6 months', '90 days' or 2w.", USAGE)
    return start_ms


def _normalised(text: str) -> str:
    words = text.lower().replace(",", " ").split()
    return " ".join(word for word in words if word not in ("the", "on"))


def _span_ms(words: str, now: datetime) -> int | None:
    """Unix ms that lies a span before now: `3 days ago`, `past hour`, `half an hour ago`, `6mo`."""
    match = re.fullmatch(r"((?:last |past )?(?:half )?)(?:([a-z]+) |(\d+(?:\.\d+)?) ?)?([a-z]+?)s?(?: ago)?", words)
    if not match or not any(match.groups()[:3]) or (match[2] and match[2] not in _NUMBERS):
        return None
    unit = match[4]
    number = float(match[3] or _NUMBERS.get(match[2], "1")) / (2 if "half" in match[1] else 1)
    if unit in _UNIT_MS:
        return int(now.timestamp() * 1000 - number * _UNIT_MS[unit])
    if unit in _UNIT_DAYS:
        return int((now - timedelta(days=number * _UNIT_DAYS[unit])).timestamp() * 1000)
    if unit in _UNIT_MONTHS and (number * _UNIT_MONTHS[unit]).is_integer():
        return int(_add_months(now, -int(number * _UNIT_MONTHS[unit])).timestamp() * 1000)
    return None


def _add_months(moment: datetime, months: int) -> datetime:
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    for day in range(moment.day, 27, -1):  # the 31st of a short month is its last day
        try:
            return moment.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
    return moment.replace(year=year, month=month + 1)


def _period(words: str, text: str, now: datetime) -> _Period | None:
    if words == "now":
        return _Period(now, now)
    if words == "this morning":
        return _whole_days(now.date())
    if words == "last night":
        return _Period(datetime.combine(now.date() - timedelta(days=1), time(18)), datetime.combine(now.date(), time(6)))
    day = _day(words, now)
    if day is not None:
        return _whole_days(day)
    rest, _, clock = words.rpartition(" ")
    if clock in ("am", "pm"):
        rest, _, clock = rest.rpartition(" ")[0], "", rest.rpartition(" ")[2] + clock
    at = _time_of_day(clock)
    if at is not None:
        day = _day(rest.removesuffix(" at"), now) if rest not in ("", "at") else now.date()
        said_ms = 0 if clock in _NAMED_TIMES else 1000 if clock.count(":") == 2 else MINUTE_MS
        return None if day is None else _Period(datetime.combine(day, at), datetime.combine(day, at), said_ms)
    moment = datetime.fromisoformat(text)
    to_the = re.search(r"[ t]\d\d:?\d\d(:?\d\d(?:[.,](\d+))?)?", text.lower())
    if to_the is None:  # a day
        return _whole_days(moment.date())
    return _Period(moment, moment, max(1, 1000 // 10 ** len(to_the[2] or "")) if to_the[1] else MINUTE_MS)


def _whole_days(day: date, days: int = 1) -> _Period:
    return _Period(datetime.combine(day, time()), datetime.combine(day + timedelta(days=days), time()))


def _calendar_period(words: str, now: datetime) -> _Period | None:
    """`this week`, `last month`, `2026-11`."""
    month = re.fullmatch(r"(\d{4})-(\d\d)", words)
    if month:
        first = datetime(int(month[1]), int(month[2]), 1)
        return _Period(first, _add_months(first, 1))
    match = re.fullmatch(r"(this|last) (week|month|year)", words)
    if not match:
        return None
    back = int(match[1] == "last")
    if match[2] == "week":
        return _whole_days(now.date() - timedelta(days=now.weekday() + 7 * back), 7)
    months = 1 if match[2] == "month" else 12
    first = datetime(now.year, now.month if months == 1 else 1, 1)
    return _Period(_add_months(first, -months * back), _add_months(first, months - months * back))


def _day(words: str, now: datetime) -> date | None:
    if words in _WHOLE_DAYS:
        return now.date() - timedelta(days=_WHOLE_DAYS[words])
    name = words.removeprefix("last ")
    weekday = _index_by_prefix(name, _WEEKDAYS)
    if weekday is not None:
        back = (now.weekday() - weekday) % 7
        return now.date() - timedelta(days=back or (7 if name != words else 0))
    numbers = re.fullmatch(r"(\d{4})([-/.])(\d\d?)\2(\d\d?)", words)
    if numbers:
        return date(int(numbers[1]), int(numbers[3]), int(numbers[4]))
    european = re.fullmatch(r"(\d\d?)\.(\d\d?)\.(\d{4})?", words)  # with slashes nobody knows which is the month
    if european:
        return _most_recent(int(european[1]), int(european[2]), european[3], now)
    named = re.fullmatch(r"(?P<day>\d\d?)(?:st|nd|rd|th)? (?P<month>[a-z]+)(?: (?P<year>\d{4}))?", words) or re.fullmatch(
        r"(?P<month>[a-z]+) (?P<day>\d\d?)(?:st|nd|rd|th)?(?: (?P<year>\d{4}))?", words
    )
    month = _index_by_prefix(named["month"], _MONTHS) if named else None
    return _most_recent(int(named["day"]), month + 1, named["year"], now) if named and month is not None else None


def _index_by_prefix(name: str, names: tuple[str, ...]) -> int | None:
    """Where a name, or its first three letters and any more, stands."""
    places = [i for i, name_in_full in enumerate(names) if len(name) >= 3 and name_in_full.startswith(name)]
    return places[0] if len(places) == 1 else None


def _most_recent(day: int, month: int, year: str | None, now: datetime) -> date:
    """That day, without a year the last one."""
    if year:
        return date(int(year), month, day)
    this_year = date(now.year, month, day)
    return this_year if this_year <= now.date() else date(now.year - 1, month, day)


def _time_of_day(word: str) -> time | None:
    if word in _NAMED_TIMES:
        return _NAMED_TIMES[word]
    match = re.fullmatch(r"(\d\d?)(?::(\d\d))?(?::(\d\d))?([ap]m)?", word)
    if not match or not (match[2] or match[4]):
        return None
    hour = int(match[1])
    if match[4]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if match[4] == "pm" else 0)
    return time(hour, int(match[2] or 0), int(match[3] or 0))
