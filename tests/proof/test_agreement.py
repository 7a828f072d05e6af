# SPDX-License-Identifier: MIT
"""Both verifiers, in Python and in JavaScript, on damaged ledgers and on random damages: they agree on every verdict."""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from earlid.errors import UserError
from earlid.ledger.anchor_code import parse_code
from earlid.ledger.boards import boards
from earlid.ledger.judge import judge
from earlid.ledger.judge_export import NAME, judge_file
from earlid.ledger.judge_host import judge_host
from earlid.ledger.location import Location
from earlid.ledger.reader import Reader
from earlid.ledger.sealed import sealed_records

from tests.proof.corpus import ACTS, INTACT, NOBODYS, OURS, Case, Draft, Findings, export_to, make_ledger
from tests.proof.damages import CASES
from tests.proof.test_verifier_chain import judge_in_node

NODE = shutil.which("node")
RUNNER = Path(__file__).with_name("node") / "judge_exports.js"
RANDOM_DAMAGES = 200
Verdict = tuple[int, dict[str, Findings]]  # exit code, and findings by board; none of a file that was refused


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of the ledger before any damage."""
    folder = tmp_path_factory.mktemp("corpus")
    export_to(make_ledger(folder), folder / "whole.jsonl")
    return folder / "whole.jsonl"


def by_python(path: Path, codes: Sequence[str] = ()) -> Verdict:
    """As `earlid verify FILE --anchor CODE` judges it."""
    try:
        judgements = judge_file(path, [parse_code(code) for code in codes])
    except UserError as error:
        return error.code, {}
    found = {
        ACTS if judgement.identifier == NAME else judgement.identifier: sorted({finding[:3] for finding in judgement.findings})
        for judgement in judgements
    }
    return max((judgement.exit_code for judgement in judgements), default=1), found


def asked_of_javascript(files: Sequence[tuple[Path, Sequence[str]]]) -> list[dict[str, Any]]:
    """What the page says of files, and its exit codes."""
    given = json.dumps([[str(path), list(codes)] for path, codes in files])
    done = subprocess.run([str(NODE), str(RUNNER)], input=given, capture_output=True, text=True, timeout=120, check=True)
    return list(json.loads(done.stdout))


def by_javascript(files: Sequence[tuple[Path, Sequence[str]]]) -> list[Verdict]:
    """As the page judges them."""
    verdicts: list[Verdict] = []
    for result in asked_of_javascript(files):
        refused = any(judgement.get("refused") for judgement in result["judgements"])
        verdicts.append((result["code"], {} if refused else found_in(result["judgements"])))
    return verdicts


def found_in(judgements: Sequence[dict[str, Any]]) -> dict[str, Findings]:
    """Findings by board of what the page says."""
    return {
        judgement["board"] or ACTS: sorted({(f["verdict"], f["first"], f["last"]) for f in judgement["findings"]})
        for judgement in judgements
    }


def damaged(exported: Path, case: Case) -> Draft:
    """The export after a damage."""
    draft = Draft([json.loads(line) for line in exported.read_text(encoding="utf-8").splitlines()])
    case.damage(draft)
    return draft


def test_corpus_has_damages_of_every_kind_and_no_name_twice():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) >= 100
    verdicts = {verdict for case in CASES for findings in case.expected.values() for verdict, _, _ in findings}
    assert verdicts == {"altered", "gap", "tail cut", "restarted chain", "cannot judge", INTACT}


@pytest.fixture(scope="module")
def verdicts(exported: Path) -> dict[str, tuple[Verdict, Verdict | None]]:
    """What Python and JavaScript say of each case."""
    files = []
    for number, case in enumerate(CASES):
        draft, path = damaged(exported, case), exported.with_name(f"case-{number}.jsonl")
        path.write_bytes(draft.text())
        files.append((path, draft.codes))
    python = [by_python(*file) for file in files]
    script = by_javascript(files) if NODE else [None] * len(files)
    return {case.name: both for case, *both in zip(CASES, python, script, strict=True)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_damage_gets_its_verdict_from_both(verdicts, case):
    found = {name: sorted(set(findings)) for name, findings in case.expected.items()}
    expected = (case.exit_code, {} if case.refused else found)
    python, script = verdicts[case.name]
    assert python == expected
    if NODE is None:
        pytest.skip("no Node here (apt-get install nodejs)")
    assert script == expected


@pytest.mark.skipif(NODE is None, reason="no Node here (apt-get install nodejs)")
def test_acts_without_words_and_computers_are_counted_by_both(exported):
    """All that shows of a label that was taken out with its act's words, or of a purge by a computer that nobody knows."""
    silent, purge = (
        damaged(exported, next(case for case in CASES if case.name == name))
        for name in ("words of a label's act taken out with the label", "purge that another computer signed")
    )
    paths = [exported.with_name("silent.jsonl"), exported.with_name("purge.jsonl")]
    for path, draft in zip(paths, (silent, purge), strict=True):
        path.write_bytes(draft.text())
    script = [result["judgements"][-1] for result in asked_of_javascript([(path, ()) for path in paths])]
    python = [judge_file(path)[-1].findings[0].say for path in paths]
    assert "what 1 of them said" in python[0]
    assert any("said in 1 acts" in sentence for sentence in script[0]["cannot"])
    assert all(f"{NOBODYS.name} (1 begin, 1 purge)" in say for say in (python[1], script[1]["findings"][0]["say"]))


