# SPDX-License-Identifier: MIT
"""The verifier of the page over a report's sealed records: of everything and of a few days, whole and falsified."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import random
from collections import Counter
from datetime import datetime
from typing import Any

import pytest
from earlid.ledger import purge
from earlid.ledger.anchor_code import make_code
from earlid.ledger.boards import boards
from earlid.ledger.installation import Installation
from earlid.ledger.queries import entries, openings
from earlid.ledger.reader import Reader
from earlid.ledger.sealed import sealed_records
from earlid.ledger.store import Ledger
from earlid.witness import statement
from lid import record

from tests.page.synthetic import KEYS, KITCHEN, household
from tests.proof.corpus import make_ledger
from tests.proof.test_verifier_chain import judge_in_node

FROM_MS, TO_MS = (int(datetime(2026, 11, day).timestamp() * 1000) for day in (14, 17))
TOLD_MS = 1_780_000_000_000


class Report:
    """What a report carries of the kitchen's board, to be falsified."""

    def __init__(self, reader: Reader, from_ms: int | None, to_ms: int | None) -> None:
        found = sealed_records(reader, boards(reader)[:1], from_ms, to_ms, [])
        self.header: dict[str, Any] = json.loads(json.dumps(found.header))
        data = bytes(found.slots)
        self.slots = [data[at : at + 64] for at in range(0, len(data), 64)]
        self.taken = list(found.taken_ms)
        self.codes: list[str] = []

    def label(self, i: int) -> dict[str, int]:
        """A label for a record that nobody gave."""
        return {"boot": int.from_bytes(self.slots[i][4:8], "little"), "seq": self.seq(i), "label": 0, "at_ms": 5}

    @property
    def board(self) -> dict[str, Any]:
        """The board as the header has it."""
        return self.header["boards"][0]

    def seq(self, i: int) -> int:
        """The number of a record."""
        return int.from_bytes(self.slots[i][:4], "little")

    def code(self, i: int) -> str:
        """The anchor code of a record."""
        return make_code(self.seq(i), self.slots[i][40:52])

    def reseal(self, i: int) -> None:
        """Make every link from a record on anew, the first one over another body."""
        rows = [record.read_body(slot[:40]) for slot in self.slots[i:]]
        rows[0][5] ^= 1
        link = self.slots[i - 1][40:52]
        for at, row in enumerate(rows, i):
            self.slots[at], link = record.seal(KEYS[KITCHEN], link, record.make_body(row))


def host_statement(seq: int, link: bytes, said_ms: int) -> dict[str, str]:
    """What a host of another key signs of a head, as an act keeps it."""
    key = Installation(bytes(range(32)))
    said = statement.sign(key, KITCHEN, seq, link, said_ms)
    return {"statement": base64.b64encode(said.data).decode(), "key": key.public_key.hex(), "witness": key.name}


def stamp_statement(boot: int, seq: int, link: bytes) -> dict[str, Any]:
    """A time stamp's act; the stamp itself is no more than the hash that it would be made over."""
    heads = sorted(hashlib.sha256(line).hexdigest() for line in (f"{KITCHEN} {boot} {seq} {link.hex()}\n".encode(), b"another's"))
    text = "earlid heads 1\n" + "".join(f"{head}\n" for head in heads)
    token = b"0\x82" + hashlib.sha256(text.encode()).digest() + b"0"
    return {"statement": base64.b64encode(token).decode(), "heads": heads, "name": "An authority"}


