# SPDX-License-Identifier: MIT
# Probe of the sentinel's raw I2S slots: hum, mean, extremes, bits that never change, sound in the slot that should
# be empty.
# Read raw, both slots, before any gain. For calibration, with the lid closed; nothing of it is kept or sent but the numbers.
import math
from array import array

import micropython
from micropython import const

from lid import circuit, health

SHORTEST_MS = const(100)
LONGEST_MS = const(3000)
_TONES_HZ = (50, 60, 100, 120)

_FRAMES = const(80)  # a read: half a hop of both slots fills the buffer of a hop of one
_GROUP = const(16)  # samples summed to one: the tones are sought at 1 kHz
_GROUPS = const(5)
_PERIOD = const(100)  # groups, a whole number of cycles of each tone
_SINE_SCALE = const(255)
_MIDDLE = const(2097152)  # of a sum of 16 samples of 18 bits
_LOW = const(0)
_HIGH = const(1)
_ANY = const(2)
_ALL = const(3)
_CLIPPED = const(4)
_TOTAL = const(5)
_OTHER_ANY = const(6)
_OTHER_ALL = const(7)


@micropython.viper
def accumulate(slots: ptr32, state: ptr32, sums: ptr32):
    # Samples as 24 bits offset by half of them: no negative word is ever in memory (it reads differently on 64 bits).
    low = state[0]
    high = state[1]
    any = state[2]
    all = state[3]
    clipped = state[4]
    hop = 0
    other_any = state[6]
    other_all = state[7]
    group = 0
    while group < 5:
        total = 0
        end = int(slots) + 128
        while int(slots) < end:
            x = int(uint(slots[0]) >> 8)
            any |= x
            all &= x
            x ^= 8388608
            if x < low:
                low = x
            if x > high:
                high = x
            hop += x >> 4
            total += x >> 6
            x = x >> 8
            if x == 0 or x == 65535:
                clipped += 1
            x = int(uint(slots[1]) >> 8)
            other_any |= x
            other_all &= x
            slots = ptr32(int(slots) + 8)
        sums[group] = total
        group += 1
    state[0] = low
    state[1] = high
    state[2] = any
    state[3] = all
    state[4] = clipped
    state[5] = hop
    state[6] = other_any
    state[7] = other_all


class Tones:
    # One bin of a discrete Fourier transform for each tone, over whole periods of all of them.
    def __init__(self):
        self._sine = array("h", (round(_SINE_SCALE * math.sin(2 * math.pi * i / _PERIOD)) for i in range(_PERIOD)))
        self._cycles = array("h", (hertz * _PERIOD // 1000 for hertz in _TONES_HZ))
        self._in_phase = [0] * len(_TONES_HZ)
        self._quadrature = [0] * len(_TONES_HZ)
        self._count = 0

    def push(self, sums):
        sine, cycles, in_phase, quadrature = self._sine, self._cycles, self._in_phase, self._quadrature
        count = self._count
        for i in range(_GROUPS):
            x = sums[i] - _MIDDLE
            for tone in range(4):
                at = count * cycles[tone]
                in_phase[tone] += x * sine[at % _PERIOD] >> 10
                quadrature[tone] += x * sine[(at + _PERIOD // 4) % _PERIOD] >> 10
            count += 1
        self._count = count % _PERIOD

    def amplitudes_q4(self, groups):
        # In 1/16 of a step of 16 bits. 64: what a step is in a sum of 16 samples of 18 bits.
        scale = 2 * 1024 * 16 / (_SINE_SCALE * 64 * groups)
        return [round(scale * math.sqrt(a * a + b * b)) for a, b in zip(self._in_phase, self._quadrature)]


def run(board, hearing, length_ms):
    """A dict of numbers after length_ms of listening; None when a switch or button was used meanwhile or no samples came."""
    if circuit.ONE_CHANNEL:
        return None  # the microphone is behind the lid
    hearing.stop()
    board.listening = True
    board.start_microphone(True)
    sums = array("i", bytes(4 * _GROUPS))
    try:
        return _listen(board, hearing.slots, sums, length_ms // SHORTEST_MS * SHORTEST_MS)
    finally:
        for i in range(_GROUPS):
            sums[i] = 0
        hearing.stop()
        hearing.start()


def _listen(board, slots, sums, length_ms):
    state = array("i", (0xFFFFFF, 0, 0, 0xFFFFFF, 0, 0, 0, 0xFFFFFF))
    tones = Tones()
    total = 0
    hops = length_ms // health.HOP_MS
    for hop in range(-health.WARM_UP_HOPS, hops):
        for _ in range(2):
            has_audio = board.wait_hop(slots)
            if hop >= 0:
                if not has_audio:
                    return None
                accumulate(slots, state, sums)
                tones.push(sums)
                total += state[_TOTAL]
        board.drive_pumps()
        board.read_rail()
        if board.talk_pressed() or board.mute_mv() >= circuit.SENSE_HIGH_MV:
            return None
    frames = 2 * hops * _FRAMES
    return {
        "ms": length_ms, "hum_q4": tones.amplitudes_q4(2 * hops * _GROUPS), "dc_q4": total // frames - 524288,
        "low": state[_LOW] - 8388608, "high": state[_HIGH] - 8388608,
        "any": "%06x" % state[_ANY], "all": "%06x" % state[_ALL], "clipped": state[_CLIPPED],
        "other": int(state[_OTHER_ANY] != state[_OTHER_ALL]),
    }  # fmt: skip
