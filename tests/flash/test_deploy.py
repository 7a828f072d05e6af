# SPDX-License-Identifier: MIT
"""Deploy: what is transferred, and what is on the board afterwards and after every kind of interruption."""

from __future__ import annotations

import random
import re
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from earlid.errors import UserError
from earlid.flash import deploy, firmware_build, repl, transfer
from earlid.virtual.board import VirtualBoard

from tests.flash import harness

Builds = tuple[firmware_build.FirmwareBuild, firmware_build.FirmwareBuild]
SEED = 20260

pytestmark = pytest.mark.usefixtures("patient")


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Builds:
    """An old and a new firmware; all modules but one are the same."""
    return harness.small_build(tmp_path_factory.mktemp("old"), "old"), harness.small_build(tmp_path_factory.mktemp("new"), "new")


def unmask(block: bytes) -> bytes:
    length, mask = block[0] - transfer.LENGTH_OFFSET, block[1]
    assert length == len(block) - 2
    return bytes(byte ^ mask for byte in block[2:])


def test_blocks_carry_any_bytes_without_ctrl_c() -> None:
    rng = random.Random(SEED)
    for size in (0, 1, 249, 250, 251, 5000):
        stream = rng.randbytes(size)
        blocks = transfer.blocks(stream)
        assert b"".join(map(unmask, blocks)) == stream, SEED
        assert not any(transfer.CTRL_C in block for block in blocks), SEED
        assert all(len(block) <= transfer.BLOCK_BYTES + 2 for block in blocks)


def test_worst_case_block_has_a_mask() -> None:
    plain = bytes(range(250))
    assert transfer.CTRL_C not in transfer.blocks(plain)[0]


def test_content_on_the_board_is_copied_not_sent() -> None:
    data = random.Random(SEED).randbytes(5000)
    sent = transfer.pack({"/b": data}, {})
    copied = transfer.pack({"/b": data}, {transfer.sha256(data): "/a"})
    assert len(sent) > 5000 > 100 > len(copied)
    assert zlib.decompress(copied) == b"c /b /a\n"


@pytest.mark.parametrize(
    ("mpy", "arch"), [(6 | 3 << 8 | 10 << 10, "xtensawin"), (6 | 3 << 8 | 2 << 10, "x64"), (6 | 5 << 10, "armv7m")]
)
def test_architecture_follows_the_reported_mpy_number(mpy: int, arch: str) -> None:
    assert firmware_build.arch_of(mpy) == arch


@pytest.mark.parametrize(("mpy", "words"), [(5 | 10 << 10, "version 5"), (6, "no native code")])
def test_incompatible_mpy_number_is_refused(mpy: int, words: str) -> None:
    with pytest.raises(UserError, match=words):
        firmware_build.arch_of(mpy)


def raw_inventory(**changes: object) -> dict[str, object]:
    """The inventory of a bare board, with changes."""
    raw = {"mpy": 6 | 2 << 10, "version": [1, 26, 1], "machine": "x", "tops": [], "free": 2_000_000, "active": None,
            "main": None, "files": []}  # fmt: skip
    return raw | changes


@pytest.mark.parametrize(
    "odd", [{"version": "x"}, {"version": None}, {"files": "ab"}, {"files": [1]}, {"tops": {}}, {"mpy": []}, {"free": 1e400},
            {"active": 1}, {"main": 7}],
)  # fmt: skip
def test_inventory_that_no_micropython_prints_is_a_sentence(odd: dict[str, object]) -> None:
    with pytest.raises(UserError, match="answers otherwise than MicroPython"):
        deploy.parse_inventory(raw_inventory(**odd))
    deploy.check_target(deploy.parse_inventory(raw_inventory(machine=" ")), "", None, force=False)


@pytest.mark.parametrize("printed", ["", "[]", "{", "99999999999 00", "7 zz", "-1 "])
def test_what_a_prompt_prints_instead_is_a_sentence(printed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repl.Repl, "run", lambda self, code: printed)
    prompt = object.__new__(repl.Repl)
    for read in (prompt.inventory, lambda: prompt.word("/model-1.bin")):
        with suppress(UserError):
            assert read() in ({}, b"")


