# SPDX-License-Identifier: MIT
"""This computer's clock as one observation: what it says, how far off it may be, whether it is synchronised.

The kernel knows whether a time daemon keeps it right: Linux and macOS say so through `ntp_adjtime`, asked without changing
anything. Beside it runs a counter that nobody sets and that runs on through sleep: what the clock gains on it was a step.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

UNC_MS = 50  # of a synchronised clock against Unix time, at least
UNSYNCED_UNC_MS = 500  # of one of which that is not known: its own word, which a synchronised clock's outranks
_UNC_MAX_MS = 5000
_STA_UNSYNC = 0x40
_TIME_ERROR = 5


class _Timex(ctypes.Structure):
    """The beginning of `struct timex`, the same on Linux and macOS; what follows is room that the kernel fills."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 512),
    )


class HostTime(NamedTuple):
    """The clock said `wall_ms` (Unix ms), give or take `unc_ms`, when the counter said `counter_ms`.

    `synced`: whether a time daemon keeps it right; None where the system does not say.
    """

    wall_ms: int
    unc_ms: int
    synced: bool | None
    counter_ms: int

    def step_since(self, before: HostTime) -> int:
        """By how many ms the clock was set forward since then; what it ran meanwhile, asleep or not, is none."""
        return self.wall_ms - before.wall_ms - (self.counter_ms - before.counter_ms)


def sync_state() -> tuple[bool | None, int]:
    """(Synchronised or not, None where the system does not say; the kernel's estimate of the error in ms)."""
    if sys.platform not in ("linux", "darwin"):
        return None, 0
    timex = _Timex()  # modes 0: only read
    try:
        state = ctypes.CDLL(None).ntp_adjtime(ctypes.byref(timex))
    except (OSError, AttributeError):  # a C library without it
        return None, 0
    if state < 0:  # a sandbox that does not let us ask
        return None, 0
    return state != _TIME_ERROR and not timex.status & _STA_UNSYNC, max(0, timex.esterror) // 1000


def counter_ms() -> int:
    """Milliseconds of a counter that nobody sets, and that runs on while the computer sleeps."""
    for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC") if sys.platform == "linux" else ("CLOCK_MONOTONIC",):
        if hasattr(time, name):
            try:
                return time.clock_gettime_ns(getattr(time, name)) // 1_000_000
            except OSError:
                continue
    return time.monotonic_ns() // 1_000_000


def is_synced() -> bool | None:
    """Whether a time daemon keeps this computer's clock right now; None where the system does not say."""
    return sync_state()[0]


def now_ms() -> int:
    """This computer's clock, Unix milliseconds."""
    return time.time_ns() // 1_000_000


def observe(clock_ms: Callable[[], int] = now_ms) -> HostTime:
    """This computer's clock now.

    Args:
        clock_ms: what it says, Unix ms.
    """
    synced, error_ms = sync_state()
    unc_ms = UNC_MS + min(error_ms, _UNC_MAX_MS) if synced else UNSYNCED_UNC_MS
    return HostTime(clock_ms(), unc_ms, synced, counter_ms())
