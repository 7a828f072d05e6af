# SPDX-License-Identifier: MIT
"""Recordings below a folder: their kinds, lengths and digests; files that cannot be read are set aside."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from earlid.door import plain
from earlid.errors import USAGE, UserError
from earlid.gate.audio import audio_seconds

SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd", ".w64", ".rf64", ".caf"}
)
OTHER_SOUND = frozenset(
    {".3gp", ".aac", ".ac3", ".amr", ".ape", ".gsm", ".m4a", ".m4b", ".mka", ".mp4", ".pcm", ".raw", ".webm", ".wma", ".wv"}
)
NO_SOUND_FILE = "no kind of sound file that is read; WAV and FLAC are"
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
    """A file that is left out, and why. `sound`: it may be a recording, which an evaluation should not go without."""

    name: str
    reason: str
    sound: bool = True


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
    """Every sound file below a folder, in the order of kinds and names; and all else that stands there, with why not.

    Args:
        folder: searched with all its subfolders, but not behind links to folders.
        digest_of: the digest of a file of this path, size and time of change, if it was computed before.
        store_digest: told of every digest computed.

    Raises:
        UserError: no such folder, or no sound file in it.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; a folder of WAV or FLAC files is needed", USAGE)
    recordings: list[Recording] = []
    left_out: list[UnreadableFile] = []
    files = _files(folder, left_out)
    paths = [path for path in files if path.suffix.lower() in SUFFIXES]
    for path in files:
        if (suffix := path.suffix.lower()) not in SUFFIXES:
            left_out.append(UnreadableFile(_name(path, folder), NO_SOUND_FILE, sound=suffix in OTHER_SOUND))
    if not paths:
        raise UserError(f"{folder}: no sound files in it; WAV and FLAC are read, of any rate", USAGE)
    kinds = _kinds(folder, paths)
    for path in paths:
        name = _name(path, folder)
        try:
            seconds = audio_seconds(path)
            stat = path.stat()
            absolute = str(path.resolve())
            digest = digest_of(absolute, stat.st_size, stat.st_mtime_ns)
            if digest is None:
                digest = file_digest(path)
                store_digest(absolute, stat.st_size, stat.st_mtime_ns, digest)
        except (UserError, OSError) as error:
            left_out.append(UnreadableFile(name, str(error).removeprefix(f"{path}: ")))
            continue
        recordings.append(Recording(absolute, name, kinds[path], digest, seconds))
    recordings.sort(key=lambda recording: (recording.kind, recording.name))
    return recordings, left_out


def _name(path: Path, folder: Path) -> str:
    return plain(path.relative_to(folder).as_posix())


def _files(folder: Path, left_out: list[UnreadableFile]) -> list[Path]:
    """All files below a folder but hidden ones, sorted; folders that cannot be looked into are left out with their reason."""

    def on_error(error: OSError) -> None:
        left_out.append(UnreadableFile(_name(Path(error.filename), folder), error.strerror or str(error)))

    found = []
    for place, folders, names in os.walk(folder, onerror=on_error):
        links = [name for name in folders if Path(place, name).is_symlink()]
        left_out += [UnreadableFile(_name(Path(place, name), folder), "a link to a folder") for name in links]
        folders[:] = [name for name in folders if name not in links and not name.startswith(".")]
        found += [Path(place, name) for name in names if not name.startswith(".")]
    return sorted(found)


def _kinds(folder: Path, paths: list[Path]) -> dict[Path, str]:
    # A subfolder's name; without subfolders, a file name up to its first digit, as in `vacuuming_2`.
    by_folder = {path: path.parent.relative_to(folder).as_posix() for path in paths}
    if set(by_folder.values()) != {"."}:
        return {path: plain(folder.name if kind == "." else kind) for path, kind in by_folder.items()}
    by_name = {path: plain(re.split(r"\d", path.stem, maxsplit=1)[0].strip("_- .") or folder.name) for path in paths}
    return by_name if len(set(by_name.values())) <= KINDS_MAX else dict.fromkeys(paths, folder.name)
