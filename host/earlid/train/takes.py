# SPDX-License-Identifier: MIT
"""The owner's recordings of the word: read from a folder, divided into learnt from and judged by, cut to the word."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earlid.door import plain
from earlid.errors import USAGE, UserError
from earlid.gate import score
from earlid.gate.audio import RATE_HZ, audio_blocks
from earlid.gate.models import Model
from earlid.train.take_quality import FRAME, TAKE_MOST_S, copies, floor_of, frame_levels, problems_of, word_span

SUFFIXES = (".wav", ".flac")
LEAST = 3  # good ones, without which nothing is said of a voice
RECOMMENDED = 15  # ten to learn from, five to judge by
MOST = 200  # copies are looked for among all pairs
JUDGED_SHARE = 3  # one of so many, rounded up
JUDGED_MOST = 20

LEAD_S = 1.5  # room before a take: a network that was reset says nothing for a second
TAIL_S = 1.0
HEARD = 128  # of 255: a network that says less does not hear the word
PEAK_WITHIN_MS = 1000
LAG_MS = 270  # from a word's end to the middle of a network's peak: measured on 61 words with the published one for "alexa",
LAG_SPREAD_MS = 250  # of nine tenths of which it is nearer to that than this

Pcm = NDArray[np.int16]


@dataclass(frozen=True)
class Take:
    """One recording of the word. `problems`: what is wrong with it, each with what to do."""

    path: Path
    pcm: Pcm
    problems: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of the samples at 16 kHz, which tells a recording again without its name."""
        return hashlib.sha256(self.pcm.tobytes()).hexdigest()


def sound_files(folder: Path) -> list[Path]:
    """The WAV and FLAC files right in a folder, by name; hidden ones are left out.

    Raises:
        UserError: code 2 when the folder cannot be read or holds too many.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"{plain(folder)}: {error.strerror}. Name the folder that your recordings are in.", USAGE) from error
    found = [path for path in entries if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and not path.is_dir()]
    if len(found) > MOST:
        raise UserError(
            f"{plain(folder)} holds {len(found)} sound files, and {MOST} at most are read: put your recordings of the word into "
            "a folder of their own.", USAGE,
        )  # fmt: skip
    return found


def read(folder: Path, least: int = LEAST) -> list[Take]:
    """The takes in a folder, by name, each with its problems; of copies the first is no problem.

    Args:
        folder: with WAV and FLAC files of any rate and channels, one word a file.
        least: so many must be good.

    Raises:
        UserError: code 2 when the folder cannot be read, holds too many files, or too few good ones: then all problems are said.
    """
    takes = [_read_take(path) for path in sound_files(folder)]
    for number, earlier in copies([take.pcm for take in takes]):
        of = plain(takes[earlier].path.name)
        more = f"a copy of {of}: say the word anew for each recording"
        takes[number] = Take(takes[number].path, takes[number].pcm, (*takes[number].problems, more))
    if len(good(takes)) < least:
        said = "; ".join(f"{plain(take.path.name)}: {problem}" for take in takes for problem in take.problems)
        raise UserError(
            f"{plain(folder)} holds {len(good(takes))} good recordings of the word; at least {least} are needed, and "
            f"{RECOMMENDED} recommended. `earlid model record` makes them. {said}", USAGE,
        )  # fmt: skip
    return takes


def _read_take(path: Path) -> Take:
    blocks: list[Pcm] = []
    try:
        for block in audio_blocks(path):
            blocks.append(block)
            if sum(map(len, blocks)) > TAKE_MOST_S * RATE_HZ:
                break  # which `problems_of` says
    except UserError as error:
        return Take(path, np.zeros(0, np.int16), (str(error).removeprefix(f"{path}: "),))
    pcm = np.concatenate(blocks)
    return Take(path, pcm, tuple(problems_of(pcm)))


def good(takes: Sequence[Take]) -> list[Take]:
    """Those without a problem."""
    return [take for take in takes if not take.problems]


def split(takes: Sequence[Take], seed: int) -> tuple[list[Take], list[Take]]:
    """The good takes as (learnt from, judged by): a third, or 20 at most, is held back for the honest figure.

    Which are which depends on the seed and on what was recorded, not on names or order.
    """
    order = sorted(good(takes), key=lambda take: take.digest)
    chosen = np.random.default_rng(seed).permutation(len(order))
    judged = min(-(-len(order) // JUDGED_SHARE), JUDGED_MOST)
    return [order[at] for at in sorted(chosen[judged:])], [order[at] for at in sorted(chosen[:judged])]


def cut(take: Take, margin_ms: int = 300, model: Model | None = None) -> tuple[Pcm, int]:
    """The word with some of the room around it.

    Args:
        take: a good one.
        margin_ms: of the recording before and after the word, where it has as much.
        model: a network that hears the word, to find it among other sounds; else the sound with most energy is the word.

    Returns:
        (int16 samples, the word's end among them).
    """
    end_ms = word_end_ms(take.pcm, model) if model else None
    span = word_span(take.pcm, None if end_ms is None else end_ms * RATE_HZ // 1000)
    if span is None:
        return take.pcm, len(take.pcm)
    end = span.end if end_ms is None else min(end_ms * RATE_HZ // 1000, len(take.pcm))
    margin = margin_ms * RATE_HZ // 1000
    start = max(0, min(span.start, end) - margin)
    return take.pcm[start : end + margin], end - start


def word_end_ms(pcm: Pcm, model: Model) -> int | None:
    """Where the word ends, by the peak of a network's output; None when the network does not hear it.

    The peak says which of a recording's sounds is the word; where that sound ends near to it, is the word's end, and where
    it goes on (other talk, noise), the peak less its usual delay.

    Args:
        pcm: int16 samples at 16 kHz.
        model: a network that knows the word.
    """
    inferences = [item for item in score.run(in_its_room(pcm), model, decision=0) if isinstance(item, score.Inference)]
    t_ms = np.array([item.t_ms for item in inferences]) - int(LEAD_S * 1000)
    prob = np.array([item.prob for item in inferences], dtype=np.float64) * (t_ms > 0)
    if prob.max(initial=0) < HEARD:
        return None
    heard = (prob >= HEARD) & (np.abs(t_ms - t_ms[prob.argmax()]) <= PEAK_WITHIN_MS)
    guess = max(0, int(np.average(t_ms[heard], weights=prob[heard])) - LAG_MS)
    span = word_span(pcm, guess * RATE_HZ // 1000)
    end_ms = span.end * 1000 // RATE_HZ if span else guess
    return end_ms if abs(end_ms - guess) <= LAG_SPREAD_MS else guess


def in_its_room(pcm: Pcm) -> Pcm:
    """A take with 1.5 s before and 1 s after it of noise as loud as its room, with a fixed seed: the network is warm when it
    begins, and a step to silence would be a sound."""
    rms = 32768 * 10 ** (floor_of(frame_levels(pcm)) / 20) if len(pcm) >= FRAME else 1.0
    lead, tail = int(LEAD_S * RATE_HZ), int(TAIL_S * RATE_HZ)
    noise = np.random.default_rng(0).standard_normal(lead + tail) * rms
    room = np.rint(noise).clip(-32768, 32767).astype(np.int16)
    return np.concatenate([room[:lead], pcm, room[lead:]])
