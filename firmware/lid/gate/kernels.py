# SPDX-License-Identifier: MIT
# Generated from earlid/gate/kernel_templates/kernels.py.in by earlid.gate.kernel_generator: do not edit.
# Dot products of the network: fully connected layers and depthwise convolutions. Activations and weights are unsigned
# bytes, biased by 128: what that adds to a dense sum is taken out again by the records' bias and by the layer's own sum
# of activations. Every value stays inside 32 bits, and no negative one is kept in a word: viper on a 64-bit machine would
# read it back as a large positive one. `w` comes as the blob; a
# pointer in reg0 comes as the arena, so that all kernels are called alike.
import micropython
from micropython import const

# Words of a layer's parameters, see rescale.py for the others
_SOURCE = const(0)  # index of the input's head in the arena's first words
_FIRST = const(1)  # from the head to the input's first byte
_LENGTH = const(6)  # bytes summed over by a dense layer, taps of a depthwise one
_ROW = const(7)  # bytes
_GROUPS = const(8)  # of 16 lanes
_OUTPUTS = const(9)
_WEIGHTS = const(10)  # bytes into the blob
_SUMS = const(16)  # where the sums go, bytes into the arena
_BACK = const(20)  # bytes from the newest row back to the oldest
_ZERO_IN = const(21)  # the byte that stands for 0 in a dense layer's input

_BIAS = const(128)  # in a weight
_LEAST_SUM = const(128 * 255)  # a tap: added, so that no sum of a depthwise layer is negative
_BYTE_MAX = const(255)


@micropython.viper
def dense(reg0: int, w: ptr8, arena: ptr8, params: ptr32):
    # 16 outputs at a time: each activation is loaded once and stays in reg0
    start = int(arena) + ptr32(arena)[params[_SOURCE]] + params[_FIRST] - params[_BACK]
    w = ptr8(int(w) + params[_WEIGHTS])
    sums = ptr32(int(arena) + params[_SUMS])
    zero = params[_ZERO_IN]
    groups = params[_GROUPS]
    while groups:
        s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = s8 = s9 = s10 = s11 = s12 = s13 = s14 = s15 = zero * _BYTE_MAX * params[_LENGTH]
        a = ptr8(start)
        n = params[_LENGTH] >> 2
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
            reg0 = a[1] - zero
            if reg0:
                s0 = w[16] * reg0 + s0
                s1 = w[17] * reg0 + s1
                s2 = w[18] * reg0 + s2
                s3 = w[19] * reg0 + s3
                s4 = w[20] * reg0 + s4
                s5 = w[21] * reg0 + s5
                s6 = w[22] * reg0 + s6
                s7 = w[23] * reg0 + s7
                s8 = w[24] * reg0 + s8
                s9 = w[25] * reg0 + s9
                s10 = w[26] * reg0 + s10
                s11 = w[27] * reg0 + s11
                s12 = w[28] * reg0 + s12
                s13 = w[29] * reg0 + s13
                s14 = w[30] * reg0 + s14
                s15 = w[31] * reg0 + s15
            reg0 = a[2] - zero
            if reg0:
                s0 = w[32] * reg0 + s0
                s1 = w[33] * reg0 + s1
                s2 = w[34] * reg0 + s2
                s3 = w[35] * reg0 + s3
                s4 = w[36] * reg0 + s4
                s5 = w[37] * reg0 + s5
                s6 = w[38] * reg0 + s6
                s7 = w[39] * reg0 + s7
                s8 = w[40] * reg0 + s8
                s9 = w[41] * reg0 + s9
                s10 = w[42] * reg0 + s10
                s11 = w[43] * reg0 + s11
                s12 = w[44] * reg0 + s12
                s13 = w[45] * reg0 + s13
                s14 = w[46] * reg0 + s14
                s15 = w[47] * reg0 + s15
            reg0 = a[3] - zero
            if reg0:
                s0 = w[48] * reg0 + s0
                s1 = w[49] * reg0 + s1
                s2 = w[50] * reg0 + s2
                s3 = w[51] * reg0 + s3
                s4 = w[52] * reg0 + s4
                s5 = w[53] * reg0 + s5
                s6 = w[54] * reg0 + s6
                s7 = w[55] * reg0 + s7
                s8 = w[56] * reg0 + s8
                s9 = w[57] * reg0 + s9
                s10 = w[58] * reg0 + s10
                s11 = w[59] * reg0 + s11
                s12 = w[60] * reg0 + s12
                s13 = w[61] * reg0 + s13
                s14 = w[62] * reg0 + s14
                s15 = w[63] * reg0 + s15
            a = ptr8(int(a) + 4)
            w = ptr8(int(w) + 64)
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
        sums = ptr32(int(sums) + 64)
        groups -= 1


