# SPDX-License-Identifier: MIT
"""Level of the speech band, and whether somebody may be talking: talk in noise is never taken for quiet, noise alone is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import signals
from earlid import firmware
from earlid.gate import runner
from lid import config

HERE = Path(__file__).parent
RATE_HZ = 16000
DB_Q8 = 256 * np.log2(10) / 10
PAUSE_HOPS, SILENCE_HOPS = 100, 250  # of lid.hearing, and the setting `silence_ms` as a board comes


def follow(pcm: np.ndarray) -> dict[str, np.ndarray]:
    """What the gate finds on MicroPython for each column: the level in Q8, and the two flags."""
    found = np.frombuffer(runner.run_script(str(HERE / "mp_activity.py"), signals.to_int16(pcm)), "<u4")
    return {"level": found >> 2, "telling": (found & 2).astype(bool), "active": (found & 1).astype(bool)}


def closes(found: dict[str, np.ndarray], from_hop: int) -> bool:
    """Whether a lid that opened there would close for silence."""
    quiet = since = 0
    for hop, (active, telling) in enumerate(zip(found["active"], found["telling"], strict=True)):
        since = 0 if active else since + 1
        quiet = quiet + 1 if hop >= from_hop and telling and since > PAUSE_HOPS else 0
        if quiet >= SILENCE_HOPS:
            return True
    return False


def test_pause_is_that_of_the_firmware() -> None:
    assert f"_PAUSE_HOPS = const({PAUSE_HOPS})" in (firmware.root() / "lid" / "hearing.py").read_text()
    assert config.defaults()["silence_ms"] == 10 * SILENCE_HOPS


def noise(seconds: float, dbfs: float, kind=signals.white) -> np.ndarray:
    return signals.at_dbfs(kind(np.random.default_rng(signals.SEED), int(seconds * RATE_HZ)), dbfs).astype(float)


def mains_hum(seconds: float, dbfs: float, hertz: int) -> np.ndarray:
    """A mains tone with seven harmonics, in a little noise."""
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    tone = sum(np.sin(2 * np.pi * hertz * k * t + k) * (1 if k == 1 else 0.3 / k) for k in range(1, 9))
    return signals.at_dbfs(tone, dbfs).astype(float) + noise(seconds, dbfs - 50)


SECONDS = 20
BACKGROUNDS = {
    "white": noise(SECONDS, -40), "pink": noise(SECONDS, -40, signals.pink),
    **{f"hum {hertz}": mains_hum(SECONDS, -40, hertz) for hertz in (50, 100, 120)},
}  # fmt: skip


def frames_peak(pcm: np.ndarray) -> float:
    """Root mean square of the loudest 512 samples."""
    whole = pcm[: len(pcm) // 512 * 512].reshape(-1, 512).astype(float)
    return float(np.sqrt((whole**2).mean(axis=1)).max())


def spoken(seconds: float) -> np.ndarray:
    """The word, and somebody talking on, with pauses of 0.7 s."""
    sentences = [signals.espeak(text).astype(float) for text in ("alexa", "turn on the light", "and the radio too")]
    talk = np.concatenate([piece for text in sentences for piece in (text, np.zeros(RATE_HZ * 7 // 10))])
    return np.resize(talk, int(seconds * RATE_HZ))


def heard(name: str, talk: np.ndarray, snr_db: float) -> tuple[np.ndarray, int]:
    """Talk after four seconds of a background, its loudest frame so far above the background's; the hop at which it begins."""
    pcm = BACKGROUNDS[name].copy()
    pcm[4 * RATE_HZ : 4 * RATE_HZ + len(talk)] += talk * (frames_peak(pcm) / frames_peak(talk) * 10 ** (snr_db / 20))
    return pcm * min(1.0, 32000 / np.abs(pcm).max()), 400


@pytest.mark.parametrize("dbfs", [-60, -40, -20])
def test_level_of_white_noise_is_that_of_its_samples(dbfs: int) -> None:
    power = np.mean(2.0 ** (follow(noise(5, dbfs))["level"][100:] / 256))
    assert abs(10 * np.log10(power / 2.0**30) - dbfs) < 0.3, f"seed {signals.SEED}"


def test_level_of_a_tone_below_the_speech_band_is_low() -> None:
    tone = signals.at_dbfs(np.sin(2 * np.pi * 50 * np.arange(2 * RATE_HZ) / RATE_HZ), -20).astype(float)
    assert (follow(tone)["level"][20:].mean() - 7680) / DB_Q8 < -45


@pytest.mark.parametrize("value", [0, 1, -1])
def test_constant_signal_is_quiet(value: int) -> None:
    found = follow(np.full(6 * RATE_HZ, float(value)))
    assert not found["active"][120:].any()
    assert closes(found, 150)


@pytest.mark.parametrize("name", BACKGROUNDS)
def test_noise_and_hum_are_not_active(name: str) -> None:
    assert follow(BACKGROUNDS[name])["active"][300:].mean() < 0.01, f"seed {signals.SEED}"


@pytest.mark.parametrize("step_db", [30, -30])
def test_noise_that_steps_is_not_active_for_long(step_db: int) -> None:
    active = follow(np.concatenate([noise(4, -55), noise(8, -55 + step_db)]))["active"]
    assert not active[400 + 400 :].any(), f"seed {signals.SEED}"


TALK = [*((name, snr_db) for name in BACKGROUNDS for snr_db in (20, 10, 5)), ("hum 100", -6), ("white", -6)]


@pytest.mark.parametrize(("name", "snr_db"), TALK)
def test_talk_in_noise_is_never_taken_for_quiet(name: str, snr_db: int) -> None:
    pcm, begins = heard(name, spoken(8), snr_db)
    assert not closes({key: values[: begins + 800] for key, values in follow(pcm).items()}, begins), f"seed {signals.SEED}"


@pytest.mark.parametrize("name", BACKGROUNDS)
def test_quiet_is_told_after_a_clear_word(name: str) -> None:
    word = signals.espeak("alexa").astype(float)
    pcm, begins = heard(name, word, 20)
    assert closes({key: values[: begins + 800] for key, values in follow(pcm).items()}, begins), f"seed {signals.SEED}"


@pytest.mark.parametrize("dbfs", [-80, -60, -53])
def test_weak_noise_is_quiet_though_nobody_has_talked(dbfs: int) -> None:
    assert closes(follow(noise(8, dbfs)), 300), f"seed {signals.SEED}"
    assert not closes(follow(noise(8, -40)), 300), f"seed {signals.SEED}"
