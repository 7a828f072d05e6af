# SPDX-License-Identifier: MIT
"""Who vouches for what: over no gap, from the earliest word on, and when the newest one is too old."""

from __future__ import annotations

import hashlib

import pytest
from earlid.ledger.chain import ChainChecker, PurgedRun, Stretch
from earlid.ledger.replay import Witnessed
from earlid.witness import vouching
from earlid.witness.vouching import BadStatement, Run, Voucher, judge, lines_of

from tests.ledger.synthetic_chains import BOARD, life, rows_of

DAY_MS = 86_400_000
SLOTS = life(60)


@pytest.fixture(autouse=True)
def words(monkeypatch, berlin):
    """A statement holds where it says its witness's name."""

    def name_of(board, head, roots):
        if not head.body["name"]:
            raise BadStatement("it does not hold")
        return head.body["name"]

    monkeypatch.setattr(vouching, "name_of", name_of)


def said(seq, day, name="X", by="tsa"):
    return Witnessed(1, seq, SLOTS[seq - 1][40:52], by, day * DAY_MS, False, {"name": name}, "ab" * 8, seq)


def stretches(slots, purges=()):
    checker = ChainChecker(BOARD, (), purges)
    checker.feed(rows_of(slots))
    checker.finish()
    return checker.stretches


def told(slots, *heads, purges=(), day=30):
    found = judge(BOARD, stretches(slots, purges), heads, [], day * DAY_MS)
    return [
        (run.first, run.last, {(v.name, v.first_ms // DAY_MS, v.last_ms // DAY_MS) for v in run.vouchers}) for run in found.runs
    ]


def test_later_word_vouches_for_earlier_records_and_the_earliest_counts():
    heads = [said(20, 3), said(40, 5, "Y", "host"), said(40, 6)]
    assert told(SLOTS, *heads) == [
        (1, 20, {("X", 3, 6), ("Y", 5, 5)}),
        (21, 40, {("X", 6, 6), ("Y", 5, 5)}),
        (41, 60, set()),
    ]
    assert lines_of(judge(BOARD, stretches(SLOTS), heads, [], 7 * DAY_MS)) == [
        "Vouched for: records 1 to 40: time stamp by X, Sun 4 Jan 1970 to Wed 7 Jan 1970, as they came; "
        "witness Y, Tue 6 Jan 1970",
        "Vouched for: records 41 to 60: nobody yet",
    ]
    assert told(SLOTS, said(10, 1, "Y"), said(60, 2)) == [(1, 10, {("Y", 1, 1), ("X", 2, 2)}), (11, 60, {("X", 2, 2)})]
    assert told(SLOTS) == [(1, 60, set())]


def test_nobody_vouches_over_a_gap_a_purge_a_restart_or_an_altered_record():
    gap = SLOTS[:20] + SLOTS[25:]
    assert told(gap, said(60, 1)) == [(1, 20, set()), (26, 60, {("X", 1, 1)})]
    purged = [PurgedRun(1, 21, 1, 25, SLOTS[19][40:52], SLOTS[24][40:52])]
    assert told(gap, said(60, 1), purges=purged) == [(1, 20, set()), (26, 60, {("X", 1, 1)})]
    altered = [*SLOTS[:20], SLOTS[20][:30] + b"\1" + SLOTS[20][31:], *SLOTS[21:]]
    assert told(altered, said(21, 1), said(60, 2)) == [(1, 20, set()), (21, 21, set()), (22, 60, {("X", 2, 2)})]
    again = life(9, boot=2, step_ms=7)
    assert told([*SLOTS, *again], said(60, 1))[-1] == (1, 9, set())


def test_stretches_are_every_record_once():
    """Any mixture of gaps and damage: the stretches cover what is there, in its order."""
    for seed in range(60):
        draw = hashlib.sha256(bytes([seed])).digest()
        kept = [slot for i, slot in enumerate(SLOTS) if draw[i % 32] % 7]
        kept = [slot[:30] + b"\1" + slot[31:] if draw[(i + 5) % 32] % 11 == 0 else slot for i, slot in enumerate(kept)]
        covered = [seq for part in stretches(kept) for seq in range(part.first[1], part.last[1] + 1)]
        assert covered == [int.from_bytes(slot[:4], "little") for slot in kept], seed


def test_newest_anchor_is_too_old_only_where_records_wait():
    parts = [Stretch((1, 1), (1, 60), sound=True)]
    too_old = [judge(BOARD, parts, [said(seq, 10)], [], day * DAY_MS).too_old for seq, day in ((40, 17), (40, 18), (60, 99))]
    assert too_old[0] == too_old[2] == ""
    assert too_old[1] == (
        "The newest anchor is of Sun 11 Jan 1970, more than 7 days ago, and for records 41 to 60 nobody vouches yet: "
        "`earlid anchor`."
    )
    assert judge(BOARD, parts, [said(40, 10)], [], 12 * DAY_MS, 1).too_old
    assert "does not hold" in judge(BOARD, parts, [said(40, 10, "")], [], 12 * DAY_MS, 1).too_old


def test_lines_say_the_newest_and_count_the_rest():
    runs = [Run(i, i, (Voucher("tsa", f"X{i}", 0, DAY_MS),)) for i in range(1, 9)] + [Run(9, 12, ())]
    lines = lines_of(vouching.Vouching(runs, [f"fault {i}" for i in range(7)], "Too old."))
    assert lines == [
        "Vouched for: 4 earlier ranges of records; --json has all.",
        *(
            f"Vouched for: records {i} to {i}: time stamp by X{i}, Thu 1 Jan 1970 to Fri 2 Jan 1970, as they came"
            for i in range(5, 9)
        ),
        "Vouched for: records 9 to 12: nobody yet",
        *(f"Not believed: fault {i}" for i in range(5)),
        "Not believed: 2 more; --json has all.",
        "Too old.",
    ]
