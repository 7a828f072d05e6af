# SPDX-License-Identifier: MIT
"""This computer's clock: whether it is synchronised, how far off it may be, and what is a step and what is sleep."""

from __future__ import annotations

import ctypes
import sys
from types import SimpleNamespace

import pytest
from earlid import host_clock
from earlid.host_clock import UNC_MS, UNSYNCED_UNC_MS, HostTime, observe

sync_state = host_clock.sync_state  # before the tests' fixture takes its place


class Kernel:
    """A C library whose `ntp_adjtime` tells this."""

    def __init__(self, state, status=0, esterror=0):
        self.state, self.status, self.esterror = state, status, esterror

    def ntp_adjtime(self, reference):
        timex = reference._obj
        assert timex.modes == 0, "it may only be read"
        timex.status, timex.esterror = self.status, self.esterror
        return self.state


@pytest.mark.parametrize(
    ("kernel", "told"),
    [
        (Kernel(0, 0x2001, 3000), (True, 3)),
        (Kernel(0, 0x40), (False, 0)),  # STA_UNSYNC
        (Kernel(5, 0x2001), (False, 0)),  # TIME_ERROR
        (Kernel(-1), (None, 0)),  # a sandbox
        (SimpleNamespace(), (None, 0)),  # a C library that has no such call
    ],
)
@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_sync_state_is_what_the_kernel_says(monkeypatch, kernel, told, platform):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: kernel)
    assert sync_state() == told


def test_sync_state_of_another_system_is_not_known(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert sync_state() == (None, 0)


def test_sync_state_of_this_computer_is_told_and_its_clock_left_as_it_is():
    assert sync_state()[0] in (True, False, None)


@pytest.mark.parametrize(
    ("state", "unc_ms"),
    [((True, 0), UNC_MS), ((True, 7), UNC_MS + 7), ((False, 0), UNSYNCED_UNC_MS), ((None, 0), UNSYNCED_UNC_MS)],
)
def test_observation_carries_its_doubt(monkeypatch, state, unc_ms):
    monkeypatch.setattr(host_clock, "sync_state", lambda: state)
    seen = observe(lambda: 1_800_000_000_000)
    assert (seen.wall_ms, seen.unc_ms, seen.synced) == (1_800_000_000_000, unc_ms, state[0])


def test_sleep_is_no_step_and_a_set_clock_is_one():
    before = HostTime(1_800_000_000_000, 50, True, 5000)
    night_ms = 8 * 3_600_000
    assert before._replace(wall_ms=before.wall_ms + night_ms, counter_ms=5000 + night_ms).step_since(before) == 0
    assert before._replace(wall_ms=before.wall_ms - 660_000, counter_ms=5010).step_since(before) == -660_010


def test_counter_never_goes_back():
    counts = [host_clock.counter_ms() for _ in range(1000)]
    assert counts == sorted(counts)
