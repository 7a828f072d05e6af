# SPDX-License-Identifier: MIT
"""Verifies the boards' chains in a ledger: reads what `chain` needs, and compares the tallies with the records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from earlid.door import is_stranger
from earlid.errors import LEDGER_BROKEN, UserError
from earlid.ledger.anchor_code import Anchor, make_code
from earlid.ledger.boards import KnownBoard
from earlid.ledger.boot_clocks import clock_finding_text, clock_findings
from earlid.ledger.chain import ALTERED, CANNOT_JUDGE, INTACT, ChainChecker, ChainFinding, PurgedRun
from earlid.ledger.keys import PairedKey, keys_or_fault
from earlid.ledger.reader import Reader
from earlid.ledger.rows import COLUMNS

CHUNK = 10_000


class Judgement(NamedTuple):
    """What holds of one board's records: `findings` in order of number; `code` is an anchor to write down.

    `times`: sentences on clocks that contradict each other, which say nothing of the records themselves.
    """

    board: KnownBoard | None
    identifier: str
    records: int
    head_seq: int
    keyed: bool
    findings: list[ChainFinding]
    code: str
    times: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """4 when something is broken, 1 when nothing could be judged, else 0."""
        verdicts = {finding.verdict for finding in self.findings}
        if verdicts <= {INTACT}:
            return 0
        return 1 if verdicts <= {INTACT, CANNOT_JUDGE} else 4


def judgement_from(checker: ChainChecker, board: KnownBoard | None, extra: Sequence[ChainFinding] = ()) -> Judgement:
    """The judgement of a checker that has seen every record."""
    findings = [*checker.finish(), *extra]
    if extra:
        findings = [finding for finding in findings if finding.verdict != INTACT]
    code = make_code(checker.seq, checker.head) if checker.count and not is_stranger(checker.board) else ""
    return Judgement(board, checker.board, checker.count, checker.seq, bool(checker.keys), findings, code)


def judge_with_keys(
    reader: Reader,
    board: KnownBoard,
    typed: Sequence[Anchor] = (),
    progress: Callable[[int], None] = lambda count: None,
) -> Judgement:
    """As `judge`, with the keys that this computer has of the board; what is wrong with it costs no other board its verdict."""
    keys, fault = keys_or_fault(board.identifier)
    try:
        judgement = judge(reader, board, keys, typed, progress)
    except UserError as error:
        if error.code != LEDGER_BROKEN:
            raise
        finding = ChainFinding(ALTERED, 0, 0, f"Altered or damaged, so that it cannot be read to its end: {error}")
        return Judgement(board, board.identifier, 0, 0, bool(keys), [finding], "")
    if not fault:
        return judgement
    found = [finding for finding in judgement.findings if finding.verdict != INTACT]
    text = f"Cannot judge by a key: {fault} The links are judged all the same."
    return judgement._replace(findings=[*found, ChainFinding(CANNOT_JUDGE, 0, 0, text)])


def judge(
    reader: Reader,
    board: KnownBoard,
    keys: Sequence[PairedKey],
    typed: Sequence[Anchor] = (),
    progress: Callable[[int], None] = lambda count: None,
) -> Judgement:
    """Walk one board's records as they are now and judge their chain.

    Args:
        keys: the board's, from `keys.read_keys`; none to judge the links only.
        typed: anchors that a person kept.
        progress: told how many records each step took.
    """
    with reader.snapshot():  # records that come while we read are no contradiction
        return _judge(reader, board, keys, typed, progress)


def _judge(
    reader: Reader,
    board: KnownBoard,
    keys: Sequence[PairedKey],
    typed: Sequence[Anchor],
    progress: Callable[[int], None],
) -> Judgement:
    checker = ChainChecker(board.identifier, keys, purges_of(reader, board), anchors_of(reader, board), typed)
    counts: Counter[tuple[int, int]] = Counter()
    chunk: list[tuple[object, ...]] = []

    def check_chunk() -> None:
        checker.feed(chunk)
        counts.update((row[4], row[5]) for row in chunk)  # type: ignore[misc]
        progress(len(chunk))
        chunk.clear()

    sql = f"SELECT {', '.join(COLUMNS)} FROM records WHERE board_id = :id ORDER BY boot, seq"
    for row in reader.stream(sql, id=board.id):
        chunk.append(row)
        if len(chunk) == CHUNK:
            check_chunk()
    check_chunk()
    times = tuple(map(clock_finding_text, clock_findings(reader, board)))
    return judgement_from(checker, board, _check_totals(reader, board, counts))._replace(times=times)


def _check_totals(reader: Reader, board: KnownBoard, counts: Counter[tuple[int, int]]) -> list[ChainFinding]:
    tallied = reader.rows(
        "SELECT event, reason, SUM(count) FROM tallies WHERE board_id = :id GROUP BY event, reason", id=board.id
    )
    if {(event, reason): int(count) for event, reason, count in tallied} == dict(counts):
        return []
    text = (
        "Altered sums: the ledger's table of totals does not count what its records are. The records are judged above; "
        "`earlid export`, then `earlid export --import` into a new ledger makes the sums anew."
    )
    return [ChainFinding(ALTERED, 0, 0, text)]


def purges_of(reader: Reader, board: KnownBoard) -> list[PurgedRun]:
    """The board's purges, in the order of its records."""
    sql = (
        "SELECT boot_from, seq_from, boot_to, seq_to, head_before, head_after FROM purges WHERE board_id = :id "
        "ORDER BY boot_from, seq_from"
    )
    return [PurgedRun(*row) for row in reader.rows(sql, id=board.id)]


def anchors_of(reader: Reader, board: KnownBoard) -> dict[tuple[int, int], bytes]:
    """(boot, seq) -> link of the heads kept at syncs."""
    sql = "SELECT boot, seq, link FROM anchors WHERE board_id = :id"
    return {(boot, seq): bytes(link) for boot, seq, link in reader.rows(sql, id=board.id)}


def board_of_anchor(reader: Reader, chosen: Sequence[KnownBoard], anchor: Anchor) -> KnownBoard | None:
    """The board that an anchor fits, or the only one there is; None when it is ambiguous."""
    for board in chosen:
        boots = "boot IN (SELECT boot FROM boots WHERE board_id = :id AND first_seq <= :seq AND last_seq >= :seq)"
        links = reader.rows(
            f"SELECT link FROM records WHERE board_id = :id AND seq = :seq AND {boots}", id=board.id, seq=anchor.seq
        )
        if any(anchor.matches(link) for (link,) in links):
            return board
    return chosen[0] if len(chosen) == 1 else None
