# SPDX-License-Identifier: MIT
"""Judges a network by the firmware's own gate: words missed, near words that open, false openings an hour, delays.

Sound becomes columns once; every network, window and cutoff is then tried on the same columns. What is chosen (window and cutoff)
is chosen on the part `stop`; what a person is told is counted on the part `judge`, which decided nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlid.accuracy.curve import CUTOFFS, Curve, misses_by_cutoff, openings_by_cutoff
from earlid.gate import score
from earlid.gate.audio import RATE_HZ
from earlid.gate.models import Model
from earlid.sound import mixing
from earlid.train.columns import columns_of
from earlid.train.examples import Columns
from earlid.train.material import pieces
from earlid.train.scenes import Pcm

SNR_DB = 10.0
RATE_PER_H = 0.5  # the false openings an hour that a cutoff is chosen for
WINDOWS = (3, 4, 5, 6, 8, 10)  # inferences that a sliding mean may be of
FIRST_HOP = 2  # the first that has a column
FOLLOWED_S, FOLLOWING_S = 0.15, 1.5  # after a word somebody talks on, for so long
_COLUMNS_AT_ONCE = 6000


class WordPlace(NamedTuple):
    """When a word may be heard in a stream: from its start until a second after its end; and where its sound ends."""

    start_ms: int
    until_ms: int
    sound_end_ms: int


@dataclass(frozen=True)
class WordStream:
    """Words one after the other in one background, as columns."""

    condition: str
    columns: Columns
    places: list[WordPlace]


@dataclass(frozen=True)
class SilentHours:
    """Sound without the word of one kind, as blocks of columns."""

    kind: str
    blocks: Sequence[Columns]

    @property
    def hours(self) -> float:
        """How long it is."""
        return sum(len(block) for block in self.blocks) * score.HOP_MS / 3_600_000


def word_stream(
    condition: str, words: Sequence[Pcm], noise: Sequence[Pcm], snr_db: float | None, seed: int, talk: Sequence[Pcm] = ()
) -> WordStream:
    """Words in a quiet background, or in noise.

    Args:
        condition: its name for people.
        words: int16 samples at 16 kHz.
        noise: recordings of which one is behind each tenth of the words; without any it is pink noise.
        snr_db: how far the loudest frame of a word is above that of the noise; None for quiet.
        seed: of the noise.
        talk: of people: somebody talks on FOLLOWED_S after each word, as loudly.
    """
    rng = np.random.default_rng(seed)
    ends_ms = [mixing.sound_end_ms(word) for word in words]
    if len(talk):
        words = [_followed(word, end_ms, talk, rng) for word, end_ms in zip(words, ends_ms, strict=True)]
    samples = mixing.stream_samples(words)
    if snr_db is None or not noise:
        background = mixing.pink_noise(samples, rng)
    else:
        background = _recorded_background(noise, samples, rng)
    pcm, spans = mixing.word_stream(words, background, snr_db)
    places = [
        WordPlace(span.start_ms, (span.start_ms + end_ms if len(talk) else span.end_ms) + score.AFTER_MS, span.start_ms + end_ms)
        for span, end_ms in zip(spans, ends_ms, strict=True)
    ]
    return WordStream(condition, columns_of(pcm), places)


def _followed(word: Pcm, end_ms: int, talk: Sequence[Pcm], rng: np.random.Generator) -> Pcm:
    piece = mixing.talk_piece(talk, int(FOLLOWING_S * RATE_HZ), rng)
    sound = mixing.followed(word, end_ms * RATE_HZ // 1000, int(FOLLOWED_S * RATE_HZ), piece)
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


def noisy_hours(kind: str, speech: Sequence[Pcm], noise: Sequence[Pcm], snr_db: float, seed: int) -> SilentHours:
    """Speech without the word in noise, each piece's loudest frame `snr_db` above the loudest of the noise with it.

    Args:
        kind: its name for people.
        speech, noise: int16 samples at 16 kHz of recordings, at least one of each.
        seed: of the noise.
    """
    rng, blocks = np.random.default_rng(seed), []
    for recording in speech:
        background = _recorded_background(noise, len(recording), rng)
        blocks.append(columns_of(mixing.noisy_stream(list(pieces(recording)), background, snr_db)))
    return SilentHours(kind, blocks)


def _recorded_background(noise: Sequence[Pcm], samples: int, rng: np.random.Generator) -> mixing.Floats:
    """Noise of RMS 1, of one recording after the other."""
    piece = max(mixing.PERIOD, samples // 10 + 1)
    chosen = (noise[int(rng.integers(len(noise)))][: 4 * piece] for _ in range(0, samples, piece))
    return np.concatenate([mixing.stretch(recording, piece, rng) for recording in chosen])[:samples]


def times_ms(inferences: int, stride: int) -> NDArray[np.int64]:
    """When each inference over columns was: the end of its last hop, from the start of the sound."""
    return (np.arange(1, inferences + 1, dtype=np.int64) * stride + FIRST_HOP) * score.HOP_MS


def heights(totals: NDArray[np.integer], window: int) -> NDArray[np.int64]:
    """Means of sums, rounded up: a cutoff c opens where one is above it, as the board compares sums."""
    return -(-totals.astype(np.int64) // window)


class WordsHeard(NamedTuple):
    """What a network made of a stream of words: `peaks` of each, and for each cutoff the delays of those that it opens on."""

    peaks: list[int]
    delays_ms: Callable[[int], list[int]]


def words_heard(stream: WordStream, at_ms: NDArray[np.int64], values: NDArray[np.int64]) -> WordsHeard:
    """How a network's heights rise in each word of a stream."""
    inside = [(at_ms > place.start_ms) & (at_ms <= place.until_ms) for place in stream.places]
    peaks = [int(values[mask].max(initial=0)) for mask in inside]

    def delays_ms(cutoff: int) -> list[int]:
        delays = []
        for place, mask in zip(stream.places, inside, strict=True):
            opened = at_ms[mask & (values > cutoff)]
            if len(opened):
                delays.append(int(opened[0]) - place.sound_end_ms)
        return delays

    return WordsHeard(peaks, delays_ms)


