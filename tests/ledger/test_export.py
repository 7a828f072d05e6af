# SPDX-License-Identifier: MIT
"""Exports: complete, verifiable, imported unchanged; refused when altered, cut or in conflict."""

from __future__ import annotations

import csv
import json
import stat

import pytest
from earlid.cli import main
from earlid.ledger import keys, purge
from earlid.ledger.acts import Act
from earlid.ledger.anchor_code import make_code
from earlid.ledger.boards import boards
from earlid.ledger.location import locate
from earlid.ledger.reader import Reader
from earlid.ledger.store import Head, Ledger
from synthetic_chains import BOARD, KEY, dump, life

from tests.outputs import parse_output

T = 1_780_000_000_000
# Tables and how many of their columns an import brings: when a record was taken is when this computer took it.
TABLES = {"records": -1, "purges": None, "labels": None, "clock_points": None, "tallies": None, "boots": -2}


@pytest.fixture
def filled(location):
    slots = life(120, zero_ms=T)
    with Ledger(location) as ledger:
        ledger.add(BOARD, slots[:60], 5)
        ledger.add(BOARD, slots[60:], list(range(60)))
        ledger.add("ffff", life(30, board="ffff"), 9)
        ledger.add_anchor(BOARD, Head(1, 120, slots[119][40:52]))
        ledger.set_label(BOARD, 1, 60, False)
        ledger.set_name(BOARD, "kitchen")
        with Reader(location) as reader:
            selection = purge.Selection(None, T + 20 * 60_000, "test")
            purge.purge(ledger, purge.find(ledger, boards(reader)[:1], selection).runs, "test")
    return location


@pytest.fixture
def exported(filled, tmp_path):
    path = tmp_path / "out.jsonl"
    assert main(["export", "-o", str(path), "--ledger", filled.url or str(filled.path)]) == 0
    return path


def test_exported_ledger_imports_with_all_that_its_chain_vouches_for(filled, exported, tmp_path):
    other = locate(str(tmp_path / "other.sqlite"))
    for _ in range(2):
        assert main(["export", "--import", str(exported), "--ledger", str(other.path)]) == 0
        for table, columns in TABLES.items():
            assert [row[:columns] for row in dump(other, table)] == [row[:columns] for row in dump(filled, table)], table
    with Reader(other) as reader:
        assert [board.title for board in boards(reader)] == ["kitchen", "ffff"]
    assert stat.S_IMODE(exported.stat().st_mode) == 0o600


def test_export_is_verified_without_a_ledger(exported, capsys):
    assert main(["verify", str(exported)]) == 0
    assert capsys.readouterr().out.count("Intact") == 3  # two boards, and the acts
    keys.save_key(BOARD, KEY)
    keys.save_key("ffff", bytes(32))
    assert main(["verify", str(exported), "--json"]) == 4
    found = {item["board"]: item["findings"][0]["verdict"] for item in parse_output("verify", capsys.readouterr().out)}
    assert found == {BOARD: "intact", "ffff": "altered", "This export": "intact"}


def test_anchor_counts_for_the_board_it_matches(exported, capsys):
    assert main(["verify", str(exported), "--json"]) == 0
    codes = [item["anchor"] for item in parse_output("verify", capsys.readouterr().out) if item["anchor"]]
    assert main(["verify", str(exported), *(word for code in codes for word in ("--anchor", code))]) == 0
    capsys.readouterr()
    assert main(["verify", str(exported), "--anchor", make_code(500, bytes(12))]) == 2
    assert main(["verify", str(exported), "--anchor", make_code(500, bytes(12)), "--board", "kitchen"]) == 4
    assert "Tail cut: the records end at 120" in capsys.readouterr().out


def _edit_record(lines):
    body = json.loads(lines[30])
    body["rec"][11] = 7
    lines[30] = json.dumps(body) + "\n"


def _drop_record(lines):
    del lines[30]


def _cut(lines):
    del lines[-1]


def _drop_act(lines):
    del lines[-2]


def _no_act(lines):
    lines[-2] = lines[-2].replace('"act":["', '"act":[7,"')


def _fraction(lines):
    lines[3] = lines[3].replace('"at":', '"near":1.5,"at":')


def _fraction_at_first(lines):
    lines[0] = lines[0].replace('"ledger"', "NaN")


def _table_of_names(lines):
    lines[0] = lines[0].replace('"anchors":[', '"anchors":{},"x":[')


def _spaced_link(lines):
    lines[0] = lines[0].replace('"link":"', '"link":" ')


def _half_a_line(lines):
    lines[-1] = lines[-1][:9]


def _no_record(lines):
    lines[30] = '{"rec":[1,2,3],"at":0}\n'


def _no_header(lines):
    del lines[0]


def _other_format(lines):
    lines[0] = lines[0].replace('"format":3', '"format":9')


def _header_damaged(lines):
    lines[0] = lines[0].replace('"purges":[{', '"purges":[{"x":1},{')


