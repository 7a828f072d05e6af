# SPDX-License-Identifier: MIT
"""Transcripts of the command line: what is typed, what is printed, the exit code. One file of `transcripts/` a scene.

A file begins with `# scene: NAME`, a scene of SCENES. Then, again and again: `$ earlid ...`, what goes to stdout and stderr in
that options, `[exit code]`. `ttyUSB0` is the board's port; identifiers and times are normalised.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from earlid.board.port import open_port
from earlid.cli import main
from earlid.flash import flasher, provision
from earlid.verbs import doctor as doctor_verb
from earlid.verbs import flash as flash_verb
from earlid.verbs import list as list_verb
from earlid.virtual.board import VirtualBoard

from tests.flash import harness, release_image

FOLDER = Path(__file__).parent / "transcripts"
PORT = "ttyUSB0"


@contextmanager
def bare() -> Iterator[VirtualBoard]:
    """MicroPython and nothing else; the room is not silent."""
    with harness.bare_board(link=Path(PORT)) as board:
        board.noise(-60)
        yield board


@contextmanager
def running(**options: Any) -> Iterator[VirtualBoard]:
    """A board that runs Earlid, and a person who holds its talk button on request; options: of the board."""
    board = VirtualBoard(link=Path(PORT), **options)
    board.noise(-60)
    board.power_on()
    board.run_until(lambda: '"selftest"' in board.console, 10_000)
    board.run_background(speed=None)
    try:
        with holding_talk_on_request(board):
            yield board
    finally:
        board.stop()


@contextmanager
def holding_talk_on_request(board: VirtualBoard) -> Iterator[None]:
    """Whenever a `maintenance` stage begins, the talk button is held through a reset."""
    original = provision.Provisioner._enter
    lock = threading.Lock()

    def tell(self: provision.Provisioner, stage: str, done: int = 0, total: int = 0) -> None:
        original(self, stage, done, total)
        if stage == "maintenance" and lock.acquire(blocking=False):
            board.talk(True)
            board.reset_pin()
            harness.wait_for(board, lambda: re.search(r'"maintenance": ?true', board.console) is not None)
            board.talk(False)

    provision.Provisioner._enter = tell  # type: ignore[method-assign]
    try:
        yield
    finally:
        provision.Provisioner._enter = original  # type: ignore[method-assign]


@contextmanager
def foreign() -> Iterator[VirtualBoard]:
    """A board with another project's firmware."""
    with harness.bare_board(link=Path(PORT), files={"main.py": b"import network\n"}) as board:
        board.noise(-60)
        yield board


@contextmanager
def busy() -> Iterator[None]:
    """Another program has the port."""
    with harness.bare_board(link=Path(PORT)):
        holder = open_port(PORT)
        try:
            yield
        finally:
            holder.close()


@contextmanager
def empty() -> Iterator[None]:
    """A chip with an empty flash in its boot loader; it starts what it is given. The room is not silent."""
    chip = harness.BootloaderChip()
    quick = mock.patch.object(provision, "PROBE_S", 0.5)  # it never greets
    with quick, harness.cable(chip.end()) as cable, harness.starting(chip, cable):
        Path(PORT).symlink_to(cable.path)
        yield


@contextmanager
def nothing() -> Iterator[None]:
    """No port at all."""
    yield


SCENES: dict[str, Callable[[], contextlib.AbstractContextManager[object]]] = {
    "bare": bare,
    "running": running,
    "foreign": foreign,
    "empty": empty,
    "busy": busy,
    "nothing": nothing,
}


@pytest.fixture(autouse=True)
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patient: None) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(flasher, "CONNECT_ATTEMPTS", 1)
    for verb in (list_verb, flash_verb, doctor_verb):
        monkeypatch.setattr(verb, "candidate_ports", list)
    monkeypatch.setattr("earlid.board.port.candidate_ports", lambda lenient=False: [])
    monkeypatch.setattr("earlid.doctor.gather._interfering_programs", frozenset)
    monkeypatch.setattr("earlid.doctor.gather._usb_without_port", lambda: ())
    (tmp_path / "bad.bin").write_bytes(b"PK")
    (tmp_path / "release.bin").write_bytes(release_image.release().data)
    (tmp_path / "loose.json").write_text(json.dumps({"open_ms": 1}))


def normalised(text: str) -> str:
    """A text with fixed values for what differs from run to run."""
    text = re.sub(r"\b(?!f{16})[0-9a-f]{16}\b", "0123456789abcdef", text)
    text = re.sub(r"\S+ \(\d+\)", "python (4711)", text)
    text = re.sub(r'"seconds": [0-9.]+', '"seconds": 1.0', text)
    text = re.sub(r'"sent_bytes": \d+', '"sent_bytes": 1', text)
    text = re.sub(r"rail at \d+ mV", "rail at 0 mV", text)
    return re.sub(r"drop time \d+ ms", "drop time 80 ms", text)


def run_line(line: str) -> str:
    """Run one command line; what it printed and its exit code."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(shlex.split(line)[1:])
        except SystemExit as ended:
            code = int(ended.code or 0)
    return normalised(out.getvalue() + err.getvalue()) + f"[{code}]\n"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_transcript_is_reproduced(path: Path) -> None:
    text = path.read_text()
    scene = re.match(r"# scene: (\w+)\n", text)
    assert scene, f"{path.name} does not begin with # scene: NAME"
    replayed = [scene[0]]
    with SCENES[scene[1]]():
        for line in re.findall(r"^\$ (earlid .*)$", text, re.MULTILINE):
            replayed.append(f"\n$ {line}\n{run_line(line)}")
    assert "".join(replayed) == text


def test_every_scene_has_a_transcript() -> None:
    played = {path.read_text().split("\n")[0].removeprefix("# scene: ") for path in FOLDER.glob("*.txt")}
    assert played == set(SCENES)
