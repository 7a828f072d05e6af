# SPDX-License-Identifier: MIT
"""Events: what a collector tells, of records and of everything else; its form in `watch --json` and for hooks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lid import record

from earlid.board.detect import is_uncalibrated, no_word_text
from earlid.board.link import Record
from earlid.collect.sync import Sync, SyncResult
from earlid.door import is_identifier

SCHEMA = 1  # of the JSON, as `output_schema.json` describes it; a new one where a reader of the old would go wrong
OTHERS = ("here", "away", "gap", "restart", "ask", "chain-broken", "not-calibrated", "note", "trouble")
NAMES = (*record.EVENTS, *OTHERS)


@dataclass(frozen=True)
class WatchEvent:
    """Something that happened.

    Attributes:
        kind: `record`, or one of OTHERS.
        board: its identifier; else the port, where no board is known; empty where it concerns none.
        text: for people.
        record: what was stored, where it is that.
        wall_ms: when it happened, Unix ms: of a record by its board's clock, and None when that is not known.
        port: where the board is; empty where it concerns none.
    """

    kind: str
    board: str
    text: str
    record: Record | None = None
    wall_ms: int | None = None
    port: str = ""

    @property
    def name(self) -> str:
        """One of NAMES."""
        return self.record.event if self.record else self.kind

    @property
    def reason(self) -> str:
        """A record's reason; empty of anything else."""
        return self.record.reason if self.record else ""

    def as_json(self) -> dict[str, Any]:
        """One line of `earlid watch --json`, and what a hook reads."""
        board = self.board if is_identifier(self.board) else None
        values: dict[str, Any] = {"schema": SCHEMA, "board": board, "port": self.port or None, "at_ms": self.wall_ms}
        values |= {"event": self.name, "reason": self.reason, "text": self.text}
        return values | (self.record._asdict() if self.record else {})


def record_event(sync: Sync, item: Record, port: str) -> WatchEvent:
    """That a record is stored."""
    return WatchEvent("record", sync.board, f"{item.event} {item.reason}".strip(), item, sync.wall_ms(item), port)


def greeting_of(result: SyncResult) -> list[tuple[str, str]]:
    """That a board is here, and what it lacks: kind and text of each event."""
    why = no_word_text(result.hello)
    no_word = f"; no word: {why}" if why else ""
    told = [("here", f"{result.stored} records fetched, up to number {result.head_seq}{no_word}")]
    if is_uncalibrated(result.hello):
        told.append(("not-calibrated", "not calibrated: it has the settings that it came with; `earlid calibrate`"))
    return told


def events_of(result: SyncResult) -> list[tuple[str, str]]:
    """What a sync has to tell beside its records: kind and text of each event."""
    told = [
        ("gap", f"records {first} to {last} are gone from the board and were never fetched") for first, last in result.missing
    ]
    told += [("gap", f"the board reports {count} records lost, from number {first}") for count, first in result.lost]
    return told + [("chain-broken", text) for text in result.breaks] + [("note", text) for text in result.notes]
