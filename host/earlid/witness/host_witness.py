# SPDX-License-Identifier: MIT
"""Asks another Earlid host to vouch for heads, board by board, and keeps what it signed, for this ledger or against it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from earlid.door import plain
from earlid.errors import UserError
from earlid.ledger import heads as ledger_heads
from earlid.ledger.heads import BoardHead
from earlid.ledger.installation import installation
from earlid.ledger.reader import Reader
from earlid.ledger.store import Ledger, now_ms
from earlid.ledger.time_format import moment_text
from earlid.witness import replies, statement
from earlid.witness.keeper import RECORDS_AT_ONCE, unpacked
from earlid.witness.outcome import Outcome, keep
from earlid.witness.post import place_of, post
from earlid.witness.statement import Statement

ANSWER_MAX_BYTES = 4096


class Known(NamedTuple):
    """What a ledger keeps of a witness.

    Attributes:
        key: 32 bytes; None where it was never asked.
        last: its newest statement on each board, with the boot of the record.
        against: what it said that contradicts the ledger: board, number, link.
    """

    key: bytes | None
    last: dict[str, tuple[int, Statement]]
    against: set[tuple[str, int, bytes]]


def known(bodies: Sequence[dict[str, Any]], url: str) -> Known:
    """What acts keep of the witness at an address; statements against the ledger are none to go on from."""
    key: bytes | None = None
    last: dict[str, tuple[int, Statement]] = {}
    against: set[tuple[str, int, bytes]] = set()
    place = place_of(url)
    for body in bodies:
        try:
            if body.get("by") != "host" or body.get("at") != place:
                continue
            key_now, said = bytes.fromhex(body["key"]), statement.read(unpacked(body["statement"]))
            if not said.holds(key_now) or type(body["boot"]) is not int:
                continue
            if key_now != key:
                last, key = {}, key_now
            if body.get("contradicts"):
                against.add((said.board, said.seq, said.link))
            else:
                last[said.board] = (body["boot"], said)
        except (KeyError, TypeError, ValueError):
            continue
    return Known(key, last, against)


def ask(ledger: Ledger, heads: Sequence[BoardHead], url: str, *, new_key: bool = False) -> list[Outcome]:
    """Ask the witness at an address about each of these heads.

    Args:
        new_key: take it even if its key is another than before.
    """
    with Reader(ledger.location) as reader:
        before = known(ledger_heads.witness_bodies(reader), url)
        if new_key:
            before = before._replace(key=None, last={})
        outcomes = []
        for head in heads:
            outcomes.append(_Conversation(ledger, reader, url, before, head).outcome())
            if outcomes[-1].unreachable:
                break
        return outcomes


class _Conversation:
    """With one witness about one board."""

    def __init__(self, ledger: Ledger, reader: Reader, url: str, before: Known, head: BoardHead) -> None:
        self._ledger, self._reader, self._url, self._head = ledger, reader, url, head
        self._board = head.board.identifier
        self._pinned = before.key
        last = before.last.get(self._board)
        self._boot: int = last[0] if last else 0
        self._last: Statement | None = last[1] if last else None
        self._against = before.against
        mine = installation(make=False)
        self._own = mine.public_key if mine else None

    def outcome(self) -> Outcome:
        """Ask, and keep what came back."""
        try:
            return self._extend()
        except UserError as error:
            return self._failed(str(error).rstrip("."), unreachable=True)
        except replies.BadReply as error:
            return self._failed(str(error))

    def _failed(self, why: str, *, unreachable: bool = False) -> Outcome:
        say = f"the witness at {plain(place_of(self._url))} does not vouch for record {self._head.seq}: {why}."
        return Outcome(self._head.board.title, "host", say, kept=False, unreachable=unreachable)

    def _extend(self) -> Outcome:
        last = self._last
        ours = ledger_heads.link_at(self._reader, self._head.board, last.seq) if last else None
        if last and ours and ours[1] != last.link:
            text = f"it vouched for another record {last.seq} than this ledger has now; `earlid verify` says more"
            return self._failed(text)._replace(contradicts=True)
        after, boot, retried = last, self._boot, False
        while True:
            asked = self._step(after, boot)
            if asked is None:
                return self._failed(f"records behind {after.seq if after else 0}, which it saw last, are missing or begin anew")
            at, link, sealed = asked
            reply = self._ask(after, at[1], link, sealed)
            said = reply.said
            if reply.vouches and (said.seq, said.link) == (at[1], link):
                replies.check_fresh(reply, self._last, now_ms())
                after, boot = said, at[0]
                if (said.seq, said.link) == (self._head.seq, self._head.link):
                    return self._keep(reply, self._head.boot)
                continue
            ours = ledger_heads.link_at(self._reader, self._head.board, said.seq)
            if ours is None and ledger_heads.is_purged(self._reader, self._head.board, said.seq):
                return self._failed(f"it saw record {said.seq} last, which was purged here: nothing leads on from it")
            if ours is None or ours[1] != said.link:
                return self._contradicted(reply, ours)
            if text := replies.denial(reply, self._last):
                return self._failed(text)
            if reply.vouches or retried:
                return self._failed("it answered with an old statement again, and does not say what it lacks")
            after, boot, retried = said, ours[0], True  # it saw more than this ledger keeps of it

    def _step(self, after: Statement | None, boot: int) -> tuple[tuple[int, int], bytes, bytes] | None:
        """Record, link and what leads there from a statement, at most RECORDS_AT_ONCE of them; None where nothing does."""
        if after is None:
            return (self._head.boot, self._head.seq), self._head.link, b""
        at, link, sealed = (boot, after.seq), after.link, bytearray()
        for boot_now, seq, unit, link_now in self._behind(boot, after.seq):
            if seq != at[1] + 1:
                return None
            at, link = (boot_now, seq), link_now
            sealed += unit
        arrived = at == (self._head.boot, self._head.seq)
        return (at, link, bytes(sealed)) if sealed or arrived else None

    def _behind(self, boot: int, seq: int) -> Iterator[tuple[int, int, bytes, bytes]]:
        for item in islice(ledger_heads.sealed_after(self._reader, self._head.board, boot, seq), RECORDS_AT_ONCE):
            if item[:2] > (self._head.boot, self._head.seq):
                return
            yield item

    def _ask(self, after: Statement | None, seq: int, link: bytes, sealed: bytes) -> replies.Reply:
        question = {
            "earlid": "witness", "board": self._board, "seq": seq, "link": link.hex(),
            "after": base64.b64encode(after.data).decode() if after else None, "sealed": base64.b64encode(sealed).decode(),
        }  # fmt: skip
        status, body = post(self._url, json.dumps(question).encode(), "application/json", ANSWER_MAX_BYTES)
        reply = replies.read(status, body, self._board, self._pinned, self._own)
        self._pinned = reply.key
        return reply

    def _body(self, reply: replies.Reply) -> dict[str, Any]:
        packed = base64.b64encode(reply.said.data).decode()
        return {"statement": packed, "witness": reply.name, "key": reply.key, "at": place_of(self._url)}

    def _keep(self, reply: replies.Reply, boot: int) -> Outcome:
        said = reply.said
        keep(self._ledger, self._board, (boot, said.seq), said.link, "host", said.said_ms, self._body(reply))
        say = f"the witness {reply.name} vouches for record {said.seq} and all before it that it is linked to."
        return Outcome(self._head.board.title, "host", say, kept=True)

    def _contradicted(self, reply: replies.Reply, ours: tuple[int, bytes] | None) -> Outcome:
        said = reply.said
        if self._last and self._last.seq >= said.seq and self._leads(said.seq):
            say = (
                f"the witness {reply.name} contradicts itself: it signed record {self._last.seq} of this chain, and now another "
                f"record {said.seq} than leads there. It lies, or its key was stolen; its word counts for nothing."
            )
            self._ledger.add_note(self._board, "witness", say)
            return Outcome(self._head.board.title, "host", say, kept=False)
        boot = ours[0] if ours else self._head.boot
        body = self._body(reply) | {"contradicts": True}
        if (self._board, said.seq, said.link) not in self._against:  # one that is asked every day says it every day
            keep(self._ledger, self._board, (boot, said.seq), said.link, "host", said.said_ms, body)
        what = "this ledger has another one" if ours else f"this ledger ends at record {self._head.seq}"
        say = (
            f"the witness {reply.name} contradicts this ledger: on {moment_text(said.said_ms)} it signed record {said.seq}, and "
            f"{what}. One of the two was made anew since; its statement is kept, and `earlid verify` says so from now on."
        )
        return Outcome(self._head.board.title, "host", say, kept=True, contradicts=True)

    def _leads(self, seq: int) -> bool:
        """Whether the records here lead from number `seq` to what the witness signed last, each linked to the one before."""
        assert self._last is not None
        found = ledger_heads.link_at(self._reader, self._head.board, seq)
        if found is None:
            return False
        link, at = found[1], seq
        for _, number, unit, _ in ledger_heads.sealed_after(self._reader, self._head.board, found[0], seq):
            if at == self._last.seq:
                break
            try:
                at, link = statement.follow(at, link, unit)
            except ValueError:
                return False
            if number != at:
                return False
        return (at, link) == (self._last.seq, self._last.link)
