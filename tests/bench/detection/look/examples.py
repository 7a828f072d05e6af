# SPDX-License-Identifier: MIT
"""What a look learns from: stretches of the network's own rows, where a word has just ended or other sound is taken for one.

Words and near words are varied (speed, room, tilt, level) and lie in quiet, in noise or over talkers; speech without the word
is heard as it is, faster and slower, in noises, in rooms. All of one half (`data.py`); its rooms are not those of the conditions.
"""

from __future__ import annotations

import multiprocessing
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from earlid.errors import UserError
from earlid.gate import models
from earlid.gate.audio import RATE_HZ, audio_seconds
from earlid.gate.quantise import quantised_features
from earlid.sound import mixing, noises, rooms
from numpy.typing import NDArray
from scipy import signal

from tests.bench.detection import conditions, data, household, voices
from tests.bench.detection.data import Clip, Half
from tests.bench.detection.look import near_words, rows
from tests.bench.detection.look.rows import ROWS, SOURCES

HOPS_MS, WINDOW_MS = 30, 20  # an output comes every 30 ms; its last column ends 20 ms after its hop
MEAN = 12
MOMENTS = 12  # at which a stretch of sound may be decided on
SPAN = ROWS + MEAN + MOMENTS - 2  # rows that those decisions rest on
LIKELY = 0.05  # mean of 12 outputs above which a decision is worth learning from
DOUBTED = 0.02  # the same, of speech that is worth hearing in other ways
AFTER_MS = 50  # from a word's end to its first moment
WARM_ROWS = 90  # before which the network's rows are its own of the whole stream again
QUIET_ROWS = 6  # that end a stretch of likely rows
NEAR_MS = 500  # after a near word's end it may still open
ROOMS_M = (1.5, 2.5, 3.5)
Place = Literal["stream", "noise", "talkers", "quiet"]
# of recordings of people: kind, where they lie, passes over all of them
PEOPLE: tuple[tuple[str, Place, int], ...] = (
    ("clip", "stream", 48), ("noisy", "noise", 24), ("talkers", "talkers", 5), ("quiet", "quiet", 8),
)  # fmt: skip
SPOKEN: tuple[tuple[voices.Kind, int], ...] = (("word", 2), ("near", 2), ("near-sentence", 1), ("sentence", 1))
NOISES = ("household", "household", "household", "esc10", "pink", "white", "steps", "steps")
TALKERS_DB = (13, 25)  # a word's loudest frame above their active level
# ways of speech without the word: speed in %, noise, its SNR in dB, in a room
SPEECH = (
    (100, "household", 10, False), (109, "household", 12, False), (92, "household", 8, False), (100, "", 0, True),
    (96, "white", 11, False), (100, "esc10", 8, False), (90, "", 0, False), (110, "", 0, False),
    (104, "pink", 12, False), (105, "household", 6, False), (100, "household", 9, True),
)  # fmt: skip
NOISY_SPEECH_DB = 10  # in household noise all of it is heard, not the doubted alone
# Names of things in many languages, of Debian's tuxpaint-stamps-default and ktuberling-data: the benchmark has none of them
NAMES: dict[Half, tuple[tuple[str, str], ...]] = {
    "dev": (("/usr/share/tuxpaint/stamps", "**/*_desc_es.ogg"), ("/usr/share/ktuberling/sounds", "[a-e]*/*")),
    "held": (("/usr/share/tuxpaint/stamps", "**/*_desc_[fr][ru].ogg"), ("/usr/share/ktuberling/sounds", "[f-z]*/*")),
}


class Examples(NamedTuple):
    """windows: int8 [n, SPAN, channels of SOURCES]; logits: at each moment the sum of the newest 12, int64 [n, MOMENTS]; live:
    moments that count, bool [n, MOMENTS]; kind: of PEOPLE, spoken, near, close or negative."""

    windows: NDArray[np.int8]
    logits: NDArray[np.int64]
    live: NDArray[np.bool_]
    word: NDArray[np.bool_]
    kind: NDArray[np.str_]


@dataclass(frozen=True)
class _Job:
    half: Half
    kind: str
    clips: tuple[Clip, ...]
    number: int
    place: Place = "stream"


def make(half: Half, processes: int) -> Examples:
    """All examples of one half; the same ones every time, whatever the number of processes. Minutes."""
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        parts = list(pool.map(_examples, _jobs(half)))
    return Examples(*(np.concatenate(fields) for fields in zip(*parts, strict=True)))


