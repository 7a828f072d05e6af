# The angles of the transform in fft.py, built at import from a quarter of a cosine.
from micropython import const

from lid.gate import tables

_FIRST_BIN = const(5)  # the filterbank reads bins 5..240 only
_SPLITS = const(124)  # pairs (k, 256 - k), k = 5..128


def _quarter(n):
    return tables.QUARTER[2 * n] | tables.QUARTER[2 * n + 1] << 8


def _cosine(n):
    # 32767 * cos(2 * pi * n / 512)
    n &= 511
    if n > 256:
        n = 512 - n
    return _quarter(n) if n <= 128 else -_quarter(256 - n)


def _reversed4(n, digits):
    out = 0
    for _ in range(digits):
        out = out << 2 | n & 3
        n >>= 2
    return out


def turns():
    # 64 x 6 halfwords: cos and sin of one, two and three times the angle. Where a sign can change, 32768 is added. In
    # digit-reversed order the stage of length 16 uses the first 4 entries, that of 64 the first 16.
    out = bytearray(64 * 12)
    at = 0
    for i in range(64):
        k = 2 * _reversed4(i, 3)
        sines = _cosine(k - 128), _cosine(2 * k - 128), _cosine(3 * k - 128) + 32768
        for value in (_cosine(k), sines[0], _cosine(2 * k) + 32768, sines[1], _cosine(3 * k) + 32768, sines[2]):
            out[at] = value & 255
            out[at + 1] = value >> 8
            at += 2
    return out


def splits():
    # 124 x 4 halfwords, for k = 5..128: where bins k and 256 - k lie (in bytes), sin and cos of k half turns / 256.
    out = bytearray(_SPLITS * 8)
    at = 0
    for k in range(_FIRST_BIN, _FIRST_BIN + _SPLITS):
        for value in (4 * _reversed4(k, 4), 4 * _reversed4(256 - k, 4), _cosine(k - 128), _cosine(k)):
            out[at] = value & 255
            out[at + 1] = value >> 8
            at += 2
    return out
