# SPDX-License-Identifier: MIT
# Runs on MicroPython: samples on standard input -> what decide() returns for each hop, 32 bits.
import sys

from lid.gate.energy import EnergyGate, decide, level
from mp_hops import hops

gate = EnergyGate(*[int(arg) for arg in sys.argv[1:]])
for hop in hops():
    sys.stdout.buffer.write(decide(level(0, hop), 0, gate.state).to_bytes(4, "little"))
