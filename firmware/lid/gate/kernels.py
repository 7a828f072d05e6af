# SPDX-License-Identifier: MIT
# Generated from earlid/gate/kernel_templates/kernels.py.in by earlid.gate.kernel_generator: do not edit.
# All layers of the network in one call. Activations and weights are unsigned bytes, biased by 128: what that adds to a
# sum is taken out again by the records' bias and by the layer's own sum of activations. Every value stays inside 32 bits,
# and no negative one is kept in a word: viper on a 64-bit machine would read it back as a large positive one.
import micropython
from micropython import const

# Words of a layer's parameters: `_SOURCE`, `_SECOND`, `_OUT` are indices of heads in the arena's first words, `_FIRST`
# and its like are bytes from a head to the buffer's first channel that is meant
_SOURCE = const(0)
_FIRST = const(1)
_SECOND = const(2)
_SECOND_FIRST = const(3)
_OUT = const(4)
_OUT_FIRST = const(5)
_LENGTH = const(6)  # bytes summed over by a dense layer, taps of a depthwise one, rows of a pool
_ROW = const(7)  # bytes
_GROUPS = const(8)  # of 16 lanes
_OUTPUTS = const(9)
_WEIGHTS = const(10)  # or an addition's tables: bytes from the lowest of the pieces
_RECORDS = const(11)  # the same
_RECORD_STEP = const(12)  # bytes from record to record
_ZERO = const(13)  # the output's zero
_LEAST = const(14)  # a sum up to here gives zero: 0 after a RELU
_REVERSED = const(15)  # below this the second rounding goes the other way: -1, or never
_SUMS = const(16)  # where the sums go, bytes into the arena
_SKIP = const(17)  # sums before the first that is an output
_AVERAGE = const(18)  # not 0: an average pool
_CORRECTED = const(19)  # bytes of input whose sum corrects all outputs
_BACK = const(20)  # bytes from the newest row back to the oldest
_ZERO_IN = const(21)  # the byte that stands for 0 in a dense layer's input
_KIND = const(22)
_LAYER_BYTES = const(4 * 23)

_DENSE = const(1)
_DOT = const(2)
_DEPTHWISE = const(3)
_ADD = const(4)

# Words of a record
_BIAS = const(0)
_MULTIPLIER_LOW = const(2 * 1)  # halves of word 1
_MULTIPLIER_HIGH = const(2 * 1 + 1)
_ADDEND = const(2)
_SHIFT = const(3)

_OFFSET = const(1 << 29)  # added to biases and limits, which are kept in words that must not be negative
_SMALL = const(1 << 15)  # times half a multiplier stays in a word
_SMALL_BITS = const(16)
_LOW_BITS = const(14)
_LOW_MASK = const((1 << _LOW_BITS) - 1)
_SIGN = const(128)  # in a byte
_LEAST_SUM = const(128 * 255)  # a tap: added, so that no sum of a depthwise layer is negative
_BYTE_MAX = const(255)
_TABLE_BYTES = const(4 * 256)


