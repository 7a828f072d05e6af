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
_UNREAD = 1  # of the ring's state, see lid/gate/feature_ring.py
_REMEMBERED = 128  # hops, more than the ring has columns


class LoggedDetector(Detector):
    # Keeps what each inference of a push said, with how many hops ago its newest column came.
    def infer(self):
        super().infer()
        network = self.network
        total, _, outputs, _, needed = network._mean_state
        self.log.append((self._state[_UNREAD], network.prob, network.mean_q8, network.hit, total if outputs == needed else 0))


def main():
    detector = LoggedDetector(model_file.load(sys.argv[1]))
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
    decisions = [(0, 0)] * _REMEMBERED
    for hop, samples in enumerate(mp_hops.hops()):
        detector.log = []
        push(samples)
        decisions[hop % _REMEMBERED] = detector.energy_log2_q8, detector.gate_open
        if features and detector.column:
            pack("<I", out, used, hop | 0x80000000)
            pack("<40H", out, used + 4, *detector.frontend.features)
            used += 84
        for age, prob, mean_q8, hit, total in detector.log:
            energy_log2_q8, gate_open = decisions[(hop - age) % _REMEMBERED]
            pack("<I4BhH", out, used, hop - age, prob, max(0, mean_q8), hit, gate_open, energy_log2_q8, total)
            used += 12
        if used > _BLOCK - 256:
            write(view[:used])
            used = 0
    write(view[:used])


main()
