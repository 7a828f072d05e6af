"""Dates as people say them, in the computer's time zone, daylight saving included. No input or output but the zone."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

from earlid.errors import USAGE, UserError

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_UNITS = {"minute": 1 / 1440, "min": 1 / 1440, "hour": 1 / 24, "h": 1 / 24, "day": 1, "d": 1, "week": 7, "w": 7}
_EXAMPLES = "today, yesterday, monday, 2026-11-22, '2026-11-22 14:30', '3 days ago', 2w, 6 months"


def day_start_ms(day: date) -> int:
    """Unix ms of a local day's first moment."""
    return int(datetime(day.year, day.month, day.day).timestamp() * 1000)


def local_day(wall_ms: int) -> date:
    """The local date of a Unix time in ms."""
    return datetime.fromtimestamp(wall_ms / 1000).date()


def days_between(from_ms: int, to_ms: int) -> list[tuple[date, int, int]]:
    """(date, first ms, end ms) of every local day that a range touches; days of 23 and 25 hours come out so."""
    day = local_day(from_ms)
    found = []
    while (start_ms := day_start_ms(day)) < to_ms:
        found.append((day, start_ms, day_start_ms(day + timedelta(days=1))))
        day += timedelta(days=1)
    return found


def parse_when(text: str, now: datetime, *, end: bool = False) -> int:
    """Unix ms of a date as people say it.

    Args:
        text: one of the forms in the error message.
        now: local time without zone.
        end: a day means its end, not its start (for `--until`).

    Raises:
        UserError: code 2, with examples.
    """
    words = text.strip().lower()
    if words == "now":
        return int(now.timestamp() * 1000)
    day = _day(words, now)
    if day is not None:
        return day_start_ms(day + timedelta(days=1) if end else day)
    span = _span(words)
    if span is not None:
        months, days = span
        return int((_months_before(now, months) - timedelta(days=days)).timestamp() * 1000)
    try:
        return int(datetime.fromisoformat(text.strip()).timestamp() * 1000)
    except ValueError:
        raise UserError(f"no such date: {text!r}. Say for example {_EXAMPLES}.", USAGE) from None


def parse_age(text: str, now: datetime) -> int:
    """Unix ms that lies a span (`6 months`, `90 days`, `2w`) before now; UserError, code 2, when it is no span."""
    span = _span(text.strip().lower())
    if span is None:
        raise UserError(f"no such span: {text!r}. Say for example '6 months', '90 days' or 2w.", USAGE)
    return int((_months_before(now, span[0]) - timedelta(days=span[1])).timestamp() * 1000)


def _day(words: str, now: datetime) -> date | None:
    if words in ("today", "yesterday"):
        return now.date() - timedelta(days=words == "yesterday")
    if words in _WEEKDAYS:
        return now.date() - timedelta(days=(now.weekday() - _WEEKDAYS.index(words)) % 7)
    try:
        return date.fromisoformat(words)
    except ValueError:
        return None


def _span(words: str) -> tuple[int, float] | None:
    """(months, days) of `3 days ago`, `6mo`, `1 year`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]+?)s?(\s+ago)?", words)
    if not found:
        return None
    number, unit = float(found[1]), found[2]
    if unit in _UNITS:
        return 0, number * _UNITS[unit]
    if unit in ("month", "mo", "year", "y") and number.is_integer():
        return int(number) * (12 if unit[0] == "y" else 1), 0
    return None


def _months_before(now: datetime, months: int) -> datetime:
    total = now.year * 12 + now.month - 1 - months
    year, month = divmod(total, 12)
    for day in range(now.day, 27, -1):  # the 31st of a short month is its last day
        try:
            return now.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
    return now.replace(year=year, month=month + 1)


def clock_text(wall_ms: int) -> str:
    """Local time of day, `07:12:03`."""
    return datetime.fromtimestamp(wall_ms / 1000).strftime("%H:%M:%S")


def day_text(day: date) -> str:
    """`Sun 22 Nov 2026`, the same in every locale."""
    month = "JanFebMarAprMayJunJulAugSepOctNovDec"[3 * day.month - 3 : 3 * day.month]
    return f"{_WEEKDAYS[day.weekday()][:3].capitalize()} {day.day} {month} {day.year}"


def iso_text(wall_ms: int) -> str:
    """ISO 8601 with the local offset, to the millisecond."""
    return datetime.fromtimestamp(wall_ms / 1000).astimezone().isoformat(timespec="milliseconds")


def span_text(span_ms: int) -> str:
    """A duration for people: `0.4 s`, `8.0 s`, `3 min 20 s`, `2 h 05 min`."""
    if span_ms < 60_000:
        return f"{span_ms / 1000:.1f} s"
    seconds = span_ms // 1000
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02} min"


def doubt_text(unc_ms: int) -> str:
    """How far off a time may be: empty below a second, else `±3 s`."""
    if unc_ms < 1000:
        return ""
    for size, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min")):
        if unc_ms >= 2 * size:
            return f"±{unc_ms // size} {unit}" if unc_ms < 5 * 366 * 86_400_000 else "or before"
    return f"±{unc_ms // 1000} s"
