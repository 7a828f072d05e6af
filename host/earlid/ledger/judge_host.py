# SPDX-License-Identifier: MIT
"""Verifies what the host added to a ledger as a whole: the chain of its acts, who signed them, and how far this computer did."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from earlid.door import plain
from earlid.errors import LEDGER_BROKEN, UserError
from earlid.ledger import act_chain, installation
from earlid.ledger.act_chain import ActChain, Signed, Signer
from earlid.ledger.acts import COLUMNS, Act
from earlid.ledger.chain import ALTERED, CANNOT_JUDGE, GAP, INTACT, TAIL_CUT, ChainFinding
from earlid.ledger.reader import Reader
from earlid.ledger.replay import Account, replay


class HostJudgement(NamedTuple):
    """What holds of a ledger's acts. `account` is what they say, None where there is none; `computer`: this installation."""

    acts: int
    computer: str
    account: Account | None
    findings: list[ChainFinding]

    @property
    def exit_code(self) -> int:
        """4 when something was altered, cut or is missing, 1 when something cannot be judged, else 0."""
        verdicts = {finding.verdict for finding in self.findings}
        return 0 if verdicts <= {INTACT} else 1 if verdicts <= {INTACT, CANNOT_JUDGE} else 4


def judge_host(reader: Reader) -> HostJudgement:
    """Check every act, and replay those that are signed."""
    computer, fault = "", ""
    try:
        mine = installation.installation(make=False)
        computer = mine.name if mine else ""
    except UserError as error:
        fault = str(error)
    try:
        with reader.snapshot():
            judgement = _judge_host(reader, computer)
    except UserError as error:
        if error.code != LEDGER_BROKEN:
            raise
        return HostJudgement(0, computer, None, [_altered(0, 0, f"the acts cannot be read to their end: {error}")])
    if fault:
        judgement.findings.append(ChainFinding(CANNOT_JUDGE, 0, 0, f"Cannot judge which acts are this computer's: {fault}"))
    return judgement


def _judge_host(reader: Reader, computer: str) -> HostJudgement:
    chain = ActChain(installation.verify_signature)
    chain.feed(reader.stream(_SELECT + " ORDER BY place"))
    if not chain.signers:
        return HostJudgement(0, computer, None, _without_acts(reader))

    def read_before(name: str, number: int) -> Signed | None:
        where = " WHERE installation = :name AND number < :number ORDER BY number DESC LIMIT 1"
        found = reader.rows(_SELECT + where, name=name, number=number)
        act = act_chain.read_act(found[0]) if found else None
        return Signed(act.number, act.link, act.signature) if act else None

    chain.finish(read_before)
    account = replay(_valid(reader, chain))
    findings = [finding for signer in chain.signers.values() for finding in _judge_signer(reader, signer, account, computer)]
    findings += _replaced(reader, chain.signers.values())
    findings += judge_places(chain)
    findings += _judge_redactions(chain, account)
    findings += judge_unread(account)
    findings += _judge_settings(reader, account)
    findings += _judge_others(chain, account, computer)
    count = sum(signer.count for signer in chain.signers.values())
    if all(finding.verdict == INTACT for finding in findings):
        findings.insert(0, ChainFinding(INTACT, 1, count, _intact_text(chain, computer)))
    return HostJudgement(count, computer, account, findings)


_SELECT = f"SELECT {', '.join(COLUMNS)} FROM acts"


def _valid(reader: Reader, chain: ActChain) -> Iterator[Act]:
    for row in reader.stream(_SELECT + " ORDER BY place"):
        act = act_chain.read_act(row)
        if chain.is_valid(act):
            yield act


def _replaced(reader: Reader, signers: Collection[Signer]) -> list[ChainFinding]:
    """What to say where this computer signed acts in a ledger at this place that is not the one there now."""
    known = {signer.first_link.hex()[:16] for signer in signers} | {name for signer in signers for name in signer.before}
    missing = [head.number for name, head in installation.heads_at(reader.location).items() if name not in known]
    if not missing:
        return []
    text = (
        f"this computer signed {max(missing)} acts in the ledger that stood here, and they are not in this one. It was replaced, "
        "or they were removed; what labels, names, clocks and purges say, anybody may have put there."
    )
    return [_altered(0, 0, text)]


