# SPDX-License-Identifier: MIT
"""The key that seals the journal moves forward with every segment, and no earlier one is left anywhere in flash."""

import hashlib
import json

import pytest
from lid import record

from tests.firmware.kit import Bench, check_chain, run_on_micropython, sealing_key

# K_0, K_1, K_2 and K_100 of two boards.
VECTORS = (
    (
        bytes(32),
        {
            1: "80c6b1dd256921d3cd2c77ea7f146c5d5b45314d87db3c4d6c564a1877b26fa9",
            2: "b8ed704ac3e4bf4bb4c43ae6ee8ecae44a36304cad3e066a0d55079cedd05c57",
            100: "87ce917d453104eee39e6f388ba38e1fd093431dd34c66c35e96578365102422",
        },
    ),
    (
        bytes(range(32)),
        {
            1: "ed9f302d654da9966f83e2ea77e19d8c575c46f7bc812063bbf249a6cbc7c325",
            2: "882eea8f0a62e01925eb51de99f908bef9fee14a828e6daa984103d7c51d13aa",
            100: "a3a2d82b078400132eadcc56c21dd15b767cc9b607ce76ee97f17d2e9233ec9b",
        },
    ),
)


def test_next_key_is_that_of_the_vectors():
    for key, known in VECTORS:
        for epoch in range(1, 101):
            key = record.next_key(key)
            assert known.get(epoch, key.hex()) == key.hex(), f"epoch {epoch}"
    assert record.next_key(bytes(32)) == hashlib.sha256(b"earlid ratchet 1 " + bytes(32)).digest()


@pytest.mark.parametrize("kind", ["torn", "bits", "unstable", "half", "nothing"])
def test_step_cut_at_every_write_ends_with_one_key(kind, seed):
    """The key moves on as a segment fills up: whenever the power goes, the records verify and no earlier key is in flash."""
    done, report = run_on_micropython("flash_keys.py", seed, "ratchet", kind)
    assert done.returncode == 0, report
    assert int(done.stdout.split()[-1]) > 12, report


@pytest.mark.parametrize("kind", ["torn", pytest.param("bits", marks=pytest.mark.soak)])
def test_migration_cut_at_any_write_keeps_the_journal_and_leaves_no_old_key(kind, seed):
    """Firmware 0.1 kept the key in a file: afterwards no block of the file system has it, in use or free."""
    done, report = run_on_micropython("flash_keys.py", seed, "migration", kind)
    assert done.returncode == 0, report
    assert int(done.stdout.split()[-1]) > 60, report


def test_one_flipped_bit_in_any_byte_of_a_small_file_loses_nothing(seed):
    done, report = run_on_micropython("flash_keys.py", seed, "files", "")
    assert done.returncode == 0, report
    assert int(done.stdout.split()[-1]) > 800, report


def test_board_of_firmware_0_1_keeps_its_identifier_and_its_key_moves_on():
    old = bytes(range(32))
    text = json.dumps({"board": "00112233aabbccdd", "key": old.hex()})
    with Bench(files={"identity.json": text.encode(), "baseline": b"140"}) as bench:
        hello = bench.hello()
        assert (hello["board"], hello["epoch"], hello["state"]) == ("00112233aabbccdd", 1, "closed")
        image = bytes(bench.board.simulation.flash.data)
        assert old.hex().encode() not in image
        assert old not in image
        key, epoch = sealing_key(image)
        assert (key, epoch) == (record.next_key(old), 1)
        bench.sync()
        check_chain(bench.records(), "00112233aabbccdd", key)
        assert "identity.json" not in bench.board.read_files()
        bench.open_by_button()


def test_damaged_small_file_is_repaired_and_journaled():
    with Bench() as bench:
        board = bench.board
        name = bench.hello()["board"]
        board.power_cut()
        files = board.read_files()
        damaged = bytearray(files["identity"])
        damaged[3] ^= 16
        board.deploy(None, {"identity": bytes(damaged)})
        board.power_on()
        board.run_ms(20_000)
        assert bench.hello()["board"] == name
        entry = next(entry for entry in bench.records("config") if entry.reason == "repaired")
        assert entry.a == 2
        assert board.read_files()["identity"] == files["identity"] == files["identity2"]
