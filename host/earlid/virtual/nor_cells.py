# SPDX-License-Identifier: MIT
"""Cells of NOR flash, and what can be wrong with them. The firmware's tests run this on MicroPython too."""

import random

BLOCK = 4096

# What a write leaves that the power ended.
TORN = "torn"  # a beginning, and some bits of the byte after it; of an erase, some bytes
BITS = "bits"  # any of the bits that it was to change
UNSTABLE = "unstable"  # hardly any, nearly all or any of them, and some read differently from read to read
HALF = "half"  # half of the bytes, the first or the second
NOTHING = "nothing"  # all as it was


class Cells:
    """Programming clears bits, an erase sets a whole block.

    `content`: a bytearray of whole blocks, changed in place. `rng`: has `getrandbits(n)`, as `random.Random` does.
    `unstable`: by address, bits that read at random until they are programmed or erased. `stuck`: by address, bits and
    their level, whatever is written. `dead`: blocks in which writes do nothing. `skips`: so many of the next programs do
    nothing, and nobody is told.
    """

    def __init__(self, content: bytearray, rng: random.Random) -> None:
        self.content = content
        self.rng = rng
        self.unstable: dict[int, int] = {}
        self.stuck: dict[int, tuple[int, int]] = {}
        self.dead: set[int] = set()
        self.skips = 0

    def copy(self) -> "Cells":
        """The same cells once more."""
        other = Cells(bytearray(self.content), self.rng)
        other.unstable, other.stuck, other.dead = dict(self.unstable), dict(self.stuck), set(self.dead)
        return other

    def read(self, address: int, length: int) -> bytearray:
        """The bytes at an address, as they read this time."""
        data = self.content[address : address + length]
        for at in self.unstable:
            if address <= at < address + length:
                data[at - address] ^= self.unstable[at] & self.rng.getrandbits(8)
        for at in self.stuck:
            if address <= at < address + length:
                bits, level = self.stuck[at]
                data[at - address] = data[at - address] & ~bits | level & bits
        return data

    def program(self, address: int, payload: bytes) -> None:
        """Clear the bits that are 0 in payload."""
        if self.skips:
            self.skips -= 1
        elif payload and address // BLOCK not in self.dead:
            end = address + len(payload)
            old = self.content[address:end]
            if min(old) == 255:
                self.content[address:end] = payload
            else:
                new = int.from_bytes(old, "little") & int.from_bytes(payload, "little")
                self.content[address:end] = new.to_bytes(len(payload), "little")
            for at in [at for at in self.unstable if address <= at < end]:
                self._settle(at, self.unstable[at] & payload[at - address])

    def erase(self, block: int) -> None:
        """Set all bits of a block."""
        if block not in self.dead:
            start = block * BLOCK
            self.content[start : start + BLOCK] = b"\xff" * BLOCK
            for at in [at for at in self.unstable if at // BLOCK == block]:
                self._settle(at, 0)

    def cut_program(self, address: int, payload: bytes, kind: str) -> None:
        """A program that the power ends."""
        rng, size = self.rng, len(payload)
        if kind == TORN:
            done = rng.getrandbits(16) % (size + 1)
            self.program(address, payload[:done])
            if done < size:
                self.program(address + done, bytes([payload[done] | rng.getrandbits(8)]))
        elif kind in (BITS, UNSTABLE):
            density = rng.getrandbits(2)
            wanted = [self.content[address + i] & ~payload[i] for i in range(size)]
            shares = [self._random_bits(density) for _ in range(size)]
            open_bits = [wanted[i] & self._random_bits(3 - density) for i in range(size)]
            phase = rng.getrandbits(2)
            if kind == UNSTABLE and phase > 1:  # at the pulse's beginning or its end: a few bits are neither
                shares = [0 if phase == 3 else 255] * size
                chosen = [rng.getrandbits(16) % size for _ in range(1 + rng.getrandbits(1))]
                open_bits = [wanted[i] & 1 << rng.getrandbits(3) if i in chosen else 0 for i in range(size)]
            self.program(address, bytes([payload[i] | shares[i] for i in range(size)]))
            for i in range(size):
                if kind == UNSTABLE and open_bits[i]:
                    self._settle(address + i, self.unstable.get(address + i, 0) | open_bits[i])
        elif kind == HALF:
            first = rng.getrandbits(1)
            self.program(address + (0 if first else size // 2), payload[: size // 2] if first else payload[size // 2 :])

    def cut_erase(self, block: int, kind: str) -> None:
        """An erase that the power ends, or that only half happened."""
        rng, start = self.rng, block * BLOCK
        if kind == NOTHING or block in self.dead:
            return
        if kind == HALF:
            start += BLOCK // 2 * rng.getrandbits(1)
            self.content[start : start + BLOCK // 2] = b"\xff" * (BLOCK // 2)
            return
        for at in range(start, start + BLOCK):
            choice = rng.getrandbits(2)
            if choice == 2:
                self.content[at] = 255
            elif choice == 3:
                self.content[at] |= rng.getrandbits(8)
                if kind == UNSTABLE and rng.getrandbits(6) == 0:
                    self._settle(at, rng.getrandbits(8))

    def _random_bits(self, density: int) -> int:
        # A byte whose bits are set with a probability of 1/8 (density 0), 1/4, 1/2 or 7/8.
        a, b, c = self.rng.getrandbits(8), self.rng.getrandbits(8), self.rng.getrandbits(8)
        return (a & b & c, a & b, a, a | b | c)[density]

    def _settle(self, at: int, bits: int) -> None:
        if bits:
            self.unstable[at] = bits
        else:
            self.unstable.pop(at, None)
