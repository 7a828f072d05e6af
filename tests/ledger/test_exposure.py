# SPDX-License-Identifier: MIT
"""Bounds of the live time from a journal: hand-made histories, and a model of rail and board at random."""

from __future__ import annotations

import random
from typing import NamedTuple

import pytest
from earlid.ledger.exposure import (
    LONGEST_MS,
    NO_RAIL_MS,
    NOT_GONE,
    NOT_KNOWN,
    SLACK_MS,
    Bounds,
    live_bounds,
    live_time,
)
from lid import circuit

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


def bounds(least_ms, most_ms):
    """`b` of a `close`."""
    return most_ms << 16 | least_ms


def only(*rows, known_ms=None):
    (exposure,) = live_bounds(journal(*rows), known_ms)
    return exposure


def test_closed_opening_has_its_receipts_bounds():
    found = only((1, 5000, "open", "word", 30_000, 80), (1, 13_130, "close", "silence", 8000, bounds(7990, 8060)))
    assert found == (1, 1, 2, 5000, 7990, 8060, "word", "silence", False)


def test_receipt_of_firmware_0_1_knows_no_rise():
    found = only((1, 0, "open", "word", 0, 0), (1, 8130, "close", "timeout", 8000, 130))
    assert (found.least_ms, found.most_ms) == (8000 - NO_RAIL_MS, 8130 + SLACK_MS)


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
        (1, 0, "open", "word", 0, 0), (1, 3050, "close", "timeout", 2800, bounds(2700, NOT_GONE)),
        (1, 3051, "live", "welded", 3010, 250), (1, 3052, "fault", "welded", 3010, 300),
        (1, 31_000, "dead", "mute", 27_930, 27_960),
    ]  # fmt: skip
    opening, welded = live_bounds(journal(*rows))
    assert (opening.least_ms, opening.most_ms) == (2700, 3051 + SLACK_MS)
    assert (welded.outside, welded.reason, welded.ended, welded.start_ms) == (True, "welded", "mute", 3051 - 250)
    assert (welded.least_ms, welded.most_ms) == (27_930, 250 + 27_960)
    without_live = live_bounds(journal(*rows[:2]))
    assert without_live[0].most_ms is None


def test_rail_live_since_before_the_start_has_no_upper_bound():
    found = only((2, 100, "boot", "power-on", 0x200, 0), (2, 150, "live", "start", 3000, NOT_KNOWN),
                 (2, 9150, "dead", "", 9000, 9020))  # fmt: skip
    assert (found.least_ms, found.most_ms, found.ended) == (9000, None, "dead")


def test_opening_ended_by_reset_has_the_bounds_of_the_next_start():
    rows = [(1, 2000, "open", "word", 0, 0), (1, 7000, "mark", "open", 5000, 3000), (2, 900, "boot", "watchdog", 0x200, 1)]
    cut = only(*rows)
    assert cut.ended == "restart"
    assert cut.least_ms == 3000
    assert cut.most_ms == LONGEST_MS
    told = only(*rows, (2, 901, "close", "reset", 5800, 6400))
    assert (told.boot, told.first_seq, told.last_seq, told.ended) == (1, 1, 4, "reset")
    assert (told.least_ms, told.most_ms) == (5800, 6400)


def test_mark_of_a_rail_that_never_was_live_says_so():
    found = only((1, 0, "open", "word", 0, 0), (1, 5000, "mark", "open", 5000, 0), (2, 9, "boot", "watchdog", 0x200, 1))
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
    assert (only(*rows).least_ms, only(*rows).most_ms) == (3000, None)
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
    between = live_bounds(journal((1, 0, "open", "word", 0, 0), (1, 90_130, "close", "timeout", 8000, bounds(7990, 8060))))
    assert [(found.first_seq, found.reason, found.ended) for found in between] == [(1, "word", "lost"), (2, "", "timeout")]
    assert between[1].start_ms == 82_130
    lost_open = only((1, 8130, "close", "timeout", 8000, bounds(7990, 8060)))
    assert lost_open.least_ms > 7900
    lost_live = only((1, 50_000, "dead", "", 8000, 30))
    assert (lost_live.least_ms, lost_live.most_ms) == (8000, None)
    lost_both = live_bounds(journal((1, 0, "live", "welded", 3000, 0), (1, 90_000, "dead", "", 95_000, 30)))
    assert [found.ended for found in lost_both] == ["lost", "dead"]


