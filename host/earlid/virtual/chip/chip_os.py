# SPDX-License-Identifier: MIT
# `os` as it is, but for the random source: the board's, so that a run can be repeated.
import hashlib
import os as _os

for _name in dir(_os):
    if _name[:1] != "_":
        globals()[_name] = getattr(_os, _name)

_seed = b""
_count = 0


def urandom(n):
    global _count
    out = b""
    while len(out) < n:
        _count += 1
        out += hashlib.sha256(_seed + _count.to_bytes(8, "little")).digest()
    return out[:n]


def sync():
    pass
