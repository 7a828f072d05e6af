# SPDX-License-Identifier: MIT
"""The guided recording of the owner's takes: this computer's microphone, each take found, judged at once, and kept as a file."""

from __future__ import annotations

import io
import itertools
import os
import wave
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from earlid.door import plain
from earlid.errors import FAILED, USAGE, UserError
from earlid.files import write_atomically
from earlid.gate import score
from earlid.gate.models import Model
from earlid.guide import Guide
from earlid.scores import score_text
from earlid.sound import microphone
from earlid.train import likeness, takes
from earlid.train.take_finder import TakeFinder
from earlid.train.take_quality import RATE_HZ, Pcm, copies, problems_of

TAKES_MOST = 99  # as many as the files' names count
BAD_MOST = 5  # in a row
SILENCE_S = 60.0  # without a word: nobody is there, or the microphone is another's
NEXT_STEP = "What was recorded is kept, and the same command goes on."
CHECK_STEP = "Is a microphone plugged in, chosen in this system's settings, and not muted?"
# As a word is said in a week at home: where a network learns from one manner only, it misses the others.
MANNERS = (
    ("ordinary", "in your ordinary voice, from where you usually are"),
    ("far", "from the other end of the room"),
    ("turned", "turned away from the microphone"),
    ("quiet", "quietly, as late in the evening"),
    ("loud", "louder, as when something else is heard in the room"),
)


def manners(count: int) -> list[int]:
    """How many takes of each manner, the first ones more often; the sum is `count`."""
    return [len(range(number, count, len(MANNERS))) for number in range(len(MANNERS))]


class Recording:
    """A session, or the rest of one.

    Args:
        word: what is said.
        folder: where takes are, and new ones are put.
        guide: talks to the person.
        model: a network that knows the word, whose score is shown.
    """

    def __init__(self, word: str, folder: Path, guide: Guide, model: Model | None = None) -> None:
        self._word, self._folder, self._guide, self._model = word, folder, guide, model
        check_folder(folder)
        found = takes.read(folder, least=0)
        self._takes, self._bad = takes.good(found), [take for take in found if take.problems]
        self._cepstra = [likeness.cepstra(take.pcm) for take in self._takes]

    def run(self, count: int, sound: Iterable[Pcm | None]) -> int:
        """Record until so many good takes are there; how many are.

        Args:
            count: 1 to 99, those that are there included.
            sound: blocks at 16 kHz; None where samples were lost.

        Raises:
            UserError: nobody spoke, nothing but bad takes, the microphone or the disk failed. What was recorded is kept.
        """
        self._guide.report(
            "begun", f"{len(self._takes)} good takes of {self._word!r} are in {plain(self._folder)}, {count} are wanted. What is "
            "recorded stays in that folder, and is sent nowhere.", takes=len(self._takes), wanted=count,
        )  # fmt: skip
        for take in self._bad:
            self._guide.report("unusable", f"  {plain(take.path.name)} does not count: {'; '.join(take.problems)}.")
        blocks = iter(sound)
        before = 0
        try:
            for (name, how), many in zip(MANNERS, manners(count), strict=True):
                missing = before + many - max(len(self._takes), before)
                before += many
                if missing > 0 and self._guide.ask_step(
                    name, f"Say {self._word!r} {missing} times, {how}, with a second of silence between.", 3.0 * missing
                ):
                    self._record(missing, blocks)
        except KeyboardInterrupt:
            self._guide.report("interrupted", f"{len(self._takes)} takes are kept: the same command goes on from here.")
            raise
        self._guide.report("done", f"{len(self._takes)} good takes are in {plain(self._folder)}.", takes=len(self._takes))
        return len(self._takes)

    def _record(self, missing: int, blocks: Iterable[Pcm | None]) -> None:
        finder, done, bad, silent_s = TakeFinder(), 0, 0, 0.0
        with self._guide.progress("say it", float(missing)) as shown:
            for block in blocks:
                if block is None:
                    finder = TakeFinder()
                    continue
                take = finder.push(block)
                shown.on_reading(finder.level_dbfs, float(done))
                silent_s = 0.0 if finder.seconds else silent_s + len(block) / RATE_HZ
                if silent_s > SILENCE_S:
                    raise UserError(f"no word was heard for {SILENCE_S:.0f} s. {CHECK_STEP} {NEXT_STEP}", FAILED)
                if take is None:
                    continue
                good = self._keep(take)
                done, bad = (done + 1, 0) if good else (done, bad + 1)
                if done == missing:
                    return
                if bad == BAD_MOST:
                    raise UserError(f"{bad} takes in a row could not be used, for the reasons above. {NEXT_STEP}", FAILED)

    def _keep(self, pcm: Pcm) -> bool:
        """Write a good take, or say what is wrong with it."""
        problems = problems_of(pcm)
        if any(later == len(self._takes) for later, _ in copies([*(take.pcm for take in self._takes), pcm])):
            problems.append("a copy of an earlier take: is something played back?")
        if problems:
            self._guide.report("bad", f"  not kept: {'; '.join(problems)}.", problems=problems)
            return False
        path = write_take(self._folder, pcm)
        word = likeness.cepstra(pcm)
        alike = likeness.sounds_alike(word, self._cepstra)
        heard = None if self._model is None else peak(pcm, self._model)
        self._takes.append(takes.Take(path, pcm))
        self._cepstra.append(word)
        said = [path.name]
        if self._model is not None and heard is not None:
            said.append(f"score {score_text(heard, self._model.cutoff_q8)}")
        if alike is not None:
            said.append("sounds like the others" if alike else "does not sound like the others: remove it if it is another word")
        self._guide.report("take", f"  {', '.join(said)}", file=path.name, peak=heard, alike=alike)
        return True


