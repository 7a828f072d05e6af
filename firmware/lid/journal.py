# SPDX-License-Identifier: MIT
# The board's own event log: numbered, chained records over lid.segments. append() returns when the record is durable.
import os

from lid import record
from lid.segments import SLOTS, FlashError

_ACKED = "/journal/acked"


class Journal:
    # identity: {"board": text, "key": bytes}; segments: lid.segments.Segments
    def __init__(self, identity, segments):
        self.board = identity["board"]
        self.key = identity["key"]
        self._segments = segments
        segments.find_end()
        self.torn = 0
        self.seq = 0
        self.boot = 0
        self.link = record.genesis(self.board)
        self._first_seqs = []  # number of each segment's first record, 0 when it has none
        self._index()
        self.acked = min(self._load_acked(), self.seq)
        self._saved_acked = self.acked

    def _index(self):
        segments = self._segments
        self._first_seqs = [0] * len(segments.ids)
        for i in range(segments.current + 1):
            used = segments.used if i == segments.current else SLOTS
            for slot in range(used):
                data = segments.read(i, slot)
                if record.slot_is_whole(data):
                    self._first_seqs[i] = record.read_body(data[: record.BODY_BYTES])[0]
                    break
        # The head: the newest whole slot. What is torn behind it was never reported durable.
        for i in range(segments.current, -1, -1):
            used = segments.used if i == segments.current else SLOTS
            for slot in range(used - 1, -1, -1):
                data = segments.read(i, slot)
                if record.slot_is_whole(data):
                    self.seq, self.boot = record.read_body(data[: record.BODY_BYTES])[:2]
                    self.link = bytes(data[40:52])
                    return
                self.torn += 1

    @property
    def oldest(self):
        """Number of the oldest record still kept; seq + 1 when there is none."""
        for first in self._first_seqs:
            if first:
                return first
        return self.seq + 1

    def append(self, ms, event, reason, score, flags, energy_log2_q8, rails_mv, wall, a, b):
        """Write one record; its number. FlashError when it is not durable. rails_mv: (guarded, sentinel), wall: (ms, unknown)."""
        fields = (
            self.seq + 1, self.boot, ms, event, reason, score, flags, energy_log2_q8,
            rails_mv[0], rails_mv[1], wall[0], wall[1], a & 0xFFFFFFFF, b & 0xFFFFFFFF,
        )  # fmt: skip
        slot, link = record.seal(self.key, self.link, record.make_body(fields))
        segments = self._segments
        segments.append(slot)
        self.seq += 1
        self.link = link
        while len(self._first_seqs) < len(segments.ids):
            self._first_seqs.append(0)
        if not self._first_seqs[segments.current]:
            self._first_seqs[segments.current] = self.seq
        return self.seq

    def needs_room(self):
        return not self._segments.has_spare()

    def nearly_full(self):
        # The current segment is nearly full: room cannot wait for a quiet moment.
        return self._segments.used >= SLOTS - 64

    def make_room(self, record_lost):
        """Erase ahead: only while the lid is closed. record_lost(count, first) is called before unread records go."""
        segments = self._segments
        if segments.at_capacity():
            self._drop_oldest(record_lost)
        while not segments.make_spare():
            # The file system is full of other things: a shorter ring, as long as one old segment is left to give.
            if segments.current < 1:
                raise FlashError("flash-full")
            self._drop_oldest(record_lost)
        while len(self._first_seqs) < len(segments.ids):
            self._first_seqs.append(0)

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

    def last_reason(self):
        slot = self.find(self.seq)
        return record.read_body(slot[: record.BODY_BYTES])[record.REASON_AT] if slot else ""

    def acknowledge(self, seq, link):
        """The host holds everything up to seq, whose link it must show. False when that is not this journal's record."""
        if seq <= self.acked:
            return True
        data = self.find(seq)
        if data is None or bytes(data[40:52]) != link:
            return False
        self.acked = seq
        return True

    def save_acked(self):
        """Keep the acknowledgement over a restart: a small file of littlefs, so only while the lid is closed."""
        if self.acked == self._saved_acked:
            return
        with open(_ACKED + ".new", "w") as file:
            file.write("%d" % self.acked)
        os.rename(_ACKED + ".new", _ACKED)
        self._saved_acked = self.acked

    def _load_acked(self):
        try:
            with open(_ACKED) as file:
                return int(file.read())
        except (OSError, ValueError):
            return 0


class NoJournal:
    # Stands in when flash cannot be written: nothing is kept, so nothing is ever opened.
    def __init__(self, identity):
        self.board = identity["board"]
        self.torn = self.seq = self.boot = self.acked = 0
        self.oldest = 1
        self.link = record.genesis(self.board)

    def append(self, *fields):
        raise FlashError("flash-error")

    def needs_room(self):
        return False

    def find(self, seq):
        return None

    def last_reason(self):
        return ""

    def acknowledge(self, seq, link):
        return False

    def save_acked(self):
        pass
