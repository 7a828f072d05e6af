# SPDX-License-Identifier: MIT
"""The ledger open for writing, through SQLAlchemy, on SQLite or PostgreSQL alike: one transaction a call, durable on return."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from earlid import host_clock
from earlid.door import is_identifier, plain
from earlid.errors import USAGE, UserError
from earlid.host_clock import now_ms as now_ms
from earlid.ledger import rows, schema, views
from earlid.ledger.act_writer import ActWriter
from earlid.ledger.db_errors import explain, not_a_ledger
from earlid.ledger.location import Location, other_owner
from earlid.ledger.upgrade import board_points, unsigned_boards, upgrade
from earlid.ledger.version import FROM_HOST, FROM_IMPORT, FROM_RECORDS, FROM_SYNCED_HOST, VERSION, check_version
from earlid.ledger.wall_clock import is_time

BUSY_TIMEOUT_MS = 15_000
_WRITE_LOCK = 0x6561726C6964  # the number of the lock under which a server's ledger is made and written, one at a time


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


class Ledger:
    """A ledger open for writing; made when there is none. Threads may share it: calls wait for each other.

    Args:
        location: from `locate`.
        synced: whether this computer's clock is synchronised now, None when that is not known; the system is asked when it is
            not given. Every act says it.

    Raises:
        UserError: when it cannot be opened, is no ledger, or is from a newer version.
    """

    def __init__(self, location: Location, synced: Callable[[], bool | None] | None = None) -> None:
        self.location = location
        self._synced = synced or host_clock.is_synced
        self._lock = threading.RLock()
        self._acts = ActWriter(location, self._synced, now_ms)
        with self._explained_errors():
            self.engine = _sqlite_engine(location) if location.path else _server_engine(location)
            self._insert = _insert_of(location)
            with self.transaction() as connection:
                tables = sa.inspect(connection).get_table_names()
                if "meta" not in tables:
                    if tables:
                        raise not_a_ledger(location)
                    schema.metadata.create_all(connection)
                    connection.execute(self._insert(schema.meta), [{"key": "version", "value": str(VERSION)}])
                text = connection.scalar(sa.select(schema.meta.c.value).where(schema.meta.c.key == "version"))
                if (version := check_version(str(text), location)) < VERSION:
                    upgrade(connection, version)
                self._keep_views(connection)
                self._adopt(connection)

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
        """One transaction for several calls' worth of work; other writers wait. Not one within another."""
        with self._lock, self._explained_errors():
            with self.engine.begin() as connection:
                self._acts.begin()
                if not self.location.path:  # SQLite's transactions come one at a time already; acts need an order
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITE_LOCK})")
                yield connection
            self._acts.committed()

    def act(self, connection: sa.Connection, kind: str, body: Mapping[str, Any]) -> None:
        """Sign what this computer does to the ledger, in the transaction that does it.

        Args:
            connection: of `transaction`.
            kind: one of `acts.KINDS`.
            body: what is done; plain values, bytes as well. With a `board` (its identifier), the newest record of that board
                as the ledger has it now is put beside it.

        Raises:
            UserError: this installation's key cannot be used.
        """
        if "board" in body:
            board_id = self.board_id(connection, body["board"])
            head = self._newest(connection, board_id)
            body = {"head": [head.boot, head.seq, head.link] if head else None} | dict(body)
        self._acts.append(connection, kind, body)

    def _keep_views(self, connection: sa.Connection) -> None:
        """Make the views for other programs, where they are not there or are others."""
        mark = views.mark(connection.dialect.name)
        if connection.scalar(sa.select(schema.meta.c.value).where(schema.meta.c.key == "views")) == mark:
            return
        for statement in (*views.removals(), *views.statements(connection.dialect.name)):
            connection.execute(sa.text(statement.replace(":", "\\:")))
        self._upsert(connection, schema.meta, {"key": "views", "value": mark})

    def _adopt(self, connection: sa.Connection) -> None:
        """Sign for rows that stand here without any act, as they stand: of a version-1 ledger, or of one whose acts are gone."""
        if connection.scalar(sa.select(schema.acts.c.number).limit(1)) is not None:
            return
        if all(connection.execute(sa.select(table).limit(1)).first() is None for table in (schema.records, schema.purges)):
            return
        for board, fields in unsigned_boards(connection):
            self.act(connection, "adopt", {"board": board} | fields)
        span = connection.scalar(sa.select(schema.meta.c.value).where(schema.meta.c.key == "retention"))
        if span is not None:
            self.act(connection, "adopt", {"retention": span})

    def board_id(self, connection: sa.Connection, board: str) -> int:
        """The ledger's own number of a board, given when it is first seen; holds its row against other writers."""
        table = schema.boards
        query = sa.select(table.c.id).where(table.c.board == board).with_for_update()
        number: int | None = connection.scalar(query)
        if number is None:
            if not is_identifier(board):
                raise UserError(f"{plain(board)!r} is no board's identifier: nothing is stored under it.", USAGE)
            now = now_ms()
            row = {"board": board, "first_seen_ms": now, "last_seen_ms": now}
            connection.execute(self._insert(table).on_conflict_do_nothing(), [row])
            number = connection.execute(query).scalar_one()
        return int(number)

    def add(
        self, board: str, slots: Sequence[bytes], taken_ms: int | Sequence[int] | None = None, *, kind: str = "took"
    ) -> AddResult:
        """Store records; those already there are left as they are.

        Args:
            board: the board's identifier.
            slots: 64-byte slots (`lid.record`), in any order.
            taken_ms: when this computer got them (or each of them), Unix ms; now when None.
            kind: of the act that says so: `took` from a board, `import` from an export.

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
                stored = sorted(fresh.values())
                self._store(connection, board_id, stored)
                self.act(connection, kind, {"board": board, "runs": rows.taken_runs(stored)})
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
        seeds, disordered = self._newest_points(connection, board_id, fresh)
        sums = rows.summarise(fresh, seeds)
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
        for boot, source, *point in sums.points:
            if boot not in disordered:
                self._put_point(connection, board_id, boot, source, *point)
        for boot in disordered:
            self.remake_board_points(connection, board_id, boot)

    def _newest_points(
        self, connection: sa.Connection, board_id: int, fresh: list[tuple[Any, ...]]
    ) -> tuple[dict[tuple[int, int], rows.Point], list[int]]:
        """(Boot, source) -> the board's newest clock point; and the starts into which older records come than some there."""
        first_seq: dict[int, int] = {}
        for row in fresh:
            first_seq.setdefault(row[1], row[2])
        seeds: dict[tuple[int, int], rows.Point] = {}
        disordered = []
        for boot, seq in first_seq.items():
            extent = sa.select(schema.boots.c.last_seq).where(schema.boots.c.board_id == board_id, schema.boots.c.boot == boot)
            last_seq = connection.scalar(extent)
            if last_seq is None:
                continue
            if last_seq > seq:
                disordered.append(boot)
                continue
            for source in FROM_RECORDS:
                if last := self._point_before(connection, board_id, boot, source):
                    seeds[boot, source] = last
        return seeds, disordered

    def remake_board_points(self, connection: sa.Connection, board_id: int, boot: int) -> None:
        """Make a start's clock points of the board's own anew from its records."""
        table = schema.clock_points
        connection.execute(
            sa.delete(table).where(table.c.board_id == board_id, table.c.boot == boot, table.c.source.in_(FROM_RECORDS))
        )
        for point in board_points(connection, board_id, boot).get(boot, ()):
            self._put_point(connection, board_id, boot, *point)

    def add_clock_point(self, board: str, boot: int, ms: int, wall_ms: int, unc_ms: int, *, synced: bool | None = None) -> None:
        """Remember that at `ms` of start `boot` this computer's clock said `wall_ms`, give or take `unc_ms`.

        Only of a board whose records were accepted up to there. What is no time (`wall_clock.is_time`) is not remembered.

        Args:
            synced: whether the clock was synchronised then; None: as now.
        """
        if not is_time(wall_ms):
            return
        source = FROM_SYNCED_HOST if (self._synced() if synced is None else synced) else FROM_HOST
        with self.transaction() as connection:
            board_id = self.board_id(connection, board)
            last = self._point_before(connection, board_id, boot, source, ms)
            if last and not rows.point_is_news(last, (ms, wall_ms, unc_ms)):
                return
            self._put_point(connection, board_id, boot, source, ms, wall_ms, unc_ms)
            point = {"boot": boot, "ms": ms, "source": source, "wall_ms": wall_ms, "unc_ms": unc_ms}
            self.act(connection, "clock", {"board": board} | point)

    def _point_before(
        self, connection: sa.Connection, board_id: int, boot: int, source: int, ms: int | None = None
    ) -> rows.Point | None:
        """The newest clock point (ms, wall_ms, unc_ms) of a source, at most at `ms`."""
        table = schema.clock_points
        query = (
            sa.select(table.c.ms, table.c.wall_ms, table.c.unc_ms)
            .where(table.c.board_id == board_id, table.c.boot == boot, table.c.source == source)
            .order_by(table.c.ms.desc())
            .limit(1)
        )
        row = connection.execute(query if ms is None else query.where(table.c.ms <= ms)).first()
        return (row[0], row[1], row[2]) if row else None

    def _put_point(
        self, connection: sa.Connection, board_id: int, boot: int, source: int, ms: int, wall_ms: int, unc_ms: int
    ) -> None:
        table = schema.clock_points
        row = {"board_id": board_id, "boot": boot, "ms": ms, "source": source, "wall_ms": wall_ms, "unc_ms": unc_ms}
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
            return self._newest(connection, self._known_id(board))

    def newest(self, board: str) -> Head | None:
        """Where to go on: the newest record of a board that the ledger has, or had and purged; None when there never was one."""
        at = self._known_id(board)
        with self.transaction() as connection:
            heads = (self._newest(connection, at), self._newest(connection, at, schema.purges, "boot_to", "seq_to", "head_after"))
        return max((head for head in heads if head), key=lambda head: (head.boot, head.seq), default=None)

    @staticmethod
    def _known_id(board: str) -> sa.ScalarSelect[Any]:
        """The number of a board, which need not have one."""
        return sa.select(schema.boards.c.id).where(schema.boards.c.board == board).scalar_subquery()

    def _newest(
        self,
        connection: sa.Connection,
        board_id: int | sa.ScalarSelect[Any],
        table: sa.Table = schema.records,
        *names: str,
    ) -> Head | None:
        boot, seq, link = (table.c[name] for name in names or ("boot", "seq", "link"))
        query = sa.select(boot, seq, link).where(table.c.board_id == board_id).order_by(boot.desc(), seq.desc()).limit(1)
        row = connection.execute(query).first()
        return Head(*row) if row else None

    def strangers_of(self, board: str) -> list[str]:
        """The identifiers under which records are kept apart of what claimed to be this board, oldest first."""
        table = schema.boards
        query = sa.select(table.c.board).where(table.c.board.startswith(f"{board}.")).order_by(table.c.id)
        with self.transaction() as connection:
            return list(connection.scalars(query))

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
        """Remember that the board's head was this. The act that took its record vouches for it."""
        with self.transaction() as connection:
            row = {"board_id": self.board_id(connection, board), "at_ms": now_ms()} | head.__dict__
            self._upsert(connection, schema.anchors, row)

    def add_note(self, board: str, kind: str, say: str) -> None:
        """Remember something odd that a sync saw."""
        with self.transaction() as connection:
            row = {"noted_ms": now_ms(), "kind": kind, "say": say}
            self.act(connection, "note", {"board": board} | row)
            row["at_ms"] = row.pop("noted_ms")
            self._upsert(connection, schema.notes, {"board_id": self.board_id(connection, board)} | row)

    def set_label(self, board: str, boot: int, seq: int, label: bool | None) -> None:
        """Say of an opening or near miss whether it was meant; None takes the word back."""
        self.set_labels([(board, boot, seq, label)])

    def set_labels(self, words: Iterable[tuple[str, int, int, bool | None]]) -> None:
        """Say it of several, (board, boot, seq, label) each: of all of them or, where that fails, of none."""
        table = schema.labels
        with self.transaction() as connection:
            for board, boot, seq, label in words:
                board_id, said_ms = self.board_id(connection, board), now_ms()
                word = None if label is None else int(label)
                if word is None:
                    at = (table.c.board_id == board_id, table.c.boot == boot, table.c.seq == seq)
                    connection.execute(sa.delete(table).where(*at))
                else:
                    row = {"board_id": board_id, "boot": boot, "seq": seq, "label": word, "at_ms": said_ms}
                    self._upsert(connection, table, row)
                self.act(connection, "label", {"board": board, "boot": boot, "seq": seq, "label": word, "said_ms": said_ms})

    def _upsert(self, connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> None:
        new = self._insert(table)
        updates = {name: new.excluded[name] for name in row if name not in table.primary_key.columns}
        connection.execute(new.on_conflict_do_update(index_elements=list(table.primary_key), set_=updates), [dict(row)])

    def restore_rows(self, board: str, tables: Mapping[str, Sequence[dict[str, Any]]], name: str | None = None) -> None:
        """Put rows of an export back into the board's tables, and its name; rows and a name there already stay."""
        taken: dict[str, list[dict[str, Any]]] = {}
        with self.transaction() as connection:
            number = self.board_id(connection, board)
            for title, table_rows in tables.items():
                table = schema.metadata.tables[title]
                for given in table_rows:
                    row = given | ({"source": FROM_IMPORT} if table is schema.clock_points else {})
                    done = connection.execute(self._insert(table).on_conflict_do_nothing(), {"board_id": number} | row)
                    if done.rowcount > 0:
                        taken.setdefault(title, []).append(row)
            boards = schema.boards
            named = sa.update(boards).where(boards.c.id == number, boards.c.name.is_(None)).values(name=name)
            if name is None or connection.execute(named).rowcount == 0:
                name = None
            if taken or name is not None:
                self.act(connection, "import", {"board": board, "tables": taken} | ({"name": name} if name is not None else {}))

    def set_name(self, board: str, name: str | None) -> None:
        """What its owner calls a board; None takes the name away."""
        with self.transaction() as connection:
            number = self.board_id(connection, board)
            connection.execute(sa.update(schema.boards).where(schema.boards.c.id == number).values(name=name))
            self.act(connection, "name", {"board": board, "name": name})

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
                connection.exec_driver_sql("SET lock_timeout = 0")  # it waits for whoever reads
                for table in schema.metadata.sorted_tables:
                    connection.exec_driver_sql(f"VACUUM FULL {table.name}")
                connection.exec_driver_sql("RESET lock_timeout")

    def checkpoint(self) -> None:
        """Fold SQLite's log into the file, as far as no reader needs old pages: a plain copy has all up to now. Never waits."""
        if self.location.path:
            with self._lock, self._explained_errors(), self.engine.connect() as connection:
                driver = connection.connection.driver_connection
                assert driver is not None
                driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def clock_synced(self) -> bool | None:
        """Whether this computer's clock is synchronised now; None when that is not known."""
        return self._synced()

    def setting(self, key: str) -> str | None:
        """A setting that travels with the ledger (`retention`); None when it is not set."""
        with self.transaction() as connection:
            return connection.scalar(sa.select(schema.meta.c.value).where(schema.meta.c.key == key))

    def board_of_adapter(self, adapter: str) -> str | None:
        """The board that was last seen behind a USB adapter; None for an adapter that is not known."""
        return self.setting(f"usb:{adapter}")

    def remember_adapter(self, adapter: str, board: str) -> None:
        """Remember behind which USB adapter a board stands."""
        with self.transaction() as connection:
            self._upsert(connection, schema.meta, {"key": f"usb:{adapter}", "value": board})

    def set_retention(self, span: str) -> None:
        """How long this ledger keeps records, as a person says it; `off` for always."""
        with self.transaction() as connection:
            self._upsert(connection, schema.meta, {"key": "retention", "value": span})
            self.act(connection, "retention", {"retention": span})


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


def _server_engine(location: Location) -> sa.Engine:
    """Waits for other writers as long as with SQLite, and for a server that has gone no longer: `watch` is to tell of both."""
    url = sa.make_url(location.url)
    wait_s = BUSY_TIMEOUT_MS // 1000
    limits = {"options": f"-c lock_timeout={BUSY_TIMEOUT_MS}", "connect_timeout": wait_s, "tcp_user_timeout": BUSY_TIMEOUT_MS}
    return sa.create_engine(url, connect_args={name: value for name, value in limits.items() if name not in url.query})


def _insert_of(location: Location) -> Any:
    """`INSERT` as this database has it; loading the other's takes a tenth of a start."""
    if location.path:
        from sqlalchemy.dialects.sqlite import insert

        return insert
    from sqlalchemy.dialects.postgresql import insert as insert_into_postgresql

    return insert_into_postgresql


def _sqlite_engine(location: Location) -> sa.Engine:
    assert location.path is not None
    if os.name == "posix" and os.geteuid() == 0 and location.path.exists() and (owner := other_owner(location.path)):
        raise UserError(
            f"the ledger {location} belongs to {owner}, and root would sign in it with a key of its own: run earlid as {owner}.",
            USAGE,
        )
    location.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Made here so that it is ours alone from its first byte; SQLite gives its side files the same mode.
    os.close(os.open(location.path, os.O_RDWR | os.O_CREAT, 0o600))
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(location.path)), connect_args={"timeout": 15})

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say, below
        new = os.path.getsize(engine.url.database or "") == 0
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            *(["auto_vacuum=INCREMENTAL"] if new else []),  # works only before the first table is made; later it writes
            "journal_mode=WAL",
            "synchronous=FULL",  # committed means on the disk: only then does the board hear of it
            "secure_delete=ON",
        ):
            _retry_while_locked(connection, f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # two writers wait for each other instead of failing half-way

    return engine
