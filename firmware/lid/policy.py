# SPDX-License-Identifier: MIT
# The lid's state machine: what may open it, what closes it. Pure decisions: no input, no output, no clock of its own.
# Time is counted in hops (10 ms): small integers for months, so that a step allocates nothing.
from lid.portable import const

_HARD_MAX_HOPS = const(6000)  # 60 s: no setting, word or button holds the lid open longer
_FIRST_HOPS = const(50)  # nothing is a word in the first half second after start and un-mute

# What step() asks for. The caller makes an OPEN durable before it drives the relay, and calls fail() if it cannot.
NOTHING = const(0)
OPEN = const(1)
CLOSE = const(2)
MUTE = const(3)
UNMUTE = const(4)
FAULT = const(5)
NEAR_MISS = const(6)


class Policy:
    # config: the fields of lid.config that begin with open, silence, refractory, near_miss, rearm, cutoff
    # own_cutoff_q8: the word's, in force while that setting is 0
    def __init__(self, config, own_cutoff_q8=255):
        self.state = "closed"
        self.reason = ""
        self.peak = 0
        self._muted = False  # as last told
        self._fault = ""
        self._host_close = False
        self._was_pressed = True  # a button held since before the start opens nothing
        self._ignore_held = False
        self._released_at = 0
        self._quiet_hops = 0
        self._near_miss_peak = 0
        self._near_miss = "word"
        self._opened_at = 0
        self.configure(config, own_cutoff_q8)
        self._disarm()

    def configure(self, config, own_cutoff_q8):
        self._window_hops = min(config["open_ms"] // 10, _HARD_MAX_HOPS)
        self._silence_hops = config["silence_ms"] // 10
        self._rearm_hops = config["refractory_ms"] // 10
        # Whatever the setting says: a score has not fallen that is not well below the cutoff.
        cutoff_q8 = config["cutoff_q8"] or own_cutoff_q8
        self._rearm_score = min(config["rearm_q8"], max(1, cutoff_q8 * 3 // 4))
        self._near_miss_score = config["near_miss_q8"]

    def request_close(self):
        # From the host, at any time. There is no request that opens.
        self._host_close = True

    def fail(self, reason):
        # Latched: only a power cycle makes a new Policy.
        if not self._fault:
            self._fault = reason

    def abandon(self, reason, now):
        # A failure of this opening alone (no supply behind the contact): close, and listen on.
        if self.state == "open":
            return self._close(reason, now)
        return NOTHING

    def step(self, now, muted, talk, hit, score, quiet):
        # now: hops since start. muted, talk: debounced. hit: the gate heard the word in this hop. score: its mean, of 255, or
        # -1 while it is not known. quiet: nobody talks, for sure. Returns one of the actions above; reason says why.
        pressed = talk and not self._was_pressed
        self._was_pressed = talk
        host_close = self._host_close
        self._host_close = False
        state = self.state
        if state == "fault":
            if muted == self._muted:
                return NOTHING
            self._muted = muted
            return MUTE if muted else UNMUTE
        if self._fault:
            self.state = "fault"
            self.reason = self._fault
            return FAULT
        if muted:
            if state == "muted":
                return NOTHING
            if state == "open":
                return self._close("mute", now)  # the next step says muted
            self.state = "muted"
            self._muted = True
            self.reason = ""
            self._forget_near_miss()
            return MUTE
        if state == "muted":
            self.state = "closed"
            self._muted = False
            self.reason = ""
            self._disarm()
            return UNMUTE
        armed = self._follow(hit, score)
        if state == "open":
            return self._step_open(now, talk, pressed, host_close, quiet)
        return self._step_closed(now, pressed, hit, armed, score)

    def _disarm(self):
        self._armed = False
        self._low_hops = min(0, self._rearm_hops - _FIRST_HOPS)

    def _follow(self, hit, score):
        # Whether a hit counts, in every state that hears: the score must have fallen since the last one.
        armed = self._armed
        if hit or not 0 <= score < self._rearm_score:
            self._low_hops = 0
            self._armed = armed and not hit
        elif not armed:
            self._low_hops += 1
            self._armed = self._low_hops >= self._rearm_hops
        return armed

    def _step_open(self, now, talk, pressed, host_close, quiet):
        held = talk and not self._ignore_held
        if not talk:
            self._ignore_held = False
        if held:
            self._released_at = now
        self._quiet_hops = self._quiet_hops + 1 if quiet and not held else 0
        if host_close:
            return self._close("host", now)
        if pressed:
            return self._close("button", now)
        if now - self._opened_at >= _HARD_MAX_HOPS or now - self._released_at >= self._window_hops:
            return self._close("timeout", now)
        if self._silence_hops and self._quiet_hops >= self._silence_hops:
            return self._close("silence", now)
        return NOTHING

    def _step_closed(self, now, pressed, hit, armed, score):
        if pressed:
            return self._open("button", now, score)
        if hit and armed:
            return self._open("word", now, score)
        if hit:
            self._near_miss = "refractory"
        if hit or (score >= self._near_miss_score and (armed or self._near_miss_peak)):
            self._near_miss_peak = max(self._near_miss_peak, score, 1)
        elif self._near_miss_peak:
            self.peak = self._near_miss_peak
            self.reason = self._near_miss
            self._forget_near_miss()
            return NEAR_MISS
        return NOTHING

    def _forget_near_miss(self):
        self._near_miss_peak = 0
        self._near_miss = "word"

    def _open(self, reason, now, score):
        self.state = "open"
        self.reason = reason
        self.peak = score
        self._opened_at = now
        self._released_at = now
        self._quiet_hops = 0
        self._forget_near_miss()
        # A word must not be held open by a thumb that was already there, nor a press count twice.
        self._ignore_held = reason == "word"
        return OPEN

    def _close(self, reason, now):
        self.state = "closed"
        self.reason = reason
        return CLOSE
