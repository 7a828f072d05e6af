# SPDX-License-Identifier: MIT
# Fault detection: the guarded rail, the sentinel microphone, I2S overruns. Pure: no input, no output. Each verdict is a
# reason of lid.record.
from lid import circuit
from lid.portable import const

HOP_MS = const(10)
_LONG_MS = const(500000000)  # 5.8 days: counters stay small integers
_STEADY_MS = const(20)  # a rail does not come and go within this
_EARLY_MS = const(2)  # from a rail's rise to a reading that shows it, and the counter's own step; the fall takes up to 8
WARM_UP_HOPS = const(30)  # INMP441: the first 250 ms are not audio
_DEAD = const(2)  # as lid.gate.pcm has it
_DEAD_HOPS = const(200)  # 2 s of one unchanging value
_WAITED_MS = const(5)
_CLIP_HOPS = const(100)  # 1 s of hops with clipped samples, out of the last 2 s


class RailMonitor:
    # How long the guarded rail has been live since restart(), at least and at most. Between two live readings it was live,
    # unless there was time for more; between a live and a dead one it may have been.
    def __init__(self):
        self.mv = 0
        self.live = False
        self.restart()

    def restart(self):
        self.since_ms = self.least_ms = self.most_ms = 0

    def push(self, step_ms, mv):
        # step_ms: since the reading before; negative when the counter went back.
        self.mv = mv
        was, live = self.live, mv > circuit.RAIL_LIVE_MV
        self.live = live
        if step_ms > 0 and self.since_ms < _LONG_MS:
            self.since_ms += step_ms
            if live or was:
                self.most_ms += step_ms
                if live and was:
                    self.least_ms += min(step_ms, _STEADY_MS)
        if live and not was:
            self.most_ms += _EARLY_MS
        elif was and not live:
            self.least_ms = max(0, self.least_ms - HOP_MS)


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
