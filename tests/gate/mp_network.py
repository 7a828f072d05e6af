# SPDX-License-Identifier: MIT
# Runs on MicroPython: columns of 40 uint16 features in, one output byte an inference out. Arguments: network file.
import sys
from array import array

from lid.gate import model_file
from lid.gate.wakeword import WakeWord

network = WakeWord(model_file.load(sys.argv[1]))
column = array("H", bytes(80))
out = bytearray()
while sys.stdin.buffer.readinto(column) == 80:
    if network.push(column):
        out.append(network.prob)
sys.stdout.buffer.write(out)
