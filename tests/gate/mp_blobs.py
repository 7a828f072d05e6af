# SPDX-License-Identifier: MIT
# Runs on MicroPython: reads network files from standard input, each after its length in 4 bytes, and writes for each one
# what became of it in one line: the text of the ValueError, or the outputs over a few columns.
import io
import struct
import sys
from array import array

from lid.gate import weights
from lid.gate.columns import empty, push_column
from lid.gate.model_file import Layout
from lid.gate.wakeword import WakeWord

read = sys.stdin.buffer.read
while True:
    head = read(4)
    if len(head) < 4:
        break
    data = bytearray(read(struct.unpack("<I", head)[0]))
    try:
        network = WakeWord(Layout(weights.read(io.BytesIO(data), len(data))))
        network.decide(1, 0)  # its look too, if it has one
        columns, state = empty(network.stride, network.feature_scale)
        outputs = []
        for i in range(12):
            column = array("H", [(i * 97 + k * 13) % 660 for k in range(40)])
            if push_column(0, column, columns, state) == network.stride:
                network.infer(columns)
                outputs.append(network.prob)
        print("ran", outputs)
    except ValueError as error:
        print("ValueError", repr(str(error)))
