# SPDX-License-Identifier: MIT
"""Scenes as the firmware's columns: made by two processes, piece by piece on disk, so that a run that was killed goes on."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earlid.files import write_atomically
from earlid.gate import runner
from earlid.gate.audio import RATE_HZ
from earlid.gate.quantise import quantised_features
from earlid.sound.mixing import Floats
from earlid.train import scenes, workers
from earlid.train.examples import Columns, Heard
from earlid.train.scenes import Pcm
from earlid.train.shape import INPUT_SCALE, INPUT_ZERO

TOGETHER_S = 60.0  # of utterances in one scene, about
PROCESSES = 2
HOP_MS = 10
FIRST_HOPS = 3  # that the first column is made of

Progress = Callable[[float, float], None]
_Job = tuple[list[Pcm], list[int], Path]
_Piece = tuple[Columns, NDArray[np.int64]]


@dataclass(frozen=True)
class Passes:
    """How many times an utterance is heard, each time in another scene: words, near words, either of them by a voice that nobody
    takes for a person's, sentences without the word, pieces of people's talk, the owner's takes; and any of part `stop`."""

    word: int = 6
    formant: int = 2
    near: int = 4
    sentence: int = 2
    talk: int = 1
    owner: int = 60
    stop: int = 2

    def of_part(self, part: str) -> Passes:
        """Those of one part: of `stop`, the same for all."""
        return Passes(*[self.stop] * len(fields(self))) if part == "stop" else self


FULL, SMALL = Passes(), Passes(word=4, formant=2, near=2, sentence=1, owner=10, stop=1)


@dataclass(frozen=True)
class Studio:
    """Where scenes are made: the folder that keeps pieces, rooms, and what lies below utterances. These two are called in each
    process, so that they may map files into memory; with one process, in this one."""

    folder: Path
    rooms: Callable[[], Sequence[Floats]]
    noises: Callable[[], Sequence[Pcm]]
    seed: int
    processes: int = PROCESSES


def columns_of(pcm: Pcm) -> Columns:
    """What the firmware's frontend makes of samples, as bytes of the network's input: uint8 [hops, 40]."""
    return quantised_features(INPUT_SCALE, INPUT_ZERO)[runner.features(pcm)]


def last_column(end_ms: int) -> int:
    """The column in which sound that ends so many milliseconds from the start is heard last."""
    return -(-end_ms // HOP_MS) - FIRST_HOPS


def heard(name: str, utterances: Sequence[Pcm], passes: int, studio: Studio, progress: Progress) -> Heard:
    """Each utterance so many times, in scenes of their own; always the same ones for a name, a seed and utterances.

    Args:
        name: of the pieces in the folder.
        utterances: int16 at 16 kHz.
        progress: called with pieces done and all.
    """
    groups = _groups(utterances, passes, np.random.default_rng([studio.seed, 0]))
    paths = [studio.folder / f"{name}-{number:04}.npz" for number in range(len(groups))]
    found = {number: piece for number, path in enumerate(paths) if (piece := _read(path, len(groups[number])))}
    wanted = [number for number in range(len(groups)) if number not in found]
    progress(len(found), len(groups))
    if wanted:
        studio.folder.mkdir(parents=True, exist_ok=True)
        jobs = [([utterances[place] for place in groups[number]], [studio.seed, 1 + number], paths[number]) for number in wanted]
        for number, piece in zip(wanted, _pieces(jobs, studio), strict=True):
            found[number] = piece
            progress(len(found), len(groups))
    pieces = [found[number] for number in range(len(groups))]
    starts = np.cumsum([0, *(len(columns) for columns, _ in pieces)])
    ends = np.concatenate([ends + start for (_, ends), start in zip(pieces, starts, strict=False)])
    return Heard(np.concatenate([columns for columns, _ in pieces]), ends, np.ones(len(ends)))


def _pieces(jobs: list[_Job], studio: Studio) -> Iterator[_Piece]:
    if studio.processes == 1:
        _open(studio.rooms, studio.noises)
        yield from map(_piece, jobs)
        return
    with workers.pool(studio.processes, _open, (studio.rooms, studio.noises)) as pool:
        yield from pool.map(_piece, jobs)


def _groups(utterances: Sequence[Pcm], passes: int, rng: np.random.Generator) -> list[list[int]]:
    """Which utterances share a scene."""
    groups: list[list[int]] = [[]]
    length = 0
    for place in np.concatenate([rng.permutation(len(utterances)) for _ in range(passes)]).astype(int).tolist():
        if groups[-1] and length + len(utterances[place]) > TOGETHER_S * RATE_HZ / 2:
            groups.append([])
            length = 0
        groups[-1].append(place)
        length += len(utterances[place])
    return groups


_below: dict[str, Any] = {}  # of a process that makes scenes: its rooms and noises


def _open(rooms: Callable[[], Sequence[Floats]], noises: Callable[[], Sequence[Pcm]]) -> None:
    _below.update(responses=rooms(), recorded=noises())


def _piece(job: _Job) -> _Piece:
    utterances, seed, path = job
    made = scenes.scene(utterances, _below["responses"], _below["recorded"], np.random.default_rng(seed))
    columns = columns_of(made.pcm)
    ends = np.array([last_column(span.end_ms) for span in made.spans], np.int64)
    content = io.BytesIO()
    np.savez(content, columns=columns, ends=ends)
    write_atomically(path, content.getvalue())
    return columns, ends


def _read(path: Path, count: int) -> _Piece | None:
    """A piece that was finished; None where it is not there or is broken."""
    try:
        with np.load(path) as stored:
            columns, ends = stored["columns"], stored["ends"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return (columns, ends) if len(ends) == count else None
