# SPDX-License-Identifier: MIT
"""Benchmark: processor time of one `earlid watch` with level meters on sixteen virtual boards. Prints figures; asserts nothing.

    python -m tests.collect.bench_watch

The boards are the real firmware on real MicroPython behind real pseudo-terminals, in processes of their own. All hear speech
and their networks always run; each one's talk button is pressed now and then, so that records flow. Only the processor time
of the process `earlid watch` is counted as its own.
"""

from __future__ import annotations

import multiprocessing
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from multiprocessing.connection import Connection
from pathlib import Path
from termios import TIOCSWINSZ

from earlid.board.level import METER_CELLS
from earlid.gate import models
from earlid.ledger.location import locate
from earlid.ledger.reader import Reader
from earlid.virtual.board import VirtualBoard
from lid import config

from tests.bench.gate import speech

BOARDS = 16
PROCESSES = 4
PRESS_EVERY_S = 10  # a press opens the lid: each brings two records
STARTED_S = 20  # a button held while a board starts leaves it at MicroPython's prompt
SPEECH_S = 60
SETTLE_S = 10
MEASURED_S = 60
PATIENCE_S = 240
TICKS_HZ = os.sysconf("SC_CLK_TCK")


def live(numbers: list[int], settings: dict[str, int], pipe: Connection) -> None:
    """A process of boards: sends their ports, then their clocks on request, until `end`."""
    sound = speech(SPEECH_S)
    files = {"model.bin": models.load("alexa").blob, "config.json": config.dump(config.check(settings))}
    boards = [VirtualBoard(files=files, seed=number, clock="wall") for number in numbers]
    plays_until_ms = [0.0] * len(boards)
    now_s = time.monotonic()
    presses_s = [now_s + STARTED_S + PRESS_EVERY_S * number / BOARDS for number in numbers]
    for board in boards:
        board.noise(-60)
        board.start()
    pipe.send([board.serial_port for board in boards])
    while True:
        for i, board in enumerate(boards):
            if board.now_ms > plays_until_ms[i] - 1000:
                plays_until_ms[i] = board.play_at(max(board.now_ms, plays_until_ms[i]), sound)
            if time.monotonic() > presses_s[i]:
                presses_s[i] += PRESS_EVERY_S
                board.talk(True)
                board.at(board.now_ms + 150, lambda board=board: board.talk(False))
        if not pipe.poll(0.1):
            continue
        if pipe.recv() == "end":
            break
        pipe.send([board.now_ms for board in boards])
    for board in boards:
        board.stop()


@contextmanager
def rows_of_boards(settings: dict[str, int]) -> Iterator[tuple[list[str], list[Connection]]]:
    """BOARDS boards at real time: their ports, and a pipe to each process of them."""
    context = multiprocessing.get_context("spawn")
    lines: list[Connection] = []
    children = []
    for process in range(PROCESSES):
        line, end = context.Pipe()
        child = context.Process(target=live, args=(list(range(process, BOARDS, PROCESSES)), settings, end), daemon=True)
        child.start()
        lines.append(line)
        children.append(child)
    try:
        yield [port for line in lines for port in line.recv()], lines
    finally:
        for line in lines:
            line.send("end")
        for child in children:
            child.join()


class Screen:
    """A terminal with `earlid watch` on it."""

    def __init__(self, ports: list[str], ledger: Path) -> None:
        self._master, slave = pty.openpty()
        ioctl(slave, TIOCSWINSZ, struct.pack("4H", 50, 140, 0, 0))
        words = [sys.executable, "-m", "earlid.cli", "watch", "--ledger", str(ledger)]
        for port in ports:
            words += ["--port", port]
        environment = os.environ | {"TERM": "xterm-256color"}
        self._child = subprocess.Popen(words, stdin=slave, stdout=slave, stderr=slave, env=environment)
        os.close(slave)
        self.shown = b""

    def watch(self, seconds: float) -> None:
        """Read what it writes, for so long."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            if select.select([self._master], [], [], left_s)[0]:
                try:
                    self.shown = (self.shown + os.read(self._master, 65536))[-65536:]
                except OSError:  # it has ended
                    return

    def meters(self) -> int:
        """Level meters in the last whole picture."""
        pictures = self.shown.decode("utf-8", "replace").split("live today")
        marks = [line.count("█") + line.count("·") for line in pictures[-2].splitlines()] if len(pictures) > 2 else []
        return sum(count >= METER_CELLS for count in marks)

    def spent_s(self) -> tuple[float, float]:
        """Processor seconds so far, user and system, all threads."""
        fields = Path(f"/proc/{self._child.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) / TICKS_HZ, int(fields[12]) / TICKS_HZ

    def end(self) -> None:
        """Terminate it with SIGTERM."""
        self._child.terminate()
        while self._child.poll() is None:
            self.watch(0.2)
        os.close(self._master)


def stored(path: Path) -> int:
    """Records in the ledger."""
    with Reader(locate(str(path))) as reader:
        return reader.rows("SELECT COUNT(*) FROM records")[0][0]


def measure(settings: dict[str, int], folder: Path) -> None:
    """One line of figures."""
    path = folder / "watch.sqlite"
    with rows_of_boards(settings) as (ports, lines):
        screen = Screen(ports, path)
        try:
            until_s = time.monotonic() + PATIENCE_S
            while screen.meters() < BOARDS:
                screen.watch(1)
                if time.monotonic() > until_s:
                    raise RuntimeError(f"only {screen.meters()} level meters")
            screen.watch(SETTLE_S)
            before, records, began_s = screen.spent_s(), stored(path), time.monotonic()
            first = ask(lines)
            screen.watch(MEASURED_S)
            after, last, took_s = screen.spent_s(), ask(lines), time.monotonic() - began_s
            records = stored(path) - records
            user_s, system_s = after[0] - before[0], after[1] - before[1]
            slowest = min(end - begin for begin, end in zip(first, last, strict=True)) / 1000 / took_s
            parts = f"user {user_s / took_s:.0%}, system {system_s / took_s:.0%}"
            print(
                f"  {BOARDS} virtual boards, {took_s:.0f} s: {(user_s + system_s) / took_s:.0%} of a core ({parts}), {records} "
                f"records, {screen.meters()} level meters (goal: under half a core)\n"
                f"  the slowest board kept {slowest:.0%} of real time"
            )
        finally:
            screen.end()


def ask(lines: list[Connection]) -> list[float]:
    """Milliseconds of every board's clock."""
    for line in lines:
        line.send("time")
    return [ms for line in lines for ms in line.recv()]


def main() -> None:
    """Measure."""
    with tempfile.TemporaryDirectory(prefix="earlid-bench-") as folder:
        measure({}, Path(folder))


if __name__ == "__main__":
    main()
