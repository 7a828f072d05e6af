# SPDX-License-Identifier: MIT
"""The corpus of damaged ledgers: one small ledger with all that a ledger can hold, and named damages to it and to its export.

`damages.py` has the damages; each says what of the verdicts it changes.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from earlid.ledger import acts, importer, purge, store
from earlid.ledger.boards import boards
from earlid.ledger.installation import Installation
from earlid.ledger.jsonl import export_boards
from earlid.ledger.location import Location
from earlid.ledger.reader import Reader
from earlid.ledger.store import Head, Ledger
from lid import record

from tests.ledger.synthetic_chains import life, seal_all

KITCHEN, STUDY, GARAGE = "00112233aabbccdd", "8899aabbccddeeff", "0f0f0f0f0f0f0f0f"
KEYS = {KITCHEN: bytes(range(32)), STUDY: bytes(range(32, 64)), GARAGE: bytes(range(64, 96))}
OURS, THEIRS, NOBODYS = (Installation(bytes([number]) * 32) for number in (1, 2, 3))  # two computers, a forger's
START_MS = 1_790_000_000_000
DAY_MS = 86_400_000
ACTS = "acts"  # the judgement of the acts, by the name of which it is expected
Findings = list[tuple[str, int, int]]  # verdict, first, last
WHOLE: dict[str, Findings] = {
    KITCHEN: [("intact", 1, 90)], STUDY: [("intact", 1, 50)], GARAGE: [("intact", 1, 12)], ACTS: [("intact", 0, 0)],
}  # fmt: skip
ALTERED, GAP, CUT, RESTARTED, CANNOT, INTACT = "altered", "gap", "tail cut", "restarted chain", "cannot judge", "intact"
WRONG: Findings = [(ALTERED, 0, 0)]  # of the acts: something beside them is another


@contextlib.contextmanager
def computer(folder: Path, who: Installation, seed: bytes) -> Iterator[None]:
    """A computer's data directory, its clock and its chance, which are the same each time."""
    data = folder / f"computer-{who.name}"
    data.mkdir(exist_ok=True)
    (data / "installation.key").write_text(seed.hex() + "\n")
    (data / "installation.key").chmod(0o600)
    clock, chance = itertools.count(START_MS + 30 * DAY_MS, 1000), random.Random(who.name)
    with (
        mock.patch.dict(os.environ, {"EARLID_DATA_DIR": str(data)}),
        mock.patch("os.urandom", chance.randbytes),
        mock.patch.object(store, "now_ms", clock.__next__),
        mock.patch.object(importer, "now_ms", clock.__next__),
        mock.patch.object(purge, "now_ms", clock.__next__),
    ):
        yield


def starts_of(board: str, *counts: int) -> list[list[bytes]]:
    """Slots of a board, start by start."""
    made: list[list[bytes]] = []
    first, prev = 1, None
    for boot, count in enumerate(counts, 1):
        rows = life(count, boot=boot, first=first, board=board, zero_ms=START_MS + boot * DAY_MS)
        made.append(seal_all([record.slot_to_wire(slot)[:14] for slot in rows], board, KEYS[board], prev))
        first, prev = first + count, made[-1][-1][40:52]
    return made


def make_ledger(folder: Path) -> Location:
    """Two boards with several starts, labels, names, a note, clocks, a purge; a third one's import; two computers.

    `older.jsonl` beside it is its export before the kitchen's third start.
    """
    location, other = Location(folder / "ledger.sqlite", ""), Location(folder / "other.sqlite", "")
    kitchen, study = starts_of(KITCHEN, 40, 30, 20), starts_of(STUDY, 30, 20)
    with computer(folder, OURS, b"\1" * 32):
        with Ledger(location, lambda: True) as ledger:
            for board, slots in ((KITCHEN, kitchen[0]), (STUDY, study[0]), (KITCHEN, kitchen[1]), (STUDY, study[1])):
                boot = int.from_bytes(slots[0][4:8], "little")
                ledger.add(board, slots[:5], START_MS + (boot + 1) * DAY_MS)
                ledger.add_clock_point(board, boot, 60_000, START_MS + boot * DAY_MS + 60_000, 40)
                ledger.add(board, slots[5:], START_MS + (boot + 1) * DAY_MS + 9)
            ledger.add_anchor(STUDY, Head(2, 50, study[1][-1][40:52]))
            ledger.set_name(KITCHEN, "kitchen")
            ledger.set_labels([(KITCHEN, 1, 2, True), (KITCHEN, 1, 18, False), (STUDY, 1, 4, True)])
            ledger.add_note(STUDY, "older", "the board's journal ended earlier")
            ledger.set_retention("12 months")
        with Ledger(other, lambda: None) as ledger:
            ledger.add(GARAGE, starts_of(GARAGE, 12)[0], START_MS + 5 * DAY_MS)
            ledger.add_clock_point(GARAGE, 1, 100, START_MS + 4 * DAY_MS, 40)
            ledger.set_label(GARAGE, 1, 2, True)
            ledger.set_name(GARAGE, "garage")
        export_to(other, folder / "garage.jsonl")
        export_to(location, folder / "older.jsonl")
    with computer(folder, THEIRS, b"\2" * 32), Ledger(location, lambda: False) as ledger:
        ledger.add(KITCHEN, kitchen[2], START_MS + 6 * DAY_MS)
        ledger.add_clock_point(KITCHEN, 3, 60_000, START_MS + 3 * DAY_MS + 60_000, 40)
        ledger.set_label(KITCHEN, 3, 72, False)
    with computer(folder, OURS, b"\1" * 32), Ledger(location, lambda: True) as ledger:
        importer.import_file(folder / "garage.jsonl", ledger)
        purge.purge(ledger, [purge.Run(KITCHEN, (1, 6), (1, 13), 8)], "between two dates")
        ledger.set_label(STUDY, 2, 32, False)
    return location


