# SPDX-License-Identifier: MIT
"""Unpacks data that was packed by Rob Northen's ProPack, method 1: Lempel-Ziv with Huffman codes, a table of them for each block.

After the description of the format in ScummVM's engines/sky/rnc_deco.cpp.
"""

from __future__ import annotations

MAGIC = b"RNC\x01"
_HEADER_BYTES = 18
_WORD_BITS = 16

Table = tuple[int, list[tuple[int, int]]]  # bits of the longest code; (bits of the code, symbol) by the next so many bits


class _Bits:
    """Bits of little-endian words of 16, the lowest first; bytes between them are read from where the next word would be."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at, self.held, self.count = data, at, 0, 0

    def peek(self, count: int) -> int:
        if count <= self.count:
            return self.held & ((1 << count) - 1)
        ahead = int.from_bytes(self.data[self.at : self.at + 2], "little")
        return (self.held | ahead << self.count) & ((1 << count) - 1)

    def skip(self, count: int) -> None:
        if count > self.count:
            self.held |= int.from_bytes(self.data[self.at : self.at + 2], "little") << self.count
            self.count += _WORD_BITS
            self.at += 2
        self.held >>= count
        self.count -= count

    def take(self, count: int) -> int:
        value = self.peek(count)
        self.skip(count)
        return value

    def bytes(self, count: int) -> bytes:
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, table: Table) -> int:
        longest, codes = table
        bits, symbol = codes[self.peek(longest)]
        self.skip(bits)
        return symbol if symbol < 2 else 1 << (symbol - 1) | self.take(symbol - 1)

    def table(self) -> Table:
        lengths = [self.take(4) for _ in range(self.take(5))]
        longest = max(lengths, default=0)
        codes = [(0, 0)] * (1 << longest)
        code = 0
        for bits in range(1, longest + 1):
            for symbol in (symbol for symbol, length in enumerate(lengths) if length == bits):
                turned = int(f"{code:0{bits}b}"[::-1], 2)
                for high in range(1 << (longest - bits)):
                    codes[turned | high << bits] = (bits, symbol)
                code += 1
            code <<= 1
        return longest, codes


def unpack(data: bytes) -> bytes:
    """What was packed.

    Raises:
        ValueError: it is not packed by this method, or damaged.
    """
    if data[:4] != MAGIC or len(data) < _HEADER_BYTES:
        raise ValueError("not packed by ProPack's method 1")
    size = int.from_bytes(data[4:8], "big")
    bits = _Bits(data, _HEADER_BYTES)
    bits.take(2)
    out = bytearray()
    while len(out) < size and bits.at < len(data):
        literals, distances, lengths = bits.table(), bits.table(), bits.table()
        for left in range(bits.take(_WORD_BITS) - 1, -1, -1):
            out += bits.bytes(bits.number(literals))
            if left:
                distance = bits.number(distances) + 1
                length = bits.number(lengths) + 2
                if distance > len(out):
                    raise ValueError("a copy from before the beginning")
                out += (out[-distance:] * (length // distance + 1))[:length]
    if len(out) != size:
        raise ValueError(f"{len(out)} bytes where {size} were packed")
    return bytes(out)
