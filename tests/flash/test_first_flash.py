# SPDX-License-Identifier: MIT
"""First flash by the one file, on a chip whose file system holds nothing that must be kept; and only there."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from earlid import filesystem, firmware
from earlid.cli import main
from earlid.errors import UserError
from earlid.flash import content, deploy, first_flash, flasher, image, inputs, one_file, partitions, provision
from earlid.flash.flasher import OneFile
from earlid.flash.partitions import FLASH_BYTES

from tests.flash import harness, release_image
from tests.flash.test_foreign import application
from tests.outputs import parse_output

PLACE = partitions.Partition("vfs", 1, 0x81, 0x200000, 0x200000)
SEED = 17
OWN_FILES = ("/identity", "/journal/00000001", "/active", "/lid-0123456789ab/lid/start.mpy", "/config.json")


def flash_with(files: dict[str, bytes] | None, vfs: bytes = b"") -> bytes:
    """A flash with files in its file system, or with these bytes there."""
    vfs = vfs if files is None else filesystem.build(files, PLACE.size_bytes)
    return bytes(b"\xff" * PLACE.offset + vfs).ljust(FLASH_BYTES, b"\xff")


def reader(data: bytes) -> first_flash.Read:
    """Reads a flash of these bytes."""
    return lambda offset, count: data[offset : offset + count]


@pytest.mark.parametrize("foreign", [False, True])
@pytest.mark.parametrize(
    ("files", "micropython", "other"),
    [
        ({}, True, True),
        ({"/boot.py": b"# made by MicroPython\n"}, True, True),
        ({"/boot.py": b"", "/main.py": b"import network\n"}, False, True),
        ({"/notes.txt": b""}, False, True),
        *(({"/boot.py": b"", path: b"x"}, False, False) for path in OWN_FILES),
        ({f"/{n}.txt": bytes(n) for n in range(300)} | {"/identity": b"x"}, False, False),
    ],
)
def test_chip_with_files_of_a_board_holds_something(
    files: dict[str, bytes], micropython: bool, other: bool, foreign: bool
) -> None:
    read = reader(flash_with(files))
    assert first_flash.holds_nothing(read, (PLACE,), foreign=foreign) == (other if foreign else micropython)


def test_what_is_no_file_system_is_kept_unless_a_foreign_program_left_it() -> None:
    rng = random.Random(SEED)
    for vfs in (bytes(8192), rng.randbytes(8192), b"\xff" * 4096 + b"x"):
        read = reader(flash_with(None, vfs))
        assert not first_flash.holds_nothing(read, (PLACE,), foreign=False), SEED
        assert first_flash.holds_nothing(read, (PLACE,), foreign=True), SEED
    assert first_flash.holds_nothing(reader(flash_with(None)), (PLACE,), foreign=False)


def test_file_system_of_which_one_of_two_first_blocks_is_erased_is_looked_into() -> None:
    # As power that fails in their rewriting leaves it: the other block tells, and what it tells MicroPython would find
    seen = []
    for begin in (PLACE.offset, PLACE.offset + 4096):
        data = bytearray(flash_with({"/identity": b"x"}))
        data[begin : begin + 4096] = b"\xff" * 4096
        files = filesystem.read_files(data[PLACE.offset :])
        seen.append(first_flash.holds_nothing(reader(bytes(data)), (PLACE,), foreign=False))
        assert seen[-1] == (not files)
    assert not all(seen)


def test_line_that_breaks_while_a_chip_is_looked_at_decides_nothing() -> None:
    data = flash_with({f"/{n}.txt": b"" for n in range(300)})
    reads = 0

    def read(offset: int, count: int) -> bytes:
        nonlocal reads
        reads += 1
        if reads > 2:
            raise OSError("gone")
        return data[offset : offset + count]

    with pytest.raises(OSError, match="gone"):
        first_flash.holds_nothing(read, (PLACE,), foreign=True)


def test_file_system_is_looked_for_by_the_release_and_by_the_chips_own_table() -> None:
    table = release_image.table((*release_image.ROWS, ("vfs", 1, 0x81, 0x300000, 0x100000)))
    assert [place.offset for place in first_flash.places(table, PLACE, FLASH_BYTES)] == [0x200000, 0x300000]
    assert first_flash.places(release_image.table(release_image.ROWS), PLACE, FLASH_BYTES) == (PLACE,)
    assert first_flash.places(b"\xff" * 0xC00, PLACE, FLASH_BYTES) == (PLACE,)


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up release in a file; silent ports are quickly given up."""
    monkeypatch.setattr(provision, "PROBE_S", 0.2)
    monkeypatch.setattr(provision, "STARTUP_WAIT_S", 120.0)
    monkeypatch.setattr(provision, "PROMPT_WAIT_S", 120.0)
    path = tmp_path / "release.bin"
    path.write_bytes(release_image.release().data)
    return path


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small firmware in the place of ours, and a small word."""
    harness.small_build(tmp_path / "firmware", "0.9.0")
    monkeypatch.setattr(firmware, "root", lambda: tmp_path / "firmware")
    monkeypatch.setattr(inputs, "word_blob", lambda name: harness.fake_model(20_000))


@pytest.fixture
def unstarted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Nothing starts what is written; the list tells which way it went."""
    ways: list[str] = []

    def end(way: str) -> None:
        ways.append(way)
        raise UserError("written")

    monkeypatch.setattr(provision.Provisioner, "_first_start", lambda *_: end("one file"))
    monkeypatch.setattr(provision.Provisioner, "_probe_after_image", lambda *_: end("MicroPython alone"))
    return ways