def peak(pcm: Pcm, model: Model) -> int:
    """The highest score that a network gives a take, of 255."""
    whole = takes.in_its_room(pcm)
    return score.peak_in(score.run_gate(whole, model, 0), 0, len(whole) * 1000 // RATE_HZ)


def check_folder(folder: Path) -> None:
    """Make the folder, for its owner alone, where there is none. Raises UserError when takes cannot be written into it."""
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)
    except OSError as error:
        reason = "it is a file" if folder.exists() else error.strerror
        raise UserError(f"{plain(folder)} cannot be made a folder: {reason}. Name another with --out.", USAGE) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{plain(folder)} cannot be written to. Name another with --out.", USAGE)


def write_take(folder: Path, pcm: Pcm) -> Path:
    """Write a take as `take-NN.wav`, for its owner alone, under the first number that is free: nothing is overwritten.

    Raises:
        UserError: the disk is full or gone; nothing is left of the file then.
    """
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setparams((1, 2, RATE_HZ, len(pcm), "NONE", ""))
        file.writeframes(pcm.astype("<i2").tobytes())
    for number in itertools.count(1):
        path = folder / f"take-{number:02}.wav"
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))  # the name is taken
        except FileExistsError:
            continue
        except OSError as error:
            raise UserError(f"cannot write {plain(path)}: {error.strerror}. {NEXT_STEP}", FAILED) from error
        try:
            write_atomically(path, content.getvalue(), private=True, sync=True, next_step=NEXT_STEP)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path
    raise AssertionError("unreachable")


def record(word: str, folder: Path, count: int, guide: Guide, model: Model | None = None) -> int:
    """`Recording.run` with this computer's microphone."""
    if not word.strip():
        raise UserError("say which word: `earlid model record WORD --out DIR`.", USAGE)
    if not 1 <= count <= TAKES_MOST:
        raise UserError(f"--takes must be from 1 to {TAKES_MOST}.", USAGE)
    microphone.load_sounddevice()
    session = Recording(word, folder, guide, model)
    with closing(microphone.blocks(f"{CHECK_STEP} {NEXT_STEP}")) as sound:
        return session.run(count, itertools.chain([next(sound)], sound))  # one that cannot be opened is said before any question
