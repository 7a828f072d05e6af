# SPDX-License-Identifier: MIT
# Two clocks: milliseconds since start, which never wrap, and the host's wall clock with what is not known about it.
from lid.portable import const

_DRIFT_PPM = const(50)  # crystal over temperature and age


class Clock:
    # ticks: the port's millisecond counter; diff: its difference, right over the wrap
    def __init__(self, ticks, diff):
        self._ticks = ticks
        self._diff = diff
        self._last = ticks()
        # Split, so that counting allocates nothing: small integers end at 2 ** 30, twelve days of milliseconds.
        self._days = 0
        self._day_ms = 0
        self._wall = 0
        self._wall_at = 0
        self._uncertainty = 0
        self.vouched = False  # a paired host has set it: nobody else sets it again before the next start

    def tick(self):
        # Once a hop; the milliseconds since the last one. Never negative, whatever the counter does.
        now = self._ticks()
        step = self._diff(now, self._last)
        self._last = now
        if step < 0:
            return step
        self._day_ms += step
        if self._day_ms >= 86400000:
            self._day_ms -= 86400000
            self._days += 1
        return step

    def ms(self):
        since = self._diff(self._ticks(), self._last)
        return self._days * 86400000 + self._day_ms + (since if since > 0 else 0)

    def hops(self):
        # The same in units of 10 ms: small for months. Counts stalls, which a count of hops would not.
        return self._days * 8640000 + self._day_ms // 10

    def step_to(self, wall_ms):
        """How far wall_ms is from what is believed; 0 when nothing is."""
        return wall_ms - self.wall()[0] if self._wall else 0

    def set_wall(self, wall_ms, uncertainty_ms, vouched):
        self._wall = wall_ms
        self._wall_at = self.ms()
        self._uncertainty = uncertainty_ms
        self.vouched = vouched

    def wall(self):
        """(Unix milliseconds, uncertainty), (0, 0) before the host has set it."""
        if not self._wall:
            return (0, 0)
        since = self.ms() - self._wall_at
        return self._wall + since, min(65535, self._uncertainty + since * _DRIFT_PPM // 1000000)
