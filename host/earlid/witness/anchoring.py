# SPDX-License-Identifier: MIT
"""Has heads of a ledger's boards stamped with the time, or noted as written down, and keeps that."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from earlid.errors import UserError
from earlid.ledger.anchor_code import make_code
from earlid.ledger.heads import BoardHead
from earlid.ledger.store import Ledger, now_ms
from earlid.witness import stamped_text, timestamp
from earlid.witness.outcome import Outcome, keep
from earlid.witness.post import place_of, post

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


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


def _keep(ledger: Ledger, heads: Sequence[BoardHead], by: str, said_ms: int, more: dict[str, Any]) -> None:
    for head in heads:
        keep(ledger, head.board.identifier, (head.boot, head.seq), head.link, by, said_ms, more)