def _jobs(half: Half) -> Iterator[_Job]:
    words = tuple(data.words(half))
    for kind, place, passes in PEOPLE:
        yield from (_Job(half, kind, words, number, place) for number in range(passes))
    for said, passes in SPOKEN:
        spoken = [clip for clip in voices.spoken(half, said) if clip.engine == "kokoro"]
        kind = "spoken" if said == "word" else "near"
        for at in range(0, len(spoken), 200):
            yield from (_Job(half, kind, tuple(spoken[at : at + 200]), 1000 * at + number) for number in range(passes))
    close = near_words.clips(half)
    for at in range(0, len(close), 100):
        yield _Job(half, "close", tuple(close[at : at + 100]), at, "quiet")
        yield _Job(half, "close", tuple(close[at : at + 100]), at, "noise")
    pieces = [piece.clips for piece in conditions.named("negatives-clean").pieces(half)]
    for number, clips in enumerate([*pieces, *(tuple(_names(half, *where)) for where in NAMES[half])]):
        yield _Job(half, "negative", clips, number)
        if speech := tuple(clip for clip in clips if clip.kind == "speech"):
            yield _Job(half, "negative", speech, number, "noise")


def _names(half: Half, folder: str, pattern: str) -> Iterator[Clip]:
    paths = [path for path in sorted(Path(folder).glob(pattern)) if path.suffix in (".ogg", ".opus", ".wav")]
    if not paths:
        raise data.Missing("no spoken names: apt-get install tuxpaint-stamps-default ktuberling-data")
    for path in paths:
        try:
            if audio_seconds(path) >= 0.1:
                yield Clip(str(path.relative_to(folder)), str(path), "names", "speech", "", half)
        except UserError:
            pass  # some are empty


def _examples(job: _Job) -> Examples:
    rng = np.random.default_rng([conditions.SEED, zlib.crc32(repr((job.half, job.kind, job.number, job.place)).encode())])
    parts = list(_negatives(job, rng)) if job.kind == "negative" else [_spoken(job, rng)]
    return Examples(*(np.concatenate(fields) for fields in zip(*parts, strict=True)))


def _spoken(job: _Job, rng: np.random.Generator) -> Examples:
    pcm, spans = _words(job, rng)
    heard = columns(pcm)
    phases = models.load("alexa").network.stride if job.kind in ("near", "close") else 1
    return _stretches(job.kind, [heard[phase:] for phase in range(phases)], spans, rng)


def _negatives(job: _Job, rng: np.random.Generator) -> Iterator[Examples]:
    """Recordings end to end; then, in each way of SPEECH, the spoken ones that the network doubts at all."""
    network = models.load("alexa").network
    sounds = [clip.pcm() for clip in job.clips]
    if job.place == "noise":
        heard = columns(_in_way(sounds, (100, "household", NOISY_SPEECH_DB, False), job.half, rng))
        likely = _means(rows.run(network, heard)) > LIKELY
        yield _stretches(job.kind, [heard, *_other_phases(heard, likely, network.stride)], [], rng)
        return
    doubted = []
    for number, way in enumerate((None, *SPEECH)):
        if way and not doubted:
            return
        heard = columns(_in_way(doubted, way, job.half, rng) if way else np.concatenate(sounds))
        means = _means(rows.run(network, heard))
        yield _stretches(job.kind, [heard, *_other_phases(heard, means > LIKELY, network.stride)], [], rng)
        if number == 0:
            ends = np.cumsum([len(sound) for sound in sounds]) * 1000 // RATE_HZ
            for clip, sound, end_ms in zip(job.clips, sounds, ends, strict=True):
                within = means[_row(end_ms - len(sound) * 1000 / RATE_HZ) : _row(end_ms) + MEAN]
                if clip.kind == "speech" and within.max(initial=0) > DOUBTED:
                    doubted.append(sound)


def _means(heard: dict[int, NDArray[np.int8]]) -> mixing.Floats:
    """At each inference the mean of the newest 12 outputs, of 1."""
    table = np.frombuffer(rows.probability(models.load("alexa").network), np.uint8).astype(np.int64)
    return np.asarray(rows.newest_sum(table[heard[rows.LOGIT][:, 0].astype(int) + 128], MEAN) / (256 * MEAN))


