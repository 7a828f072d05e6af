# SPDX-License-Identifier: MIT
"""The line reader: equal to `lid.wire.Decoder`, and no damaged line ever becomes a record."""

from __future__ import annotations

import json
import random

import pytest
from earlid.board.framing import LineReader
from lid import record, wire

from tests.board.fake_board import seal_records


def mutate(rng: random.Random, line: bytes, other: bytes) -> bytes:
    """A line damaged in one of six ways, as on a serial cable."""
    damaged = bytearray(line)
    kind = rng.randrange(6)
    if kind == 0:  # bits
        for _ in range(rng.randrange(1, 9)):
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    elif kind == 1:  # a byte that never came
        del damaged[rng.randrange(len(damaged))]
    elif kind == 2:  # cut short, the next line glued on
        damaged = damaged[: rng.randrange(len(damaged))] + other
    elif kind == 3:  # a burst
        at = rng.randrange(len(damaged))
        damaged[at : at + rng.randrange(1, 40)] = rng.randbytes(rng.randrange(40))
    elif kind == 4:  # two neighbours swapped
        at = rng.randrange(len(damaged) - 1)
        damaged[at], damaged[at + 1] = damaged[at + 1], damaged[at]
    else:  # one printable character for another
        damaged[rng.randrange(len(damaged))] = rng.randrange(32, 127)
    return bytes(damaged)


@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=pytest.mark.soak)])
def test_mutated_frames_never_become_records(count):
    seed = 20261122
    rng = random.Random(seed)
    rows = [record.slot_to_wire(slot) for slot in seal_records("00112233aabbccdd", 200)]
    lines = [wire.encode(i, {"rec": row}) for i, row in enumerate(rows)]
    valid = {json.dumps(row) for row in rows}
    reader = LineReader(wire.HOST_LINE_MAX)
    forged = decoded = 0
    for i in range(0, count, 50):
        stream = b"".join(mutate(rng, rng.choice(lines), rng.choice(lines)) for _ in range(50)) + b"\n"
        for _, body in reader.feed(stream):
            decoded += 1
            forged += json.dumps(body.get("rec")) not in valid
        assert forged == 0, f"seed {seed}, near frame {i}"
    # A frame glued behind a cut one is whole: those come through, which shows that the reader was at work.
    assert decoded > count // 20


@pytest.mark.parametrize("seed", range(20))
def test_line_reader_equals_the_decoder(seed):
    rng = random.Random(seed)
    stream = bytearray()
    for i in range(60):
        line = wire.encode(i, {"tm": {"ms": i, "text": "#" * rng.randrange(3)}})
        if rng.random() < 0.2:
            at = rng.randrange(len(line))
            line = line[:at] + bytes([rng.randrange(256)]) + line[at + 1 :]
        if rng.random() < 0.1:
            line = line[: rng.randrange(len(line))]
        if rng.random() < 0.2:
            line = bytes(rng.randrange(256) for _ in range(rng.randrange(200))) + line
        stream += line
        if rng.random() < 0.1:
            stream += b">>> \r\nTraceback (most recent call last):\r\n"
    stream += b"\n"
    plain, fast = wire.Decoder(100), LineReader(100)
    expected = plain.feed(stream)
    frames = []
    at = 0
    while at < len(stream):
        size = rng.randrange(1, 300)
        frames += fast.feed(bytes(stream[at : at + size]))
        at += size
    assert frames == expected, f"seed {seed}"
    assert (fast.noise_bytes, fast.bad_lines) == (plain.noise_bytes, plain.bad_lines), f"seed {seed}"
