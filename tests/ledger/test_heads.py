# SPDX-License-Identifier: MIT
"""Heads that are given away, and what leads to them, on either database."""

from __future__ import annotations

from earlid.ledger import heads, purge
from earlid.ledger.boards import boards
from earlid.ledger.reader import Reader
from earlid.ledger.store import Ledger
from synthetic_chains import BOARD, life

SLOTS = life(30)


def link(seq):
    return SLOTS[seq - 1][40:52]


def test_heads_and_what_leads_there_are_the_records_own(location):
    with Ledger(location) as ledger:
        ledger.add(BOARD, SLOTS)
        ledger.add(f"{BOARD}.123456", life(3, board=BOARD))
        ledger.set_name("ffff", "empty")
        purge.purge(ledger, [purge.Run(BOARD, (1, 4), (1, 9), 6)], "test")
        with ledger.transaction() as connection:
            ledger.act(connection, "witness", {"board": BOARD, "by": "paper"})
    with Reader(location) as reader:
        known = boards(reader)
        (found,) = heads.newest_heads(reader, known)
        assert (found.board.identifier, *found[1:]) == (BOARD, 1, 30, link(30)), "no stranger, and none without records"
        board = found.board
        assert [heads.link_at(reader, board, seq) for seq in (3, 6, 9, 30, 31)] == [
            (1, link(3)), None, (1, link(9)), (1, link(30)), None,
        ]  # fmt: skip
        assert [heads.is_purged(reader, board, seq) for seq in (3, 4, 9, 10)] == [False, True, True, False]
        led = list(heads.sealed_after(reader, board, 1, 26))
        assert led == [(1, seq, slot[:40] + slot[52:60], slot[40:52]) for seq, slot in enumerate(SLOTS[26:], 27)]
        assert [body["by"] for body in heads.witness_bodies(reader)] == ["paper"]
