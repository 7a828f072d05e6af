# SPDX-License-Identifier: MIT
# Runs on MicroPython and on CPython alike: mutated lines must never decode to a body that was not sent, nor raise.
# argv: seed, rounds.
import random
import sys

from lid import record, wire

seed, rounds = int(sys.argv[1]), int(sys.argv[2])
random.seed(seed)


def body(i):
    fields = [
        i + 1, 1, i * 1000, record.EVENTS[i % 12], record.REASONS[i % 40], i % 256, 0, 3000 + i,
        3300, 3290, 1763780000000 + i, 20, i, 2,
    ]  # fmt: skip
    slot, _ = record.seal(bytes(32), b"\0" * 12, record.make_body(fields))
    return {"rec": record.slot_to_wire(slot)}


sent = [body(i) for i in range(20)]
lines = [wire.encode(i, sent[i]) for i in range(20)]
good = wrong = 0
for n in range(rounds):
    line = bytearray(lines[n % 20])
    kind = random.getrandbits(3)
    at = random.getrandbits(16) % len(line)
    if kind < 3:
        for _ in range(1 + kind):
            line[random.getrandbits(16) % len(line)] ^= 1 << random.getrandbits(3)
    elif kind == 3:
        line = line[:at] + lines[(n + 1) % 20]  # cut, and the next one begins
    elif kind == 4:
        line = line[:at] + b'Traceback (most recent call last):\r\n>>> #3 {"x":1}*00000000' + line[at:]
    elif kind == 5:
        line = line[:at] + line[at + 1 + random.getrandbits(4) :]
    elif kind == 6:
        line = line[:at] + line[at:] + line[at:]
    else:
        line = bytearray(random.getrandbits(8) for _ in range(100)) + line
    decoder = wire.Decoder(wire.HOST_LINE_MAX)
    found = decoder.feed(bytes(line)) + decoder.feed(b"\n")
    for _, got in found:
        if got in sent:
            good += 1
        else:
            wrong += 1
            print("forged:", bytes(line), got)
        if "rec" in got:
            try:
                record.wire_to_slot(got["rec"])
            except ValueError:
                pass
print("rounds", rounds, "good", good, "wrong", wrong)
