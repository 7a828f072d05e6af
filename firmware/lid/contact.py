# SPDX-License-Identifier: MIT
# The lid's contact: let go, read back, and what the guarded rail did, as records: the receipt of every opening, and of a
# rail that was live without one.
import binascii
import struct

from lid import circuit
from lid.portable import const

MARK_MS = const(5000)
_HOUR_MS = const(3600000)
_LONG_MS = const(500000000)  # lid.health counts that far in small integers
_SAG_MS = const(100)
_DEADS = const(12)  # a rail that flaps is told so often,
_DEAD_HOPS = const(30000)  # and once more every 5 minutes; until then it counts as live
_GONE_HOPS = const(3)  # by then the mute switch is read, if it was that
BLOCK = "<IIII"  # boot, number of the record that began it, ms live since, at least and at most


class Contact:
    # board: lid.board.Board; recorder: lid.messages.Recorder
    def __init__(self, board, recorder):
        self._board = board
        self._recorder = recorder
        self.live_ms = 0  # of all openings that have ended since the start
        self.told = ""  # what the journal has begun and not ended: "open" or "live"
        self._seq = 0
        self._mark_at = 0
        self._good_at = 0
        self._reason = ""
        self._open_ms = 0
        self._gone_hops = 0
        self._deads = _DEADS
        self._deads_at = 0
        self._block = bytearray(20)
        self._sealed = memoryview(self._block)[:16]

    def tell(self, event, reason, a, b, score=-1):
        """Record an "open", or a "live" (b: 0 for as long as is known); False when that could not be made durable."""
        rail = self._board.rail
        if event == "open" and not self.told and rail.most_ms:
            self.tell("live", "unexpected", rail.mv, 0)
        self.finish()
        self._board.read_rail()
        if event == "live":
            b = b or rail.most_ms
            rail.restart()
        rail.since_ms = 0
        self.told = event
        self._reason = "fault"
        self._open_ms = 0
        self._mark_at = MARK_MS
        self._good_at = circuit.ARM_MAX_MS
        done = self._recorder.append(event, reason, a, b, score)
        self._seq = self._recorder.journal.seq
        if not done and event == "open":
            self.told = ""
        return done

    def finish(self):
        """Record the end of what was told."""
        told = self.told
        if not told:
            return
        self.told = ""
        rail = self._board.rail
        least, most = rail.least_ms, rail.most_ms
        rail.restart()
        if told == "open":
            # Never 0, which it was in firmware 0.1: of one that was never live, 1 ms.
            most = min(max(most, 1), 65535)
            done = self._recorder.append("close", self._reason, self._open_ms, most << 16 | min(least, most))
        else:
            done = self._recorder.append("dead", "mute" if self._recorder.mute.muted else "", least, most)
        if done:
            self._keep(0, 0, 0)

    def release(self, reason):
        board = self._board
        was_open = board.guarding
        board.release()
        if was_open:
            board.read_rail()
            self._reason = reason
            self._open_ms = board.rail.since_ms
            self.live_ms += self._open_ms

    def follow(self, now):
        # Once a hop, now in hops: "", or what is wrong: "welded", "no-close" (the relay did not close its contact), "sagging".
        self._board.read_rail()
        rail = self._board.rail
        if self.told == "open":
            verdict = self._follow_opening(rail)
        elif self.told or rail.most_ms:
            verdict = self._follow_live(rail, now)
        else:
            return ""
        if self.told:
            self._keep(self._seq, rail.least_ms, rail.most_ms)
        return verdict

    def _follow_opening(self, rail):
        if self._board.guarding:
            self._mark(rail, MARK_MS)
            if rail.mv >= circuit.GUARDED_GOOD_MV:
                self._good_at = rail.since_ms
            if rail.since_ms - self._good_at < _SAG_MS:
                return ""
            return "sagging" if rail.live else "no-close"
        if rail.live and rail.since_ms - self._open_ms <= circuit.DROP_MAX_MS:
            return ""
        self.finish()
        if not rail.live:
            return ""
        self.tell("live", "welded", rail.mv, 0)
        return "welded"

    def _follow_live(self, rail, now):
        if not self.told:
            self.tell("live", "unexpected", rail.mv, 0)
        self._gone_hops = 0 if rail.live else self._gone_hops + 1
        if not rail.live:
            if self._gone_hops < _GONE_HOPS:
                return ""
            more = (now - self._deads_at) // _DEAD_HOPS
            self._deads_at += more * _DEAD_HOPS
            self._deads = min(_DEADS, self._deads + more)
            if self._deads:
                self._deads -= 1
                self.finish()
            return ""
        if rail.since_ms >= _LONG_MS:
            self.tell("live", "unexpected", rail.mv, 0)
        self._mark(rail, min(rail.since_ms, _HOUR_MS))
        return "welded" if rail.since_ms > circuit.DROP_MAX_MS else ""

    def _mark(self, rail, every_ms):
        if rail.since_ms >= self._mark_at:
            self._mark_at = rail.since_ms + every_ms
            self._recorder.append("mark", self.told, rail.since_ms, rail.least_ms)

    def _keep(self, seq, least, most):
        # For the next start, should a reset come first.
        block = self._block
        struct.pack_into(BLOCK, block, 0, self._recorder.journal.boot, seq, least, most)
        struct.pack_into("<I", block, 16, binascii.crc32(self._sealed) & 0xFFFFFFFF)
        self._board.keep(block)
