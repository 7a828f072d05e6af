# SPDX-License-Identifier: MIT
"""`earlid image`: the file and its manifest, what --inspect says of them, and what it refuses."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from earlid import firmware
from earlid.cli import main
from earlid.flash import image, inputs, one_file
from earlid.flash.transfer import sha256

from tests.flash import harness, release_image
from tests.outputs import parse_output


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a release, a small firmware and one word."""
    harness.small_build(tmp_path / "source", "0.9.0")
    monkeypatch.setattr(firmware, "root", lambda: tmp_path / "source")
    monkeypatch.setattr(inputs, "word_blob", lambda name: harness.fake_model(len(name) * 1000))
    monkeypatch.chdir(tmp_path)
    Path("release.bin").write_bytes(release_image.release().data)
    return tmp_path


def make(*words: str) -> int:
    return main(["image", "out.bin", "--image", "release.bin", *words])


def test_file_and_manifest_name_each_other(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert make("--json", "--word", "alexa") == 0
    told = parse_output("image", capsys.readouterr().out)
    data = Path("out.bin").read_bytes()
    assert json.loads(Path("out.json").read_text()) == told
    assert told["image"] == {"name": "out.bin", "bytes": 4 << 20, "sha256": sha256(data)}
    assert told["micropython"]["sha256"] == sha256(Path("release.bin").read_bytes())
    assert (told["word"], told["recipe"], told["flash_bytes"], told["larger_flash"]) == ("alexa", "digital", 4 << 20, False)
    held = one_file.inspect(data).files
    assert {row["path"]: (row["bytes"], row["sha256"]) for row in told["files"]} == {
        path: (len(content), sha256(content)) for path, content in held.items()
    }
    assert not [path for path in held if "identity" in path or "key" in path]
    assert sorted(path.name for path in folder.iterdir()) == ["out.bin", "out.json", "release.bin", "source"]


def test_person_reads_size_hash_word_and_where_to_write_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert make() == 0
    assert capsys.readouterr().out.splitlines() == [
        f"out.bin: 4,194,304 bytes, SHA-256 {sha256(Path('out.bin').read_bytes())}",
        f"MicroPython 1.26.1, Earlid {json.loads(Path('out.json').read_text())['earlid']} for the digital circuit, "
        "listens for okay_nabu; 9 files, named in out.json",
        "For an ESP32 with 4MB of flash, at offset 0. With esptool: esptool write-flash 0 out.bin",
    ]


def test_word_config_and_flash_size_are_in_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("settings.json").write_text(json.dumps({"open_ms": 9000}))
    assert make("--word", "none", "--config", "settings.json", "--flash-size", "8MB") == 0
    assert "has no word" in capsys.readouterr().out
    told = json.loads(Path("out.json").read_text())
    held = one_file.inspect(Path("out.bin").read_bytes()).files
    assert (told["word"], told["flash_bytes"], told["image"]["bytes"]) == (None, 8 << 20, 8 << 20)
    assert held["/config.json"] == inputs.config_bytes("settings.json")
    assert held["/active"].endswith(b" -\n")
    assert not [path for path in held if path.startswith("/model-")]


def test_pinned_release_is_called_by_its_own_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manifest does not depend on what somebody called the file."""
    data = Path("release.bin").read_bytes()
    monkeypatch.setattr(image, "PINNED", image.Release("ESP32.bin", len(data), sha256(data)))
    assert make() == 0
    assert json.loads(Path("out.json").read_text())["micropython"]["name"] == "ESP32.bin"


def test_inspect_says_what_is_in_it_and_that_it_is_as_its_manifest_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert make("--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert main(["image", "--inspect", "out.bin", "--json"]) == 0
    found = parse_output("image --inspect", capsys.readouterr().out)
    assert (found["manifest"], found["differences"]) == ("out.json", [])
    assert {name: found[name] for name in ("image", "partitions", "files")} == {
        name: told[name] for name in ("image", "partitions", "files")
    }
    assert main(["image", "--inspect", "out.bin"]) == 0
    text = capsys.readouterr().out
    assert "All as its manifest out.json says." in text
    for row in found["files"]:
        assert row["path"] in text
    Path("out.json").unlink()
    assert main(["image", "--inspect", "out.bin"]) == 0
    assert "no manifest beside it" in capsys.readouterr().out


def test_inspect_names_every_difference(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert make() == 0
    whole, told = Path("out.bin").read_bytes(), json.loads(Path("out.json").read_text())
    capsys.readouterr()

    def differences(data: bytes, manifest: object) -> list[str]:
        Path("out.bin").write_bytes(data)
        Path("out.json").write_text(json.dumps(manifest))
        assert main(["image", "--inspect", "out.bin"]) == 1
        assert "Not as its manifest out.json says:" in capsys.readouterr().out
        assert main(["image", "--inspect", "out.bin", "--json"]) == 1
        return list(json.loads(capsys.readouterr().out)["differences"])

    at = whole.index(harness.fake_model(9000)[2000:2100])
    damaged = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
    word = next(row["path"] for row in told["files"] if row["path"].startswith("/model-"))
    assert differences(damaged, told) == [f"{word} has another content"]
    spare = whole[:0x1F0000] + b"\0" + whole[0x1F0001:]
    assert differences(spare, told) == ["bytes outside of MicroPython and of the files differ"]
    assert differences(whole + b"\xff", told) == ["it has 4,194,305 bytes, not 4,194,304"]
    files = [{"path": "/more", "bytes": 0, "sha256": ""}, *[row for row in told["files"] if row["path"] != word]]
    assert differences(whole, told | {"files": files}) == [f"{word} is not in the manifest", "/more is missing"]
    release = told["micropython"] | {"sha256": "0" * 64}
    assert differences(whole, told | {"micropython": release}) == ["the MicroPython in it is not release.bin"]
    assert differences(whole, told | {"partitions": []}) == ["the partitions are others"]
    assert differences(whole, told | {"schema": 2}) == ["the manifest is of another version of Earlid"]
    for nonsense in ([], {}, {"schema": 1, "image": 1, "micropython": 2}, told | {"files": [1]}, told | {"files": None}):
        assert differences(whole, nonsense) == ["the manifest is none of a one file"]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("image", 2, "name the file to write"),
        ("image out.bin --inspect out.bin", 2, "name the file to write"),
        ("image out --image release.bin", 2, "the file's name has to end in .bin"),
        ("image out.bin --image none.bin", 2, "cannot read none.bin"),
        ("image out.bin --image source/main.py", 2, "main.py is no ESP32 image"),
        ("image no/such/out.bin --image release.bin", 1, "cannot write no/such/out.json"),
        ("image release.bin --image ./release.bin", 2, "release.bin is the MicroPython image itself"),
        ("image mine.bin --image release.bin", 2, "mine.json is there and is no manifest of a one file"),
        ("image --inspect none.bin", 2, "cannot read none.bin"),
        ("image --inspect release.bin", 2, "release.bin is no file of `earlid image`, but MicroPython alone"),
        ("image --inspect cut.bin", 1, "cut.bin was cut off"),
    ],
)
def test_what_cannot_be_done_is_a_sentence_and_a_code(
    folder: Path, words: str, code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.json").write_text('{"image": "of my cat"}')
    Path("cut.bin").write_bytes(one_file.make(release_image.release(), {})[:3_000_000])
    assert main(words.split()) == code
    printed = capsys.readouterr()
    assert text in printed.err
    assert printed.out == ""
    assert Path("mine.json").read_text() == '{"image": "of my cat"}'
    assert Path("release.bin").read_bytes() == release_image.release().data


def test_one_channel_board_gets_its_recipe_and_no_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("release.bin").write_bytes(release_image.release().data)
    assert make("--recipe", firmware.ONE_CHANNEL) == 0
    told = json.loads(Path("out.json").read_text())
    assert (told["recipe"], told["word"]) == (firmware.ONE_CHANNEL, None)
    assert [row["path"] for row in told["files"] if row["path"].endswith(f"/{firmware.ONE_CHANNEL}.recipe")]
    assert make("--recipe", "digital", "--word", "alexa") == 0, "an earlier one is replaced"
    assert json.loads(Path("out.json").read_text())["word"] == "alexa"


@pytest.fixture
def little_room() -> Iterator[None]:
    """The kernel refuses files of more than 100,000 bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_full_disk_keeps_the_old_pair(folder: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> None:
    assert make("--word", "alexa") == 0
    before = Path("out.bin").read_bytes(), Path("out.json").read_text()
    request.getfixturevalue("little_room")
    assert make("--word", "none") == 1
    assert "cannot write out.bin" in capsys.readouterr().err
    assert (Path("out.bin").read_bytes(), Path("out.json").read_text()) == before
    assert sorted(path.name for path in folder.iterdir()) == ["out.bin", "out.json", "release.bin", "source"]
