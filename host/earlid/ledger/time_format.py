# SPDX-License-Identifier: MIT
"""Days and times for people, in the computer's time zone, daylight saving included. No input or output but the zone."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from earlid.ledger.wall_clock import UNBOUNDED_MS

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


_FIRST_S, _LAST_S = -62_000_000_000, 253_000_000_000  # years that a calendar has; what lies beyond is shown as the nearest


def _local(wall_ms: int) -> datetime:
    return datetime.fromtimestamp(min(max(wall_ms / 1000, _FIRST_S), _LAST_S))


def day_start_ms(day: date) -> int:
    """Unix ms of a local day's first moment."""
    return int(datetime(day.year, day.month, day.day).timestamp() * 1000)


def local_day(wall_ms: int) -> date:
    """The local date of a Unix time in ms."""
    return _local(wall_ms).date()


def days_between(from_ms: int, to_ms: int) -> list[tuple[date, int, int]]:
    """(date, first ms, end ms) of every local day that a range touches; days of 23 and 25 hours come out so."""
    day = local_day(from_ms)
    days = []
    while (start_ms := day_start_ms(day)) < to_ms:
        days.append((day, start_ms, day_start_ms(day + timedelta(days=1))))
        day += timedelta(days=1)
    return days


def clock_text(wall_ms: int) -> str:
    """Local time of day, `07:12:03`; the second time that clocks going back show it, with its offset: `02:30:00+01:00`."""
    local = _local(wall_ms // 1000 * 1000)
    return (local.astimezone() if local.fold else local).timetz().replace(fold=0).isoformat()


def moment_text(wall_ms: int) -> str:
    """Local day and time of day: `Sun 22 Nov 2026, 07:12:03`."""
    return f"{day_text(local_day(wall_ms))}, {clock_text(wall_ms)}"


def day_text(day: date) -> str:
    """`Sun 22 Nov 2026`, the same in every locale."""
    month = "JanFebMarAprMayJunJulAugSepOctNovDec"[3 * day.month - 3 : 3 * day.month]
    return f"{_WEEKDAYS[day.weekday()][:3].capitalize()} {day.day} {month} {day.year}"


def iso_text(wall_ms: int) -> str:
    """ISO 8601 with the local offset, to the millisecond."""
    return _local(wall_ms).astimezone().isoformat(timespec="milliseconds")


def span_text(span_ms: int) -> str:
    """A duration for people: `0.4 s`, `8.0 s`, `3 min 20 s`, `2 h 05 min`."""
    if span_ms < 60_000:
        return f"{span_ms / 1000:.1f} s"
    seconds = span_ms // 1000
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02} min"


def bounds_text(least_ms: int, most_ms: int | None) -> str:
    """A duration between two bounds: `12.4 s` where they agree to the digit shown, else `12.4 to 31.0 s`, `at least 31.0 s`."""
    if most_ms is None:
        return f"at least {span_text(least_ms)}"
    digit_ms = 100 if most_ms < 60_000 else 1000 if most_ms < 3_600_000 else 60_000
    if most_ms - least_ms <= digit_ms:
        return span_text(most_ms)
    most = span_text(-(-most_ms // digit_ms) * digit_ms)  # never less than it was
    least = span_text(least_ms)
    return f"{least.removesuffix(' s') if most_ms < 60_000 else least} to {most}"


def uncertainty_text(unc_ms: int) -> str:
    """How far off a time may be: empty below a second, else `±3 s`; `or before` where only the latest is known."""
    if unc_ms < 1000:
        return ""
    if unc_ms == UNBOUNDED_MS:
        return "or before"
    for size, unit in ((366 * 86_400_000, "y"), (86_400_000, "d"), (3_600_000, "h"), (60_000, "min")):
        if unc_ms >= 2 * size:
            return f"±{unc_ms // size} {unit}"
    return f"±{unc_ms // 1000} s"
