# SPDX-License-Identifier: MIT
"""Near words to learn from: by Kokoro's voices, close to the word by phonemes. None is among those of `texts.py`, which judge."""

from __future__ import annotations

import random

from earlid.sound import speakers
from earlid.train import speech

from tests.bench.detection import data, voices
from tests.bench.detection.data import Clip, Half

# Words of CMUdict that, after or before an "a", are within 1.7 edits of the word's phonemes
TEXTS = tuple(
    """
    a lakes a|a lacks a|a lax a|a lets a|a licks a|a likes a|a lucks a|a lux a|a necks a|a rex a|a wrecks a|a likeness|a ex a
    a flecks a|a flex a|a lech a|a less a|a lexie a|a plex a|an x a|Alexei a|Alexi a|a lacked a|a laps a|a lapse a|a leaped a
    a leapt a|a lector|a legs a|a lights a|a lips a|a Lutz a|a luxor|a necked a|a nets a|a nicks a|a racks a|a rakes a|a reps a
    a ricks a|a wakes a|a wax a|a whacks a|a wicks a|a wrecked a|elect a|a becks a|a checks a|a Czechs a|a decks a|a hex a
    a leaks a|a leeks a|a locks a|a looks a|a lurks a|a peck's a|a sex a|a techs a|a vex a|a lettuce a|a aches a|a axe a
    a blacks a|a Blake's a|a clicks a|a clucks a|an ex her|a flakes a|a flax a|a flexer|a flicks a|a flux a|a lace a|a lack a
    a lake a|a lass a|a leg a|a length a|a lesser|a lessor|a let a|a Leta|a lick a|a like a|a links a|a luck a|a lynx a|a neck a
    a nexus|a plucks a|a slacks a|a slicks a|a treks a|a wreck a|alas a|a lattice a|a next a|a Lycra|a lengths a|a locus a
    a plexus|a latex a|affects a|attacks a|a taxi|a Lenox a|a rates a|a nights a|a weeks a|elapse a|a bless a|a lecturer
    """.strip().replace("\n", "|").split("|")
)  # fmt: skip
TEXTS = tuple(text.strip() for text in TEXTS)
SENTENCES = ("Then came {} at last", "Who said {} to you", "It was {} all along", "Not {} again please", "I read {} in there")
EACH = 1  # recordings of a text; one of six in a sentence, two of five by a blend of two voices
_SEED = 11


def clips(half: Half) -> list[Clip]:
    """Recordings of one half; those that are missing are made.

    Raises:
        data.Missing: Kokoro is not installed.
    """
    made = []
    for said in _plan(half):
        path = voices.path_of(said)
        if not path.exists():
            speech.record(said, voices.folder())
        made.append(Clip(f"kokoro/{path.stem}", str(path), "kokoro", "near", "en", half))
    return made


def _plan(half: Half) -> list[voices.Utterance]:
    chance = random.Random(f"{_SEED} {half}")
    pool = speakers.engine("kokoro").voices[data.HALVES.index(half) :: 2]
    said = []
    for _ in range(EACH):
        for text in TEXTS:
            first, second = chance.sample(pool, 2)
            voice = f"{first}+{second}:{chance.choice((0.35, 0.5, 0.65))}" if chance.random() < 0.4 else first
            speed = chance.choice((0.85, 0.95, 1.0, 1.1, 1.2))
            spoken = chance.choice(SENTENCES).format(text) if chance.random() < 1 / 6 else text
            said.append(voices.Utterance("near", spoken, "kokoro", voice, speed, half))
    return list(dict.fromkeys(said))
