# SPDX-License-Identifier: MIT
"""A judge counts what the firmware's gate says: held against the gate over the same sound, and against its own choice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from earlid.accuracy.curve import openings_by_cutoff
from earlid.gate import models, score
from earlid.gate.audio import read_audio
from earlid.gate.models import Model
from earlid.sound import mixing
from earlid.train import judge

SPEECH = Path(__file__).parents[2] / "host" / "earlid" / "demo" / "speech"
WORDS = [read_audio(path) for path in sorted(SPEECH.glob("word-*.flac"))]
TALK = np.concatenate([read_audio(path) for path in sorted(SPEECH.glob("babble-*.flac"))])

NOBODY = judge.word_stream("", [], [], None, 0), list[str]()


@pytest.fixture(scope="module")
def alexa() -> Model:
    return models.load("alexa")


@pytest.fixture(scope="module")
def noisy() -> judge.WordStream:
    return judge.word_stream("among talk", WORDS, [TALK], 6.0, 3)


@pytest.fixture(scope="module")
def unsaid() -> judge.SilentHours:
    """The words themselves, hardly heard among talk: something that opens a gate at low cutoffs."""
    return judge.SilentHours("speech", [judge.word_stream("", WORDS, [TALK], 0.0, 3).columns])


def with_choice(choice: judge.Choice, folder: Path) -> Model:
    """Alexa's network with another window and cutoff, through a manifest."""
    for path in models.builtin_dir().glob("alexa.*"):
        shutil.copy(path, folder)
    path = folder / "alexa.json"
    entry = json.loads(path.read_text())
    entry["micro"] |= {"probability_cutoff": choice.cutoff_q8 / 256, "sliding_window_size": choice.window}
    path.write_text(json.dumps(entry))
    return models.load(str(path))


@pytest.mark.parametrize("decision", [0, 1])
def test_judged_words_are_as_high_as_the_gate_hears_them(alexa: Model, decision: int) -> None:
    stream = judge.word_stream("quiet", WORDS, [], None, 3)
    pcm, spans = mixing.word_stream(WORDS, mixing.pink_noise(mixing.stream_samples(WORDS), np.random.default_rng(3)), None)
    heard = score.run_gate(pcm, alexa, decision)
    unit, cutoff_sum = alexa.decided(decision)
    cutoff_q8 = cutoff_sum // unit
    peaks = [score.peak_in(heard, span.start_ms, span.end_ms + score.AFTER_MS) for span in spans]
    hearing = judge.hear(alexa, [stream], (stream, ["alexa", "Alexa", "alexa"]), [], decision=decision)
    (condition,) = hearing.verdict(cutoff_q8).conditions
    assert condition.curve.misses.tolist() == [sum(peak <= cutoff for peak in peaks) for cutoff in range(256)]
    assert len(condition.delays_ms) == len(WORDS)
    assert all(-300 < delay_ms < 700 for delay_ms in condition.delays_ms)
    for cutoff in (0, cutoff_q8, min(peaks), max(peaks)):
        assert hearing.verdict(cutoff).near == {
            "alexa": (sum(peak > cutoff for peak in peaks[::2]), 2),
            "Alexa": (int(peaks[1] > cutoff), 1),
        }


def test_sound_without_the_word_counts_as_the_gate_opens_on_it(alexa: Model, unsaid: judge.SilentHours) -> None:
    samples = np.concatenate([TALK, *WORDS, TALK])
    kinds = [unsaid, judge.SilentHours("words", [judge.columns_of(samples)])]
    verdict = judge.hear(alexa, [], NOBODY, kinds).verdict(alexa.cutoff_q8)
    assert verdict.false_openings["speech"][0] == 0
    openings, hours = verdict.false_openings["words"]
    heard = score.run_gate(samples, alexa, 0)
    assert openings == openings_by_cutoff(heard.t_ms, heard.values)[alexa.cutoff_q8] > 0
    assert hours == pytest.approx(len(samples) / 16000 / 3600, rel=0.01)


