# SPDX-License-Identifier: MIT
"""Door: what text from outside may be. Ports, USB devices, other programs, ledgers and exports are outside.

What the wire carries is checked against `lid.wire_schema` besides; here is what is shown, stored or made a file name of.
"""

from __future__ import annotations

import re

TEXT_MAX = 200  # characters of a foreign text in a sentence or a table
_IDENTIFIER = re.compile(r"[0-9a-f]{1,16}(\.[0-9a-f]{6})?")
BRIEF_MAX = 60
_JOINERS = "\u00a0\u200c\u200d"  # which several languages write words with
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def is_identifier(text: object) -> bool:
    """Whether it can be a board's identifier: hex digits, behind a stranger's point six more. It becomes file names."""
    return isinstance(text, str) and _IDENTIFIER.fullmatch(text) is not None


def claimed(identifier: str) -> str:
    """The identifier that a board says it has: of a stranger's (`0011223344556677.abcdef`) what stands before the point."""
    return identifier.partition(".")[0]


def is_stranger(identifier: str) -> bool:
    """Whether an identifier is one under which a ledger keeps a stranger's records apart."""
    return "." in identifier and is_identifier(identifier)


def plain(text: object, most: int = TEXT_MAX) -> str:
    """A foreign text for people's eyes: no escape sequence or direction mark acts; cut to `most` characters."""
    shown = str(text)
    shown = shown if len(shown) <= most else shown[: most - 1] + "\u2026"
    return "".join(char if is_printable(char) else char.encode("unicode_escape").decode() for char in shown)


def is_printable(text: str) -> bool:
    """Whether a text can be shown as it is: nothing in it moves a cursor, turns letters round or lacks an encoding."""
    return text.isprintable() or all(char.isprintable() or char in _JOINERS for char in text)


def brief(value: object) -> str:
    """A value of a foreign file as it may stand in a sentence."""
    if isinstance(value, list | dict):  # perhaps too deep to be written out
        return f"a {'list' if isinstance(value, list) else 'set of names'} of {len(value)}"
    return plain(repr(value), BRIEF_MAX)


def cell(text: str) -> str:
    """A text as a cell of a table: what a spreadsheet would take for a formula gets an apostrophe before it."""
    return "'" + text if text.startswith(_FORMULA) else text
