# The windowed 512-point real FFT, rounded at every step as kissfft's int16 build rounds, and its power spectrum.
#
# Real input of 512 samples = 256 complex ones -> four radix-4 stages -> split into 257 bins.
# Values rest in 16 bits with 32768 added: viper loads 16 bits unsigned, and the bias costs nothing, as it folds into
# the constants of the next multiplication. Every stage reads at a stride of 64 and writes four in a row, so that all
# offsets are constants; the result then lies in digit-reversed order.
import micropython
from micropython import const

from lid.gate import tables

_FIRST_BIN = const(5)  # the filterbank reads bins 5..240 only
_SPLITS = const(124)  # pairs (k, 256 - k), k = 5..128


def _quarter(n):
    return tables.QUARTER[2 * n] | tables.QUARTER[2 * n + 1] << 8


def _cosine(n):
    # 32767 * cos(2 * pi * n / 512)
    n &= 511
    if n > 256:
        n = 512 - n
    return _quarter(n) if n <= 128 else -_quarter(256 - n)


def _reversed4(n, digits):
    out = 0
    for _ in range(digits):
        out = out << 2 | n & 3
        n >>= 2
    return out


def twiddles():
    # 64 x 6 halfwords: (cos, -sin) of one, two and three times the angle, biased. In digit-reversed order the stage of
    # length 16 uses the first 4 entries, that of 64 the first 16.
    out = bytearray(64 * 12)
    at = 0
    for i in range(64):
        k = _reversed4(i, 3)
        for multiple in (2 * k, 4 * k, 6 * k):
            for value in (_cosine(multiple), -_cosine(multiple - 128)):
                value += 32768
                out[at] = value & 255
                out[at + 1] = value >> 8
                at += 2
    return out


def splits():
    # 124 x 4 halfwords, for k = 5..128: where bins k and 256 - k lie (in bytes), sin and cos of k half turns / 256.
    out = bytearray(_SPLITS * 8)
    at = 0
    for k in range(_FIRST_BIN, _FIRST_BIN + _SPLITS):
        for value in (4 * _reversed4(k, 4), 4 * _reversed4(256 - k, 4), _cosine(k - 128), _cosine(k)):
            out[at] = value & 255
            out[at + 1] = value >> 8
            at += 2
    return out


@micropython.viper
def bias(pcm: ptr16, out: ptr16):
    # 160 signed samples -> unsigned, 32768 in the middle
    end = int(pcm) + 320
    while int(pcm) < end:
        out[0] = pcm[0] ^ 32768
        out[1] = pcm[1] ^ 32768
        out[2] = pcm[2] ^ 32768
        out[3] = pcm[3] ^ 32768
        out[4] = pcm[4] ^ 32768
        out[5] = pcm[5] ^ 32768
        out[6] = pcm[6] ^ 32768
        out[7] = pcm[7] ^ 32768
        pcm = ptr16(int(pcm) + 16)
        out = ptr16(int(out) + 16)


# In the kernels below the first two arguments are only names for the two registers that viper gives to locals: the
# values used most go there. All others rest on the stack.


@micropython.viper
def window(v: int, squares: int, x: ptr16, c: ptr16, out: ptr16, oldest: int) -> int:
    # Three hops of history, the oldest first, times the window. Returns how far left the result can be shifted.
    # The top bit of the largest magnitude comes from OR-ed squares: no branch, no absolute value.
    end = int(x) + 960
    x = ptr16(int(x) + oldest * 320)
    last = int(c) + 960
    while int(c) < last:
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
        c = ptr16(int(c) + 16)
        out = ptr16(int(out) + 16)
        x = ptr16(int(x) + 16)
        if int(x) == end:
            x = ptr16(end - 960)
    v = 0
    while v < 32:  # samples 480..511 are zero; the transform uses this buffer for its own work
        out[v] = 0
        v += 1
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


