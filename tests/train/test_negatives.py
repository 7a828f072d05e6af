# SPDX-License-Identifier: MIT
"""The package of sound without the word: built by real apt from an archive of our own, interrupted, and damaged in every way."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from earlid.errors import Missing, UserError
from earlid.gate.audio import read_audio
from earlid.gate.runner import HOP_SAMPLES
from earlid.train import negatives
from earlid.train.columns import columns_of
from earlid.train.sources import PARTS, SMALL, SOURCES, Source

from tests.bench.detection import data
from tests.train.debian import archive

TALK = {
    "computer-off": "switch the computer off",
    "hello": "hello, who is there",
    "rain": "it will rain tomorrow",
}
SAID = (
    Source("talk", "earlid-talk", r"usr/share/talk/.*\.wav", "speech", "en", "fit", "MIT", 1),
    Source("lamp", "earlid-lamp", r"usr/share/lamp/.*\.wav", "speech", "en", "stop", "MIT", 0),
    Source("lamp-judge", "earlid-lamp", r"usr/share/lamp/.*\.wav", "music", "", "judge", "MIT", 1, ("computer",)),
)


def quiet(done: float, total: float) -> None:
    """Progress that nobody watches."""


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of recordings: synthetic speech by name."""
    folder = tmp_path_factory.mktemp("spoken")
    for name, text in {**TALK, "lamp": "turn the lamp on, turn the lamp off again"}.items():
        subprocess.run(["espeak-ng", "-w", str(folder / f"{name}.wav"), text], check=True)
    return folder


@pytest.fixture(scope="module")
def apt(tmp_path_factory: pytest.TempPathFactory, spoken: Path) -> Path:
    """The file for `APT_CONFIG` of an archive with two packages."""
    talk = {f"usr/share/talk/{name}.wav": (spoken / f"{name}.wav").read_bytes() for name in TALK}
    talk |= {"usr/share/talk/empty.wav": b"", "usr/share/elsewhere/hello.wav": talk["usr/share/talk/hello.wav"]}
    lamp = {"usr/share/lamp/lamp.wav": (spoken / "lamp.wav").read_bytes()}
    return archive(tmp_path_factory.mktemp("debian"), {"earlid-talk": talk, "earlid-lamp": lamp})