@pytest.mark.parametrize(
    ("change", "code", "output"),
    [
        (_edit_record, 4, "Altered at"),
        (_drop_record, 4, "cut short or lines were taken out"),
        (_cut, 4, "cut short"),
        (_drop_act, 4, "cut short or lines were taken out of it: its acts do not fit"),
        (_no_act, 4, "no act"),
        (_fraction, 4, "no line of an export"),
        (_fraction_at_first, 2, "no line of an export"),
        (_half_a_line, 4, "no line of an export"),
        (_no_record, 4, "no record"),
        (_no_header, 2, "no export"),
        (_other_format, 2, "update Earlid"),
        (_header_damaged, 4, "header of a board is damaged"),
        (_table_of_names, 4, "header of a board is damaged"),
        (_spaced_link, 4, "header of a board is damaged"),
    ],
)
def test_altered_export_is_refused(exported, tmp_path, capsys, change, code, output):
    lines = exported.read_text().splitlines(keepends=True)
    change(lines)
    exported.write_text("".join(lines))
    other = tmp_path / "other.sqlite"
    for words in (["verify", str(exported)], ["export", "--import", str(exported), "--ledger", str(other)]):
        assert main(words) == code
        captured = capsys.readouterr()
        assert output in captured.out + captured.err
    with Reader(locate(str(other))) as reader:
        assert reader.rows("SELECT COUNT(*) FROM records") == [(0,)]


def test_act_of_no_computer_counts_for_nothing(exported, tmp_path, capsys):
    lines = exported.read_text().splitlines(keepends=True)
    lines[-2] = lines[-2].replace('"act":["', '"act":["\\u001b')
    exported.write_text("".join(lines))
    assert main(["verify", str(exported)]) == 4
    assert "computer ?" in capsys.readouterr().out
    assert main(["export", "--import", str(exported), "--ledger", str(tmp_path / "other.sqlite")]) == 0


def test_export_carries_the_acts_and_of_other_boards_their_hashes(filled, tmp_path, capsys):
    path, where = tmp_path / "one.jsonl", filled.url or str(filled.path)
    assert main(["export", "-o", str(path), "--board", "kitchen", "--ledger", where]) == 0
    *lines, last = map(json.loads, path.read_text().splitlines())
    made = [line["act"] for line in lines if "act" in line]
    with Reader(filled) as reader:
        rows = reader.rows(f"SELECT {', '.join(Act._fields)} FROM acts ORDER BY place")
    assert last == {"acts": len(rows)}
    assert [act[:4] for act in made] == [list(row[:4]) for row in rows]
    assert [act[5:] for act in made] == [[bytes(value).hex() for value in row[5:]] for row in rows]
    left_out = [row for act, row in zip(made, rows, strict=True) if act[4] != row[4]]
    assert [json.loads(row[4])["board"] for row in left_out] == ["ffff"]
    assert '"ffff"' not in path.read_text().replace("\\", ""), "as a whole text: hashes have such digits by chance"
    assert main(["verify", str(path)]) == 0


def test_export_of_format_1_still_imports(exported, tmp_path, capsys):
    lines = [line for line in exported.read_text().splitlines(keepends=True) if not line.startswith('{"act')]
    exported.write_text("".join(lines).replace('"format":3', '"format":1'))
    assert main(["verify", str(exported)]) == 1, "whoever takes the acts out of a file leaves one that looks the same"
    assert main(["export", "--import", str(exported), "--ledger", str(tmp_path / "other.sqlite")]) == 0
    assert "99 new records" in capsys.readouterr().err


def test_import_of_conflicting_records_is_refused(exported, tmp_path, capsys):
    other = locate(str(tmp_path / "other.sqlite"))
    with Ledger(other) as ledger:
        ledger.add("ffff", life(3, board="ffff", step_ms=7))
    assert main(["export", "--import", str(exported), "--ledger", str(other.path)]) == 4
    assert "another content" in capsys.readouterr().err


def test_csv_and_parquet_tables_are_readable(filled, tmp_path, capsys):
    where = ["--ledger", filled.url or str(filled.path)]
    assert main(["export", "--format", "csv", "--event", "open", *where]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert {row["event"] for row in rows} == {"open"}
    assert [row["label"] for row in rows if row["label"]] == ["False"]
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "out.parquet"
    assert main(["export", "-o", str(path), "--board", "kitchen", *where]) == 0
    table = pq.read_table(path)
    assert table.num_rows == 99  # 20, and the rest of an opening, were purged
    assert str(table.schema.field("wall_ms").type) == "timestamp[ms, tz=UTC]"
    assert main(["export", "--since", "yesterday", *where]) == 2
    assert main(["export", "--format", "parquet", *where]) == 2


@pytest.mark.parametrize("change", ["event = 99", "event = -1", "a = -5", "score = 70000", "link = x'00'"])
def test_damaged_record_stops_the_export(filled, tmp_path, capsys, change):
    out = tmp_path / "out.jsonl"
    with Ledger(filled) as ledger, ledger.transaction() as connection:
        if not filled.path:
            change = change.replace("70000", "7000").replace("x'00'", "'\\x00'")
        connection.exec_driver_sql(f"UPDATE records SET {change} WHERE seq = 70")
    assert main(["export", "-o", str(out), "--ledger", filled.url or str(filled.path)]) == 4
    assert "record 70 of kitchen is damaged" in capsys.readouterr().err
    assert not out.exists()


def test_unwritable_output_is_an_error(filled, tmp_path, capsys):
    where = ["--ledger", filled.url or str(filled.path)]
    assert main(["export", "-o", str(tmp_path / "none" / "x.jsonl"), *where]) == 1
    assert "cannot write" in capsys.readouterr().err
