# SPDX-License-Identifier: MIT
"""Scenes to learn from: utterances as other throats, rooms and microphones would give them, in a stream of background sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlid.gate.audio import RATE_HZ
from earlid.sound.mixing import FADE, Floats, frame_rms, pink_noise, sound_end_ms
from earlid.sound.noises import unit

Pcm = NDArray[np.int16]

LEAD_S = 2.0  # of background before the first utterance: the frontend's noise floor settles
GAP_S = (0.5, 1.3)  # of background before and after each
RESAMPLED = 0.12  # a throat so much longer or shorter, and speech so much slower or faster
ROOM_CHANCE = 0.6
ROOMS = tuple((rt60_s, metres) for rt60_s in (0.2, 0.35, 0.5, 0.7) for metres in (0.5, 1.0, 2.0, 3.0))
ROOMS_OF_EACH = 3
FIRST_ROOM = 200  # the benchmark's begin at 0
QUIET_CHANCE = 0.35  # of a scene
SNR_DB = (2.0, 25.0)
NOISE_DBFS, QUIET_DBFS = (-60.0, -32.0), (-78.0, -52.0)
RECORDED_CHANCE, HUM_CHANCE = 0.7, 0.15  # in noise; a scene in quiet has no recordings below it
NARROW_LOW_CHANCE, NARROW_HIGH_CHANCE = 0.4, 0.25  # of a microphone
PEAK = (0.02, 0.9)  # of full scale, in quiet
CLIPPED_CHANCE = 0.05
FLOOR_CHANCE = 0.5  # that an utterance brings its recording's own noise, which begins and ends with it
FLOOR_DB = (-50.0, -14.0)  # against its loudest frame
FLOOR_S = (0.05, 0.6)  # before and after it
COLOUR_DB = 4.0  # standard deviation of a microphone's response at each of COLOUR_HZ
COLOUR_HZ = (60.0, 200.0, 500.0, 1200.0, 2500.0, 4500.0, 7500.0)


class Span(NamedTuple):
    """Where an utterance's sound lies in a scene, in milliseconds."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True)
class Scene:
    """pcm: int16 at 16 kHz; spans: one for each utterance, in their order."""

    pcm: Pcm
    spans: tuple[Span, ...]


def rooms() -> list[Floats]:
    """Impulse responses of rooms that the benchmark does not have; kept in the cache.

    Raises:
        earlid.errors.Missing: no pyroomacoustics.
    """
    from earlid.sound.rooms import impulse_response

    numbers = range(FIRST_ROOM, FIRST_ROOM + ROOMS_OF_EACH)
    return [impulse_response(rt60_s, metres, number) for rt60_s, metres in ROOMS for number in numbers]


