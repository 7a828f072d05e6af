# SPDX-License-Identifier: MIT
# What every hop takes: microWakeWord's features, bit for bit (40 channels for each hop of 10 ms, from a window of 30 ms),
# activity, and the features as columns of bytes. push() allocates nothing.
from array import array

from micropython import const

from lid.gate import activity, arena, channels, columns, fft, spectrum, tables, twiddles, window

_HOP_SAMPLES = const(160)
_CHANNELS = const(40)
_FIRST_BIN = const(5)  # that the filterbank reads
_QUARTER = const(32767 // 4)  # the transform's first stage divides by 4: a factor in Q15


class Frontend:
    # network: lid.gate.wakeword.WakeWord, which infers as often as there are columns for it; or features alone
    def __init__(self, network=None):
        self.features = array("H", bytes(2 * _CHANNELS))
        stride = network.stride if network else 1
        self._columns, self._count = columns.empty(stride, network.feature_scale if network else (0,) * 4)
        history = bytearray(2 * 3 * _HOP_SAMPLES)
        state = bytearray(4 * 2)  # of the history
        noise = bytearray(4 * _CHANNELS)
        a = bytearray(2048)  # window, then the transform: 256 complex values of two words
        b = bytearray(2048)
        sums = bytearray(8 * _CHANNELS)  # of the newest column, times 4 a shift
        voice = bytearray(activity.STATE_BYTES)
        self._buffers = history, state, noise, a, b, sums, voice, self._columns, self.features
        # What push() unpacks: there a local costs a tenth of an attribute, and less still of a name in a module
        self._parts = (
            window.apply_window, history, tables.WINDOW, state,
            fft.dft16, a, b,
            spectrum.radix4_stages, twiddles.stage_twiddles(),
            spectrum.power_spectrum, twiddles.split_twiddles(),
            channels.filterbank, memoryview(b)[8 * _FIRST_BIN :], tables.WEIGHTS, tables.WIDTHS,
            sums, channels.compress, noise, channels.root_guesses(), tables.GAIN,
            channels.bit_lengths(), tables.LOGS, self.features,
            activity.follow, voice, columns.push_column, self._columns, self._count, stride, network and network.infer,
        )  # fmt: skip
        self.reset()

    # as if nothing had been heard: no trace of it stays in memory
    def reset(self):
        self._count[0] = 0
        self.column = False  # the last hop brought a column, in `features`
        self.activity = 0  # what activity.follow() said of it
        for buffer in self._buffers:
            arena.fill_words(buffer, 0, 0, _CHANNELS // 2 if buffer is self.features else len(buffer) // 4)

    # hop: 160 signed 16-bit samples, little-endian. True when there were columns for an inference, which has run.
    def push(self, hop):
        (
            apply_window, history, hann, state,
            dft16, a, b,
            radix4_stages, stage_twiddles,
            power_spectrum, split_twiddles,
            filterbank, energies, weights, widths,
            sums, compress, noise, guesses, gains, bits, logs, features,
            follow, voice, push_column, columns, count, stride, infer,
        ) = self._parts  # fmt: skip
        shift = apply_window(0, 0, hop, history, hann, a, state)
        if shift < 0:
            return False
        dft16(0, 0, a, b, _QUARTER << shift)
        radix4_stages(0, 0, b, a, stage_twiddles)
        power_spectrum(0, 0, b, split_twiddles)
        filterbank(0, 0, energies, weights, widths, sums)
        compress(0, 0, sums, noise, guesses, gains, bits, logs, features, shift)
        self.activity = follow(0, 0, features, sums, voice, shift)
        self.column = True
        if push_column(0, features, columns, count) < stride:
            return False
        if infer:
            infer(columns)
        return True
