# SPDX-License-Identifier: MIT
"""Who vouches for which records of a board, and since when, as far as their statements hold. No input or output.

Whoever saw a record's link vouches for it and for all before it in its stretch: links lead back, never forward, and over no gap.
"""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from earlid.door import brief, plain
from earlid.ledger.acts import installation_of
from earlid.ledger.chain import Stretch
from earlid.ledger.replay import Witnessed
from earlid.ledger.time_format import day_text, local_day
from earlid.witness import stamped_text, statement, timestamp

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

DAY_MS = 86_400_000
TOO_OLD_DAYS = 7
FAULTS_SHOWN = RUNS_SHOWN = 5


class Voucher(NamedTuple):
    """A witness of some records: the kind of witness, its name, and when it first and last said so (Unix ms)."""

    by: str
    name: str
    first_ms: int
    last_ms: int


class Run(NamedTuple):
    """Records `first` to `last`, and who vouches for them; nobody when `vouchers` is empty."""

    first: int
    last: int
    vouchers: tuple[Voucher, ...]


class Vouching(NamedTuple):
    """Of one board: runs in order of their records; statements that count for nothing; whether the newest is too old."""

    runs: list[Run]
    faults: list[str]
    too_old: str = ""


def judge(
    board: str,
    stretches: Sequence[Stretch],
    said: Sequence[Witnessed],
    roots: Sequence[Certificate] | None,
    now_ms: int,
    too_old_days: int = TOO_OLD_DAYS,
) -> Vouching:
    """What statements are worth.

    Args:
        board: its identifier.
        stretches: of the board's records, as the chain was verified.
        said: heads of acts that stand in the chain as they were seen.
        roots: to check time stamps by; None where the package for them is missing.
    """
    good: list[tuple[Witnessed, str]] = []
    faults = []
    for head in said:
        try:
            good.append((head, name_of(board, head, roots)))
        except BadStatement as error:
            faults.append(f"act {head.number} of {plain(head.installation)}, on record {head.seq}, counts for nothing: {error}.")
    runs = [run for stretch in stretches for run in _runs_of(stretch, good)]
    return Vouching(runs, faults, _too_old(runs, good, now_ms, too_old_days) if said else "")


class BadStatement(Exception):
    """A statement that does not hold; the sentence says why."""


def name_of(board: str, head: Witnessed, roots: Sequence[Certificate] | None) -> str:
    """The name of a witness whose statement holds, and is the one that the act says it is.

    Raises:
        BadStatement: it does not, or is of a kind that is not known here.
    """
    match head.by:
        case "paper":
            return "a code that you noted (`--anchor` compares it)"
        case "tsa":
            return _stamped_by(board, head, roots)
        case "host":
            return _signed_by(board, head)
    raise BadStatement(f"a witness of the kind {brief(head.by)} is not known here: update Earlid")


def _stamped_by(board: str, head: Witnessed, roots: Sequence[Certificate] | None) -> str:
    if roots is None:
        raise BadStatement(
            'time stamps are checked by a package that the small install goes without: `pip install "earlid[tsa]"`'
        )
    digests = head.body.get("heads")
    try:
        text = stamped_text.text_of(digests if isinstance(digests, list) else ())
        if stamped_text.digest_of(board, head.boot, head.seq, head.link) not in digests:  # type: ignore[operator]
            raise ValueError
        stamp = _checked(statement_of(head.body), text, tuple(roots))
    except (ValueError, TypeError) as error:
        raise BadStatement("the head is not in what was stamped") from error
    except timestamp.BadStamp as error:
        raise BadStatement(str(error)) from error
    if stamp.said_ms != head.said_ms:
        raise BadStatement("the stamp is of another time than the act says")
    return stamp.name


def _signed_by(board: str, head: Witnessed) -> str:
    try:
        key, said = bytes.fromhex(head.body["key"]), statement.read(statement_of(head.body))
    except (KeyError, TypeError, ValueError) as error:
        raise BadStatement("it is no statement of a witness") from error
    if not said.holds(key):
        raise BadStatement("its signature does not hold")
    if (said.board, said.seq, said.link, said.said_ms) != (board, head.seq, head.link, head.said_ms):
        raise BadStatement("what was signed is not what the act says")
    name = installation_of(key)
    if name != head.body.get("witness"):
        raise BadStatement("it was signed by another witness than the act says")
    if name == head.installation:
        raise BadStatement("the witness is the computer that keeps this ledger: its word adds nothing")
    return name


