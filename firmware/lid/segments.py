# SPDX-License-Identifier: MIT
# The journal's place in flash: files of littlefs, made and erased ahead, then programmed in place.
#
# littlefs copies a file's last block at every synced append, and so erases a sector (45 ms, up to 400) each time: an open lid's
# relay cannot wait for that. So a segment is a file whose blocks are written once, full of 0xFF behind a signature,
# and whose records are
# then programmed straight into those erased bytes. littlefs keeps no checksum over a file's data, and never moves a
# block that is not written through it.
# The blocks of a segment are found by their signatures; littlefs's directory alone says which segments are alive.
# The first slot of its first two blocks holds the key that seals the segment's records; of earlier segments it is overwritten.
import binascii
import os
import struct

from lid.portable import const
from lid.record import SLOT_BYTES, slot_is_whole

_MAGIC = b"EJS1"
BLOCKS = const(16)  # a segment is 64 KiB
_SIGNATURE_AT = const(32)  # littlefs's list pointers need up to 20 bytes before it
_SLOTS_A_BLOCK = const(63)  # 64-byte slots; the first 64 bytes are pointers and signature
SLOTS = const(1008)
_KEY_SLOT = const(0)  # the key's two places: key, epoch, padding, and a crc that no record has
_KEY_SLOT_2 = const(63)
KEY_SLOTS = (_KEY_SLOT, _KEY_SLOT_2)
_TRIES = const(4)
_KEPT = const(20)  # full segments kept: 20,120 records, less a slot a start
_FILE_BYTES = const(65432)  # less 26 list pointers of littlefs
PATH = "/journal"
_EEXIST = const(17)
_ERASED = b"\xff" * SLOT_BYTES


class FlashError(Exception):
    pass


def _signature(segment_id, index):
    header = struct.pack("<4sIH18x", _MAGIC, segment_id, index)
    return header + struct.pack("<I", binascii.crc32(header) & 0xFFFFFFFF)


