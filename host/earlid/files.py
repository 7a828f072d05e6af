# SPDX-License-Identifier: MIT
"""Writes files atomically and reads JSON files; what goes wrong is a sentence that says what to do next."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Literal

from earlid.errors import FAILED, USAGE, UserError

_NEXT_STEP = "Name a file in a folder that exists, can be written to, and has room."


@contextmanager
def open_atomically(
    path: Path,
    mode: Literal["w", "wb"] = "w",
    *,
    private: bool = False,
    sync: bool = False,
    make_folder: bool = False,
    next_step: str = _NEXT_STEP,
) -> Iterator[IO[Any]]:
    """A file to write that stands under its name only once the block has ended without an error.

    Until then it is a hidden file of a random name in the same folder, which an error removes: who reads `path` sees all of
    the old content or all of the new, and of two writers one wins whole. A symbolic link stays, its target is replaced. What
    is no regular file, such as a pipe or /dev/stdout, cannot be replaced and is written as it is.

    Args:
        mode: `w` for text as UTF-8 with the ends of lines as they are written, `wb` for bytes.
        private: for its owner alone: mode 0600, also where a more open file stood. Else as the process's umask says.
        sync: durable on return: a power cut afterwards loses nothing. Without it only a crash of this program is survived.
        make_folder: make the folder where there is none (for its owner alone if `private`).
        next_step: a sentence for people, put behind what went wrong.

    Raises:
        UserError: code 1 when the file cannot be written, also by what the block writes.
    """
    encoding, newline = ("utf-8", "") if mode == "w" else (None, None)
    try:
        if path.exists() and not path.is_file():
            with path.open(mode, encoding=encoding, newline=newline) as file:
                yield file
            return
        target = Path(os.path.realpath(path))
        if make_folder:
            target.parent.mkdir(0o700 if private else 0o777, parents=True, exist_ok=True)
        fresh = target.with_name(f".earlid-{os.urandom(6).hex()}.new")
        try:
            number = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666)
            with os.fdopen(number, mode, encoding=encoding, newline=newline) as file:
                yield file
                if sync:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(fresh, target)
        finally:
            fresh.unlink(missing_ok=True)
        if sync:
            _sync_folder(target.parent)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}. {next_step}", FAILED) from error


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # Windows opens no folders, and some file systems sync none
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def write_atomically(
    path: Path,
    data: str | bytes,
    *,
    private: bool = False,
    sync: bool = False,
    make_folder: bool = False,
    next_step: str = _NEXT_STEP,
) -> None:
    """Write text (as UTF-8) or bytes, whole or not at all; arguments and errors as of `open_atomically`."""
    mode: Literal["w", "wb"] = "w" if isinstance(data, str) else "wb"
    with open_atomically(path, mode, private=private, sync=sync, make_folder=make_folder, next_step=next_step) as file:
        file.write(data)


def read_json(path: Path) -> Any:
    """The value that a JSON file (UTF-8) holds.

    Raises:
        UserError: code 2 when it cannot be read or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}. Name a file that is there.", USAGE) from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON ({error}). Mend it, or name another file.", USAGE) from error
