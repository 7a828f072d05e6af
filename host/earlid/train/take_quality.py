# SPDX-License-Identifier: MIT
"""Judges a recording of the word: where the word lies in it, and what is wrong with it. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

RATE_HZ = 16000
FRAME = 160  # samples, 10 ms
Pcm = NDArray[np.int16]

BELOW_LOUDEST_DB = 25.0  # what is quieter than that below the loudest 30 ms is no part of the word
ABOVE_FLOOR_DB = 6.0
FLOOR_SHARE = 0.1  # of a recording, its quietest: the room
QUIETEST_DBFS = -80.0  # below it, samples of 16 bits are mostly 0
PAUSE_FRAMES = 45  # longer than any stop inside a word or phrase, shorter than the pause between two
SOUND_FRAMES = 4  # what is shorter than 40 ms is a click
SECOND_WORD_DB = 12.0  # below the first one's energy: what is quieter is breath or an echo,
SECOND_WORD_FRAMES = 12  # and what is shorter, a key or a chair

SILENT_DBFS = -60.0
QUIET_DBFS = -45.0
SNR_LEAST_DB = 10.0
WORD_MOST_S, WORD_LEAST_S = 2.5, 0.2
TAKE_MOST_S = 20.0
EDGE_FRAMES = 3  # a word that begins or ends nearer to the edge than 30 ms may be cut off
EDGE_DB = 15.0  # below the loudest: how loud such an edge is
CLIP_WITHIN = 0.95  # of the largest sample
CLIP_SHARE = (
    0.025  # of a word's samples so near to it; 165 people's words have 0.0221 at most, ones with 6 dB cut off 0.019 to 0.075
)
COPY_CORRELATION = 0.9  # two takes of one person stay far below it, a copy at another level or coded anew above
COPY_LENGTH = 1 << 15  # samples at 8 kHz: of words of 2 s at most


@dataclass(frozen=True)
class Span:
    """Where the word lies in a recording, in samples; levels in dB below full scale."""

    start: int
    end: int
    loudest_dbfs: float
    floor_dbfs: float

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / RATE_HZ


def frame_levels(pcm: Pcm) -> NDArray[np.float64]:
    """Level of each whole 10 ms, over 30 ms around it, in dB below a full-scale square wave, shape (frames,)."""
    frames = pcm[: len(pcm) // FRAME * FRAME].astype(np.float64).reshape(-1, FRAME)
    power = np.mean((frames - (pcm.mean() if len(pcm) else 0.0)) ** 2, axis=1) / 32768.0**2
    around = np.convolve(np.pad(power, 1, mode="edge"), np.ones(3) / 3, "valid") if len(power) else power
    return np.asarray(10 * np.log10(np.maximum(around, 10 ** (QUIETEST_DBFS / 10))))


def floor_of(levels: NDArray[np.float64]) -> float:
    """The room's level; silence that a program put there is none."""
    heard = levels[levels > QUIETEST_DBFS]
    return float(np.quantile(heard, FLOOR_SHARE)) if len(heard) > len(levels) // 4 else QUIETEST_DBFS


def sounds_in(levels: NDArray[np.float64]) -> list[tuple[int, int]]:
    """The sounds in a recording as (first frame, frame behind the last); those with no pause between them are one."""
    if not len(levels):
        return []
    threshold = max(levels.max() - BELOW_LOUDEST_DB, floor_of(levels) + ABOVE_FLOOR_DB)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], levels >= threshold, [False]])))
    bursts = [(int(first), int(last)) for first, last in edges.reshape(-1, 2) if last - first >= SOUND_FRAMES]
    joined: list[tuple[int, int]] = []
    for first, last in bursts:
        if joined and first - joined[-1][1] < PAUSE_FRAMES:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return joined


