# SPDX-License-Identifier: MIT
# Ring buffer of quantised feature columns, filled once a hop and emptied by whole inferences.
import micropython
from micropython import const

COLUMN_BYTES = const(40)  # a byte a feature
_BYTE_MAX = const((1 << 8) - 1)

# Words of the ring's state: the column written next, how many are unread, the capacity and how many an inference reads
# (all in columns), whether unread ones were dropped; the scale and the offset that make a byte of a feature, in Q30,
# split into Q15 halves (host: earlid/gate/quantise.py)
_WRITE = const(0)
_UNREAD = const(1)
_CAPACITY = const(2)
_STRIDE = const(3)
_OVERRUN = const(4)
_SCALE_HIGH = const(5)
_SCALE_LOW = const(6)
_OFFSET_HIGH = const(7)
_OFFSET_LOW = const(8)


@micropython.viper
def push_column(reg0: int, features: ptr16, ring: ptr8, state: ptr32) -> int:
    # 40 uint16 features become the next column, rounded as pymicro-wakeword does and
    # limited as ESPHome does. Returns how many columns are unread.
    # When the ring is full, a whole inference is dropped, so that those that run keep their places in time.
    scale_high = state[_SCALE_HIGH]
    scale_low = state[_SCALE_LOW]
    offset_high = state[_OFFSET_HIGH]
    offset_low = state[_OFFSET_LOW]
    column = state[_WRITE]
    out = ptr8(int(ring) + column * COLUMN_BYTES)
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
    column += 1
    state[_WRITE] = 0 if column == state[_CAPACITY] else column
    column = state[_UNREAD] + 1
    if column > state[_CAPACITY]:
        column -= state[_STRIDE]
        state[_OVERRUN] = 1
    state[_UNREAD] = column
    return column


@micropython.viper
def pop_columns(state: ptr32) -> int:
    # The oldest columns of one inference are read: where they begin, in bytes. The capacity is a multiple of the stride,
    # so that they do not wrap.
    column = state[_WRITE] - state[_UNREAD]
    if column < 0:
        column += state[_CAPACITY]
    state[_UNREAD] = state[_UNREAD] - state[_STRIDE]
    return column * COLUMN_BYTES
