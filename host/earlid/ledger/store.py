# SPDX-License-Identifier: MIT
"""The ledger open for writing, through SQLAlchemy, on SQLite or PostgreSQL alike: one transaction a call, durable on return."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from earlid.ledger import rows, schema
from earlid.ledger.db_errors import explain, not_a_ledger
from earlid.ledger.location import Location
from earlid.ledger.version import VERSION, check_version

BUSY_TIMEOUT_MS = 15_000
_CREATION_LOCK = 0x6561726C6964  # the number of the lock under which a server's ledger is made, one program at a time


@dataclass(frozen=True)
class AddResult:
    """Counts of a batch: `new` records stored, `known` there already.

    With `conflicts`, identities (boot, seq) that the ledger has with another link, nothing of the batch was stored.
    """

    new: int
    known: int
    conflicts: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Head:
    """The newest record of a board in the ledger."""

    boot: int
    seq: int
    link: bytes


def now_ms() -> int:
    """This computer's clock, Unix milliseconds."""
    return time.time_ns() // 1_000_000


class Ledger:
    """A ledger open for writing; made when there is none. Threads may share it: calls wait for each other.

    Args:
        location: from `locate`.

    Raises:
        UserError: when it cannot be opened, is no ledger, or is from a newer version.
    """

    def __init__(self, location: Location) -> None:
        self.location = location
        self._lock = threading.RLock()
        self._ids: dict[str, int] = {}
        with self._explained_errors():
            self.engine = _sqlite_engine(location) if location.path else sa.create_engine(location.url)
            self._insert = sqlite.insert if location.path else postgresql.insert
            with self.engine.begin() as connection:
                if not location.path:  # SQLite's transactions come one at a time already
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_CREATION_LOCK})")
                tables = sa.inspect(connection).get_table_names()
                if "meta" not in tables:
                    if tables:
                        raise not_a_ledger(location)
                    schema.metadata.create_all(connection)
                    connection.execute(self._insert(schema.meta), [{"key": "version", "value": str(VERSION)}])
                version = connection.scalar(sa.select(schema.meta.c.value).where(schema.meta.c.key == "version"))
            check_version(str(version), location)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def _explained_errors(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.SQLAlchemyError, OSError, ModuleNotFoundError, UnicodeDecodeError) as error:
            raise explain(error, self.location) from error

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """One transaction for several calls' worth of work; other writers wait."""
        with self._lock, self._explained_errors(), self.engine.begin() as connection:
            yield connection

    def board_id(self, connection: sa.Connection, board: str) -> int:
        """The ledger's own number of a board, given when it is first seen; holds its row against other writers."""
        table = schema.boards
        if board not in self._ids:
            now = now_ms()
            connection.execute(
                self._insert(table).on_conflict_do_nothing(),
                [{"board": board, "first_seen_ms": now, "last_seen_ms": now}],
            )
        query = sa.select(table.c.id).where(table.c.board == board).with_for_update()
        self._ids[board] = connection.execute(query).scalar_one()
        return self._ids[board]

    def add(self, board: str, slots: Sequence[bytes], taken_ms: int | Sequence[int] | None = None) -> AddResult:
        """Store records; those already there are left as they are.

        Args:
            board: the board's identifier.
            slots: 64-byte slots (`lid.record`), in any order.
            taken_ms: when this computer got them (or each of them), Unix ms; now when None.

        Returns:
            What was new and what was not. Durable on return.

        Raises:
            UserError: full disk, read-only file, damage.
            ValueError: a slot that is no record.
        """
        if not slots:
            return AddResult(0, 0, ())
        if taken_ms is None:
            taken_ms = now_ms()
        each_ms = repeat(taken_ms) if isinstance(taken_ms, int) else taken_ms
        with self.transaction() as connection:
            board_id = self.board_id(connection, board)
            batch = [rows.row_from_slot(slot, board_id, at_ms) for slot, at_ms in zip(slots, each_ms, strict=False)]
            known = self._known(connection, board_id, batch)
            fresh: dict[tuple[int, int], tuple[Any, ...]] = {}
            conflicts = []
            for row in batch:
                identity = row[1:3]
                link = known.get(identity) or (fresh[identity][rows.LINK] if identity in fresh else None)
                if link is None:
                    fresh[identity] = row
                elif link != row[rows.LINK]:
                    conflicts.append(identity)
            if conflicts:
                return AddResult(0, 0, tuple(conflicts))
            if fresh:
                self._store(connection, board_id, sorted(fresh.values()))
                seen_ms = max(row[-1] for row in fresh.values())
                table = schema.boards
                connection.execute(
                    sa.update(table).where(table.c.id == board_id, table.c.last_seen_ms < seen_ms).values(last_seen_ms=seen_ms)
                )
        return AddResult(len(fresh), len(batch) - len(fresh), ())

    def _known(self, connection: sa.Connection, board_id: int, batch: list[tuple[Any, ...]]) -> dict[tuple[int, int], bytes]:
        table = schema.records
        links: dict[tuple[int, int], bytes] = {}
        for boot in {row[1] for row in batch}:
            numbers = [row[2] for row in batch if row[1] == boot]
            query = sa.select(table.c.seq, table.c.link).where(
                table.c.board_id == board_id, table.c.boot == boot, table.c.seq.between(min(numbers), max(numbers))
            )
            links.update({(boot, seq): link for seq, link in connection.execute(query)})
        return links

    def _store(self, connection: sa.Connection, board_id: int, fresh: list[tuple[Any, ...]]) -> None:
        # The driver's own executemany: SQLAlchemy's per-row work would halve the ingest rate.
        connection.exec_driver_sql(rows.insert_sql(connection.dialect.paramstyle), fresh)
        sums = rows.summarise(fresh)
        table = schema.tallies
        upsert = self._insert(table)
        connection.execute(
            upsert.on_conflict_do_update(
                index_elements=list(table.primary_key),
                set_={name: table.c[name] + upsert.excluded[name] for name in ("count", "sum_a")},
            ),
            sums.tallies,
        )
        boots = schema.boots
        new = self._insert(boots)
        least, most = (sa.func.min, sa.func.max) if self.location.path else (sa.func.least, sa.func.greatest)
        connection.execute(
            new.on_conflict_do_update(
                index_elements=list(boots.primary_key),
                set_={name: least(boots.c[name], new.excluded[name]) for name in ("first_seq", "first_ms", "first_taken_ms")}
                | {name: most(boots.c[name], new.excluded[name]) for name in ("last_seq", "last_ms", "last_taken_ms")},
            ),
            sums.boots,
        )
        for boot, ms, wall_ms, unc_ms in sums.points:
            self._add_point(connection, board_id, boot, ms, wall_ms, unc_ms)

    def add_clock_point(self, board: str, boot: int, ms: int, wall_ms: int, unc_ms: int) -> None:
        """Remember that at `ms` of start `boot` this computer's clock said `wall_ms`, give or take `unc_ms`."""
        with self.transaction() as connection:
            self._add_point(connection, self.board_id(connection, board), boot, ms, wall_ms, unc_ms)

    def _add_point(self, connection: sa.Connection, board_id: int, boot: int, ms: int, wall_ms: int, unc_ms: int) -> None:
        table = schema.clock_points
        query = (
            sa.select(table.c.ms, table.c.wall_ms, table.c.unc_ms)
            .where(table.c.board_id == board_id, table.c.boot == boot, table.c.ms <= ms)
            .order_by(table.c.ms.desc())
            .limit(1)
        )
        last = connection.execute(query).first()
        if last and not rows.point_is_news(tuple(last), (ms, wall_ms, unc_ms)):
            return
        row = {"board_id": board_id, "boot": boot, "ms": ms, "wall_ms": wall_ms, "unc_ms": unc_ms}
        new = self._insert(table)
        connection.execute(
            new.on_conflict_do_update(
                index_elements=list(table.primary_key),
                set_={"wall_ms": new.excluded.wall_ms, "unc_ms": new.excluded.unc_ms},
            ),
            [row],
        )

    def head(self, board: str) -> Head | None:
        """The newest record of a board; None when there is none."""
        with self.transaction() as connection:
            return self._newest(connection, board, schema.records)

    def _newest(self, connection: sa.Connection, board: str, table: sa.Table) -> Head | None:
        query = (
            sa.select(table.c.boot, table.c.seq, table.c.link)
            .where(table.c.board_id == self.board_id(connection, board))
            .order_by(table.c.boot.desc(), table.c.seq.desc())
            .limit(1)
        )
        row = connection.execute(query).first()
        return Head(*row) if row else None

    def purged_head(self, board: str) -> Head | None:
        """The last record that a purge removed: where to go on when nothing newer is kept."""
        table = schema.purges
        with self.transaction() as connection:
            query = (
                sa.select(table.c.boot_to, table.c.seq_to, table.c.head_after)
                .where(table.c.board_id == self.board_id(connection, board))
                .order_by(table.c.boot_to.desc(), table.c.seq_to.desc())
                .limit(1)
            )
            row = connection.execute(query).first()
        return Head(*row) if row else None

    def link_of(self, board: str, boot: int, seq: int) -> bytes | None:
        """The link of one record; None when it is not in the ledger."""
        table = schema.records
        with self.transaction() as connection:
            return connection.scalar(
                sa.select(table.c.link).where(
                    table.c.board_id == self.board_id(connection, board), table.c.boot == boot, table.c.seq == seq
                )
            )

    def add_anchor(self, board: str, head: Head) -> None:
        """Remember that the board's head was this."""
        self._upsert(board, schema.anchors, boot=head.boot, seq=head.seq, link=head.link)

    def add_note(self, board: str, kind: str, say: str) -> None:
        """Remember something odd that a sync saw."""
        self._upsert(board, schema.notes, kind=kind, say=say)

    def set_label(self, board: str, boot: int, seq: int, label: bool | None) -> None:
        """Say of an opening or near miss whether it was meant; None takes the word back."""
        if label is None:
            table = schema.labels
            with self.transaction() as connection:
                at = (table.c.board_id == self.board_id(connection, board), table.c.boot == boot, table.c.seq == seq)
                connection.execute(sa.delete(table).where(*at))
        else:
            self._upsert(board, schema.labels, boot=boot, seq=seq, label=int(label))

    def _upsert(self, board: str, table: sa.Table, **values: Any) -> None:
        with self.transaction() as connection:
            row = {"board_id": self.board_id(connection, board), "at_ms": now_ms()} | values
            new = self._insert(table)
            updates = {name: new.excluded[name] for name in row if name not in table.primary_key.columns}
            connection.execute(new.on_conflict_do_update(index_elements=list(table.primary_key), set_=updates), [row])

    def restore_rows(self, board: str, table: sa.Table, table_rows: Sequence[dict[str, Any]]) -> None:
        """Put rows of an export back into one of the board's tables; those there already stay."""
        with self.transaction() as connection:
            number = self.board_id(connection, board)
            if table_rows:
                connection.execute(
                    self._insert(table).on_conflict_do_nothing(), [{"board_id": number} | row for row in table_rows]
                )

    def set_name(self, board: str, name: str | None) -> None:
        """What its owner calls a board; None takes the name away."""
        with self.transaction() as connection:
            number = self.board_id(connection, board)
            connection.execute(sa.update(schema.boards).where(schema.boards.c.id == number).values(name=name))

    def mark_seen(self, board: str) -> None:
        """Remember that the board was there now."""
        with self.transaction() as connection:
            number = self.board_id(connection, board)
            connection.execute(sa.update(schema.boards).where(schema.boards.c.id == number).values(last_seen_ms=now_ms()))

    def vacuum(self) -> None:
        """Leave nothing of removed rows in the ledger's files.

        SQLite overwrote them when they were removed: the log is folded in and free pages given back. PostgreSQL writes its
        tables anew without them; its log (`pg_wal`) holds old values until it comes round to overwriting them.
        """
        with self._lock, self._explained_errors(), self.engine.connect() as raw:
            connection = raw.execution_options(isolation_level="AUTOCOMMIT")
            if self.location.path:
                driver = connection.connection.driver_connection
                assert driver is not None
                for pragma in ("incremental_vacuum", "wal_checkpoint(TRUNCATE)"):
                    driver.execute(f"PRAGMA {pragma}").fetchall()
            else:
                for table in schema.metadata.sorted_tables:
                    connection.exec_driver_sql(f"VACUUM FULL {table.name}")

    def checkpoint(self) -> None:
        """Fold SQLite's log into the file, as far as no reader needs old pages: a plain copy has all up to now. Never waits."""
        if self.location.path:
            with self._lock, self._explained_errors(), self.engine.connect() as connection:
                driver = connection.connection.driver_connection
                assert driver is not None
                driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def setting(self, key: str) -> str | None:
        """A setting that travels with the ledger (`retention`); None when it is not set."""
        with self.transaction() as connection:
            return connection.scalar(sa.select(schema.meta.c.value).where(schema.meta.c.key == key))

    def set_setting(self, key: str, value: str) -> None:
        """Change a setting that travels with the ledger."""
        with self.transaction() as connection:
            new = self._insert(schema.meta)
            connection.execute(
                new.on_conflict_do_update(index_elements=["key"], set_={"value": new.excluded.value}),
                [{"key": key, "value": value}],
            )


def _retry_while_locked(connection: sqlite3.Connection, pragma: str) -> None:
    """SQLite refuses at once, its time-out or no, where several programs turn a new file to its write-ahead log."""
    end_s = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute(pragma)
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end_s:
                raise
        time.sleep(0.005)


def _sqlite_engine(location: Location) -> sa.Engine:
    assert location.path is not None
    location.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Made here so that it is ours alone from its first byte; SQLite gives its side files the same mode.
    os.close(os.open(location.path, os.O_RDWR | os.O_CREAT, 0o600))
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(location.path)), connect_args={"timeout": 15})

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say, below
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "auto_vacuum=INCREMENTAL",  # works only before the first table is made
            "journal_mode=WAL",
            "synchronous=FULL",  # committed means on the disk: only then does the board hear of it
            "secure_delete=ON",
        ):
            _retry_while_locked(connection, f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # two writers wait for each other instead of failing half-way

    return engine
