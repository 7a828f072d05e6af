# SPDX-License-Identifier: MIT
"""Starts chips by forking: a plain CPython that has MicroPython loaded and forks a fresh one whenever it is asked.

A separate process, run as a script with one argument list: site folder, script, heap size. It is told what to do over
descriptor 0 (a socket): `S` with four descriptors (standard input, output, from nature, to nature) starts a chip, `K`
kills it, `I` interrupts it. Each is answered by one byte. When that socket closes, the chip is killed too.
"""

import fcntl
import os
import signal
import socket
import sys


def _become_chip(descriptors: list[int], script: str, heap: str) -> None:
    descriptors = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 16) for descriptor in descriptors]  # out of the way
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, (0, 1, 3, 4)[number])
    os.dup2(1, 2)
    os.closerange(5, 64)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from micropython_run import run_main

    os._exit(run_main(["micropython", "-X", "heapsize=" + heap, "-i", script]) & 0xFF)


def _end(pid: int) -> None:
    if pid:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def main() -> None:
    site, script, heap = sys.argv[1:4]
    sys.path.insert(0, site)
    import micropython_run  # noqa: F401  (loaded once, here, for all the forks)

    os.environ["MICROPYPATH"] = ".frozen:" + os.path.dirname(os.path.dirname(script))
    os.environ["HOME"] = "/nonexistent"
    control = socket.socket(fileno=0)
    pid = 0
    while True:
        try:
            word, descriptors, _, _ = socket.recv_fds(control, 1, 4)
        except OSError:
            word, descriptors = b"", []
        if not word:
            _end(pid)
            return
        if word == b"S":
            _end(pid)
            pid = os.fork()
            if not pid:
                _become_chip(descriptors, script, heap)
            for descriptor in descriptors:
                os.close(descriptor)
            control.send(pid.to_bytes(4, "little"))
            continue
        if word == b"K":
            _end(pid)
            pid = 0
        elif word == b"I" and pid:
            os.kill(pid, signal.SIGINT)
        control.send(b".")


if __name__ == "__main__":
    main()