@micropython.viper
def first_stage(x: int, y: int, a: ptr16, out: ptr16, gain: int):
    # Signed samples, shifted and divided by 4 in one multiplication. No twiddles.
    end = int(a) + 256
    while int(a) < end:
        far = ptr16(int(a) + 512)
        x = ((a[0] ^ 32768) - 32768) * gain + 16384 >> 15
        y = ((far[0] ^ 32768) - 32768) * gain + 16384 >> 15
        sum_r = x + y + 32768
        dif_r = x - y + 32768
        x = ((a[1] ^ 32768) - 32768) * gain + 16384 >> 15
        y = ((far[1] ^ 32768) - 32768) * gain + 16384 >> 15
        sum_i = x + y + 32768
        dif_i = x - y + 32768
        x = ((a[128] ^ 32768) - 32768) * gain + 16384 >> 15
        y = ((far[128] ^ 32768) - 32768) * gain + 16384 >> 15
        out[0] = x + y + sum_r
        out[4] = sum_r - x - y
        out[3] = dif_i - x + y
        out[7] = x - y + dif_i
        x = ((a[129] ^ 32768) - 32768) * gain + 16384 >> 15
        y = ((far[129] ^ 32768) - 32768) * gain + 16384 >> 15
        out[1] = x + y + sum_i
        out[5] = sum_i - x - y
        out[2] = x - y + dif_r
        out[6] = dif_r - x + y
        a = ptr16(int(a) + 4)
        out = ptr16(int(out) + 16)


@micropython.viper
def stage(x: int, y: int, a: ptr16, out: ptr16, twiddles: ptr16, span: int):
    # Radix-4 butterflies over 4 * span: each input is divided by 4 and rounded, turned and rounded, then added up.
    last = int(twiddles) + 12 * span
    end = int(a) + 256
    while int(a) < end:
        tw = twiddles
        while int(tw) < last:
            far = ptr16(int(a) + 512)
            x = far[0] * 8191 - 268386304 >> 15
            y = far[1] * 8191 - 268386304 >> 15
            br = (x * tw[2] - y * tw[3] + 16384 >> 15) - x + y
            bi = (x * tw[3] + y * tw[2] + 16384 >> 15) - x - y
            x = a[0] * 8191 + 805355520 >> 15
            sum_r = x + br
            dif_r = x - br
            x = a[1] * 8191 + 805355520 >> 15
            sum_i = x + bi
            dif_i = x - bi
            x = a[128] * 8191 - 268386304 >> 15
            y = a[129] * 8191 - 268386304 >> 15
            br = (x * tw[0] - y * tw[1] + 16384 >> 15) - x + y
            bi = (x * tw[1] + y * tw[0] + 16384 >> 15) - x - y
            x = far[128] * 8191 - 268386304 >> 15
            y = far[129] * 8191 - 268386304 >> 15
            dr = (x * tw[4] - y * tw[5] + 16384 >> 15) - x + y
            y = (x * tw[5] + y * tw[4] + 16384 >> 15) - x - y
            x = bi
            out[1] = x + y + sum_i
            out[5] = sum_i - x - y
            out[2] = x - y + dif_r
            out[6] = dif_r - x + y
            x = br
            y = dr
            out[0] = x + y + sum_r
            out[4] = sum_r - x - y
            out[3] = dif_i - x + y
            out[7] = x - y + dif_i
            out = ptr16(int(out) + 16)
            a = ptr16(int(a) + 4)
            tw = ptr16(int(tw) + 12)


@micropython.viper
def spectrum(x: int, y: int, split: ptr16, z: ptr16, bins: ptr32):
    # Complex 256 -> real 512, straight to energies of bins 5..251. `bins` is indexed by the frequency bin.
    up = ptr32(int(bins) + 20)
    down = ptr32(int(bins) + 1004)
    while int(up) <= int(down):
        near = ptr16(int(z) + split[0])
        far = ptr16(int(z) + split[1])
        x = near[0] * 16383 - 536821760 >> 15
        y = far[0] * 16383 - 536821760 >> 15
        sum_r = x + y
        dif_r = x - y
        x = near[1] * 16383 - 536821760 >> 15
        y = 536854528 - far[1] * 16383 >> 15  # of the conjugate: rounding is not symmetric
        sum_i = x + y
        x -= y
        y = dif_r
        turned_r = x * split[3] - y * split[2] + 16384 >> 15
        turned_i = 16384 - x * split[2] - y * split[3] >> 15
        x = sum_r + turned_r >> 1
        y = sum_i + turned_i >> 1
        up[0] = x * x + y * y
        x = sum_r - turned_r >> 1
        y = turned_i - sum_i >> 1
        down[0] = x * x + y * y
        split = ptr16(int(split) + 8)
        up = ptr32(int(up) + 4)
        down = ptr32(int(down) - 4)