@functools.lru_cache(4096)
def _checked(answer: bytes, text: bytes, roots: tuple[Certificate, ...]) -> timestamp.Stamp:
    return timestamp.check(answer, text, roots)  # one stamp is of many boards


def statement_of(body: Any) -> bytes:
    """The bytes of an act's statement; ValueError when there are none."""
    text = body.get("statement")
    if not isinstance(text, str):
        raise ValueError("no statement")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("no base64") from error


def _runs_of(stretch: Stretch, good: Sequence[tuple[Witnessed, str]]) -> list[Run]:
    inside = sorted(
        (pair for pair in good if stretch.sound and stretch.first <= pair[0].at <= stretch.last), key=lambda pair: pair[0].at
    )
    runs: list[Run] = []
    first = stretch.first[1]
    behind: dict[tuple[str, str], Voucher] = {}
    for head, name in reversed(inside):  # whoever saw a later record vouches for the earlier ones too
        at = (head.by, name)
        known = behind.get(at)
        first_ms, last_ms = (min(known.first_ms, head.said_ms), known.last_ms) if known else (head.said_ms, head.said_ms)
        behind[at] = Voucher(head.by, name, first_ms, last_ms)
        if runs and runs[-1].last == head.seq:
            runs.pop()
        runs.append(Run(first, head.seq, tuple(behind.values())))
    runs.reverse()
    starts = [first, *(run.last + 1 for run in runs)]
    runs = [run._replace(first=start) for run, start in zip(runs, starts, strict=False)]
    return [*runs, Run(starts[-1], stretch.last[1], ())] if starts[-1] <= stretch.last[1] else runs


def _merged(runs: Sequence[Run]) -> list[Run]:
    """Neighbours for which the same vouch are one run; with the first and the last time that counts for a part of it."""
    merged: list[Run] = []
    for run in runs:
        before = merged[-1] if merged else None
        same = before and {v[:2] for v in before.vouchers} == {v[:2] for v in run.vouchers} and before.last + 1 == run.first
        if before and same:
            later = {voucher[:2]: voucher for voucher in run.vouchers}
            both = tuple(
                voucher._replace(
                    first_ms=min(voucher.first_ms, later[voucher[:2]].first_ms),
                    last_ms=max(voucher.last_ms, later[voucher[:2]].last_ms),
                )
                for voucher in before.vouchers
            )
            merged[-1] = Run(before.first, run.last, both)
        else:
            merged.append(run)
    return merged


def _too_old(runs: Sequence[Run], good: Sequence[tuple[Witnessed, str]], now_ms: int, days: int) -> str:
    if not runs or runs[-1].vouchers:
        return ""
    newest = max((head.said_ms for head, _ in good), default=0)
    if now_ms - newest <= days * DAY_MS:
        return ""
    when = f"is of {day_text(local_day(newest))}, more than {days} days ago" if newest else "does not hold"
    return f"The newest anchor {when}, and for records {runs[-1].first} to {runs[-1].last} nobody vouches yet: `earlid anchor`."


_KINDS = {"tsa": "time stamp by {}", "host": "witness {}", "paper": "{}"}


def lines_of(vouching: Vouching) -> list[str]:
    """The same for people: runs with the same witnesses as one; of many, the newest."""
    lines = [f"Vouched for: records {run.first} to {run.last}: {_by_text(run)}" for run in _merged(vouching.runs)]
    if (more := len(lines) - RUNS_SHOWN) > 0:
        lines = [f"Vouched for: {more} earlier ranges of records; --json has all.", *lines[more:]]
    faults = [f"Not believed: {text}" for text in vouching.faults]
    if (more := len(faults) - FAULTS_SHOWN) > 0:
        faults = [*faults[:FAULTS_SHOWN], f"Not believed: {more} more; --json has all."]
    return [*lines, *faults, *([vouching.too_old] if vouching.too_old else [])]


def _by_text(run: Run) -> str:
    texts = []
    for voucher in run.vouchers:
        days = [day_text(local_day(ms)) for ms in (voucher.first_ms, voucher.last_ms)]
        when = days[0] if days[0] == days[1] else f"{days[0]} to {days[1]}, as they came"
        texts.append(f"{_KINDS[voucher.by].format(plain(voucher.name))}, {when}")
    return "; ".join(texts) or "nobody yet"
