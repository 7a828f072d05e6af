# SPDX-License-Identifier: MIT
"""Attacks on what the host adds to a ledger: purges, clocks, labels, names, sums, and the acts that vouch for them."""

from __future__ import annotations

import json
import shutil
import sqlite3

import pytest
from earlid.cli import main
from earlid.ledger import acts, installation
from earlid.ledger.anchor_code import make_code
from earlid.ledger.boards import boards
from earlid.ledger.location import data_dir, locate
from earlid.ledger.reader import Reader
from earlid.ledger.store import Ledger
from earlid.ledger.version import FROM_HINT, FROM_HOST
from earlid.page import page_data

from tests.attacks.conftest import KITCHEN, STUDY, STUDY_KEY, openings


def altered(say, *sentences, code=4):
    """`verify` says each of these, and nothing of a board or the ledger that is hit is called intact."""
    verdict = say("verify")
    assert verdict.code == code, verdict.out
    for sentence in sentences:
        assert sentence in verdict.out, verdict.out
    assert "Traceback" not in verdict.err
    return verdict.out


def test_ledger_before_any_attack_is_intact(home, say):
    verdict = say("verify")
    assert verdict.code == 0, verdict.out
    assert verdict.out.count("Intact") == 3
    name = installation.installation().name
    assert f"acts of this computer ({name}), each linked to the one before and signed" in verdict.out
    assert say("review", "--since", "2026-11-17", "--until", "2026-11-20").code == 0


STRAY = "stands here without an act or record for it"
CHANGES = {
    "removed-receipt-of-a-purge": (
        "DELETE FROM purges",
        "Altered purge: the purge from record 1 (start 1) on is missing; what this computer purged, its acts say",
    ),
    "reason-of-a-purge": (
        "UPDATE purges SET why = 'retention 6 months'",
        "Altered purge: the purge from record 1 (start 1) on differs",
    ),
    "added-clock-point": (
        "INSERT INTO clock_points VALUES (1, 3, 999000, 2, 1790000000000, 1)",
        f"the clock of start 3 at 999 s (a computer's word) {STRAY}",
    ),
    "removed-clock-points-of-the-board": (
        "DELETE FROM clock_points WHERE boot = 4",
        "the clock of start 4 at 0 s (the board's word) is missing",
    ),
    "removed-clock-points-of-the-host": (
        "DELETE FROM clock_points WHERE boot = 4",
        "at 50400 s (a computer's word) is missing",
    ),
    "deleted-start": (
        "DELETE FROM boots WHERE boot = 3 AND board_id = 1",
        "Altered extent: the extent of start 3 is missing; what `review` leaves out because of it is in the records",
    ),
    "shrunk-start": (
        "UPDATE boots SET last_ms = first_ms WHERE boot = 3 AND board_id = 1",
        "Altered extent: the extent of start 3 differs",
    ),
    "count-in-the-sums": (
        "UPDATE tallies SET count = 0 WHERE event = (SELECT event FROM records WHERE seq = 52 LIMIT 1)",
        "Altered sums: the ledger's table of totals does not count what its records are",
    ),
    "live-time-in-the-sums": ("UPDATE tallies SET sum_a = 0", "Altered sums"),
    "moved-label": ("UPDATE labels SET seq = 56 WHERE seq = 54", f"the label of record 56 (start 3) {STRAY}"),
    "lost-label": (
        "UPDATE labels SET seq = 56 WHERE seq = 54",
        "Altered label: the label of record 54 (start 3) is missing; the acts have what was said",
    ),
    "changed-label": ("UPDATE labels SET label = 1 - label", "Altered label: the label of record 52 (start 3) differs"),
    "time-of-a-label": ("UPDATE labels SET at_ms = 5", "Altered label: the label of record 52 (start 3) differs"),
    "name": (
        "UPDATE boards SET name = 'garage' WHERE id = 1",
        "Altered name: the board is called 'garage' here, by the acts it is 'kitchen'",
    ),
    "swapped-names": (
        "UPDATE boards SET name = CASE id WHEN 1 THEN NULL ELSE 'kitchen' END",
        "the board is called 'kitchen' here, by the acts it is None",
    ),
    "retention": (
        "UPDATE meta SET value = '1 day' WHERE key = 'retention'",
        "Altered: the time for which records are kept is 1 day here, by the acts it is 12 months",
    ),
    "time-of-taking": (
        "UPDATE records SET taken_ms = taken_ms - 86400000 WHERE seq = 60 AND board_id = 1",
        "Altered: the time at which record 60 came is another than the act says",
    ),
    "note": ("DELETE FROM notes", "Altered note: a note of a sync is missing"),
}


