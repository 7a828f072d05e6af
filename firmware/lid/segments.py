# SPDX-License-Identifier: MIT
# The journal's place in flash: files of littlefs, made and erased ahead, then programmed in place.
#
# littlefs copies a file's last block at every synced append, and so erases a sector (45 ms, up to 400) each time: an open lid's
# relay cannot wait for that. So a segment is a file whose blocks are written once, full of 0xFF behind a signature,
# and whose records are
# then programmed straight into those erased bytes. littlefs keeps no checksum over a file's data, and never moves a
# block that is not written through it.
# The blocks of a segment are found by their signatures; littlefs's directory alone says which segments are alive.
import binascii
import os
import struct

from micropython import const

from lid.record import SLOT_BYTES

_MAGIC = b"EJS1"
_BLOCKS = const(16)  # a segment is 64 KiB
_SIGNATURE_AT = const(32)  # littlefs's list pointers need up to 20 bytes before it
_SLOTS_A_BLOCK = const(63)  # 64-byte slots; the first 64 bytes are pointers and signature
SLOTS = const(1008)
_KEPT = const(20)  # full segments kept: 20,160 records
_FILE_BYTES = const(65432)  # less 26 list pointers of littlefs
_PATH = "/journal"
_EEXIST = const(17)


class FlashError(Exception):
    pass


class Segments:
    # flash: read(block, offset, buffer) and program(block, offset, data), block_count; feed: called between erases,
    # to feed the watchdog
    def __init__(self, flash, feed):
        self._flash = flash
        self._feed = feed
        self._slot = bytearray(SLOT_BYTES)
        self.ids = []  # alive, oldest first; the last is the spare when it is not the current one
        self._blocks = {}  # id: its flash blocks, in order
        self.current = -1  # index into ids of the segment being written, -1 before the first
        self.used = 0  # slots used in the current segment
        try:
            os.mkdir(_PATH)
        except OSError as error:
            if error.args[0] != _EEXIST:
                raise
        self._scan()

    def _scan(self):
        # A file has its size only once it is closed. Cut before that, its blocks look whole, but littlefs holds them to be free.
        alive = set()  # type: set[int]
        unfinished = set()  # type: set[int]
        for entry in os.ilistdir(_PATH):
            if len(entry[0]) == 8 and entry[0].isdigit():
                (alive if entry[3] == _FILE_BYTES else unfinished).add(int(entry[0]))
        self.highest = 0
        blocks = {}  # type: dict[int, list[int]]
        header = bytearray(32)
        for block in range(self._flash.block_count):
            self._flash.read(block, _SIGNATURE_AT, header)
            if header[:4] != _MAGIC:
                continue
            segment_id, index, crc = struct.unpack("<IH18xI", header[4:])
            if crc != binascii.crc32(header[:28]) & 0xFFFFFFFF or index >= _BLOCKS:
                continue
            self.highest = max(self.highest, segment_id)
            if segment_id in alive:
                row = blocks.setdefault(segment_id, [-1] * _BLOCKS)
                # Two claims to one place: flash that littlefs had to work around. Neither is trusted.
                row[index] = block if row[index] == -1 else -2
        self._blocks = {}
        for segment_id in sorted(alive):
            if segment_id in blocks and min(blocks[segment_id]) >= 0:
                self._blocks[segment_id] = blocks[segment_id]
            else:
                unfinished.add(segment_id)
        for segment_id in unfinished:  # never used
            os.remove("%s/%08d" % (_PATH, segment_id))
        self.ids = sorted(self._blocks)

    def find_end(self):
        # Called once at start: the newest segment with a used slot is the current one.
        self.current = -1
        for i in range(len(self.ids)):
            if not self._erased(i, 0):
                self.current = i
        if self.current < 0:
            if not self.ids and not self.make_spare():
                raise FlashError("flash-full")
            self.current = 0
            self.used = 0
            return
        low, high = 1, SLOTS  # slots fill in order: the first erased one is the end
        while low < high:
            middle = (low + high) // 2
            if self._erased(self.current, middle):
                high = middle
            else:
                low = middle + 1
        self.used = low

    def _erased(self, index, slot):
        self.read(index, slot)
        for c in self._slot:
            if c != 0xFF:
                return False
        return True

    def read(self, index, slot):
        # The slot's 64 bytes, in a buffer that the next read overwrites.
        block = self._blocks[self.ids[index]][slot // _SLOTS_A_BLOCK]
        self._flash.read(block, SLOT_BYTES * (1 + slot % _SLOTS_A_BLOCK), self._slot)
        return self._slot

    def append(self, data):
        # Durable when it returns. A slot that does not read back as written is left behind: three of those, and the
        # flash is failing.
        for _ in range(3):
            if self.used == SLOTS:
                if not self.has_spare():
                    raise FlashError("flash-full")
                self.current += 1
                self.used = 0
            slot = self.used
            self.used += 1
            block = self._blocks[self.ids[self.current]][slot // _SLOTS_A_BLOCK]
            try:
                self._flash.program(block, SLOT_BYTES * (1 + slot % _SLOTS_A_BLOCK), data)
                if self.read(self.current, slot) == data:
                    return
            except OSError:
                pass
        raise FlashError("flash-error")

    def has_spare(self):
        return self.current + 1 < len(self.ids)

    def at_capacity(self):
        # True when the oldest segment has to go before another spare is made.
        return self.current > _KEPT

    def drop_oldest(self):
        segment_id = self.ids.pop(0)
        del self._blocks[segment_id]
        self.current -= 1
        os.remove("%s/%08d" % (_PATH, segment_id))

    def make_spare(self):
        # Erases 16 sectors, about a second: only while the lid is closed. False when the file system is full.
        segment_id = self.highest + 1
        path = "%s/%08d" % (_PATH, segment_id)
        try:
            with open(path, "wb") as file:
                for index in range(_BLOCKS):
                    self._write_block(file, segment_id, index)
                    self._feed()
        except OSError:
            try:
                os.remove(path)
            except OSError:
                pass
            return False
        self._scan()
        return segment_id in self._blocks

    def _write_block(self, file, segment_id, index):
        # What the file holds in its index-th block: all but the 4 * (1 + trailing zeros of index) bytes that littlefs
        # keeps in front. A slot's length at a time: there is no place for a whole block.
        pointers = 0
        rest = index
        while rest:
            pointers += 4
            rest = 0 if rest & 1 else rest >> 1
        header = struct.pack("<4sIH18x", _MAGIC, segment_id, index)
        file.write(b"\xff" * (_SIGNATURE_AT - pointers) + header + struct.pack("<I", binascii.crc32(header) & 0xFFFFFFFF))
        erased = b"\xff" * SLOT_BYTES
        for _ in range(_SLOTS_A_BLOCK):
            file.write(erased)
