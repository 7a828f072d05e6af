# SPDX-License-Identifier: MIT
# Runs on MicroPython: the firmware's whole gate over samples. Arguments: network file, "gate" or "always", "features"
# or "outputs", energy on and off thresholds (Q8) and hang-over in hops, or nothing for the firmware's own.
# Writes records of 12 bytes for each inference, and 84 bytes before them for each hop that has features; see score.py.
import struct
import sys

import mp_hops
from lid.gate import model_file
from lid.gate.detector import Detector

_BLOCK = 1 << 15


def main():
    detector = Detector(model_file.load(sys.argv[1]))
    detector.energy_gate = sys.argv[2] == "gate"
    features = sys.argv[3] == "features"
    if len(sys.argv) > 4:
        detector.energy.configure(*[int(word) for word in sys.argv[4:7]])
    write = sys.stdout.buffer.write
    out = bytearray(_BLOCK)
    view = memoryview(out)
    used = 0
    push = detector.push
    pack = struct.pack_into
    for hop, samples in enumerate(mp_hops.hops()):
        count = push(samples)
        if features and detector.column:
            pack("<I", out, used, hop | 0x80000000)
            pack("<40H", out, used + 4, *detector.frontend.features)
            used += 84
        for i in range(count):
            pack(
                "<I4BhH", out, used, hop - detector.ages[i], detector.probs[i], detector.means_q8[i], detector.hits[i],
                detector.gates[i], detector.levels_q8[i], 0,
            )  # fmt: skip
            used += 12
        if used > _BLOCK - 256:
            write(view[:used])
            used = 0
    write(view[:used])


main()