@pytest.mark.parametrize(("sql", "sentence"), CHANGES.values(), ids=CHANGES)
def test_change_past_earlid_is_told(home, say, sql, sentence):
    assert home.forge(sql)
    altered(say, sentence)


def test_forged_purge_does_not_hide_deleted_records(home, say):
    ((board_id, link),) = home.look("SELECT board_id, link FROM records WHERE seq = 100 AND board_id = 1")
    ((before,),) = home.look("SELECT link FROM records WHERE seq = 25 AND board_id = 2")
    home.forge("DELETE FROM records WHERE board_id = 2 AND seq BETWEEN 26 AND 75")
    ((after,),) = [(slot[40:52],) for slot in home.slots[STUDY][74:75]]
    row = (2, 2, 26, 3, 75, 50, before, after, 1_790_000_000_000, "retention 6 months")
    home.forge(f"INSERT INTO purges VALUES ({', '.join('?' * 10)})", *row)
    home.forge("DELETE FROM boots WHERE board_id = 2 AND boot IN (2, 3)")
    home.forge("DELETE FROM tallies WHERE board_id = 2 AND boot IN (2, 3)")
    home.forge("DELETE FROM clock_points WHERE board_id = 2 AND boot IN (2, 3)")
    altered(
        say,
        "Gap 26..75: 50 records missing",
        "Altered purge: the purge from record 26 (start 2) on stands here without an act or record for it",
    )
    typed = say("verify", "--anchor", make_code(100, link), "--board", "kitchen")
    assert (board_id, typed.code) == (1, 0), "the other board stands, anchor and all"


@pytest.mark.parametrize("source", [FROM_HINT, FROM_HOST])
def test_shifted_clock_point_is_told(home, say, source):
    assert home.forge("UPDATE clock_points SET wall_ms = wall_ms + 660000 WHERE boot = 3 AND source = ?", source)
    whose = "the board" if source == FROM_HINT else "a computer"
    altered(say, f"Altered clock: the clock of start 3 at {0 if source == FROM_HINT else 50400} s ({whose}'s word) differs")


def test_cut_tail_with_its_stored_anchor_is_told(home, say):
    for table in ("records", "anchors"):
        home.forge(f"DELETE FROM {table} WHERE seq > 90 AND board_id = 2")
    home.forge("UPDATE boots SET last_seq = 90, last_ms = 25201000 WHERE boot = 4 AND board_id = 2")
    altered(say, "Tail cut: the records end at 90, but this computer saw at an earlier sync record 100")


def test_cut_tail_of_a_whole_board_is_told(home, say):
    for table in ("records", "anchors", "boots", "tallies", "clock_points", "labels", "purges", "notes"):
        home.forge(f"DELETE FROM {table} WHERE board_id = 2")
    home.forge("DELETE FROM boards WHERE id = 2")
    altered(say, f"Altered: board {STUDY} was removed from the ledger")


def test_cut_tail_of_acts_is_told(home, say):
    ((newest,),) = home.look("SELECT MAX(number) FROM acts")
    home.forge("DELETE FROM acts WHERE number > ?", newest - 3)
    out = altered(say, f"Tail cut: the acts of this computer ({installation.installation().name}) end at {newest - 3}")
    assert f"but it signed {newest} in this ledger. This is an older copy of it, or its end was removed" in out


