# microWakeWord's features, bit for bit: 40 channels for each hop of 10 ms, from a window of 30 ms.
# push() allocates nothing.
from array import array

from lid.gate import channels, fft, tables, twiddles


class Frontend:
    HOP_SAMPLES = 160
    CHANNELS = 40

    def __init__(self):
        self.features = array("H", bytes(80))
        self._history = bytearray(960)  # three hops, biased
        self._slots = tuple(memoryview(self._history)[320 * i : 320 * (i + 1)] for i in range(3))
        self._noise = bytearray(160)
        energies = bytearray(1024)  # also room for the transform
        self._parts = (
            self._history,
            bytearray(1024),  # window, then the transform
            energies,
            memoryview(energies)[20:],  # from bin 5 on
            bytearray(320),  # a channel's sum in two words
            bytearray(160),  # its root
            self._noise,
            twiddles.turns(),
            twiddles.splits(),
            channels.root_guesses(),
            channels.bit_lengths(),
            self.features,
        )
        self.reset()

    def reset(self):
        for i in range(160):
            self._noise[i] = 0
        for i in range(960):
            self._history[i] = 0
        for i in range(40):
            self.features[i] = 0
        self._newest = 0
        self._missing = 3

    # hop: 160 signed 16-bit samples, little-endian. True when `features` holds a new column.
    def push(self, hop):
        newest = self._newest
        fft.bias(hop, self._slots[newest])
        newest += 1
        if newest == 3:
            newest = 0
        self._newest = newest
        if self._missing > 1:
            self._missing -= 1
            return False
        # An attribute costs ten times what a local does
        history, a, b, energies, sums, signal, noise, turns, splits, guesses, bits, features = self._parts
        shift = fft.window(0, 0, history, tables.WINDOW, a, newest)
        fft.first_stage(0, 0, a, b, 8191 << shift)
        fft.stages(0, 0, b, a, turns)
        fft.spectrum(0, 0, splits, a, b)
        channels.filterbank(energies, tables.WEIGHTS, tables.WIDTHS, sums)
        channels.roots(0, 0, sums, signal, guesses, shift)
        channels.compress(0, 0, signal, noise, tables.GAIN, bits, tables.LOGS, features)
        return True
