# SPDX-License-Identifier: MIT
"""The verifier of the page against the one of the host: random chains, broken at random, are judged alike by both."""

from __future__ import annotations

import base64
import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
from earlid.ledger.acts import KINDS
from earlid.ledger.anchor_code import make_code, parse_code
from earlid.ledger.chain import ChainChecker, PurgedRun
from earlid.ledger.rows import row_from_slot
from lid import record

from tests.ledger.synthetic_chains import fields, seal_all

NODE = Path(__file__).with_name("node")
CHAINS = 1000


class Chain:
    """A random chain of a few records, and what is said beside it; `damage` breaks some of it."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        self.board = rng.choice(["00112233aabbccdd", "ab", "00112233aabbccdd.5eed00"])
        self.slots: list[bytes] = []
        self.purges: list[PurgedRun] = []
        self.anchors: dict[tuple[int, int], bytes] = {}
        self.codes: list[str] = []
        boot, seq, prev = 1, 1, record.genesis(self.board)
        for _ in range(rng.randrange(1, 4)):
            rows = [self._row(seq + i, boot, i) for i in range(rng.randrange(0, 9))]
            self.slots += seal_all(rows, self.board, prev=prev)
            boot, seq = boot + 1, seq + len(rows)
            prev = self.slots[-1][40:52] if self.slots else prev
            if rng.random() < 0.15:  # its flash is erased
                seq, prev = rng.choice([(1, record.genesis(self.board)), (rng.randrange(1, 5), rng.randbytes(12))])
        for _ in range(rng.randrange(0, 4)):
            rng.choice([self._keep_head, self._purge, self._damage, self._keep_code])()
        self.purges.sort()

    def _row(self, seq: int, boot: int, i: int) -> list[Any]:
        if self.rng.random() < 0.1:
            return fields(seq, i, "lost", "overwritten", boot=boot, a=self.rng.randrange(0, 4), b=self.rng.randrange(0, 12))
        return fields(seq, i, "near-miss", "word", boot=boot, score=self.rng.randrange(256))

    def _identity(self, i: int) -> tuple[int, int, bytes]:
        row = row_from_slot(self.slots[i], 0, 0)
        return row[1], row[2], self.slots[i][40:52]

    def _keep_head(self) -> None:
        if self.slots:
            boot, seq, link = self._identity(self.rng.randrange(len(self.slots)))
            beyond = self.rng.random() < 0.2
            self.anchors[boot, seq + 20 * beyond] = link if self.rng.random() < 0.7 else self.rng.randbytes(12)

    def _keep_code(self) -> None:
        if self.slots:
            _, seq, link = self._identity(self.rng.randrange(len(self.slots)))
            self.codes.append(make_code(seq + self.rng.choice([0, 0, 0, 20]), self.rng.choice([link, link, bytes(12)])))

    def _purge(self) -> None:
        if len(self.slots) < 3:
            return
        first = self.rng.randrange(len(self.slots) - 1)
        last = self.rng.randrange(first, len(self.slots) - 1)
        (boot_from, seq_from, _), (boot_to, seq_to, after) = self._identity(first), self._identity(last)
        before = self._identity(first - 1)[2] if first else self.rng.choice([None, record.genesis(self.board)])
        if self.rng.random() < 0.2:
            before, after = self.rng.choice([(self.rng.randbytes(12), after), (before, self.rng.randbytes(12))])
        self.purges.append(PurgedRun(boot_from, seq_from, boot_to, seq_to, before, after))
        if self.rng.random() < 0.9:
            del self.slots[first : last + 1]

    def _damage(self) -> None:
        if not self.slots:
            return
        rng, slots = self.rng, self.slots
        i, j = rng.randrange(len(slots)), rng.randrange(len(slots))
        match rng.randrange(6):
            case 0:  # a field, the link or the mac; not what makes it no record at all
                at = rng.choice([*range(8, 14), *range(16, 60)])
                slots[i] = slots[i][:at] + bytes([slots[i][at] ^ 1 << rng.randrange(8)]) + slots[i][at + 1 :]
            case 1:
                slots[i], slots[j] = slots[j], slots[i]
            case 2:
                del slots[i]
            case 3:
                slots.insert(i, slots[j])
            case 4:
                del slots[i:]
            case 5:  # restamped from one record on
                rows = [record.read_body(slot[:40]) for slot in slots[i:]]
                rows[0][5] ^= 1
                slots[i:] = seal_all(rows, self.board, bytes(32), slots[i - 1][40:52] if i else record.genesis(self.board))

    def judged_by_host(self) -> list[tuple[str, int, int]]:
        """The findings of `ChainChecker`."""
        typed = [parse_code(code) for code in self.codes]
        checker = ChainChecker(self.board, (), self.purges, self.anchors, typed)
        checker.feed(row_from_slot(slot, 0, 0) for slot in self.slots)
        return sorted((finding.verdict, finding.first, finding.last) for finding in checker.finish())

    def evidence(self) -> dict[str, Any]:
        """What the verifier of the page is given: a report's sealed block without acts."""
        purges = [
            run._asdict()
            | {"head_before": run.head_before and run.head_before.hex(), "head_after": run.head_after.hex()}
            | {"count": 1, "at_ms": 0, "why": ""}
            for run in self.purges
        ]
        anchors = [{"boot": boot, "seq": seq, "link": link.hex(), "at_ms": 0} for (boot, seq), link in self.anchors.items()]
        tables = {"purges": purges, "anchors": anchors, "labels": [], "clock_points": []}
        board = {"board": self.board, "name": None, "count": len(self.slots), "before": None, "head": None, "tables": tables}
        slots = base64.b64encode(b"".join(self.slots)).decode()
        return {"header": {"boards": [board], "acts": []}, "slots": slots, "taken": [0] * len(self.slots), "codes": self.codes}


def judge_in_node(evidence: list[dict[str, Any]], without: str = "") -> dict[str, Any]:
    """What the verifier of the page says of sealed blocks, in Node: `judgements` of each, and the format's names.

    Args:
        without: a statement in JavaScript that takes something away first.
    """
    script = json.dumps(str(NODE / "judge_reports.js"))
    command = ["node", "-e", f"{without}; require({script})"]
    done = subprocess.run(command, input=json.dumps(evidence), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def judged() -> tuple[list[Chain], dict[str, Any]]:
    chains = [Chain(seed) for seed in range(CHAINS)]
    return chains, judge_in_node([chain.evidence() for chain in chains])


def test_random_chains_are_judged_alike(judged):
    chains, answers = judged
    seen = set()
    for seed, (chain, (answer, *_)) in enumerate(zip(chains, answers["judgements"], strict=True)):
        found = sorted((finding["verdict"], finding["first"], finding["last"]) for finding in answer["findings"])
        expected = chain.judged_by_host()
        assert found == expected, f"seed {seed}: {answer['findings']}"
        assert answer["records"] == len(chain.slots)
        seen |= {verdict for verdict, _, _ in expected}
    assert seen == {"intact", "altered", "gap", "tail cut", "restarted chain", "cannot judge"}


def test_names_of_the_format_are_the_boards(judged):
    _, answers = judged
    assert (answers["events"], answers["reasons"]) == (list(record.EVENTS), list(record.REASONS))
    assert answers["kinds"] == list(KINDS)
