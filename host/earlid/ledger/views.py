# SPDX-License-Identifier: MIT
"""SQL views of a ledger for other programs: records, openings and days with names and wall times. No input or output.

They say what records and clocks say. Where records are missing, or clocks contradict each other, `queries` reckons; a view has
no value there, or says `doubtful`. Nothing of ours reads them and no table depends on them, so they have no part in the version
of the tables: they are made anew wherever they are not these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from lid import record

from earlid.ledger.clock_claims import RANK
from earlid.ledger.exposure import DEAD, LATE_MS, NO_RAIL_MS, NOT_GONE, NOT_KNOWN, SAME_MS, SLACK_MS
from earlid.ledger.wall_clock import DRIFT_PPM, EARLIEST_MS, LATEST_MS
from earlid.ledger.wall_clock import SLACK_MS as CLOCK_SLACK_MS

NAMES = ("v_clocks", "v_events", "v_openings", "v_days")  # each is made of those before it

# What the two databases say differently. Local days are of the program that asks: its TZ in SQLite, its session's in PostgreSQL.
_SQLITE = {
    "LEAST": "MIN",
    "GREATEST": "MAX",
    "RISE": "CAST((high.wall_ms - low.wall_ms) * (placed.ms - low.ms) / (high.ms - low.ms) AS INTEGER)",
    "TIME": "strftime('%Y-%m-%dT%H:%M:%fZ', {0} / 1000.0, 'unixepoch')",
    "DAY": "date({0} / 1000, 'unixepoch', 'localtime')",
    "NEXT": "date({0}, '+1 day')",
    "START": "CAST(strftime('%s', {0}, 'utc') AS INTEGER) * 1000",
}
_POSTGRESQL = {
    "LEAST": "LEAST",
    "GREATEST": "GREATEST",
    "RISE": "div((high.wall_ms - low.wall_ms)::numeric * (placed.ms - low.ms), (high.ms - low.ms)::numeric)::bigint",
    "TIME": "to_timestamp({0} / 1000.0)",
    "DAY": "to_timestamp({0} / 1000)::date",
    "NEXT": "({0} + 1)",
    "START": "(extract(epoch FROM {0}::timestamptz) * 1000)::bigint",
}


def statements(dialect: str) -> list[str]:
    """What makes the views, in a database without them.

    Args:
        dialect: `sqlite` or `postgresql`.
    """
    words = _SQLITE if dialect == "sqlite" else _POSTGRESQL
    bodies = (_clocks(words), _events(words), _openings(words), _days(words))
    return [f"CREATE VIEW {name} AS {body}" for name, body in zip(NAMES, bodies, strict=True)]


def removals() -> list[str]:
    """What takes them away, whichever are there."""
    return [f"DROP VIEW IF EXISTS {name}" for name in reversed(NAMES)]


def mark(dialect: str) -> str:
    """What tells these views from other ones."""
    return hashlib.sha256("".join(statements(dialect)).encode()).hexdigest()[:16]


def _drift(ms: str) -> str:
    return f"((abs({ms}) * {DRIFT_PPM} + 999999) / 1000000)"


def _named(column: str, names: Sequence[str]) -> str:
    return f"CASE {column} " + " ".join(f"WHEN {code} THEN '{name}'" for code, name in enumerate(names)) + " ELSE 'unknown' END"


def _usable(table: str) -> str:
    sources = ", ".join(map(str, RANK))
    return (
        f"{table}.wall_ms >= {EARLIEST_MS} AND {table}.wall_ms < {LATEST_MS} AND {table}.ms >= 0 AND {table}.unc_ms >= 0 "
        f"AND {table}.source IN ({sources})"
    )


def _clocks(words: dict[str, str]) -> str:
    """Of each start the source that ranks highest, and whether anything contradicts it (`clock_claims.settle_undisputed`)."""
    rank = "CASE source " + " ".join(f"WHEN {source} THEN {rank}" for source, rank in RANK.items()) + " END"
    before = "(PARTITION BY board_id ORDER BY boot ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
    return f"""
