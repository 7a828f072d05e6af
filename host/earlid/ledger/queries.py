"""What the ledger tells: boards, records with wall time, openings, totals. Everything people see is made of these."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from lid import record

from earlid.errors import USAGE, UserError
from earlid.ledger.clock import Clock, Extent, Point, clocks_of
from earlid.ledger.reader import Reader
from earlid.ledger.version import DAY_MS

MARGIN_MS = 3_600_000  # the other half of an opening is looked for this far outside a range
_EVENT_CODES = {name: code for code, name in enumerate(record.EVENTS)}
_REASON_CODES = {name: code for code, name in enumerate(record.REASONS)}


class Board(NamedTuple):
    """A board that the ledger knows."""

    id: int
    board: str
    name: str | None
    first_seen_ms: int
    last_seen_ms: int

    @property
    def title(self) -> str:
        """What to call it: its name, else its identifier."""
        return self.name or self.board


class Entry(NamedTuple):
    """One record with its wall time as it is known now.

    `wall_ms` (Unix ms) may be off by `unc_ms`; `label` is the owner's word on it, None without one.
    """

    board: str
    boot: int
    seq: int
    ms: int
    event: str
    reason: str
    score: int
    flags: int
    energy_log2_q8: int
    guarded_mv: int
    sentinel_mv: int
    a: int
    b: int
    wall_ms: int
    unc_ms: int
    label: bool | None


class Opening(NamedTuple):
    """One time the lid was open.

    `live_ms` is None when no close was recorded (`ended` tells why: "open" still, "restart" cut short by one). `seq` is the
    open record's, or the close's when the open is not kept. `score` and `cutoff` are of 255.
    """

    board: str
    boot: int
    seq: int
    start_ms: int
    unc_ms: int
    live_ms: int | None
    reason: str
    ended: str
    score: int
    cutoff: int
    label: bool | None


def boards(reader: Reader) -> list[Board]:
    """Every board, in the order they were first seen."""
    return [
        Board(*row)
        for row in reader.rows("SELECT id, board, name, first_seen_ms, last_seen_ms FROM boards ORDER BY id")
    ]


def pick_boards(reader: Reader, wanted: Sequence[str]) -> list[Board]:
    """The boards whose name, or the beginning of whose identifier, is wanted; all when none is asked for.

    Raises:
        UserError: code 2 when a word fits no board, or several identifiers.
    """
    known = boards(reader)
    if not wanted:
        return known
    chosen = []
    for word in wanted:
        fitting = [board for board in known if board.name and board.name.lower() == word.lower()]
        fitting = fitting or [board for board in known if board.board.startswith(word.lower())]
        if len(fitting) != 1:
            listed = ", ".join(f"{board.board}{f' ({board.name})' if board.name else ''}" for board in known) or "none"
            fault = "no board is called" if not fitting else "several boards are called"
            raise UserError(f"{fault} {word!r} in this ledger. There are: {listed}.", USAGE)
        chosen += fitting
    return chosen


class Clocks:
    """Wall time of the boards' starts.

    Args:
        reader: the ledger.
        chosen: the boards.
        from_ms: Unix ms; starts that ended before are left out. None for no limit.
        to_ms: Unix ms; starts that began after are left out.
    """

    def __init__(self, reader: Reader, chosen: Iterable[Board], from_ms: int | None = None, to_ms: int | None = None):
        self._by_board = {board.id: self._load(reader, board.id, from_ms, to_ms) for board in chosen}

    @staticmethod
    def _load(reader: Reader, board_id: int, from_ms: int | None, to_ms: int | None) -> dict[int, tuple[Clock, Extent]]:
        near = ""
        values = {"id": board_id}
        if from_ms is not None and to_ms is not None:
            unknown = reader.rows(
                "SELECT 1 FROM boots b WHERE board_id = :id AND NOT EXISTS (SELECT 1 FROM clock_points p "
                "WHERE p.board_id = b.board_id AND p.boot = b.boot) LIMIT 1", id=board_id,
            )  # fmt: skip
            if not unknown:  # else all are needed: a start without time lies between its neighbours
                near = (
                    " AND b.boot IN (SELECT p.boot FROM clock_points p JOIN boots x ON x.board_id = p.board_id AND "
                    "x.boot = p.boot WHERE p.board_id = :id AND p.wall_ms - p.ms + x.last_ms >= :from_ms "
                    "AND p.wall_ms - p.ms + x.first_ms <= :to_ms)"
                )
                values |= {"from_ms": from_ms - MARGIN_MS, "to_ms": to_ms + MARGIN_MS}
        extents = [
            Extent(*row)
            for row in reader.rows(
                f"SELECT boot, first_ms, last_ms, last_taken_ms FROM boots b WHERE board_id = :id{near} ORDER BY boot",
                **values,
            )
        ]
        points: dict[int, list[Point]] = defaultdict(list)
        for boot, *point in reader.rows(
            f"SELECT boot, ms, wall_ms, unc_ms FROM clock_points b WHERE board_id = :id{near}", **values
        ):
            points[boot].append(Point(*point))
        clocks = clocks_of(extents, points)
        return {extent.boot: (clocks[extent.boot], extent) for extent in extents}

    def wall(self, board_id: int, boot: int, ms: int) -> tuple[int, int]:
        """(Unix ms, uncertainty ms) of a moment of a start."""
        return self._by_board[board_id][boot][0].wall(ms)

    def ranges(self, board_id: int, from_ms: int | None, to_ms: int | None) -> Iterator[tuple[int, int, int, Clock]]:
        """(boot, first ms, last ms, clock) of every start that reaches into a range of wall time, clipped to it."""
        for boot, (clock, extent) in self._by_board[board_id].items():
            first_ms = extent.first_ms if from_ms is None else max(extent.first_ms, clock.ms_at(from_ms))
            last_ms = extent.last_ms if to_ms is None else min(extent.last_ms, clock.ms_at(to_ms))
            if first_ms <= last_ms:
                yield boot, first_ms, last_ms, clock


def labels(reader: Reader, board: Board) -> dict[tuple[int, int], bool]:
    """(boot, seq) -> the owner's word on that record."""
    found = reader.rows("SELECT boot, seq, label FROM labels WHERE board_id = :id", id=board.id)
    return {(boot, seq): bool(label) for boot, seq, label in found}


