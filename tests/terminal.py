# SPDX-License-Identifier: MIT
"""Terminal harness: `earlid` behind a pseudo-terminal, its output, and keys typed at the right moment."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
LIMIT_S = 90.0


class Terminal:
    """`earlid` with these words in a terminal of a width.

    Args:
        words: after `earlid`.
        columns: how wide the terminal is.
        environment: added to this process's.
    """

    def __init__(self, words: Sequence[str], columns: int = 80, environment: Mapping[str, str] | None = None) -> None:
        self.raw = ""
        self._seen = 0
        self._letters = codecs.getincrementaldecoder("utf-8")("replace")  # a read may end within a letter
        self._status: int | None = None
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # what a shell starts in the background ignores it
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
            inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
            every = {**inherited, "TERM": "xterm-256color", **(environment or {})}
            os.execve(sys.executable, [sys.executable, "-m", "earlid.cli", *words], every)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._status is None:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._fd)

    @property
    def text(self) -> str:
        """All that was shown so far, without escape sequences."""
        return ESCAPES.sub("", self.raw)

    def keys(self, typed: str) -> None:
        """Type something; a name like `\\x03` is Ctrl-C."""
        os.write(self._fd, typed.encode())

    def expect(self, what: str) -> None:
        """Wait until this has been shown after what was expected before."""
        end_s = time.monotonic() + LIMIT_S
        while (at := self.text.find(what, self._seen)) < 0:
            assert self._read(end_s - time.monotonic()), f"no {what!r}; shown: ...{self.text[-1500:]!r}"
        self._seen = at + len(what)

    def hang_up(self) -> None:
        """Close the terminal's window; nothing more is read of it."""
        os.close(self._fd)
        self._fd = os.open(os.devnull, os.O_RDONLY)

    def end(self) -> int:
        """Wait for the program's end; its exit code."""
        end_s = time.monotonic() + LIMIT_S
        while self._read(end_s - time.monotonic()):
            pass
        pid = 0
        while not pid and time.monotonic() < end_s:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            time.sleep(0.01)
        assert pid, f"it did not end; shown: ...{self.text[-1500:]!r}"
        self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def end_tidily(self, exit_code: int) -> None:
        """Wait for the end: this exit code, no traceback, and a cursor that shows."""
        assert self.end() == exit_code
        assert "Traceback" not in self.text
        assert self.raw.rfind("\x1b[?25h") >= self.raw.rfind("\x1b[?25l"), "the cursor stayed hidden"

    def _read(self, patience_s: float) -> bool:
        ready, _, _ = select.select([self._fd], [], [], max(0.0, patience_s))
        if not ready:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # Linux: the program has ended
            return False
        self.raw += self._letters.decode(data)
        return bool(data)
