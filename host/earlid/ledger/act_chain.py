# SPDX-License-Identifier: MIT
"""Verifies the chains of acts: which acts are what their installation signed, which are missing. No input or output."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from earlid.ledger import acts
from earlid.ledger.acts import Act


class Signed(NamedTuple):
    """An act as far as its signature is concerned."""

    number: int
    link: bytes
    signature: bytes


_NAME = re.compile(r"[0-9a-f]{16}")
_KIND = re.compile(r"[a-z]{1,24}")  # one of a newer Earlid's too: it is linked as the others are
_NONE = Signed(0, acts.NO_LINK, b"")


@dataclass
class Signer:
    """The acts of one installation.

    `broken`: numbers of those that are not what was linked. `unsigned_from`: from there on nobody with its key made them.
    """

    name: str
    key: bytes = b""
    count: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    first_link: bytes = b""
    newest: Signed = _NONE
    begun_place: int = 0
    before: dict[str, int] = field(default_factory=dict)  # ledgers of ours that stood at this place when it began: name -> acts
    broken: list[int] = field(default_factory=list)
    missing: list[tuple[int, int]] = field(default_factory=list)
    restored: list[tuple[int, int]] = field(default_factory=list)
    unsigned_from: int | None = None
    _ends: list[Signed] = field(default_factory=list)  # the last before each gap: nothing behind it vouches for it


class ActChain:
    """Walks every act of a ledger in the order of places. `signers` has what was found, once `finish` was called.

    Args:
        verify_signature: of (public key, link, signature), as `installation.verify_signature`.
    """

    def __init__(self, verify_signature: Callable[[bytes, bytes, bytes], bool]) -> None:
        self._verify = verify_signature
        self.signers: dict[str, Signer] = {}
        self.holes: list[tuple[int, int]] = []  # places at which no act stands
        self.redacted: set[tuple[str, int]] = set()
        self._explained: list[tuple[int, int]] = []
        self._last_place = 0

    def feed(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Take the next rows, in `acts.COLUMNS` order."""
        for row in rows:
            act = read_act(row)
            signer = self.signers.setdefault(act.installation, Signer(act.installation))
            signer.count += 1
            signer.kinds[act.kind] += 1
            if act.place > self._last_place + 1:
                self.holes.append((self._last_place + 1, act.place - 1))
            in_place = act.place > self._last_place
            self._last_place = max(self._last_place, act.place)
            if not self._check(act, signer) or not in_place:
                signer.broken.append(act.number)

    def _check(self, act: Act, signer: Signer) -> bool:
        """Whether an act is what was linked. It is the newest then, unless its number stood there before."""
        if act.body is None:
            self.redacted.add((act.installation, act.number))
        whole = act.body is None or hash_or_none(act.body) == act.body_hash
        if act.number <= signer.newest.number:
            return False
        before = self._follow(act if whole else act._replace(body=None), signer)
        if before is None:
            return whole  # what stood before is not known; the signature vouches for the link itself
        return whole and acts.link_of(before, act.installation, act.number, act.place, act.kind, act.body_hash) == act.link

    def _follow(self, act: Act, signer: Signer) -> bytes | None:
        """Make an act the newest; the link before it, None where that is not known."""
        newest, expected = signer.newest, signer.newest.number + 1
        signer.newest = Signed(act.number, act.link, act.signature)
        before: bytes | None = newest.link
        if act.number > expected:
            if newest.number:
                signer._ends.append(newest)
            fields = fields_of(act) if act.kind == "restored" else {}
            if fields.get("missing") == [expected, act.number - 1]:
                before = from_hex(fields.get("behind"))
                signer.restored.append((expected, act.number - 1))
            else:
                before = None
                signer.missing.append((expected, act.number - 1))
        if act.kind == "restored":
            places = fields_of(act).get("places")
            if isinstance(places, list) and len(places) == 2 and all(type(place) is int for place in places):
                self._explained.append((places[0], places[1]))
        if act.number == 1:
            self._begin(act, signer)
        return before

    def _begin(self, act: Act, signer: Signer) -> None:
        signer.first_link = act.link
        fields = fields_of(act)
        key = from_hex(fields.get("key")) or b""
        if act.kind == "begin" and acts.installation_of(key) == act.installation:
            signer.key = key
        before = fields.get("before")
        if isinstance(before, dict):
            signer.before = {str(name): count for name, count in before.items() if type(count) is int}
        signer.begun_place = act.place

    def finish(self, read_before: Callable[[str, int], Signed | None]) -> None:
        """Check the signatures.

        Args:
            read_before: the newest act of (installation, below this number), None where there is none; called only where
                something is wrong.
        """
        self.holes = [hole for hole in self.holes if not any(low <= hole[0] and hole[1] <= high for low, high in self._explained)]
        for signer in self.signers.values():
            bad = [end for end in (*signer._ends, signer.newest) if not self._is_signed(signer, end)]
            if not bad:
                continue
            before = read_before(signer.name, bad[0].number) if signer.key else None
            while before and not self._is_signed(signer, before):
                before = read_before(signer.name, before.number)
            signer.unsigned_from = before.number + 1 if before else 1  # the newest that is signed vouches for those before it

    def _is_signed(self, signer: Signer, signed: Signed) -> bool:
        return bool(signer.key) and self._verify(signer.key, signed.link, signed.signature)

    def is_valid(self, act: Act) -> bool:
        """Whether an act counts: linked, and signed by the installation it names."""
        signer = self.signers[act.installation]
        return act.number not in signer.broken and (signer.unsigned_from is None or act.number < signer.unsigned_from)


def lookup(made: Iterable[Act]) -> Callable[[str, int], Signed | None]:
    """What `ActChain.finish` asks for, of acts in hand."""
    found: dict[str, dict[int, Signed]] = {}
    for act in made:
        found.setdefault(act.installation, {}).setdefault(act.number, Signed(act.number, act.link, act.signature))
    numbers = {name: sorted(signed) for name, signed in found.items()}

    def read_before(name: str, number: int) -> Signed | None:
        at = bisect_left(numbers[name], number)
        return found[name][numbers[name][at - 1]] if at else None

    return read_before


def read_act(row: tuple[Any, ...]) -> Act:
    """An act of a row; what damage put there becomes something that no check accepts."""
    installation, number, place, kind, body, body_hash, link, signature = row
    return Act(
        installation if isinstance(installation, str) and _NAME.fullmatch(installation) else "?",
        _number(number),
        _number(place),
        kind if isinstance(kind, str) and _KIND.fullmatch(kind) else "?",
        body if isinstance(body, str) else None if body is None else "?",
        _bytes(body_hash),
        _bytes(link),
        _bytes(signature),
    )


def _number(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 1 << 63 else 0


def _bytes(value: Any) -> bytes:
    return bytes(value) if isinstance(value, bytes | memoryview) else b""


def fields_of(act: Act) -> dict[str, Any]:
    """What an act's body says; empty when it was taken out or is none."""
    try:
        return act.fields()
    except (ValueError, RecursionError):
        return {}


def hash_or_none(body: str) -> bytes | None:
    """The hash of a body; None of one that no act can have."""
    return acts.hash_of(body) if body.isascii() else None


def from_hex(text: object) -> bytes | None:
    """Bytes of hex digits; None when they are none."""
    try:
        return acts.hex_bytes(text) if isinstance(text, str) else None
    except ValueError:
        return None
