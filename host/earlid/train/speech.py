# SPDX-License-Identifier: MIT
"""Records what a plan says: one WAV file an utterance, named by all that makes it. A run that was killed goes on where it was."""

from __future__ import annotations

import hashlib
import io
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import cache as memoized
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from earlid.errors import FAILED, Missing, UserError
from earlid.files import write_atomically
from earlid.gate.audio import RATE_HZ, read_audio
from earlid.sound import speakers
from earlid.train import workers

NATURAL = ("kokoro", "piper", "hibari")  # that a listener may take for people
ENGINES = (*NATURAL, "espeak-ng", "flite")
PEAK = 0.5  # of full scale
# Of one processor for one text, until it is measured.
_SECONDS = {"kokoro": 0.8, "piper": 0.3, "hibari": 0.1, "espeak-ng": 0.05, "flite": 0.1}
_TOGETHER = 8  # utterances that one call of a process makes
_PROCESSES = 2
_LENGTH_S = (0.15, 10.0)  # of what can be speech
_SILENT_PEAK = 1e-4


class Said(Protocol):
    """What makes a recording."""

    @property
    def text(self) -> str: ...
    @property
    def engine(self) -> str: ...
    @property
    def voice(self) -> str: ...
    @property
    def speed(self) -> float: ...


T = TypeVar("T", bound=Said)


def voices(engines: Iterable[str] = ENGINES) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Voices of each engine that there is, and a sentence for each that is not.

    Raises:
        Missing: no natural voice is there.
    """
    found: dict[str, tuple[str, ...]] = {}
    missing = []
    for name in engines:
        try:
            engine_digest(name)  # asks the programs that it needs
            found[name] = speakers.engine(name).voices
        except Missing as error:
            missing.append(f"{name} is left out: {error}")
    if not set(found) & set(NATURAL):
        raise Missing("no natural voice is there to learn from. " + " ".join(missing))
    return found, missing


@memoized
def engine_digest(name: str) -> str:
    """What made an engine's recordings, in hex."""
    return speakers.engine(name).digest()


def path_of(said: Said, folder: Path) -> Path:
    """Its recording, named by the digest of all that makes it."""
    key = repr((engine_digest(said.engine), said.text, said.voice, said.speed, PEAK))
    return folder / said.engine / f"{hashlib.sha256(key.encode()).hexdigest()[:20]}.wav"


def record(said: Said, folder: Path) -> None:
    """Make the recording: 16 kHz, 16 bit, its peak at half of full scale.

    Raises:
        ValueError: the engine gave no speech.
    """
    samples, rate_hz = speakers.engine(said.engine).say(said.text, said.voice, said.speed)
    if rate_hz != RATE_HZ:
        samples = soxr.resample(samples, rate_hz, RATE_HZ, quality="VHQ")
    peak = float(np.abs(samples).max()) if len(samples) else 0.0
    if peak < _SILENT_PEAK or not _LENGTH_S[0] < len(samples) / RATE_HZ < _LENGTH_S[1]:
        raise ValueError(f"{said}: {len(samples) / RATE_HZ:.2f} s, peak {peak:.5f}: not speech")
    content = io.BytesIO()
    soundfile.write(content, (samples / peak * PEAK).astype(np.float32), RATE_HZ, subtype="PCM_16", format="WAV")
    write_atomically(path_of(said, folder), content.getvalue(), make_folder=True)


def record_all(plan: Sequence[T], folder: Path, progress: Callable[[float, float], None]) -> list[T]:
    """Record what is missing, on two processors.

    Args:
        progress: told the seconds of work done, and of all; what an engine needs is measured while it runs.

    Returns:
        What an engine could not say, which is left out.

    Raises:
        UserError: code 1 when an engine says less than half of what it should, a process is ended, or nothing can be written.
    """
    wanted = [said for said in plan if not path_of(said, folder).exists()]
    # An engine's utterances stay together: a process loads one engine after the other.
    pieces = [part for name in ENGINES for part in _pieces([said for said in wanted if said.engine == name])]
    left = Counter(said.engine for said in wanted)
    rate = {name: _SECONDS[name] / _PROCESSES for name in left}
    began_s, failed = time.monotonic(), list[T]()
    progress(0.0, sum(left[name] * rate[name] for name in left))
    with workers.pool(_PROCESSES) as pool:
        try:
            for done in as_completed(pool.submit(_record_piece, piece, folder) for piece in pieces):
                piece, seconds, mute = done.result()
                failed += mute
                name = piece[0].engine
                left[name] -= len(piece)
                rate[name] += 0.3 * (seconds / len(piece) / _PROCESSES - rate[name])
                passed_s = time.monotonic() - began_s
                progress(passed_s, passed_s + sum(left[name] * rate[name] for name in left))
        except BrokenProcessPool as error:
            raise UserError(
                "a process died that records, perhaps for want of memory: start again, it goes on.", FAILED
            ) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    for name, count in Counter(said.engine for said in failed).items():
        if 2 * count > sum(said.engine == name for said in plan):
            raise UserError(f"{name} cannot say it: of most texts it makes no speech. Spell the word otherwise.", FAILED)
    return failed


def spoken(plan: Iterable[T], folder: Path) -> Iterator[tuple[T, NDArray[np.int16]]]:
    """What was recorded of a plan: int16 samples at 16 kHz."""
    for said in plan:
        if (path := path_of(said, folder)).exists():
            yield said, read_audio(path)


def _pieces(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for at in range(0, len(items), _TOGETHER):
        yield items[at : at + _TOGETHER]


def _record_piece(piece: Sequence[T], folder: Path) -> tuple[Sequence[T], float, list[T]]:
    began_s, mute = time.monotonic(), []
    for said in piece:
        try:
            record(said, folder)
        except ValueError:
            mute.append(said)
    return piece, time.monotonic() - began_s, mute
