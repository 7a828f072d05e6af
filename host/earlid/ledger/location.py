# SPDX-License-Identifier: MIT
"""The ledger's location: a file on this computer, or a database server."""

import os
from pathlib import Path
from typing import NamedTuple

from earlid import folders
from earlid.config_file import find
from earlid.config_keys import DATA_DIR, LEDGER
from earlid.errors import USAGE, UserError

DATA_DIR_STEP = "Set EARLID_DATA_DIR to a folder that can be written."


class Location(NamedTuple):
    """A ledger's place: `path` for a SQLite file, else None and `url` for SQLAlchemy."""

    path: Path | None
    url: str

    def __str__(self) -> str:
        return str(self.path) if self.path else self.url.split("@")[-1]  # no password in messages


def data_dir() -> Path:
    """The folder of the default ledger and the pairing keys: as configured, else where the platform keeps data.

    Raises:
        UserError: code 2 when no home folder is known, or the configuration is wrong.
    """
    if chosen := find(DATA_DIR):
        return _full_path(str(chosen.value), chosen.source)
    try:
        path = folders.data()
    except RuntimeError:
        path = Path("~")  # as older versions have it
    if not path.is_absolute() or (os.environ.get("HOME") == "" and not os.environ.get("XDG_DATA_HOME")):
        raise UserError(
            "no home folder is known here (HOME): set EARLID_DATA_DIR to the full path of a folder for ledger and keys.", USAGE
        )
    return path


def locate(text: str | None) -> Location:
    """The ledger that the user means: `text`, the configured one, or the default file.

    Args:
        text: a file name, or a URL as `postgresql+psycopg://user@host/name`.

    Raises:
        UserError: code 2 for a kind of database that is not supported, or a path that leads nowhere certain.
    """
    found = find(LEDGER, text)
    if not found:
        return Location(data_dir() / "ledger.sqlite", "")
    text, what = found
    if text.startswith("sqlite:///"):
        text = text.removeprefix("sqlite:///")
    if "://" not in text:
        return Location(_full_path(text, what), "")
    if not text.startswith(("postgresql://", "postgresql+psycopg://")):
        raise UserError(f"no ledger can be at {text.split('@')[-1]}: name a file or a postgresql+psycopg:// URL.", USAGE)
    return Location(None, text.replace("postgresql://", "postgresql+psycopg://", 1))


def _full_path(text: str, what: str) -> Path:
    """A path that somebody named, from `~` on; a relative one only where somebody chose the folder that it starts from."""
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise UserError(f"{what} {text}: no home folder is known for that. Name the full path.", USAGE) from None
    if not path.is_absolute() and _has_no_folder():
        raise UserError(f"{what} {text} is relative, and a service has no folder of its own: name the full path.", USAGE)
    return path


def _has_no_folder() -> bool:
    """Whether a service manager started this process: systemd names the stream of its journal, launchd starts in `/`."""
    try:
        streams = [f"{status.st_dev}:{status.st_ino}" for status in map(os.fstat, (1, 2))]
        return os.environ.get("JOURNAL_STREAM") in streams or (os.getcwd() == "/" and not os.isatty(0))
    except OSError:  # closed, or the folder is gone
        return True


def other_owner(path: Path) -> str | None:
    """Who owns a file, or the folder above it where this user may not look; None for this user, root, or nobody known."""
    if os.name != "posix":
        return None
    import pwd

    for place in (path, *path.absolute().parents):
        try:
            number = place.stat().st_uid
            break
        except OSError:
            continue
    else:
        return None
    if number in (0, os.geteuid()):
        return None
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
