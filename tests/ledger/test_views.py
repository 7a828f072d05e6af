# SPDX-License-Identifier: MIT
"""SQL views for other programs: they say what `review` says, or nothing, on both databases."""

from __future__ import annotations

import random
import re
import time
from datetime import date
from pathlib import Path

import sqlalchemy as sa
from earlid.cli import main
from earlid.ledger import queries, schema, views
from earlid.ledger.boards import boards
from earlid.ledger.exposure import NOT_GONE, NOT_KNOWN
from earlid.ledger.reader import Reader
from earlid.ledger.report import make_report
from earlid.ledger.store import Ledger
from earlid.ledger.time_format import day_start_ms, iso_text

from tests.ledger.synthetic_chains import BOARD, fields, life, seal_all
from tests.ledger.test_exposure import ModelBoard, bounds
from tests.ledger.test_review import local_ms, receipt

SEED = 16
HOUR = 3_600_000
ZERO_MS = 1_795_000_000_000
PAGE = Path(__file__).parents[2] / "host" / "earlid" / "ledger" / "README.md"


def ask(location, sql, **values):
    """Rows of a query, as dicts; days and times as text, in the time zone of this process."""
    engine = sa.create_engine(location.url or f"sqlite:///{location.path}", poolclass=sa.NullPool)
    with engine.connect() as connection:
        if location.url:
            connection.execute(sa.text(f"SET TIME ZONE '{time.tzname[0] if time.tzname[0] == 'UTC' else 'Europe/Berlin'}'"))
        return [dict(row._mapping) for row in connection.execute(sa.text(sql), values)]


def rows_of(items):
    return [fields(item.seq, item.ms, item.event, item.reason, boot=item.boot, a=item.a, b=item.b) for item in items]


class Item:
    def __init__(self, seq, boot, ms, event, reason, a, b):
        self.seq, self.boot, self.ms, self.event, self.reason, self.a, self.b = seq, boot, ms, event, reason, a, b


def any_journal(rng):
    """Records that no board would write, of every kind that counts."""
    items, boot, ms = [], 1, 0
    origin_ms = 0
    kinds = rng.choice(
        (("boot", "open", "close", "live", "mark", "dead", "open", "close", "near-miss"), ("live", "mark", "mark", "dead"))
    )
    for seq in range(1, rng.randrange(2, 20)):
        event = rng.choice(kinds)
        if event == "boot":
            boot, ms = boot + 1, 0
        ms += rng.choice((0, 1, 10, 300, 5000, 70_000))
        if event in ("open", "live"):
            origin_ms = ms
        reason = rng.choice(("word", "reset", "welded", "mute", "fault", "live", ""))
        # Whether a closing fits what was begun decides most of it.
        a = rng.choice((0, 5000, NOT_KNOWN, max(0, ms - origin_ms), max(0, ms - origin_ms), max(0, ms - origin_ms - 15)))
        b = rng.choice((0, 130, 0xFFFF, NOT_KNOWN, bounds(7990, 8060), bounds(7990, NOT_GONE), bounds(900, 10), 3000))
        if event == "mark":
            reason, b = rng.choice(("live", "live", "open")), rng.choice((a, 5000, 90_000))
        items.append(Item(seq, boot, ms, event, reason, a, b))
    return items


def store(ledger, board, items, rng):
    """Records of a board, and clocks of some of its starts; some wrong."""
    slots = seal_all(rows_of(items), board)
    starts = {item.boot: 0 for item in items}
    begin_ms = ZERO_MS
    for boot in starts:
        starts[boot] = begin_ms
        begin_ms += max(item.ms for item in items if item.boot == boot) + rng.choice((1000, HOUR, 30 * HOUR))
    ledger.add(board, slots, [starts[item.boot] + item.ms + 50 for item in items])
    for boot, zero_ms in starts.items():
        if rng.random() < 0.1:
            continue
        last_ms = max(item.ms for item in items if item.boot == boot)
        for ms in sorted(rng.sample(range(last_ms + 1), min(last_ms + 1, rng.randrange(1, 4)))):
            ledger.add_clock_point(board, boot, ms, zero_ms + ms + rng.randrange(30), 60, synced=rng.random() < 0.5)
        if rng.random() < 0.1:
            ledger.add_clock_point(board, boot, last_ms, zero_ms + rng.choice((-1, 1)) * 400 * 24 * HOUR, 60, synced=True)