def test_opening_of_a_live_rail_is_counted_below_once():
    rows = [
        (1, 0, "live", "unexpected", 3000, 0), (1, 5000, "open", "button", 0, 0),
        (1, 9130, "close", "button", 4000, bounds(4100, 4160)), (1, 9130, "dead", "", 9130, 9150),
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
            b = rng.choice((0, 130, 0xFFFF, NOT_KNOWN, bounds(7990, 8060), bounds(7990, NOT_GONE), bounds(900, 10), 3000))
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
    """A rail, and a board that journals bounds of it as PROTOCOL.md has it."""

    def __init__(self, rng, firmware):
        self.rng, self.firmware = rng, firmware
        self.items = []
        self.boot, self.ms, self.live_ms = 1, 0, 0
        self.append("boot", "power-on", firmware)

    def append(self, event, reason, a=0, b=0):
        self.items.append(Item(len(self.items) + 1, self.boot, self.ms, event, reason, a, b))

    def around(self, ms):
        """Least and most of what the board says of a time."""
        return max(0, int(ms) - self.rng.randrange(40)), int(ms) + 1 + self.rng.randrange(40)

    def opening(self):
        rng = self.rng
        self.ms += rng.randrange(3000, 90_000)
        self.append("open", "word", 30_000, 80)
        rose_ms = self.ms + rng.uniform(40, circuit.ARM_MAX_MS)
        began_ms = self.ms
        self.ms += rng.randrange(300, 12_000)
        if rng.random() < 0.3 and self.firmware > 0x100:
            self.append("mark", "open", self.ms - began_ms, self.around(max(0, self.ms - rose_ms))[0])
        end = rng.choice(("close", "close", "weld", "reset"))
        open_ms = self.ms - began_ms
        fell_ms = self.ms + rng.uniform(70, circuit.DROP_MAX_MS)
        if end == "reset":
            self.live_ms += fell_ms - rose_ms
            self.boot, self.ms = self.boot + 1, 0
            self.append("boot", "watchdog", self.firmware)
            if rng.random() < 0.7 and self.firmware > 0x100:
                self.append("close", "reset", *self.around(fell_ms - rose_ms))
        elif self.firmware == 0x100:
            self.live_ms += fell_ms - rose_ms
            self.ms = int(fell_ms) + 1
            self.append("close", "timeout", open_ms, rng.choice((0, self.ms - began_ms - open_ms)))
        elif end == "weld":
            self.ms += circuit.DROP_MAX_MS
            self.append("close", "timeout", open_ms, bounds(self.around(self.ms - rose_ms)[0], NOT_GONE))
            since_ms = self.ms
            self.append("live", "welded", 3000, rng.choice((0, circuit.DROP_MAX_MS)))
            self.ms += rng.choice((0, 500, 90_000))
            fell_ms = self.ms + rng.uniform(0, 20)
            self.live_ms += fell_ms - rose_ms
            self.ms = int(fell_ms) + 1
            self.append("dead", "mute", *self.around(fell_ms - since_ms))
        else:
            self.live_ms += fell_ms - rose_ms
            self.ms = int(fell_ms) + 1
            self.append("close", "timeout", open_ms, bounds(*self.around(fell_ms - rose_ms)))


@pytest.mark.parametrize("firmware", [0x100, 0x200])
def test_bounds_hold_the_rail_of_a_modelled_board(firmware):
    rng = random.Random(SEED)
    gaps = []
    for history in range(300):
        board = ModelBoard(rng, firmware)
        for _ in range(rng.randrange(1, 8)):
            board.opening()
        total = live_time(live_bounds(board.items))
        assert total.most_ms is not None, (SEED, history)
        assert total.least_ms <= board.live_ms <= total.most_ms, (SEED, history, board.items)
        gaps.append(total.most_ms - total.least_ms)
        kept = [item for item in board.items if rng.random() < 0.8]
        assert live_time(live_bounds(kept)).least_ms <= board.live_ms, (SEED, history, kept)
    print(f"seed {SEED}: mean gap between the bounds {sum(gaps) / len(gaps):.0f} ms")
