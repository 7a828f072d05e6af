# SPDX-License-Identifier: MIT
"""The owner's takes: what is wrong with one is named, the word is found in it, and none is both learnt from and judged by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from earlid.errors import USAGE, UserError
from earlid.gate import models
from earlid.gate.audio import RATE_HZ, read_audio
from earlid.sound import speakers
from earlid.sound.mixing import pink_noise, sound_end_ms
from earlid.train import take_quality, takes

from tests.train.voices import recording, say, silence

CLIPS = Path(__file__).parents[2] / "host" / "earlid" / "demo" / "speech"
VOICES = [("flite", voice, 1.0) for voice in speakers.Flite.voices] + [
    ("espeak-ng", "en-gb+f2", 1.1),
    ("espeak-ng", "en-us+m7", 0.8),
]


def clipped_at_48_khz(word: np.ndarray) -> np.ndarray:
    fine = np.clip(8 * soxr.resample(word, RATE_HZ, 48000), -32768, 32767)  # as a converter does, at full scale
    return soxr.resample(fine, 48000, RATE_HZ)


def loud_room(samples: int) -> np.ndarray:
    return np.rint(4000 * pink_noise(samples, np.random.default_rng(0))).astype(np.int16)


@pytest.fixture(scope="module")
def words() -> list[np.ndarray]:
    return [say(*voice) for voice in VOICES]


@pytest.fixture(scope="module")
def folder(words: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good takes, as any recorder writes them."""
    made = tmp_path_factory.mktemp("takes")
    for number, (word, rate_hz, ending) in enumerate(
        zip(words, (16000, 8000, 44100, 48000, 22050, 16000), ("wav", "flac", "WAV", "flac", "wav", "wav"), strict=True)
    ):
        sound = soxr.resample(recording(word) / 32768, RATE_HZ, rate_hz)
        soundfile.write(made / f"{number}.{ending}", np.stack([sound, sound], axis=1) if number % 2 else sound, rate_hz)
    return made


def test_good_words_have_no_problem(words) -> None:
    assert [take_quality.problems_of(recording(word)) for word in words] == [[]] * len(words)
    assert take_quality.copies([recording(word) for word in words]) == []


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda word: recording(word)[:0], "silence"),
        (lambda word: np.zeros(32000, np.int16), "silence"),
        (lambda word: recording(0 * word), "silence"),
        (lambda word: recording(0.01 * word), "too quiet"),
        (lambda word: recording(np.clip(8 * word, -32000, 32000)), "clipped"),
        (lambda word: recording(0.4 * np.clip(8 * word, -32000, 32000)), "clipped"),
        (lambda word: recording(clipped_at_48_khz(word)), "clipped"),
        (lambda word: recording(word)[8000 + np.abs(word).argmax() :], "cut off at the start"),
        (lambda word: recording(word)[: 8000 + np.abs(word).argmax()], "cut off at the end"),
        (lambda word: recording(word, silence(600), word), "more than one word"),
        (lambda word: recording(np.tile(word, 4)), "s of sound"),
        (lambda word: recording(word[4000:5600]), "ms of sound"),
        (lambda word: np.tile(recording(word), 12), "longer than 20 s"),
        (
            lambda word: recording(word + pink_noise(len(word), np.random.default_rng(0)) * 4000)[8000:-8016],
            "as loud as your voice",
        ),
    ],
)
def test_what_is_wrong_with_a_take_is_named(spoil, says: str, words) -> None:
    found = take_quality.problems_of(spoil(words[3]))
    assert len(found) == 1, found
    assert says in found[0]


def test_click_beside_a_word_is_no_second_word(words) -> None:
    click = np.random.default_rng(0).normal(0, 9000, 600)
    assert take_quality.problems_of(recording(click, silence(700), words[0])) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda pcm: pcm,
        lambda pcm: (pcm * 0.2).astype(np.int16),
        lambda pcm: -pcm[1601:],
        lambda pcm: np.rint(soxr.resample(soxr.resample(pcm.astype(float), 16000, 8000), 8000, 16000)).astype(np.int16),
    ],
)
def test_copy_of_a_take_is_found(change, words) -> None:
    recordings = [recording(word) for word in words[:3]]
    assert take_quality.copies([*recordings, change(recordings[1])]) == [(3, 1)]


def test_folder_of_any_recorder_is_read(folder: Path, words) -> None:
    found = takes.read(folder)
    assert [take.path.name for take in found] == ["0.wav", "1.flac", "2.WAV", "3.flac", "4.wav", "5.wav"]
    assert len(takes.good(found)) == len(words)
    for take, word in zip(found, words, strict=True):
        assert abs(len(take.pcm) - len(recording(word))) <= 2


