# SPDX-License-Identifier: MIT
"""`earlid model record` as a person meets it: PortAudio and ALSA are real, and a file stands for what the microphone hears."""

from __future__ import annotations

import io
import itertools
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from ctypes.util import find_library
from pathlib import Path

import numpy as np
import pytest
import soundfile
from earlid import cli
from earlid.errors import UserError
from earlid.guide import Guide
from earlid.train import takes
from earlid.train.recording import Recording
from earlid.train.take_finder import TakeFinder
from scipy import signal

from tests.terminal import Terminal
from tests.train.voices import WORD, recording, say, silence

needs_portaudio = pytest.mark.skipif(not find_library("portaudio"), reason="PortAudio is not installed (libportaudio2)")
# ALSA's own device "file" hands on a file's samples, and silence behind them, as fast as they are asked for.
MICROPHONE = """
</usr/share/alsa/alsa.conf>
pcm.filed {{ type file, slave.pcm null, file /dev/null, infile "{}", format raw }}
pcm.!default {{ type plug, slave.pcm filed }}
"""


@pytest.fixture(scope="module")
def words() -> list[np.ndarray]:
    voice = [("flite", "slt", speed) for speed in (1.0, 0.85, 1.15, 0.95, 1.25)]
    return [say(*said) for said in voice]


def share_in(take: np.ndarray, word: np.ndarray) -> float:
    """How much of a word is in a take, 1 for all of it."""
    return float(signal.correlate(take.astype(float), word, "valid", "fft").max() / np.dot(word, word))


def hearing(folder: Path, parts: Sequence[np.ndarray]) -> dict[str, str]:
    """The environment in which the default microphone hears these parts, a second and a half of room around each."""
    heard = np.concatenate([silence(1500), *(piece for part in parts for piece in (part, silence(1500)))])
    (folder / "heard.raw").write_bytes(np.clip(np.rint(heard), -32768, 32767).astype("<i2").tobytes())
    (folder / "asound.conf").write_text(MICROPHONE.format(folder / "heard.raw"))
    return {**os.environ, "ALSA_CONFIG_PATH": str(folder / "asound.conf")}


def record(environment: dict[str, str], out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "earlid.cli", "model", "record", WORD, "--out", str(out), *more]
    return subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120
    )


@needs_portaudio
def test_takes_are_found_judged_and_kept(words, tmp_path: Path) -> None:
    clipped = np.clip(9 * words[1], -32000, 32000)
    other = say("flite", "slt", text="good morning everybody")
    out = tmp_path / "new" / "takes"
    said = [words[0], clipped, words[1], words[0], words[2], other]
    done = record(hearing(tmp_path, said), out, "--takes", "4", "--model", "alexa")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("not kept: clipped: move away") == 1
    assert done.stderr.count("not kept: a copy") == 1
    assert done.stderr.count("of 255, cutoff") == 4
    assert re.search(r"take-03\.wav, score \d+ of 255, cutoff \d+, sounds like the others\n", done.stderr)
    assert re.search(r"take-04\.wav, score \d+ of 255, cutoff \d+, does not sound like the others: ", done.stderr)
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    kept = takes.read(out)
    assert [take.path.name for take in kept] == [f"take-0{number}.wav" for number in (1, 2, 3, 4)]
    for take, word in zip(kept, [*words[:3], other], strict=True):
        assert take.problems == ()
        assert stat.S_IMODE(take.path.stat().st_mode) == 0o600
        info = soundfile.info(take.path)
        assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
        assert share_in(take.pcm, word) == pytest.approx(1.0, abs=0.02)  # all of the word, as it was


@needs_portaudio
def test_second_call_goes_on_and_overwrites_nothing(words, tmp_path: Path) -> None:
    out = tmp_path / "takes"
    out.mkdir()
    mine = recording(words[0])
    soundfile.write(out / "take-02.wav", mine, 16000)
    before = (out / "take-02.wav").read_bytes()
    (out / "take-04.wav").touch()  # as of a session that was killed
    done = record(hearing(tmp_path, words[1:3]), out, "--takes", "3")
    assert done.returncode == 0, done.stderr
    assert "1 good takes" in done.stderr
    assert "take-04.wav does not count: not a sound file" in done.stderr
    assert (out / "take-02.wav").read_bytes() == before
    assert sorted(path.name for path in out.iterdir()) == [f"take-0{number}.wav" for number in (1, 2, 3, 4)]
    again = record(hearing(tmp_path, []), out, "--takes", "3")
    assert again.returncode == 0
    assert len(list(out.iterdir())) == 4


def heard_by(parts: Sequence[np.ndarray], silent_s: float = 0.0) -> Iterator[np.ndarray]:
    """Blocks of 20 ms: these parts with a second and a half around each, then silence."""
    stream = np.concatenate([silence(1500), *(piece for part in parts for piece in (part, silence(1500)))]).astype(np.int16)
    yield from (stream[at : at + 320] for at in range(0, len(stream), 320))
    yield from itertools.repeat(silence(500).astype(np.int16), int(2 * silent_s))


