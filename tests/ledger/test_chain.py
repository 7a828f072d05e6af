# SPDX-License-Identifier: MIT
"""Verification of the hash chain: each kind of alteration and accident gets its own verdict."""

from __future__ import annotations

import random

import pytest
from earlid.errors import UserError
from earlid.ledger.anchor_code import DIGITS, Anchor, make_code, parse_code
from earlid.ledger.chain import ALTERED, CANNOT_JUDGE, GAP, INTACT, RESTARTED, TAIL_CUT, ChainChecker, PurgedRun, count_linked
from hypothesis import given
from hypothesis import strategies as st
from lid import record
from synthetic_chains import BOARD, KEY, fields, life, rows_of, seal_all

SLOTS = life(60)


def judge(slots, **options):
    checker = ChainChecker(BOARD, **options)
    checker.feed(rows_of(slots))
    return [(finding.verdict, finding.first, finding.last) for finding in checker.finish()]


def edited(slot, **changes):
    row = dict(zip(record.FIELDS, record.read_body(slot[:40]), strict=True)) | changes
    return record.make_body(list(row.values())) + slot[40:]


def restamp(slots, at, key=None, **changes):
    """Alter record `at` and make every link after it anew; with macs too when the key is known."""
    prev = slots[at - 1][40:52] if at else record.genesis(BOARD)
    made = slots[:at]
    for i in range(at, len(slots)):
        body = (edited(slots[i], **changes) if i == at else slots[i])[:40]
        mac = record.make_mac(key, prev, body) if key else slots[i][52:60]
        prev = record.make_link(prev, body, mac)
        made.append(body + prev + mac + bytes(4))
    return made


def test_intact_chain_is_intact_with_and_without_key():
    assert judge(SLOTS) == [(INTACT, 1, 60)]
    assert judge(SLOTS, key=KEY) == [(INTACT, 1, 60)]


def test_verdicts_say_what_is_not_known():
    for key, word in ((None, "without the board's key"), (KEY, "never recorded")):
        checker = ChainChecker(BOARD, key)
        checker.feed(rows_of(SLOTS))
        assert word in checker.finish()[0].say


@pytest.mark.parametrize("at", [0, 1, 30, 59])
@pytest.mark.parametrize("key", [None, KEY])
def test_edited_field_is_altered_at_its_record(at, key):
    slots = [*SLOTS[:at], edited(SLOTS[at], reason="button", a=1), *SLOTS[at + 1 :]]
    assert judge(slots, key=key) == [(ALTERED, at + 1, at + 1)]


@pytest.mark.parametrize("where", [slice(40, 52), slice(52, 60)])
def test_altered_link_or_mac_is_altered_at_its_record(where):
    slot = bytearray(SLOTS[20])
    slot[where] = bytes(len(slot[where]))
    assert judge([*SLOTS[:20], bytes(slot), *SLOTS[21:]]) == [(ALTERED, 21, 21)]


def test_dropped_records_are_a_gap():
    assert judge(SLOTS[:10] + SLOTS[13:]) == [(GAP, 11, 13)]
    assert judge(SLOTS[5:]) == [(GAP, 1, 5)]


def test_swapped_records_are_altered_twice():
    one, two = edited(SLOTS[7], seq=20), edited(SLOTS[19], seq=8)
    slots = [*SLOTS[:7], two, *SLOTS[8:19], one, *SLOTS[20:]]
    # What stood at 8 is gone with its link: nobody can say that 9 was linked to it.
    assert judge(slots) == [(ALTERED, 8, 9), (ALTERED, 20, 21)]


def test_replayed_record_under_a_new_number_is_altered():
    assert judge([*SLOTS, edited(SLOTS[3], seq=61)]) == [(ALTERED, 61, 61)]


def test_relinked_chain_is_altered_with_key_or_anchor_only():
    forged = restamp(SLOTS, 30, reason="button")
    assert judge(forged) == [(INTACT, 1, 60)]
    assert judge(forged, key=KEY) == [(ALTERED, 31, 60)]
    anchors = {(1, 60): SLOTS[59][40:52]}
    assert judge(forged, anchors=anchors) == [(ALTERED, 60, 60)]
    assert judge(forged, typed=[parse_code(make_code(40, SLOTS[39][40:52]))]) == [(ALTERED, 40, 40)]
    with_key = restamp(SLOTS, 30, KEY, reason="button")
    assert judge(with_key, key=KEY) == [(INTACT, 1, 60)]
    assert judge(with_key, key=KEY, anchors=anchors) == [(ALTERED, 60, 60)]


def test_cut_tail_is_found_by_anchors():
    anchors = {(1, 55): SLOTS[54][40:52]}
    assert judge(SLOTS[:50]) == [(INTACT, 1, 50)]
    assert judge(SLOTS[:50], anchors=anchors) == [(TAIL_CUT, 51, 55)]
    assert judge(SLOTS[:50], typed=[parse_code(make_code(60, SLOTS[59][40:52]))]) == [(TAIL_CUT, 51, 60)]
    regrown = SLOTS[:50] + life(10, first=51, prev=SLOTS[49][40:52], step_ms=7)
    assert judge(regrown, key=KEY, anchors=anchors) == [(ALTERED, 55, 55)]