def test_view_says_of_any_journal_what_review_says_or_nothing(location):
    rng = random.Random(SEED)
    with Ledger(location) as ledger:
        for number in range(80):
            if number % 2:
                model = ModelBoard(rng, rng.choice((0x100, 0x200)))
                for _ in range(rng.randrange(1, 7)):
                    model.opening()
                items = [item for item in model.items if rng.random() < rng.choice((0.8, 1.0))]
                items = items or model.items
            else:
                items = any_journal(rng)
            store(ledger, f"{number:016x}", items, rng)
    with Reader(location) as reader, reader.snapshot():
        known = boards(reader)
        entries = {(entry.board, entry.boot, entry.seq): entry for entry in queries.entries(reader, known)}
        openings = {(opening.board, opening.boot, opening.seq): opening for opening in queries.openings(reader, known)}
    shown = ask(location, "SELECT * FROM v_events")
    assert {(row["board"], row["boot"], row["seq"]) for row in shown} == set(entries)
    sure = 0
    for row in shown:
        entry = entries[row["board"], row["boot"], row["seq"]]
        assert (row["event"], row["reason"]) == (entry.event, entry.reason)
        if not row["doubtful"]:
            sure += 1
            assert (row["wall_ms"], row["unc_ms"]) == (entry.wall_ms, entry.unc_ms), (SEED, row, entry)
    assert sure > len(shown) / 2
    shown = ask(location, "SELECT * FROM v_openings")
    begun = {at for at, entry in entries.items() if entry.event in ("open", "live")}
    assert {(row["board"], row["boot"], row["seq"]) for row in shown} == begun <= set(openings)
    told = 0
    for row in shown:
        opening = openings[row["board"], row["boot"], row["seq"]]
        assert (row["reason"], bool(row["outside"])) == (opening.reason, opening.outside)
        if row["ended"] is not None:
            assert row["ended"] == opening.ended, (SEED, row, opening)
        if row["live_least_ms"] is not None:
            told += 1
            assert row["live_least_ms"] == opening.least_ms, (SEED, row, opening)
        if row["live_most_ms"] is not None:
            assert row["live_most_ms"] == opening.most_ms, (SEED, row, opening)
        if not row["doubtful"]:
            assert (row["wall_ms"], row["cutoff"]) == (opening.start_ms, opening.cutoff), (SEED, row, opening)
    assert told > len(shown) / 4


def test_days_have_the_figures_of_review(berlin, location):
    """Over midnight, over the change of the clocks, over a reset, with a rail that was live outside an opening."""
    zero_ms = local_ms(2026, 10, 24)
    rows = [
        fields(1, 1000, "boot", "power-on"),
        fields(2, 7 * HOUR, "open", "word", score=230, a=80, b=200),
        fields(3, 7 * HOUR + 8000, "close", "timeout", a=7970, b=receipt(7980, 8040)),
        fields(4, 9 * HOUR, "near-miss", "word", score=150, a=140, b=200),
        fields(5, 10 * HOUR, "fault", "mic-clipped", a=9, b=5),
        fields(6, 24 * HOUR - 20_000, "open", "button"),
        fields(7, 24 * HOUR + 30_000, "close", "button", a=50_000, b=receipt(49_980, 50_040)),
        fields(8, 30 * HOUR, "live", "welded", b=100),
        fields(9, 31 * HOUR, "mark", "live", a=HOUR, b=HOUR - 20),
        fields(10, 55 * HOUR, "dead", "", a=25 * HOUR - 10, b=25 * HOUR + 10),
        fields(11, 56 * HOUR, "open", "word", score=210, b=200),
        fields(12, 1000, "boot", "watchdog", boot=2),
        fields(13, 1001, "close", "reset", boot=2, a=700, b=900),
    ]
    with Ledger(location) as ledger:
        taken_ms = [zero_ms + row[2] + (56 * HOUR + 5000 if row[1] == 2 else 0) for row in rows]
        ledger.add(BOARD, seal_all(rows), taken_ms)
        ledger.add_clock_point(BOARD, 1, 0, zero_ms, 50)
        ledger.add_clock_point(BOARD, 2, 0, zero_ms + 56 * HOUR + 5000, 50)
        ledger.set_name(BOARD, "kitchen")
        ledger.set_label(BOARD, 1, 2, False)
    with Reader(location) as reader:
        known = boards(reader)
        report = make_report(reader, known, day_start_ms(date(2026, 10, 24)), day_start_ms(date(2026, 10, 28)))
    shown = {str(row["day"]): row for row in ask(location, "SELECT * FROM v_days")}
    for day in report.days:
        row = shown.pop(day.day.isoformat(), None)
        figures = (day.openings.total(), day.false_openings, day.near_misses, day.boots, day.faults, *day.live)
        if row is None:
            assert figures == (0,) * 7
            continue
        names = ("openings", "false_openings", "near_misses", "boots", "faults", "live_least_ms", "live_most_ms")
        assert tuple(int(row[name]) for name in names) == figures, (day.day, row)
        assert (row["name"], row["doubtful"]) == ("kitchen", 0)
    assert shown == {}
    assert len(report.days) == 4
    at = ask(location, "SELECT at, day FROM v_openings WHERE seq = 6")[0]
    assert str(at["day"]) == "2026-10-24"
    assert (iso_text(zero_ms + 24 * HOUR - 20_000)[:19]).startswith("2026-10-24T23:59:40")
    assert "21:59:40" in str(at["at"].astimezone(__import__("datetime").UTC) if location.url else at["at"])


