# SPDX-License-Identifier: MIT
"""What synthetic voices are to say, by whom, how fast, and what it is for: pure and deterministic.

Of three parts one is learnt from (`fit`), one chooses the network and its cutoff (`stop`), one tells its owner how good it is
(`judge`). No voice is in two parts, nor two of one speaker: Hibari's voice was learnt from Kokoro's "heart". An eighth of the
near words is heard in `stop` and an eighth in `judge` alone, so that the figure is not of words that were learnt.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Part = Literal["fit", "stop", "judge"]
Kind = Literal["word", "near", "near-sentence", "sentence"]
PARTS: tuple[Part, Part, Part] = ("fit", "stop", "judge")
KINDS: tuple[Kind, ...] = ("word", "near", "near-sentence", "sentence")

# Voices that are not learnt from; all others are. Of Kokoro's English voices a sixth each, and of its others.
_HELD: dict[str, dict[Part, tuple[str, ...]]] = {
    "kokoro": {
        "stop": ("af_nova", "am_fenrir", "am_liam", "bf_lily", "bm_daniel", "if_sara", "zm_yunxi"),
        "judge": ("af_heart", "af_sarah", "am_michael", "bf_emma", "bm_george", "ff_siwis", "jm_kumo"),
    },
    "piper": {"stop": ("joe",)},
    "hibari": {"judge": ("heart",)},
    "espeak-ng": {"stop": ("en-gb-scotland+f2", "en-us+m7", "en-029+f4")},
    "flite": {"stop": ("slt",)},
}
_SPEEDS = (0.75, 0.85, 0.95, 1.0, 1.05, 1.15, 1.3)
_ENDINGS = ("", "", "?", "!", ",", ".")  # they change the intonation
# What Kokoro's voices to learn from are made into, each as often as the next: a voice alone, a mean of two, one beyond another,
# the timbre of one with the prosody of another.
_MADE = ("alone", "mean", "mean", "beyond", "mixed", "mixed")
_SHARES = (0.3, 0.4, 0.5, 0.6, 0.7)
_BEYOND = (-0.4, -0.25, 1.25, 1.4)
_ACCENTED = 0.35  # of what is learnt from is read with the sounds of another language
_ACCENTS = (
    "de", "es", "fr-fr", "it", "pt-br", "hi", "pl", "nl", "sv", "ru", "tr", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-029",
)  # fmt: skip
_TRIES = 8  # for an utterance that is not there yet
_PITCHES = (25, 40, 50, 60, 75)  # espeak-ng's, of 99

CARRIERS = (
    "Then came {} at last", "Who said {} to you", "It was {} all along", "Not {} again please", "I read {} in there",
    "We talked about {} for an hour", "They call it {} where I live", "Is that {} or something else", "Look at {} over there",
    "Nobody mentioned {} before", "There is {} on the table", "She wrote {} on the wall",
)  # fmt: skip
SENTENCES = (
    "I left the keys on the kitchen table", "Could you bring some milk on your way home",
    "The meeting starts at half past nine tomorrow", "It has been raining since early this morning",
    "We should paint the fence before winter comes", "He asked whether the train was late again",
    "My sister lives near the old harbour", "There is nothing good on television tonight",
    "The dog wants to go out for a walk", "Put the plates in the cupboard please",
    "I cannot find my glasses anywhere", "What time does the museum close on Sunday",
    "Somebody has eaten the last piece of cake", "The children are playing in the garden",
    "You never told me that you could swim", "Turn the light off when you leave the room",
    "Their new neighbours seem to be quite friendly", "How much did you pay for those shoes",
    "The doctor said that I should sleep more", "Let us meet in front of the station at six",
    "That bus does not stop here any longer", "She has been learning to play the guitar",
    "Nobody knows where the cat has gone", "We are having fish and potatoes for dinner",
    "This window lets in too much cold air", "I would rather stay at home this evening",
    "The shop around the corner opens at seven", "Please remember to water the flowers",
    "Both of them were born in the same village", "It takes about twenty minutes by bicycle",
    "Why is the computer making such a noise", "My phone fell into the river last summer",
    "There was a long queue at the post office", "He works for a company that builds bridges",
    "The soup needs a little more salt", "Did anyone call while I was away",
)  # fmt: skip


@dataclass(frozen=True)
class Utterance:
    """What is to be said, how, and what it is for. `near`: sounds like the word; `sentence`: has nothing like it in it."""

    kind: Kind
    text: str
    engine: str
    voice: str
    speed: float
    part: Part


@dataclass(frozen=True)
class Size:
    """How many utterances of each kind: of Kokoro for (fit, stop, judge), and of each voice of the other engines.

    `voices`: of the other engines at most so many for each part.
    """

    kokoro: Mapping[Kind, tuple[int, int, int]]
    each_voice: Mapping[Kind, int]
    voices: int


FULL = Size(
    {"word": (700, 70, 84), "near": (340, 80, 80), "near-sentence": (60, 20, 20), "sentence": (60, 20, 20)},
    {"word": 10, "near": 24, "near-sentence": 6, "sentence": 6},
    voices=64,
)
SMALL = Size({}, {"word": 6, "near": 6, "near-sentence": 1, "sentence": 2}, voices=1)


def part_of(engine: str, voice: str) -> Part:
    """Which part a voice speaks for; of a voice that is made of others, the first one's, as all of them are of one part."""
    name = re.split("[+/:@]", voice)[0] if engine == "kokoro" else voice.split(":")[0]
    return next((part for part, held in _HELD.get(engine, {}).items() if name in held), "fit")


