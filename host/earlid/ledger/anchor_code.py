# SPDX-License-Identifier: MIT
"""Anchor codes: a record's number and the first 40 bits of its link as a short text, to photograph and to type again.

Crockford's base 32 (no I, L, O, U), in groups: `3C-7H2K-9XWD-S` is record 108. The last character is a check over
GF(32): the sum of every digit times a power of a generator, so that one wrong character always shows, and so do two
swapped neighbours.
"""

from __future__ import annotations

from typing import NamedTuple

from earlid.door import brief
from earlid.errors import USAGE, UserError

DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LINK_BITS = 40
_LINK_DIGITS = LINK_BITS // 5
_NUMBER_DIGITS = 7  # of 32 bits
_TYPED_MAX = 100  # characters, hyphens and spaces among them
_LOOKALIKES = str.maketrans("ILO", "110", "- \t")
_FIELD_POLYNOMIAL = 0b100101  # x^5 + x^2 + 1


class Anchor(NamedTuple):
    """A head as a person wrote it down: number, and the first 40 bits of its link."""

    seq: int
    link_bits: int

    def matches(self, link: bytes) -> bool:
        """Whether a 12-byte link begins with these bits."""
        return int.from_bytes(link[: LINK_BITS // 8], "big") == self.link_bits


def make_code(seq: int, link: bytes) -> str:
    """The code of record `seq` with the 12-byte `link`."""
    digits = _to_digits(seq, 1) + _to_digits(int.from_bytes(link[: LINK_BITS // 8], "big"), _LINK_DIGITS)
    number, head = digits[:-_LINK_DIGITS], digits[-_LINK_DIGITS:]
    text = "".join(DIGITS[digit] for digit in (*number, *head, _check(digits)))
    cut = len(number)
    return "-".join((text[:cut], text[cut : cut + 4], text[cut + 4 : cut + 8], text[-1]))


def parse_code(text: str) -> Anchor:
    """The anchor of a typed code; case, hyphens and spaces do not matter, and I L O are read as 1 1 0.

    Raises:
        UserError: code 2 when it is no code or was mistyped.
    """
    cleaned = text[: _TYPED_MAX + 1].upper().translate(_LOOKALIKES)
    fits = 1 <= len(cleaned) - _LINK_DIGITS - 1 <= _NUMBER_DIGITS and len(text) <= _TYPED_MAX
    if not fits or any(c not in DIGITS for c in cleaned):
        raise UserError(f"{brief(text)} is no anchor code: those look like 3C-7H2K-9XWD-M.", USAGE)
    *digits, check = (DIGITS.index(c) for c in cleaned)
    if _check(digits) != check:
        raise UserError(f"the anchor code {brief(text)} has a wrong character somewhere: compare it with your note.", USAGE)
    return Anchor(_from_digits(digits[:-_LINK_DIGITS]), _from_digits(digits[-_LINK_DIGITS:]))


def _to_digits(number: int, least: int) -> list[int]:
    digits: list[int] = []
    while number or len(digits) < least:
        digits.append(number & 31)
        number >>= 5
    return digits[::-1]


def _from_digits(digits: list[int]) -> int:
    number = 0
    for digit in digits:
        number = number << 5 | digit
    return number


def _check(digits: list[int]) -> int:
    # Each step multiplies by the generator x of GF(32); its order is 31, so no two of our places weigh the same.
    total = 0
    for digit in digits:
        total ^= digit
        total <<= 1
        if total & 32:
            total ^= _FIELD_POLYNOMIAL
    return total
