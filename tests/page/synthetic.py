# SPDX-License-Identifier: MIT
"""A synthetic household: two boards, half a year, records sealed as boards seal them."""

from __future__ import annotations

import random
import time
from datetime import date, datetime, timedelta
from pathlib import Path

from earlid.ledger.keys import save_key
from earlid.ledger.location import Location, locate
from earlid.ledger.store import Head, Ledger
from lid import record

KITCHEN, OFFICE = "3fa1c09b5e77d210", "b20e4417aa9c3f58"
KEYS = {KITCHEN: bytes(range(32)), OFFICE: bytes(range(32, 64))}
DAY_MS = 86_400_000
CUTOFF = 200


class SyntheticBoard:
    """Makes records with rising numbers and sealed links; times are Unix ms, which its own clock counts from its start."""

    def __init__(self, board: str, zero_ms: int) -> None:
        self.identifier, self.boot, self.seq, self.zero_ms = board, 1, 0, zero_ms
        self.prev = record.genesis(board)
        self.slots: list[bytes] = []

    def add(self, at_ms: int, event: str, reason: str = "", *, score: int = 0, a: int = 0, b: int = 0) -> int:
        """Seal one record; returns its number."""
        self.seq += 1
        row = [self.seq, self.boot, at_ms - self.zero_ms, event, reason, score, record.CLOCK_SET, 5000, 3300, 3300,
               at_ms, 60, a, b]  # fmt: skip
        slot, self.prev = record.seal(KEYS.get(self.identifier, KEYS[KITCHEN]), self.prev, record.make_body(row))
        self.slots.append(slot)
        return self.seq

    def start(self, at_ms: int, reason: str = "power-on") -> None:
        """A new start."""
        self.boot += bool(self.seq)
        self.zero_ms = at_ms - 1000
        self.add(at_ms, "boot", reason, a=256)

    def opening(self, at_ms: int, reason: str, live_ms: int, ended: str, score: int = 0) -> int:
        """An open and its close, whose receipt is 20 ms unsure either way; returns the number of the open."""
        number = self.add(at_ms, "open", reason, score=score, a=8000, b=CUTOFF)
        self.add(at_ms + live_ms, "close", ended, a=live_ms, b=(live_ms + 20) << 16 | (live_ms - 20))
        return number


def days_of(rng: random.Random, board: SyntheticBoard, end: datetime, days: int, busy: float) -> list[int]:
    """Half a year of mornings and evenings up to `end`; returns the numbers of openings that nobody meant."""
    wrong = []
    first = end.date() - timedelta(days=days - 1)
    board.start(ms(first, 0.1))
    for day in range(days):
        today = first + timedelta(days=day)
        weekend = today.weekday() >= 5
        away = 100 <= day < 108
        moments: list[tuple[float, str]] = []
        for _ in range(0 if away else rng.randrange(2, 6)):
            moments.append((rng.gauss(8.4 if weekend else 7.1, 0.5), "word"))
        for _ in range(0 if away else round(rng.gauss(5, 2) * busy * (1.5 if weekend else 1))):
            moments.append((rng.gauss(19, 1.7), "word" if rng.random() < 0.75 else "button"))
        moments += [(rng.uniform(6.5, 23), "near-miss") for _ in range(rng.randrange(0, 2 if away else 7))]
        if rng.random() < 0.12:
            moments.append((rng.gauss(20.8, 0.6), "wrong"))  # the television
        if day % 23 == 22:
            moments.append((rng.uniform(9, 20), "start"))
        if day % 31 == 17:
            moments.append((12.5, "fault"))
        if today.weekday() in (1, 4) and not away:
            moments.append((22.9, "mute"))
        muted_to = 0.0
        for hour, what in sorted(moments):
            at_ms = ms(today, hour)
            if at_ms < muted_to or at_ms <= last_ms(board) + 1000 or at_ms >= end.timestamp() * 1000 - 60_000:
                continue
            if what == "start":
                board.start(at_ms, rng.choice(["power-on", "power-on", "brown-out"]))
            elif what == "fault":
                board.add(at_ms, "fault", "mic-clipped", a=9, b=5)
            elif what == "near-miss":
                board.add(at_ms, "near-miss", "word", score=min(CUTOFF - 1, int(rng.gauss(168, 14))), a=140, b=CUTOFF)
            elif what == "mute":
                board.add(at_ms, "mute")
                muted_to = at_ms + 7 * 3_600_000
                if muted_to < end.timestamp() * 1000 - 60_000:
                    board.add(int(muted_to), "unmute")
            elif what == "wrong":
                wrong.append(board.opening(at_ms, "word", rng.randrange(4000, 9000), "silence", int(rng.uniform(201, 214))))
            elif what == "button":
                board.opening(at_ms, "button", rng.randrange(8, 60) * 1000, rng.choice(["button", "timeout"]))
            else:
                score = min(254, max(CUTOFF + 1, int(rng.gauss(234, 11))))
                board.opening(at_ms, "word", rng.randrange(3000, 15000), rng.choice(["silence", "silence", "timeout"]), score)
    return wrong


def ms(day: date, hour: float) -> int:
    """Unix ms of a local time."""
    return int((datetime(day.year, day.month, day.day).timestamp() + hour * 3600) * 1000)


def last_ms(board: SyntheticBoard) -> int:
    """When the board's newest record was made."""
    return int(record.read_body(board.slots[-1][:40])[10]) if board.slots else 0


def store(ledger: Ledger, board: SyntheticBoard) -> None:
    """Give the ledger the records that it lacks, fetched when they were made, and the head as an anchor."""
    new, board.slots = board.slots, board.slots[-1:]
    ledger.add(board.identifier, new, [int(record.read_body(slot[:40])[10]) + 200 for slot in new])
    ledger.add_anchor(board.identifier, Head(board.boot, board.seq, board.prev))


def household(
    path: Path, *, days: int = 180, end: datetime | None = None, seed: int = 6
) -> tuple[Location, SyntheticBoard, SyntheticBoard]:
    """A ledger with two boards; the last day is that of `end` (local), now when None."""
    rng = random.Random(seed)
    end = end or datetime.fromtimestamp(time.time())
    location = locate(str(path))
    made = []
    with Ledger(location) as ledger:
        for name, identifier, busy in (("kitchen", KITCHEN, 1.0), ("office", OFFICE, 0.35)):
            board = SyntheticBoard(identifier, 0)
            wrong = days_of(rng, board, end, days, busy)
            store(ledger, board)
            ledger.set_name(identifier, name)
            for number in wrong[:-1]:
                boot = record_boot(ledger, identifier, number)
                ledger.set_label(identifier, boot, number, False)
            save_key(identifier, KEYS[identifier])
            with ledger.transaction() as connection:  # seen last when its last record came, not when it was made up
                connection.exec_driver_sql(
                    "UPDATE boards SET last_seen_ms = ?, first_seen_ms = ? WHERE board = ?",
                    (last_ms(board) + 200, last_ms(board) - days * DAY_MS, identifier),
                )
            made.append(board)
    return location, made[0], made[1]


def record_boot(ledger: Ledger, board: str, number: int) -> int:
    """The start that a record belongs to."""
    with ledger.transaction() as connection:
        found = connection.exec_driver_sql(
            "SELECT boot FROM records r JOIN boards b ON b.id = r.board_id WHERE b.board = ? AND seq = ?", (board, number)
        )
        return int(found.scalar_one())
