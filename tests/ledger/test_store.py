# SPDX-License-Identifier: MIT
"""The ledger open for writing, on SQLite and PostgreSQL: idempotent, durable, safe beside other writers, clear errors."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import sqlite3
import stat
import struct
import subprocess
import sys
import threading
import time

import pytest
import sqlalchemy as sa
from earlid.cli import main
from earlid.errors import UserError
from earlid.ledger import store
from earlid.ledger.boards import boards, pick_boards
from earlid.ledger.boot_clocks import LedgerClocks
from earlid.ledger.judge import judge
from earlid.ledger.location import locate
from earlid.ledger.queries import RecordTotals, totals
from earlid.ledger.reader import Reader
from earlid.ledger.schema import metadata
from earlid.ledger.store import Ledger
from earlid.ledger.version import VERSION
from synthetic_chains import BOARD, KEYS, dump, life

SLOTS = life(200)


def raise_version(ledger):
    """As a later Earlid would leave it."""
    with ledger.transaction() as connection:
        connection.execute(sa.update(metadata.tables["meta"]).values(value=str(VERSION + 1)))


def count(location):
    with Reader(location) as reader:
        return reader.rows("SELECT COUNT(*) FROM records")[0][0]


def content(location):
    """All bytes of the file; on a server, all rows."""
    if location.path:
        return location.path.read_bytes()
    engine = sa.create_engine(location.url, poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        return [sorted(map(tuple, connection.execute(sa.select(table)))) for table in metadata.sorted_tables]


def test_adding_records_is_idempotent(location):
    with Ledger(location) as ledger:
        first = ledger.add(BOARD, SLOTS, 5)
        before = [dump(location, table) for table in ("records", "tallies", "boots")]
        again = ledger.add(BOARD, SLOTS[50:100] + SLOTS[50:60], 9)
    assert (first.new, first.known) == (200, 0)
    assert (again.new, again.known) == (0, 60)
    assert [dump(location, table) for table in ("records", "tallies", "boots")] == before


def test_records_in_any_order_give_the_same_ledger(location):
    mixed = SLOTS[:]
    random.Random(1).shuffle(mixed)
    with Ledger(location) as ledger:
        for i in range(0, 200, 37):
            ledger.add(BOARD, mixed[i : i + 37], 5)
        assert ledger.head(BOARD).seq == 200
    with Reader(location) as reader:
        judged = judge(reader, boards(reader)[0], KEYS)
    assert judged.exit_code == 0
    assert judged.records == 200


def test_batch_with_a_conflicting_record_is_refused(location):
    with Ledger(location) as ledger:
        ledger.add(BOARD, SLOTS[:10])
        added = ledger.add(BOARD, [*life(10, step_ms=77)[5:6], *SLOTS[10:20]])
    assert (added.new, added.conflicts) == (0, ((1, 6),))
    assert count(location) == 10


def test_totals_of_any_range_equal_the_records_counted(location):
    zero_ms = 1_790_000_000_000
    slots = life(500, step_ms=1_500_000, zero_ms=zero_ms)
    with Ledger(location) as ledger:
        ledger.add(BOARD, slots)
        ledger.add("ffff", life(30, board="ffff"))
    with Reader(location) as reader:
        chosen = pick_boards(reader, [BOARD])
        every = totals(reader, chosen)
        half_ms = zero_ms + 250 * 1_500_000 + 1
        parts = [totals(reader, chosen, None, half_ms), totals(reader, chosen, half_ms, None)]
    assert every.records == 500
    assert parts[0].records + parts[1].records == 500
    assert abs(parts[0].records - 251) <= 1
    assert isinstance(every, RecordTotals)
    assert every.counts["boot", "power-on"] == 1


def test_names_labels_notes_and_settings_persist(location):
    with Ledger(location) as ledger:
        ledger.add(BOARD, SLOTS[:3])
        ledger.set_name(BOARD, "kitchen")
        ledger.set_label(BOARD, 1, 2, False)
        ledger.set_label(BOARD, 1, 2, True)
        ledger.add_note(BOARD, "older", "came back older")
        ledger.set_retention("3 months")
    with Ledger(location) as ledger:
        assert ledger.setting("retention") == "3 months"
    with Reader(location) as reader:
        assert boards(reader)[0].title == "kitchen"
        assert pick_boards(reader, ["KITCHEN"]) == pick_boards(reader, ["0011"])
        assert reader.rows("SELECT seq, label FROM labels") == [(2, 1)]
        with pytest.raises(UserError, match="no board is called"):
            pick_boards(reader, ["cellar"])
    with Ledger(location) as ledger:
        ledger.set_label(BOARD, 1, 2, None)
    assert dump(location, "labels") == []


_WRITER = """
import sys
sys.path.insert(0, {tests!r})
from synthetic_chains import BOARD, life
from earlid.ledger.location import locate
from earlid.ledger.schema import metadata
from earlid.ledger.store import Ledger
slots = life({size})
with Ledger(locate({where!r})) as ledger:
    print("ready", flush=True)
    sys.stdin.readline()
    for i in range(0, len(slots), {step}):
        ledger.add(BOARD, slots[i : i + {step} + {overlap}])
        print(min(i + {step}, len(slots)), flush=True)
