# SPDX-License-Identifier: MIT
# The whole gate: energy, features, network. While the energy gate is closed the network sleeps and the newest columns
# wait in a ring; when it opens they are replayed, so that the start of the word is not lost. push() allocates nothing.
from array import array

from micropython import const

from lid.gate.arena import fill_words
from lid.gate.energy import EnergyGate, decide, level
from lid.gate.feature_ring import COLUMN_BYTES, column_tag, pop_columns, push_column
from lid.gate.frontend import Frontend
from lid.gate.wakeword import WakeWord

_RING_COLUMNS = const(60)
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
        self._newest = (network.stride - 1) * COLUMN_BYTES  # of an inference's columns, in bytes
        self._ring, self._state = network.new_ring(_RING_COLUMNS // network.stride * network.stride)
        # What push() unpacks: cheaper than one attribute after the other, and no method is looked up
        self._parts = self.energy.state, self.frontend.push, self.frontend.features, self._ring, self._state
        # The inferences of the last push(): each one's age in hops, output, mean, hit, and of its own hop the energy and
        # whether the energy gate was open.
        self.ages = bytearray(_AT_ONCE)
        self.probs = bytearray(_AT_ONCE)
        self.means_q8 = bytearray(_AT_ONCE)
        self.hits = bytearray(_AT_ONCE)
        self.levels_q8 = array("h", bytes(2 * _AT_ONCE))
        self.gates = bytearray(_AT_ONCE)
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
        self._rest()
        self.energy_log2_q8 = self.floor_log2_q8 = 0
        self.gate_open = False

    def _rest(self):
        self.hit = False
        self.prob = 0
        self.mean_q8 = 0
        self._awake = False

    # hop: 160 signed 16-bit samples. Returns how many inferences ran; their results are in `probs` and its neighbours,
    # the newest also in `prob` and `mean_q8`. `hit`: one of them heard the word.
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
            unread = push_column(0, features, ring, state, verdict)
        if self.energy_gate and not opened:
            if self._awake:
                self._rest()
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
            self._infer(unread, count)
            count += 1
        return count

    def _infer(self, unread, count):
        network = self.network
        ring = self._ring
        at = pop_columns(self._state)
        network.infer(ring, at)
        verdict = column_tag(ring, at + self._newest)
        self.prob = self.probs[count] = network.prob
        self.mean_q8 = self.means_q8[count] = network.mean_q8
        self.hits[count] = hit = network.hit
        if hit:
            self.hit = True
        self.ages[count] = unread
        self.levels_q8[count] = verdict >> _ENERGY_SHIFT
        self.gates[count] = verdict & 1