def test_unsuitable_boards_are_refused(
    builds: Builds,
) -> None:
    with pytest.raises(UserError, match=r"runs MicroPython 1\.22\.2.*1\.23"):
        deploy.parse_inventory(raw_inventory(version=[1, 22, 2]))
    foreign = deploy.parse_inventory(raw_inventory(main="import network\n"))
    with pytest.raises(UserError, match=r"another project's main\.py.*--force") as raised:
        deploy.check_target(foreign, "", None, force=False)
    assert raised.value.code == 2
    deploy.check_target(foreign, "", None, force=True)
    with pytest.raises(UserError, match="this board is an ESP32S3"):
        deploy.check_target(
            deploy.parse_inventory(raw_inventory(machine="Generic ESP32S3 module with ESP32S3")), "", None, force=False
        )
    deploy.check_target(deploy.parse_inventory(raw_inventory(machine="Generic ESP32 module with ESP32")), "", None, force=False)
    with pytest.raises(UserError, match="KB free"):
        deploy.make_plan(deploy.parse_inventory(raw_inventory(free=50_000)), {}, builds[0], None, None)


@pytest.mark.parametrize(
    ("identifier", "words"),
    [("00112233aabbccdd", "this board is 00112233aabbccdd; f{16} was named"), ("", "does not say in maintenance mode which")],
)
def test_board_that_is_not_known_to_be_the_named_one_is_refused(identifier: str, words: str) -> None:
    board = deploy.parse_inventory(raw_inventory(active="/lid-0 -"))
    with pytest.raises(UserError, match=words):
        deploy.check_target(board, identifier, "f" * 16, force=False)
    deploy.check_target(board, identifier, "f" * 16, force=True)
    deploy.check_target(board, "f" * 16, "f" * 16, force=False)
    deploy.check_target(deploy.parse_inventory(raw_inventory()), "", "f" * 16, force=False)  # a bare one is nobody yet


def test_deploy_is_idempotent(
    builds: Builds,
) -> None:
    with harness.bare_board() as board:
        plan = harness.deploy_build(board, builds[0], model=harness.fake_model())
        assert plan.renames == ("/active", "/boot.py", "/main.py")
        assert f"started old {plan.retained[1]}" in harness.restart(board)
        files = board.read_files()
        assert files["active"].split() == [name.encode() for name in plan.retained]
        assert not [name for name in files if name.endswith(deploy.STAGED)]
        again = harness.deploy_build(board, builds[0])
        assert (again.files, again.blocks, again.renames) == ({}, [], ())
        assert "started old" in harness.restart(board)


def test_update_sends_only_differences_and_keeps_other_files(
    builds: Builds,
) -> None:
    mine = {
        "journal/00000001": b"\x00record",
        "identity.json": b'{"board": "0011"}',
        "config.json": b"{}",
        "starts": b"1",
    }
    with harness.bare_board(files=mine) as board:
        first = harness.deploy_build(board, builds[0], model=harness.fake_model())
        second = harness.deploy_build(board, builds[1])
        assert second.renames == ("/active",)
        assert second.sent_bytes < first.sent_bytes / 5
        files = board.read_files()
        assert {name: files[name] for name in mine} == mine
        assert second.retained[1] == first.retained[1], "the word stays unless another is given"
        assert not [name for name in files if name.startswith(first.retained[0][1:])], "the old tree is gone"
        third = harness.deploy_build(board, builds[1], config=b"new settings")
        assert third.renames == ("/config.json",)
        assert board.read_files()["config.json"] == b"new settings"
        assert f"started new {first.retained[1]}" in harness.restart(board)


class Killed(Exception):
    """Stands for the death of the host."""


def check_and_complete(
    board: VirtualBoard,
    builds: Builds,
    old_runs: bool,
    console: str,
    where: str,
) -> None:
    """After a kill and a start, with this console text: a whole firmware runs or none, and the next deploy completes."""
    started = re.findall(r"started (\w+)", console)
    assert started in ([["old"], ["new"]] if old_runs else [[], ["new"]]), f"{where}: {console}"
    harness.deploy_build(board, builds[1], model=harness.fake_model())
    assert "started new" in harness.restart(board), where
    files = board.read_files()
    assert files["journal/00000001"] == b"kept", where
    assert not [name for name in files if name.endswith(deploy.STAGED)], where


