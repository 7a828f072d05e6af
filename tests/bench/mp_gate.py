# Runs on MicroPython: one part of the gate over samples from standard input. Arguments: part (read, frontend, network,
# detector, heap), network file. Prints the microseconds that the part's own loop took, or for heap its bytes.
import gc
import sys
import time

import mp_hops
from lid.gate import blob
from lid.gate.detector import Detector
from lid.gate.frontend import Frontend
from lid.gate.wakeword import WakeWord


def run(part, path):
    if part == "heap":
        gc.collect()
        before = gc.mem_alloc()
        kept = Detector(blob.load(path))
        gc.collect()
        print(gc.mem_alloc() - before, kept.name)
        return
    push = None
    if part == "frontend":
        push = Frontend().push
    elif part == "detector":
        ear = Detector(blob.load(path))
        ear.energy_gate = False
        push = ear.push
    elif part == "gated":
        push = Detector(blob.load(path)).push
    elif part == "network":
        network = WakeWord(blob.load(path))
        frontend = Frontend()
        columns = []
        for hop in mp_hops.hops():
            if frontend.push(hop):
                columns.append(bytes(frontend.features))
        begun = time.ticks_us()
        for column in columns:
            network.push(column)
        print(time.ticks_us() - begun)
        return
    begun = time.ticks_us()
    for hop in mp_hops.hops():
        if push:
            push(hop)
    print(time.ticks_us() - begun)


run(sys.argv[1], sys.argv[2])
