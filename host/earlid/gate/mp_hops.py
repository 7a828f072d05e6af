# SPDX-License-Identifier: MIT
# Runs on MicroPython: the one way in which the gate's scripts read samples.
import sys

_HOP_BYTES = 320
_HOPS_AT_ONCE = 100


def hops():
    # Yields one buffer of 160 samples, the same each time, until standard input ends. A last partial hop is dropped.
    block = bytearray(_HOP_BYTES * _HOPS_AT_ONCE)
    view = memoryview(block)
    hop = bytearray(_HOP_BYTES)
    read = sys.stdin.buffer.readinto
    filled = 0
    while True:
        count = read(view[filled:])
        filled += count or 0
        whole = filled // _HOP_BYTES * _HOP_BYTES
        for at in range(0, whole, _HOP_BYTES):
            hop[:] = view[at : at + _HOP_BYTES]
            yield hop
        filled -= whole
        view[:filled] = view[whole : whole + filled]
        if not count:
            return