def test_silent_microphone_is_an_error_and_takes_are_kept(words, tmp_path: Path) -> None:
    session = Recording(WORD, tmp_path / "takes", Guide(out=io.StringIO()))
    with pytest.raises(UserError, match=r"no word was heard for 60 s\. Is a microphone plugged in"):
        session.run(2, heard_by(words[:1], 61.0))
    assert [path.name for path in (tmp_path / "takes").iterdir()] == ["take-01.wav"]


def test_nothing_but_bad_takes_is_an_error(words, tmp_path: Path) -> None:
    clipped = [np.clip(9 * word, -32000, 32000) for word in words]
    with pytest.raises(UserError, match="5 takes in a row could not be used"):
        Recording(WORD, tmp_path / "takes", Guide(out=io.StringIO())).run(1, heard_by(clipped))
    assert list((tmp_path / "takes").iterdir()) == []


def test_take_with_lost_samples_is_none(words, tmp_path: Path) -> None:
    whole = list(heard_by(words[:1]))
    at = (1500 + 200) // 20  # in the midst of the first word
    blocks = [*whole[:at], None, *whole[at + 5 :], *heard_by(words[1:2])]
    assert Recording(WORD, tmp_path / "takes", Guide(out=io.StringIO())).run(1, blocks) == 1
    (kept,) = takes.read(tmp_path / "takes", least=1)
    assert share_in(kept.pcm, words[1]) == pytest.approx(1.0, abs=0.02)


@needs_portaudio
def test_computer_without_a_microphone_says_so(tmp_path: Path) -> None:
    (tmp_path / "asound.conf").write_text("</usr/share/alsa/alsa.conf>\npcm.!default { type hw, card 77 }\n")
    done = record({**os.environ, "ALSA_CONFIG_PATH": str(tmp_path / "asound.conf")}, tmp_path / "takes")
    assert done.returncode == 1
    assert "microphone cannot be opened" in done.stderr
    assert "plugged in" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--takes", "0"), "--takes must be from 1 to 99"),
        (("--model", "nonsense"), "nonsense"),
        (("--out", "{}/file"), "it is a file"),
    ],
)
def test_impossible_options_are_named(
    more: tuple[str, ...], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("kept")
    words = ["model", "record", WORD, "--out", str(tmp_path / "takes"), *(word.format(tmp_path) for word in more)]
    assert cli.main(words) == 2
    assert says in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "kept"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for one take."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=80k", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("nothing may be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_full_disk_loses_no_take(words, small_disk: Path) -> None:
    with pytest.raises(UserError, match="No space left"):
        Recording(WORD, small_disk / "takes", Guide(out=io.StringIO())).run(3, heard_by(words[:3]))
    assert [path.name for path in (small_disk / "takes").iterdir()] == ["take-01.wav"]
    assert takes.read(small_disk / "takes", least=1)[0].problems == ()


@needs_portaudio
def test_terminal_asks_shows_a_meter_and_keeps_what_was_recorded(words, tmp_path: Path) -> None:
    environment = hearing(tmp_path, words[:1])
    more = {"ALSA_CONFIG_PATH": environment["ALSA_CONFIG_PATH"]}
    with Terminal(["model", "record", WORD, "--out", str(tmp_path / "takes"), "--takes", "5"], environment=more) as person:
        person.expect("sent nowhere")
        person.expect("ordinary")
        person.expect("in your ordinary voice")
        person.expect("Enter begins, s skips: ")
        person.keys("s\r")
        person.expect("from the other end of the room")
        person.expect("Enter begins, s skips: ")
        person.keys("\r")
        person.expect("take-01.wav")  # before or after the meter was shown: the sound comes as fast as it is asked for
        person.expect("turned away")
        assert "dBFS" in person.text
        person.keys("\x03")
        person.expect("1 takes are kept")
        person.end_tidily(130)
    assert len(takes.read(tmp_path / "takes", least=1)) == 1


def test_finder_gives_whole_words_however_the_sound_is_cut(words) -> None:
    stream = np.concatenate([silence(1500), *(piece for word in words for piece in (word, silence(1300)))]).astype(np.int16)
    found = {}
    for size in (320, 37):
        finder = TakeFinder()
        blocks = (finder.push(stream[at : at + size]) for at in range(0, len(stream), size))
        found[size] = [take for take in blocks if take is not None]
    assert len(found[320]) == len(words)
    assert all(np.array_equal(one, other) for one, other in zip(found[37], found[320], strict=True))
    for take, word in zip(found[320], words, strict=True):
        assert share_in(take, word) == pytest.approx(1.0, abs=0.02)


def test_finder_hears_again_where_the_room_grew_loud(words) -> None:
    rng = np.random.default_rng(1)
    fan = rng.normal(0, 300, 16 * 16000)
    stream = np.concatenate([silence(1500), fan, 4 * np.pad(words[0] * 0.25, 16000) + rng.normal(0, 300, len(words[0]) + 32000)])
    finder, found = TakeFinder(), []
    for at in range(0, len(stream), 320):
        take = finder.push(stream[at : at + 320].astype(np.int16))
        if take is not None:
            found.append(len(take) / 16000)
    assert 0 < found[-1] < 2.5, found
