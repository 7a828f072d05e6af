# SPDX-License-Identifier: MIT
"""Upgrades a ledger's tables from earlier versions, and takes rows that nobody signed into the acts, as they stood."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from lid import record

from earlid.ledger import rows, schema, views
from earlid.ledger.version import FROM_HOST, FROM_RECORDS, VERSION

# Tables whose rows an `adopt` or `import` act carries, without the board's number; clock points with their source.
CARRIED = ("labels", "purges", "anchors", "notes", "clock_points")


def upgrade(connection: sa.Connection, version: int) -> None:
    """An earlier version to the present one, inside a transaction."""
    for statement in views.removals():  # they stand on tables that change
        connection.exec_driver_sql(statement)
    connection.execute(sa.delete(schema.meta).where(schema.meta.c.key == "views"))
    if version == 1:
        _give_points_their_source(connection)
    schema.metadata.create_all(connection)  # what is new since: 2 acts, 3 bridges (4: nothing)
    connection.execute(sa.update(schema.meta).where(schema.meta.c.key == "version").values(value=str(VERSION)))


def _give_points_their_source(connection: sa.Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE clock_points RENAME TO clock_points_1")
    if connection.dialect.name == "postgresql":  # its index keeps the name that the new one is to have
        connection.exec_driver_sql("ALTER INDEX clock_points_pkey RENAME TO clock_points_1_pkey")
    schema.metadata.create_all(connection)
    points = schema.clock_points
    for board_id in list(connection.scalars(sa.select(schema.boards.c.id))):
        connection.exec_driver_sql(
            "INSERT INTO clock_points (board_id, boot, ms, source, wall_ms, unc_ms) "
            f"SELECT board_id, boot, ms, {FROM_HOST}, wall_ms, unc_ms FROM clock_points_1 p WHERE board_id = {int(board_id)} "
            "AND NOT EXISTS (SELECT 1 FROM records r WHERE r.board_id = p.board_id AND r.boot = p.boot AND r.ms = p.ms "
            "AND r.wall_ms = p.wall_ms AND r.wall_unc_ms = p.unc_ms)"
        )
        new = [
            {"board_id": board_id, "boot": boot, "ms": ms, "source": source, "wall_ms": wall_ms, "unc_ms": unc_ms}
            for boot, found in board_points(connection, board_id).items()
            for source, ms, wall_ms, unc_ms in found
        ]
        if new:
            connection.execute(sa.insert(points), new)
    connection.exec_driver_sql("DROP TABLE clock_points_1")


def board_points(connection: sa.Connection, board_id: int, boot: int | None = None) -> dict[int, list[tuple[int, int, int, int]]]:
    """Boot -> the clock points (source, ms, wall_ms, unc_ms) of the board's own records; of one start, or of all."""
    table = schema.records
    query = (
        sa.select(table.c.boot, table.c.flags, table.c.ms, table.c.wall_ms, table.c.wall_unc_ms)
        .where(table.c.board_id == board_id, table.c.flags.op("&")(record.CLOCK_SET) != 0, table.c.wall_ms != 0)
        .order_by(table.c.boot, table.c.seq)
    )
    if boot is not None:
        query = query.where(table.c.boot == boot)
    found: dict[int, dict[tuple[int, int], rows.Point]] = defaultdict(dict)
    newest: dict[tuple[int, int], rows.Point] = {}
    for of_boot, flags, ms, wall_ms, unc_ms in connection.execute(query):
        source = rows.source_of(flags)
        last = newest.get((of_boot, source))
        if last is None or rows.point_is_news(last, (ms, wall_ms, unc_ms)):
            newest[of_boot, source] = found[of_boot][source, ms] = (ms, wall_ms, unc_ms)
    return {of_boot: [(source, *point) for (source, _), point in points.items()] for of_boot, points in found.items()}


def unsigned_boards(connection: sa.Connection) -> Iterator[tuple[str, dict[str, Any]]]:
    """(board, fields of an `adopt` act): names, rows and extents of starts, as they stand in the ledger."""
    known, boots = schema.boards.c, schema.boots.c
    for number, board, name in list(connection.execute(sa.select(known.id, known.board, known.name).order_by(known.id))):
        extents = sa.select(boots.boot, boots.first_seq, boots.last_seq, boots.first_taken_ms, boots.last_taken_ms)
        extents = extents.where(boots.board_id == number).order_by(boots.boot)
        tables = {}
        for title in CARRIED:
            table = schema.metadata.tables[title]
            columns = [column for column in table.c if column.name != "board_id"]
            query = sa.select(*columns).where(table.c.board_id == number).order_by(*table.primary_key)
            if table is schema.clock_points:
                query = query.where(table.c.source.not_in(FROM_RECORDS))
            tables[title] = [dict(row._mapping) for row in connection.execute(query)]
        yield (
            board,
            {
                "name": name,
                "runs": [list(row) for row in connection.execute(extents)],
                "tables": {title: found for title, found in tables.items() if found},
            },
        )
