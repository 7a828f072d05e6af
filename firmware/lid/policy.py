# SPDX-License-Identifier: MIT
# The lid's state machine: what may open it, what closes it. Pure decisions: no input, no output, no clock of its own.
# Time is counted in hops (10 ms): small integers for months, so that a step allocates nothing.
from lid.portable import const

HARD_MAX_HOPS = const(6000)  # 60 s: no setting, word or button holds the lid open longer

# What step() asks for. The caller makes an OPEN durable before it drives the relay, and calls fail() if it cannot.
NOTHING = const(0)
OPEN = const(1)
CLOSE = const(2)
MUTE = const(3)
UNMUTE = const(4)
FAULT = const(5)
NEAR_MISS = const(6)


class Policy:
    # config: the fields of lid.config that begin with open, silence, refractory, near_miss, cutoff
    def __init__(self, config):
        self.state = "closed"
        self.reason = ""
        self.peak = 0
        self.open_hops = 0
        self._fault = ""
        self._host_close = False
        self._talk_was = True  # a button held since before the start opens nothing
        self._must_release = False
        self._released_at = 0
        self._quiet_hops = 0
        self._refractory = True  # nothing opens on a score that was high before anyone listened
        self._quiet_since = 0
        self._near = 0
        self._opened_at = 0
        self.configure(config)

    def configure(self, config):
        self._window = min(config["open_ms"] // 10, HARD_MAX_HOPS)
        self._silence = config["silence_ms"] // 10
        self._refractory_hops = config["refractory_ms"] // 10
        self._rearm = config["rearm_q8"]
        self._near_miss = config["near_miss_q8"]

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
        # now: hops since start. muted, talk: debounced. hit: the gate heard the word in this hop. score: its mean, of 255.
        # quiet: the energy gate is closed. Returns one of the actions above; reason says why.
        pressed = talk and not self._talk_was
        self._talk_was = talk
        host_close = self._host_close
        self._host_close = False
        state = self.state
        if state == "fault":
            return NOTHING
        if self._fault:
            self.open_hops = now - self._opened_at if state == "open" else 0
            self.state = "fault"
            self.reason = self._fault
            return FAULT
        if muted:
            if state == "muted":
                return NOTHING
            if state == "open":
                return self._close("mute", now)  # the next step says muted
            self.state = "muted"
            self.reason = ""
            self._near = 0
            return MUTE
        if state == "muted":
            self.state = "closed"
            self.reason = ""
            self._refractory = True
            self._quiet_since = now
            return UNMUTE
        if state == "open":
            return self._step_open(now, talk, pressed, host_close, quiet)
        return self._step_closed(now, pressed, hit, score)

    def _step_open(self, now, talk, pressed, host_close, quiet):
        held = talk and not self._must_release
        if not talk:
            self._must_release = False
        if held:
            self._released_at = now
        self._quiet_hops = self._quiet_hops + 1 if quiet and not held else 0
        if host_close:
            return self._close("host", now)
        if pressed:
            return self._close("button", now)
        if now - self._opened_at >= HARD_MAX_HOPS or now - self._released_at >= self._window:
            return self._close("timeout", now)
        if self._silence and self._quiet_hops >= self._silence:
            return self._close("silence", now)
        return NOTHING

    def _step_closed(self, now, pressed, hit, score):
        if score >= self._rearm:
            self._quiet_since = now
        if self._refractory and now - self._quiet_since >= self._refractory_hops:
            self._refractory = False
        if pressed:
            return self._open("button", now, score)
        if hit and not self._refractory:
            return self._open("word", now, score)
        if self._refractory:
            self._near = 0
            return NOTHING
        if score >= self._near_miss:
            self._near = max(self._near, score)
        elif self._near:
            self.peak = self._near
            self._near = 0
            self.reason = "word"
            return NEAR_MISS
        return NOTHING

    def _open(self, reason, now, score):
        self.state = "open"
        self.reason = reason
        self.peak = score
        self._opened_at = now
        self._released_at = now
        self._quiet_hops = 0
        self._near = 0
        # A word must not be held open by a thumb that was already there, nor a press count twice.
        self._must_release = reason == "word"
        return OPEN

    def _close(self, reason, now):
        self.state = "closed"
        self.reason = reason
        self.open_hops = now - self._opened_at
        self._refractory = True
        self._quiet_since = now
        return CLOSE
