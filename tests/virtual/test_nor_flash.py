# SPDX-License-Identifier: MIT
"""NOR flash: write semantics, littlefs on it, and power cuts at any write."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from earlid import filesystem
from earlid.virtual import littlefs_image, nor_cells
from earlid.virtual.board import VirtualBoard
from earlid.virtual.nor_flash import FLASH_BYTES, NorFlash, PowerLost
from earlid.virtual.protocol import FLASH_BLOCK
from hypothesis import given, settings
from hypothesis import strategies as st

Make = Callable[..., VirtualBoard]


WRITES = st.tuples(st.integers(0, 2 * FLASH_BLOCK - 1), st.binary(min_size=1, max_size=64), st.booleans())


@given(st.lists(WRITES, max_size=30))
@settings(max_examples=60)
def test_programming_only_clears_bits(writes: list[tuple[int, bytes, bool]]) -> None:
    flash = NorFlash(None, random.Random(0))
    model = bytearray(b"\xff" * (3 * FLASH_BLOCK))
    for address, payload, erase in writes:
        if erase:
            block = address // FLASH_BLOCK * FLASH_BLOCK
            assert flash.erase(block, FLASH_BLOCK) == (0, flash.erase_us)
            model[block : block + FLASH_BLOCK] = b"\xff" * FLASH_BLOCK
        flash.program(address, payload)
        for i, byte in enumerate(payload):
            model[address + i] &= byte
    assert flash.data[: len(model)] == model


def test_image_file_is_persistent(tmp_path: Path) -> None:
    path = tmp_path / "flash.bin"
    flash = NorFlash(path, random.Random(0))
    flash.program(5000, b"kept")
    flash.close()
    again = NorFlash(path, random.Random(0))
    assert bytes(again.data[5000:5004]) == b"kept"
    again.close()
    path.write_bytes(b"short")
    with pytest.raises(ValueError, match=re.escape(str(path))):
        NorFlash(path, random.Random(0))


@given(seed=st.integers(0, 1000), torn=st.booleans())
@settings(max_examples=40)
def test_torn_write_is_between_old_and_new(seed: int, torn: bool) -> None:
    flash = NorFlash(None, random.Random(seed))
    flash.program(0, b"\xf0" * 64)
    before = bytes(flash.data[:128])
    flash.power_cut_at, flash.cut_kind = flash.writes + 1, nor_cells.TORN if torn else nor_cells.NOTHING
    with pytest.raises(PowerLost):
        flash.program(0, b"\x3c" * 128)
    after = flash.data[:128]
    for i in range(128):
        assert after[i] & ~before[i] == 0, "a program set a bit"
        assert after[i] | before[i] & 0x3C == after[i], "a program cleared a bit that it should not have"
    if not torn:
        assert after == before


def test_full_image_has_no_room() -> None:
    content = littlefs_image.fill(filesystem.build({"main.py": b"pass"}, FLASH_BYTES), leave_blocks=2)
    fs = filesystem.mount(content)
    assert fs.used_block_count >= FLASH_BYTES // FLASH_BLOCK - 3
    assert filesystem.read_files(content)["/main.py"] == b"pass"


def test_firmware_sees_nor_flash(make_board: Make) -> None:
    board = make_board(
        None,
        files={
            "main.py": b"""
import esp32
part = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="vfs")[0]
part.ioctl(6, 500)
part.writeblocks(500, b"\\xf0" * 4, 8)
part.writeblocks(500, b"\\x3c" * 4, 8)
buf = bytearray(6)
part.readblocks(500, buf, 7)
print("and", bytes(buf))
part.writeblocks(500, b"\\x55" * 4096)
part.readblocks(500, buf, 7)
print("erased", bytes(buf), part.ioctl(4, 0), part.ioctl(5, 0), part.info())
"""
        },
    )
    assert board.wait_for(r"and (.*)\r\n").group(1) == r"b'\xff0000\xff'"
    assert "b'UUUUUU' 512 4096 (1, 129, 2097152, 2097152, 'vfs', False)" in board.wait_for(r"erased (.*)\r\n").group(1)


def test_blank_flash_is_formatted(make_board: Make) -> None:
    board = make_board(None, deploy=False)
    board.wait_for("Performing initial setup")
    board.wait_for(">>> ")
    assert board.read_files() == {}


def written(board: VirtualBoard) -> int:
    """The newest number that the writer reported as durable, -1 if none."""
    numbers = re.findall(r"durable (\d+)\r", board.console)
    return int(numbers[-1]) if numbers else -1


@pytest.mark.parametrize("torn", [True, False])
def test_power_cut_at_any_write_loses_nothing_durable(make_board: Make, torn: bool) -> None:
    # The reference littlefs is the oracle: the image must mount, and hold every number that was reported durable
    seed = 20
    rng = random.Random(seed)
    board = make_board("writer", seed=seed)
    board.wait_for("durable 0")
    for _ in range(25):
        n = rng.randrange(1, 60)
        board.power_cut_at_write(n, torn=torn)
        board.run_until(lambda: not board.simulation.circuit.powered, limit_ms=60_000, step_ms=50)
        promised = written(board)
        content = board.read_files().get("count.txt", b"").split()
        assert content, f"seed {seed}, cut at {n}: nothing left"
        assert int(content[-1]) >= promised, f"seed {seed}, cut at {n}"
        numbers = [int(x) for x in content]
        assert numbers == list(range(numbers[0], numbers[-1] + 1)), f"seed {seed}, cut at {n}"
        board.power_on()
        found = board.wait_for(r"found \d+ (\d+)").group(1)
        assert int(found) >= promised, f"seed {seed}, cut at {n}"
