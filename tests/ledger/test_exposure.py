# SPDX-License-Identifier: MIT
"""Bounds of the live time from a journal: hand-made histories, and a model of rail and board at random."""

from __future__ import annotations

import random
from typing import NamedTuple

import pytest
from earlid.ledger.exposure import (
    HARD_MAX_MS,
    NOT_KNOWN,
    NOT_READ,
    READ_GAP_MS,
    SLACK_MS,
    UNSEEN_MS,
    Bounds,
    live_bounds,
    live_time,
)
from lid import circuit

LONGEST_MS = HARD_MAX_MS + circuit.DROP_MAX_MS + SLACK_MS
SEED = 20261126


class Item(NamedTuple):
    seq: int
    boot: int
    ms: int
    event: str
    reason: str
    a: int
    b: int


def journal(*rows):
    """(boot, ms, event, reason, a, b) numbered from 1."""
    return [Item(seq, *row) for seq, row in enumerate(rows, 1)]


def times(rise_ms, drop_ms):
    return rise_ms << 16 | drop_ms


def only(*rows, known_ms=None):
    (exposure,) = live_bounds(journal(*rows), known_ms)
    return exposure


def test_closed_opening_is_live_from_rise_to_drop():
    found = only((1, 5000, "open", "word", 30_000, 80), (1, 13_130, "close", "silence", 8000, times(100, 130)))
    assert (found.first_seq, found.last_seq, found.start_ms, found.reason, found.ended) == (1, 2, 5000, "word", "silence")
    assert found.least_ms == 8000 - 100 + 130 - READ_GAP_MS - SLACK_MS
    assert found.most_ms == 8000 - 100 + READ_GAP_MS + 130 + SLACK_MS
    assert found.most_ms - found.least_ms <= 100  # one shown digit


def test_opening_that_was_never_live_is_short():
    found = only((1, 0, "open", "button", 0, 0), (1, 510, "close", "fault", 500, times(NOT_READ, 10)))
    assert (found.least_ms, found.most_ms) == (0, READ_GAP_MS + SLACK_MS)


def test_rail_gone_before_its_release_is_allowed_for():
    found = only((1, 0, "open", "button", 0, 0), (1, 8010, "close", "mute", 8000, times(100, 10)))
    assert found.least_ms == 8000 - 100 - UNSEEN_MS - SLACK_MS


def test_receipt_of_firmware_0_1_knows_no_rise():
    found = only((1, 0, "open", "word", 0, 0), (1, 8130, "close", "timeout", 8000, 130))
    assert found.least_ms == 8000 - circuit.ARM_MAX_MS + 130 - READ_GAP_MS - SLACK_MS
    assert found.most_ms == 8130 + SLACK_MS


@pytest.mark.parametrize(
    ("rows", "most_ms"),
    [
        ([(1, 8010, "close", "timeout", 8000, 0)], 8000 + circuit.DROP_MAX_MS + SLACK_MS),  # another record came before the drop
        ([(1, 8250, "close", "timeout", 8000, 0), (1, 8260, "fault", "welded", 3010, 300)], None),
        ([(1, 8010, "close", "fault", 8000, 0)], None),
    ],
)
def test_firmware_0_1_without_a_drop_time(rows, most_ms):
    found = only((1, 0, "open", "word", 0, 0), *rows)
    assert found.most_ms == most_ms
    assert 7600 < found.least_ms < 8000


def test_welded_contact_is_an_exposure_of_its_own():
    rows = [
        (1, 0, "open", "word", 0, 0), (1, 3050, "close", "timeout", 2800, times(90, NOT_READ)),
        (1, 3051, "live", "welded", 3010, 250), (1, 3052, "fault", "welded", 3010, 300), (1, 31_000, "dead", "mute", 27_950, 40),
    ]  # fmt: skip
    opening, welded = live_bounds(journal(*rows))
    assert (opening.least_ms, opening.most_ms) == (2800 - 90 - SLACK_MS, 3051 + SLACK_MS)
    assert (welded.outside, welded.reason, welded.ended, welded.start_ms) == (True, "welded", "mute", 3051 - 250)
    assert (welded.least_ms, welded.most_ms) == (27_950 - READ_GAP_MS, 250 + 27_950 + SLACK_MS)
    without_live = live_bounds(journal(*rows[:2]))
    assert without_live[0].most_ms is None


def test_rail_live_since_before_the_start_has_no_upper_bound():
    found = only((2, 100, "boot", "power-on", 0x200, 0), (2, 150, "live", "start", 3000, NOT_KNOWN),
                 (2, 9150, "dead", "", 9000, 20))  # fmt: skip
    assert (found.least_ms, found.most_ms, found.ended) == (9000 - READ_GAP_MS, None, "dead")


