# SPDX-License-Identifier: MIT
"""The codec: no bytes crash a decoder, and none pass that were not sent."""

import binascii
import hashlib
import hmac
import os
import re
import subprocess
import sys
from pathlib import Path

import lid
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lid import record, wire

FIRMWARE = Path(lid.__file__).parent.parent
FUZZ = Path(__file__).parent / "wire_fuzz.py"
MICROPYTHON = [str(Path(sys.executable).parent / "micropython")]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**48), 2**48) | st.text(st.characters(codec="ascii"), max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(st.characters(codec="ascii"), max_size=8), inner),
    max_leaves=12,
)
bodies = st.dictionaries(st.sampled_from(["id", "do", "rec", "tm", "re", "x"]), json_values, max_size=4)
fields = st.tuples(
    *(
        st.sampled_from(record.EVENTS)
        if name == "event"
        else st.sampled_from(record.REASONS)
        if name == "reason"
        else st.integers(0, limit)
        for name, limit in zip(record.FIELDS, record.LIMITS, strict=True)
    )
)


@given(seq=st.integers(0, 999999), body=bodies)
def test_encoded_message_decodes_to_the_same(seq, body):
    line = wire.encode(seq, body)
    assert re.fullmatch(rb"#\d{1,6} [ -~]*\*[0-9a-f]{8}\n", line)
    assert wire.decode(line[:-1]) == (seq, body)


@given(noise=st.binary(max_size=3000), cuts=st.lists(st.integers(1, 50), max_size=20))
def test_random_bytes_never_crash_the_decoder_or_pass_as_a_line(noise, cuts):
    decoder = wire.Decoder(200)
    at = 0
    for cut in [*cuts, len(noise)]:
        assert decoder.feed(noise[at : at + cut]) == []
        at += cut


@given(noise=st.binary(max_size=300), body=bodies, seq=st.integers(0, 999999))
def test_line_after_noise_and_a_newline_is_decoded(noise, body, seq):
    line = wire.encode(seq, body)
    decoder = wire.Decoder(4096)
    assert decoder.feed(noise + b"\n" + line)[-1] == (seq, body)


@given(noise=st.binary(max_size=60).filter(lambda b: b"\n" not in b), body=bodies)
def test_line_after_a_cut_line_is_decoded(noise, body):
    """A board reset in mid-line: the next line begins on the same one."""
    decoder = wire.Decoder(4096)
    found = decoder.feed(b'#5 {"rec":[1,2' + noise + wire.encode(1, body))
    assert found[-1:] == [(1, body)]


@given(fields)
def test_record_is_the_same_in_flash_and_on_the_wire(values):
    body = record.make_body(values)
    assert len(body) == record.BODY_BYTES
    assert tuple(record.read_body(body)) == values
    key, prev = os.urandom(32), os.urandom(12)
    slot, link = record.seal(key, prev, body)
    assert len(slot) == record.SLOT_BYTES
    assert record.slot_is_whole(slot)
    assert record.wire_to_slot(record.slot_to_wire(slot)) == slot
    # Python's own hmac is the oracle for ours.
    assert slot[52:60] == hmac.new(key, prev + body, "sha256").digest()[:8]
    assert link == slot[40:52] == hashlib.sha256(prev + body + slot[52:60]).digest()[:12]


@given(row=json_values)
def test_malformed_record_is_a_value_error(row):
    with pytest.raises(ValueError, match="not a record"):
        record.wire_to_slot(row)


@given(fields, st.integers(0, 13), st.one_of(st.integers(), st.text(), st.none(), st.floats(), st.booleans()))
def test_changed_field_is_refused_or_read_back(values, at, other):
    slot, _ = record.seal(bytes(32), bytes(12), record.make_body(values))
    row = record.slot_to_wire(slot)
    row[at] = other
    try:
        again = record.wire_to_slot(row)
    except ValueError:
        return
    assert record.slot_to_wire(again)[at] == other
    assert type(other) in (int, str)


def test_flipped_bit_of_a_slot_fails_its_checksum():
    slot, _ = record.seal(bytes(32), bytes(12), record.make_body([1, 1, 1, "open", "word", 1, 0, 1, 1, 1, 1, 1, 1, 1]))
    for bit in range(512):
        torn = bytearray(slot)
        torn[bit // 8] ^= 1 << bit % 8
        assert not record.slot_is_whole(bytes(torn))


@settings(max_examples=50)
@given(st.integers(1, 10000))
def test_deep_nesting_is_a_value_error(depth):
    text = b"1 " + b"[" * depth
    line = b"#" + text + b"*%08x" % binascii.crc32(text)
    with pytest.raises(ValueError, match=r"json|frame"):
        wire.decode(line)


@pytest.mark.parametrize(
    ("interpreter", "rounds"),
    [pytest.param(MICROPYTHON, 20000, id="micropython"), pytest.param([sys.executable], 20000, id="cpython")],
)
def test_mutated_lines_are_never_accepted(interpreter, rounds, seed):
    check_fuzz(interpreter, rounds, seed)


@pytest.mark.soak
@pytest.mark.parametrize("interpreter", [MICROPYTHON, [sys.executable]], ids=["micropython", "cpython"])
def test_a_million_mutated_lines_are_never_accepted(interpreter, seed):
    check_fuzz(interpreter, 1000000, seed)


def check_fuzz(interpreter, rounds, seed):
    done = subprocess.run(
        [*interpreter, str(FUZZ), str(seed), str(rounds)],
        env={**os.environ, "MICROPYPATH": str(FIRMWARE), "PYTHONPATH": str(FIRMWARE)},
        capture_output=True,
        text=True,
        check=False,
    )
    print(f"seed {seed}: {done.stdout.strip()}")
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    counts = dict(re.findall(r"(\w+) (\d+)", done.stdout.splitlines()[-1]))
    assert counts["wrong"] == "0", f"seed {seed}: {done.stdout}"
    assert int(counts["good"]) > rounds // 10, f"seed {seed}: hardly any good line came through"
