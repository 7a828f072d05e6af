# SPDX-License-Identifier: MIT
"""Purges: the values are gone from the files, the chain still verifies, a receipt stays."""

from __future__ import annotations

import time
from datetime import datetime

import pytest
from earlid.cli import main
from earlid.ledger import purge, retention
from earlid.ledger.boards import boards
from earlid.ledger.gaps import find_gaps
from earlid.ledger.judge import judge
from earlid.ledger.queries import entries, totals
from earlid.ledger.reader import Reader
from earlid.ledger.store import Head, Ledger
from earlid.verbs import purge as purge_verb
from synthetic_chains import BOARD, KEYS, dump, life

from tests.outputs import parse_output

HOUR_MS = 3_600_000


def fill(location, count=300, step_ms=HOUR_MS, now_s=None):
    """Records an hour apart up to now; returns (slots, Unix ms of the first)."""
    zero_ms = int((now_s or time.time()) * 1000) - count * step_ms
    slots = life(count, step_ms=step_ms, zero_ms=zero_ms)
    with Ledger(location) as ledger:
        ledger.add(BOARD, slots)
        for seq in range(10, count, 10):
            ledger.add_anchor(BOARD, Head(1, seq, slots[seq - 1][40:52]))
        ledger.set_label(BOARD, 1, 2, False)
    return slots, zero_ms


def verdicts(location):
    with Reader(location) as reader:
        (board,) = boards(reader)
        return [finding.verdict for finding in judge(reader, board, KEYS).findings]


def remove(location, from_ms, to_ms):
    with Ledger(location) as ledger, Reader(location) as reader:
        return purge.purge(ledger, purge.find(ledger, boards(reader), purge.Selection(from_ms, to_ms, "")).runs, "test")


def test_purge_of_old_records_leaves_a_chain_that_verifies(location):
    slots, zero_ms = fill(location)
    kept = [row for row in dump(location) if row[2] > 96]
    assert remove(location, None, zero_ms + 96 * HOUR_MS) == {BOARD: 96}
    assert dump(location) == kept
    assert verdicts(location) == ["intact"]
    with Reader(location) as reader:
        chosen = boards(reader)
        assert find_gaps(reader, chosen) == []
        assert totals(reader, chosen).records == 204
        assert next(entries(reader, chosen)).seq == 97
    assert dump(location, "labels") == []
    ((_, boot, first, boot_to, last, count, before, after, _, why),) = dump(location, "purges")
    assert (boot, first, boot_to, last, count, before, why) == (1, 1, 1, 96, 96, None, "test")
    assert bytes(after) == slots[95][40:52]


def test_purge_in_the_middle_leaves_both_sides_verifiable(location):
    slots, zero_ms = fill(location)
    assert remove(location, zero_ms + 48 * HOUR_MS, zero_ms + 56 * HOUR_MS) == {BOARD: 8}
    assert remove(location, zero_ms + 40 * HOUR_MS, zero_ms + 69 * HOUR_MS) == {BOARD: 21}
    assert verdicts(location) == ["intact"]
    with Ledger(location) as ledger:
        assert ledger.head(BOARD).seq == 300
    assert len(dump(location, "purges")) == 3
    assert slots


def test_sync_after_a_purge_of_everything_continues_behind_it(location):
    slots, _ = fill(location, 40)
    assert remove(location, None, None) == {BOARD: 40}
    with Ledger(location) as ledger:
        assert ledger.head(BOARD) is None
        assert ledger.newest(BOARD) == Head(1, 40, slots[39][40:52])
        ledger.add(BOARD, life(5, first=41, prev=slots[39][40:52]))
    assert verdicts(location) == ["intact"]


