# SPDX-License-Identifier: MIT
"""The version of the ledger's tables, and what to say about another one."""

from __future__ import annotations

from earlid.errors import USAGE, UserError

VERSION = 4  # 3: the bridges' progress. 4: acts of the kind `witness`, which an earlier Earlid takes for altered ones
READABLE = (1, 2, 3, 4)
DAY_MS = 86_400_000  # the tallies' unit
# Sources of clock points: the board's records, set by a paired host; this computer's clock, not known to be synchronised;
# synchronised; an import; the board's records, by a hint that anybody at its port may have given.
FROM_BOARD, FROM_HOST, FROM_SYNCED_HOST, FROM_IMPORT, FROM_HINT = range(5)
FROM_RECORDS = (FROM_BOARD, FROM_HINT)


def check_version(text: str, where: object) -> int:
    """The version of a ledger; refuses one that this program cannot read.

    Args:
        text: the version that the ledger carries.
        where: the ledger's place, for the message.

    Raises:
        UserError: code 2.
    """
    version = int(text) if text.isdigit() else 0
    if version > VERSION:
        raise UserError(
            f"the ledger {where} was written by a newer Earlid (tables {version}, this one knows {VERSION}). "
            "Update Earlid, or name another ledger with --ledger. Nothing was changed.",
            USAGE,
        )
    if version not in READABLE:
        raise UserError(f"the ledger {where} carries no version this Earlid knows ({text!r}).", USAGE)
    return version
