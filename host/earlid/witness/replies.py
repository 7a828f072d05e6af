# SPDX-License-Identifier: MIT
"""Judges what a witness answers: whether it vouches for a head, or says what counts for nothing. No input or output."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from earlid.door import plain
from earlid.ledger.acts import installation_of
from earlid.ledger.time_format import moment_text
from earlid.witness import statement
from earlid.witness.keeper import unpacked
from earlid.witness.statement import Statement

FAR_MS = 86_400_000  # so far from this computer's clock one of the two is wrong


class Reply(NamedTuple):
    """An answer that is a statement on the board by the witness that is meant."""

    key: bytes
    said: Statement
    vouches: bool  # it was signed for what was asked; else it is what the witness says it signed last

    @property
    def name(self) -> str:
        """The witness's name: 16 hex digits of its key's hash."""
        return installation_of(self.key)


class BadReply(Exception):
    """An answer that counts for nothing; the sentence says why."""


def read(status: int, body: bytes, board: str, pinned: bytes | None, own: bytes | None) -> Reply:
    """The statement of an answer.

    Args:
        pinned: the key (32 bytes) that the witness had until now; None for a new one.
        own: this installation's key.

    Raises:
        BadReply: there is none that counts.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BadReply(f"it answered with HTTP {status} and no JSON: is that a witness?")
    say = f": {plain(value['say'])}" if isinstance(value.get("say"), str) else ""
    if status not in (200, 409):
        raise BadReply(f"it answered with HTTP {status}{say}")
    key, said = _read_statement(value)
    if pinned is not None and key != pinned:
        text = f"its key is another than before ({installation_of(pinned)} then, {installation_of(key)} now)"
        raise BadReply(f"{text}: another witness answers there, or somebody in between. If its keeper says so, add --new-key")
    if key == own:
        raise BadReply("it is this installation itself: its word adds nothing")
    if not said.holds(key):
        raise BadReply("the signature of its statement does not hold")
    if said.board != board:
        raise BadReply(f"it answered for another board ({plain(said.board)})")
    return Reply(key, said, status == 200)


def _read_statement(value: dict[str, Any]) -> tuple[bytes, Statement]:
    try:
        key = bytes.fromhex(value["key"])
        if len(key) != 32:
            raise ValueError("no key")
        return key, statement.read(unpacked(value["statement"]))
    except (KeyError, TypeError, ValueError):
        raise BadReply("its answer has no statement in it") from None


def check_fresh(reply: Reply, last: Statement | None, now_ms: int) -> None:
    """Whether a statement on the head that was asked for is new.

    Raises:
        BadReply: it is not.
    """
    if last and reply.said.said_ms <= last.said_ms:
        raise BadReply(f"it answered with an old statement again, of {moment_text(reply.said.said_ms)}")
    if abs(reply.said.said_ms - now_ms) > FAR_MS:
        raise BadReply(f"it says that it is {moment_text(reply.said.said_ms)} there: more than a day from this computer's clock")


def denial(reply: Reply, last: Statement | None) -> str:
    """What to say where a witness says that it signed less than what is kept of it; empty where it does not."""
    if last is None or reply.said.seq >= last.seq:
        return ""
    return (
        f"it denies what it signed: its newest statement, it says, is on record {reply.said.seq}, and this ledger has one of it "
        f"on record {last.seq}"
    )
