# SPDX-License-Identifier: MIT
"""The boards of a ledger, and how they are chosen by name or identifier."""

from collections.abc import Sequence
from typing import NamedTuple

from earlid.door import brief, is_printable, is_stranger, plain
from earlid.errors import USAGE, UserError
from earlid.ledger.reader import Reader

NAME_MAX = 60
SHORT_ID = 8  # so much of an identifier in a table


class KnownBoard(NamedTuple):
    """A row of the table of boards."""

    id: int
    identifier: str
    name: str | None
    first_seen_ms: int
    last_seen_ms: int

    @property
    def title(self) -> str:
        """What to call it: its name, else its identifier; of a stranger that it is one."""
        return self.name or (f"stranger {self.identifier}" if is_stranger(self.identifier) else self.identifier)

    @property
    def short_title(self) -> str:
        """The same for a table: the beginning of an identifier, which `pick_boards` takes; of a stranger its end."""
        return self.name or (f"stranger {self.identifier[-6:]}" if is_stranger(self.identifier) else self.identifier[:SHORT_ID])


def boards(reader: Reader) -> list[KnownBoard]:
    """Every board, in the order they were first seen; whatever stands there as text that no terminal acts upon."""
    rows = reader.rows("SELECT id, board, name, first_seen_ms, last_seen_ms FROM boards ORDER BY id")
    return [
        KnownBoard(number, plain(board), name and plain(name, NAME_MAX), *(value if type(value) is int else 0 for value in seen))
        for number, board, name, *seen in rows
    ]


def pick_boards(reader: Reader, names: Sequence[str]) -> list[KnownBoard]:
    """The boards with one of these names, or beginnings of identifiers; all when there is none.

    A stranger is meant only by a word that has its point, or is what stands behind that.

    Raises:
        UserError: code 2 when a word fits no board, or several identifiers.
    """
    known = boards(reader)
    if not names:
        return known
    chosen = []
    for word in names:
        fitting = [board for board in known if board.name and board.name.lower() == word.lower()]
        fitting = fitting or [board for board in known if _is_meant(board.identifier, word.lower())]
        if len(fitting) != 1:
            listed = ", ".join(f"{board.identifier}{f' ({board.name})' if board.name else ''}" for board in known) or "none"
            fault = "no board is called" if not fitting else "several boards are called"
            raise UserError(f"{fault} {word!r} in this ledger. There are: {listed}.", USAGE)
        chosen += fitting
    return chosen


def _is_meant(identifier: str, word: str) -> bool:
    if is_stranger(identifier) and "." not in word:
        return identifier.endswith(f".{word}")
    return identifier.startswith(word)


def check_name(reader: Reader, board: KnownBoard, name: str) -> None:
    """Refuse a name by which another board is known already, or that cannot be shown.

    Raises:
        UserError: code 2.
    """
    if len(name) > NAME_MAX or not is_printable(name):
        raise UserError(f"{brief(name)} is no name: at most {NAME_MAX} letters that can be printed.", USAGE)
    others = [other for other in boards(reader) if other.id != board.id]
    if name and name.lower() in [word.lower() for other in others for word in (other.name or "", other.identifier)]:
        raise UserError(f"another board is called {name!r} already: choose another name.", USAGE)