def _stretches(kind: str, streams: list[NDArray[np.int8]], spans: list[_Span], rng: np.random.Generator) -> Examples:
    network = models.load("alexa").network
    windows, sums, live = [], [], []
    for stream in streams:
        heard = rows.run(network, stream)
        likely = _means(heard) > LIKELY
        logits = rows.newest_sum(heard[rows.LOGIT][:, 0].astype(np.int64) - network.logit_zero, MEAN)
        kept = np.concatenate([heard[source] for source in SOURCES], axis=1)
        for first, begin, end in moments(kind, spans, likely, rng):
            at = np.arange(first, first + MOMENTS)
            if first < SPAN or first + MOMENTS > len(likely):
                continue
            counts = likely[at] & (at >= begin) & (at < end)
            if counts.any():
                windows.append(kept[first + MOMENTS - SPAN : first + MOMENTS])
                sums.append(logits[at])
                live.append(counts)
    number = len(windows)
    return Examples(
        np.array(windows, np.int8).reshape(number, SPAN, 64 * len(SOURCES)), np.array(sums, np.int64).reshape(number, MOMENTS),
        np.array(live, np.bool_).reshape(number, MOMENTS), np.full(number, kind not in ("near", "close", "negative")),
        np.full(number, kind),
    )  # fmt: skip