def _without_acts(reader: Reader) -> list[ChainFinding]:
    if replaced := _replaced(reader, ()):
        return replaced
    if reader.version > 1 and reader.rows("SELECT 1 FROM purges LIMIT 1"):
        text = "Altered: records were purged from this ledger, and no act says by whom."
        return [ChainFinding(ALTERED, 0, 0, text)]
    if reader.version > 1 and not reader.rows("SELECT 1 FROM records LIMIT 1"):
        return []
    text = (
        "Cannot judge what a computer added: nobody signed it (labels, names, clocks, purges). An earlier Earlid signed nothing; "
        "`earlid watch` takes it as it stands and signs from then on."
    )
    return [ChainFinding(CANNOT_JUDGE, 0, 0, text)]


def judge_links(signer: Signer, who: str) -> list[ChainFinding]:
    """What is wrong with an installation's acts as a chain: altered, forged, missing; `who` names it in the sentences."""
    findings = []
    for first, last in _ranges(signer.broken):
        findings.append(_altered(first, last, f"act {_span(first, last)} of {who} is not what was linked and signed."))
    if signer.unsigned_from is not None:
        text = f"from act {signer.unsigned_from} of {who} on, nobody with its key signed them: forged, they count for nothing."
        findings.append(_altered(signer.unsigned_from, signer.newest.number, text))
    findings += [_gap(f"act {_span(*gap)} of {who}: removed, or lost with a part of the ledger.") for gap in signer.missing]
    findings += [
        _gap(
            f"act {_span(*gap)} of {who}: the ledger was once put back to an earlier state (a backup, or its end was cut), and "
            "went on from there. What was said in between is lost."
        )
        for gap in signer.restored
    ]
    return findings


def _judge_signer(reader: Reader, signer: Signer, account: Account, computer: str) -> list[ChainFinding]:
    who = _who(signer, computer)
    findings = judge_links(signer, who)
    findings += _judge_head(reader, signer, who)
    adopted = account.adopted_boards and signer.kinds["adopt"]
    if signer.before and adopted:
        text = (
            f"{who} had signed {max(signer.before.values())} acts in the ledger that stood here before, then found one with "
            "records and without acts, and took it as it stood. It had been replaced, or the acts removed."
        )
        findings.append(_altered(0, 0, text))
    elif adopted:
        boards = ", ".join(map(plain, sorted(account.adopted_boards)))
        text = (
            f"What stood in the ledger before {who} signed its first act was taken as it stood, and is not vouched for: {boards}."
        )
        findings.append(ChainFinding(INTACT, 0, 0, text))
    return findings


def _judge_head(reader: Reader, signer: Signer, who: str) -> list[ChainFinding]:
    """Hold the acts against the file in which this computer keeps how far it signed, if it has one for this ledger."""
    signed = installation.read_head(signer.first_link) if signer.first_link else None
    if signed is None:
        return []
    if signed.number > signer.newest.number:
        text = f"the acts of {who} end at {signer.newest.number}, but it signed {signed.number} in this ledger"
        if signed.where != installation.place_of(reader.location) and Path(signed.where).exists():
            return [ChainFinding(INTACT, 0, 0, f"An older copy of the ledger {signed.where}: {text}.")]
        text = f"Tail cut: {text}. This is an older copy of it, or its end was removed."
        return [ChainFinding(TAIL_CUT, signer.newest.number + 1, signed.number, text)]
    if signed.number == signer.newest.number and signed.link != signer.newest.link:
        return [_altered(signed.number, signed.number, f"act {signed.number} of {who} is another than it signed in this ledger.")]
    return []


