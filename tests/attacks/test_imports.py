# SPDX-License-Identifier: MIT
"""Attacks by an export: an import goes through the same door as a sync, and changes nothing that stands here."""

from __future__ import annotations

import json

import pytest
from earlid.cli import main
from earlid.ledger.keys import save_key
from earlid.ledger.location import locate
from earlid.ledger.store import Ledger
from lid import record

from tests.attacks.conftest import KITCHEN, STUDY, STUDY_KEY, Home, openings
from tests.ledger.synthetic_chains import KEY

TABLES = ("records", "purges", "labels", "clock_points", "anchors", "boots", "tallies", "boards", "meta", "notes")
NOBODY = bytes(range(100, 132))


def header(board, name=None, **tables):
    every = {"purges": [], "anchors": [], "labels": [], "clock_points": []} | tables
    return {"earlid": "ledger", "format": 1, "board": board, "name": name} | every


def section(board, slots=(), name=None, **tables):
    """Lines of an export that somebody wrote."""
    lines = [header(board, name, **tables)]
    lines += [{"rec": record.slot_to_wire(slot), "at": 1_790_000_000_000} for slot in slots]
    last = slots[-1] if slots else bytes(64)
    seq = int.from_bytes(last[:4], "little")
    return [*lines, {"end": board, "count": len(slots), "seq": seq, "link": last[40:52].hex() if slots else ""}]


@pytest.fixture
def bring(tmp_path, say):
    """Imports lines as a file."""

    def run(*lines):
        path = tmp_path / "foreign.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return say("export", "--import", str(path))

    return run


def content(home):
    return {table: home.look(f"SELECT * FROM {table}") for table in TABLES}


def purge_row(first, last, count, before, after, boot=1):
    links = {"head_before": before and before.hex(), "head_after": after.hex()}
    return {"boot_from": boot, "seq_from": first, "boot_to": boot, "seq_to": last, "count": count, "at_ms": 5, "why": "x"} | links


def test_header_alone_changes_nothing(home, bring):
    before, links = content(home), [slot[40:52] for slot in home.slots[KITCHEN]]
    said = bring(
        *section(
            KITCHEN, name="yours now", purges=[purge_row(27, 100, 74, links[25], links[99], 2)],
            labels=[{"boot": 3, "seq": 52, "label": 0, "at_ms": 1}],
            clock_points=[{"boot": 3, "ms": 5, "wall_ms": 1_700_000_000_000, "unc_ms": 1}],
            anchors=[{"boot": 9, "seq": 9000, "link": "00" * 12, "at_ms": 1}],
        )
    )  # fmt: skip
    assert said.code == 0
    assert "0 new records" in said.err
    assert "1 purges were left out" in said.err
    assert content(home) == before


def test_header_of_a_board_that_is_not_here_makes_none(home, bring):
    assert bring(*section("abcdef", name="kitchen two")).code == 0
    assert content(home)["boards"] == home.look("SELECT * FROM boards")
    assert len(home.look("SELECT * FROM boards")) == 2


def test_purge_over_records_that_are_here_is_left_out(home, bring):
    slots = home.slots[STUDY]
    run = purge_row(2, 25, 24, slots[0][40:52], slots[24][40:52])
    said = bring(*section(STUDY, slots[:1], purges=[run]))
    assert "1 purges were left out: they do not fit between accepted records" in said.err
    assert home.look("SELECT COUNT(*) FROM purges WHERE board_id = 2") == [(0,)]


def test_names_and_labels_that_stand_here_stay(home, bring):
    slots = home.slots[KITCHEN]
    said = bring(*section(KITCHEN, slots[50:], name="yours now", labels=[{"boot": 3, "seq": 52, "label": 0, "at_ms": 1}]))
    assert (said.code, "0 new records" in said.err) == (0, True)
    assert home.look("SELECT name FROM boards WHERE id = 1") == [("kitchen",)]
    assert home.look("SELECT label FROM labels WHERE seq = 52") == [(1,)]


def test_name_of_another_board_is_not_taken(home, bring):
    fresh = openings("abcdef", NOBODY, "2026-11-21")
    assert bring(*section("abcdef", fresh, name="kitchen")).code == 0
    assert home.look("SELECT name FROM boards WHERE board = 'abcdef'") == [(None,)]


def test_label_of_a_record_that_is_not_here_is_left_out(home, bring):
    slots = home.slots[STUDY]
    absent = [{"boot": 9, "seq": 9, "label": 1, "at_ms": 1}, {"boot": 1, "seq": 1, "label": 1, "at_ms": 1}]
    bring(*section(STUDY, slots, labels=[*absent, {"boot": 1, "seq": 2, "label": 0, "at_ms": 1}]))
    assert home.look("SELECT boot, seq, label FROM labels WHERE board_id = 2") == [(1, 2, 0)]


