# SPDX-License-Identifier: MIT
"""Signer: what a board wants its requests signed with, and the `mac` of those that change what it keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lid import signing
from lid.wire_schema import Hello, Reply, known_fields

SIGNED = ("ack", "clock", "config-set")

KeyAt = Callable[[str, int], bytes | None]
"""The key of a board (its identifier) in an epoch; None when it is not paired with this computer."""


class Signer:
    """Follows a board's nonce and epoch through its replies.

    Args:
        key_at: the keys there are, as `earlid.ledger.keys.key_at`.
    """

    def __init__(self, key_at: KeyAt) -> None:
        self._key_at = key_at
        self._board, self._epoch, self._nonce = "", 0, ""
        self._refused = False
        self.proto, self.fw = 0, ""  # the board's protocol and firmware version; 0 and empty until it has said them

    @property
    def wanted(self) -> bool:
        """Whether the board counts signed requests only: it has said what to sign with."""
        return bool(self._nonce)

    @property
    def signs(self) -> bool:
        """Whether requests are signed: the board has said with what, has not refused our key, and there is one."""
        return self._key() is not None

    def learn(self, hello: object) -> None:
        """Take from a `hi` who the board is, and what the next signed request is signed with."""
        known = known_fields(hello, Hello)
        if "board" in known:
            self._board, self._epoch = known["board"], known.get("epoch", 0)
            self._nonce, self.proto = known.get("nonce", ""), known.get("proto", self.proto)
            self.fw = known.get("fw", self.fw)

    def learn_reply(self, reply: dict[str, Any]) -> None:
        """Take what a reply says of it."""
        self.learn(reply.get("hi"))
        self._nonce = known_fields(reply, Reply).get("nonce", self._nonce)

    def sign(self, body: dict[str, Any]) -> dict[str, Any]:
        """The request with its `mac`; as it is when it needs none, or no key is here."""
        key = self._key() if body["do"] in SIGNED else None
        if key is None:
            return body
        return body | {"mac": signing.request_mac(key, self._nonce, signing.canonical(body))}

    def give_up(self) -> None:
        """The board takes another key than ours: go on as one that is not paired."""
        self._refused = True

    def _key(self) -> bytes | None:
        return self._key_at(self._board, self._epoch) if self._nonce and not self._refused else None
