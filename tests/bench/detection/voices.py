# SPDX-License-Identifier: MIT
"""Synthetic voices: the word, near words, sentences. Made once, kept in the cache by digest, listed in `manifest.csv`.

`python -m tests.bench.detection.voices` makes what is missing, on two processors; a run that was killed goes on.
Voices are in one half by name, every second one held; a blend of two is of the half of both. Piper's and Hibari's voices are
held: an engine that nothing was chosen on.
"""

from __future__ import annotations

import csv
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from earlid.files import write_atomically
from earlid.sound import speakers
from earlid.train import speech

from tests.bench.detection import data, texts

Kind = Literal["word", "near", "near-sentence", "sentence"]
COLUMNS = ("path", "kind", "text", "engine", "voice", "speed", "split")
BLENDS = 400
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


def plan(engines: Iterable[str] = speech.ENGINES) -> list[Utterance]:
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


def path_of(said: Utterance) -> Path:
    """Its recording, named by the digest of all that makes it."""
    return speech.path_of(said, folder())


def make(engines: Iterable[str] = speech.ENGINES) -> None:
    """Record what is missing, and write the manifest of all that is there.

    Raises:
        data.Missing: an engine is not installed.
        ValueError: an engine gave no speech.
    """
    items = plan(engines)
    if mute := speech.record_all(items, folder(), lambda done_s, of_s: print(f"{done_s:.0f} of {of_s:.0f} s", flush=True)):
        raise ValueError(f"no speech: {mute}")
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
        for row in rows if (row["engine"] in speech.NATURAL) == natural
    ]  # fmt: skip
    if not clips:
        raise data.Missing(f"no synthetic voices of this kind in {path.parent}: {kind}, {half}")
    return clips


if __name__ == "__main__":
    make(sys.argv[1:] or speech.ENGINES)
