# SPDX-License-Identifier: MIT
"""Import of an export, through the same door as a sync: only what an accepted chain vouches for.

The file is walked together with what the ledger has, as one chain, before anything is stored. A stretch of records between two
gaps comes in when it is linked with records that are here, or bears the mark of the board's key; of a board that is not here yet
all come in. What the file says beside records changes nothing that stands here: purges count where they fit between accepted
records and over none, labels on records that are here, clock points as an import's, a name for a board that is new.
"""

from __future__ import annotations

import hashlib
import heapq
import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from lid import record

from earlid.errors import LEDGER_BROKEN, USAGE, UserError
from earlid.ledger import rows
from earlid.ledger.act_chain import ActChain, lookup
from earlid.ledger.arrival import Arrival
from earlid.ledger.boards import KnownBoard, boards, check_name
from earlid.ledger.chain import ALTERED, ChainChecker, PurgedRun
from earlid.ledger.installation import installation, verify_signature
from earlid.ledger.jsonl import Section, read_acts, read_sections
from earlid.ledger.judge import anchors_of, purges_of
from earlid.ledger.keys import PairedKey, read_keys
from earlid.ledger.queries import is_labelable
from earlid.ledger.reader import Reader
from earlid.ledger.replay import Account, replay
from earlid.ledger.store import Ledger, now_ms
from earlid.ledger.wall_clock import is_time

Identity = tuple[int, int]  # (boot, seq)
_END = (1 << 62, 1 << 62)


class Imported(NamedTuple):
    """What an import did to a board: records that are new; records and purges that nothing vouched for, and stayed out."""

    board: str
    new: int
    left_out: int
    purges_left_out: int


@dataclass
class _Stretch:
    """Records without a gap between them: `first` to `last` of the file's own, and whether they are linked with the ledger's."""

    first: Identity | None = None
    last: Identity = (0, 0)
    count: int = 0
    joined: bool = False
    purges: list[PurgedRun] = field(default_factory=list)
    arrival: Arrival | None = None
    whole: bool = True  # all that came so far bears the mark, or waits for one behind it


@dataclass
class _Plan:
    """What of a board of the file is accepted."""

    board: str
    new: bool
    spans: list[tuple[Identity, Identity]] = field(default_factory=list)  # first and last, sorted
    purges: list[PurgedRun] = field(default_factory=list)
    purged: list[tuple[Identity, Identity]] = field(default_factory=list)  # removed here on purpose: they stay away
    left_out: int = 0
    purges_left_out: int = 0
    records: int = 0  # of the file, that are here or come in
    taken: dict[int, list[tuple[int, int, int, int]]] = field(default_factory=dict)
    # boot -> (first, last, least, most): when this installation took them, by acts of its own

    def takes(self, at: Identity) -> bool:
        """Whether a record of the file belongs to what is accepted."""
        return _holds(self.spans, at) and not _holds(self.purged, at)

    def taken_ms(self, at: Identity, claimed_ms: int, now: int) -> int:
        """When a record was taken, Unix ms: as the file says where this installation signed for that, else now."""
        runs = self.taken.get(at[0], ())
        signed = any(first <= at[1] <= last and least <= claimed_ms <= most for first, last, least, most in runs)
        return claimed_ms if signed and claimed_ms <= now else now


def _holds(spans: list[tuple[Identity, Identity]], at: Identity) -> bool:
    i = bisect_right(spans, (at, _END)) - 1
    return i >= 0 and at <= spans[i][1]


def import_file(path: Path, ledger: Ledger) -> list[Imported]:
    """Import an export; idempotent: what is there already stays as it is.

    Raises:
        UserError: code 4 when with these records a chain would not hold, or one is here with other content, 2 when the file
            is none; then nothing is taken.
    """
    if not path.is_file():
        raise UserError(f"cannot read {path}: name a file that is there, and no pipe: it is read twice.", USAGE)
    with Reader(ledger.location) as reader, reader.snapshot():
        known = {board.identifier: board for board in boards(reader)}
        plans = _plan_all(path, reader, known)
    added = dict.fromkeys(plans, 0)
    section: Section | None = None
    for section in read_sections(path):
        plan = plans[section.board]
        if not section.slots:
            _add_tables(ledger, section, plan)
            continue
        now = now_ms()
        places = [(slot, _identity(slot), at_ms) for slot, at_ms in zip(section.slots, section.taken_ms, strict=True)]
        taken = [(slot, plan.taken_ms(at, at_ms, now)) for slot, at, at_ms in places if plan.takes(at)]
        result = ledger.add(section.board, *map(list, zip(*taken, strict=True)), kind="import") if taken else None
        if result and result.conflicts:
            raise _conflict(section.board, result.conflicts[0])
        added[section.board] += result.new if result else 0
    return [Imported(board, added[board], plan.left_out, plan.purges_left_out) for board, plan in plans.items()]


def _identity(slot: bytes) -> Identity:
    row = rows.row_from_slot(slot, 0, 0)
    return row[1], row[2]


