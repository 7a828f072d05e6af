# SPDX-License-Identifier: MIT
"""Acts: what the host adds to a ledger is numbered, linked and signed; older ledgers are taken in as they stand."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from contextlib import suppress

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from earlid.cli import main
from earlid.ledger import acts, installation, schema, views
from earlid.ledger.location import data_dir
from earlid.ledger.reader import Reader
from earlid.ledger.replay import replay
from earlid.ledger.store import Head, Ledger
from synthetic_chains import BOARD, dump, life

T = 1_780_000_000_000
SLOTS = life(40, zero_ms=T)


def acts_of(location):
    """Every act, in the order in which it happened; the body read."""
    sql = "SELECT installation, number, place, kind, body, body_hash, link, signature FROM acts ORDER BY place"
    with Reader(location) as reader:
        return [(*row[:4], json.loads(row[4]), *map(bytes, row[5:])) for row in reader.rows(sql)]


def fill(location, **options):
    with Ledger(location, **options) as ledger:
        ledger.add(BOARD, SLOTS[:30], T)
        ledger.add_clock_point(BOARD, 1, 5_000_000, T + 5_000_000, 50)
        ledger.set_name(BOARD, "kitchen")
        ledger.set_label(BOARD, 1, 2, False)
        ledger.set_label(BOARD, 1, 2, None)
        ledger.add_note(BOARD, "older", "came back older")
        ledger.set_retention("3 months")
        ledger.add(BOARD, SLOTS[28:], T + 9)


def test_every_change_is_an_act_with_the_boards_head(location):
    fill(location, synced=lambda: True)
    made = acts_of(location)
    kinds = [act[3] for act in made]
    assert kinds == ["begin", "took", "clock", "name", "label", "label", "note", "retention", "took"]
    bodies = [act[4] for act in made]
    assert all(body["synced"] is True and len(body["salt"]) == 16 for body in bodies)
    assert bodies[1]["runs"] == [[1, 1, 30, T, T]]
    assert bodies[1]["head"] == [1, 30, SLOTS[29][40:52].hex()]
    assert (bodies[2]["source"], bodies[2]["wall_ms"]) == (2, T + 5_000_000)
    assert [body["label"] for body in bodies[4:6]] == [0, None]
    assert bodies[8]["runs"] == [[1, 31, 40, T + 9, T + 9]], "only what was new"


def test_chain_of_acts_is_linked_and_signed_as_documented(location):
    fill(location)
    seed = bytes.fromhex((data_dir() / "installation.key").read_text())
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    name = hashlib.sha256(public.public_bytes_raw()).hexdigest()[:16]
    before = bytes(32)
    for at, (who, number, place, kind, body, body_hash, link, signature) in enumerate(acts_of(location), 1):
        assert (who, number, place) == (name, at, at)
        text = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
        assert hashlib.sha256(text).digest() == body_hash
        places = number.to_bytes(8, "little") + place.to_bytes(8, "little")
        before = hashlib.sha256(before + name.encode() + places + body_hash + kind.encode()).digest()
        assert link == before
        public.verify(signature, b"earlid act 1\n" + link)
    (head,) = (data_dir() / "heads").iterdir()
    assert head.name == acts_of(location)[0][6].hex()[:16]
    number, place, link = head.read_text().splitlines()[0].split()
    assert (int(number), int(place), link) == (9, 9, before.hex())


def test_nothing_is_signed_for_a_change_that_did_not_happen(location):
    fill(location)
    before = acts_of(location)
    with Ledger(location) as ledger:
        ledger.add(BOARD, SLOTS, T)
        ledger.add(BOARD, life(3, step_ms=7)[2:], T)
        ledger.add_clock_point(BOARD, 1, 5_000_100, T + 5_000_100, 50)
        with suppress(RuntimeError), ledger.transaction() as connection:
            ledger.act(connection, "note", {"board": BOARD, "kind": "x", "say": "y"})
            raise RuntimeError
        assert acts_of(location) == before
        ledger.set_name(BOARD, "attic")
    assert [act[1] for act in acts_of(location)] == list(range(1, 11))


def test_beginning_that_was_rolled_back_leaves_no_trace(location):
    with Ledger(location) as first, Ledger(location) as second:
        with suppress(RuntimeError), first.transaction() as connection:
            first.act(connection, "retention", {"retention": "off"})
            raise RuntimeError
        second.set_name(BOARD, "kitchen")
        first.set_name(BOARD, "attic")
    assert [act[1] for act in acts_of(location)] == [1, 2, 3]
    assert [head.name for head in (data_dir() / "heads").iterdir()] == [acts_of(location)[0][6].hex()[:16]]


def test_acts_of_several_writers_and_installations_have_one_order(location, tmp_path, monkeypatch):
    fill(location)
    code = (
        "import sys; from earlid.ledger.location import locate; from earlid.ledger.store import Ledger\n"
        f"ledger = Ledger(locate({(location.url or str(location.path))!r}))\n"
        f"for i in range(25): ledger.set_label({BOARD!r}, 1, 2, bool(i % 2))\n"
    )
    folders = [str(data_dir()), str(data_dir()), str(tmp_path / "elsewhere")]
    children = [
        subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"EARLID_DATA_DIR": folder}) for folder in folders
    ]
    assert [child.wait() for child in children] == [0, 0, 0]
    made = acts_of(location)
    assert [act[2] for act in made] == list(range(1, len(made) + 1))
    mine = made[0][0]
    assert [act[1] for act in made if act[0] == mine] == list(range(1, 9 + 50 + 1))
    assert [act[1] for act in made if act[0] != mine] == list(range(1, 25 + 2))
    head = installation.read_head(made[0][6])
    assert head.number == 59


def test_installation_key_is_made_once_and_for_its_owner_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("EARLID_DATA_DIR", str(tmp_path / "fresh" / "deep"))
    assert installation.installation(make=False) is None
    names = []
    threads = [threading.Thread(target=lambda: names.append(installation.installation().name)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 8
    assert len(set(names)) == 1
    assert stat.S_IMODE(installation.key_path().stat().st_mode) == 0o600
    assert [path.name for path in installation.key_path().parent.iterdir()] == ["installation.key"]


@pytest.mark.parametrize("text", ["", "zz", "00" * 31, "00" * 33])
def test_damaged_installation_key_is_a_sentence_and_changes_nothing(sqlite_location, capsys, text):
    fill(sqlite_location)
    before = acts_of(sqlite_location)
    installation.key_path().write_text(text)
    assert main(["review", "name", BOARD[:4], "attic", "--ledger", str(sqlite_location.path)]) == 2
    assert "holds no key of this installation" in capsys.readouterr().err
    assert acts_of(sqlite_location) == before


def as_version_1(location):
    """Tables and rows as a ledger of Earlid 0.2 has them."""
    with Ledger(location) as ledger, ledger.transaction() as connection:
        for statement in views.removals():
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql("DROP TABLE acts")
        connection.exec_driver_sql("CREATE TABLE points AS SELECT board_id, boot, ms, wall_ms, unc_ms FROM clock_points")
        connection.exec_driver_sql("DROP TABLE clock_points")
        connection.exec_driver_sql(
            "CREATE TABLE clock_points (board_id INTEGER NOT NULL, boot BIGINT NOT NULL, ms BIGINT NOT NULL, "
            "wall_ms BIGINT NOT NULL, unc_ms BIGINT NOT NULL, PRIMARY KEY (board_id, boot, ms))"
        )
        connection.exec_driver_sql("INSERT INTO clock_points SELECT * FROM points")
        connection.exec_driver_sql("DROP TABLE points")
        connection.execute(sa.update(schema.meta).where(schema.meta.c.key == "version").values(value="1"))
    shutil.rmtree(data_dir())


def test_ledger_of_version_1_is_read_as_it_is_and_upgraded_for_writing(location, capsys):
    fill(location)
    with Ledger(location) as ledger:
        ledger.set_label(BOARD, 1, 4, True)
        ledger.add_anchor(BOARD, Head(1, 40, SLOTS[39][40:52]))
    points = dump(location, "clock_points")
    as_version_1(location)
    with Reader(location) as reader:
        assert reader.rows("SELECT COUNT(*) FROM acts") == [(0,)]
        assert {row[3] for row in reader.rows("SELECT board_id, boot, ms, source FROM clock_points")} == {1}
        assert reader.rows("SELECT value FROM meta WHERE key = 'version'") == [("1",)]
    where = location.url or str(location.path)
    assert main(["review", "--since", "2020-01-01", "--ledger", where]) == 0
    assert main(["verify", "--ledger", where]) == 1
    assert "Cannot judge what a computer added: nobody signed it" in capsys.readouterr().out
    kept = {table: dump(location, table) for table in ("records", "labels", "notes", "anchors", "boots", "tallies")}
    Ledger(location).close()
    assert dump(location, "clock_points") == points
    assert {table: dump(location, table) for table in kept} == kept
    begin, adopted, span = acts_of(location)
    assert [act[3] for act in (begin, adopted, span)] == ["begin", "adopt", "adopt"]
    assert adopted[4]["runs"] == [[1, 1, 40, T, T + 9]]
    assert {table: len(rows) for table, rows in adopted[4]["tables"].items()} == {
        "labels": 1, "anchors": 1, "notes": 1, "clock_points": 1,
    }  # fmt: skip
    assert adopted[4]["name"] == "kitchen"
    assert span[4]["retention"] == "3 months"
    Ledger(location).close()
    assert len(acts_of(location)) == 3
    assert main(["verify", "--ledger", where]) == 0
    assert "taken as it stood, and is not vouched for" in capsys.readouterr().out


def test_review_does_not_import_the_signing_library(sqlite_location):
    fill(sqlite_location)
    code = "import sys; from earlid.cli import main; main(sys.argv[1:]); print('cryptography' in sys.modules)"
    words = ["review", "--ledger", str(sqlite_location.path)]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_board_points_do_not_depend_on_the_order_in_which_records_came(location):
    with Ledger(location) as ledger:
        ledger.add("ffff", life(120, board="ffff", zero_ms=T, step_ms=1_800_000), T)
        for first in (60, 0, 90, 30):
            ledger.add(BOARD, life(120, zero_ms=T, step_ms=1_800_000)[first : first + 30], T)
    with Reader(location) as reader:
        one, other = ([row[1:] for row in dump(location, "clock_points") if row[0] == board] for board in (1, 2))
        assert reader.rows("SELECT COUNT(*) FROM clock_points WHERE source NOT IN (0, 4)") == [(0,)]
    assert one == other
    assert len(one) > 5


PURGED = {
    "boot_from": 1, "seq_from": 1, "boot_to": 1, "seq_to": 1, "count": 1, "head_before": None, "head_after": "00", "at_ms": 1,
    "why": "",
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("clock", '"ms":NaN'), ("clock", '"ms":1.0'), ("clock", '"ms":-1'), ("clock", '"ms":9007199254740992'),
        ("clock", '"x":1e3'),
        ("took", '"runs":{}'), ("took", '"runs":[[1,1,7,0]]'), ("took", '"head":[1,7,"aa bb"]'), ("took", '"board":[]'),
        ("purge", '"redacts":{}'), ("purge", '"runs":""'), ("import", '"tables":{"labels":{}}'), ("import", '"tables":[]'),
        ("purge", f'"runs":[{json.dumps(PURGED | {"head_before": "x"})}]'),
    ],
)  # fmt: skip
def test_act_of_a_body_that_readers_differ_on_is_unread(kind, change):
    right = {
        "clock": '"boot":1,"ms":1,"source":1,"wall_ms":1,"unc_ms":1', "took": '"runs":[[1,1,7,0,0]]',
        "purge": f'"redacts":[],"runs":[{json.dumps(PURGED)}]', "import": '"runs":[]',
    }[kind]  # fmt: skip
    for extra, unread in (("", 0), ("," + change, 1)):
        body = f'{{"board":"{BOARD}",{right}{extra}}}'
        account = replay([acts.Act("00" * 8, 1, 1, kind, body, b"", b"", b"")])
        assert len(account.unread) == unread
