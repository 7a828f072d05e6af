# SPDX-License-Identifier: MIT
"""A report of some days: live time and counts per day and in all, and each day as a bar of 24 hours. No output.

No dataclasses here and in what this imports: loading them takes longer than reading a day.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

from earlid.ledger import queries
from earlid.ledger.boards import KnownBoard
from earlid.ledger.boot_clocks import LedgerClocks
from earlid.ledger.check import Question, to_check
from earlid.ledger.exposure import LIVE, Bounds, sum_bounds
from earlid.ledger.gaps import Gap, find_gaps
from earlid.ledger.lid_state import Lid, lid_states
from earlid.ledger.queries import DOUBTFUL_MS, Entry, Opening, RecordTotals
from earlid.ledger.reader import Reader
from earlid.ledger.time_format import day_start_ms, days_between, iso_text, local_day
from earlid.ledger.wall_clock import may_lie_in

BAR_CELLS = 96  # a quarter of an hour each
# Marks of a bar, the more telling ones first: a cell shows the first that happened in it.
MARKS = (("false", "x"), ("live", "L"), ("fault", "!"), ("word", "W"), ("button", "B"), ("near-miss", "n"), ("boot", "|"))
QUIET = "·"
COUNTED_EVENTS = ("open", "near-miss", "boot", "fault")  # what days count; the rest is only listed


def is_doubtful(unc_ms: int) -> bool:
    """Whether a time is too uncertain to be shown among the others."""
    return unc_ms >= DOUBTFUL_MS


class Day:
    """One local day: `live` are the bounds of the live time that lies in it; `bar` has BAR_CELLS marks."""

    def __init__(self, day: date, start_ms: int, end_ms: int) -> None:
        self.day, self.start_ms, self.end_ms = day, start_ms, end_ms
        self.openings: Counter[str] = Counter()
        self.live = Bounds()
        self.near_misses = self.false_openings = self.boots = self.faults = 0
        self.bar = QUIET * BAR_CELLS


class Report(NamedTuple):
    """What `review` shows: a range; its days, records, openings and totals, of what was asked for; gaps of the whole ledger.

    `lids` are the boards' as they are now, `alarms` the rails that were still live with the lid closed as the records end,
    `questions` what was likely not meant.
    """

    from_ms: int
    to_ms: int
    boards: list[KnownBoard]
    days: list[Day]
    entries: list[Entry]
    openings: list[Opening]
    live: Bounds
    totals: RecordTotals
    gaps: list[Gap]
    lids: list[Lid]
    alarms: list[Opening]
    questions: list[Question]
    events: Sequence[str] = ()
    reasons: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values for `--json`; times as ISO 8601 with the local offset, durations in ms."""
        return {
            "from": iso_text(self.from_ms),
            "to": iso_text(self.to_ms),
            "boards": [
                {
                    "board": board.identifier, "name": board.name, "lid": lid.state or None, "seen": iso_text(lid.seen_ms),
                    "since": iso_text(lid.since_ms) if lid.state else None,
                }
                for board, lid in zip(self.boards, self.lids, strict=True)
            ],
            "days": [
                {
                    "day": day.day.isoformat(), **_bounds_json(day.live), "openings": dict(day.openings),
                    "near_misses": day.near_misses, "false_openings": day.false_openings, "boots": day.boots,
                    "faults": day.faults, "bar": day.bar,
                }
                for day in self.days
            ],
            "entries": [entry_json(entry) for entry in self.entries],
            "openings": [opening._asdict() | {"start": iso_text(opening.start_ms)} for opening in self.openings],
            "totals": {
                "records": self.totals.records,
                **_bounds_json(self.live),
                "counts": [
                    {"event": event, "reason": reason, "count": count}
                    for (event, reason), count in self.totals.counts.items()
                ],
            },
            "gaps": [gap._asdict() for gap in self.gaps],
            "to_check": [question.to_json() for question in self.questions],
        }  # fmt: skip


def _bounds_json(live: Bounds) -> dict[str, int | None]:
    return {"live_least_ms": live.least_ms, "live_most_ms": live.most_ms}


def entry_json(entry: Entry) -> dict[str, Any]:
    """One record as plain values, its wall time also as ISO 8601."""
    return entry._asdict() | {"wall": iso_text(entry.wall_ms)}


