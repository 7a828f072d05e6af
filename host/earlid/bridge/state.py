# SPDX-License-Identifier: MIT
"""State of a board, from the ledger. No output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lid import record

from earlid.ledger.boards import KnownBoard
from earlid.ledger.lid_state import Lid, lid_states
from earlid.ledger.queries import false_openings, newest_flags, newest_of, openings
from earlid.ledger.reader import Reader
from earlid.ledger.report import Today, live_today
from earlid.ledger.time_format import day_start_ms, iso_text, local_day

_LIDS = {"open": "open", "closed": "closed", "muted": "muted", "fault": "fault"}
_RAIL = {"open": True, "live": True, "maybe live": True, "closed": False, "muted": False, "fault": False}


def quick(reader: Reader, boards: Sequence[KnownBoard]) -> dict[str, dict[str, Any]]:
    """Identifier -> what follows from a board's newest records."""
    return {lid.board: _quick(reader, board, lid) for board, lid in zip(boards, lid_states(reader, boards), strict=True)}


def _quick(reader: Reader, board: KnownBoard, lid: Lid) -> dict[str, Any]:
    flags = newest_flags(reader, board)
    opening, boot = newest_of(reader, board, "open"), newest_of(reader, board, "boot")
    fault = lid.why or "fault" if lid.state == "fault" else f"{lid.state} with the lid closed" if "live" in lid.state else "none"
    return {
        "lid": "fault" if "live" in lid.state else _LIDS.get(lid.state, "unknown"),
        "rail_live": _RAIL.get(lid.state),
        "mute": None if flags is None else bool(flags & record.MUTED),
        "last_opening_reason": opening.reason if opening else "none",
        "last_opening_score": opening.score if opening else None,
        "last_opening_at": iso_text(opening.wall_ms) if opening else None,
        "fault": fault,
        "firmware": f"{boot.a >> 16}.{boot.a >> 8 & 255}.{boot.a & 255}" if boot else None,
        "signal_at": iso_text(board.last_seen_ms),
    }


def today(reader: Reader, boards: Sequence[KnownBoard], now_ms: int) -> dict[str, dict[str, Any]]:
    """Identifier -> sums since local midnight, and of labels."""
    from_ms = day_start_ms(local_day(now_ms))
    counts: dict[str, int] = dict.fromkeys((board.identifier for board in boards), 0)
    for opening in openings(reader, boards, from_ms, now_ms):
        counts[opening.board] += not opening.outside and opening.start_ms >= from_ms
    live: Mapping[str, Today] = live_today(reader, boards, now_ms)
    return {
        board.identifier: {
            "live_today_s": _seconds(live[board.identifier].bounds.most_ms),
            "live_today_least_s": _seconds(live[board.identifier].bounds.least_ms),
            "openings_today": counts[board.identifier],
            "false_openings": false_openings(reader, board),
        }
        for board in boards
    }


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else round(ms / 1000, 1)
