# SPDX-License-Identifier: MIT
"""How far two pronunciations are apart, and which words and phrases come nearest to one: pure arithmetic over phones.

An edit distance (Levenshtein 1965) whose costs are of a sound's classes: two vowels differ by the tongue's height and place
at their beginning and end, two consonants by place, manner and voice; 1 is a sound that is another one altogether. What a
longer word has before and after is nearly free: a gate that hears on and on hears the word in it all the same. The costs were
set by hand.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache as memoized
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Phones = tuple[str, ...]

# The tongue: height (0 open, 1 close) and place (0 front, 1 back).
_VOWELS = {
    "i": (1.0, 0.0), "ɪ": (0.8, 0.15), "ᵻ": (0.75, 0.35), "e": (0.65, 0.05), "ɛ": (0.4, 0.1), "æ": (0.15, 0.1), "a": (0.05, 0.3),
    "ə": (0.5, 0.5), "ɐ": (0.3, 0.5), "ʌ": (0.3, 0.65), "ɑ": (0.0, 0.9), "ɒ": (0.05, 1.0), "ɔ": (0.3, 1.0), "o": (0.6, 1.0),
    "ʊ": (0.8, 0.85), "u": (1.0, 1.0), "ɜ": (0.45, 0.5), "ɚ": (0.5, 0.55), "ɝ": (0.45, 0.55),
}  # fmt: skip
_REDUCED = ("ə", "ɐ", "ᵻ", "ɪ", "ɚ")
# Place (0 lips, 1 throat), manner, voice.
_CONSONANTS = {
    "p": (0.0, "stop", 0), "b": (0.0, "stop", 1), "m": (0.0, "nasal", 1), "f": (0.1, "fricative", 0), "v": (0.1, "fricative", 1),
    "w": (0.1, "glide", 1), "ʍ": (0.1, "glide", 0), "θ": (0.3, "fricative", 0), "ð": (0.3, "fricative", 1), "t": (0.4, "stop", 0),
    "d": (0.4, "stop", 1), "ɾ": (0.4, "stop", 1), "s": (0.4, "fricative", 0), "z": (0.4, "fricative", 1), "n": (0.4, "nasal", 1),
    "l": (0.4, "liquid", 1), "ɫ": (0.4, "liquid", 1), "ɹ": (0.55, "liquid", 1), "r": (0.55, "liquid", 1),
    "ʃ": (0.55, "fricative", 0), "ʒ": (0.55, "fricative", 1), "tʃ": (0.55, "affricate", 0), "dʒ": (0.55, "affricate", 1),
    "j": (0.7, "glide", 1), "k": (0.85, "stop", 0), "ɡ": (0.85, "stop", 1), "ŋ": (0.85, "nasal", 1), "x": (0.85, "fricative", 0),
    "h": (1.0, "fricative", 0), "ʔ": (1.0, "stop", 0),
}  # fmt: skip
_MANNERS = {frozenset(pair): cost for pair, cost in {
    ("stop", "affricate"): 0.3, ("fricative", "affricate"): 0.3, ("liquid", "glide"): 0.35, ("stop", "nasal"): 0.5,
    ("stop", "fricative"): 0.45, ("nasal", "liquid"): 0.5,
}.items()}  # fmt: skip
_OTHER_MANNER = 0.6
_VOICE = 0.2
_DROPPED = 0.7  # a consonant
_DROPPED_VOWEL = 0.8
_DROPPED_REDUCED = 0.5
_DROPPED_WEAK = 0.4  # of h and a glottal stop
_AROUND = 0.1  # a sound before or after
_JOINT = 0.1  # between two words
_RARE = 0.1  # for each tenth of a thousand in a million words
_JOINED_PER_MILLION = 3.0  # of a phrase's words, at least
_SAME_WORD = 5  # phrases with one word at one place
_KEPT, _WHOLE_KEPT = 60, 400  # words of a piece, and of all of it
_DIPHTHONGS = ("eɪ", "aɪ", "ɔɪ", "oʊ", "əʊ", "aʊ")
_SOUNDS = re.compile("|".join((*_DIPHTHONGS, *sorted((*_VOWELS, *_CONSONANTS), key=len, reverse=True))))


@dataclass(frozen=True)
class Spelling:
    """A word, how it is said, and how often it comes in a million words."""

    text: str
    phones: Phones
    per_million: float


class Near(NamedTuple):
    """A text, and by how many sounds it differs; `per_million` of its rarest word."""

    text: str
    distance: float
    per_million: float


def phones_of(ipa: str) -> Phones:
    """Sounds of IPA as espeak-ng writes it for English: vowels (diphthongs are one), consonants; without stress and length."""
    return tuple(_SOUNDS.findall(re.sub("[ˈˌː\u0361\u200d]", "", ipa.replace("g", "ɡ"))))


def syllables(phones: Phones) -> int:
    """Their number: each has one vowel."""
    return sum(phone[0] in _VOWELS for phone in phones)


@memoized
def substitution(one: str, other: str) -> float:
    """Cost of hearing one sound for another: 0 to 1; of a vowel and a consonant 1.5."""
    if one == other:
        return 0.0
    if one[0] in _VOWELS and other[0] in _VOWELS:
        ends = ((one[0], other[0]), (one[-1], other[-1]))
        tongue = [abs(a - b) for first, second in ends for a, b in zip(_VOWELS[first], _VOWELS[second], strict=True)]
        return min(1.0, 0.05 + 0.6 * sum(tongue) / 2)
    if one[0] in _VOWELS or other[0] in _VOWELS:
        return 1.5
    (place, manner, voice), (place2, manner2, voice2) = _CONSONANTS[one], _CONSONANTS[other]
    moved = 0.0 if manner == manner2 else _MANNERS.get(frozenset((manner, manner2)), _OTHER_MANNER)
    return min(1.0, 0.05 + 0.7 * abs(place - place2) + moved + _VOICE * (voice != voice2))


def dropped(phone: str) -> float:
    """Cost of a sound that one has and the other has not."""
    if phone[0] in _VOWELS:
        return _DROPPED_REDUCED if phone in _REDUCED else _DROPPED_VOWEL
    return _DROPPED_WEAK if phone in ("h", "ʔ") else _DROPPED


class Lexicon:
    """Words to search, as arrays. `distances` are of one word against all of them at once."""

    def __init__(self, words: Iterable[Spelling]) -> None:
        self.words = [word for word in words if word.phones]
        self._code = {phone: number for number, phone in enumerate(sorted({p for word in self.words for p in word.phones}))}
        self._lengths = np.array([len(word.phones) for word in self.words])
        longest = int(self._lengths.max(initial=0))
        self._coded = np.zeros((len(self.words), longest), np.intp)
        for row, word in enumerate(self.words):
            self._coded[row, : len(word.phones)] = [self._code[phone] for phone in word.phones]
        self._inserted = np.array([dropped(phone) for phone in self._code])[self._coded] if self.words else np.zeros((0, 0))
        self.per_million = np.array([word.per_million for word in self.words])

    def distances(self, phones: Phones, before: bool = True, after: bool = True) -> NDArray[np.float64]:
        """How far each word is from the beginnings of `phones`: shape (len(phones) + 1, words); the last row is from all of it.

        Args:
            before, after: what a word has before, and after, costs next to nothing; `after` in the last row alone.
        """
        count, longest = self._coded.shape
        columns = np.arange(longest)
        behind = columns >= self._lengths[:, None]
        cost = np.where(behind, 0.0, self._inserted)
        row = np.zeros((count, longest + 1))
        row[:, 1:] = np.cumsum(np.where(behind, 0.0, _AROUND) if before else cost, axis=1)
        found = [row[np.arange(count), self._lengths]]
        for phone in phones:
            swapped = np.array([substitution(phone, other) for other in self._code])[self._coded]
            fresh = np.empty_like(row)
            fresh[:, 0] = row[:, 0] + dropped(phone)
            best = np.minimum(row[:, 1:] + dropped(phone), row[:, :-1] + swapped)
            for at in range(longest):
                fresh[:, at + 1] = np.minimum(best[:, at], fresh[:, at] + cost[:, at])
            row = fresh
            found.append(row[np.arange(count), self._lengths])
        if after:
            rest = self._lengths[:, None] - np.arange(longest + 1)
            found[-1] = np.where(rest >= 0, row + _AROUND * rest, np.inf).min(axis=1)
        return np.array(found)


def nearest(phones: Phones, lexicon: Lexicon, *, most: float, count: int, words: int = 3) -> list[Near]:
    """Words, and phrases of up to so many words, that come near: the nearest first, of equally near ones the common ones.

    Of texts that sound the same there is one, and few with the same word at the same place.

    Args:
        most: the largest distance.
        count: how many at most.
        words: of a phrase, at most.
    """
    size = len(phones)
    # A rare word counts as if it were further off: what nobody says teaches less.
    rarity = _RARE * np.log10(1000 / np.clip(lexicon.per_million, 0.1, 1000))
    usable = (rarity <= _RARE * np.log10(1000 / _JOINED_PER_MILLION)) | np.array([words == 1])
    pieces: dict[tuple[int, int], list[tuple[float, float, int]]] = {}
    for start in range(size):
        table = lexicon.distances(phones[start:], before=start == 0)
        for end in range(start + 1, size + 1):
            whole = (start, end) == (0, size)
            ranked = np.where(usable | whole, table[end - start] + rarity, np.inf)
            best = np.argsort(ranked, kind="stable")[: _WHOLE_KEPT if whole else _KEPT]
            pieces[start, end] = [
                (float(ranked[at]), float(table[end - start][at]), int(at)) for at in best if table[end - start][at] <= most
            ]
    # What ends at each place: its rank, its distance, its words.
    ends: list[list[tuple[float, float, tuple[int, ...]]]] = [[] for _ in range(size + 1)]
    ends[0] = [(0.0, 0.0, ())]
    for end in range(1, size + 1):
        found = []
        for start in range(end):
            for rank, distance, phrase in ends[start]:
                joint = _JOINT if phrase else 0.0
                if len(phrase) < words:
                    for more, further, at in pieces[start, end]:
                        if (total := distance + further + joint) <= most:
                            found.append((rank + more + joint, total, (*phrase, at)))
        ends[end] = sorted(found)[: 200 * _KEPT if end == size else 5 * _KEPT]
    chosen = _varied([phrase for _, _, phrase in ends[size]], [distance for _, distance, _ in ends[size]], lexicon, count)
    return sorted(chosen, key=lambda one: one.distance)


def _varied(phrases: Sequence[tuple[int, ...]], distances: Sequence[float], lexicon: Lexicon, count: int) -> list[Near]:
    chosen: list[Near] = []
    seen = Counter[tuple[int, Phones]]()
    heard = set[Phones]()
    for phrase, distance in zip(phrases, distances, strict=True):
        words = [lexicon.words[at] for at in phrase]
        sound = sum((word.phones for word in words), ())
        places = [] if len(words) == 1 else [(place, word.phones) for place, word in enumerate(words)]
        if sound in heard or any(seen[place] >= _SAME_WORD for place in places):
            continue
        heard.add(sound)
        seen.update(places)
        chosen.append(Near(" ".join(word.text for word in words), round(distance, 2), min(word.per_million for word in words)))
        if len(chosen) == count:
            break
    return chosen
