# SPDX-License-Identifier: MIT
"""Mixes recordings into streams: words between stretches of background, and recordings in noise. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from earlid.gate.audio import RATE_HZ

FRAME = 512  # samples: the loudest such frame is a recording's level
GAP_S = 1.5  # background before and after each word
LEAD_S = 3.0  # background before the first: the noise floor is found
BACKGROUND_DBFS = -65.0
NOISE_DBFS = -45.0  # of noise, when words are to be so many decibels above it
PEAK_MAX = 0.89  # of full scale, -1 dB
GAIN_MAX_DB = 30.0
END_DB = 25.0  # a word ends with its last 10 ms within so many decibels of its loudest
END_FRAME = 160  # samples
FADE = 320  # samples, 20 ms
ONSET_SHARE = 0.2  # of its loudest frame, that talk has in its first tenth of a second

PERIOD = 30 * RATE_HZ  # samples of noise, which are repeated where a recording is longer

Floats = NDArray[np.float64]
Pcm = NDArray[np.int16]


@dataclass(frozen=True)
class WordSpan:
    """Where a word lies in a stream, in milliseconds."""

    start_ms: int
    end_ms: int


def frame_rms(samples: NDArray[np.floating] | Pcm) -> Floats:
    """RMS of each whole frame of 512 samples (of the samples as they are, when there are fewer), shape (frames,)."""
    values = np.asarray(samples, dtype=np.float64)
    if len(values) < FRAME:
        return np.array([np.sqrt(np.mean(values**2))]) if len(values) else np.zeros(1)
    frames = values[: len(values) // FRAME * FRAME].reshape(-1, FRAME)
    return np.asarray(np.sqrt(np.mean(frames**2, axis=1)))


def sound_end_ms(samples: NDArray[np.floating] | Pcm) -> int:
    """Where a word's sound ends within its recording: the last 10 ms within 25 dB of its loudest 10 ms."""
    frames = np.asarray(samples[: len(samples) // END_FRAME * END_FRAME], float).reshape(-1, END_FRAME)
    power = np.mean(frames**2, axis=1)
    loud = np.flatnonzero(power >= power.max(initial=0) * 10 ** (-END_DB / 10))
    return 10 * (int(loud[-1]) + 1) if len(loud) else 0


def pink_noise(samples: int, rng: np.random.Generator) -> Floats:
    """Noise of RMS 1 whose power falls 3 dB an octave above 60 Hz, roughly as rooms and traffic have it."""
    length = fft.next_fast_len(samples, real=True)
    spectrum = fft.rfft(rng.standard_normal(length))
    hertz = fft.rfftfreq(length, 1 / RATE_HZ)
    spectrum /= np.sqrt(np.maximum(hertz, 60.0))
    spectrum[hertz < 20] = 0
    noise = fft.irfft(spectrum, length)[:samples]
    return np.asarray(noise / max(float(np.sqrt(np.mean(noise**2))), 1e-12))


def stretch(recording: Pcm, samples: int, rng: np.random.Generator) -> Floats:
    """So much noise from a recording, from a random place on, repeated with cross-fades; RMS 1."""
    source = recording.astype(np.float64)
    fade = min(FADE, len(source) // 4)
    if fade:
        ramp = np.linspace(0, 1, fade)
        source = np.concatenate([source[:-fade], source[-fade:] * (1 - ramp) + source[:fade] * ramp])[fade:]
    repeated = np.resize(np.roll(source, -int(rng.integers(len(source)))), samples)
    rms = float(np.sqrt(np.mean(repeated**2)))
    return np.asarray(repeated / rms) if rms > 0 else np.zeros(samples)


def talk_piece(talk: Sequence[Pcm], samples: int, rng: np.random.Generator) -> Floats:
    """So many samples of somebody's talk, from a place where it is not in a pause if a few tries find one; fewer where a
    recording is shorter."""
    piece = np.zeros(0)
    for _ in range(6):
        recording = talk[int(rng.integers(len(talk)))]
        first = int(rng.integers(max(1, len(recording) - samples)))
        piece = np.asarray(recording[first : first + samples], np.float64)
        frames = frame_rms(piece)
        if frames[: max(1, int(0.1 * RATE_HZ) // FRAME)].max() > ONSET_SHARE * frames.max() > 0:
            break
    return piece


def followed(word: Floats | Pcm, end: int, gap: int, talk: Floats) -> Floats:
    """A word that somebody goes on talking after, the loudest frames of both alike.

    Args:
        word: samples.
        end: where among them its sound ends.
        gap: samples after that before the talk begins; what the recording has there stays.
        talk: samples.
    """
    before = np.asarray(word[: end + gap], np.float64)
    loudest = float(frame_rms(before).max()), max(1.0, float(frame_rms(talk).max()))
    ramp = np.minimum(1.0, np.arange(len(talk)) / FADE)
    return np.concatenate([before, np.zeros(end + gap - len(before)), talk * ramp * (loudest[0] / loudest[1])])


@dataclass(frozen=True)
class Level:
    """How long and how loud a recording is: its loudest frame, and its largest sample."""

    samples: int
    loudest: float
    peak: float


def level_of(blocks: Iterable[Pcm]) -> Level:
    """The level of a recording that comes in blocks."""
    samples, loudest, peak = 0, 0.0, 0.0
    rest = np.zeros(0)
    for block in blocks:
        samples += len(block)
        values = np.concatenate([rest, block])
        whole = len(values) // FRAME * FRAME
        if whole:
            loudest = max(loudest, float(frame_rms(values[:whole]).max()))
        rest = values[whole:]
        peak = max(peak, float(np.max(np.abs(values), initial=0)))
    return Level(samples, loudest if samples >= FRAME else float(frame_rms(rest).max()), peak)


@dataclass(frozen=True)
class Repeated:
    """Noise of RMS 1 without end: one period of it, over and over."""

    period: Floats

    def part(self, start: int, stop: int) -> Floats:
        """Its samples from one place to another."""
        if stop <= len(self.period):
            return self.period[start:stop]
        return np.asarray(self.period[np.arange(start, stop) % len(self.period)])


def repeated(recording: Pcm, samples: int, rng: np.random.Generator) -> Repeated:
    """Noise from a recording, as `stretch` makes so many samples of it, but in one period."""
    return Repeated(stretch(recording, min(samples, len(recording) - min(FADE, len(recording) // 4)), rng))


def noisy_blocks(sounds: Iterable[Iterable[Pcm]], levels: Sequence[Level], noise: Repeated, snr_db: float) -> Iterator[Pcm]:
    """`noisy_stream`, block by block: recordings of known levels end to end in noise."""
    height = 32768 * 10 ** (NOISE_DBFS / 20)
    at = 0
    for blocks, level in zip(sounds, levels, strict=True):
        around = level_of_noise(noise, at, at + level.samples) * height
        gain = _gain(level, around, snr_db)
        for block in blocks:
            yield _to_pcm(noise.part(at, at + len(block)) * height + block * gain)
            at += len(block)


def level_of_noise(noise: Repeated, start: int, stop: int) -> float:
    """The loudest frame of noise from one place to another."""
    steps = range(start, max(start + 1, stop - FRAME + 1), FRAME << 8)
    return max(float(frame_rms(noise.part(at, min(at + (FRAME << 8), stop))).max()) for at in steps)


def _gain(level: Level, noise_loudest: float, snr_db: float) -> float:
    if level.loudest < 1.0:
        return 1.0
    return min(32768 * PEAK_MAX / max(1.0, level.peak), noise_loudest * 10 ** (snr_db / 20) / level.loudest)


def word_stream(words: Sequence[Pcm], background: Floats, snr_db: float | None) -> tuple[Pcm, list[WordSpan]]:
    """Words one after the other in one background.

    Clean (`snr_db` None): the background is quiet, and each word is amplified so that its own quietest part is as loud:
    the noise in its recording goes on where the background ends, and no step in it wakes the gate early.
    With `snr_db`, the loudest frame of each word is that far above the loudest frame of the noise around it.

    Args:
        words: int16 recordings.
        background: noise of RMS 1, at least as long as the stream: `stream_samples(words)`.
        snr_db: decibels, or None.

    Returns:
        The int16 stream, and where each word lies.
    """
    level = 32768 * 10 ** ((BACKGROUND_DBFS if snr_db is None else NOISE_DBFS) / 20)
    out = background[: stream_samples(words)] * level
    at = int(LEAD_S * RATE_HZ)
    gap = int(GAP_S * RATE_HZ)
    spans = []
    for word in words:
        around = out[at - gap : at + len(word) + gap]
        gain = _floor_gain(word, level) if snr_db is None else _snr_gain(word, around, snr_db)
        part = word * gain
        fade = min(FADE, len(part) // 4)
        ramp = np.ones(len(part))
        ramp[:fade] = np.linspace(0, 1, fade)
        ramp[len(part) - fade :] = np.linspace(1, 0, fade)
        if snr_db is None:
            out[at : at + len(part)] *= np.sqrt(1 - ramp**2)  # its own noise takes over
        out[at : at + len(part)] += part * ramp
        spans.append(WordSpan(at * 1000 // RATE_HZ, (at + len(part)) * 1000 // RATE_HZ))
        at += len(part) + 2 * gap
    return _to_pcm(out), spans


def stream_samples(words: Sequence[Pcm]) -> int:
    """How long `word_stream` will be."""
    return int(LEAD_S * RATE_HZ) + sum(len(word) + 2 * int(GAP_S * RATE_HZ) for word in words)


def noisy_stream(recordings: Sequence[Pcm], noise: Floats, snr_db: float) -> Pcm:
    """Recordings end to end in steady noise, each one's loudest frame `snr_db` above the loudest of the noise with it."""
    levels = [level_of([recording]) for recording in recordings]
    return np.concatenate(list(noisy_blocks(([recording] for recording in recordings), levels, Repeated(noise), snr_db)))


def _floor_gain(word: Pcm, level: float) -> float:
    frames = frame_rms(word)
    floor = max(float(np.quantile(frames, 0.1)), 1.0)
    limit = 32768 * PEAK_MAX / max(1.0, float(np.max(np.abs(word.astype(np.float64)))))
    return float(np.clip(level / floor, 10 ** (-GAIN_MAX_DB / 20), min(limit, 10 ** (GAIN_MAX_DB / 20))))


def _snr_gain(recording: Pcm, noise: Floats, snr_db: float) -> float:
    return _gain(level_of([recording]), float(frame_rms(noise).max()), snr_db)


def _to_pcm(values: Floats) -> Pcm:
    return np.clip(np.rint(values), -32768, 32767).astype(np.int16)
