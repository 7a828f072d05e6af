# SPDX-License-Identifier: MIT
"""Records as a table for other programs: CSV, or Parquet when pyarrow is installed."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import IO, Any

from earlid.door import cell
from earlid.ledger.queries import Entry, Opening
from earlid.ledger.time_format import iso_text

GROUP = 50_000


def write_csv(entries: Iterable[Entry], out: IO[str], openings: Iterable[Opening] | None = None) -> int:
    """Write entries with a header, times as ISO 8601 with the local offset; returns how many.

    Args:
        openings: whose bounds of the live time (ms; the upper one empty where there is none) stand at their first record.
    """
    writer = csv.writer(out, lineterminator="\n")
    bounds = {(item.board, item.boot, item.seq): (item.least_ms, item.most_ms) for item in openings or ()}
    more = () if openings is None else ("live_least_ms", "live_most_ms")
    writer.writerow(("wall", *Entry._fields, *more))
    count = 0
    for entry in entries:
        safe = (cell(value) if isinstance(value, str) else "" if value is None else value for value in entry)
        live = bounds.get((entry.board, entry.boot, entry.seq), (None, None)) if more else ()
        writer.writerow((iso_text(entry.wall_ms), *safe, *("" if value is None else value for value in live)))
        count += 1
    return count


def write_parquet(entries: Iterable[Entry], out: IO[bytes]) -> int:
    """Write entries as one Parquet file, `wall_ms` as a UTC timestamp; returns how many.

    Raises:
        ModuleNotFoundError: when pyarrow is not installed.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"board": pa.string(), "event": pa.string(), "reason": pa.string(), "label": pa.bool_()}
    kinds["wall_ms"] = pa.timestamp("ms", tz="UTC")
    table_schema = pa.schema([(name, kinds.get(name, pa.int64())) for name in Entry._fields])
    count = 0
    with pq.ParquetWriter(out, table_schema) as writer:
        for group in _groups(entries):
            columns = [pa.array(column, kind.type) for column, kind in zip(zip(*group, strict=True), table_schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(columns, schema=table_schema))
            count += len(group)
    return count


def _groups(entries: Iterable[Any]) -> Iterator[list[Any]]:
    waiting = iter(entries)
    while group := list(islice(waiting, GROUP)):
        yield group
