# SPDX-License-Identifier: MIT
"""What synthetic voices say: no voice, and none of the words that judge, is in two parts; the same plan for the same seed."""

from collections import Counter

import pytest
from earlid.sound.speakers import Espeak, Flite, Hibari, Piper
from earlid.train.plan import FULL, KINDS, PARTS, SMALL, near_for, plan

KOKORO = [
    f"{accent}_{name}"
    for accent, names in {
        "af": "alloy aoede bella heart jessica kore nicole nova river sarah sky",
        "am": "adam echo eric fenrir liam michael onyx puck santa",
        "bf": "alice emma isabella lily", "bm": "daniel fable george lewis", "ef": "dora", "em": "alex santa", "ff": "siwis",
        "hf": "alpha beta", "hm": "omega psi", "if": "sara", "im": "nicola", "jf": "alpha gongitsune nezumi tebukuro",
        "jm": "kumo", "pf": "dora", "pm": "alex santa", "zf": "xiaobei xiaoni xiaoxiao xiaoyi",
        "zm": "yunjian yunxi yunxia yunyang",
    }.items()
    for name in names.split()
]  # fmt: skip
VOICES = {"kokoro": KOKORO, "piper": Piper.voices, "hibari": Hibari.voices, "espeak-ng": Espeak.voices, "flite": Flite.voices}
NEAR = [f"near {number}" for number in range(80)]
ALL = plan("open sesame", NEAR, VOICES, FULL, seed=1)


def speakers_of(said):
    """Those whose voice it is, with the engine."""
    if said.engine != "kokoro":
        return [(said.engine, said.voice.split(":")[0])]
    return [(said.engine, one) for half in said.voice.split("@")[0].split("/") for one in half.split(":")[0].split("+")]


def test_no_voice_is_in_two_parts():
    part_of = {}
    for said in ALL:
        for speaker in speakers_of(said):
            assert part_of.setdefault(speaker, said.part) == said.part, said
    assert set(part_of) == {(engine, voice) for engine, names in VOICES.items() for voice in names}, "a voice says nothing"
    assert part_of["kokoro", "af_heart"] == part_of["hibari", "heart"], "of one speaker"
    assert Counter(part_of["kokoro", voice] for voice in KOKORO) == {"fit": 40, "stop": 7, "judge": 7}


def test_near_words_of_a_part_are_heard_in_no_other():
    texts = {part: {said.text for said in ALL if said.part == part and said.kind == "near"} for part in PARTS}
    assert not texts["judge"] & texts["fit"]
    assert not texts["stop"] & texts["fit"]
    assert NEAR[0] in texts["fit"], "the nearest are learnt from"
    assert sorted(text for part in PARTS for text in near_for(NEAR, part)) == sorted(NEAR)


def test_every_part_hears_every_kind_of_a_natural_voice():
    found = {(said.part, said.kind) for said in ALL if said.engine in ("kokoro", "piper", "hibari")}
    assert found == {(part, kind) for part in PARTS for kind in KINDS}
    counts = Counter((said.part, said.kind) for said in ALL if said.engine == "kokoro")
    assert counts["fit", "word"] == 700
    assert counts["judge", "word"] == 84


def test_new_speakers_and_accents_are_learnt_from_alone():
    def made(part, kind):
        voices = [said.voice for said in ALL if (said.engine, said.part, said.kind) == ("kokoro", part, kind)]
        return [sum(sign in voice for voice in voices) / len(voices) for sign in "+/@"]

    for kind in ("word", "near"):
        assert made("stop", kind) == made("judge", kind) == [0, 0, 0]
        assert made("fit", kind) == pytest.approx([5 / 6, 1 / 3, 0.35], abs=0.08), "or an accent would tell what is the word"


def test_plan_is_the_same_for_a_seed():
    assert plan("open sesame", NEAR, VOICES, FULL, seed=1) == ALL
    assert plan("open sesame", NEAR, VOICES, FULL, seed=2) != ALL
    assert len(set(ALL)) == len(ALL)


def test_sentences_do_not_hold_the_word():
    said = plan("computer", NEAR, VOICES, FULL, seed=1)
    assert not [each for each in said if each.kind == "sentence" and "computer" in each.text.lower()]
    assert [each for each in ALL if "computer" in each.text.lower()]


def test_each_way_of_saying_the_word_is_read_as_often_and_by_all_alike():
    spellings = ("okay nah boo", "okay naboo", "okay fence")
    said = plan("okay nabu", NEAR, VOICES, FULL, seed=1, said_as=spellings)
    words = Counter((each.part, each.text.rstrip("?!,.")) for each in said if each.kind == "word")
    assert {text for _, text in words} == set(spellings)
    for part in PARTS:
        counts = [words[part, text] for text in spellings]
        assert min(counts) > 0.7 * max(counts), part
    by_voice = {}
    for each in said:
        if (each.engine, each.part, each.kind) == ("kokoro", "judge", "word"):
            by_voice.setdefault(each.voice, set()).add(each.text.rstrip("?!,."))
    assert all(heard == set(spellings) for heard in by_voice.values()), by_voice
    assert plan("open sesame", NEAR, VOICES, FULL, 1, ("open sesame",)) == ALL


@pytest.mark.parametrize("spelling", ["Fence", "the fence"])
def test_sentences_and_near_words_hold_no_way_of_saying_it(spelling):
    near = [*NEAR, "fence", "behind the fence"]
    said = plan("fens", near, VOICES, FULL, seed=1, said_as=("fens", spelling))
    assert not [each for each in said if each.kind != "word" and f" {spelling.lower()} " in f" {each.text.lower()} "]


@pytest.mark.parametrize("voices", [VOICES, {name: VOICES[name] for name in ("espeak-ng", "flite", "hibari")}])
def test_small_plan_has_a_word_and_others_for_each_part(voices):
    said = plan("alexa", NEAR, voices, SMALL, seed=0)
    assert {each.part for each in said if each.kind == "word"} == set(PARTS)
    assert {each.part for each in said if each.kind != "word"} == set(PARTS)
    assert len(said) < 120


def test_word_with_nothing_near_it_is_planned_without():
    said = plan("alexa", [], VOICES, SMALL, seed=0)
    assert {each.kind for each in said} == {"word", "sentence"}
