# SPDX-License-Identifier: MIT
# The energy gate: is the hop louder than what has been usual? It decides whether the network runs at all.
# Levels are log2 of the mean square, in Q8: 85 is one decibel, 7680 a square wave at full scale, 0 one bit or silence.
# push() allocates nothing.
from array import array

import micropython
from micropython import const

_LOG2_SAMPLES_Q8 = const(1618)  # log2(80)
_FLOOR_START_Q8 = const(2560)  # -60 dBFS: a first hop that is louder need not be background
_QUIET_Q8 = const(-256)  # 3 dB below the floor
_CREEP_LATE_HOPS = const(200)  # open for longer than this: rather a fan than speech


@micropython.viper
def level(x: int, pcm: ptr16) -> int:
    # Every second sample: aliasing moves energy to other frequencies, but loses none.
    total = 0
    low = 0
    high = 0
    end = int(pcm) + 320
    while int(pcm) < end:
        x = (pcm[0] ^ 32768) - 32768
        total = x + total
        squares = uint(x * x)
        x = (pcm[2] ^ 32768) - 32768
        total = x + total
        squares = uint(x * x) + squares
        low = int(squares & 65535) + low
        high = int(squares >> 16) + high
        pcm = ptr16(int(pcm) + 8)
    # Less the mean: sum of (x - m)^2 = sum of x^2 - 80 m^2 - 2 m (sum of x - 80 m), for any m
    mean = total // 80
    x = mean * mean
    low -= (x & 65535) * 80 + mean * 2 * (total - mean * 80)
    high += (low >> 16) - (x >> 16) * 80
    low &= 65535
    # log2 of high * 65536 + low
    if high > 16383:
        x = high
        octaves = 16 * 256 - _LOG2_SAMPLES_Q8
    else:
        x = high << 16 | low
        octaves = 0 - _LOG2_SAMPLES_Q8
    if x < 81:
        return 0
    while x > 511:
        x >>= 1
        octaves += 256
    while x < 256:
        x <<= 1
        octaves -= 256
    x -= 256
    return octaves + 8 * 256 + x + (x * (256 - x) * 88 >> 16)


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
def decide(now: int, above: int, state: ptr32) -> int:
    # The energy from bit 15 on, the floor from bit 1 on, bit 0 set while the gate is open.
    if state[_KNOWN] == 0:
        above = now if now < _FLOOR_START_Q8 else _FLOOR_START_Q8
        state[_KNOWN] = 1
        state[_FLOOR_Q16] = above << 8
        state[_SMOOTH_Q8] = above
    floor = state[_FLOOR_Q16] >> 8
    smooth = state[_SMOOTH_Q8]
    smooth += now - smooth >> 2
    state[_SMOOTH_Q8] = smooth
    above = now - floor
    hang = state[_HANG]
    if above > state[_ON_Q8]:
        hang = state[_HANG_HOPS]
    elif hang > 0:
        if smooth - floor > state[_OFF_Q8]:
            hang = state[_HANG_HOPS]
        else:
            hang -= 1
    state[_HANG] = hang
    # The floor follows the mean while the gate is closed, creeps while it is open, and falls fast when it got quiet.
    step = above << (5 if above < _QUIET_Q8 else 3)
    if hang > 0:
        hops = state[_OPEN_HOPS] + 1
        limit = state[_CREEP_Q8] << 8
        if hops > _CREEP_LATE_HOPS:
            limit <<= 2
            hops -= 1
        state[_OPEN_HOPS] = hops
        if step > limit:
            step = limit
        hang = 1
    else:
        state[_OPEN_HOPS] = 0
    floor = state[_FLOOR_Q16] + step
    state[_FLOOR_Q16] = floor
    return (now << 15) + (floor >> 8 << 1) + hang


class Energy:
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
        self.energy_log2_q8 = 0
        self.floor_log2_q8 = 0
        self.open = False

    # hop: 160 signed 16-bit samples. True while the gate is open.
    def push(self, hop):
        now = decide(level(0, hop), 0, self.state)
        self.energy_log2_q8 = now >> 15
        self.floor_log2_q8 = now >> 1 & 16383
        self.open = now & 1 == 1
        return self.open
