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
def take(a: ptr32, b: ptr32, arena: ptr8, table: ptr32, at: int, count: int):
    # move the input's head on and copy a column there, `count` times; b + at: the columns, 40 bytes each
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
        start += 40
        count -= 1


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
