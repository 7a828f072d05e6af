# SPDX-License-Identifier: MIT
"""CPU affinity: one processor core for both processes of a virtual board.

They take turns and never run at once, so a second processor only makes every turn wait for it to wake up (measured in
a virtual machine: 160 microseconds a turn on two, 11 on one). Every process that drives boards claims a processor of
its own by binding a socket's name, which the kernel forgets when the process ends.
"""

from __future__ import annotations

import os
import socket

_claim: tuple[int, socket.socket | None] | None = None


def _claimed_cpu() -> int:
    global _claim
    if _claim is None:
        cpus = sorted(os.sched_getaffinity(0))
        for cpu in cpus:
            name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                name.bind(f"\0earlid-virtual-board-cpu-{cpu}")
            except OSError:
                name.close()
                continue
            _claim = (cpu, name)
            break
        else:
            _claim = (cpus[os.getpid() % len(cpus)], None)
    return _claim[0]


def share_cpu(pids: tuple[int, ...]) -> set[int] | None:
    """Put this thread and these processes on one processor; returns what the thread had before, or None."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    before = os.sched_getaffinity(0)
    if len(before) < 2:
        return None
    cpu = {_claimed_cpu()}
    os.sched_setaffinity(0, cpu)
    for pid in pids:
        try:
            os.sched_setaffinity(pid, cpu)
        except ProcessLookupError:
            pass
    return before
