# SPDX-License-Identifier: MIT
# Generated from earlid/gate/kernel_templates/window.py.in by earlid.gate.kernel_generator: do not edit.
# A hop of samples into the history, and three hops of history times the window.
import micropython
from micropython import const

_HOP_BYTES = const(2 * 160)
_HISTORY_BYTES = const(3 * _HOP_BYTES)
_SAMPLES = const(3 * 160)
_SIGN = const(1 << 15)  # samples rest in 16 bits with this added, as viper loads 16 bits unsigned
_WINDOW_BITS = const(12)
_SQUARE_MASK = const((1 << 30) - 1)  # squares of all 16-bit values but that of -32768

# Words of the state
_NEWEST = const(0)  # bytes into the history
_HOPS = const(1)  # how many are there


@micropython.viper
def apply_window(reg0: int, reg1: int, pcm: ptr16, history: ptr16, window: ptr16, out: ptr16, state: ptr32) -> int:
    # `pcm` becomes the newest of three hops in `history`; all of them, the oldest first, times `window`. Returns how far
    # left the result can be shifted, -1 while hops are missing. reg0: a value, reg1: all squares OR-ed, whose top bit
    # is that of the largest: no branch, no absolute value.
    end = int(history) + _HISTORY_BYTES
    history = ptr16(int(history) + state[_NEWEST])
    reg0 = _SIGN
    signs = (uint(reg0) << 16) + _SIGN
    last = int(pcm) + _HOP_BYTES
    while int(pcm) < last:
        ptr32(history)[0] = uint(ptr32(pcm)[0]) ^ signs
        ptr32(history)[1] = uint(ptr32(pcm)[1]) ^ signs
        ptr32(history)[2] = uint(ptr32(pcm)[2]) ^ signs
        ptr32(history)[3] = uint(ptr32(pcm)[3]) ^ signs
        pcm = ptr16(int(pcm) + 16)
        history = ptr16(int(history) + 16)
    if int(history) == end:
        history = ptr16(end - _HISTORY_BYTES)
    state[_NEWEST] = int(history) - (end - _HISTORY_BYTES)
    if state[_HOPS] < 2:
        state[_HOPS] = state[_HOPS] + 1
        return -1
    reg1 = 0
    last = int(window) + _HISTORY_BYTES
    while int(window) < last:
        pause = int(window) + _HOP_BYTES
        while int(window) < pause:
            reg0 = (history[0] - _SIGN) * window[0] >> _WINDOW_BITS
            out[0] = reg0
            reg1 = reg0 * reg0 | reg1
            reg0 = (history[1] - _SIGN) * window[1] >> _WINDOW_BITS
            out[1] = reg0
            reg1 = reg0 * reg0 | reg1
            reg0 = (history[2] - _SIGN) * window[2] >> _WINDOW_BITS
            out[2] = reg0
            reg1 = reg0 * reg0 | reg1
            reg0 = (history[3] - _SIGN) * window[3] >> _WINDOW_BITS
            out[3] = reg0
            reg1 = reg0 * reg0 | reg1
            reg0 = (history[4] - _SIGN) * window[4] >> _WINDOW_BITS
            out[4] = reg0
            reg1 = reg0 * reg0 | reg1
            reg0 = (history[5] - _SIGN) * window[5] >> _WINDOW_BITS
            out[5] = reg0
            reg1 = reg0 * reg0 | reg1
            reg0 = (history[6] - _SIGN) * window[6] >> _WINDOW_BITS
            out[6] = reg0
            reg1 = reg0 * reg0 | reg1
            reg0 = (history[7] - _SIGN) * window[7] >> _WINDOW_BITS
            out[7] = reg0
            reg1 = reg0 * reg0 | reg1
            reg0 = (history[8] - _SIGN) * window[8] >> _WINDOW_BITS
            out[8] = reg0
            reg1 = reg0 * reg0 | reg1
            reg0 = (history[9] - _SIGN) * window[9] >> _WINDOW_BITS
            out[9] = reg0
            reg1 = reg0 * reg0 | reg1
            reg0 = (history[10] - _SIGN) * window[10] >> _WINDOW_BITS
            out[10] = reg0
            reg1 = reg0 * reg0 | reg1
            reg0 = (history[11] - _SIGN) * window[11] >> _WINDOW_BITS
            out[11] = reg0
            reg1 = reg0 * reg0 | reg1
            reg0 = (history[12] - _SIGN) * window[12] >> _WINDOW_BITS
            out[12] = reg0
            reg1 = reg0 * reg0 | reg1
            reg0 = (history[13] - _SIGN) * window[13] >> _WINDOW_BITS
            out[13] = reg0
            reg1 = reg0 * reg0 | reg1
            reg0 = (history[14] - _SIGN) * window[14] >> _WINDOW_BITS
            out[14] = reg0
            reg1 = reg0 * reg0 | reg1
            reg0 = (history[15] - _SIGN) * window[15] >> _WINDOW_BITS
            out[15] = reg0
            reg1 = reg0 * reg0 | reg1
            window = ptr16(int(window) + 32)
            out = ptr16(int(out) + 32)
            history = ptr16(int(history) + 32)
        if int(history) == end:
            history = ptr16(end - _HISTORY_BYTES)
    shift = 15
    reg0 = reg1 & _SQUARE_MASK
    while reg0:
        reg0 >>= 2
        shift -= 1
    if reg1 != reg1 & _SQUARE_MASK and shift > 0:
        # The reference does not see -32768 (its negative does not fit), shifts it left and loses it.
        reg0 = 0 - _SAMPLES
        while reg0 < 0:
            if out[reg0] == _SIGN:
                out[reg0] = 0
            reg0 += 1
    return shift
