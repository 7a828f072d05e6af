# SPDX-License-Identifier: MIT
# Requantisation: from a layer's 32-bit sums to its output bytes; and layers without weights: addition and pooling.
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
_LENGTH = const(6)  # rows of a pool
_ROW = const(7)  # bytes
_OUTPUTS = const(9)
_WEIGHTS = const(10)  # an addition's tables, bytes into the blob
_RECORDS = const(11)  # bytes into the blob
_RECORD_STEP = const(12)  # bytes from record to record
_ZERO = const(13)  # the output's zero
_LEAST = const(14)  # a sum up to here gives zero: 0 after a RELU
_REVERSED = const(15)  # below this the second rounding goes the other way: -1, or never
_SUMS = const(16)  # bytes into the arena
_SKIP = const(17)  # sums before the first that is an output
_AVERAGE = const(18)  # not 0: an average pool
_CORRECTED = const(19)  # bytes of input whose sum corrects all outputs
_BACK = const(20)  # bytes from the newest row back to the oldest

# Words of a record
_BIAS = const(0)
_MULTIPLIER_LOW = const(2 * 1)  # halves of word 1
_MULTIPLIER_HIGH = const(2 * 1 + 1)
_ADDEND = const(2)
_SHIFT = const(3)

_OFFSET = const(1 << 29)  # added to biases and limits, which are kept in words that must not be negative
_LOW_BITS = const(14)
_LOW_MASK = const((1 << _LOW_BITS) - 1)
_SIGN = const(128)  # bytes are int8 with this added
_BYTE_MAX = const((1 << 8) - 1)
_TABLE_BYTES = const(4 * 256)


@micropython.viper
def requantise(reg0: int, record: ptr32, arena: ptr8, params: ptr32):
    # Sums times a 31-bit multiplier, shifted right: the 64-bit product in pieces of 14 and 16 bits, its lowest 30 bits
    # dropped. Convolutions round twice, the dense layer once: that is how TensorFlow Lite's reference kernels do it.
    heads = ptr32(arena)
    out = ptr8(int(arena) + heads[params[_OUT]] + params[_OUT_FIRST])
    sums = ptr32(int(arena) + params[_SUMS] + (params[_SKIP] << 2))
    inputs = ptr8(int(arena) + heads[params[_SOURCE]] + params[_FIRST] - params[_BACK])
    record = ptr32(int(record) + params[_RECORDS])
    reg0 = 0
    n = params[_CORRECTED] >> 3
    while n:
        reg0 = inputs[0] + inputs[1] + inputs[2] + inputs[3] + inputs[4] + inputs[5] + inputs[6] + inputs[7] + reg0
        inputs = ptr8(int(inputs) + 8)
        n -= 1
    correction = (reg0 << 7) + _OFFSET
    step = params[_RECORD_STEP]
    zero = params[_ZERO]
    least = params[_LEAST] - _OFFSET
    reversed_below = params[_REVERSED] - _OFFSET
    n = params[_OUTPUTS]
    while n:
        reg0 = sums[0] + record[_BIAS] - correction
        if reg0 <= least:
            reg0 = zero
        else:
            low = reg0 & _LOW_MASK
            reg0 = reg0 >> _LOW_BITS
            reg0 = ptr16(record)[_MULTIPLIER_HIGH] * reg0 + (
                (
                    ptr16(record)[_MULTIPLIER_HIGH] * low
                    + ((ptr16(record)[_MULTIPLIER_LOW] * reg0 + ((ptr16(record)[_MULTIPLIER_LOW] * low) >> _LOW_BITS)) >> 2)
                )
                >> _LOW_BITS
            )
            if reg0 < 0:
                if reg0 < reversed_below:
                    reg0 -= 2
                reg0 = (record[_ADDEND] + reg0) >> record[_SHIFT]
                if reg0 < 0:
                    reg0 = 0
            else:
                reg0 = (record[_ADDEND] + reg0) >> record[_SHIFT]
                if reg0 > _BYTE_MAX:
                    reg0 = _BYTE_MAX
        out[0] = reg0
        out = ptr8(int(out) + 1)
        sums = ptr32(int(sums) + 4)
        record = ptr32(int(record) + step)
        n -= 1


@micropython.viper
def add(reg0: ptr8, reg1: ptr8, arena: ptr8, params: ptr32):
    # Both inputs are scaled by a table of 256 words each, with 2^28 added. reg1: the blob, then the second input
    one = ptr32(int(reg1) + params[_WEIGHTS])
    two = ptr32(int(reg1) + params[_WEIGHTS] + _TABLE_BYTES)
    heads = ptr32(arena)
    reg0 = ptr8(int(arena) + heads[params[_SOURCE]] + params[_FIRST])
    reg1 = ptr8(int(arena) + heads[params[_SECOND]] + params[_SECOND_FIRST])
    sums = ptr32(int(arena) + params[_SUMS])
    for i in range(params[_OUTPUTS]):
        sums[i] = one[reg0[i]] + two[reg1[i]]


@micropython.viper
def pool(reg0: ptr8, blob: ptr8, arena: ptr8, params: ptr32):
    # Over all rows, each channel: the largest, or the mean rounded half away from zero.
    first = int(arena) + ptr32(arena)[params[_SOURCE]] + params[_FIRST] - params[_BACK]
    sums = ptr32(int(arena) + params[_SUMS])
    rows = params[_LENGTH]
    for i in range(params[_OUTPUTS]):
        reg0 = ptr8(first + i)
        s = 0
        for _ in range(rows):
            v = reg0[0]
            if params[_AVERAGE]:
                s += v - _SIGN
            elif v > s:
                s = v
            reg0 = ptr8(int(reg0) + params[_ROW])
        if params[_AVERAGE]:
            if s > 0:
                s = (s + (rows >> 1)) // rows + _SIGN
            else:
                s = _SIGN - ((rows >> 1) - s) // rows
        sums[i] = s
