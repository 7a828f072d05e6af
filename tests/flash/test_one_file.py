# SPDX-License-Identifier: MIT
"""The one file: the same content as a deploy, where MicroPython looks for it, and nothing else; a bad one is refused."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import esp_idf_defs
import pytest
from earlid import filesystem
from earlid.errors import UserError
from earlid.flash import content, deploy, one_file, partitions
from earlid.flash.firmware_build import FirmwareBuild
from earlid.flash.transfer import sha256

from tests.flash import harness, release_image
from tests.flash.release_image import ROWS, VFS_ROW

SEED = 17
VFS = 0x200000


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> FirmwareBuild:
    return harness.small_build(tmp_path_factory.mktemp("source"), "one")


@pytest.fixture(scope="module")
def made(build: FirmwareBuild) -> bytes:
    return one_file.make(release_image.release(), content.files(build, harness.fake_model(), b"{}"))


def test_one_file_holds_the_release_and_the_files_where_micropython_looks(build: FirmwareBuild, made: bytes) -> None:
    release = release_image.release()
    end = 0x1000 + len(release.data)
    assert len(made) == 4 << 20
    assert made[:0x1000] == b"\xff" * 0x1000
    assert made[0x1000:end] == release.data
    assert set(made[end:VFS]) == {0xFF}
    found = one_file.inspect(made)
    assert found.files == content.files(build, harness.fake_model(), b"{}")
    assert found.file_system == made[VFS:]
    assert (found.layout.version, found.layout.larger_flash) == ("1.26.1", False)
    assert [row.label for row in found.layout.partitions] == ["nvs", "phy_init", "factory", "vfs"]
    assert one_file.micropython_version(made) == (1, 26, 1)


@pytest.mark.parametrize("model", [None, harness.fake_model()], ids=["no word", "word"])
@pytest.mark.parametrize("config", [None, b"settings"], ids=["defaults", "config"])
def test_a_deploy_onto_a_bare_board_writes_the_same_content(
    build: FirmwareBuild, model: bytes | None, config: bytes | None
) -> None:
    raw = {"mpy": 6 | 2 << 10, "version": [1, 26, 1], "machine": "x", "tops": [], "free": 2_000_000, "active": None,
           "main": None, "files": []}  # fmt: skip
    plan = deploy.make_plan(deploy.parse_inventory(raw), {}, build, model, config)
    written = {path.removesuffix(deploy.STAGED): data for path, data in plan.files.items()}
    journal = {path: data for path, data in content.files(build, model, config).items() if path.startswith("/journal/")}
    assert content.files(build, model, config) == written | journal
    assert sorted(journal) == ["/journal/00000001", "/journal/00000002"]
    assert ("/config.json" in written) == (config is not None)
    assert written["/active"].split()[1] == (f"/model-{sha256(model)[:12]}.bin".encode() if model else b"-")


def test_partition_table_is_read_as_another_reader_reads_it() -> None:
    rng = random.Random(SEED)
    for _ in range(40):
        rows, at = [], 0x10
        for n in range(rng.randrange(1, 9)):
            at += rng.randrange(16)
            kind, size = (0, 16) if not n else (1, rng.randrange(1, 64))
            at += -at % 16 if not n else 0
            rows.append((f"part{n}", kind, 0 if not n else rng.choice((1, 2, 0x81)), at << 12, size << 12))
            at += size
        table = release_image.table(rows)
        oracle = esp_idf_defs.PartitionTable.from_binary(table)
        assert [(p.name, p.offset, p.size) for p in oracle] == [(row[0], row[3], row[4]) for row in rows], SEED
        assert [(p.label, p.kind, p.subtype, p.offset, p.size_bytes) for p in partitions.parse(table)] == rows, SEED


@pytest.mark.parametrize(
    ("rows", "version", "flash_bytes", "place"),
    [
        ([*ROWS, VFS_ROW], "1.23.0", 4 << 20, (VFS, 2 << 20)),
        ([*ROWS, VFS_ROW], "1.23.0", 16 << 20, (VFS, 2 << 20)),
        (ROWS, "1.26.0", 4 << 20, (VFS, 2 << 20)),
        (ROWS, "1.27.0-preview.12.g0123abcd", 8 << 20, (VFS, 6 << 20)),
    ],
)
def test_file_system_stands_where_that_release_looks_for_it(
    rows: list[release_image.Row], version: str, flash_bytes: int, place: tuple[int, int]
) -> None:
    release = release_image.release(version, rows)
    found = one_file.layout(release, flash_bytes)
    assert (found.file_system.offset, found.file_system.size_bytes) == place
    assert found.larger_flash == (VFS_ROW in rows)
    made = one_file.make(release, {"/a": b"1"}, flash_bytes)
    assert len(made) == sum(place)
    assert one_file.inspect(made).files == {"/a": b"1"}


def test_file_system_of_another_size_is_none_to_littlefs() -> None:
    """Why an image is for one size of flash, where MicroPython takes all that there is."""
    with pytest.raises(filesystem.LittleFSError):
        filesystem.mount(filesystem.build({}, 2 << 20) + b"\xff" * (4 << 20))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": "1.25.0"}, r"has no partition `vfs`, and MicroPython 1\.25\.0 makes none"),
        ({"chip_id": 9}, "is for another chip than the plain ESP32"),
        ({"partition_table": b"\xff" * 0xC00}, "has no partition table"),
        ({"partition_table": release_image.table(ROWS, with_md5=False)}, "has a partition table without its MD5"),
        ({"partition_table": release_image.table(ROWS).replace(b"nvs", b"nvx")}, "its MD5 does not fit"),
        ({"rows": [*ROWS, ("vfs", 1, 0x81, 0x1F0000, 0x210000)]}, "overlap: `factory` and `vfs`"),
        ({"rows": [*ROWS, ("vfs", 1, 0x81, VFS, 4 << 20)]}, "needs more flash than 4 MB"),
        ({"rows": [*ROWS, ("vfs", 1, 0x81, VFS + 7, 4096)]}, "`vfs` at 0x200007, where none can be"),
        ({"rows": [*ROWS, ("\x1b[2J", 1, 2, VFS + 7, 4096)]}, r"`\\x1b\[2J` at 0x200007"),
        ({"rows": [("nvs", 1, 2, 0x8000, 0x1000), *ROWS[1:]]}, "overlap: the table itself and `nvs`"),
        ({"rows": [ROWS[0], ROWS[0], *ROWS[1:]]}, "overlap"),
        ({"rows": [row for row in ROWS if row[1]]}, "has no partition for a program"),
        ({"rows": [*ROWS[:2], ("factory", 0, 0, 0x10000, 0x10000)], "app_bytes": 70_000}, "has a damaged program"),
        ({"rows": [*ROWS[:2], ("factory", 0, 0, 0x20000, 0x10000)]}, "has no program in its partition `factory`"),
        ({"rows": [*ROWS[:2], ("factory", 0, 0, 0x10000, 0x3F0000)]}, "needs more flash"),
        ({"app_bytes": 2 << 20}, "has a damaged program"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else re.sub(r"\W+", " ", value),
)  # fmt: skip
def test_release_that_is_not_understood_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words) as raised:
        one_file.make(release_image.release(**change), {})  # type: ignore[arg-type]
    assert raised.value.code == 2


@pytest.mark.parametrize(("at", "what"), [(0x17, "boot loader"), (0x20, "boot loader"), (0xF017, "program"), (0xF100, "program")])
def test_release_with_a_bad_bit_is_refused(at: int, what: str) -> None:
    release = release_image.release()
    data = bytearray(release.data)
    data[at] ^= 4
    with pytest.raises(UserError, match=f"it has a damaged {what}"):
        one_file.make(one_file.MicroPythonImage(release.name, bytes(data), 0), {})


def test_files_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match=r"the files \(2148 KB\) do not fit the 2048 KB") as raised:
        one_file.make(release_image.release(), {"/large": bytes(2_200_000)})
    assert raised.value.code == 1


@pytest.mark.parametrize("length", [0x1001, 0x8FFF, 0x9000, 0x20000, VFS, VFS + 5000, (4 << 20) - 1])
def test_cut_file_is_told_from_a_foreign_one(made: bytes, length: int) -> None:
    with pytest.raises(UserError, match=r"x\.bin was cut off") as raised:
        one_file.inspect(made[:length], "x.bin")
    assert raised.value.code == 1


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "something else"), (b"\xff" * 0x3000, "something else"), (b"PK\3\4" * 5000, "something else"),
        (release_image.release().data, "MicroPython alone"),
    ],
    ids=["empty", "erased", "archive", "release"],
)  # fmt: skip
def test_foreign_file_is_named_so(data: bytes, words: str) -> None:
    with pytest.raises(UserError, match=f"is no file of `earlid image`, but {words}") as raised:
        one_file.inspect(data)
    assert raised.value.code == 2


def test_damaged_file_system_is_named_so(made: bytes) -> None:
    data = bytearray(made)
    for block in (0, 1):
        data[VFS + block * 4096 + 20] ^= 0xFF
    with pytest.raises(UserError, match="its file system cannot be read") as raised:
        one_file.inspect(bytes(data))
    assert raised.value.code == 1


def test_no_damage_makes_a_traceback(made: bytes) -> None:
    rng = random.Random(SEED)
    used = [block for block in range(VFS, 4 << 20, 4096) if set(made[block : block + 4096]) != {0xFF}]
    for _ in range(60):
        data = bytearray(made)
        for _ in range(rng.randrange(1, 40)):
            data[rng.choice(used) + rng.randrange(4096)] = rng.randrange(256)
        with suppress(UserError):
            one_file.inspect(bytes(data))


BUILD = """
import sys
from contextlib import suppress
from pathlib import Path
from tests.flash import harness, release_image
from earlid.flash import content, one_file
build = harness.small_build(Path(sys.argv[1]), "one")
sys.stdout.buffer.write(one_file.make(release_image.release(), content.files(build, harness.fake_model(), b"{}")))
"""


def test_two_builds_are_the_same_bytes(made: bytes, tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    for n, zone in enumerate(("Pacific/Auckland", "America/Denver")):
        folder = tmp_path / f"build {n}"
        folder.mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": str(n), "TZ": zone, "PYTHONPATH": str(root)}
        command = [sys.executable, "-c", BUILD, str(folder)]
        assert subprocess.run(command, capture_output=True, check=True, cwd=folder, env=environment).stdout == made