def test_speech_in_noise_is_as_long_as_the_speech_and_never_silent() -> None:
    hiss = np.rint(np.random.default_rng(1).standard_normal(16000) * 300).astype(np.int16)
    pauses = np.concatenate([TALK, np.zeros(32000, np.int16), TALK])
    hours = judge.noisy_hours("in noise", [pauses, TALK], [hiss], 10.0, 3)
    assert hours.hours * 3600 == pytest.approx((len(pauses) + len(TALK)) / 16000, abs=3)
    quiet = judge.columns_of(pauses)[len(TALK) // 160 + 50 : len(TALK) // 160 + 150]
    noisy = hours.blocks[0][len(TALK) // 160 + 50 : len(TALK) // 160 + 150]
    assert quiet.mean() < noisy.mean() / 4
    again = judge.noisy_hours("in noise", [pauses, TALK], [hiss], 10.0, 3)
    assert np.array_equal(hours.blocks[1], again.blocks[1])


def test_word_that_talk_follows_is_heard_within_a_second_of_its_own_end(alexa: Model) -> None:
    alone = judge.word_stream("quiet", WORDS, [], None, 3)
    talking = judge.word_stream("talk follows", WORDS, [], None, 3, [TALK])
    for word, before, after in zip(WORDS, alone.places, talking.places, strict=True):
        end_ms = mixing.sound_end_ms(word)
        assert before.sound_end_ms - before.start_ms == after.sound_end_ms - after.start_ms == end_ms
        assert after.until_ms - after.sound_end_ms == score.AFTER_MS
    assert len(talking.columns) > len(alone.columns)
    verdict = judge.hear(alexa, [alone, talking], NOBODY, []).verdict(alexa.cutoff_q8)
    assert verdict.conditions[0].curve.misses[alexa.cutoff_q8] == 0
    assert verdict.conditions[1].curve.misses[alexa.cutoff_q8] <= 1


def test_sums_for_choosing_are_the_firmwares(alexa: Model, unsaid: judge.SilentHours) -> None:
    outputs = score.over_columns(unsaid.blocks[0], alexa)
    chosen_by = judge._sliding(outputs["prob"], alexa.manifest.window, alexa.network.stride)
    assert chosen_by.tolist() == outputs["total"].tolist()
    assert len(set(chosen_by)) > 30


def test_choice_does_in_the_firmware_what_it_says(
    alexa: Model, noisy: judge.WordStream, unsaid: judge.SilentHours, tmp_path: Path
) -> None:
    choice = judge.choose(alexa, [noisy], [unsaid])
    assert choice.false_openings <= judge.RATE_PER_H * choice.hours
    assert (choice.trials, choice.cutoff_q8 > 32) == (len(WORDS), True)
    chosen = with_choice(choice, tmp_path)
    assert (chosen.manifest.window, chosen.cutoff_q8) == (choice.window, choice.cutoff_q8)
    verdict = judge.hear(chosen, [noisy], NOBODY, [unsaid]).verdict(chosen.cutoff_q8)
    point = verdict.conditions[0].curve.at(chosen.cutoff_q8)
    assert (point.misses, point.false_openings) == (choice.misses, choice.false_openings)
    assert verdict.false_openings == {"speech": (choice.false_openings, choice.hours)}


def test_choice_over_hours_is_the_lowest_cutoff_of_the_wished_rate(
    alexa: Model, unsaid: judge.SilentHours, tmp_path: Path
) -> None:
    quiet, (block,) = judge.word_stream("quiet", WORDS, [], None, 3), unsaid.blocks
    hours = judge.SilentHours("speech", [block] * (2 * 360_000 // len(block) + 1))
    choice = judge.choose(alexa, [quiet], [hours])
    looser = with_choice(choice._replace(cutoff_q8=choice.cutoff_q8 - 1), tmp_path)
    openings, counted = judge.hear(looser, [], NOBODY, [hours]).verdict(looser.cutoff_q8).false_openings["speech"]
    assert choice.false_openings <= judge.RATE_PER_H * counted < openings


def test_choice_over_minutes_is_the_middle_of_cutoffs_that_are_as_good(alexa: Model, noisy: judge.WordStream) -> None:
    quiet = judge.word_stream("quiet", WORDS, [], None, 3)
    hiss = judge.SilentHours("noise", [noisy.columns[:300]])
    choice = judge.choose(alexa, [quiet], [hiss])
    assert (choice.misses, choice.false_openings) == (0, 0)
    assert 32 < choice.cutoff_q8 < 224
