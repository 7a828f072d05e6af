# SPDX-License-Identifier: MIT
"""Replays a ledger's acts: what its tables must hold beside the records. No input or output."""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lid.record import LINK_BYTES

from earlid.ledger.acts import KINDS, Act, hex_bytes
from earlid.ledger.version import FROM_IMPORT

Identity = tuple[int, int]  # boot, seq
PURGE_COLUMNS = ("boot_from", "seq_from", "boot_to", "seq_to", "count", "head_before", "head_after", "at_ms", "why")


class Witnessed(NamedTuple):
    """A head as an act of the kind `witness` has it: what somebody said that record (boot, seq) of a board is.

    Attributes:
        link: 12 bytes.
        by: `tsa`, `host` or `paper`.
        said_ms: when, by that one's clock, Unix ms.
        contradicts: the ledger had something else there when it was said.
        body: the whole of what the act says.
        installation, number: of the act.
    """

    boot: int
    seq: int
    link: bytes
    by: str
    said_ms: int
    contradicts: bool
    body: Mapping[str, Any]
    installation: str
    number: int

    @property
    def at(self) -> Identity:
        """The record."""
        return self.boot, self.seq


@dataclass
class BoardAccount:
    """What the acts say of one board."""

    name: str | None = None
    labels: dict[Identity, tuple[int, int]] = field(default_factory=dict)  # -> label, at_ms
    purges: dict[Identity, tuple[Any, ...]] = field(default_factory=dict)  # first -> a row in PURGE_COLUMNS order
    notes: dict[int, tuple[str, str | None]] = field(default_factory=dict)  # at_ms -> kind, say
    points: dict[tuple[int, int, int], tuple[int, int]] = field(default_factory=dict)  # boot, ms, source -> wall_ms, unc_ms
    anchors: dict[Identity, bytes] = field(default_factory=dict)  # heads of the board that acts name
    runs: dict[int, list[tuple[int, int, int, int]]] = field(default_factory=lambda: defaultdict(list))
    # boot -> (first seq, last seq, least taken_ms, most taken_ms), sorted
    purged_by: dict[str, int] = field(default_factory=dict)  # installation -> place of its newest act that did
    clocked_by: dict[str, int] = field(default_factory=dict)
    taken_by: set[str] = field(default_factory=set)
    witnessed: list[Witnessed] = field(default_factory=list)
    _head: Identity = (0, 0)


@dataclass
class Account:
    """What the acts say of a ledger; `unread`: acts whose body is not what this version knows, as (installation, number)."""

    boards: dict[str, BoardAccount] = field(default_factory=lambda: defaultdict(BoardAccount))
    retention: str | None = None
    adopted_boards: set[str] = field(default_factory=set)
    redacts: set[tuple[str, int]] = field(default_factory=set)  # acts that purges took out
    unread: list[tuple[str, int]] = field(default_factory=list)


def replay(valid: Iterable[Act]) -> Account:
    """The account that acts give, in the order of their places; those taken out say nothing."""
    account = Account()
    for act in valid:
        if act.body is None:
            continue
        try:
            _apply(account, act, act.fields())
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError):
            account.unread.append((act.installation, act.number))
    return account


def _apply(account: Account, act: Act, body: dict[str, Any]) -> None:
    if act.kind not in KINDS:
        raise ValueError(act.kind)
    if "retention" in body:
        account.retention = _text(body["retention"])
    if act.kind == "purge":
        account.redacts |= {(_text(who), _whole(number)) for who, number in _list(body["redacts"])}
    if "board" not in body:
        return
    board = account.boards[_text(body["board"])]
    _take_head(board, body.get("head"))
    match act.kind:
        case "took":
            _add_runs(board, _list(body["runs"]))
            board.taken_by.add(act.installation)
        case "adopt" | "import":
            _add_runs(board, _list(body.get("runs", [])))
            _add_tables(board, body.get("tables", {}))
            if body.get("name") is not None:
                board.name = _text(body["name"])
            if act.kind == "adopt":
                account.adopted_boards.add(body["board"])
        case "clock":
            _add_point(board, body)
            board.clocked_by[act.installation] = act.place
        case "label":
            at = (_whole(body["boot"]), _whole(body["seq"]))
            if body["label"] is None:
                board.labels.pop(at, None)
            else:
                board.labels[at] = (_whole(body["label"]), _whole(body["said_ms"]))
        case "name":
            board.name = None if body["name"] is None else _text(body["name"])
        case "note":
            board.notes[_whole(body["noted_ms"])] = (_text(body["kind"]), body["say"])
        case "witness":
            board.witnessed.append(_witnessed(act, body))
        case "purge":
            for run in _list(body["runs"]):
                _purge(board, run)
            board.purged_by[act.installation] = act.place
            board.taken_by |= {_text(who) for who, _ in body["redacts"]}  # whose acts, though not what they said, is still known


