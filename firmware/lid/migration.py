# SPDX-License-Identifier: MIT
# A board that ran firmware 0.1: its key stood in /identity.json. Loaded only where that file is, a file of its own.
import binascii
import json
import os
import sys

from micropython import const

_OLD = "/identity.json"
_NUMBERS = ("/starts", "/baseline", "/journal/acked")
_MARK = b'"key": "'  # what stands before the key's 64 hex digits
_ROUNDS = const(66)
_JUNK = b"-" * 120
_WINDOW = const(512)
_STEP = const(256)
_BLOCK = const(4096)


def read():
    """(board, key) as firmware 0.1 left them, ("", None) when they are not there any more; other small files get their CRC-32."""
    for path in _NUMBERS:
        try:
            with open(path, "rb") as file:
                text = file.read()
            if text.isdigit():
                with open(path + ".new", "wb") as file:
                    file.write(text + b"\n%08x\n" % (binascii.crc32(text) & 0xFFFFFFFF))
                os.rename(path + ".new", path)
        except OSError:
            pass
    try:
        with open(_OLD) as file:
            values = json.loads(file.read())
        key = binascii.unhexlify(values["key"])
        if len(key) == 32 and len(values["board"]) == 16:
            return values["board"], key
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return "", None


def finish(needs_room, make_room, append, flash_read, flash_program, block_count, feed):
    """Leave the segment that the old key seals, then make an end of the key wherever flash holds it."""

    def record_lost(count, first):
        append(0, "lost", "overwritten", 0, 0, 0, (0, 0), (0, 0), count, first)

    if needs_room():
        make_room(record_lost)
    # littlefs keeps so small a file in its directory's two blocks, behind what was written later: both are written anew by
    # enough of that. The file that remains says that this is not finished.
    for _ in range(_ROUNDS):
        with open(_OLD, "wb") as file:
            file.write(_JUNK)
        feed()
    # Now no block in use has it; whatever else does is free, and bits can go to 0 where they are.
    buffer = bytearray(_WINDOW)
    for block in range(block_count):
        for offset in range(0, _BLOCK - _STEP, _STEP):
            flash_read(block, offset, buffer)
            text = bytes(buffer) if _MARK in buffer else b""
            at = text.find(_MARK)
            while at >= 0:
                start = offset + at + len(_MARK)
                flash_program(block, start & ~3, bytes(min(72, _BLOCK - (start & ~3))))
                at = text.find(_MARK, at + 1)
        feed()
    os.remove(_OLD)
    sys.modules.pop("lid.migration", None)