def _differences(data, wanted):
    # Bytes that differ, counted up to two.
    count = 0
    for i in range(len(wanted)):
        if data[i] != wanted[i]:
            count += 1
            if count == 2:
                break
    return count


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
        self.found_key = None  # with its epoch, 36 bytes, by find_end(); read once, it may read differently the next time
        self.keyed = False  # the current segment holds its key twice
        try:
            os.mkdir(PATH)
        except OSError as error:
            if error.args[0] != _EEXIST:
                raise
        self._scan(-1)

    def _scan(self, made):
        # A file has its size only once it is closed. Cut before that, its blocks look whole, but littlefs holds them to be free.
        alive = set()  # type: set[int]
        unfinished = set()  # type: set[int]
        for entry in os.ilistdir(PATH):
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
            if crc != binascii.crc32(header[:28]) & 0xFFFFFFFF or index >= BLOCKS:
                continue
            self.highest = max(self.highest, segment_id)
            if segment_id in alive:
                row = blocks.setdefault(segment_id, [-1] * BLOCKS)
                # Two claims to one place: flash that littlefs had to work around. Neither is trusted.
                row[index] = block if row[index] == -1 else -2
        self._blocks = {}
        for segment_id in alive:
            # One that was just made has to be perfect; of one in use, a block whose signature is gone is lost and no other.
            if segment_id in blocks and (segment_id != made or min(blocks[segment_id]) >= 0):
                self._blocks[segment_id] = blocks[segment_id]
                for index in range(BLOCKS):
                    if blocks[segment_id][index] == -1:
                        blocks[segment_id][index] = self._find_damaged(_signature(segment_id, index), header)
            else:
                unfinished.add(segment_id)
        for segment_id in unfinished:  # never used
            os.remove("%s/%08d" % (PATH, segment_id))
        self.ids = sorted(self._blocks)

    def _find_damaged(self, signature, header):
        # The block with all of a signature but one byte, in which a bit went bad; else -1. Two signatures differ in more.
        for block in range(self._flash.block_count):
            self._flash.read(block, _SIGNATURE_AT, header)
            if _differences(header, signature) == 1:
                return block
        return -1

    def find_end(self):
        # Called once at start. Anywhere a slot may have stayed erased although it was programmed: the end is behind the last
        # one that is not, in the newest segment that has a record or a key.
        if not self.ids and not self.make_spare():
            raise FlashError("flash-full")
        for index in range(len(self.ids) - 1, -1, -1):
            self.current = index
            self.found_key = self._read_key()
            if self.found_key or self._has_record():
                break
        # One slot is left out: it may have been in the making when the power went, and only look erased.
        self.used = min(self._end() + 1, SLOTS)

    def _has_record(self):
        for slot in range(SLOTS):
            if min(self.read(self.current, slot)) < 255 and slot_is_whole(self._slot):
                return True
        return False

    def _end(self):
        # One byte alone that is not erased is a bit that went bad, far behind the end perhaps: all in between stays to be used.
        for slot in range(SLOTS - 1, -1, -1):
            if slot != _KEY_SLOT_2 and min(self.read(self.current, slot)) < 255 and _differences(self._slot, _ERASED) > 1:
                return slot + 1
        return 0

    def read(self, index, slot):
        # The slot's 64 bytes, in a buffer that the next read overwrites; zeros when its block is lost.
        block = self._blocks[self.ids[index]][slot // _SLOTS_A_BLOCK]
        if block >= 0:
            self._flash.read(block, SLOT_BYTES * (1 + slot % _SLOTS_A_BLOCK), self._slot)
        else:
            self._slot[:] = bytes(SLOT_BYTES)
        return self._slot

    def program(self, index, slot, data):
        """Whether the slot reads back as data; bits only ever go to 0."""
        block = self._blocks[self.ids[index]][slot // _SLOTS_A_BLOCK]
        try:
            if block >= 0:
                self._flash.program(block, SLOT_BYTES * (1 + slot % _SLOTS_A_BLOCK), data)
            return self.read(index, slot) == data
        except OSError:
            return False

    def append(self, data):
        # True: durable; False: the segment is full. A slot that does not read back is left behind, after the second one the
        # whole block is; four of those, and the flash is failing.
        failed = 0
        while self.used < SLOTS:
            slot = self.used
            self.used += 1
            if slot in KEY_SLOTS or min(self.read(self.current, slot)) < 255:
                continue
            if self.program(self.current, slot, data):
                return True
            failed += 1
            if failed == _TRIES:
                raise FlashError("flash-error")
            if failed > 1:
                self.used = (slot // _SLOTS_A_BLOCK + 1) * _SLOTS_A_BLOCK
        return False

    def _read_key(self):
        # Key and epoch (36 bytes) of the current segment, None when neither place holds them.
        for slot in KEY_SLOTS:
            data = self.read(self.current, slot)
            if struct.unpack("<I", data[60:])[0] == ~binascii.crc32(data[:60]) & 0xFFFFFFFF:
                return bytes(data[:36])
        return None

    def write_key(self, key, epoch, step):
        # step 0: make sure of the current segment's key; 1: give one to the next, which becomes the current. Then make an end
        # of those before it. The same again goes on after a cut.
        index = self.current + step
        if index >= len(self.ids):
            raise FlashError("flash-full")
        data = struct.pack("<32sI24x", key, epoch)
        data += struct.pack("<I", ~binascii.crc32(data) & 0xFFFFFFFF)
        places = 0
        for slot in KEY_SLOTS:
            for _ in range(_TRIES):
                if self.program(index, slot, data):
                    places += 1
                    break
        if not places:
            raise FlashError("flash-error")
        self.keyed = places == 2
        if step:
            self.current = index
            self.used = 0
        for older in range(index - 1 if step else 0, index):
            for slot in KEY_SLOTS:
                data = self.read(older, slot)
                if not slot_is_whole(data) and (older == index - 1 or max(data)):  # a record: of firmware 0.1
                    self.clear(older, slot)

    def clear(self, index, slot):
        # Whatever it holds, or seems to hold at times: zeros.
        for _ in range(_TRIES):
            if self.program(index, slot, bytes(SLOT_BYTES)):
                break

    def has_spare(self):
        return self.current + 1 < len(self.ids)

    def at_capacity(self):
        # True when the oldest segment has to go before another spare is made.
        return self.current > _KEPT

    def drop_oldest(self):
        segment_id = self.ids.pop(0)
        del self._blocks[segment_id]
        self.current -= 1
        os.remove("%s/%08d" % (PATH, segment_id))

    def make_spare(self):
        # Erases 16 sectors, about a second: only while the lid is closed. False when the file system is full. Where littlefs
        # worked around bad flash, two blocks claim one place: another try takes others.
        for _ in range(_TRIES):
            segment_id = self.highest + 1
            path = "%s/%08d" % (PATH, segment_id)
            try:
                with open(path, "wb") as file:
                    for index in range(BLOCKS):
                        self.write_block(file, segment_id, index)
                        self._feed()
            except OSError:
                try:
                    os.remove(path)
                except OSError:
                    pass
                return False
            self._scan(segment_id)
            if segment_id in self._blocks:
                return True
        return False

    def write_block(self, file, segment_id, index):
        # What the file holds in its index-th block: all but the 4 * (1 + trailing zeros of index) bytes that littlefs
        # keeps in front. A slot's length at a time: there is no place for a whole block. Without self: a host calls it too.
        pointers = 0
        rest = index
        while rest:
            pointers += 4
            rest = 0 if rest & 1 else rest >> 1
        file.write(b"\xff" * (_SIGNATURE_AT - pointers) + _signature(segment_id, index))
        for _ in range(_SLOTS_A_BLOCK):
            file.write(_ERASED)
