# SPDX-License-Identifier: MIT
"""Files of the boards' secret keys, fetched once at pairing: one each, readable by its owner alone.

A file holds one line: the key in hex, its epoch, and the number of the first record that it seals (0 and 1 where the
two are missing, as in files of Earlid 0.1). Later keys follow from it by `lid.record.next_key`; earlier ones do not.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from lid import record

from earlid.errors import USAGE, UserError
from earlid.files import write_atomically
from earlid.ledger.location import DATA_DIR_STEP, data_dir

EPOCHS_MAX = 1_000_000  # keys followed forward at most: more segments than a board's flash lasts for


class PairedKey(NamedTuple):
    """What a board gave out at pairing: the key of `epoch` (32 bytes), and the number of the first record it seals."""

    key: bytes
    epoch: int = 0
    seq: int = 1


def key_path(board: str) -> Path:
    """Where the key of a board is kept."""
    if not board.isalnum():  # it becomes a file name
        raise UserError(f"{board!r} is no board's identifier.", USAGE)
    return data_dir() / "keys" / f"{board}.key"


def save_key(board: str, key: bytes, epoch: int = 0, seq: int = 1) -> Path:
    """Keep what a board gave out at pairing (`PairedKey`), readable by its owner only; returns the file."""
    path = key_path(board)
    text = f"{key.hex()} {epoch} {seq}\n"
    write_atomically(path, text, private=True, sync=True, make_folder=True, next_step=DATA_DIR_STEP)
    return path


def read_pairing(board: str) -> PairedKey | None:
    """What a board gave out at pairing; None when it was never paired with this computer.

    Raises:
        UserError: code 2 when the file holds no key.
    """
    path = key_path(board)
    try:
        digits, *numbers = path.read_text().split() or [""]
        paired = PairedKey(bytes.fromhex(digits), *map(int, numbers))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path} holds no key ({error}): remove it and run `earlid pair` again.", USAGE) from error
    if len(paired.key) != record.KEY_BYTES or min(paired[1:]) < 0:
        raise UserError(f"{path} holds no key of {record.KEY_BYTES} bytes: remove it and run `earlid pair` again.", USAGE)
    return paired


def read_key(board: str) -> bytes | None:
    """The key of `read_pairing` alone."""
    paired = read_pairing(board)
    return paired.key if paired else None


def key_at(board: str, epoch: int) -> bytes | None:
    """The key that a board seals and checks requests with in an epoch.

    Args:
        board: its identifier.
        epoch: as its `hi` has it.

    Returns:
        32 bytes; None when the board is not paired with this computer, its file is unreadable, or the epoch is an
        earlier one than that of the pairing.
    """
    try:
        paired = read_pairing(board)
    except UserError:  # `earlid verify` says what is wrong with it
        return None
    if paired is None or not 0 <= epoch - paired.epoch <= EPOCHS_MAX:
        return None
    key = paired.key
    for _ in range(epoch - paired.epoch):
        key = bytes(record.next_key(key))
    return key
