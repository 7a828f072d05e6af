# SPDX-License-Identifier: MIT
"""Gives the heads of a ledger's boards to witnesses and keeps what came back, as acts of the kind `witness`.

What came back is judged (`timestamp.py`, `statement.py`) before anything is kept.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from earlid.errors import UserError
from earlid.ledger.anchor_code import make_code
from earlid.ledger.heads import BoardHead
from earlid.ledger.store import Ledger, now_ms
from earlid.witness import stamped_text, timestamp
from earlid.witness.post import place_of, post

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


class Outcome(NamedTuple):
    """What became of asking a witness for a board (None: for all of them).

    `kept`: an act says it now. `contradicts`: the witness saw another head.
    """

    board: str | None
    by: str
    say: str
    kept: bool
    contradicts: bool = False


def stamp_heads(ledger: Ledger, heads: Sequence[BoardHead], url: str, roots: Sequence[Certificate]) -> list[Outcome]:
    """One time stamp over the heads of all these boards."""
    digests = sorted(stamped_text.digest_of(head.board.identifier, *head[1:]) for head in heads)
    text = stamped_text.text_of(digests)
    query, nonce = timestamp.request(text)
    try:
        status, answer = post(url, query, "application/timestamp-query", timestamp.ANSWER_MAX_BYTES)
        if status != 200:
            return [Outcome(None, "tsa", f"{url} answered with HTTP {status}: no time stamp.", kept=False)]
        stamp = timestamp.check(answer, text, roots, nonce, now_ms())
    except UserError as error:
        return [Outcome(None, "tsa", f"no time stamp: {error}", kept=False)]
    except timestamp.BadStamp as error:
        return [Outcome(None, "tsa", f"no time stamp of {url}: {error}.", kept=False)]
    statement = {"statement": base64.b64encode(answer).decode(), "heads": digests, "name": stamp.name, "at": place_of(url)}
    _keep(ledger, heads, "tsa", stamp.said_ms, statement)
    return [
        Outcome(head.board.title, "tsa", f"record {head.seq} is in a time stamp by {stamp.name}.", kept=True) for head in heads
    ]


def note_codes(ledger: Ledger, heads: Sequence[BoardHead]) -> list[Outcome]:
    """Remember that a person has written the codes of these heads down."""
    _keep(ledger, heads, "paper", now_ms(), {"statement": ""})
    codes = [f"noted that you keep {make_code(head.seq, head.link)} (record {head.seq})." for head in heads]
    return [Outcome(head.board.title, "paper", code, kept=True) for head, code in zip(heads, codes, strict=True)]


def _keep(ledger: Ledger, heads: Sequence[BoardHead], by: str, said_ms: int, statement: dict[str, Any]) -> None:
    with ledger.transaction() as connection:
        for head in heads:
            seen = {"board": head.board.identifier, "boot": head.boot, "seq": head.seq, "link": head.link}
            ledger.act(connection, "witness", seen | {"by": by, "said_ms": said_ms} | statement)
