# SPDX-License-Identifier: MIT
"""Tables of the ledger's database. Records are kept as the board sealed them; what is derived from them says so."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, SmallInteger, Table, Text
from sqlalchemy.schema import SchemaItem

from earlid.ledger.version import VERSION as VERSION

metadata = MetaData()


def _table(name: str, *columns: SchemaItem) -> Table:
    # The primary key is the order in which rows are written and read: in SQLite the table is that tree and no other.
    return Table(name, metadata, *columns, sqlite_with_rowid=False)


def _key(name: str, kind: type[Integer] | type[BigInteger] | type[Text] = BigInteger) -> Column[object]:
    return Column(name, kind, primary_key=True, autoincrement=False)


def _number(name: str, kind: type[Integer] = BigInteger, *, empty: bool = False) -> Column[int]:
    return Column(name, kind, nullable=empty)


meta = _table("meta", _key("key", Text), Column("value", Text, nullable=False))

boards = Table(
    "boards",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("board", Text, nullable=False, unique=True),  # the random identifier made at first start
    Column("name", Text),  # what its owner calls it
    _number("first_seen_ms"),
    _number("last_seen_ms"),
)

# One journal record; fields as in lid.record, event and reason as their codes. taken_ms: this computer's clock.
records = _table(
    "records",
    _key("board_id", Integer),
    _key("boot"),
    _key("seq"),
    _number("ms"),
    _number("event", SmallInteger),
    _number("reason", SmallInteger),
    _number("score", SmallInteger),
    _number("flags", SmallInteger),
    _number("energy_log2_q8", Integer),
    _number("guarded_mv", Integer),
    _number("sentinel_mv", Integer),
    _number("wall_ms"),
    _number("wall_unc_ms", Integer),
    _number("a"),
    _number("b"),
    Column("link", LargeBinary(12), nullable=False),
    Column("mac", LargeBinary(8), nullable=False),
    _number("taken_ms"),
)
Index("records_by_ms", records.c.board_id, records.c.boot, records.c.ms)

# What the board (from its records), or this computer, said the time was at a moment of a start. Sources: `version`.
clock_points = _table(
    "clock_points",
    _key("board_id", Integer),
    _key("boot"),
    _key("ms"),
    _key("source", Integer),
    _number("wall_ms"),
    _number("unc_ms"),
)

# Heads seen at a sync: number and link.
anchors = _table(
    "anchors",
    _key("board_id", Integer),
    _key("boot"),
    _key("seq"),
    Column("link", LargeBinary(12), nullable=False),
    _number("at_ms"),
)

# The owner's word on an opening or near miss: 1 true (it was meant), 0 false.
labels = _table("labels", _key("board_id", Integer), _key("boot"), _key("seq"), _number("label", SmallInteger), _number("at_ms"))

# One run of records removed on purpose. The heads on both sides keep the rest of the chain checkable.
purges = _table(
    "purges",
    _key("board_id", Integer),
    _key("boot_from"),
    _key("seq_from"),
    _number("boot_to"),
    _number("seq_to"),
    _number("count"),
    Column("head_before", LargeBinary(12)),  # empty when what stood before was not known either
    Column("head_after", LargeBinary(12), nullable=False),
    _number("at_ms"),
    Column("why", Text, nullable=False),
)

# What a sync found odd about a board: it came back older, or with a chain begun anew.
notes = _table("notes", _key("board_id", Integer), _key("at_ms"), Column("kind", Text, nullable=False), Column("say", Text))

# Derived from records, kept in the same transaction: the extent of each start, and how many of what in 24 h of it.
boots = _table(
    "boots",
    _key("board_id", Integer),
    _key("boot"),
    _number("first_seq"),
    _number("last_seq"),
    _number("first_ms"),
    _number("last_ms"),
    _number("first_taken_ms"),
    _number("last_taken_ms"),
)
tallies = _table(
    "tallies",
    _key("board_id", Integer),
    _key("boot"),
    _key("day"),  # ms // 86,400,000: days of the board's start, not of any calendar
    _key("event", Integer),
    _key("reason", Integer),
    _number("count"),
    _number("sum_a"),  # of `close`: ms from open to release. Kept for earlier programs: live time is bounded from records
)

# What the host added, signed: `acts`. With the records the only truth; every other table can be made anew from both.
acts = _table(
    "acts",
    _key("installation", Text),
    _key("number"),
    _number("place"),
    Column("kind", Text, nullable=False),
    Column("body", Text),  # empty once a purge took it out
    Column("body_hash", LargeBinary(32), nullable=False),
    Column("link", LargeBinary(32), nullable=False),
    Column("signature", LargeBinary(64), nullable=False),
)
Index("acts_by_place", acts.c.place, unique=True)

# How far a bridge has told of each board: the broker has its events up to this record, and was given these retained topics.
# `board` is an identifier: of a board that is gone, what was announced is to be taken back.
bridges = _table(
    "bridges",
    _key("bridge", Text),
    _key("board", Text),
    _number("boot"),
    _number("seq"),
    Column("topics", Text, nullable=False),
)
