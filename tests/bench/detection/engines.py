# SPDX-License-Identifier: MIT
"""Which engines are measured with which settings, and in which conditions each of them takes part."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from tests.bench.detection import peers

OURS = "earlid"
PLAIN = "earlid, decision 0"
PEERS = ("pymicro-wakeword", "porcupine", "pyopen-wakeword", "pocketsphinx")
# Where every engine takes part, in the order in which they are run and shown
MAIN = (
    "negatives-clean", "negatives-noisy-speech", "clean", "household-10db", "household-10db-draw-2", "household-10db-draw-3",
    "household-10db-draw-4", "household-10db-draw-5", "household-5db", "room-0.3", "room-0.5", "room-0.7", "room-0.5-10db",
    "hum-100-6db", "level-1m", "level-3m", "talk-follows-50ms", "talk-follows-150ms", "talk-follows-300ms", "near-natural",
    "near-sentence-natural",
)  # fmt: skip
QUICK = ("negatives-clean", "negatives-noisy-speech", "clean", "household-10db", "room-0.5", "near-natural", "hum-100-6db")


@cache
def _ours() -> peers.Engine:
    return peers.earlid(OURS)


@cache
def _plain() -> peers.Engine:
    return peers.earlid(PLAIN, 0)


ENGINES: dict[str, Callable[[], peers.Engine]] = {
    OURS: _ours,
    PLAIN: _plain,
    "pymicro-wakeword": cache(peers.pymicro),
    "porcupine": cache(peers.porcupine),
    "pyopen-wakeword": cache(peers.openwakeword),
    "pocketsphinx": cache(peers.pocketsphinx),
}


def rank(condition: str) -> int:
    """Its place: the main conditions first."""
    return MAIN.index(condition) if condition in MAIN else len(MAIN)


def hears(engine: str, condition: str, quick: bool) -> bool:
    """Whether an engine takes part."""
    if quick:
        return condition in QUICK
    return engine not in PEERS or condition in MAIN
