# SPDX-License-Identifier: MIT
"""Judges records' keyed checksums while the key that seals moves forward. No input or output.

A board seals each segment of its flash with the next key, and forgets the one before (PROTOCOL.md). Whoever follows tries the
key in hand, then the next, never an earlier one. Who takes the newest key can seal old records with it; these stand where the
board did not have it yet: a segment holds SEGMENT_RECORDS, and no key may follow after fewer than LEAST_RECORDS. So what a
stolen key can forge is its own segment and the last records of the one before, SEGMENT_RECORDS - LEAST_RECORDS of them.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from lid import record

from earlid.ledger.keys import EPOCHS_MAX, PairedKey

SEGMENT_RECORDS = 1006
BLOCK_RECORDS = 63
SAID_EPOCHS = 64  # so many segments are tried, back from the one in which the board says that it is
LEAST_RECORDS = SEGMENT_RECORDS - 2 * BLOCK_RECORDS  # two of a segment's 16 blocks may have died

SEALED, FORGED, EARLY, UNKEYED, UNKNOWN = "sealed", "forged", "early", "unkeyed", "unknown"


class Ratchet:
    """The key in hand, moved forward by the records of one board.

    Args:
        keys: as fetched at pairings, in order.
    """

    def __init__(self, keys: Sequence[PairedKey]) -> None:
        self._keys = list(keys)  # those not in hand yet
        self._key: bytes | None = None
        self._since: int | None = None  # number of the first record under the key in hand; None when it is not known
        self._seq = 0  # the newest record that it fitted
        self._lost = False  # the board has another key than the one in hand, and says so

    def restart(self) -> None:
        """The numbers begin again: with the key in hand, or with one that nobody here has."""
        self._lost, self._since, self._seq = True, None, 0

    def check(self, seq: int, prev_link: bytes, body: bytes, mac: bytes, *, key_lost: bool = False) -> str:
        """What the checksum of a record is worth.

        Args:
            prev_link: of the record before it.
            key_lost: whether the record says that the board lost its key and made another.

        Returns:
            SEALED; FORGED: with no key of this board; EARLY: with a key to which the board came later; UNKEYED: since the
            board has another key; UNKNOWN: before this computer was paired.
        """
        signed = prev_link + body
        if self._key:
            if _fits(self._key, signed, mac):
                self._seq, self._lost = seq, False
                return SEALED
            if not key_lost and (verdict := self._follow(seq, signed, mac)):
                return verdict
        state = self._key, self._since, self._seq
        for at, fetched in enumerate(self._keys):
            if fetched.seq > seq:
                break
            self._key, self._since, self._seq = fetched.key, fetched.seq, fetched.seq - 1
            if _fits(self._key, signed, mac) or self._follow(seq, signed, mac) == SEALED:
                del self._keys[: at + 1]
                self._seq, self._lost = seq, False
                return SEALED
            if state[0] is None and not key_lost and not self._lost:
                del self._keys[: at + 1]
                return FORGED
            self._key, self._since, self._seq = state
        if key_lost:
            self._key, self._lost = None, True
        if self._lost:
            return UNKEYED
        return FORGED if self._key else UNKNOWN

    def _follow(self, seq: int, signed: bytes, mac: bytes) -> str:
        """Move on to a later key that fits; EARLY, and stay, when it cannot have been that one's turn yet; else empty."""
        assert self._key
        missing = max(0, seq - self._seq - 1)
        allowed = 1 + missing // LEAST_RECORDS + bool(missing)
        key = self._key
        for turn in range(1, allowed + 1):
            key = record.next_key(key)
            if _fits(key, signed, mac):
                if self._since is not None and seq - self._since < turn * LEAST_RECORDS:
                    return EARLY
                self._key, self._seq = key, seq
                self._since = seq if turn == 1 and not missing else None
                return SEALED
        return ""


def _fits(key: bytes, signed: bytes, mac: bytes) -> bool:
    return hmac.digest(key, signed, "sha256")[: record.MAC_BYTES] == mac


class Mark:
    """The key of the newest pairing, followed forward as records arrive.

    Not as strict as `Ratchet`: a segment of dying flash may hold a single block. What a key may have sealed at all, `verify`
    judges when all records are there.

    Args:
        paired: of the newest pairing.
        epoch: in which the board says that its key is: where its numbers began again since the pairing, they do not tell.
    """

    def __init__(self, paired: PairedKey, epoch: int = 0) -> None:
        self.first = paired.seq
        """The first record that has to bear it."""
        self._key, self._at = paired.key, paired.seq  # of the newest record that bore it
        self._lost = False  # searched for in vain
        self._said = []  # the keys up to that one
        first = max(paired.epoch, epoch - SAID_EPOCHS)
        if key := paired.at(first):
            self._said = [key]
            for _ in range(epoch - first):
                self._said.append(record.next_key(self._said[-1]))

    def fits(self, seq: int, prev_link: bytes, body: bytes, mac: bytes) -> bool:
        """Whether a record bears the mark of the key in hand, or of one to which the board can have come since."""
        signed = prev_link + body
        ahead = 0 if self._lost else max(0, seq - self._at) // BLOCK_RECORDS
        key = self._key
        for _ in range(min(2 + ahead, EPOCHS_MAX)):
            if _fits(key, signed, mac):
                break
            key = record.next_key(key)
        else:
            self._lost = self._lost or seq >= self._at
            found = next((said for said in reversed(self._said) if _fits(said, signed, mac)), None)
            if found is None:
                return False
            key = found
        self._key, self._at, self._lost = key, seq, False
        return True
