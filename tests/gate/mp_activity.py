# SPDX-License-Identifier: MIT
# Runs on MicroPython: samples on standard input -> what follow() said for each column, 32 bits.
import sys

from lid.gate.frontend import Frontend
from mp_hops import hops

frontend = Frontend()
for hop in hops():
    if frontend.push(hop):
        sys.stdout.buffer.write(frontend.activity.to_bytes(4, "little"))
