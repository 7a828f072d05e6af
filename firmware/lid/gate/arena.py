# SPDX-License-Identifier: MIT
# Rows of activations: quantised columns in, histories that slide. Heads are byte offsets in the arena's first words.
import micropython
from micropython import const

COLUMN = const(44)  # bytes of a column: 40 features and a note

# Words of a ring's state: where the next column goes and how many wait to be taken (both in columns), how many there
# are, how many an inference takes, whether some were dropped; four numbers that make a byte of a feature
_NEXT = const(0)
_WAITING = const(1)
_COLUMNS = const(2)
_STRIDE = const(3)
_GAP = const(4)
_HIGH = const(5)
_LOW = const(6)
_OFFSET = const(7)
_LOW_OFFSET = const(8)


@micropython.viper
def keep(f: int, features: ptr16, ring: ptr8, state: ptr32, note: int) -> int:
    # 40 uint16 features become the next column, exactly as pymicro-wakeword rounds them, with a note after it. How many
    # columns wait. When there is no room, a whole inference is dropped, so that those that run keep their places in time.
    high = state[_HIGH]
    low = state[_LOW]
    offset = state[_OFFSET]
    low_offset = state[_LOW_OFFSET]
    at = state[_NEXT]
    out = ptr8(int(ring) + at * COLUMN)
    ptr32(out)[10] = note
    end = int(out) + 40
    while int(out) < end:
        f = features[0]
        part = f * low + low_offset >> 15
        out[0] = f * high + offset + part >> 15 & 255
        f = features[1]
        part = f * low + low_offset >> 15
        out[1] = f * high + offset + part >> 15 & 255
        f = features[2]
        part = f * low + low_offset >> 15
        out[2] = f * high + offset + part >> 15 & 255
        f = features[3]
        part = f * low + low_offset >> 15
        out[3] = f * high + offset + part >> 15 & 255
        out = ptr8(int(out) + 4)
        features = ptr16(int(features) + 8)
    at += 1
    state[_NEXT] = 0 if at == state[_COLUMNS] else at
    at = state[_WAITING] + 1
    if at > state[_COLUMNS]:
        at -= state[_STRIDE]
        state[_GAP] = 1
    state[_WAITING] = at
    return at


@micropython.viper
def oldest(state: ptr32) -> int:
    # takes as many columns as an inference needs: where they begin. A ring of whole inferences does not wrap inside one.
    at = state[_NEXT] - state[_WAITING]
    if at < 0:
        at += state[_COLUMNS]
    state[_WAITING] = state[_WAITING] - state[_STRIDE]
    return at * COLUMN


@micropython.viper
def note(ring: ptr32, at: int) -> int:
    return ptr32(int(ring) + at)[10]


@micropython.viper
def take(a: ptr32, b: ptr32, arena: ptr8, table: ptr32, at: int, count: int, others: int):
    # Move the input's head on and copy a column there, `count` times; then move on the heads of the other buffers.
    # b + at: the columns; `table`: for each buffer its number, bytes a row, first byte, end, bytes of history to keep
    heads = ptr32(arena)
    start = int(b) + at
    while count:
        head = heads[0] + table[1]
        if head >= table[3]:
            n = table[4] >> 2
            a = ptr32(int(arena) + table[2])
            b = ptr32(int(arena) + head - table[4])
            head = table[2] + table[4]
            while n:
                a[0] = uint(b[0])
                a = ptr32(int(a) + 4)
                b = ptr32(int(b) + 4)
                n -= 1
        heads[0] = head
        a = ptr32(int(arena) + head)
        b = ptr32(start)
        a[0] = uint(b[0])
        a[1] = uint(b[1])
        a[2] = uint(b[2])
        a[3] = uint(b[3])
        a[4] = uint(b[4])
        a[5] = uint(b[5])
        a[6] = uint(b[6])
        a[7] = uint(b[7])
        a[8] = uint(b[8])
        a[9] = uint(b[9])
        start += COLUMN
        count -= 1
    while others:
        table = ptr32(int(table) + 20)
        head = heads[table[0]] + table[1]
        if head >= table[3]:
            n = table[4] >> 2
            a = ptr32(int(arena) + table[2])
            b = ptr32(int(arena) + head - table[4])
            head = table[2] + table[4]
            while n:
                a[0] = uint(b[0])
                a = ptr32(int(a) + 4)
                b = ptr32(int(b) + 4)
                n -= 1
        heads[table[0]] = head
        others -= 1


@micropython.viper
def fill_rows(out: ptr8, value: int, at: int, channels: int, row: int, rows: int):
    # only channels: what pads a row stays 0, as it is summed up with them
    out = ptr8(int(out) + at)
    while rows:
        for i in range(channels):
            out[i] = value
        out = ptr8(int(out) + row)
        rows -= 1


@micropython.viper
def fill_words(out: ptr32, value: int, at: int, count: int):
    out = ptr32(int(out) + at)
    for i in range(count):
        out[i] = value


# Words of the state of a sliding mean
_SUM = const(0)
_AT = const(1)
_FILLED = const(2)
_WINDOW = const(3)


@micropython.viper
def average(prob: int, total: int, recent: ptr8, state: ptr32, cutoff_sum: int) -> int:
    # twice the mean of the last outputs, 0 until there are enough; plus one when their sum is above the cutoff
    at = state[_AT]
    total = state[_SUM] - recent[at] + prob
    state[_SUM] = total
    recent[at] = prob
    at += 1
    state[_AT] = 0 if at == state[_WINDOW] else at
    if state[_FILLED] < state[_WINDOW]:
        state[_FILLED] = state[_FILLED] + 1
        if state[_FILLED] < state[_WINDOW]:
            return 0
    at = total // state[_WINDOW] << 1
    return at + 1 if total > cutoff_sum else at
