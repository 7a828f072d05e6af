# SPDX-License-Identifier: MIT
"""Verifies a hash chain of records: what holds, what does not, and what cannot be known. No input or output."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lid import record

from earlid.door import claimed, is_stranger
from earlid.ledger.anchor_code import Anchor
from earlid.ledger.keys import PairedKey
from earlid.ledger.ratchet import EARLY, FORGED, UNKEYED, Ratchet
from earlid.ledger.rows import LINK, body_of

# What `verify` can say: ARCHITECTURE.md, invariant 8. "cannot judge" is a failure to judge, not a verdict of guilt.
INTACT, ALTERED, GAP, TAIL_CUT, RESTARTED, CANNOT_JUDGE = (
    "intact", "altered", "gap", "tail cut", "restarted chain", "cannot judge",
)  # fmt: skip
_LOST = record.EVENTS.index("lost")
_CONFIG = record.EVENTS.index("config")
_KEY_LOST = record.REASONS.index("key-lost")
_OVERWRITTEN = record.REASONS.index("overwritten")


class PurgedRun(NamedTuple):
    """A run of records removed on purpose, and the links on both sides of it."""

    boot_from: int
    seq_from: int
    boot_to: int
    seq_to: int
    head_before: bytes | None
    head_after: bytes


class ChainFinding(NamedTuple):
    """One verdict over the records first..last, and the sentence for people."""

    verdict: str
    first: int
    last: int
    say: str


@dataclass
class _Range:
    first: int
    last: int


class Stretch(NamedTuple):
    """Records of which each is linked to the one before: whoever vouches for one of them vouches for all before it.

    `first` and `last`: (boot, seq). `sound`: False for a single record that is not what its link was made over.
    """

    first: tuple[int, int]
    last: tuple[int, int]
    sound: bool


@dataclass
class ChainChecker:
    """Walks one board's rows (`rows.COLUMNS` order, sorted by boot and seq) and collects findings.

    Args:
        board: the board's identifier, from which its chain begins.
        keys: the board's keys, as fetched at pairings.
        purges: sorted by boot and number.
        anchors: (boot, seq) -> link of the heads that were seen at syncs.
        typed: anchors that a person kept.
        wanted: (boot, seq) of records whose links are to be kept in `links`.
    """

    board: str
    keys: Sequence[PairedKey] = ()
    purges: Sequence[PurgedRun] = ()
    anchors: Mapping[tuple[int, int], bytes] = field(default_factory=dict)
    typed: Sequence[Anchor] = ()
    wanted: Collection[tuple[int, int]] = ()

    def __post_init__(self) -> None:
        self.count = 0
        self.first = self.seq = self.boot = self._unreadable = 0
        self.head = b""
        self.links: dict[tuple[int, int], bytes] = {}
        self.stretches: list[Stretch] = []  # all of them, once `finish` was called
        self._begun: tuple[int, int] | None = None  # where the stretch that goes on began
        self._previous_links: tuple[bytes, ...] = (record.genesis(self.board),)
        self._purges = list(self.purges)
        self._ratchet = Ratchet(self.keys)
        self._runs: dict[str, list[_Range]] = {"link": [], "anchor": [], FORGED: [], EARLY: [], UNKEYED: []}
        self._gaps: list[_Range] = []
        self._restarts: list[tuple[int, int]] = []
        self._lost: list[range] = []
        # Whether each typed anchor fits a record seen so far; None while its number was not seen.
        self.typed_matches: dict[Anchor, bool | None] = dict.fromkeys(self.typed)

    def feed(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Take the next rows."""
        for row in rows:
            self._check_row(row)

    def add_purge(self, run: PurgedRun) -> None:
        """Know of one more purge, which lies behind every row that was fed and before the next."""
        self.purges = [*self.purges, run]
        self._purges.insert(0, run)
        self._purges.sort(key=lambda item: (item.boot_from, item.seq_from))

    def _check_row(self, row: tuple[Any, ...]) -> None:
        boot, seq, link, mac = row[1], row[2], row[LINK], row[LINK + 1]
        if not (type(boot) is type(seq) is int and isinstance(link, bytes) and isinstance(mac, bytes)):
            self._unreadable += 1  # only damage can have put it there, wherever it stands
            return
        if not self.count and is_stranger(self.board):  # kept from where it left the board's chain: nothing stands before
            self.seq, self._previous_links = seq - 1, ()
        if seq <= self.seq:
            self._end_stretch()
            self._restarts.append((boot, seq))
            self._previous_links = (record.genesis(self.board),) if seq == 1 else ()
            self.seq = seq - 1
            self._ratchet.restart()
        self._skip_purged(boot, seq)
        if seq > self.seq + 1:
            self._end_stretch()
            self._gaps.append(_Range(self.seq + 1, seq - 1))
            self._previous_links = ()
        if not self._check_link(row, seq, link, mac):
            self._end_stretch()
            self.stretches.append(Stretch((boot, seq), (boot, seq), sound=False))
        elif not self._begun:
            self._begun = (boot, seq)
        if (boot, seq) in self.anchors and self.anchors[boot, seq] != link:
            _extend(self._runs["anchor"], seq)
        if (boot, seq) in self.wanted:
            self.links[boot, seq] = link
        for anchor in self.typed:
            if anchor.seq == seq:
                self.typed_matches[anchor] = self.typed_matches[anchor] or anchor.matches(link)
        if row[4] == _LOST and row[5] == _OVERWRITTEN:
            self._lost.append(range(row[14], row[14] + row[13]))
        self.count += 1
        self.first = self.first or seq
        self.seq, self.boot, self.head = seq, boot, link

    def _end_stretch(self) -> None:
        if self._begun:
            self.stretches.append(Stretch(self._begun, (self.boot, self.seq), sound=True))
        self._begun = None

    def _skip_purged(self, boot: int, seq: int) -> None:
        while self._purges and (self._purges[0].boot_from, self._purges[0].seq_from) < (boot, seq):
            self._end_stretch()
            purge = self._purges.pop(0)
            if purge.seq_from != self.seq + 1:
                if purge.seq_from > self.seq + 1:
                    self._gaps.append(_Range(self.seq + 1, purge.seq_from - 1))
            elif purge.head_before and self._previous_links and purge.head_before not in self._previous_links:
                _extend(self._runs["link"], self.seq)
            self.seq, self._previous_links = purge.seq_to, (purge.head_after,)

    def _check_link(self, row: tuple[Any, ...], seq: int, link: bytes, mac: bytes) -> bool:
        """Whether the record is what its link was made over, as far as is known; notes what is wrong."""
        try:
            body = body_of(row)
        except (struct.error, TypeError):  # a value that no board could have sealed
            _extend(self._runs["link"], seq)
            self._previous_links = (link,)
            return False
        good = None
        computed = link
        for prev in self._previous_links:
            computed = hashlib.sha256(prev + body + mac).digest()[: record.LINK_BYTES]
            if computed == link:
                good = prev
                break
        if good is None and self._previous_links:
            _extend(self._runs["link"], seq)
            # Either the body was altered or the link was. The next record was linked to the true one.
            self._previous_links = (link, computed)
            return False
        if self.keys and good is not None:
            key_lost = row[4] == _CONFIG and row[5] == _KEY_LOST
            verdict = self._ratchet.check(seq, good, body, mac, key_lost=key_lost)
            if verdict in self._runs:
                _extend(self._runs[verdict], seq)
            if verdict == UNKEYED and key_lost and (forged := self._runs[FORGED]) and forged[-1].last == seq - 1:
                self._runs[UNKEYED][-1].first = forged.pop().first  # what a start records before it says so
        self._previous_links = (link,)
        return True

    def finish(self) -> list[ChainFinding]:
        """The findings after the last row; a single INTACT one when nothing is wrong."""
        self._end_stretch()
        self._skip_purged(1 << 62, 1 << 62)
        findings = [self._altered(run) for run in self._runs["link"]]
        if self._unreadable:
            text = f"Altered: {self._unreadable} of its rows hold what no record can be. The others are judged here."
            findings.append(ChainFinding(ALTERED, 0, 0, text))
        findings += [self._forged(run) for run in self._runs[FORGED]]
        findings += [self._sealed_late(run) for run in self._runs[EARLY]]
        findings += [self._unkeyed(run) for run in self._runs[UNKEYED]]
        findings += [self._contradicts_anchor(run) for run in self._runs["anchor"]]
        findings += [self._missing(run) for run in self._gaps]
        findings += [
            ChainFinding(
                RESTARTED,
                seq,
                seq,
                f"Restarted chain: with start {boot} the numbers begin again at {seq}. {_RESTARTED}",
            )
            for boot, seq in self._restarts
        ]
        findings += self._missing_tail()
        findings += self._check_typed_anchors()
        if findings:
            return sorted(findings, key=lambda finding: finding.first)
        if not self.count:
            why = "every record of this board was purged." if self.purges else "there is no record of this board."
            return [ChainFinding(CANNOT_JUDGE, 0, self.seq, f"Cannot judge: {why}")]
        return [self._intact()]

    def _intact(self) -> ChainFinding:
        if is_stranger(self.board):
            text = (
                f"Cannot judge: a stranger sealed records {self.first} to {self.seq}. They follow each other link by link, and "
                f"do not fit those of board {claimed(self.board)}, which it claimed to be. Whose they are cannot be known."
            )
            return ChainFinding(CANNOT_JUDGE, self.first, self.seq, text)
        first = 1 if not self.purges or self.purges[0].seq_from == 1 else self.first
        past = f" {sum(p.seq_to - p.seq_from + 1 for p in self.purges)} purged in between," if self.purges else ""
        paired_from = self.keys[0].seq if self.keys else self.seq + 1
        if paired_from <= self.seq:
            limit = "Not known: what the board never recorded, and what whoever held its key may have sealed anew."
            if paired_from > first:
                limit += f" Before {paired_from} this computer was not paired: only the links tell."
        else:
            limit = (
                "Not known without the board's key: whether someone made every link anew; a head you wrote down "
                "earlier (--anchor) or pairing would tell."
            )
        each = f"each from {paired_from} on" if paired_from > first else "each"
        marked = f" and {each} bears the mark of the board's key" if paired_from <= self.seq else ""
        text = f"Intact: records {first} to {self.seq} follow each other link by link,{past} none is missing{marked}. "
        return ChainFinding(INTACT, first, self.seq, text + limit)

    def _altered(self, run: _Range) -> ChainFinding:
        return ChainFinding(
            ALTERED, run.first, run.last,
            f"Altered at {_span(run)}: what stands there is not what the links were made over. Before and after it the "
            "chain may hold; what stood there before cannot be known.",
        )  # fmt: skip

    def _forged(self, run: _Range) -> ChainFinding:
        return ChainFinding(
            ALTERED, run.first, run.last,
            f"Altered from {_span(run)}: the links fit, but they were made without the board's key. Everything from "
            f"{run.first} on may be invented; what is before it stands.",
        )  # fmt: skip

    def _sealed_late(self, run: _Range) -> ChainFinding:
        return ChainFinding(
            ALTERED, run.first, run.last,
            f"Altered from {_span(run)}: the links fit, but they were made with a key to which the board came only later. "
            "Whoever had that one made them anew, or much of the board's flash died.",
        )  # fmt: skip

    def _unkeyed(self, run: _Range) -> ChainFinding:
        return ChainFinding(
            CANNOT_JUDGE, run.first, run.last,
            f"Cannot judge {_span(run)} by a key: there the board has another than this computer. Its links are judged all "
            "the same. `earlid pair` fetches the new one.",
        )  # fmt: skip

    def _contradicts_anchor(self, run: _Range) -> ChainFinding:
        return ChainFinding(
            ALTERED, run.first, run.last,
            f"Altered at or before {_span(run)}: its link is not the one this computer saw at an earlier sync, so the "
            "chain was made anew since. Which records differ cannot be known.",
        )  # fmt: skip

    def _missing(self, run: _Range) -> ChainFinding:
        size = run.last - run.first + 1
        reported = any(run.first in lost and run.last in lost for lost in self._lost)
        why = (
            "The board itself reports that it overwrote them before they were fetched."
            if reported
            else "Whether they were lost on the way or removed cannot be known from here."
        )
        return ChainFinding(GAP, run.first, run.last, f"Gap {_span(run)}: {size} record{'s' * (size > 1)} missing. {why}")

    def _missing_tail(self) -> list[ChainFinding]:
        beyond = [at for at in self.anchors if at > (self.boot, self.seq) and at[1] > self.seq]
        if not beyond:
            return []
        seq = max(beyond)[1]
        return [_tail_cut(self.seq, seq, "this computer saw at an earlier sync")]

    def fits(self, anchor: Anchor) -> bool:
        """Whether a typed anchor names a record that was seen, or the last of a purge."""
        purged = any(purge.seq_to == anchor.seq and anchor.matches(purge.head_after) for purge in self.purges)
        return purged or bool(self.typed_matches.get(anchor))

    def _check_typed_anchors(self) -> list[ChainFinding]:
        findings = []
        for anchor, fits in self.typed_matches.items():
            if self.fits(anchor):
                continue
            if anchor.seq > self.seq:
                findings.append(_tail_cut(self.seq, anchor.seq, "your anchor code names"))
            elif fits is False:
                text = (
                    f"Altered at or before {anchor.seq}: its link is not the one in your anchor code, so the chain was "
                    "made anew since, or the code is another board's."
                )
                findings.append(ChainFinding(ALTERED, anchor.seq, anchor.seq, text))
            else:
                text = f"Cannot judge the anchor code: record {anchor.seq}, which it names, is not kept any more."
                findings.append(ChainFinding(CANNOT_JUDGE, anchor.seq, anchor.seq, text))
        return findings


_RESTARTED = "Its flash was erased, or another board uses its name; each part is judged by itself."


def _tail_cut(last: int, seq: int, source: str) -> ChainFinding:
    return ChainFinding(
        TAIL_CUT, last + 1, seq,
        f"Tail cut: the records end at {last}, but {source} record {seq}. The end was removed; what is left may be whole.",
    )  # fmt: skip


def _extend(runs: list[_Range], seq: int) -> None:
    if runs and runs[-1].last + 1 >= seq >= runs[-1].first:
        runs[-1].last = max(runs[-1].last, seq)
    else:
        runs.append(_Range(seq, seq))


def _span(run: _Range) -> str:
    return str(run.first) if run.first == run.last else f"{run.first}..{run.last}"