def near_for(near: Sequence[str], part: Part) -> list[str]:
    """The near words, nearest first, that a part hears. The nearest are learnt from."""
    held = {3: "stop", 7: "judge"}
    return [text for rank, text in enumerate(near) if held.get(rank % 8, "fit") == part]


def plan(
    word: str, near: Sequence[str], voices: Mapping[str, Sequence[str]], size: Size, seed: int, said_as: Sequence[str] = ()
) -> list[Utterance]:
    """All utterances, none twice; the same for the same arguments.

    Args:
        near: texts that sound like the word, nearest first (`pronunciation.near_texts`).
        voices: of each engine that there is (`speech.voices`).
        said_as: texts that voices read for the word, each as often as the next, where its own spelling misleads them.
    """
    chance, spellings = random.Random(f"{word} {seed}"), said_as or (word,)
    said: dict[Utterance, None] = {}
    for engine, names in voices.items():
        by_part = {part: [name for name in names if part_of(engine, name) == part] for part in PARTS}
        for place, part in enumerate(PARTS):
            if not by_part[part]:
                continue
            for kind in KINDS:
                if engine == "kokoro":
                    voiced = _kokoro_voices(by_part[part], size.kokoro.get(kind, (0, 0, 0))[place], kind, part, chance)
                else:
                    voiced = _voices(engine, by_part[part][: size.voices], size.each_voice.get(kind, 0), chance)
                texts = _texts(kind, spellings, near_for(near, part), part, chance)
                for voice in voiced:
                    for text in itertools.islice(texts, _TRIES):
                        fresh = Utterance(kind, text, engine, voice, chance.choice(_SPEEDS), part)
                        if fresh not in said:
                            said[fresh] = None
                            break
    return list(said)


def _kokoro_voices(names: Sequence[str], count: int, kind: Kind, part: Part, chance: random.Random) -> Iterator[str]:
    """Each voice by itself in turn; to learn from also new speakers, and accents: the word and what is near it alike."""
    for number in range(count):
        voice = names[number % len(names)]
        if part == "fit" and kind in ("word", "near") and len(names) >= 4:
            voice = _made(names, voice, chance)
            if chance.random() < _ACCENTED:
                voice += f"@{chance.choice(_ACCENTS)}"
        yield voice


def _made(names: Sequence[str], voice: str, chance: random.Random) -> str:
    made = chance.choice(_MADE)
    first, second, third, fourth = chance.sample(names, 4)
    if made == "mean":
        return f"{first}+{second}:{chance.choice(_SHARES)}"
    if made == "beyond":
        return f"{first}+{second}:{chance.choice(_BEYOND)}"
    if made == "mixed":
        return f"{first}+{third}:{chance.choice(_SHARES)}/{second}+{fourth}:{chance.choice(_SHARES)}"
    return voice


def _voices(engine: str, names: Sequence[str], count: int, chance: random.Random) -> Iterator[str]:
    for name in names:
        for _ in range(count):
            yield f"{name}:{chance.choice(_PITCHES)}" if engine == "espeak-ng" else name


def _texts(kind: Kind, spellings: Sequence[str], near: Sequence[str], part: Part, chance: random.Random) -> Iterator[str]:
    """Texts of a kind without end, in random order; none where there is nothing near."""
    if kind == "word":
        while True:
            spelling = spellings[0] if len(spellings) == 1 else chance.choice(spellings)
            yield spelling + chance.choice(_ENDINGS)
    place = PARTS.index(part)
    texts = SENTENCES[place::3] if kind == "sentence" else near
    # A sentence with the word in it would be no sentence without it.
    texts = [text for text in texts if not any(f" {spelling.lower()} " in f" {text.lower()} " for spelling in spellings)]
    while texts:
        for text in chance.sample(texts, len(texts)):
            yield chance.choice(CARRIERS).format(text) if kind == "near-sentence" else text
