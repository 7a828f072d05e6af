# SPDX-License-Identifier: MIT
"""Bounds of the time in which a board's guarded microphone had power, from its journal. No input or output.

An exposure is one time in which the guarded rail was live: an opening of the lid, or a time outside any opening (a welded
contact, a rail that was live at the start). What the journal says of it (PROTOCOL.md has the fields):

    open       the lid may open from here on: the rail is not live yet, unless a `live` says so
    close      how long until the contact was released, when the rail was first read live, when dead. Firmware 0.1 recorded no
               first reading, which shows in its being 0: no rail is live when `open` is durable, before the pump's first edge
    live, dead the same outside an opening
    mark       it still was live
    close reset, dead reset    what a start knows of what the reset before it ended: least and most

The rail is read once a hop. So the bounds leave room for:

    READ_GAP_MS   between two readings: a hop of 10 ms, in which one record of up to 16 ms may be written (`lid.app`)
    SLACK_MS      a hop: times are whole ms of the hop they were taken in, and an ADC sees a falling rail pass its threshold late
    ARM_MAX_MS    `lid.circuit`: from the first edge to a live rail. A rail that stays away longer ends the opening
    UNSEEN_MS     how long the rail may have been gone before the board releases the contact: 10 hops low are `no-close`, a
                  mute switch takes 30 ms to be believed. It is allowed for where the rail was found dead sooner after the
                  release than a contact can fall (`lid.circuit.DROP_EARLY_MS`)
    HARD_MAX_MS   `lid.policy`: no lid stays open longer; DROP_MAX_MS (`lid.circuit`) later the rail is gone or a `live` tells

An upper bound is None where nothing bounds it: a rail that was live before the start, or live when records end at a reset.
What is not bounded: a rail that goes and comes back within UNSEEN_MS during an opening counts as live; what stood in records
that are missing is not known (`gaps` and `verify` tell of those).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from lid import circuit

READ_GAP_MS = 30
SLACK_MS = 10
UNSEEN_MS = 110
HARD_MAX_MS = 60_000
NOT_READ = 0xFFFF  # close: never read live, or not read dead
NOT_KNOWN = 0xFFFFFFFF  # live: since when
EVENTS = ("boot", "open", "close", "live", "mark", "dead", "fault")  # the records that count here
_SAME_MS = 1000  # two records of one exposure agree on its beginning to this

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

    def plus(self, least_ms: int, most_ms: int | None) -> Bounds:
        """This time and another one."""
        return Bounds(self.least_ms + least_ms, None if self.most_ms is None or most_ms is None else self.most_ms + most_ms)


def live_time(exposures: Iterable[Exposure]) -> Bounds:
    """The bounds of exposures together."""
    total = Bounds()
    for exposure in exposures:
        total = total.plus(exposure.least_ms, exposure.most_ms)
    return total


def live_bounds(records: Iterable[JournalRecord], known_ms: int | None = None) -> list[Exposure]:
    """The exposures of one board, by their first record.

    Args:
        records: in the journal's order; those of other EVENTS may be left out, and any may be missing.
        known_ms: ms of the newest record's start up to which these are all the records; None when that is not known. It
            bounds what still lasts.
    """
    walk = _Walk()
    for item in records:
        walk.take(item)
    return walk.finish(known_ms)


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

    def end(self, last_seq: int, ended: str, least_ms: int, most_ms: int | None) -> None:
        self.last_seq, self.ended = last_seq, ended
        self.least_ms = max(self.least_ms, least_ms)
        self.most_ms = None if most_ms is None else max(self.least_ms, most_ms)

    def end_without(self, ended: str, until_ms: int | None) -> None:
        """Its own end is not known; in its own start it was over at `until_ms`, None when nothing of that start follows."""
        bounds = [] if until_ms is None else [max(0, until_ms - self.origin_ms) + SLACK_MS]
        if not self.outside:
            bounds.append(HARD_MAX_MS + circuit.DROP_MAX_MS + SLACK_MS)
        most_ms = min(bounds, default=None)
        self.end(self.last_seq, ended, 0, None if most_ms is None or self.before_ms is None else self.before_ms + most_ms)

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

    def finish(self, known_ms: int | None) -> list[Exposure]:
        for part, ended in ((self._opening, OPEN), (self._outside, LIVE)):
            if part and part.boot != self._boot:
                part.end_without(RESTART, None)
            elif part:
                lasted_ms = None if known_ms is None or part.before_ms is None else known_ms - part.origin_ms + part.before_ms
                part.end(part.last_seq, ended, 0, None if lasted_ms is None else lasted_ms + SLACK_MS)
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
        if part is None or part.boot != item.boot or abs(origin_ms - part.origin_ms) > _SAME_MS:
            self._cut(part, item)
            part = self._add(item, origin_ms, "", None if outside else 0, outside=outside)
            if outside:
                self._outside = part
            else:
                self._opening = part
                part.covered = self._outside is not None
        part.last_seq = item.seq
        if item.b > circuit.RAIL_LIVE_MV:
            unseen_ms = 0 if outside else circuit.ARM_MAX_MS + UNSEEN_MS
            part.least_ms = max(part.least_ms, item.a - unseen_ms - SLACK_MS)

    def _take_close(self, item: JournalRecord) -> None:
        rise_ms, drop_ms = item.b >> 16, item.b & 0xFFFF
        opening = self._opening
        settle_ms = 0 if opening is None else item.ms - opening.origin_ms - item.a
        if opening and (opening.boot != item.boot or not -READ_GAP_MS <= settle_ms <= _SAME_MS):
            self._cut(opening, item)  # that of another opening, of which the `open` is missing
            opening = None
        if opening is None:
            origin_ms = item.ms - item.a - (0 if drop_ms == NOT_READ else drop_ms)
            opening = self._add(item, origin_ms, "", 0, outside=False)
            opening.covered = self._outside is not None
        gone = drop_ms != NOT_READ and not (rise_ms == 0 and drop_ms == 0)
        early_ms = max(0, rise_ms - READ_GAP_MS)  # how much sooner the contact closed than the reading
        least_ms = item.a - (rise_ms or circuit.ARM_MAX_MS) - SLACK_MS
        if gone:
            least_ms += drop_ms - READ_GAP_MS if drop_ms >= circuit.DROP_EARLY_MS else -UNSEEN_MS
        most_ms: int | None = item.a - early_ms + (drop_ms if gone else circuit.DROP_MAX_MS) + SLACK_MS
        if rise_ms == NOT_READ:
            least_ms, most_ms = 0, READ_GAP_MS + SLACK_MS
        if not gone:
            # 0.2 tells at once by a `live`. 0.1 closes for a fault, or before another record, without waiting for the rail.
            if rise_ms or item.reason == "fault":
                most_ms = None
            self._undropped = opening
        opening.end(item.seq, item.reason, least_ms, most_ms)
        self._opening = None
        self._ended_ms = item.ms

    def _take_dead(self, item: JournalRecord) -> None:
        part = self._outside
        if part and (part.boot != item.boot or item.a > item.ms - part.origin_ms + _SAME_MS):
            self._cut(part, item)
            part = None
        least_ms = item.a - READ_GAP_MS
        if part is None:  # its `live` is missing: an opening since then counts by itself
            part = self._add(item, item.ms - item.a, "", None, outside=True)
            least_ms = min(least_ms, item.ms - self._ended_ms)
        most_ms = None if part.before_ms is None else part.before_ms + max(item.a, item.ms - part.origin_ms) + SLACK_MS
        part.end(item.seq, item.reason or DEAD, least_ms, most_ms)
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
            part = self._add(item, -most_ms, "", None if outside else 0, outside=outside)
        if other and other.boot != item.boot:
            self._cut(other, item)
        part.end(item.seq, item.reason, least_ms, None if part.before_ms is None else part.before_ms + most_ms)
        if outside:
            self._outside = None
        else:
            self._opening = None
