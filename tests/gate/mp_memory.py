# SPDX-License-Identifier: MIT
# Runs on MicroPython: bytes that 10,000 hops leave behind once warm, for each part of the gate that takes hops.
import gc

from lid.gate.activity import STATE_BYTES, follow
from lid.gate.frontend import Frontend
from lid.gate.pcm import PcmInput


def noise(count, bits):
    out = bytearray(count)
    state = 1
    for i in range(count):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        out[i] = state >> 16 & bits
    return out


def left_behind(push, buffers):
    for i in range(100):
        push(buffers[i % 7])
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for i in range(10000):
        push(buffers[i % 7])
    after = gc.mem_alloc()
    gc.enable()
    return after - before


pcm = [noise(320, 255 if i % 2 else 3) for i in range(7)]
slots = [noise(640, 255 if i % 2 else 3) for i in range(7)]
pcm_input = PcmInput(4096)


def with_extremes(buffer):
    pcm_input.push(buffer)
    return pcm_input.low() + pcm_input.high()


state = bytearray(STATE_BYTES)
sums = bytearray(320)


def activity(features):
    follow(0, 0, features, sums, state, 3)


print(left_behind(Frontend().push, pcm), left_behind(with_extremes, slots), left_behind(activity, pcm))
print(left_behind(lambda hop: bytearray(8), pcm))