def export_to(location: Location, path: Path) -> None:
    """Write every board of a ledger to a file."""
    with Reader(location) as reader, path.open("w", encoding="utf-8") as out:
        export_boards(reader, boards(reader), out)


@dataclass
class Draft:
    """An export in an attacker's hands, as objects a line; `text` is what he leaves."""

    lines: list[dict[str, Any]]
    ending: str = "\n"
    before: bytes = b""  # as it is
    behind: bytes = b""
    cut: int | None = None  # bytes that are left of it
    codes: list[str] = field(default_factory=list)  # anchor codes that somebody kept

    def text(self) -> bytes:
        lines = (json.dumps(line, separators=(",", ":")) + self.ending for line in self.lines)
        return (self.before + "".join(lines).encode() + self.behind)[: self.cut]

    def header(self, board: str) -> dict[str, Any]:
        return next(line for line in self.lines if line.get("board") == board)

    def records(self, board: str) -> list[dict[str, Any]]:
        """The record lines of a board, in their order."""
        begin = self.lines.index(self.header(board)) + 1
        return list(itertools.takewhile(lambda line: "rec" in line, self.lines[begin:]))

    def record(self, board: str, seq: int) -> list[Any]:
        """The list of a record."""
        return next(line["rec"] for line in self.records(board) if line["rec"][0] == seq)

    def put(self, board: str, new: list[dict[str, Any]]) -> None:
        """Other record lines for a board, counted as they should be."""
        begin = self.lines.index(self.header(board)) + 1
        old = len(self.records(board))
        self.lines[begin : begin + old] = new
        last = new[-1]["rec"] if new else [0] * 14 + [""]
        self.lines[begin + len(new)] = {"end": board, "count": len(new), "seq": last[0], "link": last[14]}

    def drop(self, board: str, first: int, last: int) -> None:
        """Take records out, and count the rest."""
        self.put(board, [line for line in self.records(board) if not first <= line["rec"][0] <= last])

    def restamp(self, board: str, first: int, key: bytes | None = None) -> None:
        """Make every link from a record on anew; with a key the marks, too."""
        link = record.genesis(board)
        for line in self.records(board):
            body = record.make_body(line["rec"][:14])
            purged = next((row for row in self.header(board)["purges"] if row["seq_to"] == line["rec"][0] - 1), None)
            link = bytes.fromhex(purged["head_after"]) if purged else link
            if line["rec"][0] >= first:
                mac = record.make_mac(key, link, body) if key else bytes.fromhex(line["rec"][15])
                line["rec"][14:] = [record.make_link(link, body, mac).hex(), mac.hex()]
            link = bytes.fromhex(line["rec"][14])
        self.put(board, self.records(board))

    @property
    def acts(self) -> list[list[Any]]:
        return [line["act"] for line in self.lines if "act" in line]

    def act(self, kind: str, at: int = 0) -> list[Any]:
        """An act of a kind."""
        return [act for act in self.acts if act[3] == kind][at]

    def put_acts(self, new: list[list[Any]]) -> None:
        """Other acts, counted as they should be."""
        self.lines = [line for line in self.lines if not {"act", "acts"} & set(line)]
        self.lines += [{"act": act} for act in new] + [{"acts": len(new)}]

    def say(self, act: list[Any], **changes: Any) -> None:
        """Change what an act says, its hash with it."""
        act[4] = acts.canonical(json.loads(act[4]) | changes)
        act[5] = acts.hash_of(act[4]).hex()

    def relink(self, first: int, signer: Installation | None = None) -> None:
        """Make the links of our computer's acts from a number on anew; signed, where the signer is given."""
        link = acts.NO_LINK
        for act in self.acts:
            if act[0] == OURS.name:
                if act[1] >= first:
                    act[6] = acts.link_of(link, *act[:4], bytes.fromhex(act[5])).hex()
                    act[7] = signer.sign(bytes.fromhex(act[6])).hex() if signer else act[7]
                link = bytes.fromhex(act[6])

    def add_act(
        self, kind: str, body: dict[str, Any], signer: Installation, *, skip: int = 0, link: str = "", text: str = ""
    ) -> None:
        """One more act in our computer's name, linked as it must be and signed by somebody.

        Args:
            skip: so many numbers and places are left out before it.
            link: what it is linked to; the newest act's when empty.
            text: its body, when it is to be none.
        """
        last = [act for act in self.acts if act[0] == OURS.name][-1]
        text = text or acts.canonical({"at_ms": START_MS, "synced": True, "salt": "00" * 8} | body)
        number, place, body_hash = last[1] + 1 + skip, max(act[2] for act in self.acts) + 1 + skip, acts.hash_of(text)
        made = acts.link_of(bytes.fromhex(link or last[6]), OURS.name, number, place, kind, body_hash)
        seals = [value.hex() for value in (body_hash, made, signer.sign(made))]
        self.put_acts([*self.acts, [OURS.name, number, place, kind, text, *seals]])

    def took(self, board: str, slots: list[bytes]) -> None:
        """More records, which our computer took, by an act."""
        rows = [record.slot_to_wire(slot) for slot in slots]
        if not any(line.get("board") == board for line in self.lines):
            begin = next(i for i, line in enumerate(self.lines) if "act" in line)
            empty = {"purges": [], "anchors": [], "labels": [], "clock_points": []}
            header = {"earlid": "ledger", "format": 3, "board": board, "name": None} | empty
            self.lines[begin:begin] = [header, {"end": board, "count": 0, "seq": 0, "link": ""}]
        self.put(board, [*self.records(board), *({"rec": row, "at": START_MS} for row in rows)])
        head = [rows[-1][1], rows[-1][0], rows[-1][14]]
        runs = [[rows[0][1], rows[0][0], rows[-1][0], START_MS, START_MS]]
        self.add_act("took", {"board": board, "head": head, "runs": runs}, OURS)

    def purge(self, board: str, boot: int, first: int, last: int, sign: Callable[[dict[str, Any]], object]) -> None:
        """Take records out with what stands beside them, and leave a receipt, of which the body of an act is to be signed."""
        links = [self.record(board, seq)[14] if seq else None for seq in (first - 1, last)]
        row = {
            "boot_from": boot, "seq_from": first, "boot_to": boot, "seq_to": last, "count": last - first + 1,
            "head_before": links[0], "head_after": links[1], "at_ms": START_MS, "why": "everything",
        }  # fmt: skip
        self.drop(board, first, last)
        header = self.header(board)
        header["purges"].append(row)
        for table in ("labels", "anchors"):
            header[table] = [item for item in header[table] if not first <= item["seq"] <= last]
        sign({"board": board, "head": None, "runs": [row], "redacts": [], "asked": "person"})

    def sign_in(self, signer: Installation, said: list[tuple[str, dict[str, Any]]]) -> None:
        """Acts (kind, body) of one more computer, behind the others."""
        link, place = acts.NO_LINK, max(act[2] for act in self.acts)
        for number, (kind, body) in enumerate([("begin", {"key": signer.public_key}), *said], 1):
            text = acts.canonical(body)
            link = acts.link_of(link, signer.name, number, place + number, kind, acts.hash_of(text))
            seals = [value.hex() for value in (acts.hash_of(text), link, signer.sign(link))]
            self.put_acts([*self.acts, [signer.name, number, place + number, kind, text, *seals]])

    def forge_all(self, signer: Installation, words: dict[str, str]) -> None:
        """Make every act anew in one forger's name, with other words in the place of some, as links of records."""
        link, made = acts.NO_LINK, []
        for act in self.acts:
            if act[3] == "begin" and made:
                continue
            body = act[4]
            for old, new in words.items():
                body = body and body.replace(old, new)
            if act[3] == "begin":
                body = acts.canonical(json.loads(body) | {"key": signer.public_key})
            number, body_hash = len(made) + 1, acts.hash_of(body) if body else bytes.fromhex(act[5])
            link = acts.link_of(link, signer.name, number, number, act[3], body_hash)
            made.append([signer.name, number, number, act[3], body, body_hash.hex(), link.hex(), signer.sign(link).hex()])
        self.put_acts(made)


Damage = Callable[[Draft], None]


@dataclass(frozen=True)
class Case:
    """A damage, and what of the verdicts it changes; `refused`: the exit code of a file that is not judged at all."""

    name: str
    damage: Damage
    changed: dict[str, Findings]
    refused: int = 0

    @property
    def expected(self) -> dict[str, Findings]:
        """Every board's findings, and the acts'."""
        return {name: found for name, found in (WHOLE | self.changed).items() if found}

    @property
    def exit_code(self) -> int:
        verdicts = {verdict for findings in self.expected.values() for verdict, _, _ in findings}
        return self.refused or (0 if verdicts <= {INTACT} else 1 if verdicts <= {INTACT, CANNOT} else 4)
