# SPDX-License-Identifier: MIT
"""The version of the ledger's tables, and what to say about another one."""

from __future__ import annotations

from earlid.errors import USAGE, UserError

VERSION = 1
DAY_MS = 86_400_000  # the tallies' unit


def check_version(text: str, where: object) -> None:
    """Refuse a ledger that this program cannot read.

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
    if version != VERSION:
        raise UserError(f"the ledger {where} carries no version this Earlid knows ({text!r}).", USAGE)
