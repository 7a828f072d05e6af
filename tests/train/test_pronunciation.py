# SPDX-License-Identifier: MIT
"""How words are said, what sounds like them, and what is told about them before they are learnt."""

import numpy as np
import pytest
from earlid.errors import Missing, UserError
from earlid.sound import speakers
from earlid.train import pronunciation
from earlid.train.phone_distance import Lexicon, Spelling, dropped, nearest, phones_of, substitution, syllables

# Words and how often they come in a million, made up but for their order.
ENGLISH = {
    "a": 20000, "the": 50000, "alexa": 3, "alexis": 6, "alexander": 25, "election": 120, "elixir": 4, "lexicon": 4, "lexus": 4,
    "lecture": 20, "like": 2000, "legs": 50, "are": 5000, "select": 60, "electric": 70, "tomato": 9, "window": 80, "harbour": 20,
    "open": 200, "sesame": 3, "says": 300, "me": 3000, "opener": 3, "opens": 30, "echo": 11, "echoes": 4, "gecko": 3, "lego": 7,
    "oh": 600, "pen": 30, "computer": 90, "computers": 20, "commuter": 3, "is": 9000, "set": 200, "some": 2000,
}  # fmt: skip


@pytest.fixture(scope="module")
def english():
    try:
        said = speakers.phonemes_of_each(list(ENGLISH), "en-us")
    except Missing as missing:
        pytest.skip(str(missing))
    heard = [phones_of(pronunciation.WEAK.get(word, ipa)) for word, ipa in zip(ENGLISH, said, strict=True)]
    return Lexicon(map(Spelling, ENGLISH, heard, ENGLISH.values()))


@pytest.mark.parametrize(
    ("ipa", "phones", "count"),
    [("ɐlˈɛksə", "ɐ l ɛ k s ə", 3), ("ˈɛkoʊ", "ɛ k oʊ", 2), ("ˈoʊpən sˈɛsɐmi", "oʊ p ə n s ɛ s ɐ m i", 5),
     ("tʃˈɜːtʃ", "tʃ ɜ tʃ", 1), ("t\u0361ʃɪp", "tʃ ɪ p", 1), ("a\u200dɪd\u02c8iə", "aɪ d i ə", 3), ("gˈəʊ", "ɡ əʊ", 1)],
)  # fmt: skip
def test_phones_of_ipa_are_counted(ipa, phones, count):
    assert phones_of(ipa) == tuple(phones.split())
    assert syllables(phones_of(ipa)) == count


def test_sounds_of_one_class_are_nearer_than_others():
    assert substitution("s", "s") == 0
    assert max(substitution("s", "z"), substitution("s", "ʃ")) < min(substitution("s", "n"), substitution("s", "k"))
    assert substitution("ɛ", "æ") < substitution("ɛ", "u")
    assert substitution("p", "b") < substitution("p", "k") < substitution("p", "ə")
    sounds = [*"pbmfvwθðtdnlszɹʃʒjkɡŋhiɪɛæəʌɑɔʊu", "tʃ", "dʒ", "eɪ", "oʊ"]
    for one in sounds:
        for other in sounds:
            assert substitution(one, other) == substitution(other, one)
            assert (substitution(one, other) == 0) == (one == other)


def test_distance_is_the_least_cost_of_edits():
    """Against the plain recursion over two words, which the arrays must equal for all at once."""
    rng = np.random.default_rng(19)
    sounds = ["p", "s", "k", "l", "ə", "ɛ", "i", "tʃ"]
    words = [tuple(rng.choice(sounds, rng.integers(1, 7))) for _ in range(40)]
    table = Lexicon(Spelling(str(number), word, 1.0) for number, word in enumerate(words))

    def cost(one, other):
        if not one or not other:
            return sum(map(dropped, one or other))
        return min(
            cost(one[1:], other[1:]) + substitution(one[0], other[0]),
            cost(one[1:], other) + dropped(one[0]),
            cost(one, other[1:]) + dropped(other[0]),
        )

    phones = ("ə", "l", "ɛ", "k", "s")
    found = table.distances(phones, before=False, after=False)
    assert found[-1] == pytest.approx([cost(phones, word) for word in words])
    assert found[2] == pytest.approx([cost(phones[:2], word) for word in words])
    free = table.distances(phones)[-1]
    assert (free <= found[-1] + 1e-9).all(), "what is before and after costs less"


