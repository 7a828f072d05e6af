# SPDX-License-Identifier: MIT
"""The board's probe of its microphone, against the sound that the simulation plays."""

import numpy as np
import pytest

from tests.firmware.kit import Bench

RATE_HZ = 16000
SEED = 17
GAIN = 16  # the default: what the simulation plays has it already


@pytest.fixture(scope="module")
def bench():
    with Bench() as made:
        made.board.noise(None)
        yield made


@pytest.fixture(autouse=True)
def _rest(bench):
    """Probes are rationed, one a minute: a while passes before each test."""
    bench.board.step_clock(4 * 60_000)
    bench.board.run_ms(50)


def hear(bench, samples, ms=1000):
    """The probe's numbers while samples, in 16-bit steps at the microphone, are played over and over from before it listens."""
    bench.board.play(np.tile(samples * GAIN, 1 + (ms + 2000) * 16 // len(samples)).astype(np.int16))
    bench.board.run_ms(200)
    reply = bench.request("probe", limit_ms=ms + 3000, ms=ms)
    bench.board.run_ms(ms + 3000)  # until it is quiet again
    return reply


def tone(hertz, amplitude, seconds=1.0):
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE_HZ)) / RATE_HZ)


@pytest.mark.parametrize(("place", "hertz"), list(enumerate((50, 60, 100, 120))))
def test_probe_measures_each_tone_alone(bench, place, hertz):
    reply = hear(bench, tone(hertz, 120))["hum_q4"]
    assert reply[place] == pytest.approx(120 * 16, rel=0.03)
    assert all(other < 20 for at, other in enumerate(reply) if at != place)


def test_probe_finds_hum_under_noise(bench):
    noise = np.random.default_rng(SEED).normal(0, 100, RATE_HZ)
    reply = hear(bench, noise + tone(50, 60), ms=3000)["hum_q4"]
    assert reply[0] == pytest.approx(60 * 16, rel=0.1), f"seed {SEED}"
    assert max(reply[1:]) < 8 * 16, f"seed {SEED}"


def test_full_scale_speech_does_not_overflow_the_probe(bench):
    bench.board.microphone = "clipped"
    try:
        reply = hear(bench, np.sign(tone(50, 1)) * 2000)
    finally:
        bench.board.microphone = "ok"
    assert reply["hum_q4"][0] == pytest.approx(32767 * 4 / np.pi * 16, rel=0.02)
    assert reply["clipped"] == pytest.approx(16000, abs=8)
    assert abs(reply["dc_q4"]) < 600


@pytest.mark.parametrize("offset", [-1500, 40, 900])
def test_probe_reports_mean_and_extremes(bench, offset):
    reply = hear(bench, np.round(offset + tone(440, 500)))
    assert reply["dc_q4"] == pytest.approx(offset * 16, abs=24)
    assert reply["high"] == pytest.approx((offset + 500) * 256, abs=512)
    assert reply["low"] == pytest.approx((offset - 500) * 256, abs=512)


@pytest.mark.parametrize(("mode", "other"), [("swapped", 1), ("dead", 0), ("ok", 0)])
def test_probe_reports_sound_in_the_other_slot(bench, mode, other):
    bench.board.microphone = mode
    try:
        reply = hear(bench, tone(440, 900))
    finally:
        bench.board.microphone = "ok"
    assert reply["other"] == other
    assert (reply["low"] == reply["high"]) == (mode != "ok")


def test_probe_reports_bits_that_never_change(bench):
    samples = np.round(tone(440, 900)).astype(np.int16)
    reply = hear(bench, samples | 0x10)
    assert int(reply["all"], 16) == 0x10 << 8
    reply = hear(bench, samples & ~0x20)
    assert 0xFFFFFF & ~int(reply["any"], 16) == (0x20 << 8) | 0xFF


@pytest.mark.parametrize("ms", [0, 99, 3001, "1000", None, True])
def test_invalid_probe_length_is_refused(bench, ms):
    assert bench.request("probe", ms=ms)["err"] == "argument"


def test_talk_button_ends_the_probe_and_opens_the_lid(bench):
    bench.board.at(bench.board.now_ms + 900, lambda: bench.board.talk(True))
    reply = bench.request("probe", limit_ms=5000, ms=3000)
    assert reply["err"] == "state"
    bench.board.run_ms(300)
    assert bench.guarded_live(), "the press was lost"
    bench.board.talk(False)
    bench.board.run_ms(200)
    bench.press()
    bench.ms_until_closed(1000)


def test_probe_keeps_sentinel_power_and_feeds_the_watchdog(bench):
    rails = []
    start = bench.board.now_ms
    for at in range(100, 3400, 50):
        bench.board.at(start + at, lambda: rails.append(bench.board.rails))
    assert bench.request("probe", limit_ms=6000, ms=3000)["ok"]
    bench.board.run_ms(500)
    assert len(rails) == 66
    assert min(sentinel for sentinel, _ in rails) > 2900
    assert max(guarded for _, guarded in rails) < 300
    assert bench.hello()["boot"] == 1


def test_gate_hears_again_after_a_probe(bench):
    before = bench.hello()["overruns"]
    assert bench.request("probe", limit_ms=6000, ms=1000)["ok"]
    assert bench.hello()["overruns"] == before
    assert bench.request("probe", limit_ms=6000, ms=1000)["ok"]


def test_probe_while_muted_is_refused(bench):
    bench.board.mute(True)
    bench.board.run_ms(300)
    assert bench.request("probe", ms=1000)["err"] == "state"
    bench.board.mute(False)
    bench.board.run_ms(800)
    bench.board.at(bench.board.now_ms + 900, lambda: bench.board.mute(True))
    assert bench.request("probe", limit_ms=5000, ms=3000)["err"] == "state"
    bench.board.mute(False)
    bench.board.run_ms(800)
