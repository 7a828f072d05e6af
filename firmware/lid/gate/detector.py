# SPDX-License-Identifier: MIT
# The whole gate: features, network, and whether somebody may be talking. push() allocates nothing.

from micropython import const

from lid.gate.activity import ACTIVE, LEVEL_SHIFT, STATE_BYTES, TELLING, follow
from lid.gate.arena import fill_words
from lid.gate.feature_ring import pop_columns, push_column
from lid.gate.frontend import Frontend
from lid.gate.wakeword import WakeWord

_PRIMED_AT_ONCE = const(2)  # inferences in one hop: more would not leave time for the hop's other work

# Words of the ring's state, see feature_ring.py
_WRITE = const(0)
_UNREAD = const(1)


class Detector:
    # layout: lid.gate.model_file.Layout
    def __init__(self, layout):
        self.frontend = frontend = Frontend()
        self.network = network = WakeWord(layout)
        self.name = network.name
        self.digest = network.digest
        self._stride = network.stride
        self._ring, self._state = network.new_ring(network.stride)
        self._activity = bytearray(STATE_BYTES)
        # What push() unpacks: cheaper than one attribute after the other, and no method is looked up
        self._parts = frontend.push, frontend.features, frontend.sums, self._activity, self._ring, self._state
        self.reset()

    def configure(self, settings):
        before = self.network.decision
        self.network.decide(settings["decision"], settings["cutoff_q8"])
        if self.network.decision != before:
            self.reset()

    @property
    def cutoff_q8(self):
        return self.network.cutoff_sum // self.network.window

    def reset(self):
        self.frontend.reset()
        self.network.reset()
        fill_words(self._ring, 0, 0, len(self._ring) // 4)
        fill_words(self._activity, 0, 0, STATE_BYTES // 4)
        self._state[_WRITE] = self._state[_UNREAD] = 0
        self.column = False  # the last hop brought a column, in frontend.features
        self.hit = False
        self.prob = 0
        self.mean_q8 = -1  # not known: the network is cold
        self.energy_log2_q8 = 0
        self.active = False  # somebody may be talking
        self.telling = False  # and not active would tell that nobody does

    # hop: 160 signed 16-bit samples. True when the network ran; `hit`: it heard the word
    def push(self, hop):
        push, features, sums, activity, ring, state = self._parts
        self.hit = False
        self.column = column = push(hop)
        if not column:
            return False
        found = follow(0, 0, features, sums, activity, self.frontend.shift)
        self.energy_log2_q8 = found >> LEVEL_SHIFT
        self.active = found & ACTIVE != 0
        self.telling = found & TELLING != 0
        if push_column(0, features, ring, state) < self._stride:
            return False
        self.infer()
        return True

    # While the microphone warms up, right after reset(): as if there had been silence. What a network says after a reset is
    # no answer to what it hears, some published ones hit; after some 50 of these it knows.
    def prime(self):
        ring, state = self._ring, self._state
        for _ in range(_PRIMED_AT_ONCE):
            for _ in range(self._stride):
                push_column(0, self.frontend.features, ring, state)
            self.infer()

    def infer(self):
        network = self.network
        network.infer(self._ring, pop_columns(self._state))
        self.hit = network.hit
        self.prob = network.prob
        self.mean_q8 = network.mean_q8
