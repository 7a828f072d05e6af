# SPDX-License-Identifier: MIT
# From the power spectrum to 40 features: filterbank, square root, noise reduction, PCAN gain, logarithm.
# The reference's 64-bit steps are done here in exact 32-bit pieces. By Parseval the energies of a window add up to less
# than 2^28, so that a channel's weighted sum stays below 2^40 and its root below 2^20.
import micropython
from micropython import const

_CHANNELS = const(40)
_HALF_BITS = const(16)
_HALF_MASK = const((1 << _HALF_BITS) - 1)
_BYTE_MAX = const((1 << 8) - 1)
_WEIGHT_BITS = const(12)
_WHOLE_LIMIT = const(1 << 31 - _WEIGHT_BITS)  # of energies whose weighted sum and rest are half a word each

# Square root: arguments are scaled to 2^28 .. 2^30 - 1, the guesses' table goes by their upper 8 bits
_ROOT_BITS = const(30)
_GUESS_SHIFT = const(_ROOT_BITS - 8)
_FIRST_GUESS = const(1 << _ROOT_BITS - 2 - _GUESS_SHIFT)
_ROOT_MAX = const((1 << 16) - 1)

# Noise reduction, factors in Q14
_SMOOTHING_BITS = const(10)
_Q14 = const(14)
_Q14_MASK = const((1 << _Q14) - 1)
_EVEN_SMOOTHING = const(25 * (1 << _Q14) // 1000)  # 0.025
_ODD_SMOOTHING = const(60 * (1 << _Q14) // 1000)
_SMOOTHING_SUM = const(_EVEN_SMOOTHING + _ODD_SMOOTHING)
_MIN_SIGNAL = const(50 * (1 << _Q14) // 1000)

# PCAN: gain in Q21 as a quadratic of a fraction of 10 bits in each octave; signal to noise ratio in Q12, result in Q6
_GAIN_BIAS = const(1 << 13)  # in the table, which is read unsigned
_FRACTION_BITS = const(10)
_OCTAVE_SHIFT = const(_FRACTION_BITS + 1)
_FRACTION_MASK = const((1 << _FRACTION_BITS) - 1)
_SNR_BITS = const(12)
_SNR_SHIFT = const(21 - 3 - _SNR_BITS)  # the noise estimate has 10 - 7 = 3 bits more than the gain's argument
_SNR_MASK = const((1 << _SNR_SHIFT) - 1)
_OUTPUT_BITS = const(6)

# Logarithm: log2(1 + f) - f in 128 segments, Q16
_LOG_INPUT_BITS = const(3)
_SEGMENT_BITS = const(16 - 7)
_SEGMENT_MASK = const((1 << _SEGMENT_BITS) - 1)
_LN2_Q15 = const(45426 // 2)  # 2^16 ln 2 is 45426; half of it keeps products in 32 bits
_Q15 = const(15)
_Q15_MASK = const((1 << _Q15) - 1)
_Q15_HALF = const(1 << _Q15 - 1)
_LOG_SHIFT = const(16 - 6)
_LOG_HALF = const(1 << _LOG_SHIFT - 1)


def root_guesses():
    # 192 halfwords: square root of the middle of (64 + n) * 2^22, good to 8 bits
    out = bytearray(384)
    root = 32768
    for i in range(191, -1, -1):
        square = 2 * (_FIRST_GUESS + i) + 1 << _GUESS_SHIFT - 1
        while root * (root >> 1) > square >> 1:
            root -= 1
        out[2 * i] = root & 255
        out[2 * i + 1] = root >> 8
    return out


def bit_lengths():  # of all bytes
    out = bytearray(256)
    for i in range(1, 256):
        out[i] = out[i >> 1] + 1
    return out


@micropython.viper
def filterbank(reg0: uint, reg1: int, bins: ptr16, weights: ptr16, widths: ptr8, sums: ptr32):
    # Triangles overlap: a bin adds its weight to the channel that falls and 4096 less its weight to the next, which rises.
    # `bins`: energies in every second word, from bin 5 on, also read as halves; `sums` gets 40 pairs (bits 16..39, bits 0..15).
    fall_low = uint(0)
    fall_high = 0
    slope = 0
    while slope < _CHANNELS + 1:
        first = bins
        width = widths[slope]
        reg1 = 0
        n = width >> 2
        while n:
            reg1 = ptr32(bins)[0] + ptr32(bins)[2] + ptr32(bins)[4] + ptr32(bins)[6] + reg1
            bins = ptr16(int(bins) + 32)
            n -= 1
        if width & 2:
            reg1 = ptr32(bins)[0] + ptr32(bins)[2] + reg1
            bins = ptr16(int(bins) + 16)
        if width & 1:
            reg1 = ptr32(bins)[0] + reg1
        whole = reg1
        bins = first
        reg0 = uint(0)
        if whole < _WHOLE_LIMIT:  # most are: a product for each bin
            n = width >> 2
            while n:
                reg1 = weights[0]
                reg0 = uint(ptr32(bins)[0]) * reg1 + reg0
                reg1 = weights[1]
                reg0 = uint(ptr32(bins)[2]) * reg1 + reg0
                reg1 = weights[2]
                reg0 = uint(ptr32(bins)[4]) * reg1 + reg0
                reg1 = weights[3]
                reg0 = uint(ptr32(bins)[6]) * reg1 + reg0
                bins = ptr16(int(bins) + 32)
                weights = ptr16(int(weights) + 8)
                n -= 1
            if width & 2:
                reg1 = weights[0]
                reg0 = uint(ptr32(bins)[0]) * reg1 + reg0
                reg1 = weights[1]
                reg0 = uint(ptr32(bins)[2]) * reg1 + reg0
                bins = ptr16(int(bins) + 16)
                weights = ptr16(int(weights) + 4)
            if width & 1:
                reg1 = weights[0]
                reg0 = uint(ptr32(bins)[0]) * reg1 + reg0
                bins = ptr16(int(bins) + 8)
                weights = ptr16(int(weights) + 2)
            reg1 = fall_high
            rest = (uint(whole) << _WEIGHT_BITS) - reg0
            fall_high = 0
        else:
            high = 0
            while width:
                reg1 = weights[0]
                reg0 = uint(bins[0]) * reg1 + reg0
                high = bins[1] * reg1 + high
                bins = ptr16(int(bins) + 8)
                weights = ptr16(int(weights) + 2)
                width -= 1
            high += int(reg0 >> _HALF_BITS)
            reg0 = reg0 & _HALF_MASK
            reg1 = fall_high + high
            rest = uint(((whole & (1 << _HALF_BITS - _WEIGHT_BITS) - 1) << _WEIGHT_BITS) + _HALF_MASK + 1) - reg0
            fall_high = (whole >> _HALF_BITS - _WEIGHT_BITS) - high - 1
        reg0 = fall_low + reg0
        fall_low = rest
        if slope:
            sums[0] = int(reg0 >> _HALF_BITS) + reg1
            sums[1] = int(reg0 & _HALF_MASK)
            sums = ptr32(int(sums) + 8)
        slope += 1


@micropython.viper
def compress(
    reg0: int, reg1: int, sums: ptr32, estimate: ptr32, guess: ptr16, gains: ptr16, bits: ptr8, logs: ptr16, features: ptr16,
    shift: int,
):  # fmt: skip
    smoothing = _EVEN_SMOOTHING
    last = int(features) + 2 * _CHANNELS
    while int(features) < last:
        # Rounded square root: a guess of 8 bits, one Newton step (never too low), above 30 bits one step of division
        high = sums[0]
        low = sums[1]
        halvings = 0
        if high < 1 << _ROOT_BITS - _HALF_BITS:
            rest = high << _HALF_BITS | low
            reg0 = rest
            if reg0 < 1 << _ROOT_BITS - 16:
                reg0 <<= 16
                halvings = 8
            if reg0 < 1 << _ROOT_BITS - 8:
                reg0 <<= 8
                halvings += 4
            if reg0 < 1 << _ROOT_BITS - 4:
                reg0 <<= 4
                halvings += 2
            if reg0 < 1 << _ROOT_BITS - 2:
                reg0 <<= 2
                halvings += 1
        else:
            rest = high >> _HALF_BITS
            halvings = 2
            while rest:
                rest >>= 2
                halvings += 2
            reg0 = high << _HALF_BITS - halvings | low >> halvings
        if reg0:
            reg1 = guess[(reg0 >> _GUESS_SHIFT) - _FIRST_GUESS]
            reg1 = reg0 // reg1 + reg1 >> 1
            if reg1 * reg1 > reg0:
                reg1 -= 1
            if high < 1 << _ROOT_BITS - _HALF_BITS:
                reg1 >>= halvings
                reg0 = rest - reg1 * reg1
            else:
                reg0 -= reg1 * reg1
                low &= (1 << halvings) - 1
                halvings >>= 1
                rest = reg0 << halvings | low >> halvings
                reg0 = rest // (reg1 << 1)
                low = (rest - (reg1 << 1) * reg0 << halvings) + (low & (1 << halvings) - 1) - reg0 * reg0
                reg1 = (reg1 << halvings) + reg0
                if low < 0:
                    reg1 -= 1
                    low += (reg1 << 1) + 1
                reg0 = low
            if reg0 > reg1 and reg1 != _ROOT_MAX:
                reg1 += 1
            reg0 = reg1 >> shift
        # Noise reduction: a slow estimate of the channel's level is taken away
        signal = reg0
        scaled = reg0 << _SMOOTHING_BITS
        reg0 = estimate[0]
        reg1 = scaled - reg0
        reg0 = (reg1 >> _Q14) * smoothing + ((reg1 & _Q14_MASK) * smoothing >> _Q14) + reg0
        estimate[0] = reg0
        smoothing = _SMOOTHING_SUM - smoothing
        signal = signal * _MIN_SIGNAL >> _Q14
        reg1 = scaled - reg0 >> _SMOOTHING_BITS
        if reg1 > signal:
            signal = reg1
        # PCAN: gain by the noise estimate, a quadratic in each octave
        if reg0 <= 2:
            reg0 = gains[reg0] - _GAIN_BIAS
        else:
            octave = 0
            reg1 = reg0
            if reg1 > _HALF_MASK:
                reg1 >>= 16
                octave = 16
            if reg1 > _BYTE_MAX:
                reg1 >>= 8
                octave += 8
            octave += bits[reg1]
            if octave < _OCTAVE_SHIFT:
                reg1 = reg0 << _OCTAVE_SHIFT - octave & _FRACTION_MASK
            else:
                reg1 = reg0 >> octave - _OCTAVE_SHIFT & _FRACTION_MASK
            curve = ptr16(int(gains) + octave * 8 - 12)  # 4 halfwords an octave
            reg0 = ((curve[2] - _GAIN_BIAS) * reg1 >> 5) + (curve[1] - _GAIN_BIAS << 5)
            reg0 = (reg0 * reg1 + _Q15_HALF >> _Q15) + curve[0] - _GAIN_BIAS
        reg1 = signal
        reg1 = (reg1 >> _SNR_SHIFT) * reg0 + ((reg1 & _SNR_MASK) * reg0 >> _SNR_SHIFT)
        if reg1 < 2 << _SNR_BITS:
            reg1 = reg1 * reg1 >> 2 * _SNR_BITS + 2 - _OUTPUT_BITS
        else:
            reg1 = (reg1 >> _SNR_BITS - _OUTPUT_BITS) - (1 << _OUTPUT_BITS)
        # Natural logarithm in Q6 of eight times the value
        reg1 <<= _LOG_INPUT_BITS
        if reg1 > 1:
            octave = 0
            reg0 = reg1
            if reg0 > _HALF_MASK:
                reg0 >>= 16
                octave = 16
            if reg0 > _BYTE_MAX:
                reg0 >>= 8
                octave += 8
            octave += bits[reg0] - 1
            reg1 -= 1 << octave
            if octave < 16:
                reg1 <<= 16 - octave
            else:
                reg1 >>= octave - 16
            segment = ptr16(int(logs) + (reg1 >> _SEGMENT_BITS) * 2)
            reg0 = segment[0]
            reg1 = ((segment[1] - reg0) * (reg1 & _SEGMENT_MASK) >> 16) + reg0 + reg1 + (octave << 16)
            reg1 = (reg1 >> _Q15) * _LN2_Q15 + ((reg1 & _Q15_MASK) * _LN2_Q15 + _Q15_HALF >> _Q15) + _LOG_HALF >> _LOG_SHIFT
        features[0] = reg1
        sums = ptr32(int(sums) + 8)
        estimate = ptr32(int(estimate) + 4)
        features = ptr16(int(features) + 2)