@pytest.fixture(autouse=True)
def _own_apt(apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APT_CONFIG", str(apt))


@pytest.fixture(scope="module")
def built(apt: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package as it was built; not to be changed."""
    folder = tmp_path_factory.mktemp("built") / "package"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APT_CONFIG", str(apt))
        assert negatives.build(folder, quiet, sources=SAID) == []
    return folder


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(built, tmp_path / "package"))


def heard(spoken: Path, *names: str) -> np.ndarray:
    """Samples of recordings in turn, each of whole hops."""
    all_of = [read_audio(spoken / f"{name}.wav") for name in names]
    return np.concatenate([pcm[: len(pcm) // HOP_SAMPLES * HOP_SAMPLES] for pcm in all_of])


def test_tracks_are_what_the_frontend_makes_of_the_recordings(built: Path, spoken: Path) -> None:
    (track,) = negatives.load(built, "fit")
    pcm = heard(spoken, *TALK)
    assert np.array_equal(track.columns, columns_of(pcm))
    assert (track.source, track.kind, track.language) == ("talk", "speech", "en")
    assert np.array_equal(negatives.audio(built, "fit", "speech")[0], pcm)
    assert [len(negatives.noise(built, part)) for part in PARTS] == [0, 0, 1]
    assert negatives.hours(built) == pytest.approx(
        (len(track.columns) + 2 * len(negatives.load(built, "stop")[0].columns)) / 360_000
    )


def test_index_says_where_each_recording_is_from(built: Path, apt: Path) -> None:
    index = json.loads((built / negatives.INDEX).read_text())
    deb = apt.parents[1] / "earlid-talk_1.0-1_all.deb"
    talk = index["sources"]["talk"]
    assert (talk["version"], talk["is"]["licence"]) == ("1.0-1", "MIT")
    told = subprocess.run(["sha256sum", str(deb), str(built / "talk.columns")], check=True, capture_output=True, text=True)
    assert [line.split()[0] for line in told.stdout.splitlines()] == [talk["deb_sha256"], talk["files"]["talk.columns"]]
    assert [name for name, _, _ in talk["clips"]] == [f"{name}.wav" for name in sorted(TALK)]


def test_word_is_left_out_by_name_and_by_source(built: Path, spoken: Path) -> None:
    (track,) = negatives.load(built, "fit", without="Computer!")
    skipped = len(heard(spoken, "computer-off")) // HOP_SAMPLES - 2
    assert np.array_equal(track.columns, negatives.load(built, "fit")[0].columns[skipped:])
    hello = negatives.load(built, "fit", without="hello")
    assert [len(part.columns) for part in hello] == [skipped, len(heard(spoken, "rain")) // HOP_SAMPLES]
    assert negatives.load(built, "judge", without="computer") == []
    assert len(negatives.load(built, "judge", without="lamps")) == 1


def test_samples_leave_out_the_word_as_columns_do(built: Path, spoken: Path) -> None:
    (samples,) = negatives.audio(built, "fit", "speech", without="Computer!")
    assert np.array_equal(samples, heard(spoken, "hello", "rain"))
    around = negatives.audio(built, "fit", "speech", without="hello")
    assert [part.tolist() for part in around] == [heard(spoken, name).tolist() for name in ("computer-off", "rain")]
    assert negatives.audio(built, "judge", "music", without="computer") == []
    assert len(negatives.audio(built, "judge", "music", without="lamps")) == 1


def test_source_that_is_used_otherwise_now_is_read_again(folder: Path) -> None:
    assert negatives.is_whole(folder, SAID)
    moved = [replace(SAID[0], part="stop"), *SAID[1:]]
    assert not negatives.is_whole(folder, moved)
    assert negatives.build(folder, quiet, sources=moved) == []
    assert negatives.is_whole(folder, moved)
    assert SAID[0].name in {track.source for track in negatives.load(folder, "stop")}


def test_build_that_was_killed_goes_on(built: Path, tmp_path: Path) -> None:
    folder = tmp_path / "package"
    script = f"""
import os, signal
from pathlib import Path
from tests.train.test_negatives import SAID
from earlid.train import negatives
folder, columns_of = Path({str(folder)!r}), negatives.columns_of
def once(pcm):
    if (folder / "talk.columns").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return columns_of(pcm)
negatives.columns_of = once
negatives.build(folder, lambda *_: None, sources=SAID)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    assert (folder / ".being-read").exists()
    assert not negatives.is_whole(folder)
    with pytest.raises(UserError, match="was not built to its end"):
        negatives.load(folder, "fit")
    first_written_ns = (folder / "talk.columns").stat().st_mtime_ns
    assert negatives.build(folder, quiet, sources=SAID) == []
    assert (folder / "talk.columns").stat().st_mtime_ns == first_written_ns
    assert sorted(path.name for path in folder.iterdir()) == sorted({path.name for path in built.iterdir()} - {"checked.json"})
    assert all(path.read_bytes() == (built / path.name).read_bytes() for path in folder.iterdir())


def _cut(folder: Path) -> None:
    with (folder / "talk.columns").open("r+b") as file:
        file.truncate(100)


def _change(folder: Path) -> None:
    with (folder / "lamp.columns").open("r+b") as file:
        byte = file.read(1)
        file.seek(0)
        file.write(bytes([byte[0] ^ 1]))


def _index(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / negatives.INDEX
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


@pytest.mark.parametrize("checked", [False, True], ids=["first", "later"])
@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_cut, "talk.columns is not as it was built"),
        (_change, "lamp.columns is not as it was built"),
        (lambda folder: (folder / "talk.samples").unlink(), "talk.samples: No such file"),
        (lambda folder: (folder / negatives.INDEX).write_text("{"), "or a damaged one"),
        (lambda folder: (folder / negatives.INDEX).write_text("[]"), "or a damaged one"),
        (lambda folder: (folder / negatives.INDEX).write_text("{}"), "or a damaged one"),
        (_index(sources={"talk": {}}), "or a damaged one"),
        (_index(format=0), "of another version"),
    ],
)
def test_damaged_package_is_refused_and_kept(folder: Path, damage: Callable[[Path], None], says: str, checked: bool) -> None:
    if checked:
        negatives.load(folder, "fit")
    damage(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UserError, match=says) as refused:
        negatives.load(folder, "fit")
    assert "negatives --again" in str(refused.value)
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_damaged_package_is_built_again_where_asked(folder: Path, built: Path) -> None:
    _cut(folder)
    _index(format=0)(folder)
    with pytest.raises(UserError, match="of another version"):
        negatives.build(folder, quiet, sources=SAID)
    assert negatives.build(folder, quiet, again=True, sources=SAID) == []
    assert (folder / "talk.columns").read_bytes() == (built / "talk.columns").read_bytes()


