# SPDX-License-Identifier: MIT
"""How fast a whole virtual board runs in simulated time."""

from __future__ import annotations

import os
import time
from pathlib import Path

from lid import config

from tests.bench.gate import speech
from tests.firmware.kit import Bench

SECONDS = 60


def spent_s(bench: Bench) -> float:
    """Processor seconds of this process and of the board's chip."""
    fields = Path(f"/proc/{bench.board.simulation.processor.pid}/stat").read_text().rpartition(")")[2].split()
    return time.process_time() + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print simulated seconds a wall second."""
    settings = config.dump(config.check({"cutoff_q8": 255}))  # never opens: one steady load
    with Bench(word=True, files={"config.json": settings}) as bench:
        bench.board.play(speech(SECONDS + 1))
        begun_s, before_s = time.perf_counter(), spent_s(bench)
        bench.board.run_ms(SECONDS * 1000)
        took_s, used_s = time.perf_counter() - begun_s, spent_s(bench) - before_s
    print(f"  {SECONDS / took_s:.0f} times real time (goal: 50), {SECONDS / used_s:.0f} by processor time")


if __name__ == "__main__":
    main()
