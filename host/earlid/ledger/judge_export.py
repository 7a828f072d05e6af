# SPDX-License-Identifier: MIT
"""Verifies an export without a ledger: its chains of records, its acts, and every table in it against both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from earlid.door import plain
from earlid.errors import LEDGER_BROKEN, USAGE, UserError
from earlid.ledger import rows
from earlid.ledger.act_chain import ActChain, fields_of, lookup
from earlid.ledger.acts import Act
from earlid.ledger.anchor_code import Anchor
from earlid.ledger.caches import TakenRecords, taken_differences
from earlid.ledger.chain import ALTERED, CANNOT_JUDGE, INTACT, ChainChecker, ChainFinding, PurgedRun
from earlid.ledger.installation import verify_signature
from earlid.ledger.jsonl import Section, read_acts, read_sections
from earlid.ledger.judge import Judgement, judgement_from
from earlid.ledger.judge_host import judge_links, judge_places, judge_unread, kinds_of
from earlid.ledger.keys import read_keys
from earlid.ledger.replay import PURGE_COLUMNS, Account, BoardAccount, replay
from earlid.ledger.version import FROM_RECORDS

NAME = "This export"
_LABEL_COLUMNS = ("boot", "seq", "label", "at_ms")
_UNSIGNED = (
    "Cannot judge what a computer added: nobody signed it (labels, names, clocks, purges). The file is an earlier Earlid's, or "
    "its acts were taken out."
)


def judge_file(path: Path, typed: Sequence[Anchor] = (), boards: Sequence[str] = ()) -> list[Judgement]:
    """Judge the boards of an export, with their keys where they are known here; what its acts hold comes last.

    Args:
        typed: anchors that a person kept; each counts for the board it fits.
        boards: names, or beginnings of identifiers, of the boards to judge; all when empty.

    Raises:
        UserError: the file is no whole export, or an anchor fits none of several boards.
    """
    acts = _acts_before(path)
    chain = ActChain(verify_signature)
    chain.feed(acts)
    chain.finish(lookup(acts))
    account = replay(act for act in acts if chain.is_valid(act)) if acts else None
    checkers: list[ChainChecker] = []
    told: list[str] = []  # what contradicts the acts
    seen: set[str] = set()
    read: list[Act] = []
    for section, batches in _boards(path, read):
        seen.add(section.board)
        wanted = not boards or any(section.board.startswith(word) or section.name == word for word in boards)
        said = account.boards.get(section.board, BoardAccount()) if account else None
        checker, taken = _checker(section, said, typed), TakenRecords(said or BoardAccount())
        starts: set[int] = set()
        for batch in batches:
            if wanted:
                checker.feed(batch)
                taken.feed(sorted(batch, key=lambda row: row[1:3]))
                starts.update(row[1] for row in batch)
        if wanted:
            checkers.append(checker)
            told += _differences(section, said, starts) + taken_differences(taken) if said else []
    if read != acts:
        raise UserError(f"{path} was altered: acts stand where none belong.", LEDGER_BROKEN)
    _give_anchors(checkers, typed)
    seen_by_others = {board: said.witnessed for board, said in account.boards.items()} if account else {}
    judgements = [judgement_from(checker, None, said=seen_by_others.get(checker.board, ())) for checker in checkers]
    if account:
        absent = sorted(set(account.boards) - seen)
        told += [f"Altered: acts on board {plain(board)} are here, and the board is not." for board in absent]
        findings = _judge_acts(chain, account, told, acts)
    else:
        findings = [ChainFinding(CANNOT_JUDGE, 0, 0, _UNSIGNED)] if any(checker.count for checker in checkers) else []
    return [*judgements, Judgement(None, NAME, 0, 0, False, findings, "")] if findings else judgements


def _acts_before(path: Path) -> list[Act]:
    """The acts, which stand behind the records that they speak of; none where they cannot be read, which is said in its turn."""
    try:
        return read_acts(path)
    except UserError:
        return []


def _boards(path: Path, acts: list[Act]) -> Iterable[tuple[Section, Iterable[list[tuple[Any, ...]]]]]:
    """Each board's section, and its rows in batches."""
    sections = read_sections(path, acts)

    def batches(section: Section) -> Iterable[list[tuple[Any, ...]]]:
        while section.slots:
            yield [rows.row_from_slot(slot, 0, at) for slot, at in zip(section.slots, section.taken_ms, strict=True)]
            next(sections)

    for section in sections:
        yield section, batches(section)


def _checker(section: Section, said: BoardAccount | None, typed: Sequence[Anchor]) -> ChainChecker:
    anchors = {(row["boot"], row["seq"]): row["link"] for row in section.tables["anchors"]}
    purges = sorted(
        (PurgedRun(*(row[name] for name in PurgedRun._fields)) for row in section.tables["purges"]), key=lambda run: run[:2]
    )
    if said:
        anchors |= said.anchors
        purges = [PurgedRun._make((*row[:4], *row[5:7])) for _, row in sorted(said.purges.items())]
    heads = {head.at for head in said.witnessed} if said else ()
    return ChainChecker(section.board, read_keys(section.board), purges, anchors, typed, heads)


def _give_anchors(checkers: Sequence[ChainChecker], typed: Sequence[Anchor]) -> None:
    """Leave each typed anchor to the boards that it fits."""
    for anchor in typed if len(checkers) > 1 else ():
        owners = [checker for checker in checkers if checker.fits(anchor)]
        if not owners:
            raise UserError("the anchor code fits no board here. Whose is it? Add --board NAME to judge it.", USAGE)
        for checker in checkers:
            if checker not in owners:
                del checker.typed_matches[anchor]


def _differences(section: Section, said: BoardAccount, starts: set[int]) -> list[str]:
    """Sentences on tables of a header that are not what the acts give."""
    tables = section.tables
    points = {
        (boot, ms, *value): boot in starts  # a purge takes the clocks of whole starts along
        for (boot, ms, source), value in said.points.items()
        if source not in FROM_RECORDS
    }
    shown = {tuple(row.values()) for row in tables["clock_points"]}
    same: Mapping[str, bool] = {
        "purges": _values(tables["purges"], PURGE_COLUMNS) == set(said.purges.values()),
        "labels": _values(tables["labels"], _LABEL_COLUMNS) == {(*at, *label) for at, label in said.labels.items()},
        "name": section.name == said.name,
        "clocks": shown <= set(points) and all(point in shown for point, kept in points.items() if kept),
    }
    where = f"that the file gives for board {section.board}"
    wrong = [what for what, fits in same.items() if not fits]
    return [f"Altered: the {what} {where} {'is' if what == 'name' else 'are'} not what its acts say." for what in wrong]


def _values(table: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> set[tuple[Any, ...]]:
    return {tuple(row[name] for name in columns) for row in table}


def _judge_acts(chain: ActChain, account: Account, told: Iterable[str], acts: Sequence[Act]) -> list[ChainFinding]:
    findings = [finding for signer in chain.signers.values() for finding in judge_links(signer, f"computer {signer.name}")]
    findings += judge_places(chain) + judge_unread(account) + [ChainFinding(ALTERED, 0, 0, text) for text in told]
    if findings:
        return findings
    names = ", ".join(f"{name} ({kinds_of(signer)})" for name, signer in chain.signers.items())
    text = f"Intact: its acts are linked and signed by computer {names}. Whose that is, compare there (`earlid doctor`)."
    silent = sum(not fields_of(act) for act in acts if (act.installation, act.number) not in account.redacts)
    if silent:
        text += f" Not known: what {silent} of them said, on boards that are not in the file, or taken out of it."
    return [ChainFinding(INTACT, 0, 0, text)]
