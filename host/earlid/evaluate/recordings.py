# SPDX-License-Identifier: MIT
"""Recordings below a folder: their kinds, lengths and digests; files that cannot be read are set aside."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import soundfile

from earlid.errors import USAGE, UserError

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".w64", ".caf"})
KINDS_MAX = 40
_CHUNK = 1 << 20

DigestOf = Callable[[str, int, int], str | None]


@dataclass(frozen=True)
class Recording:
    """A sound file. `name` is relative to its folder; `kind` what sort of recording it is, from folder or name."""

    path: str
    name: str
    kind: str
    digest: str
    seconds: float


@dataclass(frozen=True)
class UnreadableFile:
    """A file that cannot be read, and why."""

    name: str
    reason: str


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()


def scan_recordings(
    folder: Path,
    digest_of: DigestOf = lambda path, size, mtime_ns: None,
    store_digest: Callable[[str, int, int, str], None] = lambda path, size, mtime_ns, digest: None,
) -> tuple[list[Recording], list[UnreadableFile]]:
    """Every sound file below a folder, in the order of kinds and names.

    Args:
        folder: searched with all its subfolders.
        known: the digest of a file of this path, size and time of change, if it was computed before.
        learnt: told of every digest computed.

    Raises:
        UserError: no such folder, or no sound file in it.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; a folder of WAV or FLAC files is needed", USAGE)
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise UserError(f"{folder}: no sound files in it; WAV and FLAC are read, of any rate", USAGE)
    kinds = _kinds(folder, paths)
    recordings, broken = [], []
    for path in paths:
        name = path.relative_to(folder).as_posix()
        try:
            info = soundfile.info(str(path))
            seconds = info.frames / info.samplerate
            if not info.frames:
                raise ValueError("has no samples")
            stat = path.stat()
            absolute = str(path.resolve())
            digest = digest_of(absolute, stat.st_size, stat.st_mtime_ns)
            if digest is None:
                digest = file_digest(path)
                store_digest(absolute, stat.st_size, stat.st_mtime_ns, digest)
        except (soundfile.LibsndfileError, RuntimeError, ValueError, OSError, ZeroDivisionError) as error:
            broken.append(UnreadableFile(name, str(error)))
            continue
        recordings.append(Recording(absolute, name, kinds[path], digest, seconds))
    recordings.sort(key=lambda recording: (recording.kind, recording.name))
    return recordings, broken


def _kinds(folder: Path, paths: list[Path]) -> dict[Path, str]:
    # A subfolder's name; without subfolders, a file name up to its first digit, as in `vacuuming_2`.
    by_folder = {path: path.parent.relative_to(folder).as_posix() for path in paths}
    if set(by_folder.values()) != {"."}:
        return {path: folder.name if kind == "." else kind for path, kind in by_folder.items()}
    by_name = {path: re.split(r"\d", path.stem, maxsplit=1)[0].strip("_- .") or folder.name for path in paths}
    return by_name if len(set(by_name.values())) <= KINDS_MAX else dict.fromkeys(paths, folder.name)