@pytest.mark.parametrize("old_runs", [False, True], ids=["first", "update"])
def test_host_killed_at_any_block_leaves_a_whole_firmware(
    builds: Builds, old_runs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "BLOCK_BYTES", 45 if old_runs else 70)  # finer than the files, which are small
    with harness.bare_board(files={"journal/00000001": b"kept"}) as board:
        if old_runs:
            harness.deploy_build(board, builds[0])
        before = bytes(board.simulation.flash.data)
        blocks = 1
        at = 0
        while at < blocks:
            at += 1

            def report(done: int, total: int, at: int = at) -> None:
                nonlocal blocks
                blocks = total
                if done == at:
                    raise Killed

            with pytest.raises(Killed):
                harness.deploy_build(board, builds[1], report, model=harness.fake_model(300))
            check_and_complete(board, builds, old_runs, harness.restart(board), f"block {at} of {blocks}")
            board.power_cut()
            board.simulation.flash.load(before)
            harness.restart(board, board.power_on)
        assert blocks > len(builds[1].files) + len(builds[1].loaders) + 2


@pytest.mark.parametrize("old_runs", [False, True], ids=["first", "update"])
def test_power_cut_at_any_write_leaves_a_whole_firmware(builds: Builds, old_runs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    with harness.bare_board(files={"journal/00000001": b"kept"}) as board:
        if old_runs:
            harness.deploy_build(board, builds[0])
        before = bytes(board.simulation.flash.data)
        writes = board.simulation.flash.writes
        harness.deploy_build(board, builds[1], model=harness.fake_model(1600))
        total = board.simulation.flash.writes - writes
        rng = random.Random(SEED)
        # The switch is at the end: look there more closely.
        cuts = sorted({1, total, *rng.sample(range(2, total - 40), 2), *rng.sample(range(total - 40, total), 3)})
        power = board.simulation.power

        def switch(on: bool) -> None:
            power(on)
            if not on:
                board.unplug()  # the port's chip lives on the same supply

        monkeypatch.setattr(board.simulation, "power", switch)
        for cut in cuts:
            board.power_cut()
            board.simulation.flash.load(before)
            board.replug()
            harness.restart(board, board.power_on)
            board.power_cut_at_write(cut)
            where = f"write {cut} of {total} (seed {SEED})"
            with pytest.raises(UserError):
                harness.deploy_build(board, builds[1], model=harness.fake_model(1600))
            assert not board.simulation.circuit.powered, where
            board.power_cut_at_write(None)
            board.replug()
            check_and_complete(board, builds, old_runs, harness.restart(board, board.power_on), where)


def test_file_that_reads_back_wrong_is_not_switched_to(builds: Builds, monkeypatch: pytest.MonkeyPatch) -> None:
    with harness.bare_board() as board:
        harness.deploy_build(board, builds[0])
        real = repl.Repl.hashes
        monkeypatch.setattr(repl.Repl, "hashes", lambda self, paths: real(self, paths) | {next(iter(paths)): "0" * 64})
        with pytest.raises(UserError, match=r"read back wrong .*old firmware stays"):
            harness.deploy_build(board, builds[1])
        assert "started old" in harness.restart(board)


def test_build_directory_follows_the_content_and_holds_no_path(builds: Builds, tmp_path: Path) -> None:
    again = harness.small_build(tmp_path / "elsewhere", "old")
    assert again.directory == builds[0].directory != builds[1].directory
    assert all(str(tmp_path).encode() not in data for data in again.files.values())


def test_module_that_does_not_compile_is_reported(tmp_path: Path) -> None:
    harness.small_build(tmp_path, "x")
    (tmp_path / "lid" / "start.py").write_text("def run(:\n")
    with pytest.raises(UserError, match=r"the firmware does not compile for xtensawin: lid\.start:1: "):
        firmware_build.build(tmp_path, "xtensawin")
