# SPDX-License-Identifier: MIT
"""Snapshots: a reader sees one state of the ledger while another program writes."""

from __future__ import annotations

import io
import json

import pytest
from earlid.ledger import jsonl
from earlid.ledger import judge as judging
from earlid.ledger.boards import boards
from earlid.ledger.judge import judge
from earlid.ledger.reader import Reader
from earlid.ledger.store import Ledger
from synthetic_chains import BOARD, KEYS, life

COUNT = "SELECT COUNT(*) FROM records"
SLOTS = life(120)


@pytest.fixture
def kept(location):
    """A ledger of 40 records, in which another writer is at work."""
    with Ledger(location) as ledger:
        ledger.add(BOARD, SLOTS[:40], 0)
        yield location, ledger


def test_snapshot_is_constant_until_it_ends(kept):
    location, ledger = kept
    with Reader(location) as reader:
        with reader.snapshot():
            assert reader.rows(COUNT) == [(40,)]
            ledger.add(BOARD, SLOTS[40:80], 0)
            with reader.snapshot():
                assert reader.rows(COUNT) == [(40,)]
            assert len(list(reader.stream("SELECT seq FROM records"))) == 40
        assert reader.rows(COUNT) == [(80,)]


def test_records_added_during_verification_do_not_contradict_it(kept, monkeypatch):
    location, ledger = kept
    monkeypatch.setattr(judging, "CHUNK", 10)
    more = iter(SLOTS[40:])

    def meanwhile(count):
        ledger.add(BOARD, [next(more)], 0)

    with Reader(location) as reader:
        (board,) = boards(reader)
        judged = judge(reader, board, KEYS, progress=meanwhile)
    assert judged.records == 40
    assert [finding.verdict for finding in judged.findings] == ["intact"]
    assert next(more, None) != SLOTS[40], "nothing came meanwhile"


def test_export_during_writes_is_whole(kept):
    location, ledger = kept

    class Slow(io.StringIO):
        def write(self, text):
            ledger.add(BOARD, SLOTS, 0)
            return super().write(text)

    out = Slow()
    with Reader(location) as reader:
        assert jsonl.export_boards(reader, boards(reader), out) == 40
    (end,) = (line for line in map(json.loads, out.getvalue().splitlines()) if "end" in line)
    assert end["count"] == 40
