# SPDX-License-Identifier: MIT
"""Deploy: writes a compiled firmware beside the one in force, checks it by hash, and switches over with one atomic rename.

What belongs on the board, `content.deployed` says; what differs is written. The journal and the identity are never touched,
the configuration only when one is given. Interrupted before the rename, the board starts what it had; after it, the new. On a
board that had nothing, main.py comes last: until then it stays at its prompt, with the lid closed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lid import config as settings

from earlid import firmware
from earlid.door import plain
from earlid.errors import USAGE, UserError
from earlid.flash import content, transfer
from earlid.flash.content import ACTIVE, CONFIG, NO_MODEL
from earlid.flash.firmware_build import ESP32_ARCH, LOADERS, RECIPE_SUFFIX, FirmwareBuild, arch_of
from earlid.flash.repl import NONSENSE, Repl

STAGED = ".deploy"  # the suffix of files that wait for their rename; the firmware's own temporary files are called .new
LOADER_MARK = "earlid"  # stands in the first line of our loaders
MICROPYTHON_MIN = (1, 23, 0)
FREE_MARGIN_BYTES = 65536  # the journal needs room too


@dataclass(frozen=True)
class Inventory:
    """What a board is and has, as its REPL reports it."""

    arch: str
    version: tuple[int, ...]
    machine: str
    free_bytes: int
    active: str
    model: str
    foreign_main: bool
    files: tuple[str, ...]
    root_entries: tuple[str, ...]

    @property
    def recipe(self) -> str:
        """The recipe of the build in force; the reference board's when it names none."""
        for path in self.files:
            if path.endswith(RECIPE_SUFFIX) and path.startswith(f"{self.active}/"):
                return path.rpartition("/")[2].removesuffix(RECIPE_SUFFIX)
        return firmware.RECIPES[0]


