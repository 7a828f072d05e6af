# SPDX-License-Identifier: MIT
# Runs on MicroPython: what the detector costs in memory. Arguments: network file. Standard input: samples. Writes the
# bytes of heap it holds, those that 10,000 hops allocated once warm, how many inferences ran, and hops that were active.
import gc
import sys

gc.collect()
before = gc.mem_alloc()
from lid.gate import model_file  # noqa: E402
from lid.gate.activity import ACTIVE  # noqa: E402
from lid.gate.detector import Detector  # noqa: E402

gc.collect()
modules = gc.mem_alloc() - before
before = gc.mem_alloc()
detector = Detector(model_file.load(sys.argv[1]))
gc.collect()
held = gc.mem_alloc() - before

data = sys.stdin.buffer.read()
hops = [bytearray(data[at : at + 320]) for at in range(0, len(data) - 319, 320)]
inferences = active = start = grown = 0


def run(times):
    global inferences, active
    for i in range(times):
        if detector.push(hops[i % len(hops)]):
            inferences += 1
        if detector.activity & ACTIVE:
            active += 1


run(len(hops))
gc.collect()
gc.disable()
start = gc.mem_alloc()
run(10000)
grown = gc.mem_alloc() - start
print(held, grown, inferences, active, modules)
