# SPDX-License-Identifier: MIT
"""What a look learns from: rows of the network's own buffers, where a word has just ended and where other sound is taken for one.

Words and near words are varied (speed, room, tilt, level) and lie in noise; speech without the word is heard as it is, faster
and slower, in noises, in rooms. All of one half (`data.py`); its rooms are not those of the conditions.
"""

from __future__ import annotations

import multiprocessing
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from earlid.evaluate import mixing
from earlid.evaluate.mixing import RATE_HZ
from earlid.gate import models
from earlid.gate.quantise import quantised_features
from numpy.typing import NDArray
from scipy import signal

from tests.bench.detection import conditions, count, data, noises, rooms, voices
from tests.bench.detection.data import Clip, Half
from tests.bench.detection.look import rows
from tests.bench.detection.look.rows import ROWS, SOURCES

HOPS_MS, WINDOW_MS = 30, 20  # an output comes every 30 ms; its last column ends 20 ms after its hop
MEAN = 12
LIKELY = 0.05  # mean of 12 outputs above which sound is worth learning from
WORD_ROWS, NEAR_ROWS, EVENT_ROWS = 9, 7, 10  # taken of each word, near word, event
PASSES = 48  # over the recordings of people
SPOKEN = {"word": 4, "near": 2, "near-sentence": 1, "sentence": 1}  # and over synthetic voices
ROOMS_M = (1.5, 2.5, 3.5)
# speech without the word: speed in %, noise, its SNR in dB, in a room
SPEECH = (
    (90, "", 0, False), (110, "", 0, False), (100, "", 0, True), (100, "household", 10, False),
    (92, "household", 8, False), (109, "household", 12, False), (100, "household", 9, True), (105, "household", 6, False),
    (100, "esc10", 8, False), (104, "pink", 12, False), (96, "white", 11, False),
)  # fmt: skip


class Examples(NamedTuple):
    """windows: int8 [n, ROWS, channels of SOURCES]; logits: sums of the newest 12; kind: clip, spoken, near or negative."""

    windows: NDArray[np.int8]
    logits: NDArray[np.int64]
    word: NDArray[np.bool_]
    kind: NDArray[np.str_]


@dataclass(frozen=True)
class _Job:
    half: Half
    kind: str
    clips: tuple[Clip, ...]
    number: int
    how: tuple[int, str, float, bool] = (100, "", 0, False)


def make(half: Half) -> Examples:
    """All examples of one half; the same ones every time. Minutes."""
    jobs = [_Job(half, "clip", tuple(data.words(half)), number) for number in range(PASSES)]
    for kind, passes in SPOKEN.items():
        spoken = [clip for clip in voices.spoken(half, kind) if clip.engine == "kokoro"]  # type: ignore[arg-type]
        for at in range(0, len(spoken), 200):
            group = "spoken" if kind == "word" else "near"
            jobs += [_Job(half, group, tuple(spoken[at : at + 200]), 1000 * at + number) for number in range(passes)]
    for number, piece in enumerate(conditions.named("negatives-clean").pieces(half)):
        speech = tuple(clip for clip in piece.clips if clip.kind == "speech")
        jobs.append(_Job(half, "negative", piece.clips, number))
        jobs += [_Job(half, "negative", speech, number, how) for how in SPEECH if speech]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        parts = list(pool.map(_examples, jobs))
    return Examples(*(np.concatenate(fields) for fields in zip(*parts, strict=True)))


def _examples(job: _Job) -> Examples:
    rng = np.random.default_rng([conditions.SEED, zlib.crc32(repr((job.half, job.kind, job.number, job.how)).encode())])
    pcm, spans = _speech(job, rng) if job.kind == "negative" else _words(job, rng)
    network = models.load("alexa").network
    heard = rows.run(network, columns(pcm))
    output = np.frombuffer(rows.probability(network), np.uint8)[heard[rows.LOGIT][:, 0].astype(int) + 128]
    means = rows.newest_sum(output.astype(np.int64), MEAN) / (256 * MEAN)
    logits = rows.newest_sum(heard[rows.LOGIT][:, 0].astype(np.int64) - network.logit_zero, MEAN)
    last = len(means)
    if job.kind == "negative":
        at = list(_events(np.flatnonzero(means > LIKELY), rng))
    elif job.kind == "near":
        at = []
        for start_ms, _, end_ms in spans:
            likely = np.arange(_row(start_ms) + 6, min(last, _row(end_ms + 400)))
            likely = likely[means[likely] > LIKELY]
            at += list(rng.permutation(likely)[:NEAR_ROWS])
    else:
        at = []
        for _, end_ms, _ in spans:
            after = np.arange(_row(end_ms + 20), _row(end_ms + 20) + WORD_ROWS, 2) + int(rng.integers(2))
            after = after[after < last]
            at += list(after[means[after] > LIKELY])
    index = np.array([place for place in at if place >= 30], int)
    kept = np.concatenate([heard[source] for source in SOURCES], axis=1)
    windows = kept[index[:, None] + np.arange(1 - ROWS, 1)] if len(index) else np.zeros((0, ROWS, kept.shape[1]), np.int8)
    return Examples(windows, logits[index], np.full(len(index), job.kind in ("clip", "spoken")), np.full(len(index), job.kind))


