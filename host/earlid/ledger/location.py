# SPDX-License-Identifier: MIT
"""The ledger's location: a file on this computer, or a database server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from earlid.errors import USAGE, UserError

DATA_DIR_STEP = "Set EARLID_DATA_DIR to a folder that can be written."


class Location(NamedTuple):
    """A ledger's place: `path` for a SQLite file, else None and `url` for SQLAlchemy."""

    path: Path | None
    url: str

    def __str__(self) -> str:
        return str(self.path) if self.path else self.url.split("@")[-1]  # no password in messages


def data_dir() -> Path:
    """The folder of the default ledger and the pairing keys: EARLID_DATA_DIR, else where the platform keeps data."""
    chosen = os.environ.get("EARLID_DATA_DIR")
    if chosen:
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_data_dir("earlid", appauthor=False))


def locate(text: str | None) -> Location:
    """The ledger that the user means: `text`, EARLID_LEDGER, or the default file.

    Args:
        text: a file name, or a URL as `postgresql+psycopg://user@host/name`.

    Raises:
        UserError: code 2 for a kind of database that is not supported.
    """
    text = text or os.environ.get("EARLID_LEDGER") or str(data_dir() / "ledger.sqlite")
    if text.startswith("sqlite:///"):
        text = text.removeprefix("sqlite:///")
    if "://" not in text:
        return Location(Path(text).expanduser(), "")
    if not text.startswith(("postgresql://", "postgresql+psycopg://")):
        raise UserError(f"no ledger can be at {text.split('@')[-1]}: name a file or a postgresql+psycopg:// URL.", USAGE)
    return Location(None, text.replace("postgresql://", "postgresql+psycopg://", 1))
