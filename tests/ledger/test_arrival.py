# SPDX-License-Identifier: MIT
"""What is accepted on arrival: all of a board's own history, and nothing that its key or its links do not vouch for."""

from __future__ import annotations

from earlid.ledger.arrival import NOT_LINKED, Arrival
from earlid.ledger.keys import EPOCHS_MAX, PairedKey
from hypothesis import given
from hypothesis import strategies as st
from lid import record

from tests.ledger.synthetic_chains import BOARD, KEY, fields, seal_all

FOREIGN = bytes(range(100, 132))


def sealed(counts, *, first=1, first_epoch=0, prev=None, key=KEY):
    """Records, so many under each next key."""
    slots: list[bytes] = []
    for epoch, count in enumerate(counts, first_epoch):
        rows = [fields(first + len(slots) + i, 10 * i, "mute") for i in range(count)]
        slots += seal_all(rows, key=PairedKey(key).at(epoch), prev=slots[-1][40:52] if slots else prev)
    return slots


def number(slot):
    return record.read_body(slot[:40])[0]


def take(arrival, slots):
    """How many are accepted, and why the next is not."""
    for i, slot in enumerate(slots):
        if why := arrival.take(number(slot), slot):
            return i - arrival.waiting, why
    return len(slots) - arrival.waiting, ""


histories = st.lists(st.integers(63, 150), min_size=1, max_size=5)


@given(histories, st.data())
def test_whole_history_of_a_paired_board_is_accepted_from_anywhere(counts, data):
    slots = sealed(counts)
    epoch = data.draw(st.integers(0, len(counts) - 1))
    paired = PairedKey(PairedKey(KEY).at(epoch), epoch, 1 + sum(counts[:epoch]))
    start = data.draw(st.integers(0, len(slots) - 1))
    known = data.draw(st.booleans()) or start == len(slots) - 1
    link = slots[start - 1][40:52] if start else record.genesis(BOARD)
    said = data.draw(st.sampled_from([0, len(counts) - 1]))  # an export does not say
    arrival = Arrival((paired,), link if known else None, said)
    assert take(arrival, slots[start:]) == (len(slots) - start, "")
    assert arrival.marked


@given(histories, st.data())
def test_nothing_made_without_the_key_is_accepted(counts, data):
    slots = sealed(counts)
    at = data.draw(st.integers(0, len(slots) - 1))
    seq = number(slots[at])
    link = slots[at - 1][40:52] if at else record.genesis(BOARD)
    forged = seal_all([fields(seq + i, 5, "unmute") for i in range(data.draw(st.integers(1, 80)))], key=FOREIGN, prev=link)
    epoch = data.draw(st.integers(0, 1 << 32))
    for keys, first in (((PairedKey(KEY),), 0), ((PairedKey(KEY, 0, seq + 40),), at)):  # paired before, and at a later record
        arrival = Arrival(keys, link if first else record.genesis(BOARD), epoch)
        accepted, _ = take(arrival, slots[first:at] + forged)
        assert accepted <= at - first
        assert arrival.waiting or accepted == at - first


def test_record_that_does_not_link_changes_nothing():
    slots = sealed([5])
    arrival = Arrival((), record.genesis(BOARD))
    assert take(arrival, [slots[0], slots[2]]) == (1, NOT_LINKED)
    assert take(arrival, slots[1:]) == (4, "")


def test_numbers_that_began_again_are_accepted_once_the_key_has_sealed_one():
    """The pairing was at record 5000 and epoch 3; the key has gone on to epoch 40 and 44 since."""
    paired = PairedKey(PairedKey(KEY).at(3), 3, 5000)
    slots = sealed([100] * 5, first_epoch=40)
    arrival = Arrival((paired,), record.genesis(BOARD), 44, anew=True)
    assert take(arrival, slots) == (500, "")
    behind = sealed([30], first=501, first_epoch=44, prev=slots[-1][40:52])
    assert take(Arrival((paired,), slots[-1][40:52], 44), behind) == (30, "")
    assert take(Arrival((paired,), slots[-1][40:52], 44), sealed([30], first=501, prev=slots[-1][40:52], key=FOREIGN)) == (0, "")


def test_what_waits_before_a_gap_is_given_up():
    slots = sealed([9, 11])
    arrival = Arrival((PairedKey(PairedKey(KEY).at(1), 1, 10),), None)
    assert [arrival.take(number(slot), slot) for slot in slots[:5]] == [""] * 5
    assert (arrival.waiting, arrival.skip(), arrival.waiting) == (5, 5, 0)
    assert take(arrival, slots[10:]) == (10, "")


def test_epoch_that_no_board_reaches_costs_nothing():
    for epoch in (EPOCHS_MAX + 1, 1 << 32):
        assert PairedKey(KEY).at(epoch) is None
        assert take(Arrival((PairedKey(KEY),), record.genesis(BOARD), epoch), sealed([70])) == (70, "")
