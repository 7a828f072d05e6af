# SPDX-License-Identifier: MIT
"""Writes files atomically and reads JSON files; what goes wrong is a sentence that says what to do next."""

from __future__ import annotations

import errno
import io
import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Literal

from earlid.errors import FAILED, USAGE, UserError

_NEXT_STEP = "Name a file in a folder that exists, can be written to, and has room."
JSON_MAX_BYTES = 16 << 20
_KINDS = {stat.S_IFCHR: "device", stat.S_IFBLK: "device", stat.S_IFSOCK: "socket"}


STDOUT = "-"
_DATABASE_MAGIC = b"SQLite format 3\0"


@contextmanager
def open_atomically(
    path: Path,
    mode: Literal["w", "wb"] = "w",
    *,
    private: bool = False,
    sync: bool = False,
    make_folder: bool = False,
    over_database: bool = False,
    next_step: str = _NEXT_STEP,
) -> Iterator[IO[Any]]:
    """A file to write that stands under its name only once the block has ended without an error.

    Until then it is a hidden file of a random name in the same folder, which an error removes: who reads `path` sees all of
    the old content or all of the new, and of two writers one wins whole. `-` is standard output. A pipe is written as it is;
    what else is no regular file (a link, a device, a folder) and a database are refused: nothing of theirs is lost.

    Args:
        mode: `w` for text as UTF-8 with the ends of lines as they are written, `wb` for bytes.
        private: for its owner alone: mode 0600, also where a more open file stood. Else as the process's umask says. What root
            writes into somebody's folder is theirs: the keys of a service that runs as a user of its own.
        sync: durable on return: a power cut afterwards loses nothing. Without it only a crash of this program is survived.
        make_folder: make the folder where there is none (for its owner alone if `private`).
        over_database: a database that nobody has open may be replaced.
        next_step: a sentence for people, put behind what went wrong.

    Raises:
        UserError: code 1 when the file cannot be written, also by what the block writes; code 2 when the path is refused.
    """
    if str(path) == STDOUT:
        with _standard_output(mode) as file:
            yield file
        return
    encoding, newline = ("utf-8", "") if mode == "w" else (None, None)
    try:
        if check_output(path, over_database, next_step):
            with path.open(mode, encoding=encoding, newline=newline) as file:
                yield file
            return
        if make_folder:
            _make_folder(path.parent, 0o700 if private else 0o777)
        fresh = path.with_name(f".earlid-{os.urandom(6).hex()}.new")
        try:
            number = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666)
            with os.fdopen(number, mode, encoding=encoding, newline=newline) as file:
                if private:
                    _hand_over(fresh)
                yield file
                if sync:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)
        if sync:
            _sync_folder(path.parent)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}. {next_step}", FAILED) from error


def _make_folder(folder: Path, mode: int) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent, 0o777)
        folder.mkdir(mode, exist_ok=True)
        _hand_over(folder)


def _hand_over(path: Path) -> None:
    if os.name == "posix" and os.geteuid() == 0 and (owner := path.parent.stat()).st_uid:
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


@contextmanager
def _standard_output(mode: str) -> Iterator[IO[Any]]:
    """Standard output as `open_atomically` has files; what goes wrong is the caller's, who writes there all the time."""
    sys.stdout.flush()
    raw: IO[bytes] | None = getattr(sys.stdout, "buffer", None)
    if raw is None:  # no file, but what keeps text
        yield sys.stdout
    elif mode == "w":
        text = io.TextIOWrapper(raw, encoding="utf-8", newline="")
        try:
            yield text
        finally:
            text.detach()
    elif sys.stdout.isatty():
        raise UserError("a terminal shows no such file: name one, or send the output on with `| program` or `> FILE`.", USAGE)
    else:
        yield raw
        raw.flush()


def check_output(path: Path, over_database: bool = False, next_step: str = _NEXT_STEP) -> bool:
    """Look whether `open_atomically` would take a path; True for a pipe, which is written as it is, False for a file.

    Raises:
        UserError: code 2 for what must not be written to or replaced.
    """
    if "\0" in str(path):
        raise UserError(f"{str(path)!r} cannot be a file's name. {next_step}", USAGE)
    try:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            with suppress(FileNotFoundError):
                if stat.S_ISFIFO(path.stat().st_mode):  # /dev/stdout in a pipeline, and what `>(program)` of a shell is
                    return True
            raise UserError(f"{path} is a link to {os.path.realpath(path)}: name that, or - for standard output.", USAGE)
    except FileNotFoundError:
        return False
    if stat.S_ISFIFO(mode) or str(path) == os.devnull:
        return True
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise UserError(f"cannot write {path}: it is a {_KINDS[stat.S_IFMT(mode)]}. {next_step}", USAGE)
    with suppress(OSError), path.open("rb") as file:
        found = file.read(len(_DATABASE_MAGIC)) == _DATABASE_MAGIC
        if found and not (over_database and not path.with_name(path.name + "-wal").exists()):
            raise UserError(f"{path} is a database, perhaps a ledger in use: it is not replaced. {next_step}", USAGE)
    return False


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


def read_bytes(path: Path, most_bytes: int) -> bytes:
    """All of a file that somebody named, whatever it is.

    Raises:
        UserError: code 2 when it cannot be read, or is larger than `most_bytes`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot read {path}: {reason}. Name a file that is there.", USAGE) from error
    if len(data) > most_bytes:
        raise UserError(f"{path} is larger than {most_bytes:,} bytes: it cannot be the file that is meant. Name another.", USAGE)
    return data


def read_json(path: Path) -> Any:
    """The value that a JSON file (UTF-8, with or without a byte order mark) holds.

    Raises:
        UserError: code 2 when it cannot be read or is no JSON.
    """
    data = read_bytes(path, JSON_MAX_BYTES)
    try:
        return json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON ({error}). Mend it, or name another file.", USAGE) from error
