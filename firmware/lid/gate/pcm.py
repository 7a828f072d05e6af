# SPDX-License-Identifier: MIT
# I2S slots -> a hop of 16-bit samples: DC block, gain, saturation; and what the slots tell of the microphone's health.
# push() allocates nothing.
import micropython
from micropython import const

_HOP_SAMPLES = const(160)
_MIDDLE = const(524288)  # of 20 bits, which is more than the microphone resolves
_DC_BITS = const(10)  # the mean follows with 64 ms: a full step is gone in 0.7 s, and speech is not touched
_GAIN_MIN = const(256)
_GAIN_MAX = const(16384)

_DC = const(0)
_LOW = const(1)
_HIGH = const(2)


@micropython.viper
def convert(x: int, dc: int, slots: ptr32, out: ptr16, state: ptr32, times: int, shift: int) -> int:
    # Left-justified slots, two's complement: the top 20 bits, less their mean, times the gain. The extremes before
    # saturation go to `state`, as distances from 2^29 (a negative word in memory reads differently on 64 bits).
    dc = state[_DC]
    low = 0
    high = 0
    end = int(slots) + 640
    while int(slots) < end:
        x = int(uint(slots[0]) >> 12) ^ _MIDDLE
        x = x - (dc >> _DC_BITS)
        dc = dc + x
        x = x * times >> shift
        out[0] = x
        other = x
        x = int(uint(slots[1]) >> 12) ^ _MIDDLE
        x = x - (dc >> _DC_BITS)
        dc = dc + x
        x = x * times >> shift
        out[1] = x
        if x > other:
            if x > high:
                high = x
            if other < low:
                low = other
        else:
            if other > high:
                high = other
            if x < low:
                low = x
        x = int(uint(slots[2]) >> 12) ^ _MIDDLE
        x = x - (dc >> _DC_BITS)
        dc = dc + x
        x = x * times >> shift
        out[2] = x
        other = x
        x = int(uint(slots[3]) >> 12) ^ _MIDDLE
        x = x - (dc >> _DC_BITS)
        dc = dc + x
        x = x * times >> shift
        out[3] = x
        if x > other:
            if x > high:
                high = x
            if other < low:
                low = other
        else:
            if other > high:
                high = other
            if x < low:
                low = x
        slots = ptr32(int(slots) + 16)
        out = ptr16(int(out) + 8)
    state[_LOW] = 536870912 + low
    state[_HIGH] = 536870912 + high
    clipped = 0
    if high > 32767 or low < -32768:
        # Once more, with limits
        slots = ptr32(int(slots) - 640)
        out = ptr16(int(out) - 320)
        dc = state[_DC]
        while int(slots) < end:
            x = int(uint(slots[0]) >> 12) ^ _MIDDLE
            x = x - (dc >> _DC_BITS)
            dc = dc + x
            x = x * times >> shift
            if x > 32767:
                x = 32767
                clipped += 1
            elif x < -32768:
                x = -32768
                clipped += 1
            out[0] = x
            slots = ptr32(int(slots) + 4)
            out = ptr16(int(out) + 2)
    state[_DC] = dc
    return clipped


@micropython.viper
def alike(slots: ptr32) -> int:
    # 0 slots differ (found at once with a live microphone), 1 all the same, 2 all zero
    end = int(slots) + 640
    first = uint(slots[0])
    while int(slots) < end:
        if uint(slots[0]) != first:
            return 0
        slots = ptr32(int(slots) + 4)
    return 2 if first == uint(0) else 1


@micropython.viper
def extreme(state: ptr32, which: int) -> int:
    return state[which] - 536870912


class Intake:
    LIVE = 0
    STUCK = 1
    DEAD = 2

    # gain_q8: 256 is one, up to 16384 which is 64; kept to nine bits
    def __init__(self, gain_q8=_GAIN_MIN):
        self.hop = bytearray(2 * _HOP_SAMPLES)
        self._state = bytearray(12)
        self.set_gain(gain_q8)
        self.reset()

    def set_gain(self, gain_q8):
        if not _GAIN_MIN <= gain_q8 <= _GAIN_MAX:
            raise ValueError("gain_q8 must be 256..16384")
        self._shift = 12
        while gain_q8 >= 512:
            gain_q8 >>= 1
            self._shift -= 1
        self._times = gain_q8

    def reset(self):
        for i in range(12):
            self._state[i] = 0
        for i in (3, 7, 11):  # the mean and both extremes start at zero, 2^29
            self._state[i] = 0x20
        self.clipped = 0
        self.alike = self.LIVE

    # slots: 160 words of 32 bits as I2S gives them. Returns the hop, the same buffer each time.
    def push(self, slots):
        hop = self.hop
        self.alike = alike(slots)
        self.clipped = convert(0, 0, slots, hop, self._state, self._times, self._shift)
        return hop

    # Extremes of the last hop, after the gain and before saturation
    def low(self):
        return extreme(self._state, _LOW)

    def high(self):
        return extreme(self._state, _HIGH)