def garbage(chip: harness.BootloaderChip) -> None:
    """Fill a chip's flash with what another project might leave there."""
    chip.flash.data[:] = random.Random(SEED).randbytes(FLASH_BYTES)
    chip.flash.data[0x1000:0x1004] = b"\xe9\x04\x02\x20"
    chip.flash.data[0x10000:0x10100] = application("plug-kitchen", "2024.6.1")


def test_flash_is_block_for_block_as_plain_esptool_leaves_it(release: Path, small: None, unstarted: list[str]) -> None:
    ours, theirs = harness.BootloaderChip(), harness.BootloaderChip()
    out = release.with_name("out.bin")
    assert main(["image", str(out), "--image", str(release)]) == 0
    garbage(ours)
    with harness.cable(ours.end()) as cable:
        main(["flash", "-p", cable.path, "--image", str(release), "--yes"])
    with harness.cable(theirs.end()) as cable:
        command = [sys.executable, "-m", "esptool", "--port", cable.path, "--baud", "460800", "write-flash", "0", str(out)]
        subprocess.run(command, check=True, capture_output=True, timeout=harness.LIMIT_S)
    assert unstarted == ["one file"]
    blocks = [
        begin for begin in range(0, FLASH_BYTES, 4096) if ours.flash.data[begin:][:4096] != theirs.flash.data[begin:][:4096]
    ]
    assert not blocks


def test_progress_counts_erased_bytes_and_then_bytes_on_the_wire(release: Path) -> None:
    micropython = image.load(str(release))
    data = one_file.make(micropython, {"/main.py": random.Random(SEED).randbytes(300_000)})
    chip = harness.BootloaderChip()
    garbage(chip)
    events: list[tuple[str, int, int]] = []
    with harness.cable(chip.end()) as cable:
        sent_bytes = flasher.write(
            cable.path, micropython, erase=False, force=False, report=lambda *event: events.append(event),
            choose=lambda flash: OneFile(data, PLACE.offset),
        )  # fmt: skip
        assert cable.sent > sent_bytes > 300_000
    assert bytes(chip.flash.data) == data
    for stage in ("compare", "erase", "write"):
        done, totals = zip(*[(done, total) for name, done, total in events if name == stage], strict=True)
        assert list(done) == sorted(set(done))
        assert len(set(totals)) == 1
        assert done[-1] <= totals[0]
        if stage == "write":
            assert done[-1] == totals[0] == sent_bytes


def test_word_settings_and_recipe_are_in_the_one_file(release: Path, tmp_path: Path, unstarted: list[str]) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"open_ms": 4000}))
    chip = harness.BootloaderChip()
    with harness.cable(chip.end()) as cable:
        words = ["--word", "none", "--config", str(settings), "--recipe", "usb"]
        main(["flash", "-p", cable.path, "--image", str(release), *words])
    files = one_file.inspect(bytes(chip.flash.data)).files
    assert files[content.CONFIG] == inputs.config_bytes(str(settings))
    assert files[content.ACTIVE].endswith(b" -\n")
    assert [path for path in files if path.endswith("/usb.recipe")]
    assert unstarted == ["one file"]


