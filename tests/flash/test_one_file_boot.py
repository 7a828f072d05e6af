# SPDX-License-Identifier: MIT
"""A board that starts from the one file is the board that a deploy makes: the same files, the same answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from earlid import filesystem, firmware
from earlid.flash import content, firmware_build, one_file
from earlid.flash.this_processor import ARCH, for_this_processor

from tests.firmware.kit import FIRST_HOP_MS, Bench, deployed_inference, word_blob
from tests.flash import harness, release_image

OWN = {"identity", "identity2", "starts", "starts2", "baseline", "baseline2", "journal/00000001"}  # what a board makes or changes
DRAWN = {"board", "link", "nonce", "ms", "sentinel_mv", "guarded_mv", "free"}  # of its hello: by chance, or measured


@pytest.fixture(scope="module")
def chip() -> bytes:
    """The whole flash of a chip that the one file was written to."""
    build = firmware_build.build(firmware.root(), firmware_build.ESP32_ARCH)
    return one_file.make(release_image.release(), content.files(build, word_blob()))


@pytest.fixture(scope="module")
def runnable(chip: bytes) -> bytes:
    return for_this_processor(one_file.inspect(chip).file_system)


@contextmanager
def started(**options: object) -> Iterator[Bench]:
    with Bench(start=False, deploy=False, inference=deployed_inference(), **options) as bench:
        yield bench


def segment_blocks(flash: bytes | bytearray) -> list[int]:
    return [at // 4096 for at in range(0, len(flash), 4096) if flash[at + 32 : at + 36] == b"EJS1"]


def test_only_the_machine_code_is_another(chip: bytes, runnable: bytes) -> None:
    before = one_file.inspect(chip)
    after = filesystem.read_files(runnable)
    directory = before.files["/active"].split()[0].decode()
    changed = {path for path in before.files if before.files[path] != after[path]}
    assert sorted(after) == sorted(before.files)
    assert changed
    assert all(path.startswith(directory) and path.endswith(".mpy") for path in changed)
    assert segment_blocks(runnable) == segment_blocks(before.file_system)


def test_board_starts_from_the_one_file_as_after_a_deploy(runnable: bytes) -> None:
    with started(file_system=runnable) as imaged:
        flash = imaged.board.simulation.flash
        blocks = segment_blocks(flash.data)
        assert len(blocks) == content.SEGMENTS * 16
        imaged.board.start()
        imaged.board.run_ms(FIRST_HOP_MS)
        assert imaged.events()[:3] == [("boot", "power-on"), ("config", "first-start"), ("selftest", "passed")]
        assert segment_blocks(flash.data) == blocks, "the board made segments of its own"
        assert not any(flash.erases[block] for block in blocks)
        erased = sum(flash.erases)
        hello, files = imaged.hello(), imaged.board.read_files()
    with harness.bare_board() as board:
        harness.deploy_build(board, firmware_build.build(firmware.root(), ARCH), model=word_blob())
        deployed = bytes(board.simulation.flash.data)
    with started(file_system=deployed) as other:
        other.board.start()
        other.board.run_ms(FIRST_HOP_MS)
        assert other.events() == imaged.events()
        assert sum(other.board.simulation.flash.erases) >= erased + len(blocks), "it made none, so the comparison shows nothing"
        same = {name: value for name, value in other.hello().items() if name not in DRAWN}
        assert {name: hello[name] for name in same} == same
        theirs = other.board.read_files()
    tree, there = (held["active"].split()[0].decode()[1:] for held in (files, theirs))
    assert sorted(name.replace(tree, "") for name in files) == sorted(name.replace(there, "") for name in theirs)
    for name, data in theirs.items():
        if name not in OWN | {"active"}:
            assert files[name.replace(there, tree)] == data, name


def test_two_boards_of_one_file_have_their_own_identity_and_key(runnable: bytes) -> None:
    found = []
    for entropy in (1, 2):
        with started(file_system=runnable, entropy=entropy) as bench:
            assert not [name for name in bench.board.read_files() if name.startswith("identity")]
            bench.board.start()
            bench.board.run_ms(FIRST_HOP_MS)
            found.append((bench.hello()["board"], bench.board.read_files()["journal/00000001"][64:96]))
    assert len(set(found)) == 2
    assert found[0][0] != found[1][0]
    assert found[0][1] != found[1][1]


def test_file_system_of_other_sources_is_refused(chip: bytes) -> None:
    found = one_file.inspect(chip)
    directory = found.files["/active"].split()[0].decode()
    other = filesystem.amend(found.file_system, {f"{directory}/lid/start.mpy": b"M"})
    for wrong in (other, filesystem.build({}, 2 << 20)):
        with pytest.raises(ValueError, match="not compiled of the sources that are here"):
            for_this_processor(wrong)
