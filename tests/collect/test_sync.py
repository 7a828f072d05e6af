# SPDX-License-Identifier: MIT
"""Sync: everything arrives once, over bad lines and resets; nothing is acknowledged before it is durable."""

from __future__ import annotations

import re
import time

import pytest
from earlid.board import link as link_module
from earlid.board.link import Link, Record
from earlid.collect import sync as sync_module
from earlid.collect.sync import Sync
from earlid.errors import UserError
from earlid.host_clock import UNSYNCED_UNC_MS
from earlid.ledger import keys
from earlid.ledger.location import locate
from earlid.ledger.reader import Reader
from earlid.ledger.rows import COLUMNS, body_of
from earlid.ledger.store import Ledger
from lid import record

from tests.board.fake_board import KEY, FakeBoard, seal_records

BOARD = "00112233aabbccdd"


@pytest.fixture
def ledger(tmp_path):
    with Ledger(locate(str(tmp_path / "ledger.sqlite"))) as opened:
        yield opened


def slots_in(ledger):
    with Reader(ledger.location) as reader:
        rows = reader.rows(f"SELECT {', '.join(COLUMNS)} FROM records ORDER BY boot, seq")
    return [body_of(row) + row[15] + row[16] for row in rows]


def sync_once(board, ledger, **options):
    with Link(board.path) as link:
        sync = Sync(link, ledger, **options)
        return sync.catch_up(), link


def test_sync_stores_and_acknowledges_all_records(ledger):
    slots = seal_records(BOARD, 200)
    with FakeBoard(BOARD, slots) as board:
        result, _ = sync_once(board, ledger)
        again, _ = sync_once(board, ledger)
        assert board.acked == 200
    assert (result.stored, again.stored) == (200, 0)
    assert slots_in(ledger) == [slot[:60] for slot in slots]


def test_acknowledgement_follows_the_commit(ledger):
    with FakeBoard(BOARD, seal_records(BOARD, 150)) as board:
        stored_at_ack = []

        def on_request(body):
            if body["do"] == "ack":
                stored_at_ack.append((body["seq"], len(slots_in(ledger))))

        board.before_reply = on_request
        sync_once(board, ledger)
    assert stored_at_ack
    assert all(stored >= seq for seq, stored in stored_at_ack)


@pytest.mark.parametrize(("paired", "acked", "words"), [(True, 150, None), (False, 0, "not paired: .* `earlid pair`")])
def test_only_a_paired_computer_frees_records(ledger, paired, acked, words):
    if paired:
        keys.save_key(BOARD, KEY, epoch=0, seq=1)
    with FakeBoard(BOARD, seal_records(BOARD, 150), proto=2) as board:
        result = sync_module.sync_once(board.path, ledger, lambda sync, item: None)
        assert (board.acked, board.clock_signed) == (acked, paired)
        assert board.wall_ms is not None, "an unsigned clock is a hint all the same"
        assert paired == any(body["do"] == "ack" for body in board.requests)
    assert result.stored == 150
    assert [note for note in result.notes if words and re.search(words, note)] == result.notes


def test_board_of_the_first_version_is_collected_from_as_before(ledger):
    with FakeBoard(BOARD, seal_records(BOARD, 5)) as board:
        result = sync_module.sync_once(board.path, ledger, lambda sync, item: None)
        assert (board.acked, result.stored) == (5, 5)
    assert result.notes == ["this board's firmware is 0.1.0: `earlid flash` updates it."]


def test_acknowledgements_follow_the_boards_key_through_its_epochs(ledger):
    keys.save_key(BOARD, KEY, epoch=3, seq=1)
    with FakeBoard(BOARD, seal_records(BOARD, 10), proto=2) as board:
        board.epoch, board.key = 5, record.next_key(record.next_key(KEY))
        sync_module.sync_once(board.path, ledger, lambda sync, item: None)
        assert board.acked == 10
    assert [keys.key_at(BOARD, epoch) for epoch in (2, 3, 5)] == [None, KEY, board.key]


@pytest.mark.parametrize(
    ("count", "bit_error", "seed"),
    [(1000, 1e-4, 1), (300, 1e-3, 2), pytest.param(10_000, 1e-3, 3, marks=pytest.mark.soak)],
)
def test_sync_over_a_bad_line_is_complete(ledger, monkeypatch, count, bit_error, seed):
    monkeypatch.setattr(link_module, "QUIET_S", 0.02)  # this board never pauses
    monkeypatch.setattr(link_module, "RETRY_S", 0.05)
    monkeypatch.setattr(sync_module, "STALL_LIMIT", 10 * sync_module.STALL_LIMIT)  # asks come ten times as quickly
    slots = seal_records(BOARD, count)
    with FakeBoard(BOARD, slots, seed=seed) as board:
        board.bit_error, board.drop, board.double = bit_error, 0.02, 0.02
        board.chatter = [b">>> \r\n", b"Traceback (most recent call last):\r\n", b'#5 {"rec":[1', b"\x00\xff\x1b[2J"]
        result, link = sync_once(board, ledger)
        assert board.acked == count, f"seed {seed}"
    assert slots_in(ledger) == [slot[:60] for slot in slots], f"seed {seed}"
    assert result.stored == count
    assert link.bad_lines > 0
    assert link.missed_lines > 0


