# SPDX-License-Identifier: MIT
"""The folder in which one word's network is made: one process at a time, and which stages are done with which inputs."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from earlid.config_file import cache_folder
from earlid.errors import FAILED, USAGE, UserError
from earlid.files import read_json, write_atomically

FORMAT = 1
STATE = "state.json"
LOCK = "lock"
HALF_WRITTEN = re.compile(r"\.earlid-[0-9a-f]+\.new")  # by a process that was killed (files.py)
NEXT_STEP = "Make room, or set EARLID_CACHE to a folder that can be written."
_AT_ONCE = 1 << 20


def file_name(word: str) -> str:
    """What the files of a word are called: its letters and digits, small, with `_` between words; `open_sesame`."""
    plain = unicodedata.normalize("NFC", word).casefold()
    return "_".join("".join(char if char.isalnum() else " " for char in plain).split())


def digest_of(*values: Any) -> str:
    """SHA-256, in hex, of plain values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hex; empty where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_AT_ONCE):
                digest.update(block)
    except OSError:
        return ""
    return digest.hexdigest()


def below(kind: str) -> Path:
    """A folder of all words below the cache, as `negatives`."""
    return cache_folder() / "train" / kind


def folder_of(word: str, size: str) -> Path:
    """Where a word's network of one size is made: below the cache, by its letters and a digest."""
    return below(f"{file_name(word)}-{digest_of(word, size)[:8]}")


class Workspace:
    """The state of one word's training. Made by `opened`."""

    def __init__(self, folder: Path, word: str) -> None:
        self.folder = folder
        self._word = word
        self._stages = self._read()

    def done(self, stage: str, inputs: str) -> dict[str, Any] | None:
        """What a stage noted when it ended with these inputs, if the files that it made are as they were; else None."""
        entry = self._stages.get(stage)
        if entry is None or entry["inputs"] != inputs:
            return None
        if any(file_digest(self.folder / name) != digest for name, digest in entry["files"].items()):
            return None
        return dict(entry["notes"])

    def keep(self, stage: str, inputs: str, notes: dict[str, Any], files: tuple[Path, ...] = ()) -> None:
        """A stage has ended.

        Args:
            inputs: a digest of all that it depends on.
            notes: plain values, for the stages behind it.
            files: what it made below the folder.

        Raises:
            UserError: the state cannot be written.
        """
        digests = {path.relative_to(self.folder).as_posix(): file_digest(path) for path in files}
        self._stages[stage] = {"inputs": inputs, "notes": notes, "files": digests}
        self._write()

    def _write(self) -> None:
        text = json.dumps({"format": FORMAT, "word": self._word, "stages": self._stages}, indent=1) + "\n"
        write_atomically(self.folder / STATE, text, private=True, sync=True, next_step=NEXT_STEP)

    def _read(self) -> dict[str, dict[str, Any]]:
        path = self.folder / STATE
        if not path.exists():
            strange = sorted(
                entry.name for entry in self.folder.iterdir() if entry.name != LOCK and not HALF_WRITTEN.fullmatch(entry.name)
            )
            if strange:
                raise UserError(
                    f"{self.folder} holds {strange[0]} and no state of a training: it is left alone. Empty it, or set "
                    "EARLID_CACHE to another folder.", USAGE
                )  # fmt: skip
            self._stages = {}
            self._write()
            return {}
        try:
            state = read_json(path)
            if state["format"] != FORMAT or state["word"] != self._word:
                raise UserError(
                    f"{self.folder} is of {state['word']!r} (format {state['format']}), not of {self._word!r}: remove it, or set "
                    "EARLID_CACHE to another folder.", USAGE
                )  # fmt: skip
            return {str(name): _entry(entry) for name, entry in state["stages"].items()}
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UserError(
                f"{path} is damaged ({type(error).__name__}): remove {self.folder}, and what it held is made anew.", USAGE
            ) from error


def _entry(entry: Any) -> dict[str, Any]:
    return {"inputs": str(entry["inputs"]), "notes": dict(entry["notes"]), "files": dict(entry["files"])}


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """A folder, made where there is none, for its owner alone; nobody else's while the block runs.

    Raises:
        UserError: code 1 when it cannot be written, or another process is at work in it.
    """
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)
        file = (folder / LOCK).open("a+b")
    except OSError as error:
        raise UserError(f"cannot write {error.filename or folder}: {error.strerror or error}. {NEXT_STEP}", FAILED) from error
    with file:
        if not _lock(file.fileno()):
            raise UserError(f"another `earlid model train` is at work in {folder}: wait for it, or end it.", FAILED)
        yield


@contextmanager
def opened(folder: Path, word: str) -> Iterator[Workspace]:
    """A word's workspace, `locked`.

    Raises:
        UserError: as of `locked`; code 2 when it is something else's.
    """
    with locked(folder):
        yield Workspace(folder, word)


def _lock(number: int) -> bool:
    """Whether this process has it now; the system gives it back when the process ends, however it does."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
