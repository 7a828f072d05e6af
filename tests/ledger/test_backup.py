# SPDX-License-Identifier: MIT
"""Backups: whole, private, made beside a writer; never of a damaged ledger, never onto itself."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import threading

import pytest
from earlid.cli import main
from earlid.ledger.location import locate
from earlid.ledger.store import Ledger
from synthetic_chains import BOARD, dump, life

SLOTS = life(400)


def back_up(location, path):
    return main(["export", "--backup", str(path), "--ledger", location.url or str(location.path)])


def test_backup_beside_a_writer_has_all_and_verifies(sqlite_location, tmp_path, capsys):
    path = tmp_path / "copy.sqlite"
    with Ledger(sqlite_location) as ledger:  # its records are in the log alone
        ledger.add(BOARD, SLOTS)
        assert back_up(sqlite_location, path) == 0
    assert "400 records backed up" in capsys.readouterr().err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert dump(locate(str(path))) == dump(sqlite_location)
    assert main(["verify", "--ledger", str(path)]) == 0
    assert sorted(item.name for item in tmp_path.iterdir() if item.name.startswith((".", "copy"))) == ["copy.sqlite"]


def test_backup_while_records_come_is_of_one_moment(sqlite_location, tmp_path):
    ended = threading.Event()
    with Ledger(sqlite_location) as ledger:
        ledger.add(BOARD, SLOTS[:1])

        def collect():
            for slot in SLOTS[1:]:
                if ended.is_set():
                    break
                ledger.add(BOARD, [slot])

        thread = threading.Thread(target=collect)
        thread.start()
        for i in range(5):
            assert back_up(sqlite_location, tmp_path / f"{i}.sqlite") == 0
            assert main(["verify", "--ledger", str(tmp_path / f"{i}.sqlite")]) == 0
        ended.set()
        thread.join()


def test_plain_copy_after_a_checkpoint_has_all(sqlite_location, tmp_path):
    path = tmp_path / "copy.sqlite"
    with Ledger(sqlite_location) as ledger:
        ledger.add(BOARD, SLOTS)
        ledger.checkpoint()
        shutil.copyfile(sqlite_location.path, path)
    assert len(dump(locate(str(path)))) == 400


def test_checkpoint_never_waits_for_a_reader(location):
    from earlid.ledger.reader import Reader

    with Ledger(location) as ledger:
        ledger.add(BOARD, SLOTS[:100])
        with Reader(location) as reader, reader.snapshot():
            reader.rows("SELECT COUNT(*) FROM records")
            ledger.add(BOARD, SLOTS[100:])
            ledger.checkpoint()
            assert reader.rows("SELECT COUNT(*) FROM records") == [(100,)]


def test_backup_of_a_damaged_ledger_is_refused(sqlite_location, tmp_path, capsys):
    with Ledger(sqlite_location) as ledger:
        ledger.add(BOARD, SLOTS)
    data = sqlite_location.path.read_bytes()
    sqlite_location.path.write_bytes(data[: len(data) // 2 // 4096 * 4096])
    path = tmp_path / "copy.sqlite"
    path.write_text("as it was")
    assert back_up(sqlite_location, path) == 4
    assert "is damaged" in capsys.readouterr().err
    assert path.read_text() == "as it was"


def test_backup_onto_the_ledger_itself_is_refused(sqlite_location, tmp_path, capsys):
    with Ledger(sqlite_location) as ledger:
        ledger.add(BOARD, SLOTS)
    os.link(sqlite_location.path, tmp_path / "same.sqlite")
    before = sqlite_location.path.read_bytes()
    assert back_up(sqlite_location, tmp_path / "same.sqlite") == 2
    assert "is the ledger itself" in capsys.readouterr().err
    assert sqlite_location.path.read_bytes() == before


def test_backup_of_a_ledger_on_a_server_names_pg_dump(postgres_location, tmp_path, capsys):
    with Ledger(postgres_location) as ledger:
        ledger.add(BOARD, SLOTS[:2])
    assert back_up(postgres_location, tmp_path / "copy.sqlite") == 2
    assert "pg_dump" in capsys.readouterr().err


def test_backup_opens_for_writing_again(sqlite_location, tmp_path):
    with Ledger(sqlite_location) as ledger:
        ledger.add(BOARD, SLOTS[:10])
    path = tmp_path / "copy.sqlite"
    assert back_up(sqlite_location, path) == 0
    with Ledger(locate(str(path))) as ledger:
        assert ledger.add(BOARD, SLOTS[10:20]).new == 10
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)


@pytest.mark.parametrize("name", ["none/copy.sqlite", "."])
def test_backup_that_cannot_be_written_is_an_error(sqlite_location, tmp_path, capsys, name):
    with Ledger(sqlite_location) as ledger:
        ledger.add(BOARD, SLOTS[:10])
    assert back_up(sqlite_location, tmp_path / name) == 1
    assert "cannot write" in capsys.readouterr().err