@micropython.viper
def dot(reg0: ptr8, w: ptr8, arena: ptr8, params: ptr32):
    # few outputs: one sum each
    start = int(arena) + ptr32(arena)[params[_SOURCE]] + params[_FIRST] - params[_BACK]
    w = ptr8(int(w) + params[_WEIGHTS])
    sums = ptr32(int(arena) + params[_SUMS])
    outputs = params[_OUTPUTS]
    while outputs:
        reg0 = ptr8(start)
        s = 0
        n = params[_LENGTH] >> 3
        while n:
            s = (
                reg0[0] * w[0]
                + reg0[1] * w[1]
                + reg0[2] * w[2]
                + reg0[3] * w[3]
                + reg0[4] * w[4]
                + reg0[5] * w[5]
                + reg0[6] * w[6]
                + reg0[7] * w[7]
                + s
            )
            reg0 = ptr8(int(reg0) + 8)
            w = ptr8(int(w) + 8)
            n -= 1
        sums[0] = s
        sums = ptr32(int(sums) + 4)
        outputs -= 1


@micropython.viper
def depthwise(reg0: ptr8, w: ptr8, arena: ptr8, params: ptr32):
    oldest = int(arena) + ptr32(arena)[params[_SOURCE]] + params[_FIRST] - params[_BACK]
    row = params[_ROW]
    w = ptr8(int(w) + params[_WEIGHTS])
    sums = ptr32(int(arena) + params[_SUMS])
    groups = params[_GROUPS]
    while groups:
        n = params[_LENGTH]
        s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = s8 = s9 = s10 = s11 = s12 = s13 = s14 = s15 = n * _LEAST_SUM
        reg0 = ptr8(oldest)
        while n:
            if reg0[0]:  # after a RELU most are 0
                s0 = (w[0] - _BIAS) * reg0[0] + s0
            if reg0[1]:
                s1 = (w[1] - _BIAS) * reg0[1] + s1
            if reg0[2]:
                s2 = (w[2] - _BIAS) * reg0[2] + s2
            if reg0[3]:
                s3 = (w[3] - _BIAS) * reg0[3] + s3
            if reg0[4]:
                s4 = (w[4] - _BIAS) * reg0[4] + s4
            if reg0[5]:
                s5 = (w[5] - _BIAS) * reg0[5] + s5
            if reg0[6]:
                s6 = (w[6] - _BIAS) * reg0[6] + s6
            if reg0[7]:
                s7 = (w[7] - _BIAS) * reg0[7] + s7
            if reg0[8]:
                s8 = (w[8] - _BIAS) * reg0[8] + s8
            if reg0[9]:
                s9 = (w[9] - _BIAS) * reg0[9] + s9
            if reg0[10]:
                s10 = (w[10] - _BIAS) * reg0[10] + s10
            if reg0[11]:
                s11 = (w[11] - _BIAS) * reg0[11] + s11
            if reg0[12]:
                s12 = (w[12] - _BIAS) * reg0[12] + s12
            if reg0[13]:
                s13 = (w[13] - _BIAS) * reg0[13] + s13
            if reg0[14]:
                s14 = (w[14] - _BIAS) * reg0[14] + s14
            if reg0[15]:
                s15 = (w[15] - _BIAS) * reg0[15] + s15
            reg0 = ptr8(int(reg0) + row)
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
        oldest += 16
        sums = ptr32(int(sums) + 64)
        groups -= 1
