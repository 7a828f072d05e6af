# SPDX-License-Identifier: MIT
"""`earlid model forget`: what a word left behind goes, the owner's recordings when asked for, and nothing else."""

from __future__ import annotations

import contextlib
import errno
import io
from pathlib import Path

import pytest
import soundfile
from earlid import cli
from earlid.config_file import cache_folder
from earlid.train import workspace

from tests.terminal import Terminal
from tests.train.voices import silence


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EARLID_CACHE", str(tmp_path / "cache"))
    return cache_folder()


def trained(word: str, size: str) -> Path:
    """What a training leaves behind."""
    folder = workspace.folder_of(word, size)
    with workspace.opened(folder, word):
        (folder / "columns").mkdir()
        (folder / "columns" / "owner.npy").write_bytes(bytes(1000))
    return folder


def takes_in(folder: Path, count: int = 3) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"take-0{number}.wav" for number in range(1, count + 1)]
    for path in paths:
        soundfile.write(path, silence(500).astype("int16"), 16000)
    return paths


def forget(*words: str) -> tuple[int, str]:
    """Exit code and what was said, in this process and without a terminal."""
    with contextlib.redirect_stderr(io.StringIO()) as said:
        return cli.main(["model", "forget", *words]), said.getvalue()


def test_features_of_the_word_go_and_recordings_stay(tmp_path: Path) -> None:
    mine = [trained("open sesame", size) for size in ("small", "full")]
    others = [trained("open", "full"), trained("open sesame street", "full")]
    recordings = takes_in(tmp_path / "takes")
    code, said = forget("Open Sesame", "--yes")
    assert code == 0, said
    assert all(str(folder) in said for folder in mine)
    assert "networks that were written already, which hold no recording" in said
    assert not any(folder.exists() for folder in mine)
    assert all(folder.is_dir() for folder in others)
    assert all(path.is_file() for path in recordings)
    assert "nothing to forget" in forget("open sesame")[1]


def test_recordings_go_and_what_else_lies_there_stays(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "takes", tmp_path / "elsewhere.wav"
    recordings = takes_in(folder)
    recordings[0].chmod(0o400)
    elsewhere.write_bytes(b"another's")
    (folder / "link.wav").symlink_to(elsewhere)
    (folder / "letter.txt").write_text("mine")
    (folder / "more").mkdir()
    code, said = forget("alexa", "--recordings", str(folder), "--yes")
    assert code == 0, said
    assert "link.wav: left alone, it is a link" in said
    assert "letter.txt: left alone, it is no recording" in said
    assert "more: left alone, it is a folder" in said
    assert sorted(path.name for path in folder.iterdir()) == ["letter.txt", "link.wav", "more"]
    assert elsewhere.read_bytes() == b"another's"


def test_empty_folder_of_recordings_goes_too(tmp_path: Path) -> None:
    takes_in(tmp_path / "takes")
    assert forget("alexa", "--recordings", str(tmp_path / "takes"), "--yes")[0] == 0
    assert not (tmp_path / "takes").exists()


def test_what_cannot_be_removed_is_named_and_the_rest_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recordings = takes_in(tmp_path / "takes")
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:  # root, as whom tests may run, is refused by no file's mode
        if path == recordings[1]:
            raise PermissionError(errno.EACCES, "Permission denied")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    code, said = forget("alexa", "--recordings", str(tmp_path / "takes"), "--yes")
    assert code == 1
    assert f"not everything could be removed: {recordings[1]}: Permission denied. Mend that" in said
    assert [path.name for path in (tmp_path / "takes").iterdir()] == ["take-02.wav"]


def test_nothing_goes_unasked(tmp_path: Path) -> None:
    folder, recordings = trained("alexa", "full"), takes_in(tmp_path / "takes")
    code, said = forget("alexa", "--recordings", str(tmp_path / "takes"))
    assert code == 2
    assert "add --yes" in said
    with Terminal(["model", "forget", "alexa", "--recordings", str(tmp_path / "takes")]) as person:
        person.expect("take-03.wav: your recording")
        person.expect("Remove this for good? [y/N] ")
        person.keys("\r")
        person.expect("nothing removed")
        person.end_tidily(1)
    assert folder.is_dir()
    assert all(path.is_file() for path in recordings)


def test_training_at_work_is_not_pulled_from_under() -> None:
    folder = trained("alexa", "full")
    with workspace.locked(folder):
        code, said = forget("alexa", "--yes")
    assert code == 1
    assert "is at work" in said
    assert (folder / "columns" / "owner.npy").is_file()


def test_damaged_workspace_and_links_in_it_are_forgotten(tmp_path: Path) -> None:
    folder = trained("alexa", "full")
    (folder / "state.json").write_text("{")
    (tmp_path / "kept.txt").write_text("kept")
    (folder / "link").symlink_to(tmp_path / "kept.txt")
    (folder / "folder").symlink_to(tmp_path)
    assert forget("alexa", "--yes")[0] == 0
    assert not folder.exists()
    assert (tmp_path / "kept.txt").read_text() == "kept"
    other = workspace.folder_of("alexa", "small")
    other.symlink_to(tmp_path)
    assert "nothing to forget" in forget("alexa", "--yes")[1]
    assert (tmp_path / "kept.txt").read_text() == "kept"


@pytest.mark.parametrize("folder", ["nowhere", "collection"])
def test_folder_that_is_none_of_takes_is_refused(folder: str, tmp_path: Path) -> None:
    (tmp_path / "collection").mkdir()
    for number in range(201):
        (tmp_path / "collection" / f"{number}.wav").touch()
    code, said = forget("alexa", "--recordings", str(tmp_path / folder), "--yes")
    assert code == 2
    assert "Traceback" not in said
    assert len(list((tmp_path / "collection").iterdir())) == 201
