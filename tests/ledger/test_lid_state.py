# SPDX-License-Identifier: MIT
"""What a board's lid is said to be: by its last records, and by when it was last heard of."""

from __future__ import annotations

from datetime import datetime

import pytest
from earlid.ledger.boards import boards
from earlid.ledger.lid_state import HEARD_MS, lid_states
from earlid.ledger.reader import Reader
from earlid.ledger.store import Ledger
from lid import record
from synthetic_chains import BOARD, fields, seal_all

S = 1000
START = fields(1, 0, "boot", "power-on")
CLOSE = {"a": 8000, "b": 8040 << 16 | 7960}
CASES = {
    "nothing": ([fields(1, 0, "near-miss", "word")], "no record of its lid"),
    "start": ([START], "closed since 12:00:00"),
    "open": ([START, fields(2, 9 * S, "open", "word")], "open: live since 12:00:09"),
    "closed": (
        [START, fields(2, 9 * S, "open", "word"), fields(3, 17 * S, "close", "timeout", **CLOSE)], "closed since 12:00:17",
    ),
    "muted": ([START, fields(2, 9 * S, "mute"), fields(3, 10 * S, "near-miss")], "muted by its switch since 12:00:09"),
    "muted while open": (
        [START, fields(2, 9 * S, "open", "word"), fields(3, 17 * S, "mute"), fields(4, 17 * S + 5, "close", "mute", **CLOSE)],
        "muted by its switch since 12:00:17",
    ),
    "fault": ([START, fields(2, 5 * S, "fault", "pump-stuck"), fields(3, 6 * S, "mute")], "FAULT (pump-stuck) since 12:00:05"),
    "fault before a start": ([START, fields(2, 5 * S, "fault", "welded"), fields(3, 0, "boot", "power-on", boot=2)],
                             "closed since 13:00:00"),
    "passing fault": ([START, fields(2, 5 * S, "fault", "mic-clipped")], "closed since 12:00:00"),
    "live": ([START, fields(2, 9 * S, "live", "welded", a=3000), fields(3, 9 * S, "fault", "welded")],
             "LIVE with its lid closed since 12:00:09"),
    "dead again": ([START, fields(2, 9 * S, "live", "welded", a=3000), fields(3, 12 * S, "dead", "", a=2900, b=3100)],
                   "closed since 12:00:12"),
    "its live is missing": ([START, fields(2, 12 * S, "dead", "", a=2900, b=3100)], "closed since 12:00:12"),
    "no drop seen": ([START, fields(2, 9 * S, "open", "word"),
                      fields(3, 17 * S, "close", "timeout", a=8000, b=0xFFFF << 16 | 7960)], "maybe live since 12:00:09"),
}  # fmt: skip


def lid_after(location, rows):
    noon_ms = int(datetime(2026, 11, 21, 12).timestamp() * 1000)
    with Ledger(location) as ledger:
        ledger.add(BOARD, seal_all(rows), noon_ms + 3_620 * S)
        for boot in {row[1] for row in rows}:
            ledger.add_clock_point(BOARD, boot, 0, noon_ms + (boot - 1) * 3_600_000, 50)
        with ledger.transaction() as connection:
            connection.exec_driver_sql("UPDATE boards SET last_seen_ms = ?", (noon_ms + 3_620 * S,))
    with Reader(location) as reader:
        (lid,) = lid_states(reader, boards(reader))
    return lid


@pytest.mark.parametrize(("rows", "text"), CASES.values(), ids=list(CASES))
def test_state_is_that_of_the_last_records_only_while_the_board_is_heard_of(berlin, sqlite_location, rows, text):
    lid = lid_after(sqlite_location, rows)
    assert lid.text(lid.seen_ms + HEARD_MS) == text
    assert lid.alarms(lid.seen_ms) == (text.split()[0] in ("FAULT", "LIVE", "maybe"))
    later = lid.text(lid.seen_ms + HEARD_MS + 1)
    assert later.startswith("unknown since 13:00:20, ")
    assert later.endswith(("then", "open then: maybe live"))
    assert lid.alarms(lid.seen_ms + HEARD_MS + 1) == (lid.alarms(lid.seen_ms) or lid.state == "open")


def test_another_day_stands_beside_its_time(berlin, sqlite_location):
    lid = lid_after(sqlite_location, [START])
    assert lid.text(lid.seen_ms + 86_400_000) == "unknown since Sat 21 Nov 2026, 13:00:20, closed then"


def test_passing_faults_do_not_hide_a_latched_one(berlin, sqlite_location):
    rows = [START, fields(2, 1, "fault", "welded"), *(fields(3 + i, i * S, "fault", "overrun", a=99) for i in range(200))]
    assert lid_after(sqlite_location, rows).state == "fault"
    assert set(record.REASONS) >= {"overrun", "welded"}
