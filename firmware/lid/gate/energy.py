# SPDX-License-Identifier: MIT
# The energy gate: is the hop louder than what has been usual? It decides whether the network runs at all.
# Levels are log2 of the mean square, in Q8: 85 is one decibel, 7680 a square wave at full scale, 0 one bit or silence.
# level() and decide() allocate nothing.
from array import array

import micropython
from micropython import const

_HOP_BYTES = const(2 * 160)
_SAMPLES = const(80)  # every second one
_LOG2_SAMPLES_Q8 = const(1618)  # log2(80) * 256
_LOW_HALF = const((1 << 16) - 1)
_SIGN = const(1 << 15)  # x ^ sign - sign: viper loads 16 bits unsigned
_ONE_Q8 = const(1 << 8)
_LOG_CURVE_Q8 = const(88)  # log2(1 + f) is about f + 0.344 f (1 - f)
_FLOOR_START_Q8 = const(2560)  # -60 dBFS: a first hop that is louder need not be background
_QUIET_Q8 = const(-256)  # 3 dB below the floor
_CREEP_LATE_HOPS = const(200)  # open for longer than this: rather a fan than speech
_CREEP_LATE_BITS = const(2)  # then the floor creeps four times as fast
_SMOOTH_BITS = const(2)  # the smoothed level moves by a quarter of the distance a hop
_FOLLOW_BITS = const(5)  # the floor by a 32nd, when it is far too high by an eighth
_FALL_BITS = const(3)
# What decide() returns
_ENERGY_SHIFT = const(15)
_FLOOR_SHIFT = const(1)


@micropython.viper
def level(reg0: int, pcm: ptr16) -> int:
    # Every second sample: aliasing moves energy to other frequencies, but loses none.
    total = 0
    low = 0
    high = 0
    end = int(pcm) + _HOP_BYTES
    while int(pcm) < end:
        reg0 = (pcm[0] ^ _SIGN) - _SIGN
        total = reg0 + total
        squares = uint(reg0 * reg0)
        reg0 = (pcm[2] ^ _SIGN) - _SIGN
        total = reg0 + total
        squares = uint(reg0 * reg0) + squares
        low = int(squares & _LOW_HALF) + low
        high = int(squares >> 16) + high
        pcm = ptr16(int(pcm) + 8)
    # Less the mean: sum of (x - m)^2 = sum of x^2 - 80 m^2 - 2 m (sum of x - 80 m), for any m. In halves of 16 bits
    mean = total // _SAMPLES
    reg0 = mean * mean
    low -= (reg0 & _LOW_HALF) * _SAMPLES + mean * 2 * (total - mean * _SAMPLES)
    high += (low >> 16) - (reg0 >> 16) * _SAMPLES
    low &= _LOW_HALF
    # log2 of high * 65536 + low
    if high > (1 << 14) - 1:  # beyond 30 bits
        reg0 = high
        log2_q8 = 16 * _ONE_Q8 - _LOG2_SAMPLES_Q8
    else:
        reg0 = high << 16 | low
        log2_q8 = 0 - _LOG2_SAMPLES_Q8
    if reg0 < _SAMPLES + 1:
        return 0
    while reg0 > 2 * _ONE_Q8 - 1:
        reg0 >>= 1
        log2_q8 += _ONE_Q8
    while reg0 < _ONE_Q8:
        reg0 <<= 1
        log2_q8 -= _ONE_Q8
    reg0 -= _ONE_Q8
    return log2_q8 + 8 * _ONE_Q8 + reg0 + (reg0 * (_ONE_Q8 - reg0) * _LOG_CURVE_Q8 >> 16)


# Words of the state
_KNOWN = const(0)
_FLOOR_Q16 = const(1)
_SMOOTH_Q8 = const(2)
_HANG = const(3)
_OPEN_HOPS = const(4)
_ON_Q8 = const(5)
_OFF_Q8 = const(6)
_HANG_HOPS = const(7)
_CREEP_Q8 = const(8)


@micropython.viper
def decide(energy_q8: int, reg1: int, state: ptr32) -> int:
    # The energy from bit 15 on, the floor from bit 1 on, bit 0 set while the gate is open. reg1: energy above the floor
    if state[_KNOWN] == 0:
        reg1 = energy_q8 if energy_q8 < _FLOOR_START_Q8 else _FLOOR_START_Q8
        state[_KNOWN] = 1
        state[_FLOOR_Q16] = reg1 << 8
        state[_SMOOTH_Q8] = reg1
    floor = state[_FLOOR_Q16] >> 8
    smooth = state[_SMOOTH_Q8]
    smooth += energy_q8 - smooth >> _SMOOTH_BITS
    state[_SMOOTH_Q8] = smooth
    reg1 = energy_q8 - floor
    hang = state[_HANG]
    if reg1 > state[_ON_Q8]:
        hang = state[_HANG_HOPS]
    elif hang > 0:
        if smooth - floor > state[_OFF_Q8]:
            hang = state[_HANG_HOPS]
        else:
            hang -= 1
    state[_HANG] = hang
    # The floor follows the mean while the gate is closed, creeps while it is open, and falls fast when it got quiet.
    step = reg1 << (8 - _FALL_BITS if reg1 < _QUIET_Q8 else 8 - _FOLLOW_BITS)
    if hang > 0:
        hops = state[_OPEN_HOPS] + 1
        limit = state[_CREEP_Q8] << 8
        if hops > _CREEP_LATE_HOPS:
            limit <<= _CREEP_LATE_BITS
            hops -= 1
        state[_OPEN_HOPS] = hops
        if step > limit:
            step = limit
        hang = 1
    else:
        state[_OPEN_HOPS] = 0
    floor = state[_FLOOR_Q16] + step
    state[_FLOOR_Q16] = floor
    return (energy_q8 << _ENERGY_SHIFT) + (floor >> 8 << _FLOOR_SHIFT) + hang


class EnergyGate:
    def __init__(self, on_q8=512, off_q8=320, hang_hops=100, creep_q8=5):
        self.state = array("i", bytes(36))
        self.configure(on_q8, off_q8, hang_hops, creep_q8)
        self.reset()

    # Opens `on_q8` above the floor, closes `hang_hops` after it fell below `off_q8`; `creep_q8`: how much the floor
    # rises in a hop meanwhile
    def configure(self, on_q8, off_q8, hang_hops, creep_q8=5):
        self.state[_ON_Q8] = on_q8
        self.state[_OFF_Q8] = off_q8
        self.state[_HANG_HOPS] = hang_hops
        self.state[_CREEP_Q8] = creep_q8

    def reset(self):
        for i in range(_ON_Q8):
            self.state[i] = 0