def test_records_without_the_mark_are_refused_for_a_paired_board(home, bring):
    last = home.slots[KITCHEN][-1]
    forged = openings(KITCHEN, NOBODY, "2026-11-21", boot=5, first=101, prev=last[40:52])
    before = content(home)
    said = bring(*section(KITCHEN, forged))
    assert said.code == 4
    assert f"nothing imported. Board {KITCHEN}: Altered from 101" in said.err
    assert "made without the board's key" in said.err
    assert content(home) == before


def test_records_behind_a_gap_are_left_out_unless_something_vouches_for_them(home, bring):
    for board, key in ((KITCHEN, NOBODY), (STUDY, STUDY_KEY)):
        far = openings(board, key, "2026-11-21", boot=9, first=500, prev=bytes(12))
        said = bring(*section(board, far[:1] if board == KITCHEN else far))
        assert "records were left out: nothing links them with those that are here" in said.err
        assert "0 new records" in said.err


def test_records_behind_a_gap_come_in_by_the_mark(home, bring):
    far = openings(KITCHEN, KEY, "2026-11-21", boot=9, first=500, prev=bytes(12))
    assert f"{KITCHEN}: 25 new records" in bring(*section(KITCHEN, far)).err


def test_foreign_device_under_a_known_identifier_is_refused(home, bring):
    other = openings(STUDY, NOBODY, "2026-11-17")
    before = content(home)
    said = bring(*section(STUDY, other))
    assert said.code == 4
    assert "is in the ledger with another content" in said.err
    assert content(home) == before


def test_records_that_go_on_from_those_here_come_in(home, bring, say):
    last = home.slots[STUDY][-1]
    more = openings(STUDY, STUDY_KEY, "2026-11-21", boot=5, first=101, prev=last[40:52])
    said = bring(*section(STUDY, more))
    assert f"{STUDY}: 25 new records" in said.err
    assert bring(*section(STUDY, more)).err.count("0 new records") == 1
    verdict = say("verify")
    assert verdict.code == 0, verdict.out


def test_purged_records_do_not_come_back(home, bring, say):
    assert home.look("SELECT seq_from, seq_to FROM purges") == [(1, 25)]
    said = bring(*section(KITCHEN, home.slots[KITCHEN]))
    assert "0 new records" in said.err
    assert home.look("SELECT MIN(seq) FROM records WHERE board_id = 1") == [(26,)]
    verdict = say("verify")
    assert verdict.code == 0, verdict.out


def test_claimed_time_of_taking_is_not_believed(home, bring):
    last = home.slots[STUDY][-1]
    more = openings(STUDY, STUDY_KEY, "2026-11-21", boot=5, first=101, prev=last[40:52])
    bring(*section(STUDY, more))
    ((least,),) = home.look("SELECT MIN(taken_ms) FROM records WHERE board_id = 2 AND boot = 5")
    assert least > 1_790_000_000_000


def test_clock_of_an_import_counts_as_such(home, bring):
    point = {"boot": 4, "ms": 1000, "wall_ms": 1_700_000_000_000, "unc_ms": 1}
    wild = [
        {"boot": 99, "ms": 1, "wall_ms": 1_790_000_000_000, "unc_ms": 1},
        {"boot": 4, "ms": 2, "wall_ms": 9_000_000_000_000, "unc_ms": 1},
    ]
    bring(*section(STUDY, home.slots[STUDY], clock_points=[point, *wild]))
    assert home.look("SELECT boot, ms, source FROM clock_points WHERE source = 3") == [(4, 1000, 3)]


def test_purge_that_fits_between_records_comes_along(home, bring, tmp_path, say, capsys):
    exported, other = tmp_path / "out.jsonl", tmp_path / "other.sqlite"
    assert say("purge", "--between", "2026-11-19", "2026-11-19", "--yes").code == 0
    assert say("export", "-o", str(exported)).code == 0
    assert main(["export", "--import", str(exported), "--ledger", str(other)]) == 0
    assert "left out" not in capsys.readouterr().err
    assert main(["verify", "--ledger", str(other)]) == 0
    assert "50 purged in between" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (header("dead/beef"), "the header of a board is damaged"),
        (header("../../etc"), "the header of a board is damaged"),
        (header(KITCHEN, name=7), "the header of a board is damaged"),
        (header(KITCHEN, labels=[{"boot": 1, "seq": 1e9, "label": 1, "at_ms": 1}]), "no line of an export"),
        (header(KITCHEN, labels=[{"boot": 1, "seq": 1, "label": 1, "at_ms": 1 << 70}]), "the header of a board is damaged"),
        (header(KITCHEN, labels=[{"boot": True, "seq": 1, "label": 1, "at_ms": 1}]), "the header of a board is damaged"),
        (header(KITCHEN, purges=[purge_row(1, 2, 2, None, bytes(3))]), "the header of a board is damaged"),
        (header(KITCHEN) | {"format": 99}, "update Earlid"),
        ({"earlid": "ledger"}, "update Earlid"),
        ([1], "no line of an export"),
    ],
)
def test_header_that_no_export_has_is_a_sentence(home, bring, line, sentence):
    before = content(home)
    said = bring(line, {"end": "x", "count": 0, "seq": 0, "link": ""})
    assert said.code in (2, 4)
    assert sentence in said.err
    assert content(home) == before


