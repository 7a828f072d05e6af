# SPDX-License-Identifier: MIT
"""Benchmark of the ledger: ingest and query rates. Prints figures; asserts nothing about time.

    python tests/ledger/bench_ledger.py [--records 5000000] [--ingest 100000] [--folder DIR]

Ingest: lines as a board sends them, decoded, chain-checked (of a paired board its marks too), committed to SQLite; beside it
pyserial's miniterm writing the same lines, from a pseudo-terminal, to a file. Then a ledger of many boards: its summary, and
`earlid review` of one day, each from process start.
"""

from __future__ import annotations

import argparse
import os
import pty
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
import tty
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from earlid.board.framing import LineReader
from earlid.ledger import views
from earlid.ledger.arrival import Arrival
from earlid.ledger.keys import PairedKey
from earlid.ledger.location import Location, locate
from earlid.ledger.store import Ledger
from lid import record, wire
from synthetic_chains import BOARD, KEY, fields, life

CHUNK = 65536
COMMIT = 10_000
BOARDS = 16
PER_DAY = 430  # records of a board; 16 boards make 5 million in two years


def ingest(count: int, folder: Path, keys: Sequence[PairedKey]) -> None:
    """Lines to ledger, as of a board that is paired where there are keys."""
    slots = life(count, step_ms=1000)
    lines = b"".join(wire.encode(i, {"rec": record.slot_to_wire(slot)}) for i, slot in enumerate(slots))
    reader = LineReader(wire.HOST_LINE_MAX)
    arrival = Arrival(keys, record.genesis(BOARD))
    waiting: list[bytes] = []
    path = folder / "ingest.sqlite"
    path.unlink(missing_ok=True)
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    with Ledger(locate(str(path))) as ledger:
        for at in range(0, len(lines), CHUNK):
            waiting += [record.wire_to_slot(body["rec"]) for _, body in reader.feed(lines[at : at + CHUNK])]
            if len(waiting) >= COMMIT or at + CHUNK >= len(lines):
                assert not any(arrival.take(int.from_bytes(slot[:4], "little"), slot) for slot in waiting)
                assert not arrival.waiting
                ledger.add(BOARD, waiting)
                waiting = []
        assert ledger.head(BOARD).seq == count
    spent_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    checked = "chain and marks" if keys else "chain"
    print(
        f"ingest, {checked} checked, into SQLite: {count / spent_s:,.0f} records/s ({count:,} in {spent_s:.2f} s, {cpu_s:.2f} s "
        f"of processor time: {count / cpu_s:,.0f} records for each second of that)"
    )
    if keys:
        return
    spent_s = miniterm(lines, folder / "miniterm.log")
    print(f"miniterm writing the same lines to a file: {count / spent_s:,.0f} lines/s ({spent_s:.2f} s)")


def miniterm(lines: bytes, log: Path) -> float:
    """Seconds until pyserial's miniterm has written the lines it reads from a pseudo-terminal."""
    master, slave = pty.openpty()
    keys, keyboard = pty.openpty()  # miniterm wants a terminal
    tty.setraw(slave)
    words = [sys.executable, "-m", "serial.tools.miniterm", "--raw", "-q", os.ttyname(slave), "115200"]
    with log.open("wb") as out:
        child = subprocess.Popen(words, stdin=keyboard, stdout=out, stderr=subprocess.DEVNULL)
        time.sleep(1.5)

        def feed() -> None:
            left = lines
            while left:
                left = left[os.write(master, left[:4096]) :]

        began_s = time.perf_counter()
        threading.Thread(target=feed, daemon=True).start()
        while log.stat().st_size < len(lines) and child.poll() is None and time.perf_counter() - began_s < 120:
            time.sleep(0.01)
        spent_s = time.perf_counter() - began_s
        child.kill()
        child.wait()
    for handle in (master, slave, keys, keyboard):
        os.close(handle)
    return spent_s


