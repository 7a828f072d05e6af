# SPDX-License-Identifier: MIT
# Runs on MicroPython: the firmware's whole gate over samples. Arguments: network file, "features" or "outputs", decision.
# Writes records of 12 bytes for each inference, and 84 bytes before them for each hop that has features; see score.py.
import struct
import sys

import mp_hops
from lid.gate import model_file
from lid.gate.activity import LEVEL_SHIFT
from lid.gate.detector import Detector

_BLOCK = 1 << 15
_TOTAL = 2  # of a look's state, see lid/gate/smoothing.py


def main():
    detector = Detector(model_file.load(sys.argv[1]))
    features = sys.argv[2] == "features"
    detector.network.decide(int(sys.argv[3]), 0)  # as at a start
    write = sys.stdout.buffer.write
    out = bytearray(_BLOCK)
    view = memoryview(out)
    used = 0
    push = detector.push
    pack = struct.pack_into
    network = detector.network
    mean_state = network._mean_state
    for hop, samples in enumerate(mp_hops.hops()):
        ran = push(samples)
        if features and detector.column:
            pack("<I", out, used, hop | 0x80000000)
            pack("<40H", out, used + 4, *detector.features)
            used += 84
        if ran:
            total, _, outputs, _, needed = mean_state
            if network.decision:
                total = network._fused_state[_TOTAL]
            mean = total if outputs == needed else 0
            mean_q8 = max(0, network.mean_q8)
            pack("<I4BhH", out, used, hop, network.prob, mean_q8, network.hit, 0, detector.activity >> LEVEL_SHIFT, mean)
            used += 12
        if used > _BLOCK - 256:
            write(view[:used])
            used = 0
    write(view[:used])


main()
