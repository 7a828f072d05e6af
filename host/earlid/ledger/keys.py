# SPDX-License-Identifier: MIT
"""Files of the boards' secret keys, fetched at pairing: one for each board, readable by its owner alone.

A line for each key that the board began to seal with anew: 64 hex digits, the epoch whose key it is, and the number of the
first record that it sealed. Later epochs' keys follow from it (`lid.record.next_key`), earlier ones do not.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from lid import record

from earlid.door import is_identifier, is_stranger, plain
from earlid.errors import USAGE, UserError
from earlid.files import write_atomically
from earlid.ledger.location import DATA_DIR_STEP, data_dir

EPOCHS_MAX = 1 << 16  # more segments than a flash lives to fill; what a board says is foreign, and each costs a hash


class PairedKey(NamedTuple):
    """A board's key (32 bytes) of an epoch, whose first record is `seq`."""

    key: bytes
    epoch: int = 0
    seq: int = 1

    def at(self, epoch: int) -> bytes | None:
        """The key of a later epoch, or this one; None for one that cannot be known."""
        if not 0 <= epoch - self.epoch <= EPOCHS_MAX:
            return None
        key = self.key
        for _ in range(epoch - self.epoch):
            key = record.next_key(key)
        return key


def key_path(board: str) -> Path:
    """Where the keys of a board are kept."""
    if not is_identifier(board):
        raise UserError(f"{plain(board)!r} is no board's identifier.", USAGE)
    return data_dir() / "keys" / f"{board}.key"


def save_key(board: str, key: bytes, epoch: int = 0, seq: int = 1) -> Path:
    """Keep a board's key, readable by its owner only; returns the file.

    One that follows from a key kept already adds nothing: the older one judges more records.

    Args:
        key: 32 bytes.
        epoch: whose key it is; 0 for a board of firmware 0.1.
        seq: the first record that it sealed.
    """
    known = read_keys(board)
    path = key_path(board)
    if not any(held.seq <= seq and held.at(epoch) == key for held in known):
        kept = [held for held in known if PairedKey(key, epoch, seq).at(held.epoch) != held.key]
        lines = (f"{held.key.hex()} {held.epoch} {held.seq}\n" for held in (*kept, PairedKey(key, epoch, seq)))
        write_atomically(path, "".join(lines), private=True, sync=True, make_folder=True, next_step=DATA_DIR_STEP)
    return path


def read_keys(board: str) -> tuple[PairedKey, ...]:
    """A board's keys, as they were fetched; none when it was never paired with this computer.

    Raises:
        UserError: code 2 when the file holds something else.
    """
    path = key_path(board)
    try:
        return tuple(map(_parse, path.read_text(encoding="ascii").splitlines() or [""]))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise UserError(f"{path} holds no key ({error}): remove it and run `earlid pair` again.", USAGE) from error


def keys_or_fault(board: str) -> tuple[tuple[PairedKey, ...], str]:
    """As `read_keys`, and why not: a file that cannot be read is a sentence, and costs no other board anything.

    A stranger has no keys: nobody paired with it.
    """
    try:
        return (() if is_stranger(board) else read_keys(board)), ""
    except UserError as error:
        return (), str(error)


def key_at(board: str, epoch: int) -> bytes | None:
    """The key (32 bytes) with which a board seals records and checks requests in an epoch, as its `hi` has it.

    None when the board is not paired with this computer, its file is unreadable, or the epoch is earlier than the pairing's.
    """
    try:
        known = read_keys(board)
    except UserError:  # `earlid verify` says what is wrong with it
        return None
    return known[-1].at(epoch) if known else None


def _parse(line: str) -> PairedKey:
    text, *numbers = line.split() or [""]
    epoch, seq = map(int, numbers) if numbers else (0, 1)  # firmware 0.1 has one key for all records
    key = bytes.fromhex(text)
    if len(key) != record.KEY_BYTES or min(epoch, seq) < 0:
        raise ValueError(f"no line of a key of {record.KEY_BYTES} bytes")
    return PairedKey(key, epoch, seq)
