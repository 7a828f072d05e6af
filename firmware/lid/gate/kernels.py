# SPDX-License-Identifier: MIT
# The network's arithmetic. Activations and weights are unsigned bytes, biased by 128: what that adds to a sum is taken
# out again by the records' bias and by the layer's own sum of activations. Every value stays inside 32 bits, and no
# negative one is kept in a word: viper on a 64-bit machine would read it back as a large positive one.
# Viper keeps the first two arguments in registers, so those are each loop's hottest values; the others cost a load.
# `blob` and `arena` come in their place where a kernel's first two arguments are pointers. `p` has a layer's numbers:
#  0 head of the input (an index into the arena's first words); to its first byte, 1 bytes on and 20 bytes back
#  2, 3 the same of a second input; 4, 5 of the output
#  6 bytes summed over by a dense layer, taps of a depthwise one, rows of a pool; 7 bytes a row
#  8 groups of 16 lanes; 9 outputs; 10 weights and 11 records, bytes into the blob; 12 bytes from record to record
# 13 the output's zero; 14 sums up to this one give zero, 15 products below it are rounded the other way: both + 2 ** 29
# 16 where the sums go (bytes into the arena); 17 the first of them that is an output
# 18 a depthwise layer's running sums: 128 * (255 * taps - the activations in its window); not 0: an average pool
# 19 bytes of input whose sum corrects all outputs
import micropython


@micropython.viper
def dense(x: int, w: ptr8, arena: ptr8, p: ptr32):
    # 16 outputs at a time: each activation is loaded once and stays in a register
    start = int(arena) + ptr32(arena)[p[0]] + p[1] - p[20]
    w = ptr8(int(w) + p[10])
    acc = ptr32(int(arena) + p[16])
    groups = p[8]
    while groups:
        s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = s8 = s9 = s10 = s11 = s12 = s13 = s14 = s15 = 0
        a = ptr8(start)
        n = p[6] >> 2
        while n:
            x = a[0]
            if x:  # features often are 0
                s0 = w[0] * x + s0
                s1 = w[1] * x + s1
                s2 = w[2] * x + s2
                s3 = w[3] * x + s3
                s4 = w[4] * x + s4
                s5 = w[5] * x + s5
                s6 = w[6] * x + s6
                s7 = w[7] * x + s7
                s8 = w[8] * x + s8
                s9 = w[9] * x + s9
                s10 = w[10] * x + s10
                s11 = w[11] * x + s11
                s12 = w[12] * x + s12
                s13 = w[13] * x + s13
                s14 = w[14] * x + s14
                s15 = w[15] * x + s15
            x = a[1]
            if x:
                s0 = w[16] * x + s0
                s1 = w[17] * x + s1
                s2 = w[18] * x + s2
                s3 = w[19] * x + s3
                s4 = w[20] * x + s4
                s5 = w[21] * x + s5
                s6 = w[22] * x + s6
                s7 = w[23] * x + s7
                s8 = w[24] * x + s8
                s9 = w[25] * x + s9
                s10 = w[26] * x + s10
                s11 = w[27] * x + s11
                s12 = w[28] * x + s12
                s13 = w[29] * x + s13
                s14 = w[30] * x + s14
                s15 = w[31] * x + s15
            x = a[2]
            if x:
                s0 = w[32] * x + s0
                s1 = w[33] * x + s1
                s2 = w[34] * x + s2
                s3 = w[35] * x + s3
                s4 = w[36] * x + s4
                s5 = w[37] * x + s5
                s6 = w[38] * x + s6
                s7 = w[39] * x + s7
                s8 = w[40] * x + s8
                s9 = w[41] * x + s9
                s10 = w[42] * x + s10
                s11 = w[43] * x + s11
                s12 = w[44] * x + s12
                s13 = w[45] * x + s13
                s14 = w[46] * x + s14
                s15 = w[47] * x + s15
            x = a[3]
            if x:
                s0 = w[48] * x + s0
                s1 = w[49] * x + s1
                s2 = w[50] * x + s2
                s3 = w[51] * x + s3
                s4 = w[52] * x + s4
                s5 = w[53] * x + s5
                s6 = w[54] * x + s6
                s7 = w[55] * x + s7
                s8 = w[56] * x + s8
                s9 = w[57] * x + s9
                s10 = w[58] * x + s10
                s11 = w[59] * x + s11
                s12 = w[60] * x + s12
                s13 = w[61] * x + s13
                s14 = w[62] * x + s14
                s15 = w[63] * x + s15
            a = ptr8(int(a) + 4)
            w = ptr8(int(w) + 64)
            n -= 1
        acc[0] = s0
        acc[1] = s1
        acc[2] = s2
        acc[3] = s3
        acc[4] = s4
        acc[5] = s5
        acc[6] = s6
        acc[7] = s7
        acc[8] = s8
        acc[9] = s9
        acc[10] = s10
        acc[11] = s11
        acc[12] = s12
        acc[13] = s13
        acc[14] = s14
        acc[15] = s15
        acc = ptr32(int(acc) + 64)
        groups -= 1


