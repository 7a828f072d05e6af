# SPDX-License-Identifier: MIT
"""Holds what witnesses said of a board's head against its records. No input or output.

An act of the kind `witness` is a head for ever, whoever vouches for it: at its record stands that link, or the record was purged
or lost. One that `contradicts` was made because the ledger had another link there.
"""

from __future__ import annotations

from collections.abc import Iterable

from earlid.door import brief
from earlid.ledger.chain import ALTERED, TAIL_CUT, ChainChecker, ChainFinding
from earlid.ledger.replay import Witnessed


def findings(said: Iterable[Witnessed], checker: ChainChecker) -> list[ChainFinding]:
    """What witnesses contradict.

    Args:
        said: of the board.
        checker: of the board, with `finish` called, which kept the links of these records.
    """
    altered: dict[int, str] = {}
    beyond: list[Witnessed] = []
    for head in said:
        link = checker.links.get(head.at)
        if link == head.link:
            continue
        if link is None and head.at > (checker.boot, checker.seq) and head.seq > checker.seq:
            beyond.append(head)
        elif link is not None or head.contradicts:
            altered.setdefault(head.seq, who(head))
    found = [
        ChainFinding(
            ALTERED, seq, seq,
            f"Altered at or before {seq}: its link is not the one that {name} saw. Either the chain was made anew since, or that "
            "one lies; another witness, or a head that somebody wrote down, tells which.",
        )
        for seq, name in sorted(altered.items())
    ]  # fmt: skip
    if beyond:
        last = max(beyond, key=lambda head: head.seq)
        text = f"Tail cut: the records end at {checker.seq}, but {who(last)} saw record {last.seq}. The end was removed."
        found.append(ChainFinding(TAIL_CUT, checker.seq + 1, last.seq, text))
    return found


def who(head: Witnessed) -> str:
    """A witness by name, for people."""
    name = str(head.body.get("name") or head.body.get("witness") or "")
    kinds = {"tsa": f"the time stamp authority {brief(name)}", "host": f"the witness {brief(name)}"}
    return kinds.get(head.by, "you, as you noted it down,")
