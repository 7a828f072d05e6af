# SPDX-License-Identifier: MIT
"""The stages of a training in their order, from a word to a network that is judged; each goes on where it was.

A stage is done when the workspace says so for the same inputs: the order, the code that makes it, and all stages before it.
"""

from __future__ import annotations

import functools
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from earlid.files import write_atomically
from earlid.gate import models, score
from earlid.gate.code_digest import code_digest
from earlid.sound.mixing import Floats
from earlid.train import (
    columns,
    fit,
    fitting,
    judge,
    manifest,
    material,
    negatives,
    plan,
    pronunciation,
    provenance,
    scenes,
    sources,
    speech,
    takes,
)  # fmt: skip
from earlid.train.columns import Studio
from earlid.train.judge import SilentHours, WordStream
from earlid.train.material import Group
from earlid.train.phone_distance import Lexicon
from earlid.train.plan import PARTS, Part, Utterance
from earlid.train.scenes import Pcm
from earlid.train.stage_display import Advance, StageDisplay
from earlid.train.takes import Take
from earlid.train.workspace import NEXT_STEP, Workspace, below, digest_of, file_digest

Size = Literal["small", "full"]
SETTINGS = {"small": fit.SMALL, "full": fit.FULL}
PLANS = {"small": plan.SMALL, "full": plan.FULL}
PASSES = {"small": columns.SMALL, "full": columns.FULL}
SOURCES_OF = {"small": sources.SMALL, "full": sources.SOURCES}
WORDS = {"small": 2000, "full": pronunciation.WORDS}
LEARNT: tuple[Part, Part] = ("fit", "stop")
LICENCES = {  # of what a voice's sound comes from
    "kokoro": "Apache-2.0", "piper": "CC0", "hibari": "Apache-2.0", "espeak-ng": "GPL-3+", "flite": "MIT-like",
}  # fmt: skip
AUTHOR, LANGUAGES = "made with Earlid", ["en"]
MADE_BY = {  # which modules make what a stage leaves; sounds and sayings know by themselves what they have
    "columns": ("earlid.train.material", "earlid.train.takes", "earlid.train.negatives"),
    "fit": ("earlid.train.fitting",),
    "judge": (__name__,),
}
SEED = 0  # of the noise that networks are chosen and judged in
FORMANT_SHARE = 0.3  # of what formant voices say, against natural ones
# Seconds on two idle cores: estimates, of parts that were measured; what runs corrects them.
EXPECTED_S = {
    "small": {"sounds": 5.0, "speech": 10.0, "columns": 15.0, "fit": 25.0, "judge": 5.0},
    "full": {"sounds": 420.0, "speech": 840.0, "columns": 420.0, "fit": 960.0, "judge": 120.0},
}
STAGE_TEXT = {
    "sounds": "sound without the word",
    "speech": "voices say the word, and words like it",
    "columns": "rooms, noise and microphones around them",
    "fit": "training",
    "judge": "judging with the firmware's gate",
}


@dataclass(frozen=True)
class Order:
    """What is to be trained.

    Attributes:
        word: as it is written.
        size: `full`, or `small` to see that all is there.
        seeds: one network each, of which the best is kept.
        sounds: folder of the sound without the word.
        takes: of the word's owner, to learn from and to be judged by.
        warnings: what speaks against the word, for its provenance.
        said_as: texts that voices read for the word; none: the word itself.
    """

    word: str
    size: Size
    seeds: tuple[int, ...]
    sounds: Path
    takes: tuple[Sequence[Take], Sequence[Take]] = ((), ())
    warnings: tuple[str, ...] = ()
    said_as: tuple[str, ...] = ()


def lexicon(size: Size) -> Lexicon:
    """The words among which those are looked for that sound like the trained one."""
    return pronunciation.english(WORDS[size])


def train(order: Order, room: Workspace, display: StageDisplay) -> tuple[Path, dict[str, Any]]:
    """Train, or go on with it.

    Returns:
        (the network in the workspace, its manifest beside it; its provenance).

    Raises:
        UserError: something lacks, there is no room, or the word cannot be said.
    """
    return _Course(order, room, display).run()


def hearings_of(
    model: models.Model, decisions: Sequence[int], part: Part, order: Order, room: Workspace, display: StageDisplay
) -> list[judge.Hearing]:
    """What a network that was not trained here makes of a part of a word, by each decision.

    Args:
        decisions: 1: its look decides, 0: the network alone.
        order, room: of the word; what voices say of it is made where it is not there.

    Raises:
        UserError: as `train`.
    """
    course = _Course(order, room, display)
    course.sounds_and_voices()
    sound = course.judged_by(part)
    return [judge.hear(model, *sound, decision=decision) for decision in decisions]


