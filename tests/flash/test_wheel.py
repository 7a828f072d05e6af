# SPDX-License-Identifier: MIT
"""The installed wheel, away from any checkout, flashes the firmware of the checkout that it was built from."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from earlid import firmware
from earlid.flash import firmware_build

from tests.flash import harness

SCRIPT = """
import earlid, lid
from earlid import firmware
from earlid.flash import firmware_build
from earlid.demo import scenes
from earlid.page import document
print(earlid.__path__[0], lid.__path__[0])
print(firmware_build.build(firmware.root(), "xtensawin").directory)
print(all((scenes.SPEECH / name).is_file() for name in ("word-slt.flac", "babble-gb.flac")))
print(len(document.__doc__))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's contents, as pip would lay them down in site-packages."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=harness.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def elsewhere(installed: Path, tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Python with the installed package before all others, in a folder that holds no checkout."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "EARLID_RUNTIME": str(tmp_path)}
    return subprocess.run(
        [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_installed_wheel_builds_the_same_firmware(installed: Path, tmp_path: Path) -> None:
    done = elsewhere(installed, tmp_path, "-c", SCRIPT)
    assert done.returncode == 0, done.stderr
    places, directory, speech, _ = done.stdout.splitlines()
    assert places == f"{installed}/earlid {installed}/earlid/firmware_files/lid"
    assert directory == firmware_build.build(firmware.root(), "xtensawin").directory
    assert speech == "True"


def test_wheel_contains_every_module_and_page(installed: Path) -> None:
    there = {path.relative_to(harness.ROOT / "host") for path in (harness.ROOT / "host" / "earlid").rglob("*") if path.is_file()}
    pictures = {"screenshots", "recording.svg"}
    wanted = {path for path in there if path.suffix not in (".md", ".pyc") and not pictures & {*path.parts}}
    assert not {path.as_posix() for path in wanted if not (installed / path).is_file()}


def test_installed_wheel_flashes_a_board(installed: Path, tmp_path: Path) -> None:
    with harness.bare_board() as board:
        board.noise(-60)
        done = elsewhere(installed, tmp_path, "-m", "earlid.cli", "flash", "-p", board.serial_port, "--word", "alexa")
        assert done.returncode == 0, done.stderr
        assert "listens for 'Alexa'" in done.stdout