def test_cut_tail_of_acts_and_of_all_that_they_say_is_told_for_ever(home, say):
    """The label on record 54 is taken back by cutting it out of table and acts; then Earlid goes on writing."""
    name = installation.installation().name
    ((label,),) = home.look("SELECT MAX(number) FROM acts WHERE kind = 'label'")
    ((newest,),) = home.look("SELECT MAX(number) FROM acts")
    home.forge("DELETE FROM acts WHERE number >= ?", label)
    home.forge("DELETE FROM labels WHERE seq = 54")
    assert say("review", "name", STUDY, "study").code == 0
    out = altered(say, f"Gap: act {label}..{newest} of this computer ({name}): the ledger was once put back to an earlier state")
    assert "Tail cut: the acts" not in out
    assert say("review", "name", STUDY, "office").code == 0
    altered(say, f"Gap: act {label}..{newest} of this computer ({name})")


def test_restored_backup_is_told(home, say, tmp_path):
    backup = tmp_path / "backup.sqlite"
    source = sqlite3.connect(home.path)
    with sqlite3.connect(backup) as copy:
        source.backup(copy)
    source.close()
    assert say("review", "label", "52", "false", "--board", "kitchen").code == 0
    assert say("verify").code == 0
    assert main(["verify", "--ledger", str(backup)]) == 0, "what is named as a backup is one"
    shutil.copy(backup, home.path)
    altered(say, "This is an older copy of it, or its end was removed")


def test_removed_acts_are_told(home, say):
    home.forge("DELETE FROM acts")
    altered(say, "acts in the ledger that stood here, and they are not in this one. It was replaced, or they were removed")


def test_removed_acts_that_a_writer_took_as_they_stood_are_told(home, say):
    home.forge("DELETE FROM acts")
    home.forge("UPDATE labels SET label = 1")
    assert say("review", "name", STUDY, "study").code == 0
    altered(say, "acts in the ledger that stood here before, then found one with records and without acts")


def test_ledger_made_version_1_again_is_told(home, say):
    home.forge("DROP TABLE acts")
    home.forge("ALTER TABLE clock_points RENAME TO p")
    home.forge("CREATE TABLE clock_points AS SELECT board_id, boot, ms, wall_ms, MAX(unc_ms) AS unc_ms FROM p GROUP BY 1, 2, 3")
    home.forge("DROP TABLE p")
    home.forge("UPDATE meta SET value = '1' WHERE key = 'version'")
    altered(say, "acts in the ledger that stood here, and they are not in this one")
    assert say("review", "name", STUDY, "study").code == 0
    altered(say, "then found one with records and without acts, and took it as it stood")


def test_page_tells_of_altered_acts_too(home):
    def page_says():
        with Reader(home.location) as reader:
            return {item["board"]: item["bad"] for item in page_data.verdicts(reader, boards(reader))}

    assert page_says() == {KITCHEN: False, STUDY: False, "This ledger": False}
    home.forge("DELETE FROM acts WHERE number = (SELECT MAX(number) FROM acts)")  # the kitchen's purge
    assert page_says() == {KITCHEN: True, STUDY: False, "This ledger": True}


def test_act_removed_from_the_middle_is_told(home, say):
    ((label,),) = home.look("SELECT MAX(number) FROM acts WHERE kind = 'label'")
    home.forge("DELETE FROM acts WHERE number = ?", label)
    home.forge("DELETE FROM labels WHERE seq = 54")
    altered(say, f"Gap: act {label} of this computer", "removed, or lost with a part of the ledger")


def test_edited_act_is_told(home, say):
    """A label, changed in its table and in its act alike."""
    home.forge("UPDATE labels SET label = 1 WHERE seq = 54")
    home.forge("UPDATE acts SET body = replace(body, '\"label\":0', '\"label\":1') WHERE kind = 'label'")
    ((label,),) = home.look("SELECT MAX(number) FROM acts WHERE kind = 'label'")
    altered(say, f"Altered: act {label} of this computer", "is not what was linked and signed", "Altered label")