def test_queries_of_the_page_run_on_both_databases(location):
    with Ledger(location) as ledger:
        ledger.add(BOARD, life(40, zero_ms=ZERO_MS), ZERO_MS + HOUR)
        ledger.add_clock_point(BOARD, 1, 0, ZERO_MS, 50)
    queries_of_page = re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert [name for text in queries_of_page for name in views.NAMES if name in text] == ["v_openings", "v_events", "v_days"]
    for text in queries_of_page:
        sql = text.replace("$__from", str(ZERO_MS)).replace("$__to", str(ZERO_MS + HOUR))
        rows = ask(location, sql)
        assert rows
        if "time" in rows[0]:
            assert ask(location, text.replace("$__from", "0").replace("$__to", "1")) == []
    columns = {name: re.search(rf"\| `{name}` \|.*\| `(.*?)` \|", PAGE.read_text(encoding="utf-8")) for name in views.NAMES[1:]}
    for name, listed in columns.items():
        assert (listed[1] if listed else "").split() == list(ask(location, f"SELECT * FROM {name}")[0]), name


def test_views_are_made_once_and_anew_where_they_differ(location):
    with Ledger(location) as ledger, ledger.transaction() as connection:
        connection.exec_driver_sql("DROP VIEW v_days")
        connection.exec_driver_sql("CREATE VIEW v_days AS SELECT 1 AS other")
    Ledger(location).close()
    assert ask(location, "SELECT * FROM v_days") == [{"other": 1}], "the mark is that of these views: nothing is done"
    with Ledger(location) as ledger, ledger.transaction() as connection:
        connection.execute(sa.update(schema.meta).where(schema.meta.c.key == "views").values(value="another Earlid's"))
    Ledger(location).close()
    assert ask(location, "SELECT * FROM v_days") == []
    assert len(views.statements("sqlite")) == len(views.NAMES)


def test_ledger_with_views_is_verified_purged_and_exported_as_ever(location, tmp_path, capsys):
    with Ledger(location) as ledger:
        ledger.add(BOARD, life(40, zero_ms=ZERO_MS))
    where = location.url or str(location.path)
    assert main(["verify", "--ledger", where]) in (0, 1)
    assert "kitchen" not in capsys.readouterr().out
    before = ask(location, "SELECT COUNT(*) AS n FROM v_events")[0]["n"]
    assert main(["purge", "--everything", "--yes", "--ledger", where]) == 0
    assert before == 40
    assert ask(location, "SELECT COUNT(*) AS n FROM v_events")[0]["n"] == 0
    assert ask(location, "SELECT * FROM v_openings") == ask(location, "SELECT * FROM v_days") == []
