# SPDX-License-Identifier: MIT
"""Table of UTC offsets of this computer's time zone: a report shows the same hours wherever it is read."""

from __future__ import annotations

from datetime import datetime

STEP_S = 7 * 86_400  # no zone changes twice in a week
_LATEST_S = 4_102_444_800  # the year 2100: no need to follow a zone's rules any further


def offset_s(at_s: int) -> int:
    """Seconds that local time is ahead of UTC at a Unix time in seconds."""
    ahead = datetime.fromtimestamp(at_s).astimezone().utcoffset()
    assert ahead is not None
    return int(ahead.total_seconds())


def offsets(from_ms: int, to_ms: int) -> list[tuple[int, int]]:
    """(Unix ms, offset in ms) from which each offset holds: the one at the start of the range, then every change in it."""
    at_s = min(max(0, from_ms // 1000), _LATEST_S)
    end_s = min(max(at_s, to_ms // 1000), _LATEST_S)
    known = offset_s(at_s)
    changes = [(at_s * 1000, known * 1000)]
    while at_s < end_s:
        next_s = min(at_s + STEP_S, end_s)
        if (new := offset_s(next_s)) != known:
            changes.append((_find_change_s(at_s, next_s, known) * 1000, new * 1000))
            known = new
        at_s = next_s
    return changes


def _find_change_s(before_s: int, after_s: int, known: int) -> int:
    while after_s - before_s > 1:
        middle_s = (before_s + after_s) // 2
        if offset_s(middle_s) == known:
            before_s = middle_s
        else:
            after_s = middle_s
    return after_s


def zone_name(at_ms: int) -> str:
    """How people call the zone at a moment: `CET (UTC+01:00)`."""
    moment = datetime.fromtimestamp(min(max(0, at_ms // 1000), _LATEST_S)).astimezone()
    ahead = moment.strftime("%z")
    utc = f"UTC{ahead[:3]}:{ahead[3:5]}"
    name = moment.tzname() or ""
    return f"{name} ({utc})" if name.isalpha() and name != "UTC" else utc