def relink(home, first):
    """Make every hash and link from an act on anew, as an attacker without the key can."""
    rows = home.look(f"SELECT {', '.join(acts.COLUMNS)} FROM acts ORDER BY place")
    before = acts.NO_LINK
    for row in rows:
        act = acts.Act(*row)
        if act.number >= first:
            body_hash = acts.hash_of(act.body)
            link = acts.link_of(before, act.installation, act.number, act.place, act.kind, body_hash)
            home.forge("UPDATE acts SET body_hash = ?, link = ? WHERE number = ?", body_hash, link, act.number)
            act = act._replace(link=link)
        before = act.link


def test_edited_act_with_every_link_made_anew_is_told(home, say):
    ((label,),) = home.look("SELECT MAX(number) FROM acts WHERE kind = 'label'")
    home.forge("UPDATE labels SET label = 1 WHERE seq = 54")
    home.forge("UPDATE acts SET body = replace(body, '\"label\":0', '\"label\":1') WHERE kind = 'label'")
    relink(home, label)
    altered(
        say,
        f"Altered: from act {label} of this computer",
        "on, nobody with its key signed them: forged, they count for nothing",
        "Altered label: the label of record 54 (start 3) stands here without an act or record for it",
    )


def test_forged_act_is_told(home, say):
    """A purge, with its act linked as it must be, and signed by nobody."""
    columns = ", ".join(acts.COLUMNS)
    last = acts.Act(*home.look(f"SELECT {columns} FROM acts ORDER BY place DESC LIMIT 1")[0])
    receipt = {
        "boot_from": 4, "seq_from": 76, "boot_to": 4, "seq_to": 100, "count": 25, "at_ms": 1, "why": "everything",
        "head_before": home.slots[STUDY][74][40:52], "head_after": home.slots[STUDY][99][40:52],
    }  # fmt: skip
    body = acts.canonical({"board": STUDY, "head": None, "runs": [receipt], "redacts": [], "at_ms": 1, "synced": None})
    link = acts.link_of(last.link, last.installation, last.number + 1, last.place + 1, "purge", acts.hash_of(body))
    forged = acts.Act(last.installation, last.number + 1, last.place + 1, "purge", body, acts.hash_of(body), link, last.signature)
    home.forge(f"INSERT INTO acts ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *forged)
    home.forge(
        "INSERT INTO purges VALUES (2, 4, 76, 4, 100, 25, ?, ?, 1, 'everything')", receipt["head_before"], receipt["head_after"]
    )
    for table in ("records", "boots", "tallies", "clock_points"):
        home.forge(f"DELETE FROM {table} WHERE boot = 4 AND board_id = 2")
    altered(
        say,
        f"Altered: from act {last.number + 1} of this computer",
        "Tail cut: the records end at 75",
        "Altered purge: the purge from record 76 (start 4) on stands here without an act",
    )


def test_redacted_act_without_a_purge_is_told(home, say):
    ((label,),) = home.look("SELECT MAX(number) FROM acts WHERE kind = 'label'")
    home.forge("UPDATE acts SET body = NULL WHERE number = ?", label)
    home.forge("DELETE FROM labels WHERE seq = 54")
    altered(say, f"Altered: what act {label} of", "said was taken out, and no purge says so")


def test_swapped_identifiers_of_boards_are_told(home, say):
    home.forge("UPDATE boards SET board = 'x' WHERE id = 1")
    home.forge("UPDATE boards SET board = ? WHERE id = 2", KITCHEN)
    home.forge("UPDATE boards SET board = ? WHERE id = 1", STUDY)
    altered(say, "Altered")


def test_record_put_there_past_earlid_is_told(home, say):
    """Whoever holds the board's key can seal a record; this computer never took it."""
    from earlid.ledger import rows

    slot = openings(STUDY, STUDY_KEY, "2026-11-21", boot=5, first=101, prev=home.slots[STUDY][-1][40:52])[0]
    row = rows.row_from_slot(slot, 2, 1_790_000_000_000)
    home.forge(rows.insert_sql("qmark"), *row)
    altered(say, "Altered: record 101 came into the ledger without an act of any computer: put there past Earlid")


def foreign(home, monkeypatch, tmp_path, do):
    """Let another installation's Earlid do something with the ledger; its name."""
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("EARLID_DATA_DIR", str(tmp_path / "attacker"))
        with Ledger(home.location) as ledger:
            do(ledger)
        return installation.installation().name


def test_acts_of_another_installation_are_said_with_its_name(home, say, monkeypatch, tmp_path):
    name = foreign(home, monkeypatch, tmp_path, lambda ledger: ledger.set_label(STUDY, 2, 27, True))
    verdict = say("verify")
    assert verdict.code == 0
    assert f"Computer {name} signed 2 acts here too (1 begin, 1 label)" in verdict.out


def test_clock_of_another_installation_is_not_called_intact(home, say, monkeypatch, tmp_path):
    name = foreign(home, monkeypatch, tmp_path, lambda ledger: ledger.add_clock_point(STUDY, 2, 5, 1_790_000_000_000, 5))
    altered(say, f"Cannot judge: computer {name}, which is not this one, said what the time was of {STUDY}", code=1)


def test_purge_by_another_installation_is_not_called_intact(home, say, monkeypatch, tmp_path):
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("EARLID_DATA_DIR", str(tmp_path / "attacker"))
        assert main(["purge", "--everything", "--yes", "--board", STUDY, "--ledger", str(home.path)]) == 0
        name = installation.installation().name
    altered(say, f"Cannot judge: computer {name}, which is not this one, purged records of {STUDY}", code=1)


def test_ledger_of_another_computer_is_said_and_not_condemned(home, say, monkeypatch, tmp_path):
    name = installation.installation().name
    monkeypatch.setenv("EARLID_DATA_DIR", str(tmp_path / "another"))
    verdict = say("verify")
    assert verdict.code == 0
    assert f"linked and signed by another computer than this one: {name}" in verdict.out


def test_ledger_that_goes_on_at_another_computer_is_intact(home, say, monkeypatch, tmp_path):
    """Ledger and boards were moved to a new computer, which has a key of its own."""
    name = installation.installation().name
    monkeypatch.setenv("EARLID_DATA_DIR", str(tmp_path / "new"))
    with Ledger(home.location) as ledger:
        fresh = openings(STUDY, STUDY_KEY, "2026-11-21", boot=5, first=101, prev=home.slots[STUDY][-1][40:52])
        ledger.add(STUDY, fresh)
    verdict = say("verify")
    assert verdict.code == 0, verdict.out
    assert f"Computer {name} signed" in verdict.out


def test_swapped_installation_is_told(home, say):
    home.forge("UPDATE acts SET installation = '0123456789abcdef'")
    altered(say, "of computer 0123456789abcdef on, nobody with its key signed them")


def test_everything_signed_anew_with_another_key_is_told(home, say, monkeypatch, tmp_path):
    """An attacker with the ledger alone makes every act anew with a key of his own."""
    rows = home.look(f"SELECT {', '.join(acts.COLUMNS)} FROM acts ORDER BY place")
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("EARLID_DATA_DIR", str(tmp_path / "attacker"))
        his = installation.installation()
    before = acts.NO_LINK
    home.forge("DELETE FROM acts")
    for row in rows:
        act = acts.Act(*row)
        body = act.body
        if act.kind == "begin":
            body = acts.canonical(json.loads(body) | {"key": his.public_key})
        elif act.kind == "purge":
            body = body.replace(act.installation, his.name)
        body_hash = acts.hash_of(body) if body else act.body_hash
        before = acts.link_of(before, his.name, act.number, act.place, act.kind, body_hash)
        new = (his.name, act.number, act.place, act.kind, body, body_hash, before, his.sign(before))
        home.forge(f"INSERT INTO acts ({', '.join(acts.COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *new)
    altered(say, "acts in the ledger that stood here")


def test_ledger_that_was_moved_stays_intact(home, say, tmp_path):
    moved = tmp_path / "moved.sqlite"
    with Ledger(home.location):
        pass
    home.path.rename(moved)
    assert main(["verify", "--ledger", str(moved)]) == 0
    with Ledger(locate(str(moved))) as ledger:
        ledger.set_name(STUDY, "study")
    assert main(["verify", "--ledger", str(moved)]) == 0
    ledger_heads = list((data_dir() / "heads").iterdir())
    assert len(ledger_heads) == 1


def test_limit_whoever_has_the_hosts_data_directory_speaks_in_its_name(home, say):
    """What the threat model says is not told: a label taken back with its act and the head file that would tell."""
    assert say("review", "label", "79", "false", "--board", "kitchen").code == 0
    assert home.forge("DELETE FROM labels WHERE seq = 79") == 1
    home.forge("DELETE FROM acts WHERE number = (SELECT MAX(number) FROM acts)")
    altered(say, "Tail cut: the acts of this computer")
    shutil.rmtree(data_dir() / "heads")
    assert say("verify").code == 0
    home.forge("DELETE FROM records WHERE board_id = 1 AND seq = 60")
    altered(say, "Gap 60: 1 record missing")


def test_acts_signed_anew_are_named_where_this_computer_never_signed(home, say, monkeypatch, tmp_path):
    name = foreign(home, monkeypatch, tmp_path, lambda ledger: ledger.set_name(STUDY, "x"))
    monkeypatch.setenv("EARLID_DATA_DIR", str(tmp_path / "third"))
    verdict = say("verify")
    assert verdict.code == 0
    assert "another computer than this one" in verdict.out
    assert f"{name} (2 acts)" in verdict.out


BODIES = (
    {"board": 5}, {"board": "\x1b[2J"}, {"board": STUDY, "head": [1]}, {"board": STUDY, "head": {"0": 1}}, {"retention": [1]},
    {"board": STUDY, "runs": 7}, {"board": STUDY, "runs": [[1, 2]]}, {"board": STUDY, "runs": [["1", 2, 3, 4, 5]]}, [1], "text",
    {"board": STUDY, "tables": [1]}, {"board": STUDY, "tables": {"x": [{}]}}, {"board": STUDY, "tables": {"labels": [[]]}},
    {"board": STUDY, "redacts": [5], "runs": []}, {"board": STUDY, "runs": [{"boot_from": 1}], "redacts": []},
    {"retention": "\x1b[2J"},
    {"board": STUDY, "boot": 1, "seq": 2, "label": "yes", "said_ms": 1}, {"missing": 5, "behind": 5, "places": {"a": 1}},
)  # fmt: skip


@pytest.mark.parametrize("kind", acts.KINDS)
def test_signed_nonsense_of_another_installation_is_a_sentence(home, say, monkeypatch, kind):
    """Whoever writes to a shared ledger with a key of his own may sign what he likes."""

    with Ledger(home.location, synced=lambda: None) as ledger:
        ledger._acts._signer = installation.Installation(bytes(32))
        with ledger.transaction() as connection:
            ledger._acts.append(connection, "note", {})
        for body in BODIES:
            monkeypatch.setattr(acts, "canonical", lambda _, body=body: json.dumps(body))
            with ledger.transaction() as connection:
                ledger._acts.append(connection, kind, {})
    verdict = say("verify")
    assert verdict.code in (1, 4), verdict.out
    assert "\x1b" not in verdict.out
    assert f"Computer {installation.Installation(bytes(32)).name} signed" in verdict.out
