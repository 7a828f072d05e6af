# SPDX-License-Identifier: MIT
# Rows of activations of all buffers in one block of memory. A buffer slides: each new row is written behind the newest,
# and only at the buffer's end is its history copied back to its start. The block's first words are the heads: for each
# buffer the byte offset of its newest row.
import micropython
from micropython import const

_COLUMN_BYTES = const(40)  # as in columns.py

# Words that describe a sliding buffer: its number, bytes a row, its first byte, its end, bytes of history to keep
_NUMBER = const(0)
_ROW = const(1)
_START = const(2)
_END = const(3)
_HISTORY = const(4)
_ENTRY_BYTES = const(4 * 5)


@micropython.viper
def advance(reg0: ptr32, source: ptr32, arena: ptr8, slides: ptr32, count: int, others: int):
    # Slide the input on by a row and copy a column there, for each column; then slide the other buffers.
    # source: the columns; `slides`: a description of each sliding buffer, the input's first
    heads = ptr32(arena)
    column = int(source)
    while count:
        head = heads[0] + slides[_ROW]
        if head >= slides[_END]:
            words = slides[_HISTORY] >> 2
            reg0 = ptr32(int(arena) + slides[_START])
            source = ptr32(int(arena) + head - slides[_HISTORY])
            head = slides[_START] + slides[_HISTORY]
            while words:
                reg0[0] = uint(source[0])
                reg0 = ptr32(int(reg0) + 4)
                source = ptr32(int(source) + 4)
                words -= 1
        heads[0] = head
        reg0 = ptr32(int(arena) + head)
        source = ptr32(column)
        reg0[0] = uint(source[0])
        reg0[1] = uint(source[1])
        reg0[2] = uint(source[2])
        reg0[3] = uint(source[3])
        reg0[4] = uint(source[4])
        reg0[5] = uint(source[5])
        reg0[6] = uint(source[6])
        reg0[7] = uint(source[7])
        reg0[8] = uint(source[8])
        reg0[9] = uint(source[9])
        column += _COLUMN_BYTES
        count -= 1
    while others:
        slides = ptr32(int(slides) + _ENTRY_BYTES)
        head = heads[slides[_NUMBER]] + slides[_ROW]
        if head >= slides[_END]:
            words = slides[_HISTORY] >> 2
            reg0 = ptr32(int(arena) + slides[_START])
            source = ptr32(int(arena) + head - slides[_HISTORY])
            head = slides[_START] + slides[_HISTORY]
            while words:
                reg0[0] = uint(source[0])
                reg0 = ptr32(int(reg0) + 4)
                source = ptr32(int(source) + 4)
                words -= 1
        heads[slides[_NUMBER]] = head
        others -= 1


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
