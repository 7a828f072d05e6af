# SPDX-License-Identifier: MIT
"""A word's workspace: what is done stays done, what is not its own is left alone, and one process works at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from earlid.errors import FAILED, USAGE, UserError
from earlid.train import workspace


@pytest.mark.parametrize(
    ("word", "name"), [("open sesame", "open_sesame"), ("  Hello,  Lantern! ", "hello_lantern"), ("Bücherwurm", "bücherwurm")]
)
def test_file_name_is_the_words_letters(word: str, name: str) -> None:
    assert workspace.file_name(word) == name


def test_workspaces_of_two_words_or_two_sizes_lie_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EARLID_CACHE", str(tmp_path))
    folders = {workspace.folder_of(word, size) for word in ("alexa", "Alexa!", "echo") for size in ("small", "full")}
    assert len(folders) == 6
    assert {folder.parent for folder in folders} == {tmp_path / "train"}


def test_stage_is_done_once_with_the_same_inputs_and_files(tmp_path: Path) -> None:
    made = tmp_path / "w" / "made"
    with workspace.opened(tmp_path / "w", "alexa") as room:
        assert room.done("speech", "a") is None
        made.write_bytes(b"1")
        room.keep("speech", "a", {"words": 3}, (made,))
    with workspace.opened(tmp_path / "w", "alexa") as room:
        assert room.done("speech", "a") == {"words": 3}
        assert room.done("speech", "b") is None, "other inputs"
        made.write_bytes(b"2")
        assert room.done("speech", "a") is None, "another file"
        made.unlink()
        assert room.done("speech", "a") is None, "no file"


def test_workspace_is_for_its_owner_alone(tmp_path: Path) -> None:
    with workspace.opened(tmp_path / "w", "alexa") as room:
        assert room.folder.stat().st_mode & 0o077 == 0
        assert (room.folder / workspace.STATE).stat().st_mode & 0o077 == 0


def test_second_process_is_told_of_the_first(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom earlid.train import workspace\n"
        "with workspace.opened(Path(sys.argv[1]), 'alexa'):\n print('in', flush=True)\n sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"in\n"
        with pytest.raises(UserError, match="another `earlid model") as told, workspace.opened(tmp_path, "alexa"):
            pass
        assert told.value.code == FAILED
        first.kill()
    with workspace.opened(tmp_path, "alexa"):  # the dead hold no lock
        pass


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ('{"format": 1, "word": "echo", "stages": {}}', "is of 'echo'"),
        ('{"format": 9, "word": "alexa", "stages": {}}', "format 9"),
        ('{"format": 1, "word": "alexa", "stages": {"speech": 3}}', "is damaged"),
        ('{"format": 1, "word": "al', "is not JSON"),
        ("[]", "is damaged"),
    ],
)
def test_state_of_something_else_is_left_alone(state: str, says: str, tmp_path: Path) -> None:
    (tmp_path / workspace.STATE).write_text(state)
    with pytest.raises(UserError, match=says) as told, workspace.opened(tmp_path, "alexa"):
        pass
    assert told.value.code == USAGE
    assert (tmp_path / workspace.STATE).read_text() == state


def test_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(UserError, match=r"holds letters.txt and no state") as told, workspace.opened(tmp_path, "alexa"):
        pass
    assert told.value.code == USAGE
    assert not (tmp_path / workspace.STATE).exists()


def test_what_a_killed_process_left_half_written_is_no_foreign_file(tmp_path: Path) -> None:
    (tmp_path / ".earlid-0123456789ab.new").write_text("{")
    with workspace.opened(tmp_path, "alexa"):
        pass


def test_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="EARLID_CACHE") as told, workspace.opened(tmp_path / "file" / "w", "alexa"):
        pass
    assert told.value.code == FAILED