# Damage to the ledger itself: what is changed in the file past Earlid, and the exit code of its export.
IN_THE_LEDGER = {
    "field of a record": ("UPDATE records SET score = score + 1 WHERE board_id = 1 AND seq = 20", 4),
    "link of a record": ("UPDATE records SET link = zeroblob(12) WHERE board_id = 1 AND seq = 20", 4),
    "time of taking": ("UPDATE records SET taken_ms = taken_ms - 86400000 WHERE board_id = 2 AND seq = 20", 4),
    "records": ("DELETE FROM records WHERE board_id = 1 AND seq BETWEEN 20 AND 30", 4),
    "tail": ("DELETE FROM records WHERE board_id = 2 AND seq > 40", 4),
    "purge": ("DELETE FROM purges", 4),
    "moved clock": ("UPDATE clock_points SET wall_ms = wall_ms + 3600000 WHERE boot = 2 AND source = 2", 4),
    "board's own clock": ("UPDATE clock_points SET wall_ms = wall_ms + 3600000 WHERE boot = 2 AND source = 4", 0),
    "label": ("UPDATE labels SET label = 1 - label WHERE board_id = 1", 4),
    "name": ("UPDATE boards SET name = 'garage two' WHERE id = 3", 4),
    "board": ("UPDATE boards SET board = 'abcdef' WHERE id = 2", 4),
    "note": ("UPDATE notes SET say = 'all was well'", 0),
    "sums": ("UPDATE tallies SET count = count + 1", 0),
    "act": ("UPDATE acts SET body = replace(body, '12 months', '12 days')", 4),
    "acts": ("DELETE FROM acts WHERE number BETWEEN 3 AND 5", 4),
    "words of acts": ("UPDATE acts SET body = NULL WHERE kind = 'took'", 4),
    "last act, and its label": ("DELETE FROM acts WHERE place = (SELECT MAX(place) FROM acts)", 4),
    "all acts": ("DELETE FROM acts", 1),
}


