# SPDX-License-Identifier: MIT
# From the power spectrum to 40 features: filterbank, square root, noise reduction, PCAN gain, logarithm.
# The reference's 64-bit steps are done here in exact 32-bit pieces. By Parseval the energies of a window add up to less
# than 2^28, so that a channel's weighted sum stays below 2^40 and its root below 2^20.
import micropython
from micropython import const

_CHANNELS = const(40)
_EVEN_SMOOTHING = const(409)  # 0.025 in Q14
_SMOOTHING_SUM = const(1392)  # 0.025 + 0.06 in Q14
_MIN_SIGNAL = const(819)  # 0.05 in Q14


def root_guesses():
    # 192 halfwords: square root of the middle of (64 + n) * 2^22, good to 8 bits
    out = bytearray(384)
    root = 32768
    for i in range(191, -1, -1):
        middle = 2 * (64 + i) + 1 << 21
        while root * (root >> 1) > middle >> 1:
            root -= 1
        out[2 * i] = root & 255
        out[2 * i + 1] = root >> 8
    return out


def bit_lengths():
    out = bytearray(256)
    for i in range(1, 256):
        out[i] = out[i >> 1] + 1
    return out


# The first two arguments of `compress` are only names for the two registers that viper gives to locals.


@micropython.viper
def filterbank(e: ptr16, w: ptr16, widths: ptr8, sums: ptr32):
    # Slopes rise and fall: a bin adds its weight to one channel and 4096 less its weight to the channel before.
    # `e` are energies in every second word, also read as halves, from bin 5 on; `sums` gets 40 pairs (bits 16..39, bits 0..15).
    fall_low = 0
    fall_high = 0
    slope = 0
    while slope < 41:
        width = widths[slope]
        low = uint(0)
        high = 0
        whole = 0
        while width > 3:
            low = uint(w[0] * e[0]) + w[1] * e[4] + w[2] * e[8] + w[3] * e[12] + low
            high = w[0] * e[1] + w[1] * e[5] + w[2] * e[9] + w[3] * e[13] + high
            whole = ptr32(e)[0] + ptr32(e)[2] + ptr32(e)[4] + ptr32(e)[6] + whole
            e = ptr16(int(e) + 32)
            w = ptr16(int(w) + 8)
            width -= 4
        if width > 1:
            low = uint(w[0] * e[0]) + w[1] * e[4] + low
            high = w[0] * e[1] + w[1] * e[5] + high
            whole = ptr32(e)[0] + ptr32(e)[2] + whole
            e = ptr16(int(e) + 16)
            w = ptr16(int(w) + 4)
            width -= 2
        if width:
            low = uint(w[0] * e[0]) + low
            high = w[0] * e[1] + high
            whole = ptr32(e)[0] + whole
            e = ptr16(int(e) + 8)
            w = ptr16(int(w) + 2)
        high = int(low >> 16) + high
        width = int(low & 65535)
        if slope:
            fall_low = width + fall_low
            sums[0] = (fall_low >> 16) + high + fall_high
            sums[1] = fall_low & 65535
            sums = ptr32(int(sums) + 8)
        fall_high = (whole >> 4) - high
        fall_low = ((whole & 15) << 12) - width
        slope += 1


@micropython.viper
def compress(
    x: int, y: int, sums: ptr32, estimate: ptr32, guess: ptr16, gains: ptr16, bits: ptr8, logs: ptr16, features: ptr16, shift: int
):
    smoothing = _EVEN_SMOOTHING
    last = int(features) + 2 * _CHANNELS
    while int(features) < last:
        # Rounded square root: a guess of 8 bits, one Newton step (never too low), above 30 bits one step of division
        high = sums[0]
        low = sums[1]
        extra = 0
        if high < 16384:
            whole = high << 16 | low
            x = whole
            if x < 16384:
                x <<= 16
                extra = 8
            if x < 4194304:
                x <<= 8
                extra += 4
            if x < 67108864:
                x <<= 4
                extra += 2
            if x < 268435456:
                x <<= 2
                extra += 1
        else:
            whole = high >> 16
            extra = 2
            while whole:
                whole >>= 2
                extra += 2
            x = high << 16 - extra | low >> extra
        if x:
            y = guess[(x >> 22) - 64]
            y = x // y + y >> 1
            if y * y > x:
                y -= 1
            if high < 16384:
                y >>= extra
                x = whole - y * y
            else:
                x -= y * y
                low &= (1 << extra) - 1
                extra >>= 1
                whole = x << extra | low >> extra
                x = whole // (y << 1)
                low = (whole - (y << 1) * x << extra) + (low & (1 << extra) - 1) - x * x
                y = (y << extra) + x
                if low < 0:
                    y -= 1
                    low += (y << 1) + 1
                x = low
            if x > y and y != 65535:
                y += 1
            x = y >> shift
        # Noise reduction: a slow estimate of the channel's level is taken away
        level = x
        scaled = x << 10
        x = estimate[0]
        y = scaled - x
        x = (y >> 14) * smoothing + ((y & 16383) * smoothing >> 14) + x
        estimate[0] = x
        smoothing = _SMOOTHING_SUM - smoothing
        level = level * _MIN_SIGNAL >> 14
        y = scaled - x >> 10
        if y > level:
            level = y
        # PCAN: gain by the noise estimate, a quadratic in each octave
        if x <= 2:
            x = gains[x] - 8192
        else:
            octave = 0
            y = x
            if y > 65535:
                y >>= 16
                octave = 16
            if y > 255:
                y >>= 8
                octave += 8
            octave += bits[y]
            if octave < 11:
                y = x << 11 - octave & 1023
            else:
                y = x >> octave - 11 & 1023
            curve = ptr16(int(gains) + octave * 8 - 12)
            x = ((curve[2] - 8192) * y >> 5) + (curve[1] - 8192 << 5)
            x = (x * y + 16384 >> 15) + curve[0] - 8192
        y = level
        y = (y >> 6) * x + ((y & 63) * x >> 6)
        if y < 8192:
            y = y * y >> 20
        else:
            y = (y >> 6) - 64
        # Natural logarithm in Q6 of eight times the value
        y <<= 3
        if y > 1:
            octave = 0
            x = y
            if x > 65535:
                x >>= 16
                octave = 16
            if x > 255:
                x >>= 8
                octave += 8
            octave += bits[x] - 1
            y -= 1 << octave
            if octave < 16:
                y <<= 16 - octave
            else:
                y >>= octave - 16
            segment = ptr16(int(logs) + (y >> 9) * 2)
            x = segment[0]
            y = ((segment[1] - x) * (y & 511) >> 16) + x + y + (octave << 16)
            y = (y >> 15) * 22713 + ((y & 32767) * 22713 + 16384 >> 15) + 512 >> 10
        features[0] = y
        sums = ptr32(int(sums) + 8)
        estimate = ptr32(int(estimate) + 4)
        features = ptr16(int(features) + 2)
