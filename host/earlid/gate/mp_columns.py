# SPDX-License-Identifier: MIT
# Runs on MicroPython: the firmware's network over columns of features that are bytes already. Arguments: network file, decision.
# Writes 3 bytes for each inference: the network's output, and what its score is made of (0 while it is cold).
import struct
import sys

from lid.gate import model_file
from lid.gate.columns import COLUMN_BYTES
from lid.gate.wakeword import WakeWord

_INFERENCES = 256  # columns of so many inferences are read at once
_SUM, _TOTAL = 0, 2  # see lid/gate/smoothing.py


def main():
    network = WakeWord(model_file.load(sys.argv[1]))
    network.decide(int(sys.argv[2]), 0)
    columns = bytearray(network.stride * COLUMN_BYTES)
    size = len(columns)
    block = bytearray(size * _INFERENCES)
    view = memoryview(block)
    out = bytearray(3 * _INFERENCES)
    shown = memoryview(out)
    infer, pack = network.infer, struct.pack_into
    state, at_total = (network._fused_state, _TOTAL) if network.decision else (network._mean_state, _SUM)
    read = sys.stdin.buffer.readinto
    filled = 0
    while True:
        count = read(view[filled:])
        filled += count or 0
        used = 0
        at = 0
        for at in range(0, filled - size + 1, size):
            columns[:] = view[at : at + size]
            infer(columns)
            pack("<BH", out, used, network.prob, state[at_total] if network.mean_q8 >= 0 else 0)
            used += 3
        sys.stdout.buffer.write(shown[:used])
        rest = filled % size
        view[:rest] = view[filled - rest : filled]
        filled = rest
        if not count:
            return


main()