def test_purged_records_leave_no_byte_in_sqlite_files(sqlite_location):
    slots, zero_ms = fill(sqlite_location)
    marks = [slot[52:60] for slot in slots[:200]]
    folder = sqlite_location.path.parent
    with Ledger(sqlite_location) as ledger:
        data = b"".join(path.read_bytes() for path in folder.glob("ledger*"))
        assert all(mark in data for mark in marks)
        with Reader(sqlite_location) as reader:
            runs = purge.find(ledger, boards(reader), purge.Selection(None, zero_ms + 200 * HOUR_MS, "")).runs
        assert purge.purge(ledger, runs, "test") == {BOARD: 200}
        data = b"".join(path.read_bytes() for path in folder.glob("ledger*"))
    assert not [mark for mark in marks if mark in data]
    left = [slot[40:52] for slot in slots[:200] if slot[40:52] in data]
    assert left == [slots[199][40:52]]  # the head that is kept on purpose
    assert all(slot[52:60] in data for slot in slots[200:])


def test_purged_records_leave_no_byte_in_server_tables(postgres_location, postgres_server):
    slots, zero_ms = fill(postgres_location)
    gone, kept = [slot[52:60] for slot in slots[:200]], [slot[52:60] for slot in slots[200:]]

    def in_tables():
        sql = "SELECT oid FROM pg_database WHERE datname = current_database()"
        with Reader(postgres_location) as reader:
            ((oid,),) = reader.rows(sql)
        postgres_server.crash()  # writes out what it holds in memory when it starts again
        return b"".join(path.read_bytes() for path in (postgres_server.data / "base" / str(oid)).iterdir())

    data = in_tables()
    assert all(mark in data for mark in gone)
    assert remove(postgres_location, None, zero_ms + 200 * HOUR_MS) == {BOARD: 200}
    data = in_tables()
    assert not [mark for mark in gone if mark in data]
    assert all(mark in data for mark in kept)


def test_many_purges_leave_no_byte_in_files(sqlite_location):
    slots, zero_ms = fill(sqlite_location, 3000, 60_000)
    for i in range(20):
        remove(sqlite_location, zero_ms + i * 100 * 60_000, zero_ms + (i * 100 + 70) * 60_000)
    data = b"".join(path.read_bytes() for path in sqlite_location.path.parent.glob("ledger*"))
    gone = [slot for i, slot in enumerate(slots) if i < 2000 and i % 100 < 70]
    assert not [slot for slot in gone if slot[52:60] in data]
    assert verdicts(sqlite_location) == ["intact"]


def test_retention_defaults_to_six_months(sqlite_location, capsys, stop_clock):
    now = datetime(2026, 11, 22, 14, 30)
    stop_clock(purge_verb, now)
    fill(sqlite_location, 400, 24 * HOUR_MS, now.timestamp())
    where = ["--ledger", str(sqlite_location.path)]
    assert main(["purge", "--dry-run", *where]) == 0
    output = capsys.readouterr().err
    assert "would be removed" in output
    assert output.split(": ")[1].split()[0] == "216"  # but for the 184 since 22 May
    assert main(["purge", *where]) == 2  # nobody is there to ask
    assert "--yes" in capsys.readouterr().err
    assert main(["purge", "--yes", *where]) == 0
    assert main(["purge", "--retention", "1 month", "--yes", "--json", *where]) == 0
    (removed,) = parse_output("purge", capsys.readouterr().out)["removed"].values()
    assert main(["purge", "--list", "--json", *where]) == 0
    assert removed in [receipt["count"] for receipt in parse_output("purge --list", capsys.readouterr().out)]
    assert main(["verify", *where]) == 0
    with Ledger(sqlite_location) as ledger:
        assert retention.retention_of(ledger) == "1 month"
    assert main(["purge", "--retention", "off", *where]) == 0
    assert main(["purge", "--retention", "soon", *where]) == 2


@pytest.mark.parametrize("words", [["--between", "2026-02-02", "2026-02-01"], ["--older-than", "a while"]])
def test_invalid_purge_arguments_remove_nothing(sqlite_location, words):
    fill(sqlite_location, 10)
    assert main(["purge", *words, "--yes", "--ledger", str(sqlite_location.path)]) == 2
    assert len(dump(sqlite_location)) == 10