def word_span(pcm: Pcm, near: int | None = None) -> Span | None:
    """Where the word lies; None where nothing is louder than the room.

    Args:
        pcm: int16 samples at 16 kHz.
        near: a sample of which is known that the word is there or has just ended; else the sound with most energy is the word.
    """
    levels = frame_levels(pcm)
    sounds = sounds_in(levels)
    if not sounds:
        return None
    if near is None:
        first, last = max(sounds, key=lambda sound: _energy(levels, sound))
    else:
        first, last = min(sounds, key=lambda sound: _distance(sound, near // FRAME))
    return Span(first * FRAME, last * FRAME, float(levels[first:last].max()), floor_of(levels))


def _energy(levels: NDArray[np.float64], sound: tuple[int, int]) -> float:
    return float(np.sum(10 ** (levels[sound[0] : sound[1]] / 10)))


def _distance(sound: tuple[int, int], frame: int) -> int:
    return max(sound[0] - frame, frame - sound[1], 0)


def problems_of(pcm: Pcm) -> list[str]:
    """What is wrong with a recording of the word, each with what to do; empty for a good one.

    Args:
        pcm: int16 samples at 16 kHz.
    """
    if len(pcm) > TAKE_MOST_S * RATE_HZ:
        return [f"longer than {TAKE_MOST_S:.0f} s: record the word alone, once a file"]
    levels = frame_levels(pcm)
    span = word_span(pcm)
    loudest = float(levels.max()) if len(levels) else QUIETEST_DBFS
    if loudest < SILENT_DBFS:
        return ["silence: is the right microphone chosen, and not muted?"]
    if span is None or loudest - span.floor_dbfs < SNR_LEAST_DB:
        return ["the room is as loud as your voice: come nearer, or make the room quieter"]
    found = []
    if loudest < QUIET_DBFS:
        found.append("too quiet: come nearer, or turn the microphone's level up")
    if is_clipped(pcm[span.start : span.end]):
        found.append("clipped: move away, or turn the microphone's level down")
    first, last = span.start // FRAME, span.end // FRAME
    if first < EDGE_FRAMES and levels[0] > loudest - EDGE_DB:
        found.append("cut off at the start: wait half a second before you speak")
    if last > len(levels) - EDGE_FRAMES and levels[-1] > loudest - EDGE_DB:
        found.append("cut off at the end: wait half a second after you spoke")
    others = [sound for sound in sounds_in(levels) if sound != (first, last) and sound[1] - sound[0] >= SECOND_WORD_FRAMES]
    least = _energy(levels, (first, last)) * 10 ** (-SECOND_WORD_DB / 10)
    if any(_energy(levels, sound) > least for sound in others):
        found.append("more than one word: say it once, with silence around it")
    elif span.seconds > WORD_MOST_S:
        found.append(f"{span.seconds:.1f} s of sound: say the word once, without other talk")
    elif span.seconds < WORD_LEAST_S:
        found.append(f"only {1000 * span.seconds:.0f} ms of sound: no word is that short")
    return found


def is_clipped(word: Pcm) -> bool:
    """Whether a word's waves have flat tops; those cut off at full scale have them still when converted to another rate."""
    size = np.abs(word.astype(np.int32))
    return float(np.mean(size > CLIP_WITHIN * size.max())) > CLIP_SHARE


def copies(recordings: Sequence[Pcm]) -> list[tuple[int, int]]:
    """Which recordings are copies of an earlier one, as (number, number of the earlier): nobody says a word twice alike.

    The largest normalised cross-correlation of the words in them: a copy at another level, shifted, cut, or coded anew is found.
    """
    found = []
    spectra = np.zeros((len(recordings), COPY_LENGTH // 2 + 1), np.complex64)
    for number, pcm in enumerate(recordings):
        spectra[number] = _spectrum(pcm)
        if number:
            alike = fft.irfft(spectra[:number].conj() * spectra[number], COPY_LENGTH, axis=1)
            likeness = np.max(np.abs(alike), axis=1)
            if likeness.max() > COPY_CORRELATION:
                found.append((number, int(likeness.argmax())))
    return found


def _spectrum(pcm: Pcm) -> NDArray[np.complex64]:
    """Of the word at 8 kHz, padded, such that the word correlates with itself by 1."""
    span = word_span(pcm)
    if span is None:
        return np.zeros(COPY_LENGTH // 2 + 1, np.complex64)
    word = pcm[span.start : span.end].reshape(-1, 2).mean(axis=1)[: COPY_LENGTH // 2]
    word = (word - word.mean()).astype(np.float32)
    spectrum: NDArray[np.complex64] = fft.rfft(word / np.linalg.norm(word), COPY_LENGTH)
    return spectrum