def scene(utterances: Sequence[Pcm], responses: Sequence[Floats], recorded: Sequence[Pcm], rng: np.random.Generator) -> Scene:
    """Utterances one after the other, each varied, in one background.

    Args:
        utterances: int16 at 16 kHz.
        responses: of rooms; may be empty.
        recorded: noise, music, talkers to lie below; may be empty.
        rng: decides everything.
    """
    heard = [varied(said, responses, rng) for said in utterances]
    gaps = rng.uniform(*GAP_S, size=2 * len(heard))
    total = int(RATE_HZ * (LEAD_S + gaps.sum())) + sum(len(sound) for sound, _, _ in heard)
    quiet = rng.random() < QUIET_CHANCE
    level = 32768 * 10 ** (rng.uniform(*(QUIET_DBFS if quiet else NOISE_DBFS)) / 20)
    out = background(total, [] if quiet else recorded, rng) * level
    at, spans = int(RATE_HZ * LEAD_S), []
    for number, (sound, start, end) in enumerate(heard):
        at += int(RATE_HZ * gaps[2 * number])
        if quiet:
            gain = 32768 * np.exp(rng.uniform(*np.log(PEAK))) / max(1.0, float(np.abs(sound).max()))
        else:
            near = out[max(0, at - RATE_HZ // 5) : at + len(sound) + RATE_HZ // 5]
            loudest = float(frame_rms(near).max()), max(1.0, float(frame_rms(sound).max()))
            gain = min(loudest[0] / loudest[1] * 10 ** (rng.uniform(*SNR_DB) / 20), 30000 / max(1.0, float(np.abs(sound).max())))
        if rng.random() < CLIPPED_CHANCE:
            sound, gain = np.clip(sound * 3, -32768, 32767), gain / 2
        fade = np.minimum(1.0, np.minimum(np.arange(len(sound)), np.arange(len(sound))[::-1]) / FADE)
        out[at : at + len(sound)] += sound * fade * gain
        spans.append(Span((at + start) * 1000 // RATE_HZ, (at + end) * 1000 // RATE_HZ))
        at += len(sound) + int(RATE_HZ * gaps[2 * number + 1])
    return Scene(np.clip(np.rint(out), -32768, 32767).astype(np.int16), tuple(spans))


def varied(said: Pcm, responses: Sequence[Floats], rng: np.random.Generator) -> tuple[Floats, int, int]:
    """One utterance of another throat, in a room perhaps, by another microphone: samples, and where its sound begins and ends."""
    import soxr
    from scipy import signal

    ratio = 1 + rng.uniform(-RESAMPLED, RESAMPLED)
    sound = np.asarray(soxr.resample(said.astype(np.float32), RATE_HZ, RATE_HZ * ratio, quality="MQ"), np.float64)
    start, end = sound_bounds(sound)
    first = max(0, start - RATE_HZ // 20)  # silence before it tells nothing
    sound, start, end = sound[first : end + RATE_HZ // 10], start - first, end - first
    if len(responses) and rng.random() < ROOM_CHANCE:
        response = responses[int(rng.integers(len(responses)))]
        sound = signal.fftconvolve(sound, response)[: len(sound) + min(len(response), RATE_HZ // 4)]
    sound = coloured(sound, rng)
    if rng.random() < FLOOR_CHANCE:
        before, after = (int(RATE_HZ * seconds) for seconds in rng.uniform(*FLOOR_S, size=2))
        floor = coloured(pink_noise(before + len(sound) + after, rng), rng)
        height = float(frame_rms(sound).max()) * 10 ** (rng.uniform(*FLOOR_DB) / 20)
        sound = np.pad(sound, (before, after)) + unit(floor) * height
        start, end = start + before, end + before
    return sound, start, end


def sound_bounds(sound: Floats | Pcm) -> tuple[int, int]:
    """Samples between which an utterance's sound lies, as `sound_end_ms` has its end; all of it where it is too short to tell."""
    end = sound_end_ms(sound) * RATE_HZ // 1000
    return (len(sound) - sound_end_ms(sound[::-1]) * RATE_HZ // 1000, end) if end else (0, len(sound))


def coloured(sound: Floats, rng: np.random.Generator) -> Floats:
    """Through a microphone whose response is uneven and whose band may be narrow; the length stays."""
    from scipy import fft

    length = fft.next_fast_len(len(sound) + RATE_HZ // 50, real=True)
    hertz = fft.rfftfreq(length, 1 / RATE_HZ)
    octaves = np.log2(np.maximum(hertz, 30.0))
    response_db = np.interp(octaves, np.log2(COLOUR_HZ), rng.normal(0, COLOUR_DB, len(COLOUR_HZ)))
    if rng.random() < NARROW_LOW_CHANCE:
        response_db -= 12 * np.maximum(0, np.log2(rng.uniform(60, 350)) - octaves)
    if rng.random() < NARROW_HIGH_CHANCE:
        response_db -= 24 * np.maximum(0, octaves - np.log2(rng.uniform(2800, 7000)))
    spectrum = fft.rfft(sound, length) * 10 ** (np.maximum(response_db, -60) / 20)
    return np.asarray(fft.irfft(spectrum, length)[: len(sound)])


def background(samples: int, recorded: Sequence[Pcm], rng: np.random.Generator) -> Floats:
    """Sound to lie below, of RMS 1: a recording, noise of a random colour that swells, or both; over it perhaps a hum."""
    noise = coloured(pink_noise(samples, rng), rng)
    every = int(RATE_HZ * np.exp(rng.uniform(np.log(0.05), np.log(2.0))))
    turns = samples // every + 2
    swell = np.interp(np.arange(samples), every * np.arange(turns), rng.normal(0, rng.uniform(0, 0.6), turns))
    noise = unit(noise * np.exp(swell))
    if len(recorded) and rng.random() < RECORDED_CHANCE:
        other = np.asarray(recorded[int(rng.integers(len(recorded)))])
        first = int(rng.integers(max(1, len(other) - samples)))
        part = np.resize(other[first : first + samples].astype(np.float64), samples)
        noise = unit(unit(coloured(part, rng)) + noise * 10 ** (rng.uniform(-30, 0) / 20))
    if rng.random() < HUM_CHANCE:
        tone = 2 * np.pi * np.exp(rng.uniform(np.log(45), np.log(600))) * np.arange(samples) / RATE_HZ
        partials = sum(np.sin(k * tone + rng.uniform(0, 6.28)) * rng.uniform(0.1, 1) / k for k in range(1, 7))
        noise = unit(noise + np.asarray(partials) * rng.uniform(0.2, 1.5))
    return noise
