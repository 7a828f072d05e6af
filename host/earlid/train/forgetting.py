# SPDX-License-Identifier: MIT
"""Forgets a word: what its training keeps, and, where their folder is named, the owner's recordings."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from earlid.door import plain
from earlid.errors import FAILED, UserError
from earlid.train.takes import sound_files
from earlid.train.workspace import below, file_name, locked

LISTED_MOST = 20
STAYS = (
    "What stays: networks that were written already, which hold no recording; other copies of your recordings; and what disks, "
    "snapshots and backups keep of removed files."
)


@dataclass(frozen=True)
class Found:
    """What is to be removed: `workspaces` whole, `recordings` one by one. `left`: what else lies in the recordings' folder."""

    workspaces: list[Path]
    recordings: list[Path]
    folder: Path | None
    left: list[Path]

    def lines(self) -> list[str]:
        """What will be removed and what will not, for people."""
        removed = [f"{plain(path)}: features, speech and half-trained networks, {_size(path)}" for path in self.workspaces]
        removed += [f"{plain(path)}: your recording" for path in self.recordings[:LISTED_MOST]]
        if len(self.recordings) > LISTED_MOST:
            removed.append(f"and {len(self.recordings) - LISTED_MOST} more recordings there")
        kept = [f"{plain(path)}: left alone, it is {_kind(path)}" for path in self.left[:LISTED_MOST]]
        if len(self.left) > LISTED_MOST:
            kept.append(f"and {len(self.left) - LISTED_MOST} more that are no recordings: left alone")
        return removed + kept


def find(word: str, recordings: Path | None) -> Found:
    """What there is of a word.

    Args:
        word: that was trained.
        recordings: the folder of the owner's takes, if they are to go too.

    Raises:
        UserError: code 2 when that folder cannot be read, or holds too many sound files to be one of takes.
    """
    name = re.compile(re.escape(file_name(word)) + "-[0-9a-f]{8}")  # of each size, however the word was written
    parent = below("")
    entries = sorted(parent.iterdir()) if parent.is_dir() else []
    workspaces = [path for path in entries if name.fullmatch(path.name) and path.is_dir() and not path.is_symlink()]
    if recordings is None:
        return Found(workspaces, [], None, [])
    found = [path for path in sound_files(recordings) if path.is_file() and not path.is_symlink()]
    return Found(workspaces, found, recordings, sorted(set(recordings.iterdir()) - set(found)))


def remove(found: Found) -> None:
    """Remove it, and the recordings' folder when nothing is left in it.

    Raises:
        UserError: code 1 when a training is at work on the word, or something cannot be removed: what can be is removed.
    """
    wrong: list[str] = []
    for workspace in found.workspaces:
        with locked(workspace):
            shutil.rmtree(workspace, onerror=lambda _, path, error: wrong.append(f"{plain(path)}: {error[1]}"))
    for path in found.recordings:
        _unlink(path, wrong)
    if found.folder is not None and not any(found.folder.iterdir()):
        _remove_folder(found.folder, wrong)
    if wrong:
        raise UserError(
            f"not everything could be removed: {'; '.join(wrong[:LISTED_MOST])}. Mend that, and run this again.", FAILED
        )


def _unlink(path: Path, wrong: list[str]) -> None:
    try:
        path.unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        wrong.append(f"{plain(path)}: {error.strerror}")


def _remove_folder(path: Path, wrong: list[str]) -> None:
    try:
        path.rmdir()
    except OSError as error:
        wrong.append(f"{plain(path)}: {error.strerror}")


def _size(folder: Path) -> str:
    return f"{sum(_bytes_in(folder)) / 1e6:,.1f} MB"


def _bytes_in(folder: Path) -> Iterable[int]:
    for path, _, names in os.walk(folder):
        yield from (os.lstat(os.path.join(path, name)).st_size for name in names)


def _kind(path: Path) -> str:
    return "a link" if path.is_symlink() else "a folder" if path.is_dir() else "no recording"