@pytest.mark.skipif(NODE is None, reason="no Node here (apt-get install nodejs)")
def test_damage_in_the_ledger_is_told_there_and_agreed_upon_in_export_and_report(exported, tmp_path, monkeypatch):
    """What an export does not carry (sums, notes) it does not show, and it has the board's own clocks from the records."""
    monkeypatch.setenv("EARLID_DATA_DIR", str(exported.with_name(f"computer-{OURS.name}")))
    files, told, reports = [], {}, []
    for number, (name, (sql, _)) in enumerate(IN_THE_LEDGER.items()):
        path = tmp_path / f"{number}.sqlite"
        shutil.copy(exported.with_name("ledger.sqlite"), path)
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            assert connection.execute(sql).rowcount, name
        location = Location(path, "")
        with Reader(location) as reader:
            judgements = [judge_host(reader), *(judge(reader, board, ()) for board in boards(reader))]
            sealed = sealed_records(reader, boards(reader), None, None, [])
        told[name] = max(judgement.exit_code for judgement in judgements)
        slots = base64.b64encode(bytes(sealed.slots)).decode()
        reports.append({"header": sealed.header, "slots": slots, "taken": list(sealed.taken_ms), "codes": []})
        export_to(location, path.with_suffix(".jsonl"))
        files.append((path.with_suffix(".jsonl"), ()))
    assert set(told.values()) == {4}, told
    python = [by_python(*file) for file in files]
    codes = dict(zip(IN_THE_LEDGER, [code for code, _ in python], strict=True))
    assert codes == {name: code for name, (_, code) in IN_THE_LEDGER.items()}
    assert by_javascript(files) == python
    judged = judge_in_node(reports)["judgements"]
    assert dict(zip(IN_THE_LEDGER, map(found_in, judged), strict=True)) == dict(
        zip(IN_THE_LEDGER, [found for _, found in python], strict=True)
    )


def randomly_damaged(lines: list[dict], seed: str) -> bytes:
    """An export with a byte, a line or a value of it changed."""
    rng = random.Random(seed)
    draft = Draft(copy.deepcopy(lines))
    text = bytearray(draft.text())
    match rng.randrange(6):
        case 0:
            text[rng.randrange(len(text))] = rng.choice(b'0123456789abcdef,"[]{}:. \n\x00\xff')
        case 1:
            at = rng.randrange(len(text))
            del text[at : at + rng.randint(1, 40)]
        case 2:
            at = rng.randrange(len(text))
            text[at:at] = text[at : at + rng.randint(1, 40)]
        case 3:  # lines in another order, doubled, gone
            at, to = rng.randrange(len(lines)), rng.randrange(len(lines))
            line = draft.lines.pop(at) if rng.random() < 0.7 else draft.lines[at]
            if rng.random() < 0.6:
                draft.lines.insert(to, line)
            return draft.text()
        case 4:  # a value of a record, of which the file is counted anew
            board = rng.choice([line["board"] for line in lines if "board" in line])
            values = rng.choice(draft.records(board))["rec"]
            at = rng.randrange(16)
            values[at] = rng.choice([line["rec"][at] for line in lines if "rec" in line])
            draft.put(board, draft.records(board))
            return draft.text()
        case _:  # a value of an act
            act = rng.choice(draft.acts)
            at = rng.randrange(8)
            act[at] = rng.choice([other[at] for other in draft.acts])
            return draft.text()
    return bytes(text)


@pytest.mark.skipif(NODE is None, reason="no Node here (apt-get install nodejs)")
def test_random_damage_gets_the_same_verdict_from_both(exported):
    lines = [json.loads(line) for line in exported.read_text(encoding="utf-8").splitlines()]
    files = []
    for number in range(RANDOM_DAMAGES):
        path = exported.with_name(f"random-{number}.jsonl")
        path.write_bytes(randomly_damaged(lines, f"agreement {number}"))
        files.append((path, ()))
    scripts = by_javascript(files)
    judged = 0
    for number, (file, script) in enumerate(zip(files, scripts, strict=True)):
        python = by_python(*file)
        assert python == script, f"seed 'agreement {number}'"
        judged += bool(python[1])
    assert judged > RANDOM_DAMAGES // 3, "most are no refusals"