def test_restarted_chain_is_reported_and_both_parts_are_judged():
    second = life(20, boot=2)
    assert judge(SLOTS + second) == [(RESTARTED, 1, 1)]
    second[4] = edited(second[4], a=77)
    assert judge(SLOTS + second) == [(RESTARTED, 1, 1), (ALTERED, 5, 5)]


def test_gap_that_the_board_reported_says_so():
    rows = [fields(1, 5, "boot", "power-on"), fields(2, 6, "mute")]
    early = seal_all(rows)
    late = seal_all([fields(30, 9, "lost", "overwritten", a=27, b=3)], prev=bytes(12))
    checker = ChainChecker(BOARD)
    checker.feed(rows_of(early + late))
    (finding,) = checker.finish()
    assert (finding.verdict, finding.first, finding.last) == (GAP, 3, 29)
    assert "overwrote" in finding.say


def test_chain_across_purges_is_intact_only_with_true_heads():
    head = SLOTS[29][40:52]
    purges = [PurgedRun(1, 1, 1, 10, None, SLOTS[9][40:52]), PurgedRun(1, 11, 1, 30, SLOTS[9][40:52], head)]
    assert judge(SLOTS[30:], key=KEY, purges=purges) == [(INTACT, 1, 60)]
    assert judge(SLOTS[31:], key=KEY, purges=purges) == [(GAP, 31, 31)]
    assert judge(SLOTS[30:], purges=[PurgedRun(1, 1, 1, 30, None, bytes(12))]) == [(ALTERED, 31, 31)]
    middle = [PurgedRun(1, 21, 1, 30, SLOTS[19][40:52], head)]
    assert judge(SLOTS[:20] + SLOTS[30:], purges=middle) == [(INTACT, 1, 60)]
    assert judge(SLOTS[:19] + SLOTS[30:], purges=middle) == [(GAP, 20, 20)]
    lied = [PurgedRun(1, 21, 1, 30, bytes(12), head)]
    assert judge(SLOTS[:20] + SLOTS[30:], purges=lied) == [(ALTERED, 20, 20)]


def test_missing_records_cannot_be_judged():
    assert judge([]) == [(CANNOT_JUDGE, 0, 0)]
    purges = [PurgedRun(1, 1, 1, 30, None, SLOTS[29][40:52])]
    assert judge(SLOTS[30:], purges=purges, typed=[Anchor(5, 0)]) == [(CANNOT_JUDGE, 5, 5)]
    assert judge(SLOTS[30:], purges=purges, typed=[parse_code(make_code(30, SLOTS[29][40:52]))]) == [(INTACT, 1, 60)]


def test_random_single_change_is_never_intact():
    rng = random.Random(20261122)
    for trial in range(300):
        rows = rows_of(SLOTS)
        at = rng.randrange(60)
        column = rng.choice([3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14])
        row = list(rows[at])
        row[column] ^= 1 << rng.randrange(4)
        rows[at] = tuple(row)
        checker = ChainChecker(BOARD, KEY)
        checker.feed(rows)
        found = [(finding.verdict, finding.first) for finding in checker.finish()]
        assert found == [(ALTERED, at + 1)], f"seed 20261122, trial {trial}, column {column}"


def test_fast_mac_equals_its_definition():
    body = SLOTS[5][:40]
    assert record.make_mac(KEY, SLOTS[4][40:52], body) == SLOTS[5][52:60]
    assert judge(SLOTS, key=KEY[::-1]) == [(ALTERED, 1, 60)]


def test_count_linked_counts_up_to_the_first_bad_slot():
    assert count_linked(record.genesis(BOARD), SLOTS) == 60
    assert count_linked(SLOTS[3][40:52], SLOTS[4:9]) == 5
    assert count_linked(record.genesis(BOARD), [*SLOTS[:7], edited(SLOTS[7], a=8), *SLOTS[8:]]) == 7


@given(st.integers(1, 0xFFFFFFFF), st.binary(min_size=12, max_size=12))
def test_anchor_code_round_trips(seq, link):
    anchor = parse_code(make_code(seq, link).lower().replace("-", " "))
    assert anchor.seq == seq
    assert anchor.matches(link)
    assert not anchor.matches(bytes([link[0] ^ 1]) + link[1:])


@given(st.integers(1, 0xFFFFFFFF), st.binary(min_size=12, max_size=12), st.data())
def test_mistyped_anchor_code_is_refused(seq, link, data):
    code = make_code(seq, link).replace("-", "")
    at = data.draw(st.integers(0, len(code) - 1))
    wrong = data.draw(st.sampled_from([digit for digit in DIGITS if digit != code[at]]))
    with pytest.raises(UserError, match="wrong character"):
        parse_code(code[:at] + wrong + code[at + 1 :])
    at = data.draw(st.integers(0, len(code) - 2))
    if code[at] != code[at + 1]:
        with pytest.raises(UserError, match="wrong character"):
            parse_code(code[:at] + code[at + 1] + code[at] + code[at + 2 :])


def test_invalid_anchor_code_is_refused():
    for text in ("", "hello", "1-2", "U" * 12):
        with pytest.raises(UserError, match="no anchor code"):
            parse_code(text)
