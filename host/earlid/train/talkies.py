# SPDX-License-Identifier: MIT
"""Recordings inside the data files of two adventure games whose characters are spoken by actors.

The layouts are those that ScummVM reads: `sky.dnr` lists what is in `sky.dsk` (engines/sky/disk.cpp, sound.cpp), `queen.1c`
begins with its own list (engines/queen/resource.cpp).
"""

from __future__ import annotations

from collections.abc import Iterator

from earlid.train import propack

SKY_HZ = 11025
_SKY_HEADER_BYTES = 22
_SKY_SPEECH = range(50000, 59000)  # numbers of its files
_QUEEN_MAGIC, _QUEEN_LIST, _ENTRY_BYTES = b"QTBL", 15, 21
_QUEEN_SPEECH = b".SB"


def sky_speech(listing: bytes, data: bytes) -> Iterator[tuple[str, bytes]]:
    """(name, samples at `SKY_HZ`, 8 bit without a sign) of what is said in Beneath a Steel Sky.

    Raises:
        ValueError: the files are damaged.
    """
    for at in range(4, 4 + 8 * int.from_bytes(listing[:4], "little"), 8):
        number = int.from_bytes(listing[at : at + 2], "little")
        place = int.from_bytes(listing[at + 2 : at + 5], "little")
        size = int.from_bytes(listing[at + 5 : at + 8], "little") & 0x3FFFFF
        start = (place & 0x7FFFFF) * (16 if place >> 23 else 1)
        if number in _SKY_SPEECH:
            yield f"{number}", propack.unpack(data[start + _SKY_HEADER_BYTES : start + size])


def queen_speech(data: bytes) -> Iterator[tuple[str, bytes]]:
    """(name, MP3) of what is said in Flight of the Amazon Queen.

    Raises:
        ValueError: this is no such file.
    """
    if data[:4] != _QUEEN_MAGIC:
        raise ValueError("no list at its beginning")
    count = int.from_bytes(data[_QUEEN_LIST - 2 : _QUEEN_LIST], "big")
    for at in range(_QUEEN_LIST, _QUEEN_LIST + count * _ENTRY_BYTES, _ENTRY_BYTES):
        name = data[at : at + 12].rstrip(b"\0")
        start, size = (int.from_bytes(data[at + offset : at + offset + 4], "big") for offset in (13, 17))
        if name.endswith(_QUEEN_SPEECH):
            yield name.decode("ascii", "replace"), data[start : start + size]
