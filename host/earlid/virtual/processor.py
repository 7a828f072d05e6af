# SPDX-License-Identifier: MIT
"""The chip as a process: starts, kills and interrupts MicroPython through the fork server, and holds the pipes to it."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import termios
from pathlib import Path

_HERE = Path(__file__).parent
HEAP_BYTES = 512 * 1024  # with room for the compiler: sources run too
_OWN_BYTES = 22_500  # the chip's side of the simulation; with it, what the deployed firmware has left is twice the plan's


def _site_folder() -> str:
    import importlib.util

    spec = importlib.util.find_spec("micropython_run")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("no MicroPython", name="micropython_run")
    return str(Path(spec.origin).parent)


def heap_like(free_bytes: int, raw_bytes: int) -> int:
    """The heap in which the deployed firmware finds as little room as on a chip: objects are twice as large here.

    Args:
        free_bytes: what a chip has free at MicroPython's prompt.
        raw_bytes: of that, what weights and activations take: bytes, which are as large here as there.
    """
    return _OWN_BYTES + 2 * free_bytes - raw_bytes


class Processor:
    """One chip; `start` may be called again and again, each time a freshly reset one."""

    def __init__(self, heap_bytes: int = HEAP_BYTES) -> None:
        ours, theirs = socket.socketpair()
        self._control = ours
        command = [sys.executable, "-I", "-S", str(_HERE / "forkserver.py")]
        self._forkserver = subprocess.Popen(
            [*command, _site_folder(), str(_HERE / "chip" / "launch.py"), str(heap_bytes)],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=None,
            start_new_session=True,
        )
        theirs.close()
        self.pid = 0
        self.stdin_fd = self.stdout_fd = self.request_fd = self.answer_fd = -1

    def start(self, flash_fd: int) -> None:
        """Start a chip from reset, which reads its flash there; an earlier one is killed."""
        self.kill()
        # Pipes: half the price of sockets. A request is shorter than PIPE_BUF and alone: it arrives whole
        request_out, chip_request = os.pipe()
        chip_answer, answer_in = os.pipe()
        self.request_fd, self.answer_fd = request_out, answer_in
        chip_in, self.stdin_fd = os.pipe()
        self.stdout_fd, chip_out = os.pipe()
        os.set_blocking(self.stdout_fd, False)
        os.set_blocking(self.stdin_fd, False)
        theirs = (chip_in, chip_out, chip_answer, chip_request)
        socket.send_fds(self._control, [b"S"], (*theirs, flash_fd))
        self.pid = int.from_bytes(self._control.recv(4), "little")
        for descriptor in theirs:
            os.close(descriptor)

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that are this chip's."""
        return (self._forkserver.pid, self.pid) if self.pid else (self._forkserver.pid,)

    def kill(self) -> None:
        """Stop the chip at once."""
        if not self.pid:
            return
        self._command(b"K")
        for descriptor in (self.stdin_fd, self.stdout_fd, self.request_fd, self.answer_fd):
            os.close(descriptor)
        self.stdin_fd = self.stdout_fd = self.request_fd = self.answer_fd = -1
        self.pid = 0

    def interrupt(self) -> None:
        """Interrupt running code, as Ctrl-C does."""
        self._command(b"I")

    def close(self) -> None:
        """Stop the chip and the fork server."""
        self.kill()
        self._control.close()
        self._forkserver.wait()

    def _command(self, word: bytes) -> None:
        self._control.send(word)
        self._control.recv(1)

    def unread_input(self) -> int:
        """Bytes of serial input that the chip has not taken yet."""
        size = bytearray(4)
        fcntl.ioctl(self.stdin_fd, termios.FIONREAD, size)
        return int(struct.unpack("i", size)[0])

    def interruptible(self) -> bool:
        """Whether Ctrl-C would raise KeyboardInterrupt now (the port catches it only while code runs)."""
        try:
            text = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return False
        caught = next((line for line in text.splitlines() if line.startswith("SigCgt:")), "SigCgt: 0")
        return bool(int(caught.split()[1], 16) >> (signal.SIGINT - 1) & 1)

    def activity(self) -> tuple[bool, float]:
        """Whether the process sleeps (waits for input), and its processor seconds so far."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return True, 0.0
        ticks = int(fields[11]) + int(fields[12])
        # Not D: that is a page on its way, on a busy computer
        return fields[0] in "SZ", ticks / os.sysconf("SC_CLK_TCK")
