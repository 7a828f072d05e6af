# SPDX-License-Identifier: MIT
"""Times as people say them, in the computer's time zone, daylight saving included. No input or output but the zone."""

import re
from datetime import date, datetime, time, timedelta, timezone
from typing import NamedTuple

from earlid.errors import USAGE, UserError
from earlid.ledger.time_format import day_start_ms, local_day

EXAMPLES = "today, yesterday, monday, last week, 14:30, 'yesterday 18:00', 2026-11-22, '21 nov', '3 days ago', 2w, 6 months"
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
           "december")  # fmt: skip
_UNIT_MS = {
    "second": 1000, "sec": 1000, "s": 1000, "minute": 60_000, "min": 60_000, "hour": 3_600_000, "hr": 3_600_000, "h": 3_600_000,
}  # fmt: skip
_UNIT_DAYS = {"day": 1, "d": 1, "week": 7, "wk": 7, "w": 7}
_UNIT_MONTHS = {"month": 1, "mo": 1, "year": 12, "yr": 12, "y": 12}  # no "m": minutes or months?
_NUMBERS = {"a": "1", "an": "1", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6"}
_NAMED_TIMES = {"noon": time(12), "midnight": time(0)}  # moments: they end as they begin
_WHOLE_DAYS = {"today": 0, "yesterday": 1, "day before yesterday": 2}


class _Period(NamedTuple):
    """What was said, in Unix ms: a day, a week, or the second or minute of a `moment`."""

    start_ms: int
    end_ms: int
    moment: bool = False


def parse_when(text: str, now: datetime, *, end: bool = False) -> int:
    """Unix ms of a time as people say it, or as Earlid shows it.

    Args:
        text: one of the forms in EXAMPLES, or a time of `time_format`.
        now: local time without zone.
        end: the end of what was said: of a month, a day, of the minute of `14:30`, the second of `14:30:05` (for `--until`).

    Raises:
        UserError: code 2, with examples.
    """
    return _parse(text, now)[end]


def parse_period(text: str, now: datetime) -> tuple[int, int | None]:
    """The range of Unix ms (end excluded) of a day, week, month, or `A to B`; no end when it is not over yet, or A is a moment.

    Raises:
        UserError: code 2, with examples.
    """
    first, to, last = text.partition(" to ")
    if to:
        start = _parse(first, now)
        day = local_day(start.start_ms)
        clock, offset = _time_of_day(last.strip().lower())
        until = _moment(datetime.combine(day, clock), offset, last) if clock else _parse(last, now)
        if start.start_ms >= until.end_ms:
            raise UserError(f"nothing can be between: {text!r} ends before it begins.", USAGE)
        return start.start_ms, until.end_ms
    start = _parse(text, now)
    if start.moment or not start.start_ms < start.end_ms < now.timestamp() * 1000:
        return start.start_ms, None
    return start.start_ms, start.end_ms


def _parse(text: str, now: datetime) -> _Period:
    text = re.sub(r"(:\d\d|\d{4})[.,;]$", r"\1", text.strip())  # copied with the end of its sentence
    words = _normalised(text)
    try:
        period = _calendar_period(words, now)
        if not period and (start_ms := _span_ms(words, now)) is not None:
            period = _Period(start_ms, start_ms, moment=True)
        period = period or _period(words, text, now)
        if period and period.start_ms >= 0:
            return period
    except (ValueError, OverflowError, OSError):  # the 32nd, or long before any computer
        pass
    raise UserError(f"no such time: {text!r}. Say for example {EXAMPLES}.", USAGE)


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
        now_ms = int(now.timestamp() * 1000)
        return _Period(now_ms, now_ms, moment=True)
    if words == "this morning":
        return _whole_days(now.date())
    if words == "last night":
        evening, morning = datetime.combine(now.date() - timedelta(days=1), time(18)), datetime.combine(now.date(), time(6))
        return _Period(int(evening.timestamp() * 1000), int(morning.timestamp() * 1000))
    day = _day(words, now)
    if day is not None:
        return _whole_days(day)
    rest, _, clock = words.rpartition(" ")
    if clock in ("am", "pm"):
        rest, _, clock = rest.rpartition(" ")[0], "", rest.rpartition(" ")[2] + clock
    at, offset = _time_of_day(clock)
    if at is not None:
        day = _day(rest.removesuffix(" at"), now) if rest not in ("", "at") else now.date()
        return None if day is None else _moment(datetime.combine(day, at), offset, clock)
    try:
        return _whole_days(date.fromisoformat(text))
    except ValueError:
        moment = datetime.fromisoformat(text)
        return _moment(moment, None, re.split("[T ]", text, maxsplit=1)[-1])


def _moment(local: datetime, offset: timezone | None, clock: str) -> _Period:
    """The minute, second or millisecond that was said: `local` in the computer's zone, or at an offset from UTC."""
    start_ms = round((local.replace(tzinfo=offset) if offset else local).timestamp() * 1000)
    said = re.match(r"\d\d?:?\d\d:?(\d\d(?:[.,](\d+))?)?", clock)
    size_ms = 0 if clock in _NAMED_TIMES else max(1, 1000 // 10 ** len(said[2] or "")) if said and said[1] else 60_000
    return _Period(start_ms, start_ms + size_ms, moment=True)


def _whole_days(day: date, days: int = 1) -> _Period:
    return _Period(day_start_ms(day), day_start_ms(day + timedelta(days=days)))


def _calendar_period(words: str, now: datetime) -> _Period | None:
    """`this week`, `last month`, `2026-11`."""
    month = re.fullmatch(r"(\d{4})-(\d\d)", words)
    if month:
        first = datetime(int(month[1]), int(month[2]), 1)
        return _whole_days(first.date(), (_add_months(first, 1) - first).days)
    match = re.fullmatch(r"(this|last) (week|month|year)", words)
    if not match:
        return None
    back = int(match[1] == "last")
    if match[2] == "week":
        return _whole_days(now.date() - timedelta(days=now.weekday() + 7 * back), 7)
    months = 1 if match[2] == "month" else 12
    first = datetime(now.year, now.month if months == 1 else 1, 1)
    first = _add_months(first, -months * back)
    return _whole_days(first.date(), (_add_months(first, months) - first).days)


def _day(words: str, now: datetime) -> date | None:
    if words in _WHOLE_DAYS:
        return now.date() - timedelta(days=_WHOLE_DAYS[words])
    name = words.removeprefix("last ")
    first, _, rest = words.partition(" ")
    weekday = _index_by_prefix(first, _WEEKDAYS)
    if weekday is not None and rest:  # as a day is shown: `Wed 25 Nov 2026`
        return _date(rest, now, weekday)
    weekday = _index_by_prefix(name, _WEEKDAYS)
    if weekday is not None:
        back = (now.weekday() - weekday) % 7
        return now.date() - timedelta(days=back or (7 if name != words else 0))
    return _date(words, now)


def _date(words: str, now: datetime, weekday: int | None = None) -> date | None:
    """A day by its date; one that falls on a weekday (0: Monday), None when it does not."""
    numbers = re.fullmatch(r"(\d{4})([-/.]?)(\d\d?)\2(\d\d?)", words)
    if numbers and (numbers[2] or len(words) == 8):
        day = date(int(numbers[1]), int(numbers[3]), int(numbers[4]))
        return day if weekday in (None, day.weekday()) else None
    european = re.fullmatch(r"(\d\d?)\.(\d\d?)\.(\d{4})?", words)  # with slashes nobody knows which is the month
    if european:
        return _most_recent(int(european[1]), int(european[2]), european[3], now, weekday)
    named = re.fullmatch(r"(?P<day>\d\d?)(?:st|nd|rd|th)? (?P<month>[a-z]+)(?: (?P<year>\d{4}))?", words) or re.fullmatch(
        r"(?P<month>[a-z]+) (?P<day>\d\d?)(?:st|nd|rd|th)?(?: (?P<year>\d{4}))?", words
    )
    month = _index_by_prefix(named["month"], _MONTHS) if named else None
    return _most_recent(int(named["day"]), month + 1, named["year"], now, weekday) if named and month is not None else None


def _index_by_prefix(name: str, names: tuple[str, ...]) -> int | None:
    """Where a name, or its first three letters and any more, stands."""
    places = [i for i, name_in_full in enumerate(names) if len(name) >= 3 and name_in_full.startswith(name)]
    return places[0] if len(places) == 1 else None


def _most_recent(day: int, month: int, year: str | None, now: datetime, weekday: int | None) -> date | None:
    """That day, without a year the last one, or the last that falls on the weekday."""
    for number in [int(year)] if year else range(now.year, now.year - 29, -1):
        try:
            found = date(number, month, day)
        except ValueError:  # 29 February
            if year or (day, month) != (29, 2):
                raise
            continue
        if weekday in (None, found.weekday()) and (year or found <= now.date()):
            return found
    return None


def _time_of_day(word: str) -> tuple[time | None, timezone | None]:
    """A time of day, and the offset from UTC it was said with: `14:30`, `9pm`, `02:30:00+01:00`."""
    if word in _NAMED_TIMES:
        return _NAMED_TIMES[word], None
    match = re.fullmatch(r"(\d\d?)(?::(\d\d))?(?::(\d\d))?([ap]m)?(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?", word)
    if not match or not (match[2] or match[4]):
        return None, None
    hour = int(match[1])
    if match[4]:
        if not 1 <= hour <= 12:
            return None, None
        hour = hour % 12 + (12 if match[4] == "pm" else 0)
    offset = None
    if match[5]:
        ahead = timedelta(hours=int(match[6]), minutes=int(match[7]), seconds=int(match[8] or 0))
        offset = timezone(-ahead if match[5] == "-" else ahead)
    return time(hour, int(match[2] or 0), int(match[3] or 0)), offset
