# SPDX-License-Identifier: MIT
# Runs on MicroPython: one part of the gate over samples from standard input. Arguments: part (read, frontend, network,
# detector, heap), network file. `network` is behind a frontend, which it needs. Prints bytes for heap only.
import gc
import sys

import mp_hops
from lid.gate import model_file
from lid.gate.detector import Detector
from lid.gate.frontend import Frontend
from lid.gate.wakeword import WakeWord


def heap(path):
    gc.collect()
    before = gc.mem_alloc()
    kept = Detector(model_file.load(path))
    gc.collect()
    print(gc.mem_alloc() - before, kept.name)


def network(path):
    return Frontend(WakeWord(model_file.load(path))).push


def run(part, path):
    if part == "heap":
        heap(path)
        return
    push = {
        "read": lambda: lambda hop: None,
        "frontend": lambda: Frontend().push,
        "network": lambda: network(path),
        "detector": lambda: Detector(model_file.load(path)).push,
    }[part]()
    for hop in mp_hops.hops():
        push(hop)


run(sys.argv[1], sys.argv[2])
