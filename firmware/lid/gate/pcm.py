# SPDX-License-Identifier: MIT
# I2S slots -> a hop of 16-bit samples: DC block, gain, saturation; and whether the microphone is live, stuck or dead.
# push() allocates nothing.
import micropython
from micropython import const

from lid.gate.arena import fill_words

_HOP_SAMPLES = const(160)
_HOP_BYTES = const(2 * _HOP_SAMPLES)
_SLOTS_BYTES = const(4 * _HOP_SAMPLES)
_SAMPLE_BITS = const(20)  # more than the microphone resolves
_DROPPED_BITS = const(32 - _SAMPLE_BITS)
_MIDDLE = const(1 << _SAMPLE_BITS - 1)
_DC_BITS = const(10)  # the mean follows with 64 ms: a full step is gone in 0.7 s, and speech is not touched
_DC_MAX = const((1 << _DC_BITS) - 1)
_SIGN = const(1 << 15)
_MAX = const((1 << 15) - 1)
_MIN = const(-1 << 15)
_GAIN_BITS = const(8)
_GAIN_MIN = const(1 << _GAIN_BITS)
_GAIN_MAX = const(64 << _GAIN_BITS)
_LIVENESS_SHIFT = const(8)
_STUCK = const(1 << _LIVENESS_SHIFT)
_DEAD = const(2 << _LIVENESS_SHIFT)
_CLIPPED_MASK = const((1 << _LIVENESS_SHIFT) - 1)
_UNITY_SHIFT = const(_SAMPLE_BITS - 16 + _GAIN_BITS)

# Words of the state: 2^10 times the mean of the slots' unsigned samples; both extremes of a hop that saturated, as distances
# from 2^29 (a negative word in memory reads differently on 64 bits), 0 of others, whose samples tell; gain, and its shift
_DC = const(0)
_LOW = const(1)
_HIGH = const(2)
_GAIN = const(3)
_SHIFT = const(4)
_OFFSET = const(1 << 29)


@micropython.viper
def convert(reg0: int, reg1: int, slots: ptr32, out: ptr16, state: ptr32) -> int:
    # Left-justified slots, two's complement: the top 20 bits, less their mean, times the gain. Returns how many samples
    # saturated, and above that 0 for a live microphone (slots differ, which shows at once), 1 for a stuck one (all the
    # same), 2 for a dead one (all zero). reg0: the sample, reg1: what rounds down to the negated mean
    gain = state[_GAIN]
    shift = state[_SHIFT]
    end = int(slots) + _SLOTS_BYTES
    first = uint(slots[0])
    while int(slots) < end and uint(slots[0]) == first:
        slots = ptr32(int(slots) + 4)
    found = 0
    if int(slots) == end:
        found = _DEAD if first == uint(0) else _STUCK
    slots = ptr32(end - _SLOTS_BYTES)
    reg1 = _DC_MAX - state[_DC]
    wide = 0  # beyond 16 bits in any sample?
    while int(slots) < end:
        reg0 = int(uint(slots[0]) >> _DROPPED_BITS) ^ _MIDDLE
        reg0 = (reg1 >> _DC_BITS) + reg0
        reg1 = reg1 - reg0
        reg0 = gain * reg0 >> shift
        out[0] = reg0
        wide = reg0 + _SIGN | wide
        reg0 = int(uint(slots[1]) >> _DROPPED_BITS) ^ _MIDDLE
        reg0 = (reg1 >> _DC_BITS) + reg0
        reg1 = reg1 - reg0
        reg0 = gain * reg0 >> shift
        out[1] = reg0
        wide = reg0 + _SIGN | wide
        reg0 = int(uint(slots[2]) >> _DROPPED_BITS) ^ _MIDDLE
        reg0 = (reg1 >> _DC_BITS) + reg0
        reg1 = reg1 - reg0
        reg0 = gain * reg0 >> shift
        out[2] = reg0
        wide = reg0 + _SIGN | wide
        reg0 = int(uint(slots[3]) >> _DROPPED_BITS) ^ _MIDDLE
        reg0 = (reg1 >> _DC_BITS) + reg0
        reg1 = reg1 - reg0
        reg0 = gain * reg0 >> shift
        out[3] = reg0
        wide = reg0 + _SIGN | wide
        slots = ptr32(int(slots) + 16)
        out = ptr16(int(out) + 8)
    state[_HIGH] = 0
    if wide >> 16:
        # Once more, with limits; the extremes before saturation go to `state`
        low = 0
        high = 0
        slots = ptr32(int(slots) - _SLOTS_BYTES)
        out = ptr16(int(out) - _HOP_BYTES)
        reg1 = _DC_MAX - state[_DC]
        while int(slots) < end:
            reg0 = int(uint(slots[0]) >> _DROPPED_BITS) ^ _MIDDLE
            reg0 = (reg1 >> _DC_BITS) + reg0
            reg1 = reg1 - reg0
            reg0 = gain * reg0 >> shift
            if reg0 > high:
                high = reg0
            if reg0 < low:
                low = reg0
            if reg0 > _MAX:
                reg0 = _MAX
                found += 1
            elif reg0 < _MIN:
                reg0 = _MIN
                found += 1
            out[0] = reg0
            slots = ptr32(int(slots) + 4)
            out = ptr16(int(out) + 2)
        state[_LOW] = _OFFSET + low
        state[_HIGH] = _OFFSET + high
    state[_DC] = _DC_MAX - reg1
    return found


@micropython.viper
def extreme(hop: ptr16, state: ptr32, which: int) -> int:
    if state[_HIGH]:
        return state[which] - _OFFSET
    found = 0
    for i in range(_HOP_SAMPLES):
        sample = (hop[i] ^ _SIGN) - _SIGN
        if which == _HIGH:
            if sample > found:
                found = sample
        elif sample < found:
            found = sample
    return found


class PcmInput:
    # gain_q8: 256 is one, up to 16384 which is 64; kept to nine bits
    def __init__(self, gain_q8=_GAIN_MIN):
        self.hop = bytearray(_HOP_BYTES)
        self._state = bytearray(20)
        self._parts = self.hop, self._state  # what push() unpacks
        self.set_gain(gain_q8)
        self.reset()

    def set_gain(self, gain_q8):
        if not _GAIN_MIN <= gain_q8 <= _GAIN_MAX:
            raise ValueError("gain_q8 must be 256..16384")
        shift = _UNITY_SHIFT
        while gain_q8 >= 2 * _GAIN_MIN:
            gain_q8 >>= 1
            shift -= 1
        fill_words(self._state, gain_q8, 4 * _GAIN, 1)
        fill_words(self._state, shift, 4 * _SHIFT, 1)

    # as if nothing had been heard: no sample stays in memory
    def reset(self):
        fill_words(self._state, _OFFSET, 0, 3)  # the mean starts in the middle: 2^10 times 2^19
        fill_words(self.hop, 0, 0, _HOP_BYTES // 4)
        self.clipped = 0
        self.liveness = 0  # 0 live, 1 stuck, 2 dead

    # slots: 160 words of 32 bits as I2S gives them. Returns the hop, the same buffer each time.
    def push(self, slots):
        hop, state = self._parts
        found = convert(0, 0, slots, hop, state)
        self.liveness = found >> _LIVENESS_SHIFT
        self.clipped = found & _CLIPPED_MASK
        return hop

    # Extremes of the last hop, after the gain and before saturation
    def low(self):
        return extreme(self.hop, self._state, _LOW)

    def high(self):
        return extreme(self.hop, self._state, _HIGH)
