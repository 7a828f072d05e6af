# SPDX-License-Identifier: MIT
# A hop of samples into the history, and three hops of history times the window.
import micropython
from micropython import const

# Words of the state
_NEWEST = const(0)  # bytes into the history
_HOPS = const(1)  # how many are there


# The first two arguments are only names for the two registers that viper gives to locals. Samples rest in 16 bits with
# 32768 added, as viper loads 16 bits unsigned.


@micropython.viper
def window(v: int, squares: int, pcm: ptr16, x: ptr16, c: ptr16, out: ptr16, state: ptr32) -> int:
    # `pcm` becomes the newest of three hops in `x`; all of them, the oldest first, times `c`. Returns how far left the
    # result can be shifted, -1 while hops are missing.
    # The top bit of the largest magnitude comes from OR-ed squares: no branch, no absolute value.
    end = int(x) + 960
    x = ptr16(int(x) + state[_NEWEST])
    v = 32768
    signs = (uint(v) << 16) + 32768
    last = int(pcm) + 320
    while int(pcm) < last:
        ptr32(x)[0] = uint(ptr32(pcm)[0]) ^ signs
        ptr32(x)[1] = uint(ptr32(pcm)[1]) ^ signs
        ptr32(x)[2] = uint(ptr32(pcm)[2]) ^ signs
        ptr32(x)[3] = uint(ptr32(pcm)[3]) ^ signs
        pcm = ptr16(int(pcm) + 16)
        x = ptr16(int(x) + 16)
    if int(x) == end:
        x = ptr16(end - 960)
    state[_NEWEST] = int(x) - (end - 960)
    if state[_HOPS] < 2:
        state[_HOPS] = state[_HOPS] + 1
        return -1
    squares = 0
    last = int(c) + 960
    while int(c) < last:
        pause = int(c) + 320
        while int(c) < pause:
            v = (x[0] - 32768) * c[0] >> 12
            out[0] = v
            squares = v * v | squares
            v = (x[1] - 32768) * c[1] >> 12
            out[1] = v
            squares = v * v | squares
            v = (x[2] - 32768) * c[2] >> 12
            out[2] = v
            squares = v * v | squares
            v = (x[3] - 32768) * c[3] >> 12
            out[3] = v
            squares = v * v | squares
            v = (x[4] - 32768) * c[4] >> 12
            out[4] = v
            squares = v * v | squares
            v = (x[5] - 32768) * c[5] >> 12
            out[5] = v
            squares = v * v | squares
            v = (x[6] - 32768) * c[6] >> 12
            out[6] = v
            squares = v * v | squares
            v = (x[7] - 32768) * c[7] >> 12
            out[7] = v
            squares = v * v | squares
            v = (x[8] - 32768) * c[8] >> 12
            out[8] = v
            squares = v * v | squares
            v = (x[9] - 32768) * c[9] >> 12
            out[9] = v
            squares = v * v | squares
            v = (x[10] - 32768) * c[10] >> 12
            out[10] = v
            squares = v * v | squares
            v = (x[11] - 32768) * c[11] >> 12
            out[11] = v
            squares = v * v | squares
            v = (x[12] - 32768) * c[12] >> 12
            out[12] = v
            squares = v * v | squares
            v = (x[13] - 32768) * c[13] >> 12
            out[13] = v
            squares = v * v | squares
            v = (x[14] - 32768) * c[14] >> 12
            out[14] = v
            squares = v * v | squares
            v = (x[15] - 32768) * c[15] >> 12
            out[15] = v
            squares = v * v | squares
            c = ptr16(int(c) + 32)
            out = ptr16(int(out) + 32)
            x = ptr16(int(x) + 32)
        if int(x) == end:
            x = ptr16(end - 960)
    shift = 15
    v = squares & 0x3FFFFFFF
    while v:
        v >>= 2
        shift -= 1
    if squares != squares & 0x3FFFFFFF and shift > 0:
        # The reference does not see -32768 (its negative does not fit), shifts it left and loses it.
        v = -480
        while v < 0:
            if out[v] == 32768:
                out[v] = 0
            v += 1
    return shift