def test_board_twice_or_records_out_of_order_are_refused(home, bring):
    slots = home.slots[STUDY]
    assert "stands twice" in bring(*section(STUDY, slots), *section(STUDY, slots)).err
    assert "out of order" in bring(*section(STUDY, slots[::-1])).err


def test_import_is_one_signed_act_a_batch(home, bring):
    last = home.slots[STUDY][-1]
    more = openings(STUDY, STUDY_KEY, "2026-11-21", boot=5, first=101, prev=last[40:52])
    bring(*section(STUDY, more, labels=[{"boot": 5, "seq": 102, "label": 0, "at_ms": 1}]))
    bodies = [json.loads(body) for (body,) in home.look("SELECT body FROM acts WHERE kind = 'import' ORDER BY place")]
    assert [body.get("runs", [[]])[0][:3] for body in bodies] == [[5, 101, 125], []]
    assert bodies[1]["tables"]["labels"][0]["seq"] == 102


def test_import_into_a_new_ledger_of_a_paired_board_is_judged_by_its_key(tmp_path, capsys):
    path, ledger = tmp_path / "in.jsonl", tmp_path / "new.sqlite"
    save_key(KITCHEN, KEY)
    for key, code in ((NOBODY, 4), (KEY, 0)):
        lines = section(KITCHEN, openings(KITCHEN, key, "2026-11-21"))
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        assert main(["export", "--import", str(path), "--ledger", str(ledger)]) == code
    with Ledger(locate(str(ledger))) as opened:
        assert opened.head(KITCHEN).seq == 25


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda head: head["purges"].clear(), "Altered: the purges that the file gives"),
        (lambda head: head["purges"][0].update(count=24), "Altered: the purges that the file gives"),
        (lambda head: head["labels"][0].update(label=0), "Altered: the labels that the file gives"),
        (lambda head: head.update(name="study"), "Altered: the name that the file gives"),
    ],
)
def test_header_that_contradicts_the_acts_is_told(home, say, tmp_path, change, sentence):
    path = tmp_path / "out.jsonl"
    assert say("export", "-o", str(path)).code == 0
    assert say("verify", str(path)).code == 0
    first, *rest = path.read_text().splitlines()
    head = json.loads(first)
    change(head)
    path.write_text("\n".join([json.dumps(head), *rest, ""]))
    verdict = say("verify", str(path))
    assert verdict.code == 4
    assert sentence in verdict.out


def test_act_of_an_export_that_was_changed_or_forged_is_told(home, say, tmp_path):
    path = tmp_path / "out.jsonl"
    assert say("export", "-o", str(path)).code == 0
    lines = path.read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if '"label"' in line and '"act"' in line)
    path.write_text("\n".join([*lines[:at], lines[at].replace('\\"label\\":1', '\\"label\\":0'), *lines[at + 1 :], ""]))
    verdict = say("verify", str(path))
    assert verdict.code == 4
    assert "is not what was linked and signed" in verdict.out


@pytest.mark.parametrize("days", [("2026-11-20", "2026-11-20"), ("2026-11-17", "2026-11-20")])
@pytest.mark.parametrize("own", [True, False])
def test_purge_at_the_end_comes_along_where_this_installation_signed_it(home, say, tmp_path, monkeypatch, capsys, days, own):
    exported, other = tmp_path / "out.jsonl", locate(str(tmp_path / "other.sqlite"))
    assert say("purge", "--between", *days, "--board", "kitchen", "--yes").code == 0
    assert say("export", "-o", str(exported)).code == 0
    if not own:
        monkeypatch.setenv("EARLID_DATA_DIR", str(tmp_path / "elsewhere"))
    assert main(["export", "--import", str(exported), "--ledger", str(other.path)]) == 0
    assert ("left out" in capsys.readouterr().err) == (not own)
    with Ledger(other) as ledger:
        newest = ledger.newest(KITCHEN)
    if own:
        assert newest.seq == 100, "a sync goes on behind it"
    else:
        assert newest is None or newest.seq == 75
    assert main(["verify", "--ledger", str(other.path)]) in (0, 1)  # 1: nothing is kept of the board


@pytest.mark.parametrize("own", [True, False])
def test_time_of_taking_is_believed_of_this_installation_alone(home, say, tmp_path, monkeypatch, own):
    exported, other = tmp_path / "out.jsonl", locate(str(tmp_path / "other.sqlite"))
    assert say("export", "-o", str(exported)).code == 0
    if not own:
        monkeypatch.setenv("EARLID_DATA_DIR", str(tmp_path / "elsewhere"))
    assert main(["export", "--import", str(exported), "--ledger", str(other.path)]) == 0
    assert main(["verify", "--ledger", str(other.path)]) == 0
    sql = "SELECT board_id, boot, seq, taken_ms FROM records"
    assert (Home(other, {}).look(sql) == home.look(sql)) == own
