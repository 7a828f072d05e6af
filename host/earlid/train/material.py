# SPDX-License-Identifier: MIT
"""What a network learns from, and is chosen by, as files of columns: words, near words and the owner's takes in scenes, and all
that lacks the word. Processes map the files into memory, so that several take the room of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from earlid.files import open_atomically
from earlid.gate.audio import RATE_HZ
from earlid.train import columns, examples
from earlid.train.columns import Progress, Studio
from earlid.train.examples import Columns, Examples, Heard
from earlid.train.scenes import Pcm

KEPT_MOST = 6  # files of talk in scenes, of a tenth of a GB each
PIECE_S = 6.0  # of sound without the word, in a scene
NEXT_STEP = "Make room, or set EARLID_CACHE to a folder that has some."
Kind = Literal["word", "near", "owner", "sentence", "talk"]


@dataclass(frozen=True)
class Group:
    """Utterances, int16 at 16 kHz, that are heard alike.

    Attributes:
        passes: how many times each is heard.
        share: how often all of them together are drawn, against the other groups of their kind.
    """

    sounds: Sequence[Pcm]
    passes: int
    share: float = 1.0


def make(
    part: str, said: Mapping[Kind, Sequence[Group]], tracks: Sequence[Columns], studio: Studio, folder: Path, kept: Path,
    progress: Progress,
) -> list[Path]:  # fmt: skip
    """Write the files of one part.

    Args:
        part: `fit` or `stop`, with which their names begin.
        said: of each kind; of sentences and of talk, which is one group of any length, ends do not matter.
        tracks: columns without the word.
        studio: makes the scenes.
        folder: where the files go.
        kept: file of the columns of `talk`, which are the same for most words: read if it is there, else written.
        progress: told seconds of sound done, of all.

    Returns:
        the files.

    Raises:
        UserError: no room.
    """
    done, files, unsaid = 0, list[Path](), list(tracks)
    known = _kept(kept)
    if known is not None:
        said = {kind: groups for kind, groups in said.items() if kind != "talk"}
    total = sum(group.passes * sum(map(len, group.sounds)) for groups in said.values() for group in groups)
    for kind, groups in said.items():
        heard: list[tuple[Heard, float]] = []
        for number, group in enumerate(groups):
            length = group.passes * sum(map(len, group.sounds))
            if not length:
                continue

            def advance(at: float, of: float, before: int = done, length: int = length) -> None:
                progress(before + length * at / max(1.0, of), total)

            sounds = [piece for sound in group.sounds for piece in pieces(sound)] if kind == "talk" else group.sounds
            heard.append((columns.heard(f"{part}-{kind}-{number}", sounds, group.passes, studio, advance), group.share))
            done += length
        if kind == "talk" and heard:
            ((talk, _),) = heard
            known = talk.columns
            _save(kept, [known])
            _make_room(kept)
        elif kind == "sentence":
            unsaid += [each.columns for each, _ in heard]
        elif heard:
            whole = examples.joined(heard)
            files += [
                _save(folder / f"{part}-{kind}{suffix}.npy", [values])
                for suffix, values in (("", whole.columns), ("-ends", whole.ends), ("-shares", whole.shares))
            ]
    unsaid += [] if known is None else [known]
    files.append(_save(folder / f"{part}-unsaid.npy", unsaid))
    for path in set(folder.glob(f"{part}-*.npy")) - set(files):
        path.unlink()  # of a training with takes that are not named any more
    return files


def load(part: str, folder: Path) -> Examples:
    """The examples that `make` wrote, mapped into memory."""

    def heard(kind: Kind) -> Heard | None:
        path = folder / f"{part}-{kind}.npy"
        if not path.exists():
            return None
        ends, shares = (np.load(folder / f"{part}-{kind}-{what}.npy") for what in ("ends", "shares"))
        return Heard(np.load(path, mmap_mode="r"), ends, shares)

    words, near = heard("word"), heard("near")
    assert words is not None
    assert near is not None
    return Examples(words, near, np.load(folder / f"{part}-unsaid.npy", mmap_mode="r"), heard("owner"))


def _kept(path: Path) -> Columns | None:
    try:
        found: Columns = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    return found


def _make_room(newest: Path) -> None:
    """Leaves the newest files beside one that was written."""
    by_age = sorted(newest.parent.glob("*.npy"), key=lambda path: -path.stat().st_mtime)
    for path in by_age[KEPT_MOST:]:
        path.unlink(missing_ok=True)


def pieces(sound: Pcm) -> Iterator[Pcm]:
    """A long sound in pieces of some seconds; a rest of less than one is left out."""
    length = int(PIECE_S * RATE_HZ)
    for at in range(0, len(sound), length):
        piece = np.asarray(sound[at : at + length])
        if len(piece) >= RATE_HZ or at == 0:
            yield piece


def _save(path: Path, parts: Sequence[NDArray[np.generic]]) -> Path:
    """Arrays one after the other, as one .npy file that can be mapped."""
    rows = sum(len(part) for part in parts)
    header = {"descr": np.lib.format.dtype_to_descr(parts[0].dtype), "fortran_order": False, "shape": (rows, *parts[0].shape[1:])}
    with open_atomically(path, "wb", private=True, make_folder=True, next_step=NEXT_STEP) as file:
        np.lib.format.write_array_header_2_0(file, header)
        for part in parts:
            file.write(np.ascontiguousarray(part).data)
    return path
