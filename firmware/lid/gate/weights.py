# SPDX-License-Identifier: MIT
# Reads a network file into memory, in pieces: a chip's memory is in parts, none of which has room for all weights once
# code is loaded. main.py asks for them before it loads the rest of the firmware, while there still are large blocks.
import gc
import os
import struct

from micropython import const

HEADER_BYTES = const(80)
BUFFER_BYTES = const(8)
LAYER_BYTES = const(36)
LOGITS_BYTES = const(256)  # output bytes, one a logit
OFFSETS_AT = const(28)  # in a layer's entry: where in the file its weights and its records begin

# path: pieces, or the exception that says why there are none
_early = {}  # type: dict[str, list[bytearray] | Exception]


def preload(path):
    try:
        _early[path] = _read_file(path)
    except (OSError, ValueError, MemoryError) as error:
        _early[path] = error


def drop(missing=0):
    # The code found no memory beside them, or a start that had them: missing bytes. The button still opens.
    for path in _early:
        _early[path] = MemoryError(path + ": given up for the firmware's code", missing)
    gc.collect()


def load(path):
    """The pieces, once: header, tables, logits, then each layer's weights and records. OSError, ValueError, or MemoryError
    with a sentence and how many bytes found no place."""
    early = _early.pop(path, None)
    if isinstance(early, Exception):
        raise early
    return early or _read_file(path)


def _read_file(path):
    gc.collect()
    with open(path, "rb") as file:
        return read(file, os.stat(path)[6])


def read(file, size):
    pieces = []  # type: list[bytearray]
    _take(pieces, file, HEADER_BYTES, size)
    buffers, layers = pieces[0][18:20]
    name, languages = struct.unpack_from("<HH", pieces[0], 72)
    if name > 255 or languages > 255:
        raise ValueError("network: damaged header")
    texts = (name + languages + 3) & -4
    tables = _take(pieces, file, texts + BUFFER_BYTES * buffers + LAYER_BYTES * layers, size)
    _take(pieces, file, LOGITS_BYTES, size)
    at = HEADER_BYTES + len(tables) + LOGITS_BYTES
    for layer in range(layers):
        # A layer's weights and then its records follow those of the layer before it; some have records only.
        last = layer + 1 == layers
        end = size if last else _start(tables, layers - layer - 1)
        if _start(tables, layers - layer) != at or not at < end <= size:
            raise ValueError("network: damaged layer %d" % layer)
        _take(pieces, file, end - at, size)
        at = end
    return pieces


def _start(tables, from_end):
    weights, records = struct.unpack_from("<II", tables, len(tables) - LAYER_BYTES * from_end + OFFSETS_AT)
    return weights or records


def _take(pieces, file, count, size):
    before = sum(len(piece) for piece in pieces)
    if before + count > size:
        raise ValueError("network: %d bytes missing of the header" % (before + count - size))
    try:
        piece = bytearray(count)
    except MemoryError:
        missing = size - before
        pieces.clear()
        raise MemoryError("%d of the network's %d bytes find no place" % (missing, size), missing)
    if file.readinto(piece) != count:
        raise ValueError("network: cut short while being read")
    pieces.append(piece)
    return piece


def forget():
    """Nothing is read any more: what did goes, but for drop()."""
    global preload, load, read, _read_file, _start, _take
    del preload, load, read, _read_file, _start, _take