"""


def writer(location, size, step, overlap=0):
    """A process that adds `life(size)` once told to go; it says how many records are surely stored."""
    where = location.url or str(location.path)
    code = _WRITER.format(tests=os.path.dirname(__file__), where=where, size=size, step=step, overlap=overlap)
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_concurrent_writers_wait_for_each_other(location):
    children = [writer(location, 600, step, overlap=3) for step in (7, 20)]
    assert [child.stdout.readline() for child in children] == ["ready\n"] * 2
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        assert child.communicate()[0].split()[-1] == "600"
        assert child.returncode == 0
    with Reader(location) as reader:
        assert judge(reader, boards(reader)[0], KEYS).exit_code == 0
        assert totals(reader, boards(reader)).records == 600
    assert count(location) == 600


def test_concurrent_creation_makes_one_ledger(location):
    start = threading.Barrier(4)
    troubles = []

    def make():
        start.wait()
        try:
            Ledger(location).close()
        except UserError as error:
            troubles.append(str(error))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not troubles


def test_newer_ledger_version_is_refused_unchanged(location, capsys):
    with Ledger(location) as ledger:
        ledger.add(BOARD, SLOTS)
        raise_version(ledger)
    before = content(location)
    for openings in (Ledger, Reader):
        with pytest.raises(UserError, match=r"newer Earlid.*Update.*Nothing was changed") as caught:
            openings(location)
        assert caught.value.code == 2
    for words in (["watch", "--once"], ["review"], ["verify"], ["export"], ["purge", "--everything", "--yes"]):
        assert main([*words, "--ledger", location.url or str(location.path)]) == 2, words
        assert "newer Earlid" in capsys.readouterr().err
    assert content(location) == before


def test_ledger_files_have_mode_0600(sqlite_location):
    with Ledger(sqlite_location) as ledger:
        ledger.add(BOARD, SLOTS)
        for path in sqlite_location.path.parent.glob("ledger*"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


@pytest.mark.parametrize("commits", [1, 7, 23])
def test_killed_writer_loses_and_doubles_no_committed_record(location, commits):
    child = writer(location, 20_000, 200)
    child.stdin.write("go\n")
    child.stdin.flush()
    assert child.stdout.readline() == "ready\n"
    acknowledged = [int(child.stdout.readline()) for _ in range(commits)][-1]
    time.sleep(random.Random(commits).random() * 0.01)
    child.send_signal(signal.SIGKILL)
    acknowledged = max([acknowledged, *map(int, child.stdout.read().split())])
    child.wait()
    with Ledger(location) as ledger:  # on a server, waits for the killed one's transaction to end
        ledger.add(BOARD, life(1))
        stored = count(location)
        assert stored >= acknowledged
        assert stored % 200 == 0
        ledger.add(BOARD, life(6000))
    with Reader(location) as reader:
        judged = judge(reader, boards(reader)[0], KEYS)
    assert (judged.exit_code, judged.records) == (0, max(6000, stored))


def test_server_that_is_held_is_an_error_in_time_and_then_goes_on(postgres_location, monkeypatch):
    import sqlalchemy as sa

    monkeypatch.setattr(store, "BUSY_TIMEOUT_MS", 1000)
    engine = sa.create_engine(postgres_location.url)
    with Ledger(postgres_location) as ledger:
        ledger.add(BOARD, SLOTS[:100])
        with engine.begin() as other:
            other.exec_driver_sql("LOCK TABLE records IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(UserError, match=r"another program has held the ledger .* for too long"):
                ledger.add(BOARD, SLOTS[100:])
        assert ledger.add(BOARD, SLOTS[100:]).new == 100
    engine.dispose()


def test_server_crash_is_an_error_and_loses_no_committed_record(postgres_location, postgres_server):
    with Ledger(postgres_location) as ledger, Reader(postgres_location) as reader:
        ledger.add(BOARD, SLOTS[:100])
        postgres_server.crash()
        for work in (lambda: ledger.add(BOARD, SLOTS[100:]), lambda: reader.rows("SELECT COUNT(*) FROM records")):
            with pytest.raises(UserError, match=r"no database answers at .*Start it"):
                work()
        assert count(postgres_location) == 100
        ledger.add(BOARD, SLOTS)  # the same ledger goes on, as `watch` does
    with Reader(postgres_location) as reader:
        assert judge(reader, boards(reader)[0], KEYS).exit_code == 0
    assert count(postgres_location) == 200


def without_privilege():
    """Gives up root's power over files, as far as this process has it: capset(2), version 3, no capability."""
    header, none = struct.pack("<Ii", 0x20080522, 0), bytes(24)
    assert ctypes.CDLL(None).capset(header, none) == 0