def _row(at_ms: float) -> int:
    return int((at_ms - WINDOW_MS) / HOPS_MS)


def _events(likely: NDArray[np.int64], rng: np.random.Generator) -> Iterator[int]:
    """Some rows of each event: likely rows within 0.6 s of one another."""
    for event in np.split(likely, np.flatnonzero(np.diff(likely) > 20) + 1):
        yield from rng.permutation(event)[:EVENT_ROWS].tolist()


def columns(pcm: NDArray[np.int16]) -> NDArray[np.int8]:
    """The network's input: int8 [hops, 40], by the reference frontend, which the gate's equals."""
    from pymicro_features import MicroFrontend

    network = models.load("alexa").network
    table = quantised_features(network.input_scale, network.input_zero)
    frontend = MicroFrontend()
    sound = np.ascontiguousarray(pcm, np.int16).tobytes()
    features = (frontend.process_samples(sound[at : at + 320]).features for at in range(0, len(sound) - 319, 320))
    values = np.array([each for each in features if each])
    return (table[np.rint(values / 0.0390625).astype(int)].astype(np.int16) - 128).astype(np.int8)


# --- sound ---


def _words(job: _Job, rng: np.random.Generator) -> tuple[NDArray[np.int16], list[tuple[int, int, int]]]:
    """Each word varied; where it starts, where its sound ends, where its part of the stream ends."""
    words, ends = [], []
    for place in rng.permutation(len(job.clips)):
        dry = _faster(job.clips[int(place)].pcm(), int(rng.choice([90, 95, 100, 105, 110])))
        ends.append(count.sound_end_ms(dry))
        sound = dry
        if rng.random() < 0.55:
            rt60_s, metres, room = (0.3, 0.5, 0.7)[int(rng.integers(3))], float(rng.choice(ROOMS_M)), 100 + int(rng.integers(4))
            sound = rooms.reverberant(dry, rooms.impulse_response(rt60_s, metres, room))[: len(dry) + int(rt60_s * 6000)]
        if rng.random() < 0.3:
            sound = np.convolve(sound, [1, rng.uniform(-0.5, 0.5)])[: len(sound)]
        peak = 20000 * 10 ** (rng.uniform(-18, 0) / 20)
        words.append(np.rint(sound * (peak / max(1.0, float(np.abs(sound).max())))).astype(np.int16))
    samples = mixing.stream_samples(words)
    noise = str(rng.choice(["", "household", "household", "esc10", "pink", "white"]))
    background = _noise(noise or "pink", job.half, samples, rng)
    pcm, places = mixing.word_stream(words, background, float(rng.uniform(4, 20)) if noise else None)
    return pcm, [(at.start_ms, at.start_ms + end, at.end_ms) for at, end in zip(places, ends, strict=True)]


def _speech(job: _Job, rng: np.random.Generator) -> tuple[NDArray[np.int16], list[tuple[int, int, int]]]:
    speed, noise, snr_db, in_room = job.how
    sounds = [_faster(clip.pcm(), speed) for clip in job.clips]
    if in_room:
        sounds = [
            rooms.reverberant(sound, rooms.impulse_response((0.3, 0.5, 0.7)[place % 3], 2.5, 100 + place % 4))
            for place, sound in enumerate(sounds)
        ]
    recordings = [np.rint(sound * min(1.0, 32000 / max(1.0, float(np.abs(sound).max())))).astype(np.int16) for sound in sounds]
    if not noise:
        return np.concatenate(recordings), []
    return mixing.noisy_stream(recordings, _noise(noise, job.half, sum(map(len, recordings)), rng), snr_db), []


def _faster(sound: NDArray[np.int16], percent: int) -> mixing.Floats:
    return np.asarray(signal.resample_poly(sound.astype(np.float64), 100, percent))


def _noise(name: str, half: Half, samples: int, rng: np.random.Generator) -> mixing.Floats:
    """Noise of RMS 1; recorded: one recording after the other, 8 to 20 s of each."""
    if name in ("pink", "white"):
        return (mixing.pink_noise if name == "pink" else noises.white)(samples, rng)
    clips = data.household() if name == "household" else [c for c in data.negatives(half, "noise") if c.source == "esc10"]
    parts, total = [], 0
    while total < samples:
        part = mixing.stretch(clips[int(rng.integers(len(clips)))].pcm(), RATE_HZ * int(rng.integers(8, 20)), rng)
        parts.append(part)
        total += len(part)
    return np.concatenate(parts)[:samples]