def fill(location: Location, count: int) -> None:
    """A ledger of BOARDS boards up to now, with a new start every week. Its links are random: here nobody verifies them."""
    per_board = count // BOARDS
    per_start = PER_DAY * 7
    step_ms = 86_400_000 // PER_DAY
    zero_ms = int(time.time() * 1000) - per_board * step_ms
    week = life(per_start, step_ms=step_ms, zero_ms=zero_ms)
    began_s = time.perf_counter()
    with Ledger(location) as ledger:
        for number in range(BOARDS):
            for boot in range(1, -(-per_board // per_start) + 1):
                first = 1 + (boot - 1) * per_start
                start_ms = zero_ms + (first - 1) * step_ms
                slots = []
                for i, slot in enumerate(week[: min(per_start, per_board - first + 1)]):
                    wall_ms = start_ms + 1000 + i * step_ms
                    wall = struct.pack("<IH", wall_ms & 0xFFFFFFFF, wall_ms >> 32)
                    slots.append(struct.pack("<II", first + i, boot) + slot[8:24] + wall + slot[30:40] + os.urandom(24))
                ledger.add(f"{number:016x}", slots, wall_ms)
    spent_s = time.perf_counter() - began_s
    print(f"filled a ledger: {count / spent_s:,.0f} records/s ({count:,} in {spent_s:.0f} s)")


def from_start(label: str, folder: Path, *words: str) -> None:
    """The best and the median of nine runs of `earlid`, from process start to its end, its modules compiled as once installed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
    spent = []
    for _ in range(9):
        began_s = time.perf_counter()
        command = [sys.executable, "-m", "earlid.cli", *words]
        done = subprocess.run(command, capture_output=True, check=False, env=environment)
        spent.append(time.perf_counter() - began_s)
        assert done.returncode == 0, done.stderr.decode()
    spent.sort()
    print(f"{label}: {spent[0] * 1000:.0f} ms best, {spent[4] * 1000:.0f} ms median, from process start")


_SUMMARY = """
import sys
from earlid.ledger.boards import boards
from earlid.ledger.location import locate
from earlid.ledger.queries import totals
from earlid.ledger.reader import Reader
with Reader(locate(sys.argv[1])) as reader:
    print(totals(reader, boards(reader)).records)
"""


def summary(path: Path) -> None:
    """Totals of the whole ledger in a fresh process."""
    spent = []
    for _ in range(5):
        began_s = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", _SUMMARY, str(path)], capture_output=True, text=True, check=True)
        spent.append(time.perf_counter() - began_s)
    print(f"summary of {int(done.stdout):,} records: {min(spent) * 1000:.0f} ms best, {sorted(spent)[2] * 1000:.0f} ms median")


def time_views(path: Path) -> None:
    """Each view as a whole."""
    with closing(sqlite3.connect(path)) as connection:
        for name in views.NAMES[1:]:
            began_s = time.process_time()
            connection.execute(f"SELECT COUNT(*), MAX(board), MIN(day) FROM {name}").fetchall()
            print(f"{name} as a whole: {time.process_time() - began_s:.2f} s of processor time")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=500_000)
    parser.add_argument("--ingest", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="keep the ledgers here")
    args = parser.parse_args()
    assert len(fields(1, 0, "mute")) == len(record.FIELDS)
    with tempfile.TemporaryDirectory() as made:
        folder = args.folder or Path(made)
        folder.mkdir(exist_ok=True)
        ingest(args.ingest, folder, (PairedKey(KEY),))
        ingest(args.ingest, folder, ())
        path = folder / f"{args.records}.sqlite"
        if not path.exists():
            fill(locate(str(path)), args.records)
        summary(path)
        time_views(path)
        words = ["review", "--since", "yesterday", "--until", "yesterday", "--ledger", str(path)]
        from_start(f"review of one day of all {BOARDS} boards among {args.records:,} records", folder, *words)
        from_start("the same of one board", folder, *words, "--board", "0000000000000003")


if __name__ == "__main__":
    main()
