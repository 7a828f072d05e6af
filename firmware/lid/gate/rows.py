# Rows of activations: quantised columns in, histories that slide. Heads are byte offsets in the arena's first words.
import micropython


@micropython.viper
def advance(a: ptr32, b: ptr32, arena: ptr8, table: ptr32, count: int):
    # move buffers' heads to the next row; `table`: head, bytes a row, first byte, end, bytes of history to keep
    heads = ptr32(arena)
    for _ in range(count):
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
        table = ptr32(int(table) + 20)


@micropython.viper
def column(out: ptr8, features: ptr16, at: int, formula: ptr32):
    # a uint16 feature becomes a byte exactly as pymicro-wakeword rounds it
    out = ptr8(int(out) + at)
    high = formula[0]
    low = formula[1]
    offset = formula[2]
    low_offset = formula[3]
    for i in range(40):
        f = features[i]
        out[i] = (f * high + offset + ((f * low + low_offset) >> 15)) >> 15 & 255


@micropython.viper
def copy_column(out: ptr8, source: ptr8, at: int):
    out = ptr8(int(out) + ptr32(out)[0])
    source = ptr8(int(source) + at)
    for i in range(40):
        out[i] = source[i]


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