def bear_witness(ledger: Ledger, report: Report) -> None:
    """Acts of witnesses on the 31st record, good ones and bad ones in turn."""
    slot = report.slots[30]
    boot, seq, link = int.from_bytes(slot[4:8], "little"), report.seq(30), slot[40:52]
    host, stamp = host_statement(seq, link, TOLD_MS), stamp_statement(boot, seq, link)
    flipped = base64.b64decode(host["statement"])
    bodies: list[dict[str, Any]] = [
        {"by": "host"} | host,
        {"by": "host"} | host | {"statement": base64.b64encode(flipped[:-1] + bytes([flipped[-1] ^ 1])).decode()},
        {"by": "host"} | host | {"witness": "0" * 16},
        {"by": "host"} | host_statement(seq, link, TOLD_MS + 1),
        {"by": "tsa"} | stamp,
        {"by": "tsa"} | stamp | {"heads": stamp["heads"][:1] * 2},
        {"by": "paper"},
        {"by": "an oracle"},
    ]
    with ledger.transaction() as connection:
        for body in bodies:
            head = {"board": KITCHEN, "boot": boot, "seq": seq, "link": link.hex(), "said_ms": TOLD_MS}
            ledger.act(connection, "witness", head | body)


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> dict[str, Report]:
    """Of everything, of three days, and of everything that a purge left."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("reports")
        patch.setenv("EARLID_DATA_DIR", str(folder))
        location, _, _ = household(folder / "ledger.sqlite", days=20, end=datetime(2026, 11, 21, 22, 30))
        with Reader(location) as reader:
            known = boards(reader)
            made = {"all": Report(reader, None, None), "days": Report(reader, FROM_MS, TO_MS)}
        with Ledger(location) as ledger:
            bear_witness(ledger, made["all"])
            with Reader(location) as reader:
                made["witnessed"] = Report(reader, None, None)
            purge.purge(ledger, purge.find(ledger, known[:1], purge.Selection(FROM_MS, TO_MS, "test")).runs, "test")
        with Reader(location) as reader:
            made["purged"] = Report(reader, None, None)
    return made


def judge(*reports: Report, without: str = "") -> list[list[dict[str, Any]]]:
    """The judgements of each report, in Node; `without` as of `judge_in_node`."""
    words = [
        {
            "header": report.header,
            "slots": base64.b64encode(b"".join(report.slots)).decode(),
            "taken": report.taken,
            "codes": report.codes,
        }
        for report in reports
    ]
    return judge_in_node(words, without)["judgements"]


def found(judgement: dict[str, Any]) -> set[tuple[str, int, int]]:
    """Its findings."""
    return {(finding["verdict"], finding["first"], finding["last"]) for finding in judgement["findings"]}


def test_whole_reports_are_intact(reports):
    for name, judged in zip(reports, judge(*reports.values()), strict=True):
        report = reports[name]
        board, acts = judged
        first = 1 if name != "days" else report.seq(0)
        assert found(board) == {("intact", first, report.seq(-1))}, name
        assert found(acts) == {("intact", 0, 0)}, name
        assert (board["records"], board["links"]) == (len(report.slots), len(report.slots))
        assert board["anchor"] == report.code(-1)


def test_report_of_a_few_days_says_what_it_does_not_carry(reports):
    report = reports["days"]
    judged, acts = judge(report)[0]
    assert report.seq(0) > 1
    assert report.seq(-1) < report.board["head"]["seq"]
    assert f"It begins at record {report.seq(0)}; what stands before is not in this report." in judged["cannot"]
    said = f"It ends at record {report.seq(-1)}; records up to {report.board['head']['seq']} are not in this report."
    assert said in judged["cannot"]
    assert any("their hashes alone are here" in say for say in acts["cannot"])


def test_statement_of_a_witness_is_believed_as_far_as_it_can_be_checked(reports):
    board, acts = judge(reports["witnessed"])[0]
    number = reports["all"].seq(30)
    assert found(board) == {("intact", 1, reports["all"].seq(-1))}
    assert found(acts) == {("intact", 0, 0)}
    assert [witness["holds"] for witness in board["witnesses"]] == [True, False, False, False, None, False, None, False]
    says = [witness["say"] for witness in board["witnesses"]]
    assert says[0] == f"Computer 56475aa75463474c saw records 1 to {number}, 2026-05-28 20:26 UTC (signed)."
    assert says[1].startswith("Not believed: Computer 56475aa75463474c")
    assert "its signature is wrong" in says[1]
    assert "`openssl ts -verify -data heads.txt" in says[4]
    text = base64.b64decode(board["witnesses"][4]["files"]["heads.txt"])
    assert hashlib.sha256(text).digest() in base64.b64decode(board["witnesses"][4]["files"]["stamp.tsr"])


def test_typed_code_counts_where_its_record_is(reports):
    days, whole = reports["days"], reports["all"]
    behind, beyond = days.seq(-1) + 1, days.board["head"]["seq"] + 1
    cases = [
        (days.code(3), ("intact", days.seq(0), days.seq(-1))),
        (whole.code(0), ("cannot judge", 1, 1)),
        (whole.code(behind - 1), ("cannot judge", behind, behind)),
        (make_code(beyond, bytes(12)), ("tail cut", days.seq(-1) + 1, beyond)),
        (make_code(days.seq(3), bytes(12)), ("altered", days.seq(3), days.seq(3))),
    ]
    asked = []
    for code, _ in cases:
        asked.append(copy.deepcopy(days))
        asked[-1].codes = [code]
    for (code, expected), (board, _) in zip(cases, judge(*asked), strict=True):
        assert found(board) == {expected}, code


def test_browser_without_ed25519_says_that_signatures_are_not_checked(reports):
    without = 'crypto.subtle.importKey = async () => { throw new DOMException("none", "NotSupportedError") }'
    board, acts = judge(reports["witnessed"], without=without)[0]
    assert found(board) == {("intact", 1, reports["all"].seq(-1))}
    assert found(acts) == {("cannot judge", 0, 0)}
    assert "signatures not checked: this browser cannot" in acts["findings"][0]["say"]
    assert [witness["holds"] for witness in board["witnesses"][:2]] == [None, None]


def test_page_without_cryptography_judges_nothing(reports):
    without = 'Object.defineProperty(globalThis, "crypto", { value: {} })'
    (refused,) = judge(reports["all"], without=without)[0]
    assert (refused["refused"], found(refused)) == (2, {("cannot judge", 0, 0)})


def test_falsified_reports_are_told(reports):
    """Each falsification with what must be found of the records, and of the acts."""
    cases = []

    def case(name: str, board: tuple[str, int, int] | None, acts: tuple[str, int, int] = ("intact", 0, 0)) -> Report:
        report = copy.deepcopy(reports[name])
        cases.append((report, board, acts))
        return report

    for name in ("all", "days"):
        number = reports[name].seq(5)
        report = case(name, ("altered", number, number))
        report.slots[5] = report.slots[5][:16] + bytes([report.slots[5][16] ^ 1]) + report.slots[5][17:]
        report = case(name, ("gap", number, number))  # and taken out
        del report.slots[5], report.taken[5]
        report.board["count"] -= 1
    number = reports["days"].seq(0)
    case("days", ("altered", number, number)).board["before"]["link"] = "00" * 12

    whole = reports["all"]
    last, cut = whole.seq(-1), whole.seq(-4)
    report = case("all", ("tail cut", cut + 1, last), ("intact", 0, 0))  # its end removed, and called the newest
    del report.slots[-3:], report.taken[-3:]
    report.board["count"] -= 3
    report.board["head"] = {
        "boot": int.from_bytes(report.slots[-1][4:8], "little"),
        "seq": cut,
        "link": report.slots[-1][40:52].hex(),
    }
    report = case("all", ("altered", last, last))  # made anew from one record on: the head that was signed shows it
    report.reseal(len(report.slots) - 9)

    for name in ("all", "days"):
        tables = case(name, None, ("altered", 0, 0)).board["tables"]
        tables["labels"] = [row | {"label": 1 - row["label"]} for row in tables["labels"]] or [reports[name].label(3)]
        points = case(name, None, ("altered", 0, 0)).board["tables"]["clock_points"]
        points.append({"boot": 1, "ms": 5, "wall_ms": 6, "unc_ms": 7})
        case(name, None, ("altered", 0, 0)).board["name"] = "hall"
        case(name, None, ("altered", 0, 0)).taken[7] = 5.0
    case("purged", None, ("altered", 0, 0)).board["tables"]["purges"][0]["count"] += 1
    case("all", None, ("cannot judge", 0, 0)).header["acts"] = []

    report = case("all", None, ("altered", 3, 3))
    report.header["acts"][2][4] = report.header["acts"][2][4].replace('"at_ms":1', '"at_ms":2')
    for (report, board, acts), (judged, judged_acts) in zip(cases, judge(*(report for report, _, _ in cases)), strict=True):
        place = [len(report.slots), board, acts, judged["findings"], judged_acts["findings"]]
        expected = board or ("intact", report.seq(0) if report.header["partial"] else 1, report.seq(-1))
        assert expected in found(judged), place
        assert acts in found(judged_acts), place


def test_report_of_any_range_of_a_sound_ledger_is_not_called_altered(tmp_path):
    location, rng = make_ledger(tmp_path), random.Random(18)
    words = []
    with Reader(location) as reader:
        known = boards(reader)
        times_ms = sorted(entry.wall_ms for entry in entries(reader, known, None, None))
        for _ in range(60):
            ends_ms = sorted(rng.choice(times_ms) + rng.choice((0, -1, 1, 500)) for _ in range(2))
            from_ms, to_ms = (rng.choice((end_ms, end_ms, end_ms, None)) for end_ms in ends_ms)
            chosen = rng.choice((known, known[:1], known[1:], known[2:]))
            place = {board.identifier: i for i, board in enumerate(chosen)}
            shown = [(place[one.board], one.boot, one.seq) for one in openings(reader, chosen, from_ms, to_ms)]
            sealed = sealed_records(reader, chosen, from_ms, to_ms, shown)
            slots = base64.b64encode(bytes(sealed.slots)).decode()
            words.append({"header": sealed.header, "slots": slots, "taken": list(sealed.taken_ms), "codes": []})
    counts = Counter(
        (finding["verdict"], judgement["records"] > 0 or not judgement["board"])
        for judgements in judge_in_node(words)["judgements"]
        for judgement in judgements
        for finding in judgement["findings"]
    )
    assert set(counts) <= {("intact", True), ("cannot judge", False)}, counts
    assert counts["intact", True] > 100