def test_sync_across_board_resets_is_complete(ledger):
    slots = seal_records(BOARD, 400)
    with FakeBoard(BOARD, slots) as board:
        board.restart_every = 90
        result, _ = sync_once(board, ledger)
        assert board.boot > 2
    assert result.stored == 400
    assert slots_in(ledger) == [slot[:60] for slot in slots]


def test_overwritten_records_are_reported_as_missing(ledger):
    slots = seal_records(BOARD, 100)
    with FakeBoard(BOARD, slots[:20]) as board:
        sync_once(board, ledger)
        board.slots[:] = slots[50:]
        result, _ = sync_once(board, ledger)
    assert result.missing == [(21, 50)]
    assert result.stored == 50


def test_lost_records_are_reported(ledger):
    prev = record.genesis(BOARD)
    body = record.make_body([1, 1, 5, "lost", "torn", 0, 0, 0, 0, 0, 0, 65535, 1, 9])
    with FakeBoard(BOARD, [record.seal(bytes(32), prev, body)[0]]) as board:
        result, _ = sync_once(board, ledger)
    assert result.lost == [(1, 9)]


def test_board_with_an_older_journal_is_noted_and_nothing_is_removed(ledger):
    slots = seal_records(BOARD, 100)
    with FakeBoard(BOARD, slots[:]) as board:
        sync_once(board, ledger)
        del board.slots[60:]
        result, _ = sync_once(board, ledger)
    assert "ends at 60" in result.breaks[0]
    assert len(slots_in(ledger)) == 100


def test_restarted_chain_that_bears_the_boards_mark_is_stored_beside_the_old_one(ledger):
    keys.save_key(BOARD, KEY)
    with FakeBoard(BOARD, seal_records(BOARD, 50, boot=3)) as board:
        sync_once(board, ledger)
        board.slots[:] = seal_records(BOARD, 80, boot=4, step_ms=7)
        result, _ = sync_once(board, ledger)
        assert board.acked == 80
    assert "begun anew" in result.breaks[0]
    assert len(slots_in(ledger)) == 130


def test_records_behind_a_wrong_link_are_kept_apart(ledger):
    slots = seal_records(BOARD, 10)
    slots[5:] = seal_records(BOARD, 5, first=6, prev=bytes(12))
    with FakeBoard(BOARD, slots) as board:
        result, _ = sync_once(board, ledger)
        assert board.acked == 0
    assert result.stored == 10
    assert "but its record 6 does not follow the one before it" in result.breaks[0]
    assert ledger.head(BOARD).seq == 5
    assert ledger.head(result.board).seq == 10


def test_unknown_event_asks_for_an_update(ledger):
    slots = seal_records(BOARD, 5)
    with FakeBoard(BOARD, slots) as board:
        say = board.say

        def say_new(body):
            if "rec" in body and body["rec"][0] == 4:
                body["rec"][3] = "teleport"
            say(body)

        board.say = say_new
        with pytest.raises(UserError, match="update Earlid"):
            sync_once(board, ledger)
        assert board.acked == 0, "nothing is acknowledged before the head is judged"
    assert len(slots_in(ledger)) == 3


def test_live_records_are_stored_in_order_and_acknowledged(ledger):
    slots = seal_records(BOARD, 12)
    stored_seqs = []
    with FakeBoard(BOARD, slots[:10]) as board, Link(board.path) as link:
        sync = Sync(link, ledger, on_stored=lambda sync, item: stored_seqs.append(item.seq))
        sync.catch_up()
        board.append(slots[10])
        board.append(slots[10])
        board.slots.pop()
        items, end_s = [], time.monotonic() + 60
        while len(items) < 2 and time.monotonic() < end_s:
            items += [item for item in link.messages(0.05) if isinstance(item, Record)]
        assert [sync.store_live(item) for item in items] == [True, True]
        assert board.acked == 11
        board.slots.append(slots[11])
        assert not sync.store_live(items[0]._replace(seq=13))
        sync.catch_up()
    assert stored_seqs == list(range(1, 13))


def test_hello_gives_a_clock_point(ledger):
    with FakeBoard(BOARD, seal_records(BOARD, 5)) as board:
        sync_once(board, ledger, clock_ms=lambda: 1_800_000_000_000)
    with Reader(ledger.location) as reader:
        ((boot, ms, wall_ms, unc_ms),) = reader.rows("SELECT boot, ms, wall_ms, unc_ms FROM clock_points")
        at_most_ms = (time.monotonic() - board.started_s) * 1000
    assert boot == 1
    assert 0 <= ms <= at_most_ms
    trip_ms = 2 * (wall_ms - 1_800_000_000_000)
    # Half of the greeting's way there and back, however long; all of it, by which a clock that stands still was set back.
    assert UNSYNCED_UNC_MS + trip_ms // 2 + trip_ms <= unc_ms <= UNSYNCED_UNC_MS + trip_ms // 2 + trip_ms + 1
