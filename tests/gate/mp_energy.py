# SPDX-License-Identifier: MIT
# Runs on MicroPython: samples on standard input -> for each hop energy, floor (16 bits each) and gate (8 bits).
import sys

from lid.gate.energy import Energy
from mp_hops import hops

gate = Energy(*[int(arg) for arg in sys.argv[1:]])
for hop in hops():
    opened = gate.push(hop)
    for value in (gate.energy_log2_q8, gate.floor_log2_q8):
        sys.stdout.buffer.write(value.to_bytes(2, "little"))
    sys.stdout.buffer.write(b"\1" if opened else b"\0")
