# SPDX-License-Identifier: MIT
# Runs on MicroPython: samples on standard input -> what follow() returns for each column, 32 bits.
import sys

from lid.gate.activity import STATE_BYTES, follow
from lid.gate.frontend import Frontend
from mp_hops import hops

state = bytearray(STATE_BYTES)
frontend = Frontend()
for hop in hops():
    if frontend.push(hop):
        found = follow(0, 0, frontend.features, frontend.sums, state, frontend.shift)
        sys.stdout.buffer.write(found.to_bytes(4, "little"))
