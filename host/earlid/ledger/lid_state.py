# SPDX-License-Identifier: MIT
"""What each board's lid is, by its last records and by when it was last heard of."""

from collections.abc import Sequence
from typing import NamedTuple

from lid import record

from earlid.ledger import exposure
from earlid.ledger.boards import KnownBoard
from earlid.ledger.boot_clocks import LedgerClocks
from earlid.ledger.reader import Reader
from earlid.ledger.rows import STEP_COLUMNS, Step, step_of
from earlid.ledger.time_format import clock_text, local_day, moment_text

HEARD_MS = 150_000  # who collects from a board marks it as seen at least every minute
LATCHED = ("welded", "pump-stuck", "mute-poles", "flash-full", "flash-error", "boot-loop")  # faults until a power cycle
ALARMS = ("live", "maybe live", "fault")
_TEXTS = {
    "live": "LIVE with its lid closed", "maybe live": "maybe live", "open": "open: live", "muted": "muted by its switch",
    "closed": "closed",
}  # fmt: skip
_LOOK_BACK = 48  # records: of a rail that stays live there is a mark every hour


class Lid(NamedTuple):
    """A board's lid: `state` is of ALARMS, "open", "muted", "closed", or empty without a record of it, `since_ms` (Unix ms).

    That was so at `seen_ms`, when the board was last heard of. `why`: of a fault.
    """

    board: str
    state: str
    since_ms: int
    seen_ms: int
    why: str = ""

    def heard(self, now_ms: int) -> bool:
        """Whether it is so still: somebody collects from the board."""
        return now_ms - self.seen_ms <= HEARD_MS

    def alarms(self, now_ms: int) -> bool:
        """Whether a person must look: a fault, or a rail that is or may be live though nobody hears of its lid."""
        return self.state in ALARMS or (self.state == "open" and not self.heard(now_ms))

    def text(self, now_ms: int) -> str:
        """For people: `closed since 10:31:07`, `unknown since 10:32:00, closed then`."""
        fault = f"FAULT ({self.why})" if self.state == "fault" else ""
        if self.heard(now_ms):
            return f"{fault or _TEXTS[self.state]} since {_when(self.since_ms, now_ms)}" if self.state else "no record of its lid"
        last = "open then: maybe live" if self.state == "open" else f"{fault or _TEXTS.get(self.state, 'no record of it')} then"
        return f"unknown since {_when(self.seen_ms, now_ms)}, {last}"


def _when(wall_ms: int, now_ms: int) -> str:
    return clock_text(wall_ms) if local_day(wall_ms) == local_day(now_ms) else moment_text(wall_ms)


def lid_states(reader: Reader, chosen: Sequence[KnownBoard], clocks: LedgerClocks | None = None) -> list[Lid]:
    """The lid of each board; `clocks` are theirs, when they are at hand."""
    clocks = clocks or LedgerClocks(reader, chosen)
    return [_lid_of(reader, board, clocks) for board in chosen]


def _lid_of(reader: Reader, board: KnownBoard, clocks: LedgerClocks) -> Lid:
    codes = [record.EVENTS.index(name) for name in (*exposure.EVENTS, "mute", "unmute") if name != "fault"]
    found = reader.integer_rows(
        f"SELECT {STEP_COLUMNS} FROM records WHERE board_id = :id AND "
        f"(event IN ({', '.join(map(str, codes))}) OR event = {record.EVENTS.index('fault')} "
        f"AND reason IN ({', '.join(str(record.REASONS.index(name)) for name in LATCHED)})) "
        f"ORDER BY boot DESC, seq DESC LIMIT {_LOOK_BACK}",
        id=board.id,
    )
    rows = [step_of(row) for row in found]
    if not rows:
        return Lid(board.identifier, "", 0, board.last_seen_ms)
    (newest_boot,) = reader.integer_rows("SELECT MAX(boot) FROM boots WHERE board_id = :id", id=board.id)[0]
    state, boot, ms, why = _state(rows[::-1], newest_boot)
    return Lid(board.identifier, state, clocks.wall(board.id, boot, ms)[0], board.last_seen_ms, why)


def _state(rows: Sequence[Step], newest_boot: int) -> tuple[str, int, int, str]:
    """(state, start, ms of that start, why) by records that count, in the journal's order."""
    exposures = exposure.live_bounds(rows, None, newest_boot)
    for found in exposures:
        if found.ended == exposure.LIVE:
            return "live", found.boot, found.start_ms, found.reason
    last = exposures[-1] if exposures else None
    if last and last.ended == exposure.OPEN:
        return "open", last.boot, last.start_ms, last.reason
    if last and not last.outside and last.boot == newest_boot and last.most_ms is None:  # no rail was seen to go
        return "maybe live", last.boot, last.start_ms, last.reason
    for row in rows:
        if row.event == "fault" and row.boot == newest_boot:
            return "fault", row.boot, row.ms, row.reason
    newest = rows[-1]
    switch = next((row for row in reversed(rows) if row.event in ("mute", "unmute", "boot")), newest)
    if switch.event == "mute":
        return "muted", switch.boot, switch.ms, ""
    return "closed", newest.boot, newest.ms, ""
