# SPDX-License-Identifier: MIT
# The whole gate: energy, features, network. While the energy gate is closed the network sleeps and the newest columns
# wait in a ring; when it opens they are replayed, so that the start of the word is not lost. push() allocates nothing.

from micropython import const

from lid.gate.arena import fill_words
from lid.gate.energy import EnergyGate, decide, level
from lid.gate.feature_ring import pop_columns, push_column
from lid.gate.frontend import Frontend
from lid.gate.wakeword import WakeWord

# What is heard right after waking must not hang on what came before: with 90 columns no mean that counts (smoothing.py) was
# above that of a network that never slept, over the recordings tried.
_RING_COLUMNS = const(90)
_AT_ONCE = const(2)  # inferences in one hop while catching up: more would not leave time for the hop's other work

# Words of the ring's state, see feature_ring.py
_WRITE = const(0)
_UNREAD = const(1)
_OVERRUN = const(4)

# What decide() returns, see energy.py
_ENERGY_SHIFT = const(15)
_FLOOR_SHIFT = const(1)
_FLOOR_MASK = const((1 << _ENERGY_SHIFT - _FLOOR_SHIFT) - 1)


class Detector:
    # layout: lid.gate.model_file.Layout
    def __init__(self, layout):
        self.energy = EnergyGate()
        self.frontend = Frontend()
        self.network = network = WakeWord(layout)
        self.name = network.name
        self.digest = network.digest
        self.energy_gate = True  # False: the network always runs
        self._own_cutoff_sum = network.cutoff_sum
        self._stride = network.stride
        self._ring, self._state = network.new_ring(_RING_COLUMNS // network.stride * network.stride)
        # What push() unpacks: cheaper than one attribute after the other, and no method is looked up
        self._parts = self.energy.state, self.frontend.push, self.frontend.features, self._ring, self._state
        self.reset()

    def configure(self, settings):
        hang_hops = settings["energy_hang_ms"] // 10
        self.energy.configure(settings["energy_on_q8"], settings["energy_off_q8"], hang_hops)
        self.energy_gate = bool(settings["energy_gate"])
        cutoff_q8 = settings["cutoff_q8"]
        self.network.cutoff_sum = cutoff_q8 * self.network.window if cutoff_q8 else self._own_cutoff_sum

    @property
    def cutoff_q8(self):
        return self.network.cutoff_sum // self.network.window

    def reset(self):
        self.energy.reset()
        self.frontend.reset()
        self.network.reset()
        fill_words(self._ring, 0, 0, len(self._ring) // 4)
        self._state[_WRITE] = self._state[_UNREAD] = 0
        self._state[_OVERRUN] = 0  # columns were dropped since the network last ran
        self.column = False  # the last hop brought a column, in frontend.features
        self._awake = self.hit = False
        self.prob = 0
        self.mean_q8 = -1  # not known: the network is cold
        self.energy_log2_q8 = self.floor_log2_q8 = 0
        self.gate_open = False

    # hop: 160 signed 16-bit samples. Returns how many inferences ran. `hit`: one of them heard the word; `prob` and `mean_q8`
    # are of that one, or else the newest.
    def push(self, hop):
        energy, push, features, ring, state = self._parts
        verdict = decide(level(0, hop), 0, energy)
        self.energy_log2_q8 = verdict >> _ENERGY_SHIFT
        self.floor_log2_q8 = verdict >> _FLOOR_SHIFT & _FLOOR_MASK
        self.gate_open = opened = verdict & 1 == 1
        self.hit = False
        unread = 0
        self.column = column = push(hop)
        if column:
            unread = push_column(0, features, ring, state)
        if self.energy_gate and not opened and self.mean_q8 >= 0:
            self._awake = False  # its last mean stands: what it would say meanwhile is not known, but it is quiet
            return 0
        if not self._awake:
            self._awake = True
            if state[_OVERRUN]:
                state[_OVERRUN] = 0
                self.network.reset()
        stride = self._stride
        count = 0
        while unread >= stride and count < _AT_ONCE:
            unread -= stride
            self.infer()
            count += 1
        return count

    # While the microphone warms up, right after reset(): as if there had been silence. What a network says after a reset is
    # no answer to what it hears, some published ones hit; after some 50 of these it knows.
    def prime(self):
        ring, state = self._ring, self._state
        for _ in range(_AT_ONCE):
            for _ in range(self._stride):
                push_column(0, self.frontend.features, ring, state)
            self.infer()

    def infer(self):
        network = self.network
        network.infer(self._ring, pop_columns(self._state))
        hit = network.hit
        if hit or not self.hit:
            self.hit = hit
            self.prob = network.prob
            self.mean_q8 = network.mean_q8
