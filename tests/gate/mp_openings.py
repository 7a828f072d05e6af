# SPDX-License-Identifier: MIT
# Runs on MicroPython: gate and policy over a room's samples on standard input, with a host that interrupts. Arguments:
# network file; JSON file: settings; events as [hop, what, hops lost meanwhile]; "truth", a file with the output that the network
# gives for each hop, instead of its own. A network just reset then says 255 for as long as its outputs must not count.
# Writes JSON: hops, scores and reasons of openings and near misses; hops of hits; the cutoff.
import json
import sys

import mp_hops
from lid import config, policy
from lid.gate import model_file
from lid.gate.detector import Detector
from lid.gate.wakeword import WakeWord
from lid.hearing import Hearing

_COLD_COLUMNS = 100
_COUNT = 6  # of layers, in what the network unpacks


class Board:
    listening = False
    microphone_fault = None

    def start_microphone(self):
        pass

    stop_microphone = start_microphone


class Recorder:
    def append(self, *fields):
        pass


class ScriptedDetector(Detector):
    # The real gate around a network whose arithmetic is replaced by a script.
    def __init__(self, layout, truth):
        super().__init__(layout)
        self.truth = truth
        self.now = 0
        network = self.network
        network._logits = bytes(range(256))
        self.fed = 0
        reset = network.reset

        def reset_and_count():
            reset()
            self.fed = 0

        network.reset = reset_and_count
        network.infer = self.infer
        self._parts = parts = list(self._parts)
        parts[-1] = self.infer

    def infer(self, columns):
        network = self.network
        self.fed += network.stride
        network._parts = parts = list(network._parts)
        parts[_COUNT] = 0  # no layer runs
        said = 255 if self.fed <= _COLD_COLUMNS else self.truth[self.now]
        for at in network._logits_at:  # both are the script's
            network._arena[at] = said
        WakeWord.infer(network, columns)


def main():
    with open(sys.argv[2]) as file:
        arguments = json.load(file)
    settings = config.check(arguments["settings"])
    layout = model_file.load(sys.argv[1])
    if "truth" in arguments:
        with open(arguments["truth"], "rb") as file:
            detector = ScriptedDetector(layout, file.read())
    else:
        detector = Detector(layout)
    events = arguments["events"]
    board, recorder = Board(), Recorder()
    slots = memoryview(bytearray(640))
    found = {"openings": [], "misses": [], "hits": []}
    hearing = lid = None
    muted = False
    deaf = 0

    def start():
        made = Hearing(board, detector)
        made.configure(settings)
        made._reset()
        made.start()
        return made, policy.Policy(settings, made.cutoff_q8())

    hearing, lid = start()
    for now, samples in enumerate(mp_hops.hops()):
        detector.now = now
        while events and events[0][0] <= now:
            _, what, lost = events.pop(0)
            if what == "close":
                lid.request_close()
            elif what == "mute":
                muted = not muted
            elif what == "restart":
                hearing, lid = start()
                deaf = lost
            elif lid.state == "closed" and not muted:  # probe, self-test, making room
                hearing.stop()
                hearing.start()
                deaf = lost
        if deaf:
            deaf -= 1
            continue
        if arguments.get("at_once"):
            lid.request_close()
        if not muted:
            for i in range(160):
                slots[4 * i + 2] = samples[2 * i]
                slots[4 * i + 3] = samples[2 * i + 1]
            hearing.slots[:] = slots
            hearing.push(recorder, now, 10, 10)
        action = lid.step(now, muted, False, not muted and hearing.hit, hearing.score, hearing.quiet)
        if not muted and hearing.hit:
            found["hits"].append(now)
        if action == policy.OPEN:
            found["openings"].append((now, lid.peak, lid.reason))
        elif action == policy.NEAR_MISS:
            found["misses"].append((now, lid.peak, lid.reason))
        elif action == policy.MUTE:
            hearing.stop()
        elif action == policy.UNMUTE:
            hearing.start()
    found["cutoff_q8"] = hearing.cutoff_q8()
    print(json.dumps(found))


try:
    main()
except Exception as error:
    sys.print_exception(error, sys.stderr)
    sys.exit(1)
