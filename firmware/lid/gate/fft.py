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


@micropython.viper
def window(x: ptr16, c: ptr16, history: ptr16, oldest: int, out: ptr16) -> int:
    # Three hops of history, the oldest first, times the window. Returns how far left the result can be shifted.
    # The top bit of the largest magnitude comes from OR-ed squares: no branch, no absolute value.
    squares = 0
    segment = 0
    while segment < 3:
        x = ptr16(int(history) + oldest * 320)
        end = int(x) + 320
        while int(x) < end:
            v0 = (x[0] * c[0] >> 15) - c[0]
            v1 = (x[1] * c[1] >> 15) - c[1]
            v2 = (x[2] * c[2] >> 15) - c[2]
            v3 = (x[3] * c[3] >> 15) - c[3]
            v4 = (x[4] * c[4] >> 15) - c[4]
            out[0] = v0 + 32768
            out[1] = v1 + 32768
            out[2] = v2 + 32768
            out[3] = v3 + 32768
            out[4] = v4 + 32768
            squares = squares | v0 * v0 | v1 * v1 | v2 * v2 | v3 * v3 | v4 * v4
            x = ptr16(int(x) + 10)
            c = ptr16(int(c) + 10)
            out = ptr16(int(out) + 10)
        oldest += 1
        if oldest == 3:
            oldest = 0
        segment += 1
    rest = 0
    while rest < 32:  # samples 480..511 are zero; the transform uses this buffer for its own work
        out[rest] = 32768
        rest += 1
    shift = 15
    top = squares & 0x3FFFFFFF
    while top:
        top >>= 2
        shift -= 1
    if squares != squares & 0x3FFFFFFF and shift > 0:
        # The reference does not see -32768 (its negative does not fit), shifts it left and loses it.
        rest = 0
        while rest < 480:
            out[rest - 480] = 32768 if out[rest - 480] == 0 else out[rest - 480]
            rest += 1
    return shift


@micropython.viper
def transform(tw: ptr16, out: ptr16, a: ptr16, b: ptr16, shift: int, twiddle: ptr16):
    # Four stages: a -> b -> a -> b -> a. `tw` is both the twiddle and, where there is none, the input.
    gain = 8191 << shift  # a division by 4 as the reference rounds it, and in the first stage the shift too
    span = 1
    source = a
    target = b
    while span < 256:
        # Butterflies whose twiddles are all 1: one in each `span`.
        tw = source
        out = target
        end = int(source) + 256
        while int(tw) < end:
            far = ptr16(int(tw) + 512)
            ar = ((tw[0] - 32768) * gain + 16384 >> 15) + 32768
            ai = ((tw[1] - 32768) * gain + 16384 >> 15) + 32768
            br = (tw[128] - 32768) * gain + 16384 >> 15
            bi = (tw[129] - 32768) * gain + 16384 >> 15
            cr = (far[0] - 32768) * gain + 16384 >> 15
            ci = (far[1] - 32768) * gain + 16384 >> 15
            dr = (far[128] - 32768) * gain + 16384 >> 15
            di = (far[129] - 32768) * gain + 16384 >> 15
            out[0] = ar + cr + br + dr
            out[1] = ai + ci + bi + di
            out[2] = ar - cr + bi - di
            out[3] = ai - ci - br + dr
            out[4] = ar + cr - br - dr
            out[5] = ai + ci - bi - di
            out[6] = ar - cr - bi + di
            out[7] = ai - ci + br - dr
            tw = ptr16(int(tw) + 4 * span)
            out = ptr16(int(out) + 16 * span)
        if span > 1:
            near = ptr16(int(source) + 4)
            out = ptr16(int(target) + 16)
            last = int(twiddle) + 12 * span
            while int(near) < end:
                tw = ptr16(int(twiddle) + 12)
                while int(tw) < last:
                    far = ptr16(int(near) + 512)
                    xr = near[128] * 8191 - 268386304 >> 15
                    xi = near[129] * 8191 - 268386304 >> 15
                    br = (xr * tw[0] - xi * tw[1] + 16384 >> 15) - xr + xi
                    bi = (xr * tw[1] + xi * tw[0] + 16384 >> 15) - xr - xi
                    xr = far[0] * 8191 - 268386304 >> 15
                    xi = far[1] * 8191 - 268386304 >> 15
                    cr = (xr * tw[2] - xi * tw[3] + 16384 >> 15) - xr + xi
                    ci = (xr * tw[3] + xi * tw[2] + 16384 >> 15) - xr - xi
                    xr = far[128] * 8191 - 268386304 >> 15
                    xi = far[129] * 8191 - 268386304 >> 15
                    dr = (xr * tw[4] - xi * tw[5] + 16384 >> 15) - xr + xi
                    di = (xr * tw[5] + xi * tw[4] + 16384 >> 15) - xr - xi
                    ar = near[0] * 8191 + 805355520 >> 15
                    ai = near[1] * 8191 + 805355520 >> 15
                    xr = ar - cr
                    xi = ai - ci
                    ar += cr
                    ai += ci
                    out[0] = ar + br + dr
                    out[1] = ai + bi + di
                    out[2] = xr + bi - di
                    out[3] = xi - br + dr
                    out[4] = ar - br - dr
                    out[5] = ai - bi - di
                    out[6] = xr - bi + di
                    out[7] = xi + br - dr
                    out = ptr16(int(out) + 16)
                    near = ptr16(int(near) + 4)
                    tw = ptr16(int(tw) + 12)
                out = ptr16(int(out) + 16)
                near = ptr16(int(near) + 4)
        gain = 8191
        span <<= 2
        near = source
        source = target
        target = near


@micropython.viper
def spectrum(at: ptr16, split: ptr16, z: ptr16, bins: ptr32):
    # Complex 256 -> real 512, straight to energies of bins 5..251. `bins` is indexed by the frequency bin.
    up = ptr32(int(bins) + 20)
    down = ptr32(int(bins) + 1004)
    while int(up) <= int(down):
        at = ptr16(int(z) + split[0])
        xr = at[0] * 16383 - 536821760 >> 15
        xi = at[1] * 16383 - 536821760 >> 15
        at = ptr16(int(z) + split[1])
        yr = at[0] * 16383 - 536821760 >> 15
        yi = 536854528 - at[1] * 16383 >> 15  # of the conjugate: rounding is not symmetric
        dr = xr - yr
        di = xi - yi
        tr = di * split[3] - dr * split[2] + 16384 >> 15
        ti = 16384 - dr * split[3] - di * split[2] >> 15
        xr += yr
        xi += yi
        dr = xr + tr >> 1
        di = xi + ti >> 1
        up[0] = dr * dr + di * di
        dr = xr - tr >> 1
        di = ti - xi >> 1
        down[0] = dr * dr + di * di
        split = ptr16(int(split) + 8)
        up = ptr32(int(up) + 4)
        down = ptr32(int(down) - 4)