class Choice(NamedTuple):
    """A window and a cutoff, and what they do on the part `stop`."""

    window: int
    cutoff_q8: int
    misses: int
    trials: int
    false_openings: int
    hours: float


def _sliding(probs: NDArray[np.uint8], window: int, stride: int) -> NDArray[np.int64]:
    """Sums of the last outputs, 0 while they do not count: as `lid.gate.smoothing.sliding_mean` has them.

    Only for choosing a window; what is told is the firmware's own sum.
    """
    sums = np.cumsum(np.concatenate([[0], probs.astype(np.int64)]))
    totals = np.zeros(len(probs), np.int64)
    if len(probs) >= window:
        totals[window - 1 :] = sums[window:] - sums[:-window]
    totals[: score.COLD_COLUMNS // stride + window - 1] = 0
    return totals


def choose(model: Model, words: Sequence[WordStream], silent: Sequence[SilentHours]) -> Choice:
    """The window and the cutoff that miss the fewest words at no more than the wished false openings an hour.

    Where the sound is too short to hold one of them, none says little: of the cutoffs that miss as few then the middle one.

    Args:
        model: the network; its own window and cutoff do not matter.
        words: streams of the part `stop`.
        silent: sound without the word of the same part.
    """
    stride, hours = model.network.stride, sum(kind.hours for kind in silent)
    said = [(stream, score.over_columns(stream.columns, model)["prob"]) for stream in words]
    unsaid = [score.over_columns(_in_pieces(kind.blocks), model)["prob"] for kind in silent]
    best: Choice | None = None
    for window in WINDOWS:
        peaks: list[int] = []
        for stream, probs in said:
            values = heights(_sliding(probs, window, stride), window)
            peaks += words_heard(stream, times_ms(len(probs), stride), values).peaks
        openings = np.zeros(CUTOFFS, np.int64)
        for probs in unsaid:
            openings += openings_by_cutoff(times_ms(len(probs), stride), heights(_sliding(probs, window, stride), window))
        misses = misses_by_cutoff(peaks)
        lowest = Curve(misses, len(peaks), openings, hours).at_rate(RATE_PER_H).cutoff_q8
        as_few = np.flatnonzero(misses[lowest:-1] == misses[lowest])
        cutoff = min(lowest + (len(as_few) // 2 if RATE_PER_H * hours < 1 else 0), CUTOFFS - 2)
        found = Choice(window, cutoff, int(misses[cutoff]), len(peaks), int(openings[cutoff]), hours)
        if best is None or found.misses < best.misses:
            best = found
    assert best is not None
    return best


@dataclass(frozen=True)
class Condition:
    """What a network did in one condition: its curve, and the delays of the words that it opens on in force, in ms."""

    condition: str
    curve: Curve
    delays_ms: list[int]


@dataclass(frozen=True)
class Verdict:
    """What a network does on a part.

    Attributes:
        conditions: of words.
        near: near word -> how many of how many of its sayings open, in force.
        false_openings: kind of sound -> (openings in force, hours).
    """

    conditions: list[Condition]
    near: dict[str, tuple[int, int]]
    false_openings: dict[str, tuple[int, float]]


@dataclass(frozen=True)
class Hearing:
    """What a network makes of a part, by which it is judged at any cutoff.

    Attributes:
        words: of each condition.
        near: of words that are not the word.
        texts: what is said in each of these.
        openings: kind of sound -> (at each cutoff, hours).
    """

    words: dict[str, WordsHeard]
    near: WordsHeard
    texts: Sequence[str]
    openings: dict[str, tuple[NDArray[np.int64], float]]

    def verdict(self, cutoff_q8: int) -> Verdict:
        """At one cutoff."""
        openings = sum((counts for counts, _ in self.openings.values()), np.zeros(CUTOFFS, np.int64))
        total = sum(hours for _, hours in self.openings.values())
        conditions = []
        for condition, heard in self.words.items():
            curve = Curve(misses_by_cutoff(heard.peaks), len(heard.peaks), openings, total)
            conditions.append(Condition(condition, curve, heard.delays_ms(cutoff_q8)))
        opened: dict[str, tuple[int, int]] = {}
        for text, peak in zip(self.texts, self.near.peaks, strict=True):
            count, of = opened.get(text, (0, 0))
            opened[text] = count + (peak > cutoff_q8), of + 1
        return Verdict(
            conditions, opened, {kind: (int(counts[cutoff_q8]), hours) for kind, (counts, hours) in self.openings.items()}
        )


def hear(
    model: Model,
    words: Sequence[WordStream],
    near: tuple[WordStream, Sequence[str]],
    silent: Sequence[SilentHours],
    progress: Callable[[float, float], None] = lambda done, total: None,
    decision: int = 0,
) -> Hearing:
    """Let a finished network hear a part, by the sums that the firmware's gate makes.

    Args:
        model: the network; its cutoff does not matter.
        words: streams of words that nothing was chosen on, each of another condition.
        near: a stream of words that are not the word, and what is said in each.
        silent: sound without the word, each of another kind.
        progress: told hours of sound done, of all.
        decision: 1: its look decides, 0: the network alone.
    """
    total, done = sum(kind.hours for kind in silent), 0.0
    openings = {}
    for kind in silent:
        openings[kind.kind] = openings_by_cutoff(*_heights_over(model, kind.blocks, decision)), kind.hours
        done += kind.hours
        progress(done, total)
    streams = {stream.condition: stream for stream in words}
    heard = {name: words_heard(stream, *_heights_over(model, [stream.columns], decision)) for name, stream in streams.items()}
    return Hearing(heard, words_heard(near[0], *_heights_over(model, [near[0].columns], decision)), near[1], openings)


def _heights_over(model: Model, blocks: Sequence[Columns], decision: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    totals = score.over_columns(_in_pieces(blocks), model, decision)["total"]
    return times_ms(len(totals), model.network.stride), heights(totals, model.decided(decision)[0])


def _in_pieces(blocks: Sequence[Columns]) -> Iterable[Columns]:
    for block in blocks:
        for at in range(0, len(block), _COLUMNS_AT_ONCE):
            yield np.asarray(block[at : at + _COLUMNS_AT_ONCE])
