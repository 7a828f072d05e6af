# SPDX-License-Identifier: MIT
"""Acts that keep a head which somebody else saw: what they hold a ledger to, and how a ledger of tables 3 gets them."""

from __future__ import annotations

import json

import pytest
from earlid.ledger.location import locate
from earlid.ledger.reader import Reader
from earlid.ledger.store import Ledger

from tests.attacks.conftest import KITCHEN, STUDY

TOLD_MS = 1_780_000_000_000


def note(home, boot, seq, link, **more):
    """An act on the study's record."""
    with Ledger(home.location) as ledger, ledger.transaction() as connection:
        said = {"board": STUDY, "boot": boot, "seq": seq, "link": link, "by": "paper", "said_ms": TOLD_MS}
        ledger.act(connection, "witness", said | more)


def verdicts(say, *words):
    told = json.loads(say("verify", "--json", *words).out)
    return {(board["board"], one["verdict"], one["first"], one["last"]) for board in told for one in board["findings"]}


def test_head_that_stands_in_the_ledger_changes_no_verdict(home, say):
    before = verdicts(say)
    note(home, 2, 40, home.slots[STUDY][39][40:52])
    assert {one[:2] for one in verdicts(say)} == {one[:2] for one in before}
    assert say("verify").code == 0


@pytest.mark.parametrize(
    ("seq", "contradicts", "found"),
    [
        (40, False, ("altered", 40, 40)),
        (40, True, ("altered", 40, 40)),
        (107, True, ("tail cut", 101, 107)),  # records 1 to 100 are there
        (107, False, ("tail cut", 101, 107)),
    ],
)
def test_another_head_than_the_ledgers_breaks_it_in_ledger_and_export(home, say, tmp_path, seq, contradicts, found):
    note(home, 2 if seq == 40 else 4, seq, "ab" * 12, **({"contradicts": True} if contradicts else {}))
    export = tmp_path / "export.jsonl"
    assert say("export", "-o", str(export)).code == 0
    for words in ([], [str(export)]):
        assert {one[1:] for one in verdicts(say, *words) if one[0] == STUDY} == {found}
        assert say("verify", *words).code == 4


def test_purge_takes_the_heads_of_what_it_removes_except_those_that_contradict(home, say):
    slots = home.slots[STUDY]
    note(home, 1, 10, slots[9][40:52])
    note(home, 1, 11, "ab" * 12, contradicts=True)
    note(home, 2, 40, slots[39][40:52])
    assert say("purge", "--between", "2026-11-17", "2026-11-17", "--board", STUDY, "--yes").code == 0
    kept = [json.loads(body)["seq"] for (body,) in home.look("SELECT body FROM acts WHERE kind = 'witness' AND body IS NOT NULL")]
    assert kept == [11, 40]
    assert (STUDY, "altered", 11, 11) in verdicts(say)


@pytest.mark.parametrize("wrong", [{"link": "ab"}, {"seq": -1}, {"boot": 1 << 70}, {"by": 5}, {"said_ms": "now"}])
def test_head_that_is_none_is_named_and_counts_for_nothing(home, say, wrong):
    note(home, **({"boot": 2, "seq": 40, "link": "ab" * 12} | wrong))
    verdict = say("verify")
    assert verdict.code == 1, verdict.out
    assert "Cannot judge act" in verdict.out


def test_ledger_of_tables_3_is_read_as_it_is_and_takes_witnesses_from_now_on(home, say):
    home.forge("UPDATE meta SET value = '3' WHERE key = 'version'")
    home.forge("INSERT INTO bridges VALUES ('x', ?, 1, 2, '')", KITCHEN)
    assert say("verify").code == 0
    with Reader(locate(str(home.path))) as reader:
        assert reader.rows("SELECT boot, seq FROM bridges") == [(1, 2)], "its own, not those of tables 2"
    assert home.look("SELECT value FROM meta WHERE key = 'version'") == [("3",)]
    note(home, 2, 40, home.slots[STUDY][39][40:52])
    assert home.look("SELECT value FROM meta WHERE key = 'version'") == [("4",)]
    assert home.look("SELECT boot, seq FROM bridges") == [(1, 2)]
    assert say("verify").code == 0
