# SPDX-License-Identifier: MIT
# Generated from earlid/gate/kernel_templates/spectrum.py.in by earlid.gate.kernel_generator: do not edit.
# The last two stages of the transform in fft.py, and from them the energies of the bins that the filterbank reads.
import micropython
from micropython import const

_ONE = const(32767)  # in Q15
_HALF = const(1 << 14)  # rounds a product in Q15
_BUTTERFLY_BYTES = const(4 * 8)
_VALUES_BYTES = const(64 * _BUTTERFLY_BYTES)
_BIAS = const(8192)  # in the values of a stage that divides by 4
_STORE = const(2 * (_ONE // 4))
_ZERO = const((_BIAS << 16) + (1 << 15) - _BIAS * _STORE)  # a stored 0 and one half, less the bias of the value
_HALF_BIAS = const(_ONE // 2)  # in the values of the last stage, which divides by 2 for the split
_HALF_STORE = const(2 * _HALF_BIAS)
_HALF_ZERO = const((_HALF_BIAS << 16) + (1 << 15) - _BIAS * _HALF_STORE)
_LEAST = const(2)  # the least step of a stored value
_BIASED = const(1 << 15)  # added to those twiddle factors that may be negative, see twiddles.py


@micropython.viper
def radix4_stages(reg0: int, reg1: int, a: ptr16, out: ptr32, twiddles: ptr32):
    # The third stage, a -> out, and the last, back into `a`, have 64 butterflies each. (x + iy) times a twiddle factor
    # takes three multiplications: t = (x + y) cos, then t + y (sin - cos) and t - x (sin + cos).
    again = int(out)
    start = int(a)
    first = twiddles
    # Four in a row share their angles
    last = int(a) + _VALUES_BYTES
    while int(a) < last:
        c1 = twiddles[0]
        m1 = twiddles[1] - _BIASED
        n1 = 0 - twiddles[2]
        m2 = twiddles[4] - _BIASED
        c2 = twiddles[3] - m2
        n2 = 0 - twiddles[3] - c2
        c3 = twiddles[6] - _BIASED
        n3 = _BIASED - twiddles[7] - c3
        m3 = 0 - n3 - c3 - c3
        twiddles = ptr32(int(twiddles) + 128)
        pause = int(a) + 4 * _BUTTERFLY_BYTES
        while int(a) < pause:
            far = ptr32(int(out) + 1024)
            reg0 = a[5] - _BIAS
            reg1 = a[7] - _BIAS
            t = (reg0 + reg1) * c1 + _HALF
            r = (m1 * reg1 + t >> 15) * _STORE
            i = (n1 * reg0 + t >> 15) * _STORE
            reg0 = a[9] - _BIAS
            reg1 = a[11] - _BIAS
            t = (reg0 + reg1) * c2 + _HALF
            other = (m2 * reg1 + t >> 15) * _STORE
            reg1 = (n2 * reg0 + t >> 15) * _STORE
            reg0 = a[3] * _STORE + _ZERO
            sum_i = reg0 + reg1
            dif_i = reg0 - reg1
            reg0 = a[1] * _STORE + _ZERO
            reg1 = other
            sum_r = reg0 + reg1
            dif_r = reg0 - reg1
            reg0 = a[13] - _BIAS
            reg1 = a[15] - _BIAS
            t = (reg0 + reg1) * c3 + _HALF
            other = (m3 * reg1 + t >> 15) * _STORE
            reg1 = (n3 * reg0 + t >> 15) * _STORE
            reg0 = i
            out[1] = sum_i + reg0 + reg1
            far[1] = sum_i - reg0 - reg1
            out[128] = dif_r + reg0 - reg1
            far[128] = dif_r - reg0 + reg1
            reg0 = r
            reg1 = other
            out[0] = sum_r + reg0 + reg1
            far[0] = sum_r - reg0 - reg1
            out[129] = dif_i - reg0 + reg1
            far[129] = dif_i + reg0 - reg1
            reg0 = a[21] - _BIAS
            reg1 = a[23] - _BIAS
            t = (reg0 + reg1) * c1 + _HALF
            r = (m1 * reg1 + t >> 15) * _STORE
            i = (n1 * reg0 + t >> 15) * _STORE
            reg0 = a[25] - _BIAS
            reg1 = a[27] - _BIAS
            t = (reg0 + reg1) * c2 + _HALF
            other = (m2 * reg1 + t >> 15) * _STORE
            reg1 = (n2 * reg0 + t >> 15) * _STORE
            reg0 = a[19] * _STORE + _ZERO
            sum_i = reg0 + reg1
            dif_i = reg0 - reg1
            reg0 = a[17] * _STORE + _ZERO
            reg1 = other
            sum_r = reg0 + reg1
            dif_r = reg0 - reg1
            reg0 = a[29] - _BIAS
            reg1 = a[31] - _BIAS
            t = (reg0 + reg1) * c3 + _HALF
            other = (m3 * reg1 + t >> 15) * _STORE
            reg1 = (n3 * reg0 + t >> 15) * _STORE
            reg0 = i
            out[3] = sum_i + reg0 + reg1
            far[3] = sum_i - reg0 - reg1
            out[130] = dif_r + reg0 - reg1
            far[130] = dif_r - reg0 + reg1
            reg0 = r
            reg1 = other
            out[2] = sum_r + reg0 + reg1
            far[2] = sum_r - reg0 - reg1
            out[131] = dif_i - reg0 + reg1
            far[131] = dif_i + reg0 - reg1
            out = ptr32(int(out) + 16)
            a = ptr16(int(a) + 64)
    # Each has angles of its own. What is stored is what the split needs: each value halved and rounded, 16383 added.
    # Bins from 128 on are read as conjugates, whose imaginary part rounds the other way.
    a = ptr16(again)
    out = ptr32(start)
    twiddles = first
    end = again + _VALUES_BYTES
    while int(a) < end:
        far = ptr32(int(out) + 1024)
        reg0 = a[5] - _BIAS
        reg1 = a[7] - _BIAS
        t = (reg0 + reg1) * twiddles[0] + _HALF
        r = ((twiddles[1] * reg1 + t >> 15) - reg1) * _HALF_STORE
        i = (t - twiddles[2] * reg0 >> 15) * _HALF_STORE
        reg0 = a[9] - _BIAS
        reg1 = a[11] - _BIAS
        t = (reg0 + reg1) * twiddles[3] + _HALF
        other = ((t - twiddles[4] * reg0 >> 15) + reg0) * _HALF_STORE
        reg1 = ((twiddles[5] * reg1 - t + 2 * _HALF >> 15) - reg1) * _HALF_STORE
        reg0 = a[3] * _HALF_STORE + _HALF_ZERO
        sum_i = reg0 + reg1
        dif_i = reg0 - reg1
        reg0 = a[1] * _HALF_STORE + _HALF_ZERO
        reg1 = other
        sum_r = reg0 + reg1
        dif_r = reg0 - reg1
        reg0 = a[13] - _BIAS
        reg1 = a[15] - _BIAS
        other = ((twiddles[6] * reg0 + twiddles[7] * reg1 + _HALF >> 15) - reg0 - reg1) * _HALF_STORE
        reg1 = ((twiddles[6] * reg1 - twiddles[7] * reg0 + _HALF >> 15) - reg1 + reg0) * _HALF_STORE
        reg0 = i
        out[1] = sum_i + reg0 + reg1
        far[1] = sum_i - reg0 - reg1 - _LEAST
        out[128] = dif_r + reg0 - reg1
        far[128] = dif_r - reg0 + reg1
        reg0 = r
        reg1 = other
        out[0] = sum_r + reg0 + reg1
        far[0] = sum_r - reg0 - reg1
        out[129] = dif_i - reg0 + reg1
        far[129] = dif_i + reg0 - reg1 - _LEAST
        reg0 = a[21] - _BIAS
        reg1 = a[23] - _BIAS
        t = (reg0 + reg1) * twiddles[8] + _HALF
        r = ((twiddles[9] * reg1 + t >> 15) - reg1) * _HALF_STORE
        i = (t - twiddles[10] * reg0 >> 15) * _HALF_STORE
        reg0 = a[25] - _BIAS
        reg1 = a[27] - _BIAS
        t = (reg0 + reg1) * twiddles[11] + _HALF
        other = ((t - twiddles[12] * reg0 >> 15) + reg0) * _HALF_STORE
        reg1 = ((twiddles[13] * reg1 - t + 2 * _HALF >> 15) - reg1) * _HALF_STORE
        reg0 = a[19] * _HALF_STORE + _HALF_ZERO
        sum_i = reg0 + reg1
        dif_i = reg0 - reg1
        reg0 = a[17] * _HALF_STORE + _HALF_ZERO
        reg1 = other
        sum_r = reg0 + reg1
        dif_r = reg0 - reg1
        reg0 = a[29] - _BIAS
        reg1 = a[31] - _BIAS
        other = ((twiddles[14] * reg0 + twiddles[15] * reg1 + _HALF >> 15) - reg0 - reg1) * _HALF_STORE
        reg1 = ((twiddles[14] * reg1 - twiddles[15] * reg0 + _HALF >> 15) - reg1 + reg0) * _HALF_STORE
        reg0 = i
        out[3] = sum_i + reg0 + reg1
        far[3] = sum_i - reg0 - reg1 - _LEAST
        out[130] = dif_r + reg0 - reg1
        far[130] = dif_r - reg0 + reg1
        reg0 = r
        reg1 = other
        out[2] = sum_r + reg0 + reg1
        far[2] = sum_r - reg0 - reg1
        out[131] = dif_i - reg0 + reg1
        far[131] = dif_i + reg0 - reg1 - _LEAST
        out = ptr32(int(out) + 16)
        a = ptr16(int(a) + 64)
        twiddles = ptr32(int(twiddles) + 64)


@micropython.viper
def power_spectrum(reg0: int, reg1: int, near: ptr16, twiddles: ptr16):
    # Complex 256 -> real 512, straight to energies of bins 4..252, each in the first of its bin's two words.
    far = ptr16(int(near) + 8 * 251)
    near = ptr16(int(near) + 8 * 4)
    while int(near) < int(far):
        reg0 = near[1]
        sum_r = far[5] + reg0 - 2 * _HALF_BIAS
        reg1 = reg0 - far[5]
        reg0 = near[3]
        sum_i = reg0 - far[7]
        reg0 = far[7] + reg0 - 2 * _HALF_BIAS
        # of the conjugate: rounding is not symmetric
        turned = twiddles[1] * reg0 + twiddles[0] * reg1 + (_HALF - 1) >> 15
        reg1 = twiddles[0] * reg0 - twiddles[1] * reg1 + _HALF >> 15
        reg0 = sum_r + reg1 >> 1
        reg1 = sum_r - reg1 >> 1
        square = reg0 * reg0
        reg0 = sum_i - turned >> 1
        ptr32(near)[0] = reg0 * reg0 + square
        square = reg1 * reg1
        reg1 = turned + sum_i + 1 >> 1
        ptr32(far)[2] = reg1 * reg1 + square
        reg0 = near[5]
        sum_r = far[1] + reg0 - 2 * _HALF_BIAS
        reg1 = reg0 - far[1]
        reg0 = near[7]
        sum_i = reg0 - far[3]
        reg0 = far[3] + reg0 - 2 * _HALF_BIAS
        turned = twiddles[3] * reg0 + twiddles[2] * reg1 + (_HALF - 1) >> 15
        reg1 = twiddles[2] * reg0 - twiddles[3] * reg1 + _HALF >> 15
        reg0 = sum_r + reg1 >> 1
        reg1 = sum_r - reg1 >> 1
        square = reg0 * reg0
        reg0 = sum_i - turned >> 1
        ptr32(near)[2] = reg0 * reg0 + square
        square = reg1 * reg1
        reg1 = turned + sum_i + 1 >> 1
        ptr32(far)[0] = reg1 * reg1 + square
        twiddles = ptr16(int(twiddles) + 8)
        near = ptr16(int(near) + 16)
        far = ptr16(int(far) - 16)
    # Bin 128 is its own counterpart, at once conjugate and not
    reg0 = near[1] - _HALF_BIAS
    reg1 = ptr32(near)[1] + _LEAST >> 16
    sum_i = reg1 - near[3]
    reg1 = ((reg1 + near[3] - 2 * _HALF_BIAS) * _ONE + (_HALF - 1) >> 15) + sum_i + 1 >> 1
    ptr32(near)[0] = reg0 * reg0 + reg1 * reg1