def make_report(
    reader: Reader,
    chosen: Sequence[KnownBoard],
    from_ms: int,
    to_ms: int,
    *,
    events: Sequence[str] = (),
    reasons: Sequence[str] = (),
) -> Report:
    """The report of a range of wall time.

    Args:
        chosen: the boards, from `queries.pick_boards`.
        from_ms: Unix ms, included.
        to_ms: Unix ms, excluded.
        events: only these records, and the openings that they begin or end; of them alone are days and totals.
        reasons: likewise.
    """
    clocks = LedgerClocks(reader, chosen)
    around = list(queries.wide_entries(reader, chosen, from_ms, to_ms, clocks=clocks))
    openings = queries.openings_among(reader, chosen, around, from_ms, to_ms)
    alarms = [opening for opening in openings if opening.ended == LIVE]
    openings = [opening for opening in openings if _is_asked_for(opening, events, reasons)]
    days = [Day(*bounds) for bounds in days_between(from_ms, to_ms)]
    openings.sort(key=lambda opening: not is_doubtful(opening.unc_ms))
    every = sorted(
        (entry for entry in around if may_lie_in(entry.wall_ms, entry.unc_ms, from_ms, to_ms)),
        key=lambda entry: (not is_doubtful(entry.unc_ms), entry.wall_ms, entry.seq),
    )
    entries = [entry for entry in every if (not events or entry.event in events) and (not reasons or entry.reason in reasons)]
    fill_days(days, entries, openings)
    counts = Counter((entry.event, entry.reason) for entry in entries)
    totals = RecordTotals(dict(sorted(counts.items())), len(entries))
    live = sum_bounds(Bounds(*_within(opening, from_ms, to_ms)) for opening in openings)
    return Report(
        from_ms, to_ms, list(chosen), days, entries, openings, live, totals, find_gaps(reader, chosen),
        lid_states(reader, chosen, clocks), alarms, to_check(reader, chosen, openings, clocks), events, reasons,
    )  # fmt: skip


def _is_asked_for(opening: Opening, events: Sequence[str], reasons: Sequence[str]) -> bool:
    """Whether a record that begins or ends an opening is among those asked for."""
    begins, ends = ("live", "dead") if opening.outside else ("open", "close")
    return any(
        (not events or event in events) and (not reasons or reason in reasons)
        for event, reason in ((begins, opening.reason), (ends, opening.ended))
    )


def fill_days(days: list[Day], entries: Sequence[Entry], openings: Sequence[Opening]) -> None:
    """Count entries and openings into their days, and draw the bars."""
    starts_ms = [day.start_ms for day in days]

    def day_of(wall_ms: int) -> Day | None:
        i = bisect_right(starts_ms, wall_ms) - 1
        return days[i] if i >= 0 and wall_ms < days[i].end_ms else None

    marks: dict[date, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))  # by cell
    for entry in entries:
        day = day_of(entry.wall_ms) if entry.event in COUNTED_EVENTS else None
        if day is None:
            continue
        if entry.event == "open":
            continue
        if entry.event == "near-miss":
            day.near_misses += 1
        elif entry.event == "boot":
            day.boots += 1
        else:
            day.faults += 1
        marks[day.day][_cell(day, entry.wall_ms)].add(entry.event)
    for opening in openings:
        end_ms = opening.start_ms + opening.drawn_ms
        if not opening.outside and (home := day_of(opening.start_ms)):
            home.openings[opening.reason or "unknown"] += 1
            home.false_openings += opening.label is False
        kind = "live" if opening.outside else "false" if opening.label is False else opening.reason or "word"
        for day in days[max(0, bisect_right(starts_ms, opening.start_ms) - 1) :]:
            if day.start_ms > end_ms:
                break
            first, last = max(opening.start_ms, day.start_ms), min(end_ms, day.end_ms)
            if first <= last and day.start_ms <= first < day.end_ms:
                day.live = day.live.plus(*_within(opening, day.start_ms, day.end_ms))
                for cell in range(_cell(day, first), _cell(day, max(first, last - 1)) + 1):
                    marks[day.day][cell].add(kind)
    for day in days:
        if cells := marks.get(day.day):
            day.bar = "".join(next((mark for kind, mark in MARKS if kind in cells.get(i, ())), QUIET) for i in range(BAR_CELLS))


def _within(opening: Opening, from_ms: int, to_ms: int) -> tuple[int, int | None]:
    """Bounds of what of an opening lies in a range that it may reach into; its time counts from its start on.

    One of doubtful time counts whole as the most, and as the least only where it surely lies in the range.
    """
    early_ms, late_ms = opening.start_ms - opening.unc_ms, opening.start_ms + opening.unc_ms
    if is_doubtful(opening.unc_ms) and not from_ms <= early_ms <= late_ms + opening.least_ms <= to_ms:
        return 0, None if opening.most_ms is None else min(opening.most_ms, to_ms - from_ms)

    def clipped(span_ms: int) -> int:
        return max(0, min(opening.start_ms + span_ms, to_ms) - max(opening.start_ms, from_ms))

    return clipped(opening.least_ms), None if opening.most_ms is None else clipped(opening.most_ms)


def _cell(day: Day, wall_ms: int) -> int:
    return min(BAR_CELLS - 1, max(0, (wall_ms - day.start_ms) * BAR_CELLS // (day.end_ms - day.start_ms)))


class Today(NamedTuple):
    """Bounds of a board's live time since local midnight; `live`: by its last records it is live with the lid closed."""

    bounds: Bounds = Bounds()
    live: bool = False


def live_today(reader: Reader, chosen: Sequence[KnownBoard], now_ms: int) -> dict[str, Today]:
    """What each board's guarded microphone was since local midnight, by identifier."""
    today = dict.fromkeys((board.identifier for board in chosen), Today())
    from_ms = day_start_ms(local_day(now_ms))
    for opening in queries.openings(reader, chosen, from_ms, now_ms):
        before = today[opening.board]
        bounds = before.bounds.plus(*_within(opening, from_ms, now_ms))
        today[opening.board] = Today(bounds, before.live or opening.ended == LIVE)
    return today
