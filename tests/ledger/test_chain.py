# SPDX-License-Identifier: MIT
"""Verification of the hash chain: each kind of alteration and accident gets its own verdict."""

from __future__ import annotations

import random
import re

import pytest
from earlid import firmware
from earlid.errors import UserError
from earlid.ledger.anchor_code import DIGITS, Anchor, make_code, parse_code
from earlid.ledger.chain import ALTERED, CANNOT_JUDGE, GAP, INTACT, RESTARTED, TAIL_CUT, ChainChecker, PurgedRun
from earlid.ledger.keys import PairedKey, key_at, read_keys, save_key
from earlid.ledger.ratchet import LEAST_RECORDS, SEGMENT_RECORDS
from hypothesis import given
from hypothesis import strategies as st
from lid import record
from synthetic_chains import BOARD, KEY, KEYS, fields, life, rows_of, seal_all

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
    assert judge(SLOTS, keys=KEYS) == [(INTACT, 1, 60)]


def test_verdicts_say_what_is_not_known():
    for keys, word in (((), "without the board's key"), (KEYS, "never recorded")):
        checker = ChainChecker(BOARD, keys)
        checker.feed(rows_of(SLOTS))
        assert word in checker.finish()[0].say


@pytest.mark.parametrize("at", [0, 1, 30, 59])
@pytest.mark.parametrize("key", [None, KEY])
def test_edited_field_is_altered_at_its_record(at, key):
    slots = [*SLOTS[:at], edited(SLOTS[at], reason="button", a=1), *SLOTS[at + 1 :]]
    assert judge(slots, keys=(PairedKey(key),) if key else ()) == [(ALTERED, at + 1, at + 1)]


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
    assert judge(forged, keys=KEYS) == [(ALTERED, 31, 60)]
    anchors = {(1, 60): SLOTS[59][40:52]}
    assert judge(forged, anchors=anchors) == [(ALTERED, 60, 60)]
    assert judge(forged, typed=[parse_code(make_code(40, SLOTS[39][40:52]))]) == [(ALTERED, 40, 40)]
    with_key = restamp(SLOTS, 30, KEY, reason="button")
    assert judge(with_key, keys=KEYS) == [(INTACT, 1, 60)]
    assert judge(with_key, keys=KEYS, anchors=anchors) == [(ALTERED, 60, 60)]


def test_cut_tail_is_found_by_anchors():
    anchors = {(1, 55): SLOTS[54][40:52]}
    assert judge(SLOTS[:50]) == [(INTACT, 1, 50)]
    assert judge(SLOTS[:50], anchors=anchors) == [(TAIL_CUT, 51, 55)]
    assert judge(SLOTS[:50], typed=[parse_code(make_code(60, SLOTS[59][40:52]))]) == [(TAIL_CUT, 51, 60)]
    regrown = SLOTS[:50] + life(10, first=51, prev=SLOTS[49][40:52], step_ms=7)
    assert judge(regrown, keys=KEYS, anchors=anchors) == [(ALTERED, 55, 55)]


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
    assert judge(SLOTS[30:], keys=KEYS, purges=purges) == [(INTACT, 1, 60)]
    assert judge(SLOTS[31:], keys=KEYS, purges=purges) == [(GAP, 31, 31)]
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
        checker = ChainChecker(BOARD, KEYS)
        checker.feed(rows)
        found = [(finding.verdict, finding.first) for finding in checker.finish()]
        assert found == [(ALTERED, at + 1)], f"seed 20261122, trial {trial}, column {column}"


def test_fast_mac_equals_its_definition():
    body = SLOTS[5][:40]
    assert record.make_mac(KEY, SLOTS[4][40:52], body) == SLOTS[5][52:60]
    assert judge(SLOTS, keys=(PairedKey(KEY[::-1]),)) == [(ALTERED, 1, 60)]


def keyed_life(*epochs, first=1, prev=None, event=lambda seq: ("near-miss", "word")):
    """Records under the keys of epochs: (epoch, how many)."""
    slots = []
    for epoch, count in epochs:
        rows = [fields(first + i, 1000 * (first + i), *event(first + i)) for i in range(count)]
        slots += seal_all(rows, key=PairedKey(KEY).at(epoch), prev=slots[-1][40:52] if slots else prev)
        first += count
    return slots


def reseal(slots, first, key):
    """All records after `first` told anew under a key."""
    prev = slots[first - 1][40:52] if first else record.genesis(BOARD)
    made = slots[:first]
    for slot in slots[first:]:
        sealed, prev = record.seal(key, prev, edited(slot, score=9)[:40])
        made.append(sealed)
    return made


FULL = SEGMENT_RECORDS


def test_keys_are_followed_forward():
    slots = keyed_life((0, FULL), (1, FULL), (2, 30))
    assert judge(slots, keys=KEYS) == [(INTACT, 1, 2 * FULL + 30)]
    assert judge(slots, keys=()) == [(INTACT, 1, 2 * FULL + 30)]
    back = keyed_life((0, FULL), (1, FULL), (0, 30))
    assert judge(back, keys=KEYS) == [(ALTERED, 2 * FULL + 1, 2 * FULL + 30)]
    short = keyed_life((0, LEAST_RECORDS), (1, 5))  # blocks of its flash died
    assert judge(short, keys=KEYS) == [(INTACT, 1, LEAST_RECORDS + 5)]


