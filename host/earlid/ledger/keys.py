# SPDX-License-Identifier: MIT
"""The boards' keys, fetched once at pairing: one file each, for its owner alone."""

from __future__ import annotations

import os
from pathlib import Path

from lid import record

from earlid.errors import USAGE, UserError
from earlid.ledger.location import data_dir


def key_path(board: str) -> Path:
    """Where the key of a board is kept."""
    if not board.isalnum():  # it becomes a file name
        raise UserError(f"{board!r} is no board's identifier.", USAGE)
    return data_dir() / "keys" / f"{board}.key"


def save_key(board: str, key: bytes) -> Path:
    """Keep a board's key (32 bytes), readable by its owner only; returns the file."""
    path = key_path(board)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(key.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)
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
