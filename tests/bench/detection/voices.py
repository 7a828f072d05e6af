# SPDX-License-Identifier: MIT
"""Synthetic voices: the word, words that sound like it, sentences. Made once, kept in the cache, listed in a manifest."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.bench.detection import data

Kind = Literal["word", "near", "near-sentence", "sentence"]
NATURAL = ("kokoro", "piper")  # engines that a listener may take for people
COLUMNS = ("path", "kind", "text", "engine", "voice", "speed", "split")


@dataclass(frozen=True)
class Spoken(data.Clip):
    """A synthetic recording."""

    text: str
    engine: str
    voice: str


def folder() -> Path:
    """Where the recordings and `manifest.csv` lie."""
    return data.cache() / "voices"


def spoken(half: data.Half, kind: Kind, natural: bool = True) -> list[Spoken]:
    """Recordings of one kind and half, of natural voices or of the others, as the manifest lists them.

    Raises:
        Missing: none were made.
    """
    path = folder() / "manifest.csv"
    if not path.exists():
        raise data.Missing(f"no synthetic voices in {path.parent}")
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == kind and row["split"] == half]
    clips = [
        Spoken(Path(row["path"]).stem, str(folder() / row["path"]), row["engine"], kind, "en", half,
               row["text"], row["engine"], row["voice"])
        for row in rows if (row["engine"] in NATURAL) == natural
    ]  # fmt: skip
    if not clips:
        raise data.Missing(f"no synthetic voices of this kind in {path.parent}: {kind}, {half}")
    return clips