def test_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(UserError, match="holds something else"):
        negatives.build(tmp_path, quiet, sources=SAID)
    with pytest.raises(Missing, match=r"earlid\.train.negatives` makes it"):
        negatives.load(tmp_path, "fit")
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_package_that_apt_lacks_is_left_out_and_named(tmp_path: Path) -> None:
    none = replace(SAID[0], name="none", package="earlid-none", part="judge")
    (sentence,) = negatives.build(tmp_path / "package", quiet, sources=[SAID[0], none])
    assert sentence.startswith("earlid-none: Unable to locate package")
    assert len(negatives.load(tmp_path / "package", "fit")) == 1
    with pytest.raises(Missing, match="no sound of part judge"):
        negatives.load(tmp_path / "package", "judge")


def test_too_little_is_an_error_that_the_next_build_mends(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"0 h of sound without the word could be had.*Fewer than 3 h teach nothing"):
        negatives.build(tmp_path / "package", quiet)
    assert not negatives.is_whole(tmp_path / "package")
    assert negatives.build(tmp_path / "package", quiet, sources=SAID) == []
    assert negatives.is_whole(tmp_path / "package")


def test_computer_without_apt_is_told_to_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Missing, match=r"no apt-get here.*EARLID_NEGATIVES"):
        negatives.build(tmp_path / "package", quiet, sources=SAID)


def test_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "package"
    script = f"""
import resource, sys
from pathlib import Path
from tests.train.test_negatives import SAID
from earlid.errors import UserError
from earlid.train import negatives
download = negatives.download
def then_full(*arguments):
    package = download(*arguments)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
    return package
negatives.download = then_full
try:
    negatives.build(Path({str(folder)!r}), lambda *_: None, sources=SAID[:1])
except UserError as error:
    sys.exit(str(error))
"""
    ended = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "File too large" in ended.stderr
    assert "make room" in ended.stderr
    assert negatives.build(folder, quiet, sources=SAID[:1]) == []
    assert len(negatives.load(folder, "fit")) == 1


def test_second_builder_is_refused(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    fcntl.flock(number, fcntl.LOCK_EX)
    try:
        with pytest.raises(UserError, match="another process is building"):
            negatives.build(folder, quiet, sources=SAID)
    finally:
        os.close(number)


def test_every_part_has_speech_music_and_noise() -> None:
    assert {(source.part, source.kind) for source in SOURCES} == {
        (part, kind) for part in PARTS for kind in ("speech", "music", "noise")
    }
    assert len({source.name for source in SOURCES}) == len(SOURCES)
    assert {source.part for source in SMALL} == set(PARTS)


def test_what_the_benchmark_judges_with_is_never_learnt_from() -> None:
    held = {source.package for source in data.SOURCES if source.half == "held"}
    assert held & {source.package for source in SOURCES}
    assert {source.part for source in SOURCES if source.package in held} == {"judge"}
