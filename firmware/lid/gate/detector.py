# SPDX-License-Identifier: MIT
# The whole gate: features, whether somebody may be talking, and the network. push() allocates nothing.

from micropython import const

from lid.gate.columns import push_column
from lid.gate.frontend import Frontend
from lid.gate.wakeword import WakeWord

_PRIMED_AT_ONCE = const(2)  # inferences in one hop: more would not leave time for the hop's other work


class Detector(Frontend):
    # layout: lid.gate.model_file.Layout
    def __init__(self, layout):
        self.network = network = WakeWord(layout)
        self.name = network.name
        self.digest = network.digest
        super().__init__(network)

    def configure(self, settings):
        before = self.network.decision
        self.network.decide(settings["decision"], settings["cutoff_q8"])
        if self.network.decision != before:
            self.reset()

    @property
    def cutoff_q8(self):
        return self.network.cutoff_sum // self.network.window

    def reset(self):
        super().reset()
        self.network.reset()

    # While the microphone warms up, right after reset(): as if there had been silence. What a network says after a reset is
    # no answer to what it hears, some published ones hit; after some 50 of these it knows.
    def prime(self):
        for _ in range(_PRIMED_AT_ONCE):
            for _ in range(self.network.stride):
                push_column(0, self.features, self._columns, self._count)
            self.network.infer(self._columns)
