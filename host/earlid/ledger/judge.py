# SPDX-License-Identifier: MIT
"""Verifies the boards of a ledger: their chains, and every table against the records and the acts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from earlid.door import is_stranger
from earlid.errors import LEDGER_BROKEN, UserError
from earlid.ledger import witnessed
from earlid.ledger.anchor_code import Anchor, make_code
from earlid.ledger.boards import KnownBoard
from earlid.ledger.boot_clocks import clock_finding_text, clock_findings
from earlid.ledger.caches import DerivedTables, differences
from earlid.ledger.chain import ALTERED, CANNOT_JUDGE, INTACT, ChainChecker, ChainFinding, PurgedRun, Stretch
from earlid.ledger.judge_host import HostJudgement, judge_host
from earlid.ledger.keys import PairedKey, keys_or_fault
from earlid.ledger.reader import Reader
from earlid.ledger.replay import BoardAccount, Witnessed
from earlid.ledger.rows import COLUMNS

CHUNK = 10_000


class Judgement(NamedTuple):
    """What holds of one board's records: `findings` in order of number; `code` is an anchor to write down.

    `times`: sentences on clocks that contradict each other, which say nothing of the records themselves. `stretches`: of the
    chain; `seen`: heads in it that witnesses saw as they are.
    """

    board: KnownBoard | None
    identifier: str
    records: int
    head_seq: int
    keyed: bool
    findings: list[ChainFinding]
    code: str
    times: tuple[str, ...] = ()
    stretches: tuple[Stretch, ...] = ()
    seen: tuple[Witnessed, ...] = ()

    @property
    def exit_code(self) -> int:
        """4 when something is broken, 1 when nothing could be judged, else 0."""
        verdicts = {finding.verdict for finding in self.findings}
        if verdicts <= {INTACT}:
            return 0
        return 1 if verdicts <= {INTACT, CANNOT_JUDGE} else 4


def judgement_from(
    checker: ChainChecker,
    board: KnownBoard | None,
    extra: Sequence[ChainFinding] = (),
    said: Sequence[Witnessed] = (),
) -> Judgement:
    """The judgement of a checker that has seen every record.

    Args:
        extra: findings on what stands beside the records.
        said: heads that witnesses saw; the checker was told that their links are wanted.
    """
    own = checker.finish()
    extra = [*witnessed.findings(said, checker), *extra]
    findings = [*(finding for finding in own if not extra or finding.verdict != INTACT), *extra]
    code = make_code(checker.seq, checker.head) if checker.count and not is_stranger(checker.board) else ""
    seen = tuple(head for head in said if checker.links.get(head.at) == head.link)
    found = Judgement(board, checker.board, checker.count, checker.seq, bool(checker.keys), findings, code)
    return found._replace(stretches=tuple(checker.stretches), seen=seen)


def judge_with_keys(
    reader: Reader,
    board: KnownBoard,
    typed: Sequence[Anchor] = (),
    progress: Callable[[int], None] = lambda count: None,
    host: HostJudgement | None = None,
) -> Judgement:
    """As `judge`, with the keys that this computer has of the board; what is wrong with it costs no other board its verdict."""
    keys, fault = keys_or_fault(board.identifier)
    try:
        judgement = judge(reader, board, keys, typed, progress, host)
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
    host: HostJudgement | None = None,
) -> Judgement:
    """Walk one board's records as they are now; judge their chain, and every table against records and acts.

    Args:
        keys: the board's, from `keys.read_keys`; none to judge the links only.
        typed: anchors that a person kept.
        progress: told how many records each step took.
        host: of `judge_host`, read in the same snapshot; made here when None.
    """
    with reader.snapshot():  # records that come while we read are no contradiction
        return _judge(reader, board, keys, typed, progress, host or judge_host(reader))


def _judge(
    reader: Reader,
    board: KnownBoard,
    keys: Sequence[PairedKey],
    typed: Sequence[Anchor],
    progress: Callable[[int], None],
    host: HostJudgement,
) -> Judgement:
    account = host.account.boards.get(board.identifier, BoardAccount()) if host.account else None
    purges, anchors = purges_of(reader, board), anchors_of(reader, board)
    if account is not None:
        anchors = anchors | account.anchors
        purges = [PurgedRun._make((*row[:4], *row[5:7])) for _, row in sorted(account.purges.items())]
    said = account.witnessed if account else ()
    checker = ChainChecker(board.identifier, keys, purges, anchors, typed, {head.at for head in said})
    derived = DerivedTables(account)
    chunk: list[tuple[Any, ...]] = []

    def check_chunk() -> None:
        checker.feed(chunk)
        derived.feed(chunk)
        progress(len(chunk))
        chunk.clear()

    sql = f"SELECT {', '.join(COLUMNS)} FROM records WHERE board_id = :id ORDER BY boot, seq"
    for row in reader.stream(sql, id=board.id):
        chunk.append(row)
        if len(chunk) == CHUNK:
            check_chunk()
    check_chunk()
    times: tuple[str, ...] = ()
    try:
        times = tuple(map(clock_finding_text, clock_findings(reader, board)))
        extra = [ChainFinding(ALTERED, 0, 0, text) for text in differences(reader, board, derived, account)]
    except UserError as error:
        extra = [ChainFinding(CANNOT_JUDGE, 0, 0, f"Cannot judge what stands beside the records: {error}")]
    return judgement_from(checker, board, extra, said)._replace(times=times)


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
        ends = ((purge.head_after,) for purge in purges_of(reader, board) if purge.seq_to == anchor.seq)
        if any(anchor.matches(link) for (link,) in (*links, *ends)):
            return board
    return chosen[0] if len(chosen) == 1 else None
