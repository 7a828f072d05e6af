# SPDX-License-Identifier: MIT
# The board's own event log: numbered, chained records over lid.segments. append() returns when the record is durable.
# The key that seals them moves forward with every segment, and the one before it is overwritten.
import binascii

from lid import files, record
from lid.segments import KEY_SLOTS, SLOTS, FlashError


class Journal:
    # board: its identifier; segments: lid.segments.Segments; random_bytes(n): from hardware; old_key: of firmware 0.1, or None
    def __init__(self, board, segments, random_bytes, old_key=None):
        self.board = board
        self._segments = segments
        segments.find_end()
        self.torn = 0
        self.seq = 0
        self.boot = 0
        self.link = record.genesis(board)
        self._first_seqs = []  # number of each segment's first record, 0 when it has none
        self._index()
        self.key_lost = False
        self.epoch = 0
        self._load_key(random_bytes, old_key)
        self.acked = min(files.load_number(files.ACKED), self.seq)
        self._saved_acked = self.acked

    def _load_key(self, random_bytes, old_key):
        segments = self._segments
        found = segments.found_key
        self.key = found[:32] if found else old_key or random_bytes(record.KEY_BYTES)
        if found:
            self.epoch = int.from_bytes(found[32:], "little")
        elif old_key:
            return  # until the next segment, which is not far
        elif self.seq:
            self.key_lost = True  # nobody can follow it to the new one
            segments.has_spare() or segments.make_spare()
        segments.write_key(self.key, self.epoch, 1 if self.key_lost else 0)
        self._extend()

    def _advance(self):
        key = record.next_key(self.key)
        self._segments.write_key(key, self.epoch + 1, 1)
        self.key = key
        self.epoch += 1

    def _extend(self):
        while len(self._first_seqs) < len(self._segments.ids):
            self._first_seqs.append(0)

    def _index(self):
        self._find_head()
        segments = self._segments
        self._first_seqs = [0] * len(segments.ids)
        for i in range(segments.current + 1):
            for slot in range(segments.used if i == segments.current else SLOTS):
                data = segments.read(i, slot)
                if record.slot_is_whole(data):
                    self._first_seqs[i] = record.read_body(data[: record.BODY_BYTES])[0]
                    break

    def _find_head(self):
        # The newest whole slot. What is torn behind it was never reported durable, and must not look whole one day: a bit that
        # was being written can read differently from read to read. So it becomes zeros, and the head is written again.
        segments = self._segments
        for i in range(segments.current, -1, -1):
            for slot in range((segments.used if i == segments.current else SLOTS) - 1, -1, -1):
                data = segments.read(i, slot)
                if record.slot_is_whole(data):
                    self.seq, self.boot = record.read_body(data[: record.BODY_BYTES])[:2]
                    self.link = bytes(data[40:52])
                    segments.program(i, slot, bytes(data))
                    return
                if slot not in KEY_SLOTS and min(data) < 255:
                    self.torn += 1
                    segments.clear(i, slot)

    @property
    def oldest(self):
        """Number of the oldest record still kept; seq + 1 when there is none."""
        for first in self._first_seqs:
            if first:
                return first
        return self.seq + 1

    @property
    def sealed_from(self):
        """Number of the first record under the key in hand."""
        return self._first_seqs[self._segments.current] or self.seq + 1

    def append(self, ms, event, reason, score, flags, energy_log2_q8, rails_mv, wall, a, b):
        """Write one record; its number. FlashError when it is not durable. rails_mv: (guarded, sentinel), wall: (ms, unknown)."""
        fields = (
            self.seq + 1, self.boot, ms, event, reason, score, flags, energy_log2_q8,
            rails_mv[0], rails_mv[1], wall[0], wall[1], a & 0xFFFFFFFF, b & 0xFFFFFFFF,
        )  # fmt: skip
        body = record.make_body(fields)
        segments = self._segments
        slot, link = record.seal(self.key, self.link, body)
        while not segments.append(slot):
            self._advance()
            slot, link = record.seal(self.key, self.link, body)
        self.seq += 1
        self.link = link
        self._extend()
        if not self._first_seqs[segments.current]:
            self._first_seqs[segments.current] = self.seq
        return self.seq

    def needs_room(self):
        # A segment that does not hold its key twice is left as soon as there is another.
        return not self._segments.has_spare() or not self._segments.keyed

    def nearly_full(self):
        # The current segment is nearly full: room cannot wait for a quiet moment.
        return self._segments.used >= SLOTS - 64

    def make_room(self, record_lost):
        """Erase ahead: only while the lid is closed. record_lost(count, first) is called before unread records go."""
        segments = self._segments
        if not segments.has_spare():
            if segments.at_capacity():
                self._drop_oldest(record_lost)
            while not segments.make_spare():
                # The file system is full of other things: a shorter ring, as long as one old segment is left to give.
                if segments.current < 1:
                    raise FlashError("flash-full")
                self._drop_oldest(record_lost)
        if not segments.keyed:
            self._advance()
        self._extend()

    def _drop_oldest(self, record_lost):
        first = self._first_seqs[0]
        end = self._first_seqs[1] or self.seq + 1
        lost_from = max(first, self.acked + 1)
        if first and lost_from < end:
            record_lost(end - lost_from, lost_from)
        self._segments.drop_oldest()
        self._first_seqs.pop(0)

    def find(self, seq):
        """The 64 bytes of record seq, valid until the next read; None when it is not kept."""
        if not self.oldest <= seq <= self.seq:
            return None
        segments = self._segments
        for i in range(segments.current, -1, -1):
            first = self._first_seqs[i]
            if first and first <= seq:
                used = segments.used if i == segments.current else SLOTS
                # Torn slots push records back, never forward.
                for slot in range(seq - first, used):
                    data = segments.read(i, slot)
                    if record.slot_is_whole(data) and int.from_bytes(data[:4], "little") == seq:
                        return data
                return None
        return None

    def no_memory(self):
        """Bytes that found no place, if that is the newest record; else -1."""
        slot = self.find(self.seq)
        fields = record.read_body(slot[: record.BODY_BYTES]) if slot else ()
        return fields[-2] if "no-memory" in fields else -1

    def holds(self, seq, link):
        """Whether record seq is here with that link, in hex, or was acknowledged."""
        data = self.find(seq) if seq > self.acked else None
        return seq <= self.acked or (data is not None and binascii.hexlify(data[40:52]).decode() == link)

    def acknowledge(self, seq):
        """A paired host holds everything up to seq."""
        self.acked = max(self.acked, seq)

    def save_acked(self):
        """Keep the acknowledgement over a restart: a small file of littlefs, so only while the lid is closed."""
        if self.acked == self._saved_acked:
            return
        files.save_number(files.ACKED, self.acked)
        self._saved_acked = self.acked


class NoJournal:
    # Stands in when flash cannot be written: nothing is kept, so nothing is ever opened.
    def __init__(self, board, random_bytes):
        self.board = board
        self.key = random_bytes(record.KEY_BYTES)  # nobody knows it, nobody can sign with it
        self.key_lost = False
        self.torn = self.seq = self.boot = self.acked = self.epoch = 0
        self.oldest = 1
        self.link = record.genesis(board)

    def append(self, *fields):
        raise FlashError("flash-error")

    def needs_room(self):
        return False

    def find(self, seq):
        return None

    def no_memory(self):
        return -1

    def holds(self, seq, link):
        return False

    def save_acked(self):
        pass