WITH claims AS (
  SELECT board_id, boot, source, MIN(ms) AS first_ms, MAX(ms) AS final_ms, MIN(wall_ms - ms) AS low_ms,
    MAX(wall_ms - ms) AS high_ms, MAX(unc_ms) AS unc_ms, MIN(unc_ms) AS least_unc_ms,
    ROW_NUMBER() OVER (PARTITION BY board_id, boot ORDER BY {rank} DESC) AS place
  FROM clock_points p WHERE {_usable("p")} GROUP BY board_id, boot, source
), starts AS (
  SELECT b.board_id, b.boot, b.first_ms, b.last_ms, b.first_taken_ms, b.last_taken_ms, c.source,
    c.low_ms - c.unc_ms - {_drift("c.first_ms")} AS begin_ms,
    c.high_ms + c.unc_ms + b.last_ms + {_drift("b.last_ms - c.final_ms")} AS end_ms,
    CASE WHEN c.high_ms - c.low_ms <= 2 * c.least_unc_ms + 2 * {_drift("c.final_ms - c.first_ms")} + 20 THEN 0 ELSE 1 END AS odd,
    {_drift("b.last_ms")} AS drift_ms, b.last_ms - {_drift("b.last_ms")} AS lasted_ms
  FROM boots b LEFT JOIN claims c ON c.board_id = b.board_id AND c.boot = b.boot AND c.place = 1
), placed AS (
  SELECT s.*, CAST(COALESCE(SUM(lasted_ms) OVER {before}, 0) AS BIGINT) AS before_ms FROM starts s
), ranged AS (
  SELECT p.*, begin_ms - before_ms AS low, end_ms - lasted_ms - before_ms AS high,
    (begin_ms + end_ms - lasted_ms) / 2 - before_ms - 2 * drift_ms AS middle,
    {words["LEAST"]}(first_taken_ms - {words["LEAST"]}({words["GREATEST"]}(first_ms, 0), last_ms), last_taken_ms - lasted_ms)
      - before_ms + {CLOCK_SLACK_MS} AS latest
  FROM placed p
), reached AS (
  SELECT r.*, MAX(low) OVER {before} - {CLOCK_SLACK_MS} AS reach, MAX(middle) OVER {before} - {CLOCK_SLACK_MS} AS middle_reach
  FROM ranged r
)
SELECT board_id, boot, source, last_ms, last_taken_ms, odd,
  MAX(CASE WHEN low > latest OR middle > latest OR high < reach OR high < middle_reach OR middle < reach THEN 1 ELSE 0 END)
    OVER (PARTITION BY board_id) AS disputed
FROM reached"""


def _events(words: dict[str, str]) -> str:
    """Every record. A time between two clock points lies on their line, outside from the nearest (`wall_clock.BootClock`)."""

    def nearest(relation: str, order: str) -> str:
        return (
            "(SELECT p.ms FROM clock_points p WHERE p.board_id = r.board_id AND p.boot = r.boot AND p.source = c.source "
            f"AND p.ms {relation} r.ms AND {_usable('p')} ORDER BY p.ms {order} LIMIT 1)"
        )

    def at(name: str, near: str, other: str) -> str:
        return (
            f"LEFT JOIN clock_points {name} ON {name}.board_id = placed.board_id AND {name}.boot = placed.boot "
            f"AND {name}.source = placed.source AND {name}.ms = COALESCE({near}, {other})"
        )

    return f"""
WITH placed AS (
  SELECT r.*, c.source, c.disputed, c.odd, c.last_taken_ms - c.last_ms + r.ms AS by_ms,
    {nearest("<=", "DESC")} AS before_ms, {nearest(">", "ASC")} AS after_ms
  FROM records r JOIN v_clocks c ON c.board_id = r.board_id AND c.boot = r.boot
), timed AS (
  SELECT placed.*,
    COALESCE(low.wall_ms + CASE WHEN high.ms > low.ms THEN {words["RISE"]} ELSE placed.ms - low.ms END, by_ms) AS shown_ms,
    {words["GREATEST"]}(low.unc_ms, high.unc_ms)
      + {words["LEAST"]}(abs(placed.ms - low.ms), abs(high.ms - placed.ms)) * {DRIFT_PPM} / 1000000 AS off_ms
  FROM placed {at("low", "before_ms", "after_ms")} {at("high", "after_ms", "before_ms")}
)
SELECT b.board, COALESCE(b.name, b.board) AS name, t.boot, t.seq, {words["TIME"].format("shown_ms")} AS at,
  {words["DAY"].format("shown_ms")} AS day, shown_ms AS wall_ms, off_ms AS unc_ms,
  CASE WHEN disputed = 1 OR odd = 1 THEN 1 ELSE 0 END AS doubtful,
  {_named("t.event", record.EVENTS)} AS event, {_named("t.reason", record.REASONS)} AS reason,
  t.score, t.flags, t.energy_log2_q8, t.guarded_mv, t.sentinel_mv, t.ms, t.a, t.b, l.label