@micropython.viper
def run(reg0: int, w: ptr8, arena: ptr8, params: ptr32, layers: int):
    # w: the lowest of the pieces that hold weights and records, later whatever is read one after the other
    base = int(w)
    while layers:
        newest = int(arena) + ptr32(arena)[params[_SOURCE]] + params[_FIRST]
        start = newest - params[_BACK]
        w = ptr8(base + params[_WEIGHTS])
        sums = ptr32(int(arena) + params[_SUMS])
        kind = params[_KIND]
        groups = params[_GROUPS]
        if kind == _DENSE:
            # Up to 32 outputs at a time: each activation is loaded once and stays in reg0
            zero = params[_ZERO_IN]
            while groups:
                reg0 = zero * _BYTE_MAX * params[_LENGTH]
                s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = s8 = s9 = s10 = s11 = s12 = s13 = s14 = s15 = reg0
                s16 = s17 = s18 = s19 = s20 = s21 = s22 = s23 = s24 = s25 = s26 = s27 = s28 = s29 = s30 = s31 = reg0
                wide = groups > 1
                row = 32 if wide else 16
                a = ptr8(start)
                n = params[_LENGTH] >> 1
                while n:
                    reg0 = a[0] - zero
                    if reg0:  # often there is nothing
                        s0 = w[0] * reg0 + s0
                        s1 = w[1] * reg0 + s1
                        s2 = w[2] * reg0 + s2
                        s3 = w[3] * reg0 + s3
                        s4 = w[4] * reg0 + s4
                        s5 = w[5] * reg0 + s5
                        s6 = w[6] * reg0 + s6
                        s7 = w[7] * reg0 + s7
                        s8 = w[8] * reg0 + s8
                        s9 = w[9] * reg0 + s9
                        s10 = w[10] * reg0 + s10
                        s11 = w[11] * reg0 + s11
                        s12 = w[12] * reg0 + s12
                        s13 = w[13] * reg0 + s13
                        s14 = w[14] * reg0 + s14
                        s15 = w[15] * reg0 + s15
                        if wide:
                            s16 = w[16] * reg0 + s16
                            s17 = w[17] * reg0 + s17
                            s18 = w[18] * reg0 + s18
                            s19 = w[19] * reg0 + s19
                            s20 = w[20] * reg0 + s20
                            s21 = w[21] * reg0 + s21
                            s22 = w[22] * reg0 + s22
                            s23 = w[23] * reg0 + s23
                            s24 = w[24] * reg0 + s24
                            s25 = w[25] * reg0 + s25
                            s26 = w[26] * reg0 + s26
                            s27 = w[27] * reg0 + s27
                            s28 = w[28] * reg0 + s28
                            s29 = w[29] * reg0 + s29
                            s30 = w[30] * reg0 + s30
                            s31 = w[31] * reg0 + s31
                    w = ptr8(int(w) + row)
                    reg0 = a[1] - zero
                    if reg0:
                        s0 = w[0] * reg0 + s0
                        s1 = w[1] * reg0 + s1
                        s2 = w[2] * reg0 + s2
                        s3 = w[3] * reg0 + s3
                        s4 = w[4] * reg0 + s4
                        s5 = w[5] * reg0 + s5
                        s6 = w[6] * reg0 + s6
                        s7 = w[7] * reg0 + s7
                        s8 = w[8] * reg0 + s8
                        s9 = w[9] * reg0 + s9
                        s10 = w[10] * reg0 + s10
                        s11 = w[11] * reg0 + s11
                        s12 = w[12] * reg0 + s12
                        s13 = w[13] * reg0 + s13
                        s14 = w[14] * reg0 + s14
                        s15 = w[15] * reg0 + s15
                        if wide:
                            s16 = w[16] * reg0 + s16
                            s17 = w[17] * reg0 + s17
                            s18 = w[18] * reg0 + s18
                            s19 = w[19] * reg0 + s19
                            s20 = w[20] * reg0 + s20
                            s21 = w[21] * reg0 + s21
                            s22 = w[22] * reg0 + s22
                            s23 = w[23] * reg0 + s23
                            s24 = w[24] * reg0 + s24
                            s25 = w[25] * reg0 + s25
                            s26 = w[26] * reg0 + s26
                            s27 = w[27] * reg0 + s27
                            s28 = w[28] * reg0 + s28
                            s29 = w[29] * reg0 + s29
                            s30 = w[30] * reg0 + s30
                            s31 = w[31] * reg0 + s31
                    w = ptr8(int(w) + row)
                    a = ptr8(int(a) + 2)
                    n -= 1
                sums[0] = s0
                sums[1] = s1
                sums[2] = s2
                sums[3] = s3
                sums[4] = s4
                sums[5] = s5
                sums[6] = s6
                sums[7] = s7
                sums[8] = s8
                sums[9] = s9
                sums[10] = s10
                sums[11] = s11
                sums[12] = s12
                sums[13] = s13
                sums[14] = s14
                sums[15] = s15
                groups -= 1
                if wide:
                    groups -= 1
                    sums[16] = s16
                    sums[17] = s17
                    sums[18] = s18
                    sums[19] = s19
                    sums[20] = s20
                    sums[21] = s21
                    sums[22] = s22
                    sums[23] = s23
                    sums[24] = s24
                    sums[25] = s25
                    sums[26] = s26
                    sums[27] = s27
                    sums[28] = s28
                    sums[29] = s29
                    sums[30] = s30
                    sums[31] = s31
                sums = ptr32(int(sums) + 128)
        elif kind == _DEPTHWISE:
            row = params[_ROW]
            while groups:
                n = params[_LENGTH]
                s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = s8 = s9 = s10 = s11 = s12 = s13 = s14 = s15 = n * _LEAST_SUM
                reg0 = start
                while n:
                    if ptr8(reg0)[0]:  # after a RELU most are 0
                        s0 = (w[0] - _SIGN) * ptr8(reg0)[0] + s0
                    if ptr8(reg0)[1]:
                        s1 = (w[1] - _SIGN) * ptr8(reg0)[1] + s1
                    if ptr8(reg0)[2]:
                        s2 = (w[2] - _SIGN) * ptr8(reg0)[2] + s2
                    if ptr8(reg0)[3]:
                        s3 = (w[3] - _SIGN) * ptr8(reg0)[3] + s3
                    if ptr8(reg0)[4]:
                        s4 = (w[4] - _SIGN) * ptr8(reg0)[4] + s4
                    if ptr8(reg0)[5]:
                        s5 = (w[5] - _SIGN) * ptr8(reg0)[5] + s5
                    if ptr8(reg0)[6]:
                        s6 = (w[6] - _SIGN) * ptr8(reg0)[6] + s6
                    if ptr8(reg0)[7]:
                        s7 = (w[7] - _SIGN) * ptr8(reg0)[7] + s7
                    if ptr8(reg0)[8]:
                        s8 = (w[8] - _SIGN) * ptr8(reg0)[8] + s8
                    if ptr8(reg0)[9]:
                        s9 = (w[9] - _SIGN) * ptr8(reg0)[9] + s9
                    if ptr8(reg0)[10]:
                        s10 = (w[10] - _SIGN) * ptr8(reg0)[10] + s10
                    if ptr8(reg0)[11]:
                        s11 = (w[11] - _SIGN) * ptr8(reg0)[11] + s11
                    if ptr8(reg0)[12]:
                        s12 = (w[12] - _SIGN) * ptr8(reg0)[12] + s12
                    if ptr8(reg0)[13]:
                        s13 = (w[13] - _SIGN) * ptr8(reg0)[13] + s13
                    if ptr8(reg0)[14]:
                        s14 = (w[14] - _SIGN) * ptr8(reg0)[14] + s14
                    if ptr8(reg0)[15]:
                        s15 = (w[15] - _SIGN) * ptr8(reg0)[15] + s15
                    reg0 = reg0 + row
                    w = ptr8(int(w) + 16)
                    n -= 1
                sums[0] = s0
                sums[1] = s1
                sums[2] = s2
                sums[3] = s3
                sums[4] = s4
                sums[5] = s5
                sums[6] = s6
                sums[7] = s7
                sums[8] = s8
                sums[9] = s9
                sums[10] = s10
                sums[11] = s11
                sums[12] = s12
                sums[13] = s13
                sums[14] = s14
                sums[15] = s15
                start += 16
                sums = ptr32(int(sums) + 64)
                groups -= 1
        elif kind == _DOT:
            # few outputs: one sum each
            outputs = params[_OUTPUTS]
            while outputs:
                reg0 = start
                s0 = 0
                n = params[_LENGTH] >> 3
                while n:
                    s0 = (
                        ptr8(reg0)[0] * w[0]
                        + ptr8(reg0)[1] * w[1]
                        + ptr8(reg0)[2] * w[2]
                        + ptr8(reg0)[3] * w[3]
                        + ptr8(reg0)[4] * w[4]
                        + ptr8(reg0)[5] * w[5]
                        + ptr8(reg0)[6] * w[6]
                        + ptr8(reg0)[7] * w[7]
                        + s0
                    )
                    reg0 += 8
                    w = ptr8(int(w) + 8)
                    n -= 1
                sums[0] = s0
                sums = ptr32(int(sums) + 4)
                outputs -= 1
        elif kind == _ADD:
            # Both inputs are scaled by a table of 256 words each, with 2^28 added.
            one = ptr32(w)
            two = ptr32(int(w) + _TABLE_BYTES)
            a = ptr8(newest)
            reg0 = int(arena) + ptr32(arena)[params[_SECOND]] + params[_SECOND_FIRST]
            for i in range(params[_OUTPUTS]):
                sums[i] = one[a[i]] + two[ptr8(reg0)[i]]
        else:
            # A pool over all rows, each channel: the largest, or the mean rounded half away from zero.
            rows = params[_LENGTH]
            for i in range(params[_OUTPUTS]):
                a = ptr8(start + i)
                s0 = 0
                for _ in range(rows):
                    reg0 = a[0]
                    if params[_AVERAGE]:
                        s0 += reg0 - _SIGN
                    elif reg0 > s0:
                        s0 = reg0
                    a = ptr8(int(a) + params[_ROW])
                if params[_AVERAGE]:
                    if s0 > 0:
                        s0 = (s0 + (rows >> 1)) // rows + _SIGN
                    else:
                        s0 = _SIGN - ((rows >> 1) - s0) // rows
                sums[i] = s0
        # Requantisation. Sums times a 31-bit multiplier, shifted right: the 64-bit product in pieces of 14 and 16 bits, its
        # lowest 30 bits dropped. Convolutions round twice, the dense layer once: that is how TensorFlow Lite's reference
        # kernels do it.
        sums = ptr32(int(arena) + params[_SUMS] + (params[_SKIP] << 2))
        out = ptr8(int(arena) + ptr32(arena)[params[_OUT]] + params[_OUT_FIRST])
        reg0 = 0
        n = params[_CORRECTED] >> 3
        w = ptr8(newest - params[_BACK])
        while n:
            reg0 = w[0] + w[1] + w[2] + w[3] + w[4] + w[5] + w[6] + w[7] + reg0
            w = ptr8(int(w) + 8)
            n -= 1
        correction = (reg0 << 7) + _OFFSET
        w = ptr8(base + params[_RECORDS])
        step = params[_RECORD_STEP]
        zero = params[_ZERO]
        least = params[_LEAST] - _OFFSET
        reversed_below = params[_REVERSED] - _OFFSET
        n = params[_OUTPUTS]
        while n > 0:
            reg0 = sums[0] + ptr32(w)[_BIAS] - correction
            if reg0 <= least:
                out[0] = zero
            else:
                if reg0 + _SMALL >> _SMALL_BITS:
                    low = reg0 & _LOW_MASK
                    reg0 = reg0 >> _LOW_BITS
                    reg0 = ptr16(w)[_MULTIPLIER_HIGH] * reg0 + (
                        (
                            ptr16(w)[_MULTIPLIER_HIGH] * low
                            + ((ptr16(w)[_MULTIPLIER_LOW] * reg0 + ((ptr16(w)[_MULTIPLIER_LOW] * low) >> _LOW_BITS)) >> 2)
                        )
                        >> _LOW_BITS
                    )
                else:  # nearly all
                    reg0 = (ptr16(w)[_MULTIPLIER_LOW] * reg0 >> 16) + ptr16(w)[_MULTIPLIER_HIGH] * reg0 >> _LOW_BITS
                if reg0 < reversed_below:
                    reg0 -= 2
                reg0 = ptr32(w)[_ADDEND] + reg0 >> ptr32(w)[_SHIFT]
                if reg0 >> 8:
                    reg0 = 0 if reg0 < 0 else _BYTE_MAX
                out[0] = reg0
            w = ptr8(int(w) + step)
            if n == 1:
                break
            reg0 = sums[1] + ptr32(w)[_BIAS] - correction
            if reg0 <= least:
                out[1] = zero
            else:
                if reg0 + _SMALL >> _SMALL_BITS:
                    low = reg0 & _LOW_MASK
                    reg0 = reg0 >> _LOW_BITS
                    reg0 = ptr16(w)[_MULTIPLIER_HIGH] * reg0 + (
                        (
                            ptr16(w)[_MULTIPLIER_HIGH] * low
                            + ((ptr16(w)[_MULTIPLIER_LOW] * reg0 + ((ptr16(w)[_MULTIPLIER_LOW] * low) >> _LOW_BITS)) >> 2)
                        )
                        >> _LOW_BITS
                    )
                else:
                    reg0 = (ptr16(w)[_MULTIPLIER_LOW] * reg0 >> 16) + ptr16(w)[_MULTIPLIER_HIGH] * reg0 >> _LOW_BITS
                if reg0 < reversed_below:
                    reg0 -= 2
                reg0 = ptr32(w)[_ADDEND] + reg0 >> ptr32(w)[_SHIFT]
                if reg0 >> 8:
                    reg0 = 0 if reg0 < 0 else _BYTE_MAX
                out[1] = reg0
            w = ptr8(int(w) + step)
            out = ptr8(int(out) + 2)
            sums = ptr32(int(sums) + 8)
            n -= 2
        params = ptr32(int(params) + _LAYER_BYTES)
        layers -= 1
