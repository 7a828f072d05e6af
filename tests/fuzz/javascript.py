# SPDX-License-Identifier: MIT
"""Readers in JavaScript over changes of the corpus, each of which a seed makes again: none throws, and an export is judged as the
host judges it."""

from __future__ import annotations

import base64
import json
import random
import subprocess
from pathlib import Path
from typing import Any

from earlid.errors import UserError
from earlid.ledger.judge_export import NAME, judge_file
from lid import record, wire

from tests.fuzz.mutations import mutated, mutated_lines, mutated_value
from tests.fuzz.targets import framed, placed
from tests.fuzz.worker import CORPUS

SCRIPT = Path(__file__).with_name("readers.mjs")
BATCH = 250  # inputs a Node gets at once
KINDS = ("wire", "chip", "export", "sealed")
CHIP = ("partition_tables", "foreign_programs", "one_files")


def source(name: str, rng: random.Random) -> bytes:
    """A file of a target's corpus."""
    return rng.choice(sorted((CORPUS / name).iterdir())).read_bytes()


def sealed(data: bytes, rng: random.Random) -> list[Any]:
    """The sealed block of a report, made of an export's lines, with a value changed; header, slots, times."""
    lines = [json.loads(line) for line in data.splitlines()]
    head, rows = lines[0], [line for line in lines if "rec" in line]
    tables = {name: head[name] for name in ("purges", "anchors", "labels", "clock_points")}
    acts = [line["act"] for line in lines if "act" in line]
    board = {"board": head["board"], "name": head["name"], "count": len(rows), "before": None, "head": None, "tables": tables}
    slots = b"".join(record.wire_to_slot(row["rec"]) for row in rows)
    header = {"sealed": 1, "boards": [board], "acts": acts, "problems": [], "partial": rng.random() < 0.5}
    if rng.random() < 0.7:
        header = mutated_value(header, rng)
    else:
        slots = mutated(slots, rng)
    return [json.dumps(header), base64.b64encode(slots).decode(), [row["at"] for row in rows]]


def made(number: int, seed: int) -> tuple[list[Any], bytes]:
    """A call of `readers.mjs`, and its bytes as the host would read them."""
    rng = random.Random(f"{seed} {number}")
    kind = KINDS[number % len(KINDS)]
    if kind == "wire":
        data = mutated(framed(mutated_lines(source("host_link", rng), rng)), rng)
    elif kind == "chip":
        data = mutated(source(rng.choice(CHIP), rng), rng)
    else:
        data = (CORPUS / "export" / "purged.jsonl").read_bytes()
        if kind == "sealed":
            return [kind, *sealed(data, rng)], b""
        for _ in range(rng.choice((1, 1, 2))):
            data = mutated_lines(data, rng)
    return [kind, base64.b64encode(data).decode()], data


def judged(data: bytes) -> list[Any]:
    """Exit code and findings of an export, as `readers.mjs` says them; of a refused one the code alone."""
    try:
        judgements = judge_file(placed(data, "export.jsonl"))
    except UserError as error:
        return [error.code]
    codes = {judgement.exit_code for judgement in judgements}
    rows = [
        ["" if judgement.identifier == NAME else judgement.identifier, finding.verdict, finding.first, finding.last]
        for judgement in judgements
        for finding in judgement.findings
    ]
    return [max(codes, default=1), sorted(rows)]


def run(count: int, seed: int, first: int = 0) -> str:
    """The first of so many inputs that a reader throws at, or judges as the host does not; empty when there is none."""
    for begin in range(first, first + count, BATCH):
        inputs = [made(number, seed) for number in range(begin, min(begin + BATCH, first + count))]
        # A text that is no Unicode comes as its escape, which JSON has, and is what JavaScript makes of it.
        words = json.dumps([call for call, _ in inputs])
        done = subprocess.run(["node", str(SCRIPT)], input=words, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"seed {seed}, {begin} to {begin + BATCH}: {done.stderr[-2000:]}"
        for number, ((call, data), result) in enumerate(zip(inputs, json.loads(done.stdout), strict=True), begin):
            where = f"seed {seed}, number {number}, {call[0]}: {call[1:]}: "
            if isinstance(result, dict):
                return where + result["threw"]
            if call[0] == "export" and result is not None:
                expected = judged(data)
                if expected != ([result[0], sorted(result[1])] if len(expected) == 2 else result[:1]):
                    return f"{where} the host says {expected}, the page {result}\n{data.decode(errors='replace')}"
            if call[0] == "wire":
                frames = wire.Decoder(wire.HOST_LINE_MAX).feed(data)
                if b"NaN" not in data and b"Infinity" not in data and len(frames) != result:
                    return f"{where} the host reads {len(frames)} frames, the page {result}: {data!r}"
    return ""


if __name__ == "__main__":
    import sys

    print(run(int(sys.argv[2]), int(sys.argv[1]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)[:6000] or "nothing found")