def test_neighbours_of_alexa_are_found(english):
    near = pronunciation.near("alexa", 80, english)
    texts = [one.text for one in near]
    assert {"alexis", "alexander", "election", "elixir", "a lexicon", "a lecture"} <= set(texts)
    assert not {"tomato", "window", "harbour"} & set(texts)
    assert [one.distance for one in near] == sorted(one.distance for one in near)
    assert not [one for one in near if "alexa" in one.text.split() or one.distance < pronunciation.SAME]
    assert pronunciation.near("alexa", 80, english) == near


def test_phrase_is_told_from_its_parts_and_from_what_sounds_like_all_of_it(english):
    texts = pronunciation.near_texts("open sesame", 40, english)
    assert texts[:3] == ["open", "sesame", "sesame open"]
    assert "open says me" in texts
    assert "a pen sesame" in texts, "another word in place of one"
    assert "open sesame" not in texts
    assert len(texts) == len(set(texts)) <= 40


def test_ways_of_saying_a_word_are_not_near_words_of_each_other(english):
    alone, other = (pronunciation.near_texts(text, 60, english) for text in ("alexa", "elixir"))
    assert "elixir" in alone
    texts = pronunciation.near_texts_of_all(("alexa", "elixir"), 60, english)
    assert not [text for text in texts if {"elixir", "alexa"} & set(text.split())]
    assert len(texts) == len(set(texts)) <= 60
    assert "alexis" in texts
    assert set(other) & (set(texts) - set(alone)), "what sounds like the second alone is learnt, too"
    assert pronunciation.near_texts_of_all(("alexa",), 60, english) == alone
    assert pronunciation.near_texts_of_all(("alexa", "Alexa"), 60, english) == alone


def test_phrase_with_a_part_that_has_no_vowel_is_told_from_others(english):
    assert pronunciation.near_texts("sh lexus", 20, english)[:2] == ["sh", "lexus"]


def test_words_that_sound_the_same_are_one():
    lexicon = Lexicon(
        [Spelling("sea", ("s", "i"), 50.0), Spelling("see", ("s", "i"), 900.0), Spelling("say", ("s", "eɪ"), 900.0)]
    )
    assert [one.text for one in nearest(("s", "i"), lexicon, most=1.0, count=9)][:2] == ["see", "say"]


def kinds(word, english):
    return {one.kind: one.text for one in pronunciation.warnings_of(word, english)}


def test_warnings_name_what_is_wrong_with_the_figures(english):
    pytest.importorskip("wordfreq", reason="the extra 'train'")
    echo = kinds("echo", english)
    assert "3 sounds and 2 syllables" in echo["short"]
    assert "echoes" in echo["contained"]
    assert "lego" in echo["near"]
    computer = kinds("computer", english)
    assert "short" not in computer
    assert "of a million words" in computer["common"]
    assert "computers" in computer["contained"]
    assert "commuter" in computer["near"]
    assert "alexis" in kinds("alexa", english)["near"]
    assert "common" not in kinds("alexa", english)
    assert kinds("open sesame", english) == {}


@pytest.mark.parametrize(
    ("word", "says"),
    [("", "empty"), ("  ", "empty"), ("seven7", "digits"), ("r2d2", "digits"), ("open; rm -rf", "signs"), ("--help", "signs"),
     ("a\0b", "signs"), ("alexa\u202e", "signs"), ("supercalifragilistic expialidocious again", "longer than 40 letters"),
      ("antidisestablishmentarianism of the sea", "to say")],
)  # fmt: skip
def test_what_is_no_word_is_refused(word, says, english):
    with pytest.raises(UserError, match=says) as refused:
        pronunciation.warnings_of(word, english)
    assert refused.value.code == 2


def test_spaces_and_capitals_make_no_other_word():
    assert pronunciation.checked("  Open   sesame ") == "Open sesame"
    assert pronunciation.checked("l'été") == "l'été"


def test_missing_espeak_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(speakers, "phonemes", speakers.phonemes.__wrapped__)
    with pytest.raises(Missing, match="apt-get install espeak-ng"):
        pronunciation.phones.__wrapped__("alexa")


def test_pronunciations_are_kept(monkeypatch, tmp_path):
    pytest.importorskip("wordfreq", reason="the extra 'train'")
    monkeypatch.setenv("EARLID_CACHE", str(tmp_path))
    first = pronunciation.english.__wrapped__(60)
    monkeypatch.setattr(speakers, "phonemes_of_each", None)
    assert pronunciation.english.__wrapped__(60).words == first.words
    assert {"the", "to", "and"} <= {word.text for word in first.words}
