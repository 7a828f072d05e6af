# SPDX-License-Identifier: MIT
"""Nature's own book of what a board did: when each record reached the flash, when the guarded rail was live, what was skipped."""

from __future__ import annotations

from dataclasses import dataclass

from lid import record

from tests.firmware.kit import Bench, Note

WALL_AT_START_MS = 1_763_780_000_000


@dataclass(frozen=True)
class Stamp:
    """When a record was programmed: by nature's clock, and by the calendar (with the hours that were skipped)."""

    nature_ms: float
    calendar_ms: float


class Book:
    """Watches a board from outside, through its flash chip and its copper."""

    def __init__(self, bench: Bench) -> None:
        self.board = bench.board
        self.stamps: dict[tuple[int, int], Stamp] = {}
        self.accidents: list[float] = []  # nature's time of every reset, cut and hang that was asked for
        self.skipped_ms = 0.0
        flash = self.board.simulation.flash
        program = flash.program

        def watched(address: int, data: bytes) -> tuple[int, int]:
            done = program(address, data)
            if len(data) == record.SLOT_BYTES and record.slot_is_whole(data):
                seq, boot = record.read_body(data[: record.BODY_BYTES])[:2]
                self.stamps[boot, seq] = Stamp(self.board.now_ms, self.calendar_ms)
            return done

        flash.program = watched  # type: ignore[method-assign]

    @property
    def calendar_ms(self) -> float:
        """Milliseconds since the first power-on, the skipped hours included."""
        return self.board.now_ms + self.board.simulation.clock_offset_us / 1000

    def openings(self) -> list[tuple[float, float]]:
        """(from, to) in nature's ms of every time the guarded rail was live, as the copper tells it."""
        edges = [*self.board.events("guarded_rail"), (self.board.now_ms, False)]
        rises = [at for at, live in edges if live]
        falls = [at for at, live in edges if not live and at > (rises[0] if rises else 0)]
        return list(zip(rises, falls, strict=False))

    def offsets_ms(self, notes: list[Note]) -> dict[int, list[float]]:
        """For each start of the board: the calendar less the record's own milliseconds, of every record."""
        found: dict[int, list[float]] = {}
        for note in notes:
            found.setdefault(note.boot, []).append(self.stamps[note.boot, note.seq].calendar_ms - note.ms)
        return found

    def wall_error_ms(self, note: Note) -> float:
        """By how much a record's wall clock is off."""
        return abs(note.wall_ms - WALL_AT_START_MS - self.stamps[note.boot, note.seq].calendar_ms)
