# SPDX-License-Identifier: MIT
"""Recordings that detection is measured with, and which half each is in. None of them is part of this repository.

* People saying "alexa", household noise, environmental sounds: `EARLID_DATA`, or `../shared/data` beside the repository.
* People speaking without the word, music: Debian packages (`DEBIAN`, installed by `make bench-detection`).

Everything is in one of two halves. What is chosen or trained is chosen on `dev`; `held` is for judging alone. Words: every
second recording, sorted by number. What lacks the word: by source, so that no speaker is in both. Household noise is mixed
into both halves, being too little to divide; as sound without the word it is `dev`.

Use::

    from tests.bench.detection import data
    data.words("held")               # list[Clip]
    data.negatives("held")           # list[Clip]: .source .kind (speech, music, noise) .language .name
    data.negatives("dev", "speech")
    data.household()                 # for mixing
    clip.pcm()                       # int16, 16 kHz

Raises `earlid.errors.Missing`, naming what to install, where there is no data. Decoded prompts lie in `cache()`.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache as memoized
from pathlib import Path
from typing import Literal

import numpy as np
from earlid.errors import Missing, UserError
from earlid.gate.audio import audio_seconds, read_audio
from numpy.typing import NDArray

Half = Literal["dev", "held"]
HALVES: tuple[Half, Half] = ("dev", "held")
ROOT = Path(__file__).resolve().parents[3]
_TOGETHER = 100  # prompts decoded by one call of ffmpeg


@dataclass(frozen=True)
class Source:
    """Recordings of a Debian package: `folder` and `pattern` as `Path.glob` has it."""

    name: str
    package: str
    folder: str
    pattern: str
    kind: str
    language: str
    half: Half
    licence: str


_PROMPTS = "/usr/share/asterisk/sounds/"
_FILLETS = "/usr/share/games/fillets-ng/sound"
SOURCES = (
    Source("talk-en", "asterisk-core-sounds-en-g722", _PROMPTS + "en_US_f_Allison", "**/*.g722", "speech", "en", "dev",
           "CC BY-SA 3.0"),
    Source("talk-es", "asterisk-core-sounds-es-g722", _PROMPTS + "es_MX_f_Allison", "**/*.g722", "speech", "es", "dev",
           "CC BY-SA 3.0"),
    Source("play-cs", "fillets-ng-data-cs", _FILLETS, "*/cs/*.ogg", "speech", "cs", "dev", "GPL-2+"),
    Source("talk-fr", "asterisk-core-sounds-fr-g722", _PROMPTS + "fr_CA_f_June", "**/*.g722", "speech", "fr", "held",
           "CC BY-SA 3.0"),
    Source("talk-it", "asterisk-core-sounds-it-g722", _PROMPTS + "it_IT_m_Carlo", "**/*.g722", "speech", "it", "held",
           "CC BY-SA 3.0"),
    Source("talk-ru", "asterisk-core-sounds-ru-g722", _PROMPTS + "ru_RU_f_IvrvoiceRU", "**/*.g722", "speech", "ru", "held",
           "CC BY-SA 3.0"),
    Source("talk-it2", "asterisk-prompt-it-menardi-wav", _PROMPTS + "it_IT_f_Menardi", "**/*.wav", "speech", "it", "held",
           "CC BY-SA 3.0 IT"),
    Source("play-nl", "fillets-ng-data-nl", _FILLETS, "*/nl/*.ogg", "speech", "nl", "held", "GPL-2+"),
    Source("music", "asterisk-moh-opsound-g722", "/usr/share/asterisk/moh", "*.g722", "music", "", "held", "CC BY-SA 3.0"),
)  # fmt: skip
DEBIAN = ("ffmpeg", "espeak-ng", "flite", *dict.fromkeys(source.package for source in SOURCES))


@dataclass(frozen=True)
class Clip:
    """One recording. `name` tells it from every other; `kind`: word, speech, music or noise."""

    name: str
    path: str
    source: str
    kind: str
    language: str
    half: Half

    def pcm(self) -> NDArray[np.int16]:
        """Its samples at 16 kHz."""
        return read_audio(self.path)

    def seconds(self) -> float:
        """How long it is."""
        return audio_seconds(self.path)


def cache() -> Path:
    """Folder of what is decoded and computed: `EARLID_BENCH_CACHE`, or `build/bench-detection`."""
    return Path(os.environ.get("EARLID_BENCH_CACHE") or ROOT / "build" / "bench-detection")


def recordings() -> Path:
    """The folder with `alexa`, `household` and `esc10`."""
    told = os.environ.get("EARLID_DATA")
    places = [Path(told)] if told else [ROOT.parent / "shared" / "data"]
    for place in places:
        if (place / "alexa").is_dir():
            return place
    raise Missing(f"no recordings: {places[0]} has no folder 'alexa'; EARLID_DATA names another place")


def words(half: Half) -> list[Clip]:
    """People saying "alexa"."""
    paths = sorted((recordings() / "alexa").glob("*.flac"), key=lambda path: int(path.stem))
    return [
        Clip(f"alexa/{path.stem}", str(path), "alexa", "word", "en", half) for path in paths[HALVES.index(half) :: 2]
    ]  # even places are `dev`


def household() -> list[Clip]:
    """Appliances, street, tap: for mixing, in both halves."""
    return [
        Clip(f"household/{path.stem}", str(path), "household", "noise", "", "dev")
        for path in sorted((recordings() / "household").glob("*.flac"))
    ]


def negatives(half: Half, *kinds: str) -> list[Clip]:
    """Recordings without the word; of these kinds only, when any is named. Packages that are missing are left out.

    Raises:
        Missing: nothing is there.
    """
    clips = [clip for source in SOURCES if source.half == half for clip in _of_source(source)]
    try:
        esc10 = sorted((recordings() / "esc10").glob("*.flac"))
        odd = half == "dev"
        clips += [
            Clip(f"esc10/{path.stem}", str(path), "esc10", "noise", "", half)
            for place, path in enumerate(esc10)
            if (place % 2 == 1) == odd
        ]
        if half == "dev":
            clips += household()
    except Missing:
        pass
    clips = [clip for clip in clips if not kinds or clip.kind in kinds]
    if not clips:
        raise Missing("no recordings without the word: apt-get install " + " ".join(DEBIAN))
    return clips


def missing_packages() -> list[str]:
    """Packages of `SOURCES` that are not installed."""
    return [source.package for source in SOURCES if not _files(source)]


def _files(source: Source) -> list[Path]:
    # Prompts of pure silence hold nothing; those that name the word would be words.
    found = sorted(Path(source.folder).glob(source.pattern))
    return [path for path in found if "silence" not in path.parts and "alexa" not in path.name.lower()]


@memoized
def _of_source(source: Source) -> tuple[Clip, ...]:
    paths = _files(source)
    read = _decoded(source, paths) if source.pattern.endswith(".g722") else paths
    names = [path.relative_to(source.folder).with_suffix("").as_posix() for path in paths]
    return tuple(
        Clip(f"{source.name}/{name}", str(path), source.name, source.kind, source.language, source.half)
        for name, path in zip(names, read, strict=True)
        if _has_sound(path)
    )


def _has_sound(path: Path) -> bool:
    # Some prompts are empty.
    try:
        return audio_seconds(path) >= 0.1
    except UserError:
        return False


def _decoded(source: Source, paths: list[Path]) -> list[Path]:
    """Prompts in ADPCM as WAV files in the cache; those not there yet are decoded by ffmpeg."""
    folder = cache() / "prompts" / source.name
    targets = [folder / path.relative_to(source.folder).with_suffix(".wav") for path in paths]
    wanted = [pair for pair in zip(paths, targets, strict=True) if not pair[1].exists()]
    for part in _parts(wanted):
        command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y"]
        for path, _ in part:
            command += ["-f", "g722", "-i", str(path)]
        for place, (_, target) in enumerate(part):
            target.parent.mkdir(parents=True, exist_ok=True)
            command += ["-map", str(place), "-ar", "16000", "-ac", "1", "-bitexact", "-f", "wav", f"{target}.new"]
        try:
            subprocess.run(command, check=True)
        except FileNotFoundError as error:
            raise Missing("no ffmpeg, which decodes the prompts: apt-get install ffmpeg") from error
        for _, target in part:
            Path(f"{target}.new").replace(target)
    return targets


def _parts(pairs: list[tuple[Path, Path]]) -> Iterator[list[tuple[Path, Path]]]:
    for at in range(0, len(pairs), _TOGETHER):
        yield pairs[at : at + _TOGETHER]


if __name__ == "__main__":
    print(*DEBIAN)
