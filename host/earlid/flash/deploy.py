# SPDX-License-Identifier: MIT
"""Puts a compiled firmware on a board: beside what is there, checked by hash, then in force by one rename.

Layout on the board:

    /boot.py /main.py     loaders, replaced only when they differ
    /active               one line: the tree in force and the word's blob, or `-`
    /lid-<12 hex>/        a tree; its name says its content
    /model-<12 hex>.bin   a word's blob

The journal and the identity are never touched, the configuration only when one is given. Killed before the rename,
the board starts what it had; after it, the new. On a board that had nothing, main.py comes last: until then it stays
at its prompt, with the lid closed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from earlid.errors import USAGE, UserError
from earlid.flash import transfer
from earlid.flash.firmware_build import LOADERS, Tree, arch_of
from earlid.flash.repl import Repl

ACTIVE = "/active"
CONFIG = "/config.json"
NEW = ".deploy"  # the firmware has its own temporary files, called .new
NO_MODEL = "-"
OURS = "earlid"  # the loaders say so in their first line
OLDEST = (1, 23, 0)
FREE_MARGIN_BYTES = 65536  # the journal needs room too


@dataclass(frozen=True)
class Board:
    """What a REPL tells about a board."""

    arch: str
    version: tuple[int, ...]
    machine: str
    free_bytes: int
    active: str
    model: str
    identity: str
    foreign_main: bool
    files: tuple[str, ...]
    tops: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What a deploy will do.

    Attributes:
        files: everything to write, by path, loaders and `/active` under their temporary names.
        blocks: `files` packed and masked for the wire.
        keep: directories and files in the root that stay.
    """

    files: dict[str, bytes]
    blocks: list[bytes]
    keep: tuple[str, ...]

    @property
    def swaps(self) -> tuple[str, ...]:
        """What is renamed into place, in this order: what is in force, then the configuration, then the loaders."""
        names = (ACTIVE, CONFIG, *(f"/{name}" for name in LOADERS))
        return tuple(path for path in names if path + NEW in self.files)

    @property
    def sent_bytes(self) -> int:
        """Bytes of the transfer, without the board's script."""
        return sum(len(block) for block in self.blocks)

    @property
    def needed_bytes(self) -> int:
        """Room it takes on the board, in whole flash sectors."""
        return sum(-len(data) // 4096 * -4096 for data in self.files.values())


def read_board(seen: Mapping[str, Any]) -> Board:
    """A `Repl.look` in our words.

    Raises:
        UserError: code 1 when its MicroPython is too old or takes no native code.
    """
    version = tuple(int(number) for number in seen["version"])
    if version < OLDEST:
        raise UserError(
            f"the board runs MicroPython {'.'.join(map(str, version))}, Earlid needs 1.23 or newer: "
            "run `earlid flash --image` to write it anew; files on the board stay."
        )
    words = (seen["active"] or "").split()
    main = seen["main"]
    return Board(
        arch=arch_of(int(seen["mpy"])), version=version, machine=str(seen["machine"]), free_bytes=int(seen["free"]),
        active=words[0] if len(words) == 2 else "", model=words[1] if len(words) == 2 else NO_MODEL,
        identity=_identity(seen["identity"]), foreign_main=main is not None and OURS not in main.lower(),
        files=tuple(seen["files"]), tops=tuple(seen["tops"]),
    )  # fmt: skip


def _identity(text: str | None) -> str:
    try:
        return str(json.loads(text)["board"]) if text else ""
    except (ValueError, KeyError, TypeError):
        return ""


def refuse(board: Board, expected: str | None, force: bool) -> None:
    """Stop before a board is changed that is not the one meant.

    Args:
        board: what is there.
        expected: the identifier the user named, or None.
        force: go on all the same.

    Raises:
        UserError: code 2, saying how to go on.
    """
    if force:
        return
    if expected and board.identity and board.identity != expected:
        raise UserError(
            f"this board is {board.identity}, not {expected}. Nothing was changed. Plug in the other one, "
            "or say --force.", USAGE,
        )  # fmt: skip
    chip = board.machine.split()[-1] if board.machine else ""
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


def plan(board: Board, there: Mapping[str, str], tree: Tree, model: bytes | None, config: bytes | None) -> Plan:
    """Decide what to write. Pure.

    Args:
        board: what a REPL told.
        there: SHA-256 by path of the trees' and models' files on the board, and of `/boot.py` and `/main.py`.
        tree: what shall be in force.
        model: the word's blob, or None to keep the one in force.
        config: contents of `/config.json`, or None to keep what is there.

    Raises:
        UserError: code 1 when the board has no room.
    """
    wanted = {f"{tree.directory}/{path}": data for path, data in tree.files.items()}
    model_path = board.model
    if model is not None:
        model_path = f"/model-{transfer.sha256(model)[:12]}.bin"
        wanted[model_path] = model
    files = {path: data for path, data in wanted.items() if there.get(path) != transfer.sha256(data)}
    for name, data in tree.loaders.items():
        if there.get("/" + name) != transfer.sha256(data):
            files[f"/{name}{NEW}"] = data
    if (board.active, board.model) != (tree.directory, model_path):
        files[ACTIVE + NEW] = f"{tree.directory} {model_path}\n".encode()
    if config is not None:
        files[CONFIG + NEW] = config
    kept = {digest: path for path, digest in there.items() if digest != "-" and path.startswith(("/lid-", "/model-"))}
    blocks = transfer.blocks(transfer.pack(files, kept)) if files else []
    made = Plan(files, blocks, (tree.directory, model_path))
    if made.needed_bytes + FREE_MARGIN_BYTES > board.free_bytes:
        needed_kb = (made.needed_bytes + FREE_MARGIN_BYTES) // 1024
        raise UserError(
            f"the board has {board.free_bytes // 1024} KB free, Earlid needs {needed_kb} KB. "
            "Delete files of another project from it, or start over with `earlid flash --erase`."
        )
    return made


def survey(repl: Repl, board: Board) -> dict[str, str]:
    """The hashes that `plan` wants."""
    loaders = [f"/{name}" for name in LOADERS if name in board.tops]
    return repl.hashes([*board.files, *loaders])


def carry_out(repl: Repl, made: Plan, report: Callable[[int, int], None]) -> None:
    """Write, read back, compare, switch.

    Args:
        report: told blocks sent and blocks in all.

    Raises:
        UserError: code 1 when a file reads back wrong (nothing was switched then), code 3 when the board is gone.
    """
    if made.files:
        repl.send(made.blocks, lambda done: report(done, len(made.blocks)))
        found = repl.hashes(made.files)
        wrong = sorted(path for path, data in made.files.items() if found.get(path) != transfer.sha256(data))
        if wrong:
            raise UserError(
                f"{len(wrong)} of {len(made.files)} files read back wrong ({wrong[0]}): "
                "the old firmware stays in force. Run `earlid flash` again; if it happens again, the flash is worn out."
            )
    repl.run(f"SWAPS={made.swaps!r}\nKEEP={made.keep!r}\n{transfer.SWITCH}")