def test_segment_holds_what_the_firmware_gives_it():
    text = (firmware.root() / "lid" / "segments.py").read_text(encoding="utf-8")
    slots, in_a_block = (int(re.findall(rf"^{name} = const\((\d+)\)", text, re.M)[0]) for name in ("SLOTS", "_SLOTS_A_BLOCK"))
    key_slots = re.findall(r"^KEY_SLOTS = \((.*)\)", text, re.M)[0].split(",")
    assert slots - len(key_slots) == SEGMENT_RECORDS
    assert 2 * in_a_block == SEGMENT_RECORDS - LEAST_RECORDS


def test_earlier_records_resealed_with_a_later_key_are_altered():
    slots = keyed_life((0, FULL), (1, FULL), (2, 30))
    stolen = PairedKey(KEY).at(2)
    whole = reseal(slots, 0, stolen)
    assert judge(whole, keys=KEYS) == [(ALTERED, 1, 1), (ALTERED, 2, 2 * LEAST_RECORDS)]
    segment = reseal(slots, FULL, stolen)  # its key is two turns away, of which the second cannot have been
    assert judge(segment, keys=KEYS) == [(ALTERED, FULL + 1, FULL + 1), (ALTERED, FULL + 2, 2 * LEAST_RECORDS)]
    most_of_it = reseal(slots, FULL + 10, stolen)  # a record left as it was leads to the next key
    assert judge(most_of_it, keys=KEYS) == [(ALTERED, FULL + 11, FULL + LEAST_RECORDS)]
    own_segment = reseal(slots, 2 * FULL, stolen)  # what no ratchet tells: PROTOCOL.md
    assert judge(own_segment, keys=KEYS) == [(INTACT, 1, len(slots))]


def test_keys_are_followed_over_missing_and_purged_records():
    slots = keyed_life(*((epoch, FULL) for epoch in range(6)), (6, 20))
    kept = slots[: FULL // 2] + slots[5 * FULL + 7 :]
    assert judge(kept, keys=KEYS) == [(GAP, FULL // 2 + 1, 5 * FULL + 7)]
    purges = [PurgedRun(1, 1, 1, 4 * FULL, None, slots[4 * FULL - 1][40:52])]
    assert judge(slots[4 * FULL :], keys=KEYS, purges=purges) == [(INTACT, 1, 6 * FULL + 20)]


def test_records_before_pairing_are_judged_by_their_links():
    slots = keyed_life((0, FULL), (1, FULL), (2, 30))
    keys = (PairedKey(PairedKey(KEY).at(1), 1, FULL + 1),)
    checker = ChainChecker(BOARD, keys)
    checker.feed(rows_of(slots))
    (finding,) = checker.finish()
    assert finding[:3] == (INTACT, 1, len(slots))
    assert f"each from {FULL + 1} on bears the mark" in finding.say
    assert f"Before {FULL + 1} this computer was not paired" in finding.say
    assert judge(restamp(slots[: FULL + 20], FULL - 5, score=9), keys=keys) == [(ALTERED, FULL + 1, FULL + 20)]
    assert judge(slots[:FULL], keys=keys) == [(INTACT, 1, FULL)]


def test_board_that_lost_its_key_cannot_be_judged_until_paired_anew():
    def event(seq):
        return {11: ("boot", "power-on"), 12: ("close", "reset"), 13: ("config", "key-lost")}.get(seq, ("mute", ""))

    first = keyed_life((0, 10))
    rows = [fields(seq, 1000 * seq, *event(seq)) for seq in range(11, 41)]
    second = seal_all(rows, key=KEY[::-1], prev=first[-1][40:52])
    assert judge(first + second, keys=KEYS) == [(CANNOT_JUDGE, 11, 40)]
    assert judge(first + second, keys=(*KEYS, PairedKey(KEY[::-1], 4, 11))) == [(INTACT, 1, 40)]
    assert judge(first + second, keys=(*KEYS, PairedKey(KEY[::-1], 4, 31))) == [(CANNOT_JUDGE, 11, 30)]
    silent = seal_all([fields(seq, 1000 * seq, "mute") for seq in range(11, 41)], key=KEY[::-1], prev=first[-1][40:52])
    assert judge(first + silent, keys=KEYS) == [(ALTERED, 11, 40)]


def test_first_key_that_leads_to_a_later_one_is_kept():
    save_key(BOARD, PairedKey(KEY).at(3), 3, 3019)
    save_key(BOARD, PairedKey(KEY).at(5), 5, 5031)
    assert read_keys(BOARD) == (PairedKey(PairedKey(KEY).at(3), 3, 3019),)
    assert key_at(BOARD, 7) == PairedKey(KEY).at(7)
    assert key_at(BOARD, 2) is None
    save_key(BOARD, KEY, 0, 1)  # an earlier one of the same: it leads to all of them
    assert read_keys(BOARD) == (PairedKey(KEY),)
    save_key(BOARD, bytes(32), 9, 9000)
    assert read_keys(BOARD) == (PairedKey(KEY), PairedKey(bytes(32), 9, 9000))
    assert key_at(BOARD, 9) == bytes(32)
    assert key_at("ffff", 0) is None
    assert PairedKey(KEY).at(1 << 31) is None  # what a board may say, and nobody computes


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
    longer = make_code(1 << 35, bytes(12))  # than any record's
    for text in ("", "hello", "1-2", "U" * 12, longer, "J5" * 4000, make_code(1, bytes(12)) + " " * 100):
        with pytest.raises(UserError, match="no anchor code") as raised:
            parse_code(text)
        assert len(str(raised.value)) < 200
