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


@micropython.viper
def filterbank(e: ptr16, w: ptr16, widths: ptr8, sums: ptr32):
    # Slopes rise and fall: a bin adds its weight to one channel and 4096 less its weight to the channel before.
    # `e` are energies of 32 bits read as halves, from bin 5 on; `sums` gets 40 pairs (bits 16..39, bits 0..15).
    fall_low = uint(0)
    fall_high = 0
    slope = 0
    while slope < 41:
        width = widths[slope]
        rise_low = uint(0)
        rise_high = 0
        all_low = uint(0)
        all_high = 0
        while width > 1:
            rise_low = rise_low + w[0] * e[0] + w[1] * e[2]
            rise_high = rise_high + w[0] * e[1] + w[1] * e[3]
            all_low = all_low + e[0] + e[2]
            all_high = all_high + e[1] + e[3]
            e = ptr16(int(e) + 8)
            w = ptr16(int(w) + 4)
            width -= 2
        if width:
            rise_low = rise_low + w[0] * e[0]
            rise_high = rise_high + w[0] * e[1]
            all_low = all_low + e[0]
            all_high = all_high + e[1]
            e = ptr16(int(e) + 4)
            w = ptr16(int(w) + 2)
        if slope:
            low = int((rise_low & 65535) + (fall_low & 65535))
            sums[0] = rise_high + fall_high + int(rise_low >> 16) + int(fall_low >> 16) + (low >> 16)
            sums[1] = low & 65535
            sums = ptr32(int(sums) + 8)
        fall_low = (all_low << 12) - rise_low
        fall_high = (all_high << 12) - rise_high
        slope += 1


@micropython.viper
def roots(sums: ptr32, signal: ptr32, guess: ptr16, shift: int):
    # Rounded square roots: a guess of 8 bits, one Newton step (never too low), and above 30 bits one step of division.
    left = 40
    while left:
        high = sums[0]
        low = sums[1]
        extra = 0
        if high < 16384:
            whole = high << 16 | low
            top = whole
            if top < 16384:
                top <<= 16
                extra = 8
            if top < 4194304:
                top <<= 8
                extra += 4
            if top < 67108864:
                top <<= 4
                extra += 2
            if top < 268435456:
                top <<= 2
                extra += 1
        else:
            whole = high >> 16
            extra = 2
            while whole:
                whole >>= 2
                extra += 2
            top = high << 16 - extra | low >> extra
        if top:
            first = guess[(top >> 22) - 64]
            root = first + top // first >> 1
            if root * root > top:
                root -= 1
            if high < 16384:
                root >>= extra
                rest = whole - root * root
            else:
                rest = top - root * root
                low &= (1 << extra) - 1
                extra >>= 1
                whole = rest << extra | low >> extra
                step = whole // (root << 1)
                rest = (whole - (root << 1) * step << extra) + (low & (1 << extra) - 1) - step * step
                root = (root << extra) + step
                if rest < 0:
                    root -= 1
                    rest += (root << 1) + 1
            if rest > root and root != 65535:
                root += 1
            top = root >> shift
        signal[0] = top
        sums = ptr32(int(sums) + 8)
        signal = ptr32(int(signal) + 4)
        left -= 1


@micropython.viper
def compress(signal: ptr32, estimate: ptr32, gains: ptr16, bits: ptr8, logs: ptr16, features: ptr16):
    smoothing = _EVEN_SMOOTHING
    left = _CHANNELS
    while left:
        # Noise reduction: a slow estimate of the channel's level is taken away
        level = signal[0]
        scaled = level << 10
        noise = estimate[0]
        change = scaled - noise
        noise += (change >> 14) * smoothing + ((change & 16383) * smoothing >> 14)
        estimate[0] = noise
        smoothing = _SMOOTHING_SUM - smoothing
        value = level * _MIN_SIGNAL >> 14
        if noise < scaled:
            change = scaled - noise >> 10
            if change > value:
                value = change
        # PCAN: gain by the noise estimate, a quadratic in each octave
        if noise <= 2:
            gain = gains[noise] - 8192
        else:
            octave = 0
            rest = noise
            if rest > 65535:
                rest >>= 16
                octave = 16
            if rest > 255:
                rest >>= 8
                octave += 8
            octave += bits[rest]
            if octave < 11:
                rest = noise << 11 - octave & 1023
            else:
                rest = noise >> octave - 11 & 1023
            octave = octave * 4 - 6
            gain = ((gains[octave + 2] - 8192) * rest >> 5) + (gains[octave + 1] - 8192 << 5)
            gain = (gain * rest + 16384 >> 15) + gains[octave] - 8192
        value = (value >> 6) * gain + ((value & 63) * gain >> 6)
        if value < 8192:
            value = value * value >> 20
        else:
            value = (value >> 6) - 64
        # Natural logarithm in Q6 of eight times the value
        value <<= 3
        if value > 1:
            octave = 0
            rest = value
            if rest > 65535:
                rest >>= 16
                octave = 16
            if rest > 255:
                rest >>= 8
                octave += 8
            octave += bits[rest] - 1
            value -= 1 << octave
            if octave < 16:
                value <<= 16 - octave
            else:
                value >>= octave - 16
            rest = value >> 9
            gain = logs[rest]
            value = (octave << 16) + value + gain + ((logs[rest + 1] - gain) * (value & 511) >> 16)
            value = (value >> 15) * 22713 + ((value & 32767) * 22713 + 16384 >> 15)
            value = value + 512 >> 10
        features[0] = value
        signal = ptr32(int(signal) + 4)
        estimate = ptr32(int(estimate) + 4)
        features = ptr16(int(features) + 2)
        left -= 1
