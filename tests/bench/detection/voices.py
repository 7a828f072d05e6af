# SPDX-License-Identifier: MIT
"""Synthetic voices: the word, near words, sentences. Made once, kept in the cache by digest, listed in `manifest.csv`.

`python -m tests.bench.detection.voices` makes what is missing, after saying how much that is; a run that was killed goes on.
Voices are in one half by name, every second one held; a blend of two is of the half of both. Piper's and Hibari's voices are
held: an engine that nothing was chosen on.
"""

from __future__ import annotations

import csv
import hashlib
import random
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache as memoized
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import soxr
from earlid.files import write_atomically
from earlid.gate.audio import RATE_HZ
from earlid.sound import speakers

from tests.bench.detection import data, texts

Kind = Literal["word", "near", "near-sentence", "sentence"]
ENGINES = ("kokoro", "piper", "hibari", "espeak-ng", "flite")
NATURAL = ("kokoro", "piper", "hibari")  # that a listener may take for people
COLUMNS = ("path", "kind", "text", "engine", "voice", "speed", "split")
BLENDS = 400
PEAK = 0.5  # of full scale
SECONDS_EACH = {"kokoro": 0.7, "piper": 0.15, "hibari": 0.05, "espeak-ng": 0.03, "flite": 0.1}  # of two processors, about
BYTES_EACH = 22_000
_SEED = 7


@dataclass(frozen=True)
class Utterance:
    """What is to be said, how."""

    kind: Kind
    text: str
    engine: str
    voice: str
    speed: float
    half: data.Half


@dataclass(frozen=True)
class Spoken(data.Clip):
    """A synthetic recording."""

    text: str
    engine: str
    voice: str


def folder() -> Path:
    """Where the recordings and `manifest.csv` lie."""
    return data.cache() / "voices"


def plan(engines: Iterable[str] = ENGINES) -> list[Utterance]:
    """All utterances of these engines, none twice.

    Raises:
        data.Missing: an engine is not installed.
    """
    plans = {"kokoro": _kokoro, "piper": _single, "hibari": _single, "espeak-ng": _formants, "flite": _formants}
    return list(dict.fromkeys(item for name in engines for item in plans[name](name, speakers.engine(name).voices)))


def _kokoro(name: str, voices: Sequence[str]) -> Iterator[Utterance]:
    chance = random.Random(_SEED)
    pools: dict[data.Half, list[str]] = {"dev": list(voices[0::2]), "held": list(voices[1::2])}

    def of(kind: Kind, text: str, voice: str, speed: float) -> Utterance:
        return Utterance(kind, text, name, voice, speed, "dev" if voice.split("+")[0] in pools["dev"] else "held")

    def blend(half: data.Half) -> str:
        first, second = chance.sample(pools[half], 2)
        return f"{first}+{second}:{chance.choice((0.35, 0.5, 0.65))}"

    for speed in (1.0, 0.85, 1.2):
        for voice in voices:
            yield of("word", texts.WORD, voice, speed)
    for half in data.HALVES:
        for text in texts.NEAR:
            for voice in chance.sample(pools[half], 6):
                yield of("near", text, voice, chance.choice((0.9, 1.0, 1.15)))
    for number in range(BLENDS):
        half = data.HALVES[number % 2]
        yield of("word", texts.WORD, blend(half), chance.choice((0.8, 0.9, 1.0, 1.1, 1.25)))
        yield of("near", texts.NEAR[number % len(texts.NEAR)], blend(half), chance.choice((0.85, 1.0, 1.15)))
    for kind, sentences, count in _sentences(4, 6):
        for text in sentences:
            for voice in chance.sample(pools["dev"], count) + chance.sample(pools["held"], count):
                yield of(kind, text, voice, 1.0)


def _single(name: str, voices: Sequence[str]) -> Iterator[Utterance]:
    for voice in voices:
        for speed in (0.7, 0.85, 1.0, 1.15, 1.3):
            yield Utterance("word", texts.WORD, name, voice, speed, "held")
        for text in texts.NEAR:
            yield Utterance("near", text, name, voice, 1.0, "held")
        for kind, sentences, _ in _sentences(1, 1):
            for text in sentences:
                yield Utterance(kind, text, name, voice, 1.0, "held")