def _witnessed(act: Act, body: dict[str, Any]) -> Witnessed:
    link = hex_bytes(body["link"])
    if len(link) != LINK_BYTES:
        raise ValueError("a link of another length")
    boot, seq, said_ms = (_whole(body[name]) for name in ("boot", "seq", "said_ms"))
    contradicts = body.get("contradicts") is True
    return Witnessed(boot, seq, link, _text(body["by"]), said_ms, contradicts, body, act.installation, act.number)


def _take_head(board: BoardAccount, head: Any) -> None:
    """Remember the newest head; an older one only where the board's numbers began anew, since its links lead there."""
    if head is None:
        return
    at, link = (_whole(head[0]), _whole(head[1])), hex_bytes(head[2])
    if at[1] >= board._head[1]:
        board.anchors.pop(board._head, None)
    board.anchors[at] = link
    board._head = at


def _add_runs(board: BoardAccount, runs: Iterable[Any]) -> None:
    for boot, *run in runs:
        first, last, least_ms, most_ms = map(_whole, run)
        insort(board.runs[_whole(boot)], (first, last, least_ms, most_ms))


def _add_point(board: BoardAccount, row: Mapping[str, Any]) -> None:
    at = (_whole(row["boot"]), _whole(row["ms"]), _whole(row["source"]))
    board.points[at] = (_whole(row["wall_ms"]), _whole(row["unc_ms"]))


def _add_tables(board: BoardAccount, tables: Mapping[str, Iterable[Mapping[str, Any]]]) -> None:
    for title, rows in tables.items():
        for row in _list(rows):
            match title:
                case "labels":
                    board.labels[_whole(row["boot"]), _whole(row["seq"])] = (_whole(row["label"]), _whole(row["at_ms"]))
                case "purges":
                    _add_purge(board, row)
                case "anchors":
                    board.anchors[_whole(row["boot"]), _whole(row["seq"])] = hex_bytes(row["link"])
                case "notes":
                    board.notes[_whole(row["at_ms"])] = (_text(row["kind"]), row["say"])
                case "clock_points":
                    _add_point(board, {"source": FROM_IMPORT} | dict(row))
                case _:
                    raise ValueError(title)


def _add_purge(board: BoardAccount, row: Mapping[str, Any]) -> tuple[Identity, Identity]:
    values = [row[name] for name in PURGE_COLUMNS]
    numbers = [_whole(value) for value in values[:5]]
    first, last = (numbers[0], numbers[1]), (numbers[2], numbers[3])
    before = None if values[5] is None else hex_bytes(values[5])
    board.purges[first] = (*numbers, before, hex_bytes(values[6]), _whole(values[7]), _text(values[8]))
    return first, last


def _purge(board: BoardAccount, row: Mapping[str, Any]) -> None:
    first, last = _add_purge(board, row)
    board.labels = {at: label for at, label in board.labels.items() if not first <= at <= last}
    board.anchors = {at: link for at, link in board.anchors.items() if not first <= at <= last}
    for boot in [boot for boot in board.runs if first[0] <= boot <= last[0]]:
        low = first[1] if boot == first[0] else 0
        high = last[1] if boot == last[0] else 1 << 62
        board.runs[boot] = [left for run in board.runs[boot] for left in _without(run, low, high)]


def _without(run: tuple[int, int, int, int], low: int, high: int) -> Iterator[tuple[int, int, int, int]]:
    first, last, least_ms, most_ms = run
    if first < low:
        yield first, min(last, low - 1), least_ms, most_ms
    if last > high:
        yield max(first, high + 1), last, least_ms, most_ms


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 53:
        raise TypeError("a whole number was expected")
    return value


def _list(value: Any) -> list[Any]:
    if type(value) is not list:
        raise TypeError("a list was expected")
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError("a text was expected")
    return value
