# SPDX-License-Identifier: MIT
"""`earlid demo` tells its story and it comes out as told; what it cannot do it says."""

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import soundfile
from earlid import firmware
from earlid.demo import session
from earlid.demo.scenes import SPEECH
from earlid.errors import UserError
from earlid.flash import content, firmware_build, image, one_file
from earlid.flash.transfer import sha256
from earlid.virtual.sound import load

from tests.flash import release_image

EARLID = str(Path(sys.executable).parent / "earlid")


def demo(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run([EARLID, "demo", "--speed", "6", *words], capture_output=True, text=True, check=False, timeout=300)


def test_story_ends_as_announced():
    done = demo()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not as expected" not in done.stdout
    assert "the one file that `earlid image` makes" in done.stdout
    assert done.stdout.count("open by word") == 1
    assert done.stdout.count("open by button") == 1
    assert "selftest passed" in done.stdout
    assert "The chain of records: Intact: records 1 to " in done.stdout
    measured = Decimal(done.stdout.split("had power for")[1].split("s.")[0].strip())
    shown = done.stdout.split("Live ")[1].split(" s")[0].split(" to ")  # one figure where the bounds agree within its digit
    tenth = Decimal("0.1")
    assert Decimal(shown[0]) - tenth <= measured <= Decimal(shown[-1]) + tenth, "the receipts do not say what the copper did"


def test_story_is_told_with_the_example_network_where_no_published_one_is():
    code = (
        "import sys\nfrom importlib import util\nfind = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if name == 'pymicro_wakeword' else find(name, *more)\n"
        "from earlid import cli\nsys.exit(cli.main(sys.argv[1:]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, "demo", "--speed", "6"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("open by word") == 1


def test_board_starts_from_the_one_file_where_the_release_is_here(tmp_path, monkeypatch):
    release = release_image.release()
    monkeypatch.setenv("EARLID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(image, "PINNED", image.Release(release.name, len(release.data), sha256(release.data)))
    alone, text = session._flash_content("digital", b"a word")
    assert "MicroPython's release is not here" in text
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / release.name).write_bytes(release.data)
    same, text = session._flash_content("digital", b"a word")
    files = content.files(firmware_build.build(firmware.root(), "xtensawin"), b"a word")
    assert f"SHA-256 {sha256(one_file.make(release, files))[:16]}" in text
    assert alone == same
    monkeypatch.delenv("EARLID_CACHE")
    monkeypatch.setattr(image, "cache_folder", lambda: (_ for _ in ()).throw(UserError("no home folder")))
    assert session._flash_content("digital", b"a word")[0] == same


def test_recording_of_any_format_is_heard(tmp_path):
    word = load(SPEECH / "word-slt.flac")
    stereo = np.repeat(np.repeat(word, 3)[:, None], 2, axis=1)  # 48 kHz, two channels
    path = tmp_path / "word.wav"
    soundfile.write(path, stereo, 48000, subtype="PCM_24")
    done = demo("--wav", str(path))
    assert done.returncode == 0, done.stderr
    assert "open by word" in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "say"),
    [
        (("--wav", "missing.wav"), 2, "missing.wav"),
        (("--model", "hey_jarvis"), 2, "--wav FILE or --mic"),
        (("--model", "nonsense", "--mic"), 2, "nonsense"),
        (("--recipe", "1ch"), 2, "hears nothing while its lid is closed"),
    ],
)
def test_impossible_options_are_named(words, code, say):
    done = demo(*words)
    assert done.returncode in (1, code)
    assert say in done.stderr
    assert "Traceback" not in done.stderr