def test_opening_ended_by_reset_has_the_bounds_of_the_next_start():
    rows = [(1, 2000, "open", "word", 0, 0), (1, 7000, "mark", "open", 5000, 3000), (2, 900, "boot", "watchdog", 0x200, 1)]
    cut = only(*rows)
    assert cut.ended == "restart"
    assert cut.least_ms == 5000 - circuit.ARM_MAX_MS - UNSEEN_MS - SLACK_MS
    assert cut.most_ms == LONGEST_MS
    told = only(*rows, (2, 901, "close", "reset", 5800, 6400))
    assert (told.boot, told.first_seq, told.last_seq, told.ended) == (1, 1, 4, "reset")
    assert (told.least_ms, told.most_ms) == (5800, 6400)


def test_mark_of_a_dead_rail_says_nothing_of_a_live_one():
    found = only((1, 0, "open", "word", 0, 0), (1, 5000, "mark", "open", 5000, 40), (2, 9, "boot", "watchdog", 0x200, 1))
    assert found.least_ms == 0


def test_opening_of_firmware_0_1_that_a_reset_ended_is_not_nothing():
    cut, whole = live_bounds(journal(
        (1, 0, "open", "word", 0, 0), (2, 9, "boot", "watchdog", 0x100, 1), (2, 5000, "open", "word", 0, 0),
        (2, 13_130, "close", "timeout", 8000, 130),
    ))  # fmt: skip
    assert (cut.least_ms, cut.most_ms, cut.ended) == (0, LONGEST_MS, "restart")
    assert whole.ended == "timeout"


def test_live_rail_over_a_reset():
    rows = [(1, 2000, "live", "welded", 3000, 0), (1, 7000, "mark", "live", 5000, 3000), (2, 900, "boot", "watchdog", 0x200, 1)]
    assert (only(*rows).least_ms, only(*rows).most_ms) == (5000 - SLACK_MS, None)
    told = only(*rows, (2, 901, "dead", "reset", 5500, 6000))
    assert (told.least_ms, told.most_ms, told.outside) == (5500, 6000, True)


def test_what_lasts_is_bounded_by_what_is_known():
    opening = [(1, 5000, "open", "word", 0, 0), (1, 10_000, "mark", "open", 5000, 3000)]
    assert only(*opening).most_ms is None
    found = only(*opening, known_ms=11_000)
    assert (found.ended, found.most_ms) == ("open", 6000 + SLACK_MS)
    live = only((1, 5000, "live", "unexpected", 3000, 10), known_ms=9000)
    assert (live.ended, live.least_ms, live.most_ms) == ("live", 0, 4010 + SLACK_MS)
    assert only((1, 5000, "live", "start", 3000, NOT_KNOWN), known_ms=9000).most_ms is None


def test_missing_records_split_an_exposure():
    lost_close = live_bounds(journal((1, 0, "open", "word", 0, 0), (1, 20_000, "open", "button", 0, 0)), 21_000)
    assert [(found.ended, found.least_ms, found.most_ms) for found in lost_close] == [
        ("lost", 0, 20_000 + SLACK_MS), ("open", 0, 1000 + SLACK_MS),
    ]  # fmt: skip
    between = live_bounds(journal((1, 0, "open", "word", 0, 0), (1, 90_130, "close", "timeout", 8000, times(100, 130))))
    assert [(found.first_seq, found.reason, found.ended) for found in between] == [(1, "word", "lost"), (2, "", "timeout")]
    assert between[1].start_ms == 82_000
    lost_open = only((1, 8130, "close", "timeout", 8000, times(100, 130)))
    assert lost_open.least_ms > 7900
    lost_live = only((1, 50_000, "dead", "", 8000, 30))
    assert (lost_live.least_ms, lost_live.most_ms) == (8000 - READ_GAP_MS, None)
    lost_both = live_bounds(journal((1, 0, "live", "welded", 3000, 0), (1, 90_000, "dead", "", 95_000, 30)))
    assert [found.ended for found in lost_both] == ["lost", "dead"]


def test_opening_of_a_live_rail_is_counted_below_once():
    rows = [
        (1, 0, "live", "unexpected", 3000, 0), (1, 5000, "open", "button", 0, 0),
        (1, 9130, "close", "button", 4000, times(10, 130)), (1, 9130, "dead", "", 9130, 30),
    ]  # fmt: skip
    total = live_time(live_bounds(journal(*rows)))
    assert total.least_ms <= 9130
    assert total.most_ms is not None
    assert total.most_ms >= 9130


def test_sum_without_an_upper_bound_has_none():
    assert Bounds(5, 6).plus(1, None).plus(2, 3) == Bounds(8, None)


EVENTS = ("boot", "open", "close", "live", "mark", "dead", "fault", "mute", "lost")


