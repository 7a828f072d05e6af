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
        # What push() unpacks: there a local costs a tenth of an attribute, and less still of a name in a module
        self._kernels = (
            fft.window,
            fft.first_stage,
            fft.stages,
            fft.spectrum,
            channels.filterbank,
            channels.roots,
            channels.compress,
        )
        self._tables = (
            tables.WINDOW,
            tables.WEIGHTS,
            tables.WIDTHS,
            tables.GAIN,
            tables.LOGS,
            twiddles.turns(),
            twiddles.splits(),
            channels.root_guesses(),
            channels.bit_lengths(),
        )
        self._buffers = (
            self._history,
            bytearray(1024),  # window, then the transform
            energies,
            memoryview(energies)[20:],  # from bin 5 on
            bytearray(320),  # a channel's sum in two words
            bytearray(160),  # its root
            self._noise,
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
        window, first_stage, stages, spectrum, filterbank, roots, compress = self._kernels
        hann, weights, widths, gains, logs, turns, splits, guesses, bits = self._tables
        history, a, b, energies, sums, signal, noise, features = self._buffers
        shift = window(0, 0, history, hann, a, newest)
        first_stage(0, 0, a, b, 8191 << shift)
        stages(0, 0, b, a, turns)
        spectrum(0, 0, splits, a, b)
        filterbank(energies, weights, widths, sums)
        roots(0, 0, sums, signal, guesses, shift)
        compress(0, 0, signal, noise, gains, bits, logs, features)
        return True
