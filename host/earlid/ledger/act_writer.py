# SPDX-License-Identifier: MIT
"""Appends signed acts to a ledger, and keeps how far this installation signed there once they are committed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from earlid.errors import LEDGER_BROKEN, UserError
from earlid.ledger import acts, schema
from earlid.ledger.installation import Installation, SignedHead, advance_head, heads_at, installation, place_of, read_head
from earlid.ledger.location import Location


class ActWriter:
    """This installation's hand in one ledger; its callers take turns, transaction by transaction.

    Args:
        location: the ledger's.
        synced: whether this computer's clock is synchronised now; None when that is not known.
        now_ms: this computer's clock.
    """

    def __init__(self, location: Location, synced: Callable[[], bool | None], now_ms: Callable[[], int]) -> None:
        self._location, self._synced, self._now_ms = location, synced, now_ms
        self._signer: Installation | None = None
        self._first_link = b""  # of our act 1 in this ledger
        self._signed: SignedHead | None = None  # in the transaction that is open

    def begin(self) -> None:
        """A transaction begins; what another one left without a commit counts for nothing."""
        if self._signed:
            self._signed, self._first_link = None, b""

    def committed(self) -> None:
        """The transaction is durable: move the head file forward; UserError when it cannot be written."""
        signed, self._signed = self._signed, None
        if signed:
            advance_head(self._first_link, signed)

    def append(self, connection: sa.Connection, kind: str, body: Mapping[str, Any]) -> None:
        """Sign an act and append it, behind the `begin` or `restored` that has to stand before it.

        Raises:
            UserError: this installation's key cannot be used, or its first act is gone from the ledger.
        """
        signer = self._signer = self._signer or installation()
        assert signer is not None
        table = schema.acts
        ours = sa.select(table.c.number, table.c.link).where(table.c.installation == signer.name)
        newest = connection.execute(ours.order_by(table.c.number.desc()).limit(1)).first()
        number, link = newest or (0, acts.NO_LINK)
        place = connection.scalar(sa.select(sa.func.max(table.c.place))) or 0
        last = SignedHead(number, place, bytes(link))
        if newest and not self._first_link:
            first = connection.execute(ours.where(table.c.number == 1)).first()
            if first is None:
                text = f"the ledger {self._location} was altered: this computer's first act is gone from it. See `earlid verify`."
                raise UserError(text, LEDGER_BROKEN)
            self._first_link = bytes(first.link)
        if not newest:
            before = {name: head.number for name, head in heads_at(self._location).items()}
            last = self._append(connection, signer, last, "begin", {"key": signer.public_key, "before": before})
            self._first_link = last.link
        elif (signed := read_head(self._first_link)) and signed.number > number:
            # The ledger was cut, or put back from a backup: go on behind what was signed, and say for ever what is missing.
            missing = {"missing": [number + 1, signed.number], "behind": signed.link, "places": [place + 1, signed.place]}
            last = SignedHead(signed.number, max(place, signed.place), signed.link)
            last = self._append(connection, signer, last, "restored", missing)
        self._append(connection, signer, last, kind, body)

    def _append(
        self, connection: sa.Connection, signer: Installation, last: SignedHead, kind: str, body: Mapping[str, Any]
    ) -> SignedHead:
        now = {"at_ms": self._now_ms(), "synced": self._synced(), "salt": os.urandom(8)}
        text = acts.canonical(now | dict(body))
        number, place, body_hash = last.number + 1, last.place + 1, acts.hash_of(text)
        link = acts.link_of(last.link, signer.name, number, place, kind, body_hash)
        row = acts.Act(signer.name, number, place, kind, text, body_hash, link, signer.sign(link))
        connection.execute(sa.insert(schema.acts), [row._asdict()])
        self._signed = SignedHead(number, place, link, place_of(self._location))
        return self._signed