def test_bounds_are_ordered_and_grow_with_the_records_whatever_those_say():
    rng = random.Random(SEED)
    for history in range(2000):
        items, boot, ms = [], 1, 0
        for seq in range(1, rng.randrange(2, 14)):
            event = rng.choice(EVENTS)
            if event == "boot":
                boot, ms = boot + 1, 0
            ms += rng.choice((0, 1, 10, 300, 5000, 70_000))
            a = rng.choice((0, 10, 5000, 60_000, NOT_KNOWN, rng.randrange(ms + 1)))
            b = rng.choice((0, 130, NOT_READ, NOT_KNOWN, times(100, 130), times(100, NOT_READ), times(NOT_READ, 10), 3000))
            reason = rng.choice(("word", "reset", "welded", "start", "mute", "fault", "open", "live", ""))
            items.append(Item(seq, boot, ms, event, reason, a, b))
        before = 0
        for size in range(len(items) + 1):
            found = live_bounds(items[:size], rng.choice((None, ms)))
            for exposure in found:
                assert exposure.least_ms >= 0, (SEED, history, exposure)
                assert exposure.most_ms is None or exposure.least_ms <= exposure.most_ms, (SEED, history, exposure)
                assert exposure.first_seq <= exposure.last_seq <= size
            assert [exposure.first_seq for exposure in found] == sorted(exposure.first_seq for exposure in found)
            total = live_time(found)
            assert total.least_ms >= before, (SEED, history, items[:size])
            before = total.least_ms


class ModelBoard:
    """A rail, and a board that reads it once a hop and journals as PROTOCOL.md has it; hops may be late."""

    def __init__(self, rng):
        self.rng = rng
        self.items = []
        self.boot, self.ms, self.live_ms = 1, 0, 0
        self.start()

    def append(self, event, reason, a=0, b=0):
        self.items.append(Item(len(self.items) + 1, self.boot, self.ms, event, reason, a, b))

    def start(self):
        self.append("boot", "power-on", 0x200)

    def hop(self):
        self.ms += self.rng.choice((10, 10, 10, 10, 11, 10 + 16))

    def read_until(self, at_ms):
        """The hop of the first reading at or after a moment."""
        while self.ms < at_ms:
            self.hop()

    def opening(self):
        self.append("open", "word", 30_000, 80)
        began_ms = self.ms
        rose_ms = began_ms + self.rng.uniform(40, circuit.ARM_MAX_MS)
        self.read_until(rose_ms)
        rise_ms = self.ms - began_ms
        self.read_until(self.ms + self.rng.choice((300, 4000, 12_000)))
        if self.rng.random() < 0.2:
            self.append("mark", "open", self.ms - began_ms, 3000)
        end = self.rng.choice(("close", "close", "close", "mute", "weld", "reset"))
        if end == "reset":
            known_ms = self.ms - began_ms
            fell_ms = self.ms + self.rng.uniform(10, circuit.DROP_MAX_MS)
            self.live_ms += fell_ms - rose_ms
            self.boot, self.ms = self.boot + 1, 0
            self.start()
            if self.rng.random() < 0.7:
                self.append("close", "reset", known_ms - rise_ms, known_ms + circuit.DROP_MAX_MS + SLACK_MS)
            return
        cut_ms = self.ms
        if end == "mute":
            self.read_until(self.ms + 40)
        release_ms = self.ms - began_ms
        if end == "weld":
            self.read_until(self.ms + circuit.DROP_MAX_MS)
            self.append("close", "timeout", release_ms, times(rise_ms, NOT_READ))
            since_ms = self.ms
            self.append("live", "welded", 3000, self.ms - began_ms - release_ms)
            self.read_until(self.ms + self.rng.choice((0, 500, 90_000)))
            fell_ms = self.ms + self.rng.uniform(0, 20)
            self.read_until(fell_ms)
            self.append("dead", "mute", self.ms - since_ms, 20)
        else:
            fell_ms = cut_ms + (self.rng.uniform(0, 20) if end == "mute" else self.rng.uniform(70, 220))
            self.read_until(fell_ms + (10 if end == "mute" else 0))
            self.append("close", "mute" if end == "mute" else "timeout", release_ms,
                        times(rise_ms, self.ms - began_ms - release_ms))  # fmt: skip
        self.live_ms += fell_ms - rose_ms


def test_bounds_hold_the_rail_of_a_modelled_board():
    rng = random.Random(SEED)
    gaps = []
    for history in range(300):
        board = ModelBoard(rng)
        for _ in range(rng.randrange(1, 8)):
            board.read_until(board.ms + 3000)
            board.opening()
        total = live_time(live_bounds(board.items))
        assert total.most_ms is not None, (SEED, history)
        assert total.least_ms <= board.live_ms <= total.most_ms, (SEED, history, board.items)
        gaps.append(total.most_ms - total.least_ms)
        kept = [item for item in board.items if rng.random() < 0.8]
        assert live_time(live_bounds(kept)).least_ms <= board.live_ms, (SEED, history, kept)
    print(f"seed {SEED}: mean gap between the bounds {sum(gaps) / len(gaps):.0f} ms")
