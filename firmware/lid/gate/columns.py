# SPDX-License-Identifier: MIT
# Quantised feature columns, gathered until there are as many as an inference reads.
from array import array

import micropython
from micropython import const

COLUMN_BYTES = const(40)  # a byte a feature
_BYTE_MAX = const((1 << 8) - 1)

# Words of the state: how many columns are there, how many an inference reads; the scale and the offset that make a byte of a
# feature, in Q30, split into Q15 halves (host: earlid/gate/quantise.py)
_COUNT = const(0)
_STRIDE = const(1)
_SCALE_HIGH = const(2)
_SCALE_LOW = const(3)
_OFFSET_HIGH = const(4)
_OFFSET_LOW = const(5)


# feature_scale: a network's. Returns room for an inference's columns, and the state.
def empty(stride, feature_scale):
    return bytearray(stride * COLUMN_BYTES), array("i", (0, stride) + feature_scale)


@micropython.viper
def push_column(reg0: int, features: ptr16, columns: ptr8, state: ptr32) -> int:
    # 40 uint16 features become the next column, rounded as pymicro-wakeword does and limited as ESPHome does. Returns how many
    # columns are there; when they are a whole inference's, the next one is the first again.
    scale_high = state[_SCALE_HIGH]
    scale_low = state[_SCALE_LOW]
    offset_high = state[_OFFSET_HIGH]
    offset_low = state[_OFFSET_LOW]
    count = state[_COUNT]
    out = ptr8(int(columns) + count * COLUMN_BYTES)
    end = int(out) + COLUMN_BYTES
    while int(out) < end:
        reg0 = features[0]
        low = reg0 * scale_low + offset_low >> 15
        reg0 = reg0 * scale_high + offset_high + low >> 15
        if reg0 > _BYTE_MAX:
            reg0 = _BYTE_MAX
        out[0] = reg0
        reg0 = features[1]
        low = reg0 * scale_low + offset_low >> 15
        reg0 = reg0 * scale_high + offset_high + low >> 15
        if reg0 > _BYTE_MAX:
            reg0 = _BYTE_MAX
        out[1] = reg0
        reg0 = features[2]
        low = reg0 * scale_low + offset_low >> 15
        reg0 = reg0 * scale_high + offset_high + low >> 15
        if reg0 > _BYTE_MAX:
            reg0 = _BYTE_MAX
        out[2] = reg0
        reg0 = features[3]
        low = reg0 * scale_low + offset_low >> 15
        reg0 = reg0 * scale_high + offset_high + low >> 15
        if reg0 > _BYTE_MAX:
            reg0 = _BYTE_MAX
        out[3] = reg0
        out = ptr8(int(out) + 4)
        features = ptr16(int(features) + 8)
    count += 1
    state[_COUNT] = 0 if count == state[_STRIDE] else count
    return count
