# SPDX-License-Identifier: MIT
# Twiddle factors of the transform in fft.py and spectrum.py, made at start from a quarter of a cosine.
from array import array

from micropython import const

from lid.gate import tables

_FIRST_BIN = const(4)  # the filterbank reads bins 5..240 only, and bins are split in pairs
_BIASED = const(32768)  # added where a number may be negative: viper loads unsigned on some machines


def _quarter(n):
    return tables.QUARTER[2 * n] | tables.QUARTER[2 * n + 1] << 8


def cosine(n):
    # 32767 * cos(2 * pi * n / 512)
    n &= 511
    if n > 256:
        n = 512 - n
    return _quarter(n) if n <= 128 else -_quarter(256 - n)


def stage_twiddles():
    # 64 x 8 words: for the angle cos, sin - cos, sin + cos; for twice the angle sin, sin - cos, sin + cos; for three
    # times the angle cos, sin
    out = array("I", bytes(64 * 32))
    for k in range(64):
        c1, s1 = cosine(2 * k), cosine(2 * k - 128)
        c2, s2 = cosine(4 * k), cosine(4 * k - 128)
        c3, s3 = cosine(6 * k), cosine(6 * k - 128)
        values = c1, s1 - c1 + _BIASED, s1 + c1, s2, s2 - c2 + _BIASED, s2 + c2 + _BIASED, c3 + _BIASED, s3 + _BIASED
        for i in range(8):
            out[8 * k + i] = values[i]
    return out


def split_twiddles():
    # 124 x 2 halfwords, for k = 4..127: cos and sin of k half turns / 256
    out = array("H")
    for k in range(_FIRST_BIN, 128):
        out.append(cosine(k))
        out.append(cosine(k - 128))
    return out
