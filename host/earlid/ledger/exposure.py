# SPDX-License-Identifier: MIT
"""Bounds of the time in which a board's guarded microphone had power, from its journal. No input or output.

An exposure is one time in which the guarded rail was live: an opening of the lid, or a time outside any opening (a welded
contact, a rail that was live at the start). What a record says of it (PROTOCOL.md has the fields):

    open            the lid may open from here on. The rail is not live yet, unless a `live` says so
    close           least and most ms that the rail was live. A most of NOT_GONE: that or more
    live .. dead    the same outside an opening; `live` tells how long it may have been live before
    mark            it lasts, so long after its beginning, and the rail was live for so long at least
    close reset, dead reset    what a start knows of the exposure that the reset before it ended

The board's own bounds are taken as they are. The rest leaves room for what nobody recorded:

    LONGEST_MS      no lid stays open for more than 60 s (`lid.policy`); after DROP_MAX_MS (`lid.circuit`), and at most 100 ms
                    of a late hop, the rail is gone
    SLACK_MS        two hops: a record's time is that of its hop, and the rail is read once a hop
    NO_RAIL_MS      how long an open lid may have no rail before the board closes it: ARM_MAX_MS until it must have come, 10
                    hops and one more of its absence until it is `no-close` or `sagging` (`lid.circuit`, `lid.health`)
    firmware 0.1    recorded how long the lid was open and when the rail was first read dead after that (0: not waited for). Its
                    records show by having no most. Live was the rail at most SLACK_MS longer, at least NO_RAIL_MS less

An upper bound is None where nothing bounds it: a rail that was live before the start, or live when the records end at a
reset. What stood in records that are missing is not known: `gaps` and `verify` tell of those.
"""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from lid import circuit

LONGEST_MS = 60_000 + circuit.DROP_MAX_MS + 100
SLACK_MS = 20
NO_RAIL_MS = circuit.ARM_MAX_MS + 110
NOT_GONE = 0xFFFF  # most of a `close`
NOT_KNOWN = 0xFFFFFFFF  # before a `live`, most of a `dead`
EVENTS = ("boot", "open", "close", "live", "mark", "dead", "fault")  # the records that count here
SAME_MS = 1000  # two records of one exposure agree on its beginning to this
LATE_MS = 10_000  # so late, at most, comes a `close`: a self-test or a probe may have come between

# How an exposure ended, beside the reasons of `close` and `dead`.
OPEN, LIVE, RESTART, LOST = "open", "live", "restart", "lost"
DEAD = "dead"


