# SPDX-License-Identifier: MIT
"""What became of asking a witness, and the act that keeps what it said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from earlid.ledger.store import Ledger


class Outcome(NamedTuple):
    """What became of asking a witness for a board (None: for all of them).

    `kept`: an act says it now. `contradicts`: the witness saw another head. `unreachable`: nobody answered.
    """

    board: str | None
    by: str
    say: str
    kept: bool
    contradicts: bool = False
    unreachable: bool = False

    def as_json(self) -> dict[str, Any]:
        """What `--json` says of it."""
        return {name: value for name, value in self._asdict().items() if name != "unreachable"}


def keep(ledger: Ledger, board: str, at: tuple[int, int], link: bytes, by: str, said_ms: int, more: Mapping[str, Any]) -> None:
    """Keep what a witness said of record `at` (boot, number) as an act."""
    seen = {"board": board, "boot": at[0], "seq": at[1], "link": link, "by": by, "said_ms": said_ms}
    with ledger.transaction() as connection:
        ledger.act(connection, "witness", seen | dict(more))
