# The whole gate: energy, features, network. While the energy gate is closed the network sleeps and the newest columns
# wait in a ring; when it opens they are replayed, so that the start of the word is not lost. push() allocates nothing.
from array import array

from micropython import const

from lid.gate import rows
from lid.gate.energy import Energy
from lid.gate.frontend import Frontend
from lid.gate.wakeword import WakeWord

COLUMN = const(40)
RING_COLUMNS = const(60)
AT_ONCE = const(2)  # inferences in one hop while catching up: more would not leave time for the hop's other work


class Detector:
    def __init__(self, blob):
        self.energy = Energy()
        self.frontend = Frontend()
        self.network = network = WakeWord(blob)
        self.name = network.name
        self.digest = network.digest
        self.energy_gate = True  # False: the network always runs
        self._formula = network.formula
        self._own_cutoff_sum = network.cutoff_sum
        self._columns = RING_COLUMNS // network.stride * network.stride
        self._ring = bytearray(self._columns * COLUMN)
        self._levels = array("h", bytes(2 * self._columns))
        self._open = bytearray(self._columns)
        # What the inferences of the last push() said: each one's age in hops, output, mean, hit, and of its own hop
        # the energy and whether the energy gate was open.
        self.ages = bytearray(AT_ONCE)
        self.probs = bytearray(AT_ONCE)
        self.means_q8 = bytearray(AT_ONCE)
        self.hits = bytearray(AT_ONCE)
        self.levels_q8 = array("h", bytes(2 * AT_ONCE))
        self.gates = bytearray(AT_ONCE)
        self.reset()

    def configure(self, settings):
        energy = self.energy
        energy.on_q8 = settings["energy_on_q8"]
        energy.off_q8 = settings["energy_off_q8"]
        energy.hang_hops = settings["energy_hang_ms"] // 10
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
        rows.fill_words(self._ring, 0, 0, len(self._ring) // 4)
        self._next = 0  # where the next column goes
        self._waiting = 0  # columns that the network has not seen
        self._gap = False  # columns were dropped since the network last ran
        self.column = False  # the last hop brought a column, in frontend.features
        self._rest()
        self.energy_log2_q8 = self.floor_log2_q8 = 0
        self.gate_open = False

    def _rest(self):
        self.hit = False
        self.prob = 0
        self.mean_q8 = 0
        self._awake = False

    # hop: 160 signed 16-bit samples. How many inferences ran; what they said is in `probs` and its neighbours, and of
    # the newest in `prob`, `mean_q8`. `hit`: one of them heard the word.
    def push(self, hop):
        energy = self.energy
        self.gate_open = energy.push(hop)
        self.energy_log2_q8 = energy.energy_log2_q8
        self.floor_log2_q8 = energy.floor_log2_q8
        self.hit = False
        self.column = self.frontend.push(hop)
        if self.column:
            at = self._next
            rows.column(self._ring, self.frontend.features, at * COLUMN, self._formula)
            self._levels[at] = energy.energy_log2_q8
            self._open[at] = self.gate_open
            at += 1
            self._next = 0 if at == self._columns else at
            self._waiting += 1
            if self._waiting > self._columns:
                # whole inferences are dropped, so that those that run keep their places in time
                self._waiting -= self.network.stride
                self._gap = True
        if self.energy_gate and not self.gate_open:
            if self._awake:
                self._rest()
            return 0
        network = self.network
        if not self._awake:
            self._awake = True
            if self._gap:
                self._gap = False
                network.reset()
        count = 0
        while count < AT_ONCE and self._waiting >= network.stride:
            self._infer(network, count)
            count += 1
        return count

    def _infer(self, network, count):
        at = self._next - self._waiting
        if at < 0:
            at += self._columns
        network.infer(self._ring, at * COLUMN)  # a ring of whole inferences does not wrap inside one
        at += network.stride - 1
        self._waiting -= network.stride
        self.prob = network.prob
        self.mean_q8 = network.mean_q8
        if network.hit:
            self.hit = True
        self.ages[count] = self._waiting
        self.probs[count] = network.prob
        self.means_q8[count] = network.mean_q8
        self.hits[count] = network.hit
        self.levels_q8[count] = self._levels[at]
        self.gates[count] = self._open[at]