def _conflict(board: str, at: Identity) -> UserError:
    return UserError(
        f"nothing imported: record {at[1]} (start {at[0]}) of board {board} is in the ledger with another content than in the "
        "file: `earlid verify` says which of the two holds.",
        LEDGER_BROKEN,
    )


def _plan_all(path: Path, reader: Reader, known: dict[str, KnownBoard]) -> dict[str, _Plan]:
    plans: dict[str, _Plan] = {}
    own = _own_account(path)
    sections = read_sections(path)
    for section in sections:
        plans[section.board] = _Planner(section, reader, known.get(section.board), own).plan(_rest_of(section, sections))
    return plans


def _own_account(path: Path) -> Account:
    """What this installation signed of what the file's acts say."""
    try:
        mine = installation(make=False)
    except UserError:  # `verify` says what is wrong with its key
        mine = None
    acts = read_acts(path) if mine else []
    chain = ActChain(verify_signature)
    chain.feed(acts)
    chain.finish(lookup(acts))
    return replay(act for act in acts if mine and act.installation == mine.name and chain.is_valid(act))


def _rest_of(section: Section, sections: Iterator[Section]) -> Iterator[tuple[Any, ...]]:
    """The rows of a board's section, from its batches."""
    while section.slots:
        for slot in section.slots:
            yield rows.row_from_slot(slot, 0, 0)
        next(sections)