def _other_phases(heard: NDArray[np.int8], likely: NDArray[np.bool_], stride: int) -> list[NDArray[np.int8]]:
    """Columns around each stretch of likely rows, from every other phase of the network on."""
    places = np.flatnonzero(likely)
    groups = np.split(places, np.flatnonzero(np.diff(places) > 2 * WARM_ROWS) + 1) if len(places) else []
    return [
        heard[stride * max(0, int(group[0]) - WARM_ROWS) + phase : stride * (int(group[-1]) + WARM_ROWS // 2)]
        for group in groups
        for phase in range(1, stride)
    ]


def moments(kind: str, spans: list[_Span], likely: NDArray[np.bool_], rng: np.random.Generator) -> Iterator[tuple[int, int, int]]:
    """The first row of each stretch's moments, and the rows between which they count."""
    everywhere = (0, len(likely))
    if kind == "negative":
        places = np.flatnonzero(likely)
        for event in np.split(places, np.flatnonzero(np.diff(places) > QUIET_ROWS) + 1):
            if len(event):
                yield from ((first, *everywhere) for first in range(int(event[0]), int(event[-1]) + 1, MOMENTS))
        return
    for start_ms, sound_end_ms, end_ms in spans:
        if kind in ("near", "close"):
            begin, end = _row(start_ms) + 6, min(len(likely), _row(end_ms + NEAR_MS))
            places = np.flatnonzero(likely[begin:end]) + begin
            if len(places):
                yield from ((first, begin, end) for first in range(int(places[0]), int(places[-1]) + 1, MOMENTS))
        else:
            yield (_row(sound_end_ms + AFTER_MS) + int(rng.integers(-1, 2)), *everywhere)


def _row(at_ms: float) -> int:
    return int((at_ms - WINDOW_MS) / HOPS_MS)


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

_Span = tuple[int, int, int]  # of a word, in ms: its start, the end of its sound, the end of its recording


def _words(job: _Job, rng: np.random.Generator) -> tuple[NDArray[np.int16], list[_Span]]:
    """Each word varied, all in one stream."""
    words, ends = [], []
    for place in rng.permutation(len(job.clips)):
        dry = _faster(job.clips[int(place)].pcm(), int(rng.choice([90, 95, 100, 105, 110])))
        ends.append(mixing.sound_end_ms(dry))
        sound = dry
        if rng.random() < 0.55:
            rt60_s, metres, room = (0.3, 0.5, 0.7)[int(rng.integers(3))], float(rng.choice(ROOMS_M)), 100 + int(rng.integers(4))
            sound = rooms.reverberant(dry, rooms.impulse_response(rt60_s, metres, room))[: len(dry) + int(rt60_s * 6000)]
        if rng.random() < 0.3:
            sound = np.convolve(sound, [1, rng.uniform(-0.5, 0.5)])[: len(sound)]
        peak = 20000 * 10 ** (rng.uniform(-18, 0) / 20)
        words.append(np.rint(sound * (peak / max(1.0, float(np.abs(sound).max())))).astype(np.int16))
    samples = mixing.stream_samples(words)
    if job.place in ("noise", "talkers"):
        pcm, places = _over(words, job, samples, rng)
    else:
        noise = "" if job.place == "quiet" else str(rng.choice(["", "household", "household", "esc10", "pink", "white"]))
        background = _noise(noise or "pink", job.half, samples, rng)
        pcm, places = mixing.word_stream(words, background, float(rng.uniform(4, 20)) if noise else None)
    return pcm, [(at.start_ms, at.start_ms + end, at.end_ms) for at, end in zip(places, ends, strict=True)]


def _over(
    words: list[NDArray[np.int16]], job: _Job, samples: int, rng: np.random.Generator
) -> tuple[NDArray[np.int16], list[mixing.WordSpan]]:
    """Words over what changes: each word's own height above the noise at its place, or above talkers' active level."""
    if job.place == "talkers":
        level = 32768 * 10 ** (conditions.TELEVISION_DBFS / 20)
        sound = household.speech(job.half, samples, rng) * level + mixing.pink_noise(samples, rng) * (level / 100)
    else:
        noise = _noise(str(rng.choice(NOISES)), job.half, samples, rng)
        sound = noise * (32768 * 10 ** (rng.uniform(-52, -40) / 20))
    spans, at, gap = [], int(mixing.LEAD_S * RATE_HZ), int(mixing.GAP_S * RATE_HZ)
    for word in words:
        if job.place == "talkers":
            height = level * 10 ** (rng.uniform(*TALKERS_DB) / 20)
        else:
            around = mixing.frame_rms(sound[at - RATE_HZ // 10 : at + len(word) + RATE_HZ // 10]).max()
            height = around * 10 ** ((rng.choice([5, 6, 8, 10, 12, 15]) + rng.uniform(-1, 1)) / 20)
        peak = max(1.0, float(np.abs(word.astype(np.float64)).max()))
        gain = min(height / max(1.0, float(mixing.frame_rms(word).max())), 29000 / peak)
        fade = min(mixing.FADE, len(word) // 4)
        ramp = np.minimum(1.0, np.minimum(np.arange(len(word)), np.arange(len(word))[::-1]) / fade)
        sound[at : at + len(word)] += word * gain * ramp
        spans.append(mixing.WordSpan(at * 1000 // RATE_HZ, (at + len(word)) * 1000 // RATE_HZ))
        at += len(word) + 2 * gap
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16), spans


def _in_way(
    spoken: list[NDArray[np.int16]], way: tuple[int, str, float, bool], half: Half, rng: np.random.Generator
) -> NDArray[np.int16]:
    """Recordings end to end in one way of SPEECH."""
    speed, noise, snr_db, in_room = way
    sounds: Iterable[mixing.Floats] = (_faster(each, speed) for each in spoken)
    if in_room:
        sounds = (
            rooms.reverberant(sound, rooms.impulse_response((0.3, 0.5, 0.7)[place % 3], 2.5, 100 + place % 4))
            for place, sound in enumerate(sounds)
        )
    recordings = [np.rint(each * min(1.0, 32000 / max(1.0, float(np.abs(each).max())))).astype(np.int16) for each in sounds]
    if not noise:
        return np.concatenate(recordings)
    return mixing.noisy_stream(recordings, _noise(noise, half, sum(map(len, recordings)), rng), snr_db)


def _faster(sound: NDArray[np.int16], percent: int) -> mixing.Floats:
    return np.asarray(signal.resample_poly(sound.astype(np.float64), 100, percent))


def _noise(name: str, half: Half, samples: int, rng: np.random.Generator) -> mixing.Floats:
    """Noise of RMS 1, about; recorded: one recording after the other, 8 to 20 s of each."""
    if name in ("pink", "white"):
        return (mixing.pink_noise if name == "pink" else noises.white)(samples, rng)
    if name == "steps":
        return _steps(samples, rng)
    clips = data.household() if name == "household" else [c for c in data.negatives(half, "noise") if c.source == "esc10"]
    parts, total = [], 0
    while total < samples:
        part = mixing.stretch(clips[int(rng.integers(len(clips)))].pcm(), RATE_HZ * int(rng.integers(8, 20)), rng)
        parts.append(part)
        total += len(part)
    return np.concatenate(parts)[:samples]


def _steps(samples: int, rng: np.random.Generator) -> mixing.Floats:
    """Noise whose level steps every 1.5 to 5 s, each second time back."""
    sound = (mixing.pink_noise if rng.random() < 0.6 else noises.white)(samples, rng)
    at, level_db = 0, 0.0
    while at < samples:
        end = at + int(RATE_HZ * rng.uniform(1.5, 5))
        sound[at:end] *= 10 ** (level_db / 20)
        at, level_db = end, 0.0 if level_db else float(rng.choice([0, -12, -8, 6, 12, -15]))
    return np.asarray(sound / np.sqrt(np.mean(sound**2)))
