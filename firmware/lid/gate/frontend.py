# SPDX-License-Identifier: MIT
# microWakeWord's features, bit for bit: 40 channels for each hop of 10 ms, from a window of 30 ms.
# push() allocates nothing.
from array import array

from lid.gate import arena, channels, fft, spectrum, tables, twiddles, window


class Frontend:
    HOP_SAMPLES = 160
    CHANNELS = 40

    def __init__(self):
        self.features = array("H", bytes(80))
        self._history = bytearray(960)  # three hops
        self._state = bytearray(8)  # of the history
        self._noise = bytearray(160)
        a = bytearray(2048)  # window, then the transform
        b = bytearray(2048)
        sums = bytearray(320)
        self._heard = self._history, self._state, self._noise, a, b, sums, self.features
        # What push() unpacks: there a local costs a tenth of an attribute, and less still of a name in a module
        self._parts = (
            window.window, self._history, tables.WINDOW, self._state,
            fft.sixteen, a, b,
            spectrum.butterflies, twiddles.turns(),
            spectrum.spectrum, twiddles.splits(),
            channels.filterbank, memoryview(b)[40:], tables.WEIGHTS, tables.WIDTHS,  # energies from bin 5 on
            sums, channels.compress, self._noise, channels.root_guesses(), tables.GAIN,
            channels.bit_lengths(), tables.LOGS, self.features,
        )  # fmt: skip
        self.reset()

    # as if nothing had been heard: no trace of it stays in memory
    def reset(self):
        for buffer in self._heard:
            arena.fill_words(buffer, 0, 0, 20 if buffer is self.features else len(buffer) // 4)

    # hop: 160 signed 16-bit samples, little-endian. True when `features` holds a new column.
    def push(self, hop):
        (
            multiply, history, hann, state,
            sixteen, a, b,
            butterflies, turns,
            split, splits,
            filterbank, energies, weights, widths,
            sums, compress, noise, guesses, gains, bits, logs, features,
        ) = self._parts  # fmt: skip
        shift = multiply(0, 0, hop, history, hann, a, state)
        if shift < 0:
            return False
        sixteen(0, 0, a, b, 8191 << shift)
        butterflies(0, 0, b, a, turns)
        split(0, 0, b, splits)
        filterbank(energies, weights, widths, sums)
        compress(0, 0, sums, noise, guesses, gains, bits, logs, features, shift)
        return True
