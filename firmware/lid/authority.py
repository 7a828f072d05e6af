# SPDX-License-Identifier: MIT
# Who may have what done: a person's consent to one request, and how often a host may be obeyed. Pure: times in hops.
from lid.portable import const

WAIT_HOPS = const(6000)  # an announced request waits a minute
_HOLD_HOPS = const(300)
_HOP_MS = const(10)

GRANTED = const(1)
EXPIRED = const(2)


class Bucket:
    # So many at once, and one more every so often.
    def __init__(self, size, every_hops):
        self._every = every_hops
        self._slack = (size - 1) * every_hops
        self._full_at = 0

    def take(self, now):
        """0 when there was one, else the hops until there is one."""
        full_at = max(self._full_at, now)
        if full_at - now > self._slack:
            return full_at - now - self._slack
        self._full_at = full_at + self._every
        return 0


class Consent:
    # One request waits at a time. The gesture that grants it is nobody's habit: the mute switch latched, and then the talk
    # button pressed and held for 3 s, after the request was announced.
    def __init__(self):
        self.request = {}  # type: dict
        self._digest = ""
        self._since = 0
        self._held_hops = -1  # -1: not pressed since the announcement, or not while latched
        self._was_pressed = True

    def announce(self, request, digest, now):
        self.request = request
        self._digest = digest
        self._since = now
        self._held_hops = -1

    def take(self):
        request = self.request
        self.request = {}
        return request

    def step(self, now, latched, pressed):
        # Once a hop. Hops are counted, not read off the clock: while the loop stands still, nobody sees a button let go.
        begins = pressed and not self._was_pressed
        self._was_pressed = pressed
        if not self.request:
            return 0
        if not latched or not pressed:
            self._held_hops = -1
        elif begins:
            self._held_hops = 0
        elif self._held_hops >= 0:
            self._held_hops += 1
            if self._held_hops >= _HOLD_HOPS:
                return GRANTED
        return EXPIRED if now - self._since >= WAIT_HOPS else 0

    def hops(self, now):
        # Since the announcement: what light and buzzer count by.
        return now - self._since

    def wait(self, now):
        return {"ask": self._digest, "ms": max(0, WAIT_HOPS - self.hops(now)) * _HOP_MS}

    def ask(self, now):
        wait = self.wait(now)
        return {"do": self.request["do"], "digest": wait["ask"], "ms": wait["ms"]}
