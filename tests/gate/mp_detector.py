# SPDX-License-Identifier: MIT
# Runs on MicroPython: what the detector costs in memory. Arguments: network file. Standard input: samples. Writes the
# bytes of heap it holds, the bytes that 10,000 hops allocated once warm, and the most inferences in one hop.
import gc
import sys

gc.collect()
before = gc.mem_alloc()
from lid.gate import model_file  # noqa: E402
from lid.gate.detector import Detector  # noqa: E402

gc.collect()
modules = gc.mem_alloc() - before
before = gc.mem_alloc()
detector = Detector(model_file.load(sys.argv[1]))
gc.collect()
held = gc.mem_alloc() - before

data = sys.stdin.buffer.read()
hops = [bytearray(data[at : at + 320]) for at in range(0, len(data) - 319, 320)]
most = inferences = openings = start = grown = 0
was_open = False


def run(times):
    global most, inferences, openings, was_open
    for i in range(times):
        count = detector.push(hops[i % len(hops)])
        inferences += count
        if count > most:
            most = count
        if detector.gate_open and not was_open:
            openings += 1
        was_open = detector.gate_open


run(len(hops))
gc.collect()
gc.disable()
start = gc.mem_alloc()
run(5000)
detector.energy_gate = False
run(5000)
grown = gc.mem_alloc() - start
print(held, grown, most, inferences, openings, modules)
