# SPDX-License-Identifier: MIT
# Runs on MicroPython: columns of 40 uint16 features in, one output byte an inference out. Arguments: network file.
import sys
from array import array

from lid.gate import model_file
from lid.gate.columns import empty, push_column
from lid.gate.wakeword import WakeWord

network = WakeWord(model_file.load(sys.argv[1]))
columns, state = empty(network.stride, network.feature_scale)
column = array("H", bytes(80))
out = bytearray()
while sys.stdin.buffer.readinto(column) == 80:
    if push_column(0, column, columns, state) == network.stride:
        network.infer(columns)
        out.append(network.prob)
sys.stdout.buffer.write(out)
