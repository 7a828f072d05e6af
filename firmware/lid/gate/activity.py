# SPDX-License-Identifier: MIT
# How loud the speech band is, and whether somebody may be talking. The frontend has taken each channel's own noise away and
# set its gain by it: hum, a fan, the room's level and the microphone's gain hardly move the features, so one threshold serves
# all. The level is log2 of the mean square from 125 to 7500 Hz, in Q8: 85 is one decibel, 0 one bit or silence.
# follow() allocates nothing.
import micropython
from micropython import const

_SUM_BYTES = const(8 * 40)
_HALF = const((1 << 16) - 1)
_ONE_Q8 = const(1 << 8)
_LOG_CURVE_Q8 = const(88)  # log2(1 + f) is about f + 0.344 f (1 - f)
_SCALE_Q8 = const(1711)  # of the sums' upper halves: white noise has the level of its samples
_SMOOTH_BITS = const(2)  # the smoothed activity moves by a quarter of the distance a hop
_ACTIVE = const(3340)  # sum of the features: steady noise stays below, nine in ten thousand hops excepted
_WEAK_Q8 = const(3427)  # -50 dBFS: in noise below any voice would show
_CLEAR = const(5011)  # a voice as clear as that would show again
_FIRST_HOPS = const(100)  # the frontend does not know the noise yet: no voice
_PEAK_BITS = const(10)  # the peak falls by a 1024th a hop, half in 7 s

# What follow() returns: bit 0 while somebody may be talking, bit 1 when a voice would show, the level from bit 2 on
ACTIVE = const(1)
TELLING = const(2)
LEVEL_SHIFT = const(2)

# Words of the state, all 0 at first
STATE_BYTES = const(4 * 3)
_HOPS = const(0)
_SMOOTH = const(1)
_PEAK = const(2)


@micropython.viper
def follow(reg0: int, reg1: int, features: ptr32, sums: ptr32, state: ptr32, shift: int) -> int:
    # features: 40 uint16; sums: 40 pairs as channels.filterbank() writes them, times 4 a shift
    end = int(sums) + _SUM_BYTES
    reg0 = 0
    reg1 = 0
    while int(sums) < end:
        # two features a word, below 2^11 each: twenty add up in halves of 16 bits
        reg0 = features[0] + features[1] + reg0
        reg1 = sums[0] + sums[2] + sums[4] + sums[6] + reg1
        features = ptr32(int(features) + 8)
        sums = ptr32(int(sums) + 32)
    smooth = state[_SMOOTH]
    smooth += (reg0 & _HALF) + (reg0 >> 16) - smooth >> _SMOOTH_BITS
    state[_SMOOTH] = smooth
    peak = state[_PEAK]
    peak -= peak >> _PEAK_BITS
    hops = state[_HOPS]
    if hops < _FIRST_HOPS:
        state[_HOPS] = hops + 1
    elif smooth > peak:
        peak = smooth
    state[_PEAK] = peak
    # log2 of the sum, which the window's shift has made larger
    level = 0
    if reg1:
        level = _SCALE_Q8 + 8 * _ONE_Q8 - (shift << 9)
        while reg1 > 2 * _ONE_Q8 - 1:
            reg1 >>= 1
            level += _ONE_Q8
        while reg1 < _ONE_Q8:
            reg1 <<= 1
            level -= _ONE_Q8
        reg1 -= _ONE_Q8
        level += reg1 + (reg1 * (_ONE_Q8 - reg1) * _LOG_CURVE_Q8 >> 16)
        if level < 0:
            level = 0
    found = level << LEVEL_SHIFT
    if smooth > _ACTIVE:
        found += ACTIVE
    if level < _WEAK_Q8 or peak > _CLEAR:
        found += TELLING
    return found
