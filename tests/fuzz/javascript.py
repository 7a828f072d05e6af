# SPDX-License-Identifier: MIT
"""Readers in JavaScript over changes of the corpus, each of which a seed makes again: none throws, and an export is judged as the
host judges it."""

from __future__ import annotations

import base64
import json
import random
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from earlid.errors import UserError
from earlid.ledger import acts
from earlid.ledger.anchor_code import make_code, parse_code
from earlid.ledger.judge_export import NAME, judge_file
from lid import record, wire

from tests.fuzz.board_parts import BOARD
from tests.fuzz.mutations import mutated, mutated_lines, mutated_value
from tests.fuzz.targets import framed, placed
from tests.fuzz.worker import CORPUS

SCRIPT = Path(__file__).with_name("readers.mjs")
BATCH = 250  # inputs a Node gets at once
KINDS = ("wire", "chip", "anchor", "export", "sealed")
CHIP = ("partition_tables", "foreign_programs", "one_files")


def source(name: str, rng: random.Random) -> bytes:
    """A file of a target's corpus."""
    return rng.choice(sorted((CORPUS / name).iterdir())).read_bytes()


def sealed(data: bytes, rng: random.Random) -> list[Any]:
    """The sealed block of a report, made of an export's lines, with a value changed; header, slots, times."""
    lines = [json.loads(line) for line in data.splitlines()]
    head, rows = lines[0], [line for line in lines if "rec" in line]
    tables = {name: head[name] for name in ("purges", "anchors", "labels", "clock_points")}
    rest = [line["act"] for line in lines if "act" in line]
    board = {"board": head["board"], "name": head["name"], "count": len(rows), "before": None, "head": None, "tables": tables}
    slots = b"".join(record.wire_to_slot(row["rec"]) for row in rows)
    header = {"sealed": 1, "boards": [board], "acts": rest, "problems": [], "partial": rng.random() < 0.5}
    if rng.random() < 0.7:
        header = mutated_value(header, rng)
    else:
        slots = mutated(slots, rng)
    return [json.dumps(header), base64.b64encode(slots).decode(), [row["at"] for row in rows]]


def forged(data: bytes, rng: random.Random) -> bytes:
    """An export with records and acts changed by value, linked anew and its acts signed: by somebody with a key of their own."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    public = key.public_key().public_bytes_raw()
    name, before, place = acts.installation_of(public), bytes(32), 0
    lines, prev, row = [], None, []

    def signed(kind: str, fields: Any) -> dict[str, Any]:
        nonlocal before, place
        place += 1
        text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        before = acts.link_of(before, name, place, place, kind, acts.hash_of(text))
        signature = key.sign(b"earlid act 1\n" + before)
        return {"act": [name, place, place, kind, text, acts.hash_of(text).hex(), before.hex(), signature.hex()]}

    for line in map(json.loads, data.splitlines()):
        if "rec" in line:
            row = list(line["rec"])
            if rng.random() < 0.2:
                at = rng.randrange(14)
                row[at] = rng.choice((0, 1, 2, 2**16 - 1, 2**32 - 1, 2**48 - 1, *record.EVENTS, *record.REASONS))
            with suppress(ValueError):
                body = record.make_body(row[:14])
                if prev:
                    row[14] = record.make_link(bytes.fromhex(prev), body, bytes.fromhex(row[15])).hex()
            line["rec"], prev = row, row[14]
        elif "end" in line and rng.random() < 0.8:
            line["seq"], line["link"] = row[0], row[14]
        elif "act" in line:
            _, _, _, kind, body, *_ = line["act"]
            fields = json.loads(body)
            if kind == "begin":
                fields["key"] = public.hex()
            elif rng.random() < 0.3:
                fields = mutated_value(fields, rng)
            line = signed(kind, fields)
        elif "acts" in line:
            for _ in range(rng.choice((0, 0, 0, 1, 2))):
                seq, link = rng.choice(((row[0], row[14]), (rng.randrange(1, 10), row[14]), (row[0], "00" * 12)))
                said = {"board": BOARD, "boot": 1, "seq": seq, "link": link, "by": rng.choice(("paper", "host")), "said_ms": 1}
                lines.append(json.dumps(signed("witness", said | rng.choice(({}, {"contradicts": True})))))
                line["acts"] += 1
        elif "earlid" in line:
            line["format"] = rng.choice((2, 3))
            if rng.random() < 0.3:
                line = mutated_value(line, rng)
        lines.append(json.dumps(line))
    return "\n".join(lines).encode() + b"\n"


def made(number: int, seed: int) -> tuple[list[Any], bytes]:
    """A call of `readers.mjs`, and its bytes as the host would read them."""
    rng = random.Random(f"{seed} {number}")
    kind = KINDS[number % len(KINDS)]
    if kind == "wire":
        data = mutated(framed(mutated_lines(source("host_link", rng), rng)), rng)
    elif kind == "chip":
        data = mutated(source(rng.choice(CHIP), rng), rng)
    elif kind == "anchor":
        text = make_code(rng.randrange(1 << rng.randrange(34)), rng.randbytes(12)).lower()
        return [kind, text if rng.random() < 0.3 else mutated(text.encode(), rng).decode(errors="replace")], b""
    else:
        data = (CORPUS / "export" / "purged.jsonl").read_bytes()
        if kind == "sealed":
            return [kind, *sealed(data, rng)], b""
        if rng.random() < 0.5:
            data = forged(data, rng)
            return [kind, base64.b64encode(data).decode()], data
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


def typed(text: str) -> list[Any] | None:
    """An anchor code as the host reads it, as `readers.mjs` says it."""
    try:
        anchor = parse_code(text)
    except UserError:
        return None
    return [anchor.seq, anchor.link_bits.to_bytes(5, "big").hex()]


def _unread(judgement: Any) -> list[Any]:
    """The acts that cannot be read, of a result of `judged`: what of such an act counts still may differ."""
    rows = judgement[1] if isinstance(judgement, list) and len(judgement) == 2 and isinstance(judgement[1], list) else []
    return [row for row in rows if row[0] == "" and row[1] == "cannot judge" and row[2]]


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
            where = f"seed {seed}, number {number}, {call[0]}: "
            if isinstance(result, dict):
                return where + result["threw"]
            expected: Any = result
            if call[0] == "export":
                expected = judged(data)
                result = [result[0], sorted(result[1])] if len(expected) == 2 else result[:1]
            elif call[0] == "anchor":
                expected = typed(call[1])
            elif call[0] == "wire" and b"NaN" not in data and b"Infinity" not in data:  # MicroPython and JavaScript read neither
                expected = len(wire.Decoder(wire.HOST_LINE_MAX).feed(data))
            if result != expected and not _unread(result) == _unread(expected) != []:
                return f"{where} the host says {expected}, the page {result}\n{data.decode(errors='replace')}"
    return ""


if __name__ == "__main__":
    import sys

    print(run(int(sys.argv[2]), int(sys.argv[1]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)[:6000] or "nothing found")