@pytest.mark.parametrize("path", OWN_FILES[:2])
def test_chip_with_files_of_a_board_gets_micropython_alone(path: str, release: Path, small: None, unstarted: list[str]) -> None:
    chip = harness.BootloaderChip()
    chip.flash.data[:] = flash_with({"/boot.py": b"# earlid\n", path: b"x"})
    before = bytes(chip.flash.data)
    with harness.cable(chip.end()) as cable:
        main(["flash", "-p", cable.path, "--image", str(release)])
        written = release.read_bytes()
        assert bytes(chip.flash.data[0x1000 : 0x1000 + len(written)]) == written
        assert chip.flash.data[PLACE.offset :] == before[PLACE.offset :]
        main(["flash", "-p", cable.path, "--image", str(release), "--erase", "--yes"])
    assert unstarted == ["MicroPython alone", "one file"]
    assert one_file.inspect(bytes(chip.flash.data)).files.get(path) != b"x"


def test_release_without_a_file_system_of_its_own_is_written_alone(release: Path, unstarted: list[str]) -> None:
    release.write_bytes(release_image.release("1.25.0").data)
    chip = harness.BootloaderChip()
    with harness.cable(chip.end()) as cable:
        main(["flash", "-p", cable.path, "--image", str(release)])
    assert unstarted == ["MicroPython alone"]


def test_file_system_ends_where_a_larger_flash_ends(release: Path, small: None, unstarted: list[str]) -> None:
    with harness.flash_id(0x174020):
        chip = harness.BootloaderChip()
        chip.flash.data = bytearray(b"\xff" * 2 * FLASH_BYTES)
        with harness.cable(chip.end()) as cable:
            main(["flash", "-p", cable.path, "--image", str(release)])
    assert unstarted == ["one file"]
    found = one_file.inspect(bytes(chip.flash.data))
    assert found.layout.file_system.end == 2 * FLASH_BYTES
    assert "/main.py" in found.files


@pytest.mark.parametrize("share", [0.0, 0.9])
def test_pulled_cable_leaves_a_chip_that_the_next_run_completes(
    share: float, release: Path, small: None, unstarted: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    chip = harness.BootloaderChip()
    garbage(chip)
    stop = threading.Event()

    def report(stage: str, done: int, total: int) -> None:
        if stage == "write" and done >= share * total:
            stop.set()

    options = provision.FlashOptions(image=lambda report: image.load(str(release)), default_model=harness.fake_model)
    with harness.cable(chip.end()) as cable:
        assert provision.Provisioner(cable.path, options, report, stop).run().code == 130
    assert chip.flash.data[PLACE.offset :][:8192] == b"\xff" * 8192, "nothing mounts it"
    chip.close()
    again = harness.BootloaderChip(flash=chip.flash)
    with harness.cable(again.end()) as cable:
        main(["flash", "-p", cable.path, "--image", str(release)])  # without --yes: nothing foreign is there any more
    assert unstarted == ["one file"], capsys.readouterr().err
    assert "/main.py" in one_file.inspect(bytes(chip.flash.data)).files


def test_empty_chip_starts_from_the_one_file_without_a_prompt(
    release: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(deploy, "execute", lambda *_: pytest.fail("there is nothing to deploy"))
    chip = harness.BootloaderChip()
    with harness.cable(chip.end()) as cable, harness.starting(chip, cable) as boards:
        assert main(["flash", "-p", cable.path, "--image", str(release), "--word", "none", "--json"]) == 0, boards
        verdict = parse_output("flash", capsys.readouterr().out)
        assert (verdict["self_test"], verdict["ok"], verdict["one_file"]) == ("passed", True, True)
        assert verdict["sent_bytes"] > 50_000
        found = one_file.inspect(bytes(chip.flash.data))
        assert "/identity" not in found.files
        assert "/model" not in "".join(found.files)
        assert "identity" in boards[0].read_files()
