"""How fast a whole virtual board runs in simulated time, with the network always on and with the energy gate."""

from __future__ import annotations

import time

from lid import config

from tests.bench.gate import speech
from tests.firmware.kit import Bench

SECONDS = 60


def main() -> None:
    """Print simulated seconds a wall second."""
    for title, gate in (("network always on", 0), ("energy gate on", 1)):
        settings = config.dump(config.check({"energy_gate": gate, "cutoff_q8": 255}))  # never opens: one steady load
        with Bench(word=True, files={"config.json": settings}) as bench:
            bench.board.play(speech(SECONDS + 1))
            begun = time.perf_counter()
            bench.board.run_ms(SECONDS * 1000)
            took_s = time.perf_counter() - begun
        print(f"  {title}: {SECONDS / took_s:.0f} times real time (goal: 50 with the network on)")


if __name__ == "__main__":
    main()
