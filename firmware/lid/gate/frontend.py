# microWakeWord's features, bit for bit: 40 channels for each hop of 10 ms, from a window of 30 ms.
# push() allocates nothing.
from array import array

from lid.gate import channels, fft, spectrum, tables, twiddles, window


class Frontend:
    HOP_SAMPLES = 160
    CHANNELS = 40

    def __init__(self):
        self.features = array("H", bytes(80))
        self._history = bytearray(960)  # three hops
        self._state = bytearray(8)  # of the history
        self._noise = bytearray(160)
        b = bytearray(2048)
        # What push() unpacks: there a local costs a tenth of an attribute, and less still of a name in a module
        self._parts = (
            (window.window, self._history, tables.WINDOW, self._state),
            (fft.sixteen, bytearray(2048), b),
            (spectrum.third, spectrum.last, twiddles.turns()),
            (spectrum.spectrum, twiddles.splits()),
            (channels.filterbank, memoryview(b)[40:], tables.WEIGHTS, tables.WIDTHS),  # energies from bin 5 on
            (channels.roots, bytearray(320), channels.root_guesses(), bytearray(160)),
            (channels.compress, self._noise, tables.GAIN, channels.bit_lengths(), tables.LOGS, self.features),
        )
        self.reset()

    def reset(self):
        for part in (self._history, self._state, self._noise):
            for i in range(len(part)):
                part[i] = 0
        for i in range(40):
            self.features[i] = 0

    # hop: 160 signed 16-bit samples, little-endian. True when `features` holds a new column.
    def push(self, hop):
        (
            (multiply, history, hann, state),
            (sixteen, a, b),
            (third, last, turns),
            (split, splits),
            (filterbank, energies, weights, widths),
            (roots, sums, guesses, signal),
            (compress, noise, gains, bits, logs, features),
        ) = self._parts
        shift = multiply(0, 0, hop, history, hann, a, state)
        if shift < 0:
            return False
        sixteen(0, 0, a, b, 8191 << shift)
        third(0, 0, b, a, turns)
        last(0, 0, a, b, turns)
        split(0, 0, b, splits)
        filterbank(energies, weights, widths, sums)
        roots(0, 0, sums, signal, guesses, shift)
        compress(0, 0, signal, noise, gains, bits, logs, features)
        return True