def entries(
    reader: Reader,
    chosen: Sequence[Board],
    from_ms: int | None = None,
    to_ms: int | None = None,
    *,
    events: Collection[str] = (),
    reasons: Collection[str] = (),
) -> Iterator[Entry]:
    """Records in a range of wall time, board after board, each in the board's own order.

    Args:
        chosen: from `pick_boards`.
        from_ms: Unix ms, included; None from the first record.
        to_ms: Unix ms, excluded; None to the last record.
        events: names to keep (`lid.record.EVENTS`); all when empty.
        reasons: names to keep (`lid.record.REASONS`); all when empty.
    """
    clocks = Clocks(reader, chosen, from_ms, to_ms)
    only = ""
    if events:
        only += f" AND event IN ({', '.join(str(_EVENT_CODES[name]) for name in events)})"
    if reasons:
        only += f" AND reason IN ({', '.join(str(_REASON_CODES[name]) for name in reasons)})"
    sql = (
        "SELECT seq, ms, event, reason, score, flags, energy_log2_q8, guarded_mv, sentinel_mv, a, b FROM records "
        f"WHERE board_id = :id AND boot = :boot AND ms BETWEEN :first AND :last{only} ORDER BY ms, seq"
    )
    for board in chosen:
        said = labels(reader, board)
        for boot, first, last, clock in clocks.ranges(board.id, from_ms, to_ms):
            for seq, ms, event, reason, *rest in reader.stream(
                sql, id=board.id, boot=boot, first=first - 1, last=last + 1
            ):
                wall_ms, unc_ms = clock.wall(ms)
                if (from_ms is None or wall_ms >= from_ms) and (to_ms is None or wall_ms < to_ms):
                    yield Entry(
                        board.board, boot, seq, ms, record.EVENTS[event], record.REASONS[reason], *rest,
                        wall_ms, unc_ms, said.get((boot, seq)),
                    )  # fmt: skip


def openings(
    reader: Reader, chosen: Sequence[Board], from_ms: int | None = None, to_ms: int | None = None
) -> list[Opening]:
    """Every time the lid was open in a range, also those that only reach into it; sorted by start."""
    wide = entries(
        reader,
        chosen,
        None if from_ms is None else from_ms - MARGIN_MS,
        None if to_ms is None else to_ms + MARGIN_MS,
        events=("open", "close", "boot"),
    )
    newest = {board.board: _newest(reader, board) for board in chosen}
    found = sorted(pair(wide, newest), key=lambda opening: opening.start_ms)
    return [
        opening
        for opening in found
        if (to_ms is None or opening.start_ms < to_ms)
        and (from_ms is None or opening.start_ms + (opening.live_ms or 0) >= from_ms)
    ]


def _newest(reader: Reader, board: Board) -> int:
    found = reader.rows("SELECT MAX(boot) FROM boots WHERE board_id = :id", id=board.id)
    return found[0][0] or 0


def pair(wide: Iterable[Entry], newest_boot: dict[str, int]) -> Iterator[Opening]:
    """Openings of entries in order; `newest_boot` tells which start of each board may still be running."""
    begun: Entry | None = None
    for entry in wide:
        if begun and (entry.board != begun.board or entry.boot != begun.boot or entry.event != "close"):
            yield _opening(begun, None, "restart")
            begun = None
        if entry.event == "open":
            begun = entry
        elif entry.event == "close":
            yield _opening(begun, entry, entry.reason)
            begun = None
    if begun:
        yield _opening(begun, None, "open" if newest_boot.get(begun.board) == begun.boot else "restart")


