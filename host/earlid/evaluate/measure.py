# SPDX-License-Identifier: MIT
"""Runs one task in this process: reads and mixes recordings, runs the firmware's gate, reduces its scores to counts."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earlid.accuracy import curve
from earlid.errors import FAILED, UserError
from earlid.evaluate.recordings import Recording, file_digest
from earlid.evaluate.tasks import Task
from earlid.gate import code_digest as digests
from earlid.gate import look, models, score
from earlid.gate.audio import RATE_HZ, audio_blocks, read_audio
from earlid.sound import mixing


@lru_cache(maxsize=1)
def code_digest() -> str:
    """SHA-256, in hex, over all that a result depends on: this module with what it imports, the gate, its looks."""
    return digests.code_digest(__name__, data=look.FOLDER.iterdir())


@lru_cache(maxsize=4)
def _model(name: str) -> models.Model:
    return models.load(name)


def run_task(task: Task) -> dict[str, Any]:
    """Measure one task.

    Returns:
        A result of plain values: `trials` (name and peak of each word) or `events` (openings for each cutoff, cut
        behind the last that is not zero), seconds of audio, of wall and of processor, broken files.

    Raises:
        UserError: the network or the firmware here is not the one that the task was planned with.
    """
    started_s, cpu_s = time.monotonic(), _cpu_s()
    model = _model(task.model)
    if model.digest.hex() != task.model_digest or code_digest() != task.code_digest:
        raise UserError(
            "this worker has another network or another firmware than the planner: install the same Earlid there",
            FAILED,
        )
    result: dict[str, Any] = task.describe()
    broken: list[list[str]] = []
    blocks, spans, names = _stream(task, broken)
    samples = 0

    def counted() -> Iterator[NDArray[np.int16]]:
        nonlocal samples
        for block in blocks:
            samples += len(block)
            yield block

    scores = score.run_gate(counted(), model, task.decision)
    if task.role == "positive":
        result["trials"] = [
            [name, score.peak_in(scores, span.start_ms, span.end_ms + score.AFTER_MS)]
            for name, span in zip(names, spans, strict=True)
        ]
    else:
        counts = curve.openings_by_cutoff(scores.t_ms, scores.values)
        result["events"] = np.trim_zeros(counts, "b").tolist()
    return result | {
        "audio_s": samples / RATE_HZ,
        "broken": broken, "wall_s": round(time.monotonic() - started_s, 4), "cpu_s": round(_cpu_s() - cpu_s, 4),
    }  # fmt: skip


def build_stream(task: Task, samples_max: int | None = None) -> NDArray[np.int16]:
    """A task's samples as the gate hears them, or the first of them."""
    parts, samples = [np.zeros(0, np.int16)], 0
    for block in _stream(task, [])[0]:
        parts.append(block)
        samples += len(block)
        if samples_max is not None and samples >= samples_max:
            break
    return np.concatenate(parts)[:samples_max]


Blocks = Iterable[NDArray[np.int16]]


def _stream(task: Task, broken: list[list[str]]) -> tuple[Blocks, list[mixing.WordSpan], list[str]]:
    """Samples, block by block: of recordings without the word no more is ever held. Words are, being short."""
    levels: dict[str, mixing.Level] = {}
    for recording in task.recordings:
        level = _level(recording, broken)
        if level is not None:
            levels[recording.path] = level
    recordings = [recording for recording in task.recordings if recording.path in levels]
    names = [recording.name for recording in recordings]
    if not recordings:  # none of its files is what it was when they were listed
        return [], [], []
    snr_db = task.condition.snr_db
    sounds = (audio_blocks(recording.path) for recording in recordings)
    if task.role == "negative" and snr_db is None:
        return itertools.chain.from_iterable(sounds), [], names
    rng = np.random.default_rng([task.seed, int(task.recordings[0].digest[:8], 16)])
    if task.role == "negative":
        noise = _noise(task, sum(level.samples for level in levels.values()), rng, broken)
        return mixing.noisy_blocks(sounds, [levels[each.path] for each in recordings], noise, float(snr_db or 0)), [], names
    words = [read_audio(recording.path) for recording in recordings]
    samples = mixing.stream_samples(words)
    background = mixing.pink_noise(samples, rng) if snr_db is None else _noise(task, samples, rng, broken).part(0, samples)
    pcm, spans = mixing.word_stream(words, background, snr_db)
    return [pcm], spans, names


def _noise(task: Task, samples: int, rng: np.random.Generator, broken: list[list[str]]) -> mixing.Repeated:
    choices: Sequence[Recording] = task.condition.noise
    if choices:
        recording = choices[int(rng.integers(len(choices)))]
        if _level(recording, broken) is not None:
            return mixing.repeated(_beginning(recording.path), samples, rng)
    return mixing.Repeated(mixing.pink_noise(min(samples, mixing.PERIOD), rng))


def _beginning(path: str) -> NDArray[np.int16]:
    parts, samples = [], 0
    for block in audio_blocks(path):
        parts.append(block)
        samples += len(block)
        if samples >= mixing.PERIOD:
            break
    return np.concatenate(parts)[: mixing.PERIOD]


def _level(recording: Recording, broken: list[list[str]]) -> mixing.Level | None:
    """A recording's level; None, and why, when it cannot be read to its end or is not what was listed."""
    try:
        level = mixing.level_of(audio_blocks(recording.path))
    except UserError as error:
        broken.append([recording.name, str(error).removeprefix(f"{recording.path}: ")])
        return None
    if _digest(recording.path) != recording.digest:
        broken.append([recording.name, "changed since it was listed; run again"])
        return None
    return level


def _digest(path: str) -> str:
    try:
        return file_digest(Path(path))
    except OSError:  # gone meanwhile
        return ""


def _cpu_s() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system