def no_rooms() -> list[Floats]:
    """For the small size: their impulse responses take minutes to compute, once."""
    return []


class _Course:
    def __init__(self, order: Order, room: Workspace, display: StageDisplay) -> None:
        self._order, self._room, self._display = order, room, display
        self._chain = digest_of(order.word, order.size, order.seeds[0], *order.said_as)
        self._seconds: dict[str, float] = {}
        self._said: list[tuple[Utterance, Pcm]] = []

    def run(self) -> tuple[Path, dict[str, Any]]:
        order = self._order
        sounds, voices = self.sounds_and_voices()
        own = [[take.digest for take in takes] for takes in order.takes]
        heard = {part: self._heard(part) for part in LEARNT}
        counts = [[[kind, [[len(group.sounds), group.passes, group.share] for group in groups]] for kind, groups in said.items()]
                  for said in heard.values()]  # fmt: skip
        code = {name: code_digest(*modules) for name, modules in MADE_BY.items()}
        self._stage("columns", [code["columns"], sounds["sha256"], voices, counts, own], functools.partial(self._columns, heard))
        fitted = self._stage("fit", [code["fit"], repr(SETTINGS[order.size]), order.seeds], self._fit)
        judged = self._stage("judge", [code["judge"]], functools.partial(self._judge, fitted))
        document = {
            "word": order.word, **({"said_as": list(order.said_as)} if order.said_as else {}),
            "size": order.size, "on": provenance.today(), "versions": provenance.versions(),
            "seconds": self._seconds, "left_out": [*sounds["left_out"], *voices["left_out"]],
            "warnings": list(order.warnings), "voices": self._voices(),
            "sounds": sounds["hours"], "sources": sounds["sources"],
            "takes": {part: digests for part, digests in zip(("fit", "judge"), own, strict=True) if digests},
            **{key: value for key, value in judged.items() if key != "network"},
        }  # fmt: skip
        return self._room.folder / judged["network"], document

    def sounds_and_voices(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Sound without the word, and what voices say, made where they are not there yet."""
        sounds = self._stage("sounds", [str(self._order.sounds)], self._sounds, look_again=True)
        return sounds, self._stage("speech", [], self._speech, look_again=True)

    def verdict(self, model: models.Model, advance: Advance) -> judge.Verdict:
        """What a network does on the part `judge`."""
        return judge.hear(model, *self.judged_by("judge"), progress=advance).verdict(model.cutoff_q8)

    def judged_by(self, part: Part) -> tuple[list[WordStream], tuple[WordStream, list[str]], list[SilentHours]]:
        """What a network is judged by on a part: words, words that sound like it, and sound without it."""
        streams = self._word_streams(part)
        if part == "judge" and (own := [takes.cut(take)[0] for take in self._order.takes[1]]):
            streams += self._streams("your own takes", own, part)
        near = [(said.text, pcm) for said, pcm in self._said if (said.part, said.kind) == (part, "near")]
        stream = judge.word_stream("near", [pcm for _, pcm in near], [], None, SEED)
        return streams, (stream, [text for text, _ in near]), self._silent(part)

    def _stage(
        self, name: str, inputs: list[Any], work: Callable[[Advance], tuple[dict[str, Any], list[Path]]], look_again: bool = False
    ) -> dict[str, Any]:
        """What a stage notes, which is done now if it was not; `look_again`: it finds out by itself what it has done."""
        advance = self._display.begin(name, STAGE_TEXT[name])
        self._chain = digest_of(self._chain, name, json.dumps(inputs))
        done = self._room.done(name, self._chain)
        notes = None if look_again else done
        if notes is None:
            began_s = time.monotonic()
            made, files = work(advance)
            took_s = max(round(time.monotonic() - began_s, 1), done["seconds"] if done else 0.0)
            notes = {**made, "seconds": took_s}
            self._room.keep(name, self._chain, notes, tuple(files))
        advance(1.0, 1.0)
        self._seconds[name] = notes["seconds"]
        return {key: value for key, value in notes.items() if key != "seconds"}

    def _sounds(self, advance: Advance) -> tuple[dict[str, Any], list[Path]]:
        folder, left_out = self._order.sounds, []
        if not negatives.is_whole(folder):
            left_out = negatives.build(folder, advance, sources=SOURCES_OF[self._order.size])
        licences = {source.name: source.licence for source in sources.SOURCES}
        hours: Counter[tuple[Part, str]] = Counter()
        used: dict[tuple[str, Part], str] = {}
        for part in PARTS:
            for track in negatives.load(folder, part, self._order.word):
                hours[part, track.kind] += len(track.columns) * score.HOP_MS / 3_600_000  # type: ignore[assignment]
                used[track.source, part] = licences.get(track.source, "not known")
        return {
            "left_out": left_out, "sha256": file_digest(folder / negatives.INDEX),
            "hours": [{"part": part, "kind": kind, "hours": round(count, 4)} for (part, kind), count in hours.items()],
            "sources": [{"name": name, "part": part, "licence": licence} for (name, part), licence in used.items()],
        }, []  # fmt: skip

    def _speech(self, advance: Advance) -> tuple[dict[str, Any], list[Path]]:
        order, folder = self._order, self._room.folder / "speech"
        voices, left_out = speech.voices()
        near = pronunciation.near_texts_of_all(order.said_as or (order.word,), lexicon=lexicon(order.size))
        said = plan.plan(order.word, near, voices, PLANS[order.size], order.seeds[0], order.said_as)
        mute = speech.record_all(said, folder, advance)
        left_out += [f"{engine} could not say {count} texts" for engine, count in Counter(one.engine for one in mute).items()]
        self._said = list(speech.spoken(said, folder))
        return {"left_out": left_out, "sayings": digest_of([repr(one) for one, _ in self._said])}, []

    def _pcm(self, part: Part, *kinds: str) -> list[Pcm]:
        return [pcm for said, pcm in self._said if said.part == part and said.kind in kinds]

    def _by_likeness(self, part: Part, natural: int, formant: int, *kinds: str) -> list[Group]:
        """What voices say that a listener may take for people, and what the others say, which weighs less."""
        alike: dict[bool, list[Pcm]] = {True: [], False: []}
        for said, pcm in self._said:
            if said.part == part and said.kind in kinds:
                alike[said.engine in speech.NATURAL].append(pcm)
        return [Group(alike[True], natural), Group(alike[False], formant, FORMANT_SHARE)]

    def _heard(self, part: Part) -> dict[material.Kind, list[Group]]:
        """What is learnt from, or chosen by, but for sound without the word as it is."""
        order, times = self._order, PASSES[self._order.size].of_part(part)
        own = [takes.cut(take)[0] for take in order.takes[0]] if part == "fit" else []
        talk = negatives.audio(order.sounds, part, "speech", without=order.word)
        return {
            "word": self._by_likeness(part, times.word, times.formant, "word"),
            "near": self._by_likeness(part, times.near, times.formant, "near", "near-sentence"),
            "owner": [Group(own, times.owner)],
            "sentence": [Group(self._pcm(part, "sentence"), times.sentence)],
            "talk": [Group(talk, times.talk)],
        }

    def _columns(
        self, heard: dict[Part, dict[material.Kind, list[Group]]], advance: Advance
    ) -> tuple[dict[str, Any], list[Path]]:
        order, folder, files = self._order, self._room.folder / "columns", []
        for place, (part, said) in enumerate(heard.items()):
            noises = functools.partial(negatives.audio, order.sounds, part, "speech", "music", "noise", without=order.word)
            rooms, processes = (scenes.rooms, columns.PROCESSES) if order.size == "full" else (no_rooms, 1)
            studio = Studio(folder / "pieces" / self._chain[:16], rooms, noises, order.seeds[0], processes)
            tracks = [track.columns for track in negatives.load(order.sounds, part, order.word)]

            def progress(done: float, total: float, place: int = place) -> None:
                advance(place + done / total, len(LEARNT))

            kept = below("talk") / f"{self._talk_digest(part, said['talk'], noises())[:16]}.npy"
            files += material.make(part, said, tracks, studio, folder, kept, progress)
        shutil.rmtree(folder / "pieces", ignore_errors=True)
        return {}, files

    def _talk_digest(self, part: Part, talk: Sequence[Group], noises: Sequence[Pcm]) -> str:
        """Of what the columns of talk depend on; which recordings are left out for the word, their lengths tell."""
        order = self._order
        lengths = [len(recording) for recording in (*noises, *(sound for group in talk for sound in group.sounds))]
        sha256 = file_digest(order.sounds / negatives.INDEX)
        passes = [group.passes for group in talk]
        return digest_of(code_digest(*MADE_BY["columns"]), sha256, part, passes, order.size, order.seeds[0], lengths)

    def _fit(self, advance: Advance) -> tuple[dict[str, Any], list[Path]]:
        order, folder = self._order, self._room.folder
        fitted = fitting.fit_all(order.seeds, SETTINGS[order.size], folder, self._chain[:16], advance)
        networks = [{"seed": each.seed, "missed": each.missed, "file": each.network.name} for each in fitted]
        return {"networks": networks}, [each.network for each in fitted]

    def _judge(self, fitted: dict[str, Any], advance: Advance) -> tuple[dict[str, Any], list[Path]]:
        unsaid = np.load(self._room.folder / "columns" / "stop-unsaid.npy", mmap_mode="r")
        words, silent = self._word_streams("stop"), [SilentHours("as it is, and in scenes", [unsaid])]
        steps = len(fitted["networks"]) + 2
        tried = []
        advance(0, steps)
        for number, each in enumerate(fitted["networks"]):
            model = self._model(each["file"], 1, 0)
            tried.append((judge.choose(model, words, silent), each))
            advance(number + 1, steps)
        choice, best = min(tried, key=lambda pair: (pair[0].misses, pair[1]["missed"]))
        model = self._model(best["file"], choice.window, choice.cutoff_q8)
        verdict = self.verdict(model, lambda done, total: advance(steps - 2 + 2 * done / total, steps))
        return {
            "network": model.manifest.model.relative_to(self._room.folder).as_posix(), "network_sha256": model.digest.hex(),
            "seed": best["seed"],
            "seeds": [{"seed": each["seed"], "missed_while_trained": each["missed"], **found._asdict()} for found, each in tried],
            **provenance.verdict_json(verdict, model.cutoff_q8),
        }, [model.manifest.model, model.manifest.model.with_suffix(".json")]  # fmt: skip

    def _model(self, file: str, window: int, cutoff_q8: int) -> models.Model:
        """A network with its manifest, which is written beside it."""
        path = self._room.folder / "networks" / file
        entry = manifest.manifest(
            self._order.word, AUTHOR, path.name, path.read_bytes(), LANGUAGES, cutoff_q8 / 256, window
        )  # fmt: skip
        write_atomically(path.with_suffix(".json"), json.dumps(entry, indent=2, ensure_ascii=False) + "\n", next_step=NEXT_STEP)
        return models.load(str(path))

    def _word_streams(self, part: Part) -> list[WordStream]:
        return self._streams("computed voices", self._pcm(part, "word"), part)

    def _streams(self, who: str, words: Sequence[Pcm], part: Part) -> list[WordStream]:
        noise = negatives.noise(self._order.sounds, part)
        streams = [
            judge.word_stream(f"{who}, quiet", words, [], None, SEED),
            judge.word_stream(f"{who}, noise at {judge.SNR_DB:.0f} dB", words, noise, judge.SNR_DB, SEED),
        ]
        # Told, but not chosen by: no cutoff mends it, and the figures of README.md were chosen without it.
        if part == "judge" and (talk := negatives.audio(self._order.sounds, part, "speech", without=self._order.word)):
            streams.append(judge.word_stream(f"{who}, talk follows", words, [], None, SEED, talk))
        return streams

    def _silent(self, part: Part) -> list[SilentHours]:
        tracks = negatives.load(self._order.sounds, part, self._order.word)
        kinds = sorted({track.kind for track in tracks})
        silent = [SilentHours(kind, [track.columns for track in tracks if track.kind == kind]) for kind in kinds]
        speech = negatives.audio(self._order.sounds, part, "speech", without=self._order.word)
        noise = negatives.noise(self._order.sounds, part)
        if speech and noise:
            silent.append(judge.noisy_hours(f"speech in noise at {judge.SNR_DB:.0f} dB", speech, noise, judge.SNR_DB, SEED))
        return silent

    def _voices(self) -> list[dict[str, Any]]:
        """Who said how much for what."""
        counts: Counter[tuple[str, Part]] = Counter((said.engine, said.part) for said, _ in self._said)
        names = {key: {said.voice.split(":")[0] for said, _ in self._said if (said.engine, said.part) == key} for key in counts}
        return [
            {"engine": engine, "part": part, "licence": LICENCES[engine], "voices": len(names[engine, part]), "sayings": count}
            for (engine, part), count in sorted(counts.items())
        ]  # fmt: skip