def _opening(begun: Entry | None, end: Entry | None, ended: str) -> Opening:
    first = begun or end
    assert first is not None
    start_ms = begun.wall_ms if begun else first.wall_ms - first.a
    return Opening(
        first.board, first.boot, first.seq, start_ms, first.unc_ms, end.a if end else None,
        begun.reason if begun else "", ended, begun.score if begun else 0, begun.b if begun else 0, first.label,
    )  # fmt: skip


class Totals(NamedTuple):
    """Counts by (event, reason), and milliseconds the lid was open."""

    counts: dict[tuple[str, str], int]
    live_ms: int
    records: int


def totals(reader: Reader, chosen: Sequence[Board], from_ms: int | None = None, to_ms: int | None = None) -> Totals:
    """Totals of a range of wall time, from the tallies where whole days of a start lie in it, else from the records.

    An opening counts where it closed.
    """
    clocks = Clocks(reader, chosen, from_ms, to_ms)
    counts: dict[tuple[int, int], int] = defaultdict(int)
    live_ms = 0

    def take(cells: Iterable[tuple[int, ...]]) -> None:
        nonlocal live_ms
        for event, reason, count, sum_a in cells:
            counts[event, reason] += count
            live_ms += sum_a or 0

    close = _EVENT_CODES["close"]
    tallied = "SELECT event, reason, SUM(count), SUM(sum_a) FROM tallies WHERE board_id = :id{} GROUP BY event, reason"
    counted = (
        f"SELECT event, reason, COUNT(*), SUM(CASE WHEN event = {close} THEN a ELSE 0 END) FROM records "
        "WHERE board_id = :id AND boot = :boot AND ms >= :first AND ms < :end GROUP BY event, reason"
    )
    for board in chosen:
        if from_ms is None and to_ms is None:
            take(reader.rows(tallied.format(""), id=board.id))
            continue
        for boot, first, last, _clock in clocks.ranges(board.id, from_ms, to_ms):
            at = {"id": board.id, "boot": boot}
            low, high = -(-first // DAY_MS), (last + 1) // DAY_MS
            if low >= high:
                take(reader.rows(counted, **at, first=first, end=last + 1))
                continue
            within = " AND boot = :boot AND day >= :low AND day < :high"
            take(reader.rows(tallied.format(within), **at, low=low, high=high))
            take(reader.rows(counted, **at, first=first, end=low * DAY_MS))
            take(reader.rows(counted, **at, first=high * DAY_MS, end=last + 1))
    named = {(record.EVENTS[event], record.REASONS[reason]): int(n) for (event, reason), n in sorted(counts.items())}
    return Totals(named, int(live_ms), sum(named.values()))


class Gap(NamedTuple):
    """Records `first` to `last` of a board are missing before start `boot`'s record."""

    board: str
    first: int
    last: int
    boot: int


def gaps(reader: Reader, chosen: Sequence[Board]) -> list[Gap]:
    """Numbers missing in the ledger and not purged, from the extents of starts and the counts (see `verify` for the proof)."""
    found = []
    for board in chosen:
        purged = reader.rows(
            "SELECT seq_from, seq_to FROM purges WHERE board_id = :id ORDER BY boot_from, seq_from", id=board.id
        )
        extents = reader.rows(
            "SELECT b.boot, b.first_seq, b.last_seq, (SELECT SUM(count) FROM tallies t WHERE t.board_id = b.board_id AND "
            "t.boot = b.boot) FROM boots b WHERE board_id = :id ORDER BY boot", id=board.id,
        )  # fmt: skip
        expected = 1
        for boot, first, last, count in extents:
            if first < expected:  # a chain begun anew
                expected = first
            inner = [] if count == last - first + 1 else _holes(reader, board, boot)
            for low, high in [(expected, first - 1), *inner]:
                found += [Gap(board.board, *rest, boot) for rest in _without(low, high, purged)]
            expected = last + 1
    return found


def _holes(reader: Reader, board: Board, boot: int) -> list[tuple[int, int]]:
    return [
        (before + 1, seq - 1)
        for before, seq in reader.rows(
            "SELECT before, seq FROM (SELECT seq, LAG(seq) OVER (ORDER BY seq) AS before FROM records WHERE board_id = :id "
            "AND boot = :boot) AS s WHERE before < seq - 1", id=board.id, boot=boot,
        )
    ]  # fmt: skip


def _without(low: int, high: int, purged: list[tuple[int, ...]]) -> Iterator[tuple[int, int]]:
    for first, last in purged:
        if last < low or first > high:
            continue
        if first > low:
            yield low, first - 1
        low = last + 1
    if low <= high:
        yield low, high