class _Planner:
    """Walks the records of a board in the file and in the ledger as one chain."""

    def __init__(self, section: Section, reader: Reader, board: KnownBoard | None, own_account: Account) -> None:
        self._section, self._reader, self._board = section, reader, board
        self._keys: tuple[PairedKey, ...] = read_keys(section.board)
        own = purges_of(reader, board) if board else []
        self._own = set(own)
        offered = [PurgedRun(*(row[name] for name in PurgedRun._fields)) for row in section.tables["purges"]]
        fresh = [run for run in dict.fromkeys(offered) if not any(_same(run, mine) for mine in own)]
        self._ahead = sorted([*own, *fresh], key=lambda run: (run.boot_from, run.seq_from))
        anchors = anchors_of(reader, board) if board else {}
        self._checker = ChainChecker(section.board, self._keys, own, anchors)
        here = bool(board and (own or reader.rows("SELECT 1 FROM records WHERE board_id = :id LIMIT 1", id=board.id)))
        said = own_account.boards[section.board]
        self._signed = {PurgedRun._make((*row[:4], *row[5:7])) for row in said.purges.values()}
        self._plan = _Plan(section.board, not here, taken=dict(said.runs))
        self._plan.purged = [((run.boot_from, run.seq_from), (run.boot_to, run.seq_to)) for run in own]
        self._stretch = self._begin(None)
        self._previous: Identity = (0, 0)
        self._link: bytes | None = None

    def plan(self, file_rows: Iterator[tuple[Any, ...]]) -> _Plan:
        for row, mine in self._merged(file_rows):
            at = (row[1], row[2])
            if mine and _holds(self._plan.purged, at):
                continue  # it was removed here on purpose
            self._take(row, at, mine)
        for run in self._purged_at_the_end():
            self._stretch.purges.append(run)
            self._checker.add_purge(run)
        self._end_stretch()
        self._plan.purges_left_out += sum(run not in self._own for run in self._ahead)
        if not self._plan.records and not self._plan.left_out:
            return self._plan
        for finding in self._checker.finish():
            if finding.verdict == ALTERED:
                raise UserError(f"nothing imported. Board {self._section.board}: {finding.say}", LEDGER_BROKEN)
        self._plan.spans.sort()
        return self._plan

    def _merged(self, file_rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[tuple[Any, ...], bool]]:
        """(Row, whether it is the file's alone), sorted; a record that both have comes as the ledger's."""
        here: Iterator[tuple[Any, ...]] = iter(())
        if self._board:
            sql = f"SELECT {', '.join(rows.COLUMNS)} FROM records WHERE board_id = :id ORDER BY boot, seq"
            here = self._reader.stream(sql, id=self._board.id)
        last: tuple[Identity, bytes] | None = None
        ordered = heapq.merge(_tagged(here, 0), _tagged(self._in_order(file_rows), 1), key=lambda item: item[:2])
        for at, of, row in ordered:
            if last and last[0] == at:
                if last[1] != row[rows.LINK]:
                    raise _conflict(self._section.board, at)
                self._plan.records += 1
                self._stretch.joined = True
                continue
            last = (at, row[rows.LINK])
            yield row, of == 1

    def _in_order(self, file_rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        before: Identity = (0, 0)
        for row in file_rows:
            if (row[1], row[2]) <= before:
                raise UserError(f"nothing imported: the records of board {self._section.board} are out of order.", LEDGER_BROKEN)
            before = (row[1], row[2])
            yield row

    def _take(self, row: tuple[Any, ...], at: Identity, mine: bool) -> None:
        fitting = self._purges_before(row, at)
        if fitting:
            self._previous = (fitting[-1].boot_to, fitting[-1].seq_to)
            self._link = fitting[-1].head_after
        if self._link is None or at[1] != self._previous[1] + 1:
            self._end_stretch()
            self._stretch = self._begin(record.genesis(self._section.board) if at[1] == 1 else None)
        stretch = self._stretch
        stretch.purges += [run for run in fitting if run not in self._own]
        stretch.joined = stretch.joined or not mine or any(run in self._own for run in fitting)
        self._checker.feed([row])
        if mine:
            stretch.first = stretch.first or at
            stretch.last = at
            stretch.count += 1
        if stretch.arrival and stretch.whole:
            stretch.whole = not stretch.arrival.take(at[1], rows.body_of(row) + row[rows.LINK] + row[rows.LINK + 1] + bytes(4))
        self._previous, self._link = at, row[rows.LINK]

    def _purged_at_the_end(self) -> Iterator[PurgedRun]:
        """The purges behind the last record, that no record vouches for: those that this installation signed."""
        while self._ahead and self._ahead[0] in self._signed and self._ahead[0] not in self._own:
            run = self._ahead[0]
            follows = self._previous[1] + 1 == run.seq_from and (run.head_before or self._link) == self._link
            if not follows and self._previous != (0, 0):
                return
            self._previous, self._link = (run.boot_to, run.seq_to), run.head_after
            yield self._ahead.pop(0)

    def _begin(self, link: bytes | None) -> _Stretch:
        arrival = Arrival(self._keys, link) if self._keys else None
        return _Stretch(arrival=arrival)

    def _end_stretch(self) -> None:
        stretch, plan = self._stretch, self._plan
        marked = stretch.arrival is not None and stretch.whole and stretch.arrival.marked and not stretch.arrival.waiting
        if plan.new or stretch.joined or marked:
            if stretch.first:
                plan.spans.append((stretch.first, stretch.last))
                plan.records += stretch.count
            plan.purges += stretch.purges
        else:
            plan.left_out += stretch.count
            plan.purges_left_out += len(stretch.purges)
        self._stretch = _Stretch()

    def _purges_before(self, row: tuple[Any, ...], at: Identity) -> list[PurgedRun]:
        """The purges that end before a record and lead up to it, from the record before; the file's of them are accepted."""
        ended = []
        while self._ahead and (self._ahead[0].boot_from, self._ahead[0].seq_from) <= at:
            ended.append(self._ahead.pop(0))
        leading: list[PurgedRun] = []
        for run in reversed(ended):
            behind = leading[-1] if leading else None
            fits = run.seq_to + 1 == (behind.seq_from if behind else at[1]) and (run.boot_to, run.seq_to) < at
            if behind is None:
                fits = fits and _links(run.head_after, row)
            else:
                fits = fits and behind.head_before == run.head_after and run.boot_to <= behind.boot_from
            if not fits:
                break
            leading.append(run)
        leading.reverse()
        if leading:
            first = leading[0]
            begins = first.head_before is None and self._link is None and self._previous == (0, 0)
            follows = self._previous[1] + 1 == first.seq_from and self._previous < (first.boot_from, first.seq_from)
            if not begins and not (follows and first.head_before == self._link) and not all(run in self._own for run in leading):
                leading = []
        left = [run for run in ended if run not in leading and run not in self._own]
        self._plan.purges_left_out += len(left)
        for run in leading:
            if run not in self._own:
                self._checker.add_purge(run)
        return leading


def _tagged(stream: Iterator[tuple[Any, ...]], of: int) -> Iterator[tuple[Identity, int, tuple[Any, ...]]]:
    for row in stream:
        yield (row[1], row[2]), of, row


def _same(one: PurgedRun, other: PurgedRun) -> bool:
    return one[:4] == other[:4] and one.head_after == other.head_after


def _links(before: bytes, row: tuple[Any, ...]) -> bool:
    try:
        body = rows.body_of(row)
    except (struct.error, TypeError):
        return False
    return bool(hashlib.sha256(before + body + row[rows.LINK + 1]).digest()[: record.LINK_BYTES] == row[rows.LINK])


def _add_tables(ledger: Ledger, section: Section, plan: _Plan) -> None:
    """What the file says beside records, as far as it changes nothing that stands here."""
    if not plan.records and not plan.purges:
        return
    with Reader(ledger.location) as reader:
        board = next((item for item in boards(reader) if item.identifier == section.board), None)
        if board is None:  # all of it was purged: there are its purges, and nothing beside
            board = KnownBoard(0, section.board, None, 0, 0)
        starts = {boot for (boot,) in reader.rows("SELECT boot FROM boots WHERE board_id = :id", id=board.id)}
        name = section.name if plan.new and board.name is None else None
        if name:
            try:
                check_name(reader, board, name)
            except UserError:  # it may be called so there; here it would mislead
                name = None
        accepted = {run[:4] for run in plan.purges}
        tables = {
            "purges": [row for row in section.tables["purges"] if tuple(row[n] for n in PurgedRun._fields[:4]) in accepted],
            "labels": [row for row in section.tables["labels"] if is_labelable(reader, board, row["boot"], row["seq"])],
            "clock_points": [row for row in section.tables["clock_points"] if row["boot"] in starts and is_time(row["wall_ms"])],
        }
    ledger.restore_rows(section.board, tables, name)