@micropython.viper
def dot(a: ptr8, w: ptr8, arena: ptr8, p: ptr32):
    # few outputs: one sum each
    start = int(arena) + ptr32(arena)[p[0]] + p[1] - p[20]
    w = ptr8(int(w) + p[10])
    acc = ptr32(int(arena) + p[16])
    outputs = p[9]
    while outputs:
        a = ptr8(start)
        s = 0
        n = p[6] >> 3
        while n:
            s = a[0] * w[0] + a[1] * w[1] + a[2] * w[2] + a[3] * w[3] + a[4] * w[4] + a[5] * w[5] + a[6] * w[6] + a[7] * w[7] + s
            a = ptr8(int(a) + 8)
            w = ptr8(int(w) + 8)
            n -= 1
        acc[0] = s
        acc = ptr32(int(acc) + 4)
        outputs -= 1


@micropython.viper
def depthwise(a: ptr8, w: ptr8, arena: ptr8, p: ptr32):
    newest = int(arena) + ptr32(arena)[p[0]] + p[1]
    row = p[7]
    weights = int(w) + p[10]
    acc = ptr32(int(arena) + p[16])
    t = ptr32(int(arena) + p[18])
    groups = p[8]
    while groups:
        # the window moved on by one row: the newest came in, the one before its oldest went out
        n = p[6]
        a = ptr8(newest)
        w = ptr8(newest - n * row)
        s0 = t[0] = ((w[0] - a[0]) << 7) + t[0]
        s1 = t[1] = ((w[1] - a[1]) << 7) + t[1]
        s2 = t[2] = ((w[2] - a[2]) << 7) + t[2]
        s3 = t[3] = ((w[3] - a[3]) << 7) + t[3]
        s4 = t[4] = ((w[4] - a[4]) << 7) + t[4]
        s5 = t[5] = ((w[5] - a[5]) << 7) + t[5]
        s6 = t[6] = ((w[6] - a[6]) << 7) + t[6]
        s7 = t[7] = ((w[7] - a[7]) << 7) + t[7]
        s8 = t[8] = ((w[8] - a[8]) << 7) + t[8]
        s9 = t[9] = ((w[9] - a[9]) << 7) + t[9]
        s10 = t[10] = ((w[10] - a[10]) << 7) + t[10]
        s11 = t[11] = ((w[11] - a[11]) << 7) + t[11]
        s12 = t[12] = ((w[12] - a[12]) << 7) + t[12]
        s13 = t[13] = ((w[13] - a[13]) << 7) + t[13]
        s14 = t[14] = ((w[14] - a[14]) << 7) + t[14]
        s15 = t[15] = ((w[15] - a[15]) << 7) + t[15]
        a = ptr8(int(w) + row)
        w = ptr8(weights)
        while n:
            s0 = w[0] * a[0] + s0
            s1 = w[1] * a[1] + s1
            s2 = w[2] * a[2] + s2
            s3 = w[3] * a[3] + s3
            s4 = w[4] * a[4] + s4
            s5 = w[5] * a[5] + s5
            s6 = w[6] * a[6] + s6
            s7 = w[7] * a[7] + s7
            s8 = w[8] * a[8] + s8
            s9 = w[9] * a[9] + s9
            s10 = w[10] * a[10] + s10
            s11 = w[11] * a[11] + s11
            s12 = w[12] * a[12] + s12
            s13 = w[13] * a[13] + s13
            s14 = w[14] * a[14] + s14
            s15 = w[15] * a[15] + s15
            a = ptr8(int(a) + row)
            w = ptr8(int(w) + 16)
            n -= 1
        acc[0] = s0
        acc[1] = s1
        acc[2] = s2
        acc[3] = s3
        acc[4] = s4
        acc[5] = s5
        acc[6] = s6
        acc[7] = s7
        acc[8] = s8
        acc[9] = s9
        acc[10] = s10
        acc[11] = s11
        acc[12] = s12
        acc[13] = s13
        acc[14] = s14
        acc[15] = s15
        weights = int(w)
        newest += 16
        acc = ptr32(int(acc) + 64)
        t = ptr32(int(t) + 64)
        groups -= 1