def _formants(name: str, voices: Sequence[str]) -> Iterator[Utterance]:
    for place, voice in enumerate(voices):
        half = data.HALVES[place % 2]
        for speed in (0.85, 1.0, 1.2):
            yield Utterance("word", texts.WORD, name, voice, speed, half)
        for number, text in enumerate(texts.NEAR):
            if len(voices) <= 4 or (number + place // 2) % 3 == 0:
                yield Utterance("near", text, name, voice, 1.0, half)
        for kind, sentences, _ in _sentences(1, 1):
            for number, text in enumerate(sentences):
                if (number + place // 2) % 4 == 0:
                    yield Utterance(kind, text, name, voice, 1.0, half)


def _sentences(near: int, plain: int) -> tuple[tuple[Kind, Sequence[str], int], ...]:
    return ("near-sentence", texts.NEAR_SENTENCES, near), ("sentence", texts.SENTENCES, plain)


@memoized
def _engine_digest(name: str) -> str:
    return speakers.engine(name).digest()


def path_of(said: Utterance) -> Path:
    """Its recording, named by the digest of all that makes it."""
    key = repr((_engine_digest(said.engine), said.text, said.voice, said.speed, PEAK))
    return folder() / said.engine / f"{hashlib.sha256(key.encode()).hexdigest()[:20]}.wav"


def record(said: Utterance) -> None:
    """Make the recording: 16 kHz, 16 bit, its peak at half of full scale."""
    samples, rate_hz = speakers.engine(said.engine).say(said.text, said.voice, said.speed)
    if rate_hz != RATE_HZ:
        samples = soxr.resample(samples, rate_hz, RATE_HZ, quality="VHQ")
    peak = float(np.abs(samples).max()) if len(samples) else 0.0
    if peak < 1e-4 or not 0.15 < len(samples) / RATE_HZ < 10:
        raise ValueError(f"{said}: {len(samples) / RATE_HZ:.2f} s, peak {peak:.5f}: not speech")
    path = path_of(said)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".new")
    soundfile.write(unfinished, (samples / peak * PEAK).astype(np.float32), RATE_HZ, subtype="PCM_16", format="WAV")
    unfinished.replace(path)


def make(engines: Iterable[str] = ENGINES) -> None:
    """Record what is missing, and write the manifest of all that is there.

    Raises:
        data.Missing: an engine is not installed.
        ValueError: an engine gave no speech.
    """
    items = plan(engines)
    wanted = [item for item in items if not path_of(item).exists()]
    seconds = sum(SECONDS_EACH[item.engine] for item in wanted)
    print(
        f"{len(items)} synthetic recordings, {len(wanted)} to be made: about {len(wanted) * BYTES_EACH / 1e6:.0f} MB "
        f"and {seconds / 60:.0f} minutes, in {folder()}", flush=True,
    )  # fmt: skip
    started_s = time.monotonic()
    for number, item in enumerate(wanted, 1):
        record(item)
        if number % 100 == 0:
            print(f"{number} of {len(wanted)} in {time.monotonic() - started_s:.0f} s", flush=True)
    rows = [",".join(COLUMNS)]
    for item in items:
        path = path_of(item).relative_to(folder())
        rows.append(f'{path},{item.kind},"{item.text}",{item.engine},{item.voice},{item.speed},{item.half}')
    write_atomically(folder() / "manifest.csv", "\n".join(rows) + "\n")


def spoken(half: data.Half, kind: Kind, natural: bool = True) -> list[Spoken]:
    """Recordings of one kind and half, of natural voices or of the others, as the manifest lists them.

    Raises:
        Missing: none were made.
    """
    path = folder() / "manifest.csv"
    if not path.exists():
        raise data.Missing(f"no synthetic voices in {path.parent}: python -m tests.bench.detection.voices makes them")
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == kind and row["split"] == half]
    clips = [
        Spoken(f"{row['engine']}/{Path(row['path']).stem}", str(folder() / row["path"]), row["engine"], kind, "en", half,
               row["text"], row["engine"], row["voice"])
        for row in rows if (row["engine"] in NATURAL) == natural
    ]  # fmt: skip
    if not clips:
        raise data.Missing(f"no synthetic voices of this kind in {path.parent}: {kind}, {half}")
    return clips


if __name__ == "__main__":
    make(sys.argv[1:] or ENGINES)
