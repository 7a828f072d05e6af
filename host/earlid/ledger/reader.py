# SPDX-License-Identifier: MIT
"""A read-only connection to a ledger: the same SQL on SQLite and PostgreSQL.

A SQLite file is read with Python's own module: importing SQLAlchemy takes longer than `review` may take in all.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from earlid.errors import FAILED, USAGE, UserError
from earlid.ledger.acts import COLUMNS
from earlid.ledger.db_errors import damaged, explain
from earlid.ledger.location import Location
from earlid.ledger.version import FROM_HOST, VERSION, check_version


class Reader:
    """A ledger open for reading, also from a disk that cannot be written.

    Args:
        location: from `locate`.

    Raises:
        UserError: when there is none, it is damaged, or it is from a newer version.
    """

    def __init__(self, location: Location) -> None:
        self.location = location
        self._lock = threading.Lock()
        self._in_snapshot = False
        with self._explained_errors():
            self._connection: Any = _open_sqlite(location) if location.path else _open_server(location)
        try:
            found = self.rows("SELECT value FROM meta WHERE key = 'version'")
            if not found:
                raise damaged(location, "it does not tell its version")
            self.version = check_version(str(found[0][0]), location)
            if self.version < VERSION:
                self._show_as_present()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _show_as_present(self) -> None:
        """Show a ledger of an earlier version as one of today: views of this connection stand before its tables."""
        points = f"SELECT board_id, boot, ms, {FROM_HOST} AS source, wall_ms, unc_ms FROM {{}}.clock_points"
        acts = ", ".join(f"NULL AS {name}" for name in COLUMNS)
        bridges = "'' AS bridge, '' AS board, 0 AS boot, 0 AS seq, '' AS topics"
        views = []
        if self.version < 3:
            views.append(f"CREATE TEMP VIEW bridges AS SELECT {bridges} FROM {{}}.meta WHERE 1 = 0")
        if self.version == 1:
            views.append(f"CREATE TEMP VIEW clock_points AS {points}")
            views.append(f"CREATE TEMP VIEW acts AS SELECT {acts} FROM {{}}.meta WHERE 1 = 0")
        with self._lock, self._explained_errors():
            for view in views:
                if self.location.path:
                    self._connection.execute(view.format("main"))
                else:
                    _execute_writing(self._connection, view.format("public"))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Every query inside sees the ledger of one moment, whatever others commit meanwhile; within another, that one."""
        if self._in_snapshot:
            yield
            return
        with self._explained_errors():
            if self.location.path:
                self._connection.execute("BEGIN")
        self._in_snapshot = True
        try:
            yield
        finally:
            self._in_snapshot = False
            self._connection.rollback()

    def rows(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query with `:name` places.

        Raises:
            UserError: the database's complaint, for people.
        """
        with self._lock, self._explained_errors():
            if self.location.path:
                result: list[tuple[Any, ...]] = self._connection.execute(sql, values).fetchall()
                return result
            return [tuple(row) for row in self._server_rows(sql, values, 0)]

    def integer_rows(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        """As `rows`, of whole numbers and empty places only: SQLite keeps any kind of value anywhere, damage included.

        Raises:
            UserError: code 4 when there is something else.
        """
        result = self.rows(sql, **values)
        if self.location.path and not all(value is None or type(value) is int for row in result for value in row):
            raise damaged(self.location, "a number is none")
        return result

    def stream(self, sql: str, **values: Any) -> Iterator[tuple[Any, ...]]:
        """The rows of a query one after another, for results too large to hold."""
        with self._explained_errors():
            if self.location.path:
                for row in self._connection.execute(sql, values):  # `yield from` would close the cursor, perhaps after us
                    yield row
            else:
                for row in self._server_rows(sql, values, 5000):
                    yield tuple(row)

    def copy_into(self, copy: sqlite3.Connection) -> None:
        """Copy the whole ledger, a file, as it is at this moment, into another database."""
        with self._lock, self._explained_errors():
            self._connection.backup(copy)

    def _server_rows(self, sql: str, values: dict[str, Any], batch: int) -> Iterator[Any]:
        import sqlalchemy as sa

        try:
            options = {"yield_per": batch} if batch else {}
            yield from self._connection.execute(sa.text(sql), values, execution_options=options)
        finally:
            if not self._in_snapshot:
                self._connection.rollback()  # the next query sees what others have committed since

    @contextmanager
    def _explained_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, ImportError, UnicodeDecodeError) as error:
            raise explain(error, self.location) from error
        except UserError:
            raise
        except Exception as error:
            if type(error).__module__.split(".")[0] not in ("sqlalchemy", "psycopg"):
                raise
            raise explain(error, self.location) from error


def _open_sqlite(location: Location) -> sqlite3.Connection:
    path = location.path
    assert path is not None
    missing = UserError(f"there is no ledger at {path} yet: `earlid watch` makes one, or name one with --ledger.", FAILED)
    if not path.exists():
        raise missing
    if not path.is_file():
        raise UserError(f"{path} is no file: name the ledger's file with --ledger.", USAGE)
    name = str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    uri = f"file:{name}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, timeout=15, check_same_thread=False)
    try:
        if connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None:  # `watch` is making it at this moment
            connection.close()
            raise missing
        return connection
    except sqlite3.OperationalError:
        connection.close()
        log = path.with_name(path.name + "-wal")
        if log.exists() and log.stat().st_size:
            raise
    # On a disk that cannot be written SQLite cannot make its side files, and with none to read needs none.
    return sqlite3.connect(uri + "&immutable=1", uri=True, check_same_thread=False)


def _open_server(location: Location) -> Any:
    import sqlalchemy as sa

    return (
        sa.create_engine(location.url, poolclass=sa.NullPool)
        .connect()
        .execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    )


def _execute_writing(connection: Any, sql: str) -> None:
    """On a server: in a transaction that may write, though only what is this connection's own."""
    import sqlalchemy as sa

    connection.rollback()
    connection.execute(sa.text("SET TRANSACTION READ WRITE"))
    connection.execute(sa.text(sql))
    connection.commit()
