# SPDX-License-Identifier: MIT
"""The page of `earlid review --html`: one HTML text with its data in it."""

from __future__ import annotations

from collections.abc import Sequence

from earlid.ledger.boards import KnownBoard
from earlid.ledger.reader import Reader
from earlid.ledger.sealed import sealed_records
from earlid.page import page_data
from earlid.page.document import document
from earlid.page.pack import pack


def make_page(reader: Reader, chosen: Sequence[KnownBoard], now_ms: int, from_ms: int | None, to_ms: int | None) -> str:
    """The page's text.

    Args:
        chosen: the boards, from `pick_boards`.
        now_ms: Unix ms.
        from_ms: Unix ms, included; None for all.
        to_ms: Unix ms, excluded; None for all.

    Raises:
        UserError: when there are more records than a page can hold, or the ledger is damaged.
    """
    with reader.snapshot():
        return _assemble(reader, chosen, now_ms, from_ms, to_ms)


def _assemble(reader: Reader, chosen: Sequence[KnownBoard], now_ms: int, from_ms: int | None, to_ms: int | None) -> str:
    page_data.check_size(reader, chosen, from_ms, to_ms)
    header = page_data.header(reader, chosen, now_ms, from_ms, to_ms) | {"live": False, "whole": True, "revision": 0}
    header["verdicts"] = page_data.verdicts(reader, chosen)
    rows = page_data.load_rows(reader, chosen, from_ms, to_ms)
    shown = [(int(board), int(boot), int(seq)) for _, _, board, boot, seq, *_ in rows.openings]
    sealed = sealed_records(reader, chosen, from_ms, to_ms, shown)
    proof = pack(sealed.header, {"slots": {"bytes": sealed.slots}, "taken": {"ms": sealed.taken_ms}})
    return document(pack(header, page_data.tables(rows)), proof)
