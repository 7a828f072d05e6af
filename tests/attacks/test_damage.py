# SPDX-License-Identifier: MIT
"""A ledger damaged in whatever way is told as damaged, and never judged intact; no verb ends in a traceback."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from earlid.cli import main
from earlid.ledger import purge
from earlid.ledger.boards import boards
from earlid.ledger.location import locate
from earlid.ledger.reader import Reader
from earlid.ledger.store import Head, Ledger
from lid import record

from tests.outputs import parse_output

BOARD, OTHER = "00112233aabbccdd", "ffeeddcc00112233"
T = 1_795_000_000_000
PAGE = 4096
CHUNKS, EVERY_TIME, TRIALS = 20, 1, 32  # 32 damages each time, 608 more under `make soak`
TABLES = ("meta", "boards", "records", "clock_points", "anchors", "labels", "purges", "notes", "boots", "tallies", "acts")
VALUES = (
    "NULL", "'text'", "x'00ff'", "1.5", "9223372036854775807", "-9223372036854775808", "1e300", "CAST(x'eda080' AS TEXT)",
    "CAST(x'ff' AS TEXT)", "''", "-1", "99999999999999", "x''", "'9'", "char(0)",
)  # fmt: skip


def life(board, count):
    """Slots of openings, a minute each."""
    prev, slots = record.genesis(board), []
    for seq in range(1, count + 1):
        event, reason, a = (("close", "timeout", 8000), ("open", "word", 80))[seq % 2]
        body = record.make_body(
            [seq, 1, seq * 60_000, event, reason, 230, record.CLOCK_SET, 5000, 3300, 3300, T + seq * 60_000, 60, a, 200]
        )
        slot, prev = record.seal(bytes(32), prev, body)
        slots.append(slot)
    return slots


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The file of a ledger of two boards with all that a ledger may have."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("whole")
        patch.setenv("EARLID_DATA_DIR", str(folder / "data"))
        location = locate(str(folder / "ledger.sqlite"))
        with Ledger(location) as ledger:
            slots = life(BOARD, 200)
            ledger.add(BOARD, slots, T + 400 * 60_000)
            ledger.add(OTHER, life(OTHER, 30), T + 400 * 60_000)
            ledger.add_anchor(BOARD, Head(1, 200, slots[-1][40:52]))
            ledger.set_label(BOARD, 1, 61, False)
            ledger.set_name(BOARD, "kitchen")
            ledger.add_note(BOARD, "older", "odd")
            with Reader(location) as reader:
                day = purge.between(
                    "2026-11-18", datetime.fromtimestamp(T / 1000 + 20 * 60).isoformat(" ", "seconds"), datetime.now()
                )
                purge.purge(ledger, purge.find(ledger, boards(reader)[:1], day).runs, "test")
    return location.path


def damage_values(path, rng):
    """Drops and renames, and values of any kind in tables that hold any kind."""
    table = rng.choice(TABLES)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA legacy_alter_table = ON")  # the views do not forbid it
        column = rng.choice([name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")])
        kind = rng.choice(("drop", "rename", "rename column", "empty", "value", "value", "value", "value", "value"))
        if kind == "drop":
            connection.execute(f"DROP TABLE {table}")
        elif kind == "rename":
            connection.execute(f"ALTER TABLE {table} RENAME TO other")
        elif kind == "rename column":
            connection.execute(f"ALTER TABLE {table} RENAME COLUMN {column} TO other")
        elif kind == "empty":
            connection.execute(f"DELETE FROM {table}")
        else:
            kind = f"{column} = {rng.choice(VALUES)}"
            connection.execute(f"CREATE TABLE loose AS SELECT * FROM {table}")
            connection.execute(f"DROP TABLE {table}")
            connection.execute(f"ALTER TABLE loose RENAME TO {table}")
            connection.execute(f"UPDATE {table} SET {kind} WHERE rowid % {rng.choice((1, 3))} = 0")
    return f"{table}: {kind}"


def damage_bytes(path, rng):
    """Bits, bytes, pages, the end of the file."""
    data = bytearray(path.read_bytes())
    pages = len(data) // PAGE
    kind = rng.choice(("bit", "bytes", "cut", "zeros", "page"))
    at, other = rng.randrange(len(data)), rng.randrange(pages) * PAGE
    if kind == "bit":
        data[at] ^= 1 << rng.randrange(8)
    elif kind == "bytes":
        for _ in range(20):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif kind == "cut":
        del data[at:]
    else:
        data[at // PAGE * PAGE : at // PAGE * PAGE + PAGE] = bytes(PAGE) if kind == "zeros" else data[other : other + PAGE]
    path.write_bytes(data)
    return f"{kind} at {at}"


def verbs(folder):
    """Every verb that opens a ledger, told to do all it can."""
    when = ["--since", "2026-11-18", "--until", "2026-11-20"]
    return (
        ["verify"], ["verify", "--json"], ["review", *when], ["review", *when, "--csv"], ["review", *when, "--json"],
        ["review", "--html", str(folder / "page.html")], ["review", "label", "61", "true"], ["review", "name", "kitchen", "x"],
        ["export", "-o", str(folder / "out.jsonl")], ["export", "--format", "csv", "-o", str(folder / "out.csv")],
        ["export", "--backup", str(folder / "copy.sqlite")], ["export", "--import", str(folder / "good.jsonl")],
        ["purge", "--list"], ["purge", "--dry-run"], ["purge", "--everything", "--yes"],
        ["watch", "--once", "--port", str(folder / "none")], ["doctor", "--port", str(folder / "none")],
    )  # fmt: skip


@pytest.mark.parametrize("chunk", [pytest.param(i, marks=[pytest.mark.soak][: i >= EVERY_TIME]) for i in range(CHUNKS)])
def test_no_damage_ends_in_a_traceback_or_is_judged_intact(whole, tmp_path, capsys, chunk):
    assert main(["export", "-o", str(tmp_path / "good.jsonl"), "--ledger", str(whole)]) == 0
    for trial in range(TRIALS):
        seed = chunk * 1000 + trial
        every = verbs(tmp_path)
        for i, words in enumerate([every[0], *every[1 + trial % 3 :: 3]]):
            path = tmp_path / f"{seed}-{i}.sqlite"
            shutil.copyfile(whole, path)
            rng = random.Random(seed)
            what = rng.choice((damage_values, damage_bytes))(path, rng)
            where = [] if words[0] == "doctor" else ["--ledger", str(path)]
            try:
                code = main([*words, *where])
            except BaseException as error:
                pytest.fail(f"seed {seed}, {what}, {' '.join(words)}: {error!r}")
            captured = capsys.readouterr()
            assert code in (0, 1, 2, 3, 4), f"seed {seed}, {what}, {words}"
            if words == ["verify"]:
                with closing(sqlite3.connect(path)) as connection:
                    try:
                        sound = connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
                    except (sqlite3.Error, UnicodeDecodeError):
                        sound = False
                if not sound:
                    assert "Intact" not in captured.out, f"seed {seed}, {what}: {captured.out}"
                    assert code in (2, 4), f"seed {seed}, {what}: {captured}"
            for file in tmp_path.glob(f"{seed}-{i}.sqlite*"):
                file.unlink()


def damaged_copy(whole, tmp_path, sql):
    path = tmp_path / "damaged.sqlite"
    shutil.copyfile(whole, path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(sql)
    return path


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("DROP TABLE notes", "its table `notes` is missing"),
        ("ALTER TABLE clock_points RENAME COLUMN wall_ms TO x", "its table `clock_points` has no `wall_ms`"),
        ("UPDATE labels SET label = 'yes'", "in its table `labels`, `label` has a value that Earlid never wrote"),
        ("UPDATE boots SET last_ms = 99999999999999999", "in its table `boots`, `last_ms` has a value that Earlid never wrote"),
        ("UPDATE boots SET boot = 9223372036854775807", "in its table `boots`, `boot` has a value that Earlid never wrote"),
        ("UPDATE boards SET name = CAST(x'eda080' AS TEXT)", "Could not decode"),
    ],
)
def test_damage_is_told_in_a_sentence_and_nothing_is_intact(whole, tmp_path, capsys, sql, sentence):
    path = damaged_copy(whole, tmp_path, sql)
    assert main(["verify", "--ledger", str(path)]) == 4
    captured = capsys.readouterr()
    assert sentence in captured.out + captured.err
    assert "Intact" not in captured.out


def test_damage_costs_no_verdict_on_the_boards(whole, tmp_path, capsys):
    path = damaged_copy(whole, tmp_path, "DROP TABLE notes; UPDATE records SET a = a + 1 WHERE seq = 150")
    assert main(["verify", "--json", "--ledger", str(path)]) == 4
    found = {
        item["board"]: [finding["verdict"] for finding in item["findings"]]
        for item in parse_output("verify", capsys.readouterr().out)
    }
    assert "altered" in found[BOARD]
    assert found[OTHER] == ["cannot judge"]


def test_index_that_hides_records_from_review_is_damage(whole, tmp_path, capsys):
    # An index that was made over part of the table: what is searched by time is not there, what is walked is.
    script = (
        "PRAGMA writable_schema = ON; CREATE INDEX part ON records (board_id, boot, ms) WHERE seq < 100;"
        "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE name = 'part') "
        "WHERE name = 'records_by_ms';"
        "DELETE FROM sqlite_master WHERE name = 'part';"
    )
    path = damaged_copy(whole, tmp_path, script)
    assert main(["verify", "--ledger", str(path)]) == 4
    captured = capsys.readouterr()
    assert "Damaged" in captured.out
    assert "Intact" not in captured.out


def test_truncated_ledger_is_told_as_damaged(whole, tmp_path, capsys):
    path = tmp_path / "cut.sqlite"
    for pages in range(1, whole.stat().st_size // PAGE):
        path.write_bytes(whole.read_bytes()[: pages * PAGE])
        assert main(["verify", "--ledger", str(path)]) == 4, pages
        captured = capsys.readouterr()
        assert "amaged" in captured.out + captured.err, pages
        assert "Intact" not in captured.out, pages


@pytest.mark.parametrize("verb", ["verify", "review", "export", "purge"])
def test_folder_or_device_is_no_ledger(tmp_path, capsys, verb):
    for path in (tmp_path, Path("/dev/null")):
        assert main([verb, "--ledger", str(path)]) == 2
        assert "is no file: name the ledger's file" in capsys.readouterr().err


@pytest.mark.parametrize("cut", [0.0, 0.5, 0.9])
def test_log_that_was_cut_after_a_crash_is_told(tmp_path, capsys, cut):
    location = locate(str(tmp_path / "ledger.sqlite"))
    kept = {}
    with Ledger(location) as ledger:
        slots = life(BOARD, 120)
        ledger.add(BOARD, slots[:40], T)
        ledger.checkpoint()
        for at in range(40, 120, 10):
            ledger.add(BOARD, slots[at : at + 10], T)
        for file in (location.path, location.path.with_name("ledger.sqlite-wal")):
            kept[file] = file.read_bytes()
    for file, data in kept.items():  # as a crash leaves them, but for the end of the log
        file.write_bytes(data if file == location.path else data[: int(len(data) * cut)])
    assert main(["verify", "--ledger", str(location.path)]) == 4
    assert "Tail cut: the acts of this computer" in capsys.readouterr().out
