# SPDX-License-Identifier: MIT
"""Fork server for chips: a plain CPython that has MicroPython loaded and forks a fresh chip on request.

A separate process, run as a script with one argument list: site folder, script, heap size. Commands come over
descriptor 0 (a socket): `S` with five descriptors (standard input, output, answers, requests, flash) starts a chip, `K` kills
it, `I` interrupts it. Each is answered by one byte. When that socket closes, the chip is killed too.
"""

import fcntl
import os
import signal
import socket
import sys


def _run_chip(descriptors: list[int], script: str, heap: str) -> None:
    descriptors = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 16) for descriptor in descriptors]  # clear of the numbers below
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, (0, 1, 3, 4, 5)[number])
    os.dup2(1, 2)
    os.closerange(6, 64)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from micropython_run import run_main

    os._exit(run_main(["micropython", "-X", "heapsize=" + heap, "-i", script]) & 0xFF)


def _kill(pid: int) -> None:
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
            command, descriptors, _, _ = socket.recv_fds(control, 1, 5)
        except OSError:
            command, descriptors = b"", []
        if not command:
            _kill(pid)
            return
        if command == b"S":
            _kill(pid)
            pid = os.fork()
            if not pid:
                _run_chip(descriptors, script, heap)
            for descriptor in descriptors:
                os.close(descriptor)
            control.send(pid.to_bytes(4, "little"))
            continue
        if command == b"K":
            _kill(pid)
            pid = 0
        elif command == b"I" and pid:
            os.kill(pid, signal.SIGINT)
        control.send(b".")


if __name__ == "__main__":
    main()