class JournalRecord(Protocol):
    """A record as far as it counts here: fields as in `lid.record`."""

    @property
    def seq(self) -> int: ...
    @property
    def boot(self) -> int: ...
    @property
    def ms(self) -> int: ...
    @property
    def event(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def a(self) -> int: ...
    @property
    def b(self) -> int: ...


class Exposure(NamedTuple):
    """One time in which the guarded rail was live, between `least_ms` and `most_ms` long (None: no upper bound is known).

    `start_ms` is of start `boot`, and may be before its 0. `reason` is of `open`, or of `live` when `outside`, empty when that
    record is not kept. `ended` is the reason of its `close` or `dead` (`dead` for none), or "open" or "live": it lasts, as far
    as the records go; "restart": a start came first and does not tell; "lost": its end is not kept.
    """

    boot: int
    first_seq: int
    last_seq: int
    start_ms: int
    least_ms: int
    most_ms: int | None
    reason: str
    ended: str
    outside: bool


class Bounds(NamedTuple):
    """Bounds of a live time; `most_ms` is None when there is none above."""

    least_ms: int = 0
    most_ms: int | None = 0

    def plus(self, least_ms: int, most_ms: int | None) -> "Bounds":
        """This time and another one."""
        return Bounds(self.least_ms + least_ms, None if self.most_ms is None or most_ms is None else self.most_ms + most_ms)


def sum_bounds(times: Iterable[Bounds]) -> Bounds:
    """The bounds of times together."""
    total = Bounds()
    for time in times:
        total = total.plus(*time)
    return total


def live_time(exposures: Iterable[Exposure]) -> Bounds:
    """The bounds of exposures together."""
    return sum_bounds(Bounds(exposure.least_ms, exposure.most_ms) for exposure in exposures)


def live_bounds(records: Iterable[JournalRecord], known_ms: int | None = None, newest_boot: int | None = None) -> list[Exposure]:
    """The exposures of one board, by their first record.

    Args:
        records: in the journal's order; those of other EVENTS may be left out, and any may be missing.
        known_ms: ms of the newest record's start up to which these are all the records; None when that is not known. It
            bounds what still lasts.
        newest_boot: number of that start; None: that of the last record.
    """
    walk = _Walk()
    for item in records:
        walk.take(item)
    return walk.finish(known_ms, newest_boot)


class _Part:
    """An exposure that is being pieced together. `origin_ms`: ms of its `open` or `live`; `before_ms`: live before that."""

    __slots__ = (
        "before_ms", "boot", "covered", "ended", "first_seq", "last_seq", "least_ms", "most_ms", "origin_ms", "outside", "reason",
    )  # fmt: skip

    def __init__(self, item: JournalRecord, origin_ms: int, reason: str, before_ms: int | None, *, outside: bool) -> None:
        self.boot, self.first_seq, self.last_seq = item.boot, item.seq, item.seq
        self.origin_ms, self.reason, self.before_ms, self.outside = origin_ms, reason, before_ms, outside
        self.least_ms = 0
        self.most_ms: int | None = None
        self.ended = ""
        self.covered = False  # an opening of a rail that was live already: that exposure's least counts it

    def upper(self, most_ms: int | None) -> int | None:
        """The upper bound, with what was before its first record."""
        return None if most_ms is None or most_ms == NOT_KNOWN or self.before_ms is None else self.before_ms + most_ms

    def end(self, last_seq: int, ended: str, least_ms: int, most_ms: int | None) -> None:
        self.last_seq, self.ended = last_seq, ended
        self.least_ms = max(self.least_ms, least_ms)
        self.most_ms = None if most_ms is None else max(self.least_ms, most_ms)

    def end_without(self, ended: str, until_ms: int | None) -> None:
        """Its own end is not known; in its own start it was over at `until_ms`, None when nothing of that start follows."""
        bounds = [] if until_ms is None else [max(0, until_ms - self.origin_ms) + SLACK_MS]
        if not self.outside:
            bounds.append(LONGEST_MS)
        self.end(self.last_seq, ended, 0, self.upper(min(bounds, default=None)))

    def exposure(self) -> Exposure:
        return Exposure(
            self.boot, self.first_seq, self.last_seq, self.origin_ms - (self.before_ms or 0),
            0 if self.covered else self.least_ms, self.most_ms, self.reason, self.ended, self.outside,
        )  # fmt: skip


class _Walk:
    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self._opening: _Part | None = None
        self._outside: _Part | None = None
        self._undropped: _Part | None = None  # the last closing, when its rail was not seen to go
        self._boot = 0
        self._ended_ms = 0  # of this start: when the newest exposure was over

    def take(self, item: JournalRecord) -> None:
        if item.boot != self._boot:
            self._boot, self._ended_ms = item.boot, 0
        if item.event == "open":
            self._cut(self._opening, item)
            self._undropped = None
            self._opening = self._add(item, item.ms, item.reason, 0, outside=False)
            self._opening.covered = self._outside is not None
        elif item.event == "live":
            self._take_live(item)
        elif item.event == "mark":
            self._take_mark(item)
        elif item.event in ("close", "dead"):
            if item.reason == "reset":
                self._take_reset(item)
            elif item.event == "close":
                self._take_close(item)
            else:
                self._take_dead(item)
        elif item.event == "fault" and item.reason == "welded" and self._undropped:
            self._undropped.most_ms = None  # firmware 0.1 says no more about it
            self._undropped = None

    def finish(self, known_ms: int | None, newest_boot: int | None) -> list[Exposure]:
        boot = self._boot if newest_boot is None else newest_boot
        for part, ended in ((self._opening, OPEN), (self._outside, LIVE)):
            if part and part.boot != boot:
                part.end_without(RESTART, None)
            elif part:
                lasted_ms = None if known_ms is None else max(0, known_ms - part.origin_ms) + SLACK_MS
                part.end(part.last_seq, ended, 0, part.upper(lasted_ms))
        return [part.exposure() for part in self._parts]

    def _add(self, item: JournalRecord, origin_ms: int, reason: str, before_ms: int | None, *, outside: bool) -> _Part:
        part = _Part(item, origin_ms, reason, before_ms, outside=outside)
        self._parts.append(part)
        return part

    def _cut(self, part: _Part | None, item: JournalRecord) -> None:
        """The end of this exposure is missing before a record."""
        if part is None:
            return
        same = part.boot == item.boot
        part.end_without(LOST if same else RESTART, item.ms if same else None)
        if part is self._opening:
            self._opening = None
        else:
            self._outside = None

    def _take_live(self, item: JournalRecord) -> None:
        self._cut(self._opening, item)
        self._cut(self._outside, item)
        closed = self._undropped
        if closed and closed.boot == item.boot:  # it stayed live up to here
            closed.most_ms = max(closed.least_ms, item.ms - closed.origin_ms) + SLACK_MS
        self._undropped = None
        self._outside = self._add(item, item.ms, item.reason, None if item.b == NOT_KNOWN else item.b, outside=True)

    def _take_mark(self, item: JournalRecord) -> None:
        outside = item.reason == "live"
        part = self._outside if outside else self._opening
        origin_ms = item.ms - item.a
        if part is None or part.boot != item.boot or abs(origin_ms - part.origin_ms) > SAME_MS:
            self._cut(part, item)
            part = self._add(item, origin_ms, "", None if outside else 0, outside=outside)
            if outside:
                self._outside = part
            else:
                self._opening = part
                part.covered = self._outside is not None
        part.last_seq = item.seq
        part.least_ms = max(part.least_ms, min(item.a, item.b))

    def _take_close(self, item: JournalRecord) -> None:
        most_ms: int | None = item.b >> 16
        least_ms = item.b & 0xFFFF
        gone = most_ms != NOT_GONE
        if not gone:
            most_ms = None
        elif most_ms == 0:
            drop_ms = least_ms
            gone = drop_ms > 0
            least_ms = item.a - NO_RAIL_MS
            # A fault, or another record before the drop: closed without waiting for the rail. A weld has a `fault` next.
            most_ms = None if item.reason == "fault" and not gone else item.a + (drop_ms or circuit.DROP_MAX_MS) + SLACK_MS
        opening = self._opening
        if opening and (opening.boot != item.boot or not -SLACK_MS <= item.ms - opening.origin_ms - item.a <= LATE_MS):
            self._cut(opening, item)  # that of another opening, of which the `open` is missing
            opening = None
        if opening is None:
            opening = self._add(item, item.ms - item.a, "", 0, outside=False)
            opening.covered = self._outside is not None
        opening.end(item.seq, item.reason, least_ms, most_ms)
        self._opening = None
        self._undropped = None if gone else opening
        self._ended_ms = item.ms

    def _take_dead(self, item: JournalRecord) -> None:
        part = self._outside
        if part and (part.boot != item.boot or item.a > item.ms - part.origin_ms + SAME_MS):
            self._cut(part, item)
            part = None
        least_ms = item.a
        if part is None:  # its `live` is missing: an opening since then counts by itself
            part = self._add(item, item.ms - item.a, "", None, outside=True)
            least_ms = min(least_ms, item.ms - self._ended_ms)
        part.end(item.seq, item.reason or DEAD, least_ms, part.upper(item.b))
        self._outside = None
        self._ended_ms = item.ms

    def _take_reset(self, item: JournalRecord) -> None:
        """What this start knows of an exposure of one before it."""
        least_ms, most_ms = item.a, item.b
        outside = item.event == "dead"
        part = self._outside if outside else self._opening
        other = self._opening if outside else self._outside
        if part and part.boot == item.boot:
            self._cut(part, item)
            part = None
        if part is None:
            part = self._add(item, -least_ms if most_ms == NOT_KNOWN else -most_ms, "", None if outside else 0, outside=outside)
        if other and other.boot != item.boot:
            self._cut(other, item)
        part.end(item.seq, item.reason, least_ms, part.upper(most_ms))
        if outside:
            self._outside = None
        else:
            self._opening = None