FROM timed t JOIN boards b ON b.id = t.board_id
LEFT JOIN labels l ON l.board_id = t.board_id AND l.boot = t.boot AND l.seq = t.seq"""


def _openings(words: dict[str, str]) -> str:
    """Of each `open`, and each `live` outside an opening, what the `close` or `dead` behind it says (`exposure`).

    `part` numbers what begins or ends a time outside; `closing`: the record behind an `open` is its `close`.
    """
    least, most = words["LEAST"], words["GREATEST"]
    order = "(PARTITION BY board ORDER BY boot, seq)"
    begun = f"c_boot = boot AND c_reason <> 'reset' AND c_ms - ms - c_a BETWEEN -{SLACK_MS} AND {LATE_MS}"
    return f"""
WITH steps AS (
  SELECT board, name, boot, seq, wall_ms, unc_ms, doubtful, event, reason, score, ms, a, b, label,
    LEAD(event) OVER {order} AS c_event, LEAD(reason) OVER {order} AS c_reason, LEAD(boot) OVER {order} AS c_boot,
    LEAD(ms) OVER {order} AS c_ms, LEAD(a) OVER {order} AS c_a, LEAD(b) OVER {order} AS c_b,
    SUM(CASE WHEN event IN ('live', 'dead') OR event = 'close' AND reason = 'reset' THEN 1 ELSE 0 END) OVER {order} AS part
  FROM v_events WHERE event IN ('open', 'close', 'live', 'mark', 'dead')
), outside AS (
  SELECT s.*, FIRST_VALUE(event) OVER w AS part_event, FIRST_VALUE(boot) OVER w AS part_boot, FIRST_VALUE(ms) OVER w AS part_ms,
    MAX(CASE WHEN event = 'dead' THEN 2 * part WHEN event = 'live' OR event = 'mark' AND reason = 'live' THEN 2 * part + 1 END)
      OVER {order} AS last_outside
  FROM steps s WINDOW w AS (PARTITION BY board, part ORDER BY boot, seq)
), marked AS (
  SELECT board, part, MAX(CASE WHEN event = 'mark' AND reason = 'live' THEN {least}(a, b) ELSE 0 END) AS least_ms,
    MAX(CASE WHEN event = 'mark' AND reason = 'live'
      AND (boot <> part_boot OR abs(ms - a - part_ms) > {SAME_MS}) THEN 1 ELSE 0 END)
      AS odd_marks
  FROM outside WHERE part_event = 'live' GROUP BY board, part
), ends AS (
  SELECT board, part, event, reason, boot, ms, a, b FROM steps
  WHERE event IN ('live', 'dead') OR event = 'close' AND reason = 'reset'
), told AS (
  SELECT o.board, o.name, o.boot, o.seq, o.wall_ms, o.unc_ms, o.doubtful, o.reason, 0 AS outside, o.score, o.b AS cutoff, o.label,
    CASE WHEN c_event = 'close' AND ({begun} OR c_reason = 'reset' AND c_boot > boot) THEN c_reason END AS ended,
    CASE WHEN c_event <> 'close' OR last_outside % 2 = 1 THEN NULL
      WHEN c_reason = 'reset' AND c_boot > boot THEN c_a
      WHEN {begun} THEN CASE WHEN c_b >= 65536 THEN c_b % 65536 ELSE {most}(0, c_a - {NO_RAIL_MS}) END END AS least_ms,
    CASE WHEN c_event <> 'close' OR last_outside % 2 = 1 THEN NULL
      WHEN c_reason = 'reset' AND c_boot > boot THEN CASE WHEN c_b <> {NOT_KNOWN} THEN c_b END
      WHEN {begun} THEN CASE WHEN c_b / 65536 = {NOT_GONE} OR c_b = 0 THEN NULL WHEN c_b >= 65536 THEN c_b / 65536
        ELSE c_a + c_b + {SLACK_MS} END END AS most_ms
  FROM outside o WHERE o.event = 'open'
  UNION ALL
  SELECT o.board, o.name, o.boot, o.seq, o.wall_ms - CASE WHEN o.b = {NOT_KNOWN} THEN 0 ELSE o.b END, o.unc_ms, o.doubtful,
    o.reason, 1, 0, 0, o.label,
    CASE WHEN e.event = 'dead' AND m.odd_marks = 0 THEN CASE WHEN e.reason = '' THEN '{DEAD}' ELSE e.reason END END,
    CASE WHEN e.event = 'dead' AND m.odd_marks = 0 THEN {most}(m.least_ms, e.a) END,
    CASE WHEN e.event = 'dead' AND m.odd_marks = 0 AND o.b <> {NOT_KNOWN} AND e.b <> {NOT_KNOWN} THEN o.b + e.b END
  FROM outside o JOIN marked m ON m.board = o.board AND m.part = o.part
  LEFT JOIN ends e ON e.board = o.board AND e.part = o.part + 1
    AND (e.reason = 'reset' AND e.boot > o.boot OR e.reason <> 'reset' AND e.boot = o.boot AND e.a <= e.ms - o.ms + {SAME_MS})
  WHERE o.event = 'live'
)
SELECT board, name, boot, seq, {words["TIME"].format("wall_ms")} AS at, {words["DAY"].format("wall_ms")} AS day, wall_ms, unc_ms,
  doubtful, reason, ended, outside, least_ms AS live_least_ms,
  CASE WHEN most_ms < least_ms THEN least_ms ELSE most_ms END AS live_most_ms, score, cutoff, label
