# SPDX-License-Identifier: MIT
# Runs on MicroPython: blocks of 160 I2S slots on standard input -> per block the hop, then low, high, clipped, alike.
import sys

from lid.gate.pcm import PcmInput

pcm_input = PcmInput(int(sys.argv[1]))
while True:
    slots = sys.stdin.buffer.read(640)
    if len(slots) < 640:
        break
    sys.stdout.buffer.write(pcm_input.push(slots))
    for value in (pcm_input.low(), pcm_input.high(), pcm_input.clipped, pcm_input.liveness):
        sys.stdout.buffer.write((value + (1 << 31)).to_bytes(4, "little"))
