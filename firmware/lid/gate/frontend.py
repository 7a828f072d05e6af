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
        self._a = bytearray(1024)  # window, then the transform
        self._b = bytearray(1024)  # transform, then energies
        self._energies = memoryview(self._b)[20:]  # from bin 5 on
        self._sums = bytearray(320)
        self._signal = bytearray(160)
        self._noise = bytearray(160)
        self._twiddles = twiddles.turns()
        self._splits = twiddles.splits()
        self._guesses = channels.root_guesses()
        self._bits = channels.bit_lengths()
        self._slots = tuple(memoryview(self._history)[320 * i : 320 * (i + 1)] for i in range(3))
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
        fft.bias(hop, self._slots[self._newest])
        self._newest = oldest = (self._newest + 1) % 3
        if self._missing > 1:
            self._missing -= 1
            return False
        a = self._a
        b = self._b
        shift = fft.window(0, 0, self._history, tables.WINDOW, a, oldest)
        fft.first_stage(0, 0, a, b, 8191 << shift)
        fft.stages(0, 0, b, a, self._twiddles)
        fft.spectrum(0, 0, self._splits, a, b)
        channels.filterbank(self._energies, tables.WEIGHTS, tables.WIDTHS, self._sums)
        channels.roots(0, 0, self._sums, self._signal, self._guesses, shift)
        channels.compress(0, 0, self._signal, self._noise, tables.GAIN, self._bits, tables.LOGS, self.features)
        return True