FROM told"""


def _days(words: dict[str, str]) -> str:
    """Of each board and local day what happened and how long it was live; an opening over midnight counts in both."""

    def within(span: str) -> str:
        least, most = words["LEAST"], words["GREATEST"]
        start, end = words["START"].format("day"), words["START"].format(words["NEXT"].format("day"))
        return f"{most}(0, {least}(wall_ms + {span}, {end}) - {most}(wall_ms, {start}))"

    return f"""
WITH RECURSIVE spans AS (
  SELECT board, name, day, 1 - outside AS opening, CASE WHEN label = 0 THEN 1 - outside ELSE 0 END AS false_opening,
    wall_ms, live_least_ms, live_most_ms,
    {words["DAY"].format("(wall_ms + COALESCE(live_most_ms, live_least_ms, 0))")} AS last_day
  FROM v_openings
  UNION ALL
  SELECT board, name, {words["NEXT"].format("day")}, 0, 0, wall_ms, live_least_ms, live_most_ms, last_day
  FROM spans WHERE day < last_day
), parts AS (
  SELECT board, name, day, 0 AS opening, 0 AS false_opening, CASE WHEN event = 'near-miss' THEN 1 ELSE 0 END AS near_miss,
    CASE WHEN event = 'boot' THEN 1 ELSE 0 END AS boot, CASE WHEN event = 'fault' THEN 1 ELSE 0 END AS fault, doubtful,
    0 AS least_ms, 0 AS most_ms, 0 AS unbounded
  FROM v_events
  UNION ALL
  SELECT board, name, day, opening, false_opening, 0, 0, 0, 0, {within("COALESCE(live_least_ms, 0)")},
    {within("COALESCE(live_most_ms, 0)")}, CASE WHEN live_most_ms IS NULL THEN 1 ELSE 0 END FROM spans
)
SELECT board, name, day, SUM(opening) AS openings, SUM(false_opening) AS false_openings, SUM(near_miss) AS near_misses,
  SUM(boot) AS boots, SUM(fault) AS faults, SUM(doubtful) AS doubtful, SUM(least_ms) AS live_least_ms,
  CASE WHEN SUM(unbounded) = 0 THEN SUM(most_ms) END AS live_most_ms
FROM parts GROUP BY board, name, day"""
