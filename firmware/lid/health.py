# SPDX-License-Identifier: MIT
# Fault detection: the guarded rail, the sentinel microphone, I2S overruns. Pure: no input, no output. Each verdict is a
# reason of lid.record.
from lid import circuit
from lid.portable import const

HOP_MS = const(10)
DROP_HOPS = circuit.DROP_MAX_MS // HOP_MS
ARM_HOPS = circuit.ARM_MAX_MS // HOP_MS
_SAG_HOPS = const(10)
WARM_UP_HOPS = const(30)  # INMP441: the first 250 ms are not audio
_DEAD = const(2)  # as lid.gate.pcm has it
_DEAD_HOPS = const(200)  # 2 s of one unchanging value
_WAITED_MS = const(5)
_CLIP_HOPS = const(100)  # 1 s of hops with clipped samples, out of the last 2 s


class RailMonitor:
    # Follows the guarded rail: after opening it must be live, after closing it must be gone.
    def __init__(self):
        self._open = False
        self._hops = 0
        self._low_hops = 0
        self.drop_ms = 0

    def push(self, is_open, rail_mv):
        # "" or "welded", "no-close" (the relay did not close its contact), "sagging".
        if is_open != self._open:
            self._open = is_open
            self._hops = 0
            self._low_hops = 0
            if not is_open:
                self.drop_ms = 0
        self._hops += 1
        if is_open:
            return self._watch_open(rail_mv)
        if rail_mv > circuit.RAIL_LIVE_MV:
            if self._hops > DROP_HOPS:
                return "welded"
        elif not self.drop_ms:
            self.drop_ms = self._hops * HOP_MS
        return ""

    def _watch_open(self, rail_mv):
        if self._hops <= ARM_HOPS:
            return ""
        self._low_hops = self._low_hops + 1 if rail_mv < circuit.GUARDED_GOOD_MV else 0
        if self._low_hops < _SAG_HOPS:
            return ""
        return "no-close" if rail_mv < circuit.RAIL_LIVE_MV else "sagging"


class MicrophoneMonitor:
    # Follows the sentinel's samples. A verdict is given once, and "recovered" once when it is over.
    def __init__(self):
        self._still_hops = 0
        self._clip_level = 0
        self.verdict = ""

    def reset(self):
        self._still_hops = 0
        self._clip_level = 0

    def push(self, alike, clipped):
        # alike: 0 the hop's slots differ, 1 all the same, 2 all zero; clipped: samples at full scale. "" or a reason that is new.
        self._still_hops = self._still_hops + 1 if alike else 0
        self._clip_level = max(0, min(2 * _CLIP_HOPS, self._clip_level + (1 if clipped else -1)))
        verdict = self.verdict
        if self._still_hops >= _DEAD_HOPS:
            verdict = "mic-dead" if alike == _DEAD else "mic-stuck"
        elif self._clip_level >= _CLIP_HOPS:
            verdict = "mic-clipped"
        elif not self._still_hops and not self._clip_level:
            verdict = ""
        if verdict == self.verdict:
            return ""
        self.verdict = verdict
        return verdict or "recovered"


class OverrunMonitor:
    # The I2S driver drops samples without a word: only the clock can tell. A read that had to wait shows that nothing is behind.
    def __init__(self, ring_ms):
        self._ring_ms = ring_ms
        self._late_ms = 0

    def reset(self):
        self._late_ms = 0

    def push(self, step_ms, waited_ms):
        # step_ms: since the last hop's read returned; waited_ms: how long this read blocked. Hops lost just now.
        late_ms = max(0, self._late_ms + step_ms - HOP_MS)
        lost = 0
        if late_ms > self._ring_ms:
            lost = (late_ms - self._ring_ms) // HOP_MS
            late_ms -= lost * HOP_MS
        # Whoever had to wait for sound is not behind. It also keeps two clocks that differ a little from adding up.
        self._late_ms = 0 if waited_ms >= _WAITED_MS else late_ms
        return lost