@dataclass(frozen=True)
class DeployPlan:
    """The steps of a deploy.

    Attributes:
        files: everything to write, by path, loaders and `/active` under their staged names.
        blocks: `files` packed and masked for the wire.
        retained: the build and the word's blob that stay; others are deleted.
    """

    files: dict[str, bytes]
    blocks: list[bytes]
    retained: tuple[str, ...]

    @property
    def renames(self) -> tuple[str, ...]:
        """Files to rename into place, in this order: `/active`, the configuration, the loaders."""
        names = (ACTIVE, CONFIG, *(f"/{name}" for name in LOADERS))
        return tuple(path for path in names if path + STAGED in self.files)

    @property
    def sent_bytes(self) -> int:
        """Bytes of the transfer, without the script that receives it."""
        return sum(len(block) for block in self.blocks)

    @property
    def needed_bytes(self) -> int:
        """Flash that the files take on the board, in whole sectors."""
        return sum(-len(data) // 4096 * -4096 for data in self.files.values())


def parse_inventory(raw: Mapping[str, Any]) -> Inventory:
    """Parse what `Repl.inventory` returned.

    Raises:
        UserError: code 1 when its MicroPython is too old or takes no native code, or when this is no inventory.
    """
    try:
        return _inventory(raw)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise UserError(NONSENSE) from error


def _inventory(raw: Mapping[str, Any]) -> Inventory:
    version = tuple(int(number) for number in raw["version"])
    if version < MICROPYTHON_MIN:
        raise UserError(
            f"the board runs MicroPython {'.'.join(map(str, version))}, Earlid needs 1.23 or newer: "
            "run `earlid flash --image` to write it anew; files on the board stay."
        )
    fields = (raw["active"] or "").split()
    main = raw["main"]
    return Inventory(
        arch=arch_of(int(raw["mpy"])), version=version, machine=plain(raw["machine"]), free_bytes=int(raw["free"]),
        active=fields[0] if len(fields) == 2 else "", model=fields[1] if len(fields) == 2 else NO_MODEL,
        foreign_main=main is not None and LOADER_MARK not in main.lower(),
        files=_texts(raw["files"]), root_entries=_texts(raw["tops"]),
    )  # fmt: skip


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError("a list of names was expected")
    return tuple(values)


def release_note(arch: str, release: tuple[int, ...]) -> str:
    """A sentence for an ESP32 whose MicroPython is not the release that the memory plan was measured on; else nothing."""
    if arch != ESP32_ARCH or release == firmware.MICROPYTHON:
        return ""
    here, measured = (".".join(map(str, version)) for version in (release, firmware.MICROPYTHON))
    return (
        f"Its MicroPython is {here}; memory was measured on {measured} only. If it does not start with its word, "
        "run `earlid flash --micropython`. "
    )


def cutoff_note(printed: str) -> str:
    """What is to be told of a board that gets another word and keeps its settings. printed: its `cutoff_q8`."""
    cutoff = int(printed) if re.fullmatch("[0-9]{1,3}", printed.strip()) else 0
    if not 0 < cutoff <= settings.SCHEMA["cutoff_q8"][2]:
        return ""
    return (
        f"It keeps a cutoff of its own, {cutoff} of 255, from the word it had before: `earlid calibrate` finds a new one, "
        "`earlid settings cutoff_q8=0` takes the word's. "
    )


def check_target(board: Inventory, identifier: str, expected: str | None, force: bool) -> None:
    """Refuse a board that is not the one meant, before anything on it is changed.

    Args:
        board: its inventory.
        identifier: what the board called itself; empty when it said nothing: nothing of it is read at its prompt.
        expected: the identifier the user named, or None.
        force: go on all the same.

    Raises:
        UserError: code 2, saying how to go on.
    """
    if force:
        return
    if expected and board.active and identifier != expected:
        found = f"is {identifier}" if identifier else "does not say in maintenance mode which it is"
        raise UserError(
            f"this board {found}; {expected} was named. Nothing was changed. Plug in the other one, "
            "press its reset button and run `earlid flash` again, or say --force.", USAGE,
        )  # fmt: skip
    chip = (board.machine.split() or [""])[-1]
    if chip.startswith("ESP32") and chip != "ESP32":
        raise UserError(
            f"this board is an {chip}. Earlid's circuit is for the plain ESP32: its pins are elsewhere. Nothing was changed. "
            "Say --force if you have changed them.", USAGE,
        )  # fmt: skip
    if board.foreign_main:
        raise UserError(
            "this board carries another project's main.py. Nothing was changed. "
            "Say --force to replace it (the project's other files stay).", USAGE,
        )  # fmt: skip


def make_plan(
    board: Inventory, hashes: Mapping[str, str], build: FirmwareBuild, model: bytes | None, config: bytes | None
) -> DeployPlan:
    """Decide what to write. Pure.

    Args:
        board: its inventory.
        hashes: SHA-256 by path of the builds' and models' files on the board, and of `/boot.py` and `/main.py`.
        build: the firmware to put in force.
        model: the word's blob, or None to keep the one in force.
        config: contents of `/config.json`, or None to keep what is there.

    Raises:
        UserError: code 1 when the board has no room.
    """
    wanted = content.deployed(build, model, config, board.model)
    _, model_path = wanted[ACTIVE].decode().split()
    if (board.active, board.model) == (build.directory, model_path):
        del wanted[ACTIVE]
    staged = (ACTIVE, CONFIG, *(f"/{name}" for name in LOADERS))
    files = {path + STAGED * (path in staged): data for path, data in wanted.items() if hashes.get(path) != transfer.sha256(data)}
    reusable = {digest: path for path, digest in hashes.items() if digest != "-" and path.startswith(("/lid-", "/model-"))}
    blocks = transfer.blocks(transfer.pack(files, reusable)) if files else []
    plan = DeployPlan(files, blocks, (build.directory, model_path))
    if plan.needed_bytes + FREE_MARGIN_BYTES > board.free_bytes:
        needed_kb = (plan.needed_bytes + FREE_MARGIN_BYTES) // 1024
        raise UserError(
            f"the board has {board.free_bytes // 1024} KB free, Earlid needs {needed_kb} KB. "
            "Delete files of another project from it, or start over with `earlid flash --erase`."
        )
    return plan


def hash_files(repl: Repl, board: Inventory) -> dict[str, str]:
    """The hashes that `make_plan` needs."""
    loaders = [f"/{name}" for name in LOADERS if name in board.root_entries]
    return repl.hashes([*board.files, *loaders])


def execute(repl: Repl, plan: DeployPlan, report: Callable[[int, int], None]) -> None:
    """Write the files, read back and compare their hashes, then switch over.

    Args:
        report: called with (blocks sent, blocks in all).

    Raises:
        UserError: code 1 when a file reads back wrong (nothing was switched then), code 3 when the board is gone.
    """
    if plan.files:
        repl.send_blocks(plan.blocks, lambda done: report(done, len(plan.blocks)))
        written = repl.hashes(plan.files)
        wrong = sorted(path for path, data in plan.files.items() if written.get(path) != transfer.sha256(data))
        if wrong:
            raise UserError(
                f"{len(wrong)} of {len(plan.files)} files read back wrong ({wrong[0]}): "
                "the old firmware stays in force. Run `earlid flash` again; if it happens again, the flash is worn out."
            )
    repl.run(f"RENAMES={plan.renames!r}\nRETAINED={plan.retained!r}\n{transfer.SWITCH_OVER}")