def test_read_only_disk_can_be_read_and_writing_is_an_error(sqlite_location, tmp_path, capfd):
    with Ledger(sqlite_location) as ledger:
        ledger.add(BOARD, SLOTS)
    # Root may write everywhere: a child does it. The verbs run once before, so that all they import is there.
    words = [["verify", "--ledger", str(sqlite_location.path)], ["purge", "--ledger", str(sqlite_location.path)]]
    assert [main(each) for each in words] == [0, 0]
    capfd.readouterr()
    os.chmod(sqlite_location.path, 0o400)
    os.chmod(tmp_path, 0o500)
    try:
        for each, code in zip(words, (0, 1), strict=True):
            child = os.fork()
            if child == 0:
                try:
                    without_privilege()
                    os._exit(main(each))
                finally:
                    os._exit(99)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code
    finally:
        os.chmod(tmp_path, 0o700)
    output = capfd.readouterr()
    assert "Intact" in output.out
    assert "cannot be written" in output.err


def test_file_that_is_no_ledger_is_an_error(tmp_path):
    text = tmp_path / "text.sqlite"
    text.write_text("no database at all, " * 100)
    other = tmp_path / "other.sqlite"
    sqlite3.connect(other).execute("CREATE TABLE a (b)").connection.commit()
    for path in (text, other):
        with pytest.raises(UserError, match="not an Earlid ledger"):
            Reader(locate(str(path)))
        with pytest.raises(UserError, match="not an Earlid ledger"):
            Ledger(locate(str(path)))
    assert sqlite3.connect(other).execute("SELECT name FROM sqlite_master").fetchall() == [("a",)]
    (tmp_path / "begun.sqlite").touch()  # as `watch` does first
    for name in ("none.sqlite", "begun.sqlite"):
        with pytest.raises(UserError, match=r"there is no ledger at .* yet"):
            Reader(locate(str(tmp_path / name)))
    with pytest.raises(UserError, match="name a file or a postgresql"):
        locate("mysql://root:secret@host/db")


def test_unreachable_server_is_an_error():
    pytest.importorskip("psycopg")
    with pytest.raises(UserError, match="no database answers") as caught:
        Ledger(locate("postgresql://someone:secret@127.0.0.1:1/none"))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("seed", [6, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(100, 120))])
def test_flipped_bit_is_found_and_never_crashes(sqlite_location, tmp_path, capsys, monkeypatch, seed):
    zero_ms = 1_795_000_000_000 + seed * 123_457
    monkeypatch.setattr(store, "now_ms", lambda: zero_ms + 90_000_000)  # the same file every time
    with Ledger(sqlite_location) as ledger:
        ledger.add(BOARD, life(300, zero_ms=zero_ms, step_ms=60_000))
    whole = sqlite_location.path.read_bytes()
    with Reader(sqlite_location) as reader:
        chosen = boards(reader)
        clean = judge(reader, chosen[0], KEYS).exit_code
        assert LedgerClocks(reader, chosen).wall(chosen[0].id, 1, 1000)[0] == zero_ms + 1000
    assert clean == 0
    rng = random.Random(seed)
    codes = []
    for trial in range(120):
        damaged = bytearray(whole)
        at = rng.randrange(100, len(whole))
        damaged[at] ^= 1 << rng.randrange(8)
        path = tmp_path / f"{trial}.sqlite"
        path.write_bytes(damaged)
        for words in (["verify"], ["review", "--since", "2026-11-18", "--until", "2026-11-20", "--json"]):
            try:
                code = main([*words, "--ledger", str(path)])
            except Exception as error:
                pytest.fail(f"seed {seed}, trial {trial}, byte {at}, {words[0]}: {error!r}")
            capsys.readouterr()
            assert code in (0, 1, 2, 4), f"seed {seed}, trial {trial}, byte {at}"
            codes.append((words[0], code))
        path.unlink()
    assert codes.count(("verify", 4)) > 20  # many bits lie in free space or in what can be derived again


def test_damage_in_unreadable_text_is_an_error(sqlite_location, capsys):
    with Ledger(sqlite_location) as ledger:
        ledger.add(BOARD, SLOTS)
    whole = sqlite_location.path.read_bytes()
    sqlite_location.path.write_bytes(whole.replace(b"NOT NULL", b"NOT N\xd5LL", 1))
    for words in (["verify"], ["review"], ["purge"], ["export"]):
        assert main([*words, "--ledger", str(sqlite_location.path)]) == 4, words
        assert "is damaged (malformed database schema" in capsys.readouterr().err
    with pytest.raises(UserError, match="is damaged"):
        Ledger(sqlite_location)
