# SPDX-License-Identifier: MIT
"""Ground truth from the simulation: when each record reached the flash, when the guarded rail was live, what was skipped."""

from __future__ import annotations

from dataclasses import dataclass

from lid import record

from tests.firmware.kit import Bench, JournalRecord

WALL_AT_START_MS = 1_763_780_000_000


@dataclass(frozen=True)
class RecordTime:
    """When a record was programmed: by simulated time, and by the calendar (with the hours that were skipped)."""

    simulated_ms: float
    calendar_ms: float


class GroundTruth:
    """Watches a board from outside, through its flash chip and its copper."""

    def __init__(self, bench: Bench) -> None:
        self.board = bench.board
        self.record_times: dict[tuple[int, int], RecordTime] = {}
        self.accidents: list[float] = []  # simulated ms of every reset, cut and hang that was asked for
        self.skipped_ms = 0.0
        flash = self.board.simulation.flash
        program = flash.program

        def watched(address: int, data: bytes) -> tuple[int, int]:
            done = program(address, data)
            if len(data) == record.SLOT_BYTES and record.slot_is_whole(data):
                seq, boot = record.read_body(data[: record.BODY_BYTES])[:2]
                # The first time counts: a start programs the last slot again, to make its bits firm.
                self.record_times.setdefault((boot, seq), RecordTime(self.board.now_ms, self.calendar_ms))
            return done

        flash.program = watched  # type: ignore[method-assign]

    @property
    def calendar_ms(self) -> float:
        """Milliseconds since the first power-on, the skipped hours included."""
        return self.board.now_ms + self.board.simulation.clock_offset_us / 1000

    def openings(self) -> list[tuple[float, float]]:
        """(from, to) in simulated ms of every time the guarded rail was live, as the copper tells it."""
        edges = [*self.board.events("guarded_rail"), (self.board.now_ms, False)]
        rises = [at for at, live in edges if live]
        falls = [at for at, live in edges if not live and at > (rises[0] if rises else 0)]
        return list(zip(rises, falls, strict=False))

    def offsets_ms(self, records: list[JournalRecord]) -> dict[int, list[float]]:
        """For each start of the board: the calendar less the record's own milliseconds, of every record."""
        found: dict[int, list[float]] = {}
        for entry in records:
            found.setdefault(entry.boot, []).append(self.record_times[entry.boot, entry.seq].calendar_ms - entry.ms)
        return found

    def wall_error_ms(self, entry: JournalRecord) -> float:
        """By how much a record's wall clock is off."""
        return abs(entry.wall_ms - WALL_AT_START_MS - self.record_times[entry.boot, entry.seq].calendar_ms)
