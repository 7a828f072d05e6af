# SPDX-License-Identifier: MIT
"""`python -m tests.bench.detection.silence [dev|held] [WINDOWS]`: how often an open lid closes for silence, in noises.

A lid opens at the end of a word and stays open for 8 s. Either somebody talks on, other sentences with pauses as people make
(median 0.5 s, log-normal, at most 2 s), each within 3 dB of the word: closing is wrong. Or nobody does: closing is right. The
loudest frames of word and noise are so many decibels apart. The firmware's own code says what is active and telling
(`tests/gate/mp_activity.py`), and closes as a board with its own settings.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from earlid.accuracy.intervals import binomial
from earlid.gate import runner
from earlid.gate.audio import RATE_HZ
from earlid.sound import mixing, noises, rooms
from earlid.sound.mixing import Floats
from lid import config

from tests.bench.detection import conditions, data, household

SCRIPT = Path(__file__).parents[2] / "gate" / "mp_activity.py"
OPEN_S, BEFORE_S = 8, 6
PAUSE_HOPS = 100  # of lid.hearing
SILENCE_HOPS = config.defaults()["silence_ms"] // 10
NOISE_DBFS = -40.0  # after the gain; `weak`: below -50, where any voice shows
SNRS_DB = (20.0, 10.0, 5.0)
NOISES: dict[str, Callable[[int, np.random.Generator], Floats]] = {
    "white": noises.white, "pink": mixing.pink_noise,
    **{f"hum {hertz} Hz": partial(noises.hum, hertz=float(hertz)) for hertz in (50, 60, 100, 120)},
    "rumble": noises.rumble, "fan": noises.fan,
    **{name: household.recorded(name) for name in ("aircon", "dishwasher", "running_tap", "street", "vacuuming")},
}  # fmt: skip


def talk_on(half: data.Half, loudest: float, rng: np.random.Generator) -> Floats:
    """Sentences and pauses that fill a window."""
    clips = [clip for clip in data.negatives(half, "speech") if clip.source.startswith("talk-")]
    parts, samples = [], 0
    while samples < OPEN_S * RATE_HZ:
        said = clips[int(rng.integers(len(clips)))].pcm().astype(float)
        level = float(mixing.frame_rms(said).max()) if len(said) > RATE_HZ // 2 else 0.0
        if level > 1:
            pause = np.zeros(int(RATE_HZ * min(2.0, np.exp(rng.normal(np.log(0.5), 0.55)))))
            parts += [pause, said * (loudest / level * 10 ** (rng.uniform(-3, 3) / 20))]
            samples += len(parts[-1]) + len(pause)
    return np.concatenate(parts)[: OPEN_S * RATE_HZ]


def window(half: data.Half, talks: bool, rt60_s: float | None, rng: np.random.Generator) -> tuple[Floats, int]:
    """A word, perhaps somebody who talks on, loudest frame of the word 1; the sample at which the lid opens."""
    words = data.words(half)
    word = words[int(rng.integers(len(words)))].pcm().astype(float)
    loudest = float(mixing.frame_rms(word).max())
    after = talk_on(half, loudest, rng) if talks else np.zeros(OPEN_S * RATE_HZ)
    sound = np.concatenate([np.zeros(BEFORE_S * RATE_HZ), word, after])
    if rt60_s is not None:
        response = rooms.impulse_response(rt60_s, conditions.ROOM_M, int(rng.integers(rooms.ROOMS)))
        sound = rooms.reverberant(sound, response)[: len(sound)]
        loudest = float(mixing.frame_rms(sound[: BEFORE_S * RATE_HZ + len(word)]).max())
    return sound / loudest, BEFORE_S * RATE_HZ + len(word)


def closings(pcm: Floats, opens: list[int]) -> int:
    """How many of the windows that begin at these samples close for silence."""
    whole = np.clip(np.rint(pcm), -32768, 32767).astype(np.int16)
    found = np.frombuffer(runner.run_script(str(SCRIPT), whole), "<u4")
    hops = np.arange(len(found))
    since = hops - np.maximum.accumulate(np.where(found & 1, hops, -1))
    quiet = (found & 2 > 0) & (since > PAUSE_HOPS)
    closed = 0
    for first in (opening // 160 for opening in opens):
        runs = np.split(quiet[first : first + OPEN_S * 100], np.flatnonzero(~quiet[first : first + OPEN_S * 100]))
        closed += max(int(run.sum()) for run in runs) >= SILENCE_HOPS
    return closed


def count(half: data.Half, name: str, snr_db: float, windows: int, talks: bool, rt60_s: float | None = None) -> int:
    """Windows of one condition that close for silence, all in one stream."""
    rng = np.random.default_rng([conditions.SEED, sum(name.encode()), int(snr_db) + 100, talks])
    parts, opens, at = [], [], 0
    for _ in range(windows):
        sound, opening = window(half, talks, rt60_s, rng)
        parts.append(sound)
        opens.append(at + opening)
        at += len(sound)
    noise = np.concatenate([NOISES[name](len(part), rng) for part in parts])
    noise *= 32768 * 10 ** (NOISE_DBFS / 20) / float(np.sqrt(np.mean(noise**2)))
    loudest = float(np.quantile(mixing.frame_rms(noise), 0.99))
    pcm = np.concatenate(parts) * (loudest * 10 ** (snr_db / 20)) + noise
    return closings(pcm * min(1.0, 32000 / float(np.abs(pcm).max())), opens)


def main() -> None:
    """Print a table."""
    half: data.Half = "dev" if sys.argv[1:2] == ["dev"] else "held"
    windows = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    print(f"| noise ({half}, {windows} windows each) | talking, closed at 20 / 10 / 5 dB | nobody talks, closed |\n|---|---|---|")
    wrong = tried = 0
    rows = [(name, None, SNRS_DB) for name in NOISES] + [("hum 100 Hz", None, (-6.0,))]
    for name, rt60_s, snrs in [*rows, *(("pink", rt60_s, (20.0, 10.0)) for rt60_s in (0.3, 0.5, 0.7))]:
        talking = [count(half, name, snr_db, windows, True, rt60_s) for snr_db in snrs]
        nobody = [count(half, name, snr_db, windows, False, rt60_s) for snr_db in snrs]
        wrong, tried = wrong + sum(talking), tried + windows * len(snrs)
        title = name + (f", 3 m, RT60 {rt60_s} s" if rt60_s else "") + (", -6 dB" if snrs == (-6.0,) else "")
        shares = " / ".join(f"{each / windows:.0%}" for each in nobody)
        print(f"| {title} | {' / '.join(map(str, talking))} | {shares} |", flush=True)
    share, low, high = binomial(wrong, tried)
    print(f"\nwrong in all: {wrong} of {tried}, {share:.2%} ({low:.2%} to {high:.2%})")


if __name__ == "__main__":
    main()
