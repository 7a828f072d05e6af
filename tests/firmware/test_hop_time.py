# SPDX-License-Identifier: MIT
"""Time of a hop: with what the chip's instructions were counted to take no sound is lost, and firmware that is too slow shows."""

from __future__ import annotations

import itertools

import pytest

from tests.firmware.kit import FIRST_HOP_MS, Bench
from tests.gate import signals

PUMP_TOLERATES_US = 60_000
WORD = signals.at_dbfs(signals.flite("Alexa", "rms"), -24)


def heard(files: dict[str, bytes], **timing: int) -> tuple[int, int, list[tuple[str, str]]]:
    """Longest pause between the sentinel pump's edges in microseconds, frames of sound lost, and what was journaled."""
    with Bench(files=files, word=True, start=False) as bench:
        simulation = bench.board.simulation
        for name, microseconds in timing.items():
            assert hasattr(simulation.timing, name)
            setattr(simulation.timing, name, microseconds)
        bench.board.start()
        bench.board.run_ms(FIRST_HOP_MS)
        edges: list[int] = []
        drive = simulation.circuit.drive

        def watch(time_us: int, channel: object, level: int) -> None:
            if channel is simulation.circuit.sentinel:
                edges.append(time_us)
            drive(time_us, channel, level)  # type: ignore[arg-type]

        simulation.circuit.drive = watch  # type: ignore[method-assign,assignment]
        bench.board.play(WORD)
        bench.board.run_ms(6000)
        return max(b - a for a, b in itertools.pairwise(edges)), simulation.i2s.lost_frames, bench.events()


DEPLOYED: dict[str, bytes] = {}
SOURCES = {"lid/unused.py": b""}  # any file of its own: the sources run


@pytest.mark.parametrize("files", [DEPLOYED, SOURCES], ids=["deployed", "sources"])
def test_word_is_heard_in_time(files: dict[str, bytes]) -> None:
    pause_us, lost, events = heard(files)
    assert ("open", "word") in events
    assert lost == 0
    assert 25_000 < pause_us < PUMP_TOLERATES_US, "an append takes 20 ms"


@pytest.mark.parametrize(
    ("name", "microseconds", "files"),
    [
        ("hop_us", 11_000, DEPLOYED),
        ("inference_us", 30_000, DEPLOYED),
        ("inference_us", 30_000, SOURCES),
        ("append_us", 200_000, DEPLOYED),
    ],
    ids=["hop", "inference", "inference of the sources", "append"],
)
def test_slow_firmware_loses_sound_or_is_late_at_the_pump(name: str, microseconds: int, files: dict[str, bytes]) -> None:
    pause_us, lost, events = heard(files, **{name: microseconds})
    assert lost or pause_us > PUMP_TOLERATES_US
    assert (("fault", "overrun") in events) == (lost > 0)


@pytest.mark.parametrize("word", [False, True])
@pytest.mark.parametrize("hop_us", [300, 1000])
def test_hops_that_take_no_time_hold_both_relays(word: bool, hop_us: int) -> None:
    with Bench(start=False, word=word) as bench:
        bench.board.simulation.timing.hop_us = bench.board.simulation.timing.inference_us = hop_us
        bench.board.start()
        bench.board.run_ms(9000)
        bench.open_by_button()
        bench.board.run_ms(1500)
        assert not {("selftest", "failed"), ("fault", "mic-dead"), ("fault", "drop-time")} & set(bench.events())
        hello = bench.hello()
        assert hello["state"] == "open"
        assert min(hello["guarded_mv"], hello["sentinel_mv"]) > 2900
