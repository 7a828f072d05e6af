# SPDX-License-Identifier: MIT
# From a layer's 32-bit sums to its output bytes. For the arguments see kernels.py.
import micropython


@micropython.viper
def requantise(x: int, r: ptr32, arena: ptr8, p: ptr32):
    # sums times a 31-bit multiplier, shifted right: the 64-bit product in pieces of 14 and 16 bits, its lowest 30 bits
    # dropped. Convolutions round twice, the dense layer once: that is how TensorFlow Lite's reference kernels do it.
    heads = ptr32(arena)
    out = ptr8(int(arena) + heads[p[4]] + p[5])
    acc = ptr32(int(arena) + p[16] + (p[17] << 2))
    a = ptr8(int(arena) + heads[p[0]] + p[1] - p[20])
    r = ptr32(int(r) + p[11])
    x = 0
    n = p[19] >> 3
    while n:
        x = a[0] + a[1] + a[2] + a[3] + a[4] + a[5] + a[6] + a[7] + x
        a = ptr8(int(a) + 8)
        n -= 1
    total = (x << 7) + 0x20000000  # records keep their bias with 2 ** 29 added
    step = p[12]
    zero = p[13]
    least = p[14] - 0x20000000  # a sum up to here gives `zero`: 0 after a RELU
    odd = p[15] - 0x20000000  # below this the second rounding goes the other way: -1, or never
    n = p[9]
    while n:
        x = acc[0] + r[0] - total
        if x <= least:
            x = zero
        else:
            l = x & 0x3FFF
            x = x >> 14
            # halves of the multiplier r[1]: ptr16(r)[2] is its low one
            x = ptr16(r)[3] * x + ((ptr16(r)[3] * l + ((ptr16(r)[2] * x + ((ptr16(r)[2] * l) >> 14)) >> 2)) >> 14)
            if x < 0:
                if x < odd:
                    x -= 2
                x = (r[2] + x) >> r[3]
                if x < 0:
                    x = 0
            else:
                x = (r[2] + x) >> r[3]
                if x > 255:
                    x = 255
        out[0] = x
        out = ptr8(int(out) + 1)
        acc = ptr32(int(acc) + 4)
        r = ptr32(int(r) + step)
        n -= 1


@micropython.viper
def add(a: ptr8, b: ptr8, arena: ptr8, p: ptr32):
    # both inputs are scaled by a table of 256 words each, with 2 ** 28 added
    one = ptr32(int(b) + p[10])
    two = ptr32(int(b) + p[10] + 1024)
    heads = ptr32(arena)
    a = ptr8(int(arena) + heads[p[0]] + p[1])
    b = ptr8(int(arena) + heads[p[2]] + p[3])
    acc = ptr32(int(arena) + p[16])
    for i in range(p[9]):
        acc[i] = one[a[i]] + two[b[i]]


@micropython.viper
def pool(a: ptr8, blob: ptr8, arena: ptr8, p: ptr32):
    # over all rows, each channel: the largest (p[18] zero), or the mean rounded half away from zero
    first = int(arena) + ptr32(arena)[p[0]] + p[1] - p[20]
    acc = ptr32(int(arena) + p[16])
    rows = p[6]
    for i in range(p[9]):
        a = ptr8(first + i)
        s = 0
        for _ in range(rows):
            v = a[0]
            if p[18]:
                s += v - 128
            elif v > s:
                s = v
            a = ptr8(int(a) + p[7])
        if p[18]:
            if s > 0:
                s = (s + (rows >> 1)) // rows + 128
            else:
                s = 128 - ((rows >> 1) - s) // rows
        acc[i] = s
