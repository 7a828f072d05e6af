# SPDX-License-Identifier: MIT
"""How a word is said, what sounds like it, and what speaks against it as a wake word: before anything is trained.

Pronunciations are espeak-ng's, in American English; words with their frequencies are wordfreq's (data CC BY-SA 4.0).
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Sequence
from functools import cache as memoized
from typing import NamedTuple

import numpy as np

from earlid import extras
from earlid.config_file import cache_folder
from earlid.errors import USAGE, Missing, UserError
from earlid.files import write_atomically
from earlid.sound import speakers
from earlid.train.phone_distance import Lexicon, Near, Phones, Spelling, nearest, phones_of, syllables

WORDS = 30_000  # the commonest of English: from 1 in a million words on
LANGUAGE = "en-us"
WORD_MAX_S = 2.0  # what a network looks back on, with room for a slow speaker
LETTERS_MAX = 40
# Fewer are harder to hear and easier to mistake: https://picovoice.ai/blog/tips-for-choosing-a-wake-word/ (2019).
PHONES_MIN = 6
SYLLABLES_MIN = 3
COMMON_PER_MILLION = 10.0
SPOKEN_AN_HOUR = 9000  # words of somebody who talks without a pause, 150 a minute
SAME = 0.25  # of a sound: nearer than this a text is the word, for a gate
NEAR = 0.8
PHRASE_MOST = 2.2
_NEAR_PER_MILLION = 1.0
_NAMED = 4  # in a warning
_WORD = re.compile("[ai]|(?=.*[aeiouy])[a-z]{2,}")  # one that is said, not spelt: it has a vowel
WEAK = {"a": "ə"}  # as it is said before another word; alone espeak-ng says the letter
_LETTERS = re.compile(r"[^\W\d_]+(['’-][^\W\d_]+)*'?")


class Warning(NamedTuple):
    """What speaks against a word: of which kind, and a sentence with the figures."""

    kind: str
    text: str


def checked(word: str) -> str:
    """The word as it is said to engines: its parts with one space between.

    Raises:
        UserError: code 2 for what is no word: empty, digits, signs, too long.
    """
    parts = word.split()
    if not parts:
        raise UserError('the word is empty: name one, as in `earlid model train "open sesame"`.', USAGE)
    shown = ascii(word[:LETTERS_MAX])
    if any(character.isdigit() for character in word):
        raise UserError(f"{shown} has digits: write numbers as they are said, as in `seven`.", USAGE)
    if not all(_LETTERS.fullmatch(part) for part in parts):
        raise UserError(f"{shown} has signs that nobody can say: letters, spaces, - and ' are known.", USAGE)
    if len(" ".join(parts)) > LETTERS_MAX:
        raise UserError(f"{shown}... is longer than {LETTERS_MAX} letters: choose a word of one or two seconds.", USAGE)
    return " ".join(parts)


@memoized
def phones(word: str) -> Phones:
    """Its sounds, without stress.

    Raises:
        UserError: code 2 when espeak-ng makes no sounds of it.
        Missing: espeak-ng is not there.
    """
    said = phones_of(speakers.phonemes(checked(word), LANGUAGE))
    if not syllables(said):
        raise UserError(f"nobody can say {word!a}: espeak-ng finds no vowel in it. Spell it as it sounds.", USAGE)
    return said


def near(word: str, count: int, lexicon: Lexicon | None = None) -> list[Near]:
    """Words and short phrases that sound like the word but are not it, the nearest first.

    Args:
        count: how many at most.
        lexicon: words to make them of; by default `english()`.
    """
    said = phones(word)
    found = nearest(said, lexicon or english(), most=PHRASE_MOST, count=2 * count, words=2 + word.count(" "))
    return [text for text in found if text.distance >= SAME and not _holds(text.text, word)][:count]


def near_texts(word: str, count: int = 200, lexicon: Lexicon | None = None) -> list[str]:
    """What a network learns to tell from the word: what sounds like it; of a phrase its parts first, and at the end the phrase
    with another word in place of one.
    """
    parts = word.split()
    if len(parts) == 1:
        return [text.text for text in near(word, count, lexicon)]
    own = [*parts, " ".join(parts[:-1]), " ".join(parts[1:]), " ".join(reversed(parts))]
    swapped = [
        " ".join((*parts[:place], other.text, *parts[place + 1 :]))
        for place, part in enumerate(parts)
        if syllables(phones_of(speakers.phonemes(part, LANGUAGE)))  # "sh" alone is no word to look for
        for other in near(part, count // (2 * len(parts)), lexicon)
    ]
    texts = [*own, *(text.text for text in near(word, count // 2, lexicon)), *swapped]
    return [text for text in dict.fromkeys(texts) if text != word][:count]


def near_texts_of_all(spellings: Sequence[str], count: int = 200, lexicon: Lexicon | None = None) -> list[str]:
    """`near_texts` of a word that is said in several ways, those of each in turn, but for what is another of these ways."""
    each = [near_texts(spelling, count, lexicon) for spelling in spellings]
    if len(each) == 1:
        return each[0]
    in_turn = dict.fromkeys(itertools.chain.from_iterable(itertools.zip_longest(*each)))
    texts = [text for text in in_turn if text and not any(_holds(text, spelling) for spelling in spellings)]
    said = Lexicon(
        Spelling(text, phones_of(ipa), 0.0) for text, ipa in zip(texts, speakers.phonemes_of_each(texts, LANGUAGE), strict=True)
    )
    distances = np.min([said.distances(phones(spelling), before=False, after=False)[-1] for spelling in spellings], axis=0)
    return [text for text, distance in zip(texts, distances, strict=True) if distance >= SAME][:count]


def warnings_of(word: str, lexicon: Lexicon | None = None) -> list[Warning]:
    """What speaks against a word, the figures with it; empty for a good one.

    Raises:
        UserError: code 2 for what is no word, or takes too long to say.
        Missing: espeak-ng or wordfreq is not there.
    """
    word = checked(word)
    said = phones(word)
    seconds = _seconds(word)
    if seconds > WORD_MAX_S:
        raise UserError(f"{word!a} takes {seconds:.1f} s to say: at most {WORD_MAX_S:.0f} s are looked at. Choose less.", USAGE)
    found = []
    if len(said) < PHONES_MIN or syllables(said) < SYLLABLES_MIN:
        found.append(Warning("short", (
            f"short: {_number(len(said), 'sound')} and {_number(syllables(said), 'syllable')}. With fewer than {PHONES_MIN} and "
            f"{SYLLABLES_MIN} a word is missed more often, and more is taken for it. A second word helps, as in `hey {word}`."
        )))  # fmt: skip
    often = per_million(word)
    if often >= COMMON_PER_MILLION:
        found.append(Warning("common", (
            f"common: {often:.0f} of a million words of English. Where people talk all the time it is said about "
            f"{often * SPOKEN_AN_HOUR / 1e6:.1f} times an hour, and each time the lid opens."
        )))  # fmt: skip
    singles = nearest(said, lexicon or english(), most=NEAR, count=60, words=1)
    others = [one for one in singles if one.per_million >= _NEAR_PER_MILLION and one.text not in word.lower().split()]
    inside = [one for one in others if one.distance < SAME + 0.2 and _has(phones(one.text), said)]
    if inside:
        found.append(Warning("contained", f"heard inside other words: {_named(inside)}. The lid may well open to these too."))
    alike = [one for one in others if one not in inside]
    if alike:
        found.append(Warning("near", (
            f"near to other words: {_named(alike)}. A distance of 1 is one sound that is another. They are "
            "learnt as what is not the word; `near words` of the result tell how often they still open."
        )))  # fmt: skip
    return found


def per_million(text: str) -> float:
    """How often a text comes in a million words of English; of a phrase, estimated from its words."""
    try:
        import wordfreq
    except ImportError as error:
        raise Missing(f"no wordfreq, which knows how common words are: `{extras.command('train')}`.") from error
    return 1e6 * float(wordfreq.word_frequency(text, "en"))


@memoized
def english(count: int = WORDS) -> Lexicon:
    """The commonest words of English with their sounds. The first time espeak-ng takes about 15 s; then it is kept.

    Raises:
        Missing: espeak-ng or wordfreq is not there.
    """
    per_million("the")
    import wordfreq

    words = [word for word in wordfreq.top_n_list("en", count) if _WORD.fullmatch(word)]
    key = hashlib.sha256(repr((speakers.engine("espeak-ng").digest(), words)).encode()).hexdigest()[:20]
    path = cache_folder() / "pronunciations" / f"{key}.txt"
    if not path.is_file():
        spoken = speakers.phonemes_of_each(words, LANGUAGE)
        write_atomically(path, "\n".join(spoken), make_folder=True)
    spoken = path.read_text(encoding="utf-8").split("\n")
    return Lexicon(
        Spelling(word, phones_of(WEAK.get(word, ipa)), per_million(word)) for word, ipa in zip(words, spoken, strict=True)
    )


def _seconds(word: str) -> float:
    samples, rate_hz = speakers.engine("espeak-ng").say(word, LANGUAGE, 1.0)
    return len(samples) / rate_hz


def _holds(text: str, word: str) -> bool:
    return f" {word.lower()} " in f" {text.lower()} "


def _has(said: Phones, part: Phones) -> bool:
    return any(said[at : at + len(part)] == part for at in range(len(said)))


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _named(words: Sequence[Near]) -> str:
    return ", ".join(f"{one.text} (distance {one.distance:.1f}, {one.per_million:.0f} in a million)" for one in words[:_NAMED])
