# SPDX-License-Identifier: MIT
"""A copy of a whole ledger, made while others write to it, by SQLite's own backup."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from earlid.errors import LEDGER_BROKEN, USAGE, UserError
from earlid.files import open_atomically
from earlid.ledger.db_errors import explain
from earlid.ledger.reader import Reader


def back_up(reader: Reader, path: Path) -> None:
    """Copy the ledger of this moment into a file of its own (mode 0600), once the copy is seen to be whole.

    Args:
        reader: of a ledger in a file.
        path: the copy; replaced when it is there.

    Raises:
        UserError: code 2 for a ledger on a server, or onto itself; 4 when it is damaged; 1 when the file cannot be written.
    """
    source = reader.location.path
    if source is None:
        raise UserError(f"the ledger {reader.location} is on a server: back it up with pg_dump.", USAGE)
    if path.exists() and path.samefile(source):
        raise UserError(f"{path} is the ledger itself: name another file.", USAGE)
    with (
        open_atomically(path, "wb", private=True, sync=True, over_database=True) as out,
        tempfile.TemporaryDirectory(dir=path.parent) as folder,
    ):
        whole = Path(folder) / "ledger.sqlite"
        try:
            with closing(sqlite3.connect(whole)) as copy:
                reader.copy_into(copy)
                fault = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
                copy.execute("PRAGMA journal_mode=DELETE")  # one file; opening it for writing brings the log back
        except sqlite3.Error as error:
            raise explain(error, source) from error
        if fault != "ok":
            raise UserError(f"the ledger {source} is damaged ({fault}): no copy was made. See `earlid verify`.", LEDGER_BROKEN)
        with whole.open("rb") as data:
            shutil.copyfileobj(data, out)