def test_bad_files_are_named_and_the_rest_is_read(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "7.wav").write_bytes(b"RIFF\xff\xff\xff\xffWAVEfmt ")
    (tmp_path / "8.flac").write_bytes(b"")
    (tmp_path / "9.wav").write_bytes((folder / "4.wav").read_bytes())
    (tmp_path / "notes.txt").write_text("not a recording")
    (tmp_path / ".hidden.wav").write_bytes(b"")
    (tmp_path / "more.wav").mkdir()
    (tmp_path / "gone.wav").symlink_to(tmp_path / "nowhere")
    bad = {take.path.name: take.problems for take in takes.read(tmp_path) if take.problems}
    assert set(bad) == {"7.wav", "8.flac", "9.wav", "gone.wav"}
    assert "copy of 4.wav" in bad["9.wav"][0]


def test_too_few_good_takes_say_why(folder: Path, tmp_path: Path) -> None:
    for name in ("0.wav", "1.flac"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    soundfile.write(tmp_path / "silent.wav", np.zeros(32000, np.int16), 16000)
    with pytest.raises(UserError, match="holds 2 good recordings") as raised:
        takes.read(tmp_path)
    assert raised.value.code == USAGE
    assert "silent.wav: silence" in str(raised.value)
    assert len(takes.read(tmp_path, least=0)) == 3


@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_folder_that_cannot_be_read_is_an_error(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Name the folder") as raised:
        takes.read(tmp_path / name)
    assert raised.value.code == USAGE


def test_folder_of_a_music_collection_is_refused(tmp_path: Path) -> None:
    for number in range(takes.MOST + 1):
        (tmp_path / f"{number}.flac").touch()
    with pytest.raises(UserError, match="a folder of their own"):
        takes.read(tmp_path)


@pytest.mark.parametrize("seed", range(5))
def test_split_holds_a_third_back(folder: Path, seed: int, tmp_path: Path) -> None:
    found = takes.read(folder)
    for count in (3, 4, 6):
        learnt, judged = takes.split(found[:count], seed)
        assert len(learnt) + len(judged) == count
        assert not {take.digest for take in learnt} & {take.digest for take in judged}
        assert len(judged) * 3 >= count > len(judged)
    other_order = [takes.Take(tmp_path / f"{number}.wav", take.pcm) for number, take in enumerate(reversed(found))]
    for ours, theirs in zip(takes.split(found, seed), takes.split(other_order, seed), strict=True):
        assert [take.digest for take in ours] == [take.digest for take in theirs]


def test_splits_differ_by_their_seed(folder: Path) -> None:
    found = takes.read(folder)
    assert len({tuple(take.path.name for take in takes.split(found, seed)[1]) for seed in range(10)}) > 3


def test_split_of_many_learns_from_all_but_twenty() -> None:
    many = [takes.Take(Path("x.wav"), np.full(100, number, np.int16)) for number in range(90)]
    assert [len(part) for part in takes.split(many, 0)] == [70, 20]


@pytest.mark.parametrize("number", range(len(VOICES)))
def test_cut_ends_where_the_sound_does(number: int, words) -> None:
    take = takes.Take(Path("x.wav"), recording(words[number]))
    pcm, end = takes.cut(take)
    end_ms = sound_end_ms(take.pcm)
    start = next(at for at in range(0, len(take.pcm), 160) if np.array_equal(take.pcm[at : at + len(pcm)], pcm))
    assert abs((start + end) * 1000 / RATE_HZ - end_ms) <= 20
    noisy = take.pcm + np.random.default_rng(1).normal(0, 300, len(take.pcm))  # where the loudest less 25 dB is in the room
    pcm, end = takes.cut(takes.Take(Path("x.wav"), noisy.astype(np.int16)))
    assert len(pcm) < len(take.pcm) - 3000


@pytest.mark.parametrize(("clip", "first"), [("word-slt", True), ("word-rms", False)])
def test_network_finds_its_word_beside_a_louder_one(clip: str, first: bool) -> None:
    word, other = read_audio(CLIPS / f"{clip}.flac"), say("flite", "awb", text="computer")
    louder = 1.5 * other * np.abs(word).max() / np.abs(other).max()
    model = models.load("alexa")
    pcm = recording(word, silence(700), louder) if first else recording(louder, silence(700), word)
    before = 500 if first else 1200 + len(louder) * 1000 // RATE_HZ
    end_ms = takes.word_end_ms(pcm, model)
    assert end_ms is not None
    assert abs(end_ms - before - sound_end_ms(word)) <= 60
    cut, end = takes.cut(takes.Take(Path("x.wav"), pcm), model=model)
    assert len(cut) < len(pcm) - len(other)
    assert end == len(cut) - 4800


def test_network_says_that_its_word_is_not_there() -> None:
    assert takes.word_end_ms(recording(say("flite", "awb", text="computer")), models.load("alexa")) is None
