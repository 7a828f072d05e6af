# SPDX-License-Identifier: MIT
# Runs on MicroPython: what stays in memory of what was heard. Arguments: network file, setting `decision`. Every buffer that
# can be reached from the App is followed while it hears; each byte that ever changed is filled with a pattern, and must be as
# before the first sound once that was erased. Prints JSON: the buffers that changed, with their bytes that are not 0 before
# the first sound; for each occasion the buffers in which something stayed.
import json
import sys
from array import array

from lid import config, mic_probe, policy
from lid.app import App
from lid.gate import model_file
from lid.gate.detector import Detector
from lid.journal import NoJournal

PATTERN = 0xA5
HOPS = 400


class Rail:
    mv = live = 0

    def __getattr__(self, name):
        return lambda *arguments: 0


class Board:
    # A board of nothing, but for its sound.
    rail = Rail()
    listening = guarding = False
    microphone_fault = None
    seed = 1

    def __getattr__(self, name):
        return lambda *arguments: 0

    def random_bytes(self, count):
        return bytes(count)

    def wait_hop(self, slots):
        loud = 6 if self.seed & 0x1F0000 else 12
        for i in range(0, len(slots), 4):
            self.seed = (self.seed * 1103515245 + 12345) & 0x3FFFFFFF
            value = (self.seed >> 14) - 32768 >> loud - 6 & 0xFFFF
            slots[i + 2] = value & 255
            slots[i + 3] = value >> 8
        return True


def walk(thing, path, buffers, done):
    if isinstance(thing, (bytearray, array)):
        if not any(thing is other for other in buffers.values()):
            buffers[path] = thing
    elif isinstance(thing, (tuple, list)):
        for i, part in enumerate(thing):
            walk(part, path + "[" + str(i) + "]", buffers, done)
    elif hasattr(thing, "__dict__") and not isinstance(thing, type) and not any(thing is other for other in done):
        done.append(thing)
        for name, value in sorted(thing.__dict__.items(), key=lambda item: item[0] == "_parts"):  # other names first
            walk(value, path + "." + name, buffers, done)


def words_of(buffer):
    # An array's items; negative ones as they are in memory make no difference: they are only compared.
    return [buffer[i] for i in range(len(buffer))]


def main():
    board = Board()
    settings = config.check({"decision": int(sys.argv[2])})  # 0: its mean takes in what a cold network says, which is not 0
    app = App(board, NoJournal("0" * 16, board.random_bytes), settings, Detector(model_file.load(sys.argv[1])))
    app.journal.make_room = lambda record_lost: None
    hearing = app.hearing
    hearing.start()
    buffers = {}
    walk(app, "app", buffers, [])
    fresh = {path: words_of(buffer) for path, buffer in buffers.items()}
    changed = {path: set() for path in buffers}

    def hear(hops):
        for hop in range(hops):
            board.wait_hop(hearing.slots)
            hearing.push(app.recorder, hop, 10, 10)
            if hop % 9 == 0 or hop > hops - 4:
                for path, buffer in buffers.items():
                    before, places = fresh[path], changed[path]
                    for i, value in enumerate(words_of(buffer)):
                        if value != before[i]:
                            places.add(i)

    hear(HOPS)

    def stays():
        return [path for path, buffer in buffers.items() if any(buffer[i] != fresh[path][i] for i in changed[path])]

    def fill():
        for path, places in changed.items():
            for i in places:
                buffers[path][i] = PATTERN

    occasions = {
        "mute": lambda: app._act(policy.MUTE, 0),
        "unmute": lambda: app._act(policy.UNMUTE, 0),
        "fault": lambda: app._act(policy.FAULT, 0),
        "room": app.make_room,
        "probe": lambda: mic_probe.run(board, hearing, mic_probe.SHORTEST_MS),
    }
    left = {}
    for name, occasion in occasions.items():
        hear(40)
        fill()
        assert stays()
        occasion()
        left[name] = stays()
        if left[name]:
            break  # kernels must not run over the pattern
        hearing.start()
    heard = {path: sum(fresh[path][i] != 0 for i in places) for path, places in changed.items() if places}
    print(json.dumps({"heard": heard, "left": left}))


try:
    main()
except Exception as error:
    sys.print_exception(error, sys.stderr)
    sys.exit(1)
