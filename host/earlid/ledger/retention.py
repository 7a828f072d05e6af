# SPDX-License-Identifier: MIT
"""Retention: removes what is older than the ledger keeps records, announced beforehand, and nothing by a clock in doubt.

Each step is one check. One announces what will be older than the limit a day later, as an act; one a day later removes what was
announced and is still beyond the limit. Never more than a tenth of the ledger at once: then a person is asked to say so.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from earlid.ledger.boards import KnownBoard, boards
from earlid.ledger.boot_clocks import LedgerClocks
from earlid.ledger.purge import CERTAIN, OLD, Selection, find, purge
from earlid.ledger.queries import record_count
from earlid.ledger.reader import Reader
from earlid.ledger.store import Ledger
from earlid.ledger.time_format import clock_text, day_text, local_day
from earlid.ledger.time_parse import parse_age
from earlid.ledger.version import FROM_HOST, FROM_SYNCED_HOST
from earlid.ledger.wall_clock import DRIFT_PPM

RETENTION = "6 months"
NOTICE = timedelta(days=1)
_LATE = timedelta(hours=1)  # a check that comes so much sooner than a day after the last counts
TENTH = 10
SLACK_MS = 120_000  # two clocks that differ by less agree
UNSYNCED_MS = 31 * 86_400_000  # for so long a clock is believed that was synchronised once


class Check(NamedTuple):
    """What a check did: board -> records removed; and a sentence for people, empty where there is nothing to say."""

    removed: dict[str, int]
    say: str


def retention_of(ledger: Ledger) -> str:
    """How long the ledger keeps records, as a person says it; `off` for always."""
    return ledger.setting("retention") or RETENTION


def check_span(span: str, now: datetime) -> None:
    """UserError, code 2, when this is neither a span as people say it nor `off`."""
    if span != "off":
        parse_age(span, now)


def beyond_retention(span: str, now: datetime, by: str = OLD) -> Selection | None:
    """What is older than a span; None when it is `off`."""
    return None if span == "off" else Selection(None, parse_age(span, now), f"retention {span}", by)


def keep_retention(ledger: Ledger, now: datetime | None = None) -> Check:
    """One check: remove what was announced and is due, announce what will be. To be called every hour or day."""
    now = now or datetime.now()
    span = retention_of(ledger)
    selection = beyond_retention(span, now, CERTAIN)
    if selection is None:
        return Check({}, "")
    with Reader(ledger.location) as reader:
        known, total = boards(reader), record_count(reader)
        if doubt := clock_doubt(reader, now, ledger.clock_synced()):
            return Check({}, f"no record is removed for its age: {doubt}")
        announced = _announced(reader)
    removed: dict[str, int] = {}
    if announced:
        count, due_ms, limit_ms = announced
        if _ms(now) < due_ms:
            return Check({}, _announcement(count, span, due_ms))
        assert selection.to_ms is not None
        due = find(ledger, known, selection._replace(to_ms=min(limit_ms, selection.to_ms)))
        if due.records * TENTH > total:
            return Check({}, _ask_text(due.records, total, span))
        removed = purge(ledger, due.runs, selection.why, "retention")
    ahead = beyond_retention(span, now + NOTICE, CERTAIN)
    assert ahead is not None
    count = find(ledger, known, ahead).records
    if count * TENTH > total:
        return Check(removed, _ask_text(count, total, span))
    if not count and not announced:
        return Check(removed, "")
    due_ms = _ms(now + NOTICE - _LATE)
    with ledger.transaction() as connection:
        ledger.act(connection, "retention", {"announced": count, "due_ms": due_ms, "limit_ms": ahead.to_ms})
    return Check(removed, _announcement(count, span, due_ms) if count else "")


def _announcement(count: int, span: str, due_ms: int) -> str:
    return (
        f"{count} record{'s' * (count > 1)} older than {span} will be removed from {_text(due_ms)} on; "
        "`earlid purge --retention off` keeps them"
    )


def _announced(reader: Reader) -> tuple[int, int, int] | None:
    """(How many records, Unix ms when they are due, limit in Unix ms) of what was announced last; None when nothing was."""
    for (body,) in reader.rows("SELECT body FROM acts WHERE kind = 'retention' ORDER BY place DESC LIMIT 100"):
        try:
            fields: dict[str, Any] = json.loads(body or "{}")
            if "announced" in fields:
                count, due_ms, limit_ms = (int(fields[name]) for name in ("announced", "due_ms", "limit_ms"))
                return (count, due_ms, limit_ms) if count else None
        except (ValueError, KeyError, TypeError, AttributeError):  # `verify` says what is wrong with it
            return None
    return None


def _ask_text(count: int, total: int, span: str) -> str:
    return (
        f"{count} of {total} records are older than {span}, which is more than a tenth: so many are removed only when a person "
        "says so, with `earlid purge`"
    )


def clock_doubt(reader: Reader, now: datetime, synced: bool | None) -> str:
    """Why this computer's clock cannot tell how old a record is, as a sentence; empty when nothing speaks against it.

    Args:
        now: what it says.
        synced: whether it is synchronised; None where that is not known.
    """
    now_ms = _ms(now)
    said = f"this computer's clock says {_text(now_ms)}"
    newest = reader.integer_rows("SELECT MAX(wall_ms - unc_ms) FROM clock_points WHERE source = :s", s=FROM_SYNCED_HOST)[0][0]
    if newest is not None and now_ms < newest - SLACK_MS:
        return f"{said}, but when it was synchronised it was {_text(newest)} already. Set the clock."
    for board in boards(reader):
        if text := _board_doubt(reader, board, now_ms, synced):
            return f"{said}, but {text}"
    if newest is not None and not synced and now_ms > newest + UNSYNCED_MS:
        return f"{said}, but it has not been synchronised since {_text(newest)}. Let it synchronise."
    return ""


def _board_doubt(reader: Reader, board: KnownBoard, now_ms: int, synced: bool | None) -> str:
    """What the newest records of a board, and its own count of milliseconds, say against the clock."""
    newest = reader.integer_rows(
        "SELECT boot, ms FROM records WHERE board_id = :id ORDER BY boot DESC, seq DESC LIMIT 1", id=board.id
    )
    for boot, ms in newest:
        earliest_ms, _ = LedgerClocks(reader, [board]).interval(board.id, boot, ms)
        if now_ms < earliest_ms - SLACK_MS:
            return f"the newest record of {board.title} is of {_text(earliest_ms)}. Set the clock."
    if synced:
        return ""
    points = reader.integer_rows(
        "SELECT ms, wall_ms, unc_ms, source FROM clock_points WHERE board_id = :id AND source IN (:host, :synced) AND boot = "
        "(SELECT MAX(boot) FROM clock_points WHERE board_id = :id AND source IN (:host, :synced)) ORDER BY ms",
        id=board.id, host=FROM_HOST, synced=FROM_SYNCED_HOST,
    )  # fmt: skip
    if not points:
        return ""
    trusted = [point for point in points if point[3] == FROM_SYNCED_HOST] or points[:1]
    (ms, wall_ms, unc_ms, _), (last_ms, last_wall_ms, last_unc_ms, _) = trusted[-1], points[-1]
    step_ms = (last_wall_ms - last_ms) - (wall_ms - ms)
    if abs(step_ms) > SLACK_MS + unc_ms + last_unc_ms + abs(last_ms - ms) * 2 * DRIFT_PPM // 1_000_000:
        return f"it was set by {_span(abs(step_ms))} while {board.title} counted on. Let it synchronise."
    return ""


def _span(span_ms: int) -> str:
    days = span_ms / 86_400_000
    return f"{days:.0f} days" if days >= 2 else f"{span_ms // 60_000} minutes"


def _text(wall_ms: int) -> str:
    return f"{day_text(local_day(wall_ms))} {clock_text(wall_ms)}"


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
