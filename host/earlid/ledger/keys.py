# SPDX-License-Identifier: MIT
"""Files of the boards' secret keys, fetched once at pairing: one each, readable by its owner alone."""

from __future__ import annotations

from pathlib import Path

from lid import record

from earlid.errors import USAGE, UserError
from earlid.files import write_atomically
from earlid.ledger.location import DATA_DIR_STEP, data_dir


def key_path(board: str) -> Path:
    """Where the key of a board is kept."""
    if not board.isalnum():  # it becomes a file name
        raise UserError(f"{board!r} is no board's identifier.", USAGE)
    return data_dir() / "keys" / f"{board}.key"


def save_key(board: str, key: bytes) -> Path:
    """Keep a board's key (32 bytes), readable by its owner only; returns the file."""
    path = key_path(board)
    write_atomically(path, key.hex() + "\n", private=True, sync=True, make_folder=True, next_step=DATA_DIR_STEP)
    return path


def read_key(board: str) -> bytes | None:
    """A board's key; None when it was never paired with this computer.

    Raises:
        UserError: code 2 when the file holds no key.
    """
    path = key_path(board)
    try:
        key = bytes.fromhex(path.read_text().strip())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} holds no key ({error}): remove it and pair again with `earlid watch --pair`.", USAGE) from error
    if len(key) != record.KEY_BYTES:
        raise UserError(f"{path} holds no key of {record.KEY_BYTES} bytes: remove it and pair again.", USAGE)
    return key