def _judge_redactions(chain: ActChain, account: Account) -> list[ChainFinding]:
    findings = []
    for name, signer in chain.signers.items():
        gone = sorted(number for who, number in chain.redacted - account.redacts if who == name)
        for first, last in _ranges(gone):
            findings.append(
                _altered(first, last, f"what act {_span(first, last)} of {signer.name} said was taken out, and no purge says so.")
            )
    return findings


def judge_places(chain: ActChain) -> list[ChainFinding]:
    """Places at which no act stands."""
    return [_gap(f"{_span(*hole)} in the order of all acts: another computer's were removed.") for hole in chain.holes]


def judge_unread(account: Account) -> list[ChainFinding]:
    """Acts that say what this version does not know."""
    return [
        ChainFinding(CANNOT_JUDGE, number, number, f"Cannot judge act {number} of {name}: update Earlid.")
        for name, number in account.unread
    ]


def _judge_settings(reader: Reader, account: Account) -> list[ChainFinding]:
    findings = []
    kept = reader.rows("SELECT value FROM meta WHERE key = 'retention'")
    retention = kept[0][0] if kept else None
    if retention != account.retention:
        now, then = plain(retention or "its default"), plain(account.retention or "not set")
        findings.append(_altered(0, 0, f"the time for which records are kept is {now} here, by the acts it is {then}."))
    here = {board for (board,) in reader.rows("SELECT board FROM boards")}
    findings += [
        _altered(0, 0, f"board {plain(board)} was removed from the ledger.") for board in account.boards if board not in here
    ]
    return findings


def _judge_others(chain: ActChain, account: Account, computer: str) -> list[ChainFinding]:
    """What other installations did, beside this one in the same ledger: said; and where it can hide something, not judged."""
    if computer not in chain.signers:
        return []
    findings = []
    for name, signer in chain.signers.items():
        if name == computer:
            continue
        ours = {board: said for board, said in account.boards.items() if computer in said.taken_by}
        begun = chain.signers[computer].begun_place  # what stood there then, this computer took over
        hidden = [plain(board) for board, said in ours.items() if said.purged_by.get(name, 0) > begun]
        moved = [plain(board) for board, said in ours.items() if said.clocked_by.get(name, 0) > begun]
        for boards, what in ((hidden, "purged records"), (moved, "said what the time was")):
            if boards:
                text = (
                    f"Cannot judge: computer {name}, which is not this one, {what} of {', '.join(boards)}, which this one "
                    "collects from. If you do not know it, somebody forged that."
                )
                findings.append(ChainFinding(CANNOT_JUDGE, 0, 0, text))
        text = f"Computer {name} signed {signer.count} acts here too ({kinds_of(signer)}): `earlid verify` there says its name."
        findings.append(ChainFinding(INTACT, 0, 0, text))
    return findings


def _intact_text(chain: ActChain, computer: str) -> str:
    mine = chain.signers.get(computer)
    if mine:
        text = f"Intact: {mine.count} acts of this computer ({computer}), each linked to the one before and signed"
        return text + ". Not known: what somebody with this computer's own key signed."
    names = ", ".join(f"{name} ({signer.count} acts)" for name, signer in chain.signers.items())
    return f"Intact: the acts here are linked and signed by another computer than this one: {names}. Whose it is, ask there."


def kinds_of(signer: Signer) -> str:
    """How many acts of each kind an installation signed, as words."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(signer.kinds.items()))


def _who(signer: Signer, computer: str) -> str:
    return f"this computer ({signer.name})" if signer.name == computer else f"computer {signer.name}"


def _altered(first: int, last: int, text: str) -> ChainFinding:
    return ChainFinding(ALTERED, first, last, f"Altered: {text}")


def _gap(text: str) -> ChainFinding:
    return ChainFinding(GAP, 0, 0, f"Gap: {text}")


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}..{last}"


def _ranges(numbers: list[int]) -> list[tuple[int, int]]:
    ranges: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] + 1 >= number:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges
