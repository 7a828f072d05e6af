# SPDX-License-Identifier: MIT
"""The table of PROOF.md: each cell performs the attack and reads the verdict of somebody who has that much in hand, no more."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from earlid.ledger import keys
from earlid.ledger.anchor_code import make_code, parse_code
from earlid.ledger.installation import Installation
from earlid.ledger.judge_export import judge_file
from earlid.witness import keeper, statement
from lid import record

from tests.ledger.synthetic_chains import fields, seal_all
from tests.proof.corpus import GARAGE, KEYS, KITCHEN, NOBODYS, OURS, START_MS, STUDY, Draft, export_to, make_ledger
from tests.proof.damages import leave_out
from tests.proof.test_agreement import NODE, asked_of_javascript

PAGE = Path(__file__).parents[2] / "PROOF.md"
NOTHING, ANCHOR, KEY, WITNESS = COLUMNS = ("nothing", "an anchor", "the board's key", "a witness")
SHOWN_NOT, PURGE = "not shown", "a purge"
WITNESS_KEY, CHECKERS_KEY = Installation(b"\4" * 32), Installation(b"\5" * 32)
OPENING = 20  # an opening by the button, which is told as one by the word


class Attack(NamedTuple):
    """An attacker, what he does to a file, and what each of COLUMNS shows of it."""

    attacker: str
    does: str
    perform: Callable[[Draft], None]
    shown: tuple[str, str, str, str]


def _rewrite(draft: Draft, key: bytes | None = None) -> dict[str, str]:
    """Tell an opening as another, and make every link behind it anew; old links and new ones."""
    before = [line["rec"][14] for line in draft.records(KITCHEN)]
    draft.record(KITCHEN, OPENING)[4] = "word"
    draft.restamp(KITCHEN, OPENING, key)
    return dict(zip(before, [line["rec"][14] for line in draft.records(KITCHEN)], strict=True))


def owner_rewrites(draft: Draft) -> None:
    draft.forge_all(OURS, _rewrite(draft))


def owner_rewrites_with_the_key(draft: Draft) -> None:
    draft.forge_all(OURS, _rewrite(draft, KEYS[KITCHEN]))


def owner_cuts(draft: Draft) -> None:
    """Take the evening out, with what acts say of it."""
    head = draft.record(KITCHEN, 90)
    draft.drop(KITCHEN, 71, 90)
    header = draft.header(KITCHEN)
    for table in ("labels", "clock_points"):
        header[table] = [row for row in header[table] if row["boot"] < 3]
    draft.put_acts([act for act in draft.acts if act[0] == OURS.name])
    draft.forge_all(OURS, {f'[3,90,"{head[14]}"]': "null"})


def owner_purges(draft: Draft) -> None:
    draft.purge(KITCHEN, 3, 71, 90, lambda body: draft.add_act("purge", body, OURS))
    clocks = draft.header(KITCHEN)["clock_points"]
    clocks[:] = [row for row in clocks if row["boot"] < 3]


def malware_edits_the_file(draft: Draft) -> None:
    _rewrite(draft)


def malware_relabels(draft: Draft) -> None:
    row = draft.header(KITCHEN)["labels"][0]
    row["label"] = 1 - row["label"]
    act = draft.act("label")
    draft.say(act, label=row["label"])
    draft.relink(act[1], OURS)


def board_erased(draft: Draft) -> None:
    rows = [fields(1, 0, "boot", "power-on", boot=4), fields(2, 9, "mute", boot=4)]
    draft.took(KITCHEN, seal_all(rows, KITCHEN, KEYS[KITCHEN]))


def board_invents(draft: Draft) -> None:
    last = bytes.fromhex(draft.record(KITCHEN, 90)[14])
    draft.took(KITCHEN, seal_all([fields(91, 9_000_000, "open", "word", boot=3, a=1000)], KITCHEN, KEYS[KITCHEN], last))


def board_rewrites_its_past(draft: Draft) -> None:
    """With the key that it has now, to which it came after the records that are told anew."""
    draft.forge_all(NOBODYS, _rewrite(draft, record.next_key(KEYS[KITCHEN])))


def disk_speaks(draft: Draft) -> None:
    """The thief has the ledger and every key that lay beside it."""
    owner_rewrites_with_the_key(draft)


def disk_is_older(draft: Draft) -> None:
    draft.lines = copy.deepcopy(OLDER)


def administrator_rewrites(draft: Draft) -> None:
    _rewrite(draft)


def administrator_signs(draft: Draft) -> None:
    draft.forge_all(NOBODYS, _rewrite(draft))


def vendor_vouches(draft: Draft) -> None:
    """For a chain that the owner made anew, and with a date of before."""
    owner_rewrites(draft)
    body = seen(draft.record(KITCHEN, 90), "tsa", START_MS) | {"name": "a vendor", "statement": ""}
    draft.sign_in(NOBODYS, [("witness", body)])


def administrator_purges(draft: Draft) -> None:
    """The acts then name a computer that took no records."""
    draft.purge(KITCHEN, 3, 71, 90, lambda body: draft.sign_in(NOBODYS, [("purge", body)]))


def nothing_recorded(draft: Draft) -> None:
    """The lid was open in front of a microphone of which no board knows: there is no record to change."""


OLDER: list[dict[str, Any]] = []  # lines of an export of before the evening
NEVER = (SHOWN_NOT,) * 4
ATTACKS = (
    Attack("the owner", "tells an opening as another; makes links and acts anew, without the board's key", owner_rewrites,
           (SHOWN_NOT, "altered", "altered", "altered")),
    Attack("the owner", "the same with the board's key, in the segment whose key it still is", owner_rewrites_with_the_key,
           (SHOWN_NOT, "altered", SHOWN_NOT, "altered")),
    Attack("the owner", "takes the last evening out, and what was said of it", owner_cuts,
           (SHOWN_NOT, "tail cut", SHOWN_NOT, "tail cut")),
    Attack("the owner", "purges the last evening", owner_purges, (PURGE,) * 4),
    Attack("malware on the host", "changes the ledger, without this computer's key", malware_edits_the_file, ("altered",) * 4),
    Attack("malware on the host", "turns a label with this computer's key", malware_relabels, NEVER),
    Attack("a borrowed board", "is erased and begins again", board_erased, ("restarted chain",) * 4),
    Attack("a borrowed board", "its past is sealed anew with the key that it has now", board_rewrites_its_past,
           (SHOWN_NOT, "altered", "altered", "altered")),
    Attack("a borrowed board", "seals an opening that never was", board_invents, NEVER),
    Attack("a stolen disk", "a file in the owner's name, by the keys that lay there", disk_speaks,
           (SHOWN_NOT, "altered", SHOWN_NOT, "altered")),
    Attack("a stolen disk", "an older copy is given out as the newest", disk_is_older,
           (SHOWN_NOT, "tail cut", SHOWN_NOT, "tail cut")),
    Attack("the collector's administrator", "changes the database; the keys are elsewhere", administrator_rewrites,
           ("altered",) * 4),
    Attack("the collector's administrator", "signs all of it anew, under another computer's name", administrator_signs,
           (SHOWN_NOT, "altered", "altered", "altered")),
    Attack("the collector's administrator", "purges the last evening, under another computer's name", administrator_purges,
           (PURGE,) * 4),
    Attack("the time stamp's vendor", "vouches for a chain that the owner made anew", vendor_vouches,
           (SHOWN_NOT, "altered", "altered", "altered")),
    Attack("anybody", "what no board recorded: another microphone, firmware that lies",
           nothing_recorded, NEVER),
)  # fmt: skip


def seen(head: list[Any], by: str, said_ms: int) -> dict[str, Any]:
    """What an act says of the head (a record's list) that a witness saw."""
    return {"board": KITCHEN, "boot": head[1], "seq": head[0], "link": head[14], "by": by, "said_ms": said_ms}


def ask_witness(draft: Draft, head: list[Any]) -> None:
    """Ask a witness, who had signed this head, about the file's newest record; what he answers is kept as an act."""
    newest = statement.sign(WITNESS_KEY, KITCHEN, head[0], bytes.fromhex(head[14]), START_MS)
    slots = [record.wire_to_slot(line["rec"]) for line in draft.records(KITCHEN)]
    behind = [slot for slot in slots if int.from_bytes(slot[:4], "little") > newest.seq]
    sealed = b"".join(slot[:40] + slot[52:60] for slot in behind)
    seq, link = int.from_bytes(slots[-1][:4], "little"), slots[-1][40:52]
    answer = keeper.answer(keeper.Asked(KITCHEN, seq, link, newest, sealed), newest, WITNESS_KEY, START_MS + 1, room=True)
    said = statement.read(keeper.unpacked(answer.body["statement"]))
    here = {(slot[:4], slot[40:52]) for slot in slots}
    here |= {(row["seq_to"].to_bytes(4, "little"), bytes.fromhex(row["head_after"])) for row in draft.header(KITCHEN)["purges"]}
    kept = (said.seq.to_bytes(4, "little"), said.link) in here
    at = [said.seq, head[1], *head[2:14], said.link.hex()]
    told = {"statement": answer.body["statement"], "witness": WITNESS_KEY.name, "key": WITNESS_KEY.public_key, "at": "there"}
    more = told | ({} if answer.status == 200 or kept else {"contradicts": True})
    draft.sign_in(CHECKERS_KEY, [("witness", seen(at, "host", said.said_ms) | more)])


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The kitchen's export before any attack."""
    folder = tmp_path_factory.mktemp("table")
    export_to(make_ledger(folder), folder / "whole.jsonl")
    read = [
        [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]
        for name in ("whole.jsonl", "older.jsonl")
    ]
    OLDER[:] = alone(read[1], STUDY)
    return alone(read[0], STUDY, GARAGE)


def alone(read: list[dict[str, Any]], *others: str) -> list[dict[str, Any]]:
    """The lines of an export without these boards."""
    draft = Draft(read)
    leave_out(draft, *others)
    return draft.lines


def worst(findings: Iterable[tuple[str, str]]) -> str:
    """The worst that a verifier says of a file, in one word, from verdicts and their sentences."""
    found = dict(findings)
    words = ("altered", "restarted chain", "tail cut", "gap", "cannot judge")
    purged = any("28 purged in between" in say for say in found.values())  # 8 were before
    return next((word for word in words if word in found), PURGE if purged else SHOWN_NOT)


def attacked(lines: list[dict[str, Any]], attack: Attack, column: str, path: Path) -> list[str]:
    """Leave what an attacker hands over at a path, with what somebody has beside it; the anchor codes that he has."""
    draft = Draft(copy.deepcopy(lines))
    head = list(draft.record(KITCHEN, 90))
    attack.perform(draft)
    if column == WITNESS:
        ask_witness(draft, head)
    if column == KEY:
        keys.save_key(KITCHEN, KEYS[KITCHEN])
    path.write_bytes(draft.text())
    return [make_code(head[0], bytes.fromhex(head[14]))] if column == ANCHOR else []


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.replace(" ", "-"))
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.perform.__name__)
def test_attack_is_shown_as_the_table_says(lines, tmp_path, attack, column):
    codes = attacked(lines, attack, column, tmp_path / "given.jsonl")
    judgements = judge_file(tmp_path / "given.jsonl", [parse_code(code) for code in codes])
    found = worst((finding.verdict, finding.say) for judgement in judgements[::-1] for finding in judgement.findings)
    assert found == attack.shown[COLUMNS.index(column)]


@pytest.mark.skipif(NODE is None, reason="no Node here (apt-get install nodejs)")
def test_attacks_are_shown_in_a_browser_as_the_table_says(lines, tmp_path):
    """Except by the board's key, which no page is given."""
    asked = [(attack, column) for attack in ATTACKS for column in COLUMNS if column != KEY]
    paths = [tmp_path / f"{number}.jsonl" for number in range(len(asked))]
    codes = [attacked(lines, attack, column, path) for (attack, column), path in zip(asked, paths, strict=True)]
    for (attack, column), result in zip(asked, asked_of_javascript(list(zip(paths, codes, strict=True))), strict=True):
        told = worst((found["verdict"], found["say"]) for judged in result["judgements"][::-1] for found in judged["findings"])
        assert told == attack.shown[COLUMNS.index(column)], f"{attack.attacker} {attack.does}: {column}"


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.replace(" ", "-"))
def test_nothing_is_shown_where_nobody_attacked(lines, tmp_path, column):
    test_attack_is_shown_as_the_table_says(lines, tmp_path, Attack("", "", nothing_recorded, NEVER), column)


def test_page_has_the_table_that_was_tried():
    rows = [("attacker", "what is done", *COLUMNS), ("---",) * 6, *((a.attacker, a.does, *a.shown) for a in ATTACKS)]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    assert f"\n\n{table}\n" in PAGE.read_text(encoding="utf-8"), f"PROOF.md is to have\n{table}"
