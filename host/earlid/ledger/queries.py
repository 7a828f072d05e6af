# SPDX-License-Identifier: MIT
"""Queries of a ledger: records with wall time, openings, totals, receipts. Everything people see is made of these."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from lid import record

from earlid.errors import LEDGER_BROKEN, USAGE, UserError
from earlid.ledger import exposure
from earlid.ledger.boards import KnownBoard
from earlid.ledger.boot_clocks import LedgerClocks
from earlid.ledger.reader import Reader
from earlid.ledger.rows import event_name, reason_name
from earlid.ledger.version import DAY_MS
from earlid.ledger.wall_clock import may_lie_in

LABELABLE = ("open", "near-miss")
_EXPOSURE_EVENTS = frozenset(exposure.EVENTS)
_LASTING = (exposure.OPEN, exposure.LIVE)
DOUBTFUL_MS = 60_000  # a time that may be off by so much is doubtful: it stands first, and counts as a maybe
MARGIN_MS = 2 * 3_600_000  # the rest of an exposure is looked for this far outside a range: a mark comes every hour
_EVENT_CODES = {name: code for code, name in enumerate(record.EVENTS)}
_REASON_CODES = {name: code for code, name in enumerate(record.REASONS)}


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
    """One time the guarded microphone was live: an opening of the lid, or, `outside`, a rail that was live without one.

    It was live for `least_ms` to `most_ms`; that is None when there is no upper bound. `ended` tells why: the reason of its
    `close` or `dead`, or "open", "live", "restart", "lost" (`exposure`). `seq` is the number of its first record that is kept.
    `score` and `cutoff` are of 255.
    """

    board: str
    boot: int
    seq: int
    start_ms: int
    unc_ms: int
    least_ms: int
    most_ms: int | None
    reason: str
    ended: str
    outside: bool
    score: int
    cutoff: int
    label: bool | None
    flags: int = 0

    @property
    def lasts(self) -> bool:
        """Whether no record ends it."""
        return self.ended in _LASTING

    @property
    def drawn_ms(self) -> int:
        """How long a picture shows it: for as long as it may have been."""
        return self.least_ms if self.most_ms is None else self.most_ms


def labels(reader: Reader, board: KnownBoard) -> dict[tuple[int, int], bool]:
    """(boot, seq) -> the owner's word on that record."""
    rows = reader.integer_rows("SELECT boot, seq, label FROM labels WHERE board_id = :id", id=board.id)
    return {(boot, seq): bool(label) for boot, seq, label in rows}


def entries(
    reader: Reader,
    chosen: Sequence[KnownBoard],
    from_ms: int | None = None,
    to_ms: int | None = None,
    *,
    events: Collection[str] = (),
    reasons: Collection[str] = (),
    clocks: LedgerClocks | None = None,
) -> Iterator[Entry]:
    """Records that lie, or may lie, in a range of wall time, board after board, each in the board's own order.

    Args:
        chosen: from `pick_boards`.
        from_ms: Unix ms, included; None from the first record.
        to_ms: Unix ms, excluded; None to the last record.
        events: names to keep (`lid.record.EVENTS`); all when empty.
        reasons: names to keep (`lid.record.REASONS`); all when empty.
        clocks: the boards' clocks, when they are at hand.
    """
    clocks = clocks or LedgerClocks(reader, chosen)
    condition = ""
    if events:
        condition += f" AND event IN ({', '.join(str(_EVENT_CODES[name]) for name in events)})"
    if reasons:
        condition += f" AND reason IN ({', '.join(str(_REASON_CODES[name]) for name in reasons)})"
    sql = (
        "SELECT seq, ms, event, reason, score, flags, energy_log2_q8, guarded_mv, sentinel_mv, a, b FROM records "
        f"WHERE board_id = :id AND boot = :boot AND ms BETWEEN :first AND :last{condition} ORDER BY ms, seq"
    )
    for board in chosen:
        label_of = labels(reader, board)
        for boot, first, last, clock in clocks.ranges(board.id, from_ms, to_ms, doubtful=True):
            for row in reader.stream(sql, id=board.id, boot=boot, first=first - 2, last=last + 2):
                if not _all_integers(row):
                    raise UserError(f"record {row[0]} of {board.title} is damaged: see `earlid verify`.", LEDGER_BROKEN)
                seq, ms, event, reason, score, flags, energy, guarded_mv, sentinel_mv, a, b = row
                wall_ms, unc_ms = clock.wall(ms)
                if may_lie_in(wall_ms, unc_ms, from_ms, to_ms):
                    yield Entry(
                        board.identifier, boot, seq, ms, event_name(event), reason_name(reason), score, flags, energy,
                        guarded_mv, sentinel_mv, a, b, wall_ms, unc_ms, label_of.get((boot, seq)),
                    )  # fmt: skip


def _all_integers(row: tuple[object, ...]) -> bool:
    """Whether all are whole numbers: SQLite keeps any kind of value anywhere, damage included."""
    try:
        return type(sum(row)) is int  # type: ignore[arg-type]
    except TypeError:
        return False


def openings(reader: Reader, chosen: Sequence[KnownBoard], from_ms: int | None = None, to_ms: int | None = None) -> list[Opening]:
    """Every time the lid was open in a range, also those that only reach into it, or may do so; sorted by start."""
    return openings_among(reader, chosen, wide_entries(reader, chosen, from_ms, to_ms, events=exposure.EVENTS), from_ms, to_ms)


def wide_entries(
    reader: Reader,
    chosen: Sequence[KnownBoard],
    from_ms: int | None,
    to_ms: int | None,
    *,
    events: Collection[str] = (),
    clocks: LedgerClocks | None = None,
) -> Iterator[Entry]:
    """Entries of a range and MARGIN_MS around it, where the other half of an opening may be."""
    first_ms = None if from_ms is None else from_ms - MARGIN_MS
    end_ms = None if to_ms is None else to_ms + MARGIN_MS
    return entries(reader, chosen, first_ms, end_ms, events=events, clocks=clocks)


def openings_among(
    reader: Reader, chosen: Sequence[KnownBoard], around: Iterable[Entry], from_ms: int | None, to_ms: int | None
) -> list[Opening]:
    """The openings of `wide_entries` that reach into the range, or may do so; sorted by start."""
    return sorted(
        (
            opening
            for opening in _bounded(reader, chosen, around, from_ms, to_ms)
            if may_lie_in(opening.start_ms, opening.unc_ms, None, to_ms)
            and may_lie_in(opening.start_ms + opening.drawn_ms, opening.unc_ms, from_ms, None)
        ),
        key=lambda opening: opening.start_ms,
    )


def _bounded(
    reader: Reader, chosen: Sequence[KnownBoard], around: Iterable[Entry], from_ms: int | None, to_ms: int | None
) -> Iterator[Opening]:
    """The exposures of entries that come board by board, with wall time. What lasts does so until the board was last seen."""
    known = {board.identifier: board for board in chosen}
    for identifier, group in groupby((entry for entry in around if entry.event in _EXPOSURE_EVENTS), lambda entry: entry.board):
        board, entries_of = known[identifier], list(group)
        (newest_boot,) = reader.integer_rows("SELECT MAX(boot) FROM boots WHERE board_id = :id", id=board.id)[0]
        found = _openings_of(board, entries_of, newest_boot)
        # A rail may be live for days, and a start tell of the one before it: then the rest lies far outside the range.
        more: list[Entry] = []
        if from_ms is not None and any(not item.reason and item.start_ms + item.drawn_ms >= from_ms for item in found):
            more += _back_to_beginning(reader, board, entries_of[0])
        if to_ms is not None and any(item.lasts and item.start_ms < to_ms for item in found):
            more += entries(reader, [board], entries_of[-1].wall_ms + 1, events=exposure.EVENTS)
        if more:
            entries_of = sorted({(entry.boot, entry.seq): entry for entry in (*entries_of, *more)}.values(), key=_place)
            found = _openings_of(board, entries_of, newest_boot)
        yield from found


def _openings_of(board: KnownBoard, entries_of: Sequence[Entry], newest_boot: int) -> list[Opening]:
    last = entries_of[-1]
    # Where the board's time is in doubt, so is how long after its last record it was last seen: then nothing bounds what lasts.
    seen_ms = None if last.unc_ms >= DOUBTFUL_MS else max(0, board.last_seen_ms - last.wall_ms) + last.ms
    at = {(entry.boot, entry.seq): entry for entry in entries_of}
    found = []
    for bounds in exposure.live_bounds(entries_of, seen_ms, newest_boot):
        first = at[bounds.boot, bounds.first_seq]
        score, cutoff = (first.score, first.b) if first.event == "open" else (0, 0)
        found.append(
            Opening(
                board.identifier, first.boot, first.seq, first.wall_ms - first.ms + bounds.start_ms, first.unc_ms,
                bounds.least_ms, bounds.most_ms, bounds.reason, bounds.ended, bounds.outside, score, cutoff, first.label,
                first.flags,
            )
        )  # fmt: skip
    return found


def _place(entry: Entry) -> tuple[int, int]:
    return entry.boot, entry.seq


def _back_to_beginning(reader: Reader, board: KnownBoard, first: Entry) -> Iterator[Entry]:
    """The records that count from the newest `open` or `live` before an entry up to there."""
    beginning = reader.integer_rows(
        f"SELECT boot, ms FROM records WHERE board_id = :id AND event IN ({_EVENT_CODES['open']}, {_EVENT_CODES['live']}) "
        "AND (boot < :boot OR boot = :boot AND seq < :seq) ORDER BY boot DESC, seq DESC LIMIT 1",
        id=board.id, boot=first.boot, seq=first.seq,
    )  # fmt: skip
    for boot, ms in beginning:
        wall_ms, _ = LedgerClocks(reader, [board]).wall(board.id, boot, ms)
        yield from entries(reader, [board], wall_ms - 1, first.wall_ms, events=exposure.EVENTS)


class RecordTotals(NamedTuple):
    """Counts by (event, reason)."""

    counts: dict[tuple[str, str], int]
    records: int


def totals(reader: Reader, chosen: Sequence[KnownBoard], from_ms: int | None = None, to_ms: int | None = None) -> RecordTotals:
    """Totals of a range of wall time, from the tallies where whole days of a start lie in it, else from the records."""
    counts: dict[tuple[int, int], int] = defaultdict(int)

    def add(cells: Iterable[tuple[int, ...]]) -> None:
        for event, reason, count in cells:
            counts[event, reason] += count

    tallied = "SELECT event, reason, SUM(count) FROM tallies WHERE board_id = :id{} GROUP BY event, reason"
    counted = (
        "SELECT event, reason, COUNT(*) FROM records "
        "WHERE board_id = :id AND boot = :boot AND ms >= :first AND ms < :end GROUP BY event, reason"
    )
    clocks = None if from_ms is None and to_ms is None else LedgerClocks(reader, chosen)
    for board in chosen:
        if clocks is None:
            add(reader.integer_rows(tallied.format(""), id=board.id))
            continue
        for boot, first, last, _clock in clocks.ranges(board.id, from_ms, to_ms):
            at = {"id": board.id, "boot": boot}
            low, high = -(-first // DAY_MS), (last + 1) // DAY_MS
            if low >= high:
                add(reader.integer_rows(counted, **at, first=first, end=last + 1))
                continue
            within = " AND boot = :boot AND day >= :low AND day < :high"
            add(reader.integer_rows(tallied.format(within), **at, low=low, high=high))
            add(reader.integer_rows(counted, **at, first=first, end=low * DAY_MS))
            add(reader.integer_rows(counted, **at, first=high * DAY_MS, end=last + 1))
    named = {(event_name(event), reason_name(reason)): int(n) for (event, reason), n in sorted(counts.items())}
    return RecordTotals(named, sum(named.values()))


def record_count(reader: Reader) -> int:
    """How many records the ledger has, of all boards."""
    return int(reader.rows("SELECT COALESCE(SUM(count), 0) FROM tallies")[0][0])


def labelable(reader: Reader, chosen: Sequence[KnownBoard], seq: int) -> tuple[KnownBoard, int]:
    """(board, boot) of an opening or near miss by its number; the newest one where a chain has begun again.

    Raises:
        UserError: code 2 when no board, or several, has it, or it is of another kind.
    """
    matches = []
    for board in chosen:
        rows = reader.rows(
            "SELECT boot, event FROM records WHERE board_id = :id AND seq = :seq "
            "AND boot IN (SELECT boot FROM boots WHERE board_id = :id AND first_seq <= :seq AND last_seq >= :seq) "
            "ORDER BY boot DESC LIMIT 1", id=board.id, seq=seq,
        )  # fmt: skip
        matches += [(board, boot, record.EVENTS[event]) for boot, event in rows]
    if len(matches) > 1:
        raise UserError(f"several boards have a record {seq}: add --board NAME.", USAGE)
    if not matches or matches[0][2] not in LABELABLE:
        what = f"is a {matches[0][2]}" if matches else "is not in the ledger (see the first column of `earlid review`)"
        raise UserError(f"record {seq} {what}: only openings and near misses can be labelled.", USAGE)
    return matches[0][:2]


def openings_numbered(reader: Reader, chosen: Sequence[KnownBoard], first: int, last: int) -> list[tuple[KnownBoard, int, int]]:
    """(board, boot, number) of the openings in a range of numbers; of the newest where a chain has begun again."""
    sql = (
        f"SELECT MAX(boot), seq FROM records WHERE board_id = :id AND event = {_EVENT_CODES['open']} "
        "AND seq BETWEEN :first AND :last GROUP BY seq ORDER BY seq"
    )
    return [(board, boot, seq) for board in chosen for boot, seq in reader.integer_rows(sql, id=board.id, first=first, last=last)]


def ms_of(reader: Reader, board: KnownBoard, boot: int, seq: int) -> int:
    """Milliseconds of its start at which a record was made; there must be one."""
    sql = "SELECT ms FROM records WHERE board_id = :id AND boot = :boot AND seq = :seq"
    return int(reader.rows(sql, id=board.id, boot=boot, seq=seq)[0][0])


def is_labelable(reader: Reader, board: KnownBoard, boot: int, seq: int) -> bool:
    """Whether the ledger has this record, and it is an opening or a near miss."""
    codes = ", ".join(str(_EVENT_CODES[name]) for name in LABELABLE)
    sql = f"SELECT 1 FROM records WHERE board_id = :id AND boot = :boot AND seq = :seq AND event IN ({codes})"
    return bool(reader.rows(sql, id=board.id, boot=boot, seq=seq))


class PurgeReceipt(NamedTuple):
    """The receipt of a purge: so many records of a board, numbered `first` to `last`, removed at `at_ms` (Unix ms)."""

    board: str
    first: int
    last: int
    records: int
    at_ms: int
    why: str


def purge_receipts(reader: Reader, chosen: Iterable[KnownBoard]) -> list[PurgeReceipt]:
    """What was purged, board by board, the earliest first."""
    sql = "SELECT seq_from, seq_to, count, at_ms, why FROM purges WHERE board_id = :id ORDER BY at_ms, boot_from, seq_from"
    return [PurgeReceipt(board.identifier, *row) for board in chosen for row in reader.rows(sql, id=board.id)]


class LedgerState(NamedTuple):
    """What tells one state of a ledger from the next, without a look at its records.

    `boots`: (board id, boot) -> first number, last number, count of records. `clocks`: (board id, boot) -> count and sum of its
    clock points. `purges`: how many there were. `labels`: (board, boot, number) -> the owner's word.
    """

    boards: list[KnownBoard]
    boots: dict[tuple[int, int], tuple[int, int, int]]
    clocks: dict[tuple[int, int], tuple[int, int]]
    purges: int
    labels: dict[tuple[str, int, int], bool]


def ledger_state(reader: Reader, chosen: list[KnownBoard]) -> LedgerState:
    """The state of the ledger as far as these boards are concerned."""
    ids = {board.id for board in chosen}
    tallied = reader.rows("SELECT board_id, boot, SUM(count) FROM tallies GROUP BY board_id, boot")
    counts = {(board_id, boot): int(count) for board_id, boot, count in tallied}
    extents = reader.rows("SELECT board_id, boot, first_seq, last_seq FROM boots")
    sums = reader.rows("SELECT board_id, boot, COUNT(*), SUM(wall_ms - ms) FROM clock_points GROUP BY board_id, boot")
    return LedgerState(
        chosen,
        {(row[0], row[1]): (row[2], row[3], counts.get((row[0], row[1]), 0)) for row in extents if row[0] in ids},
        {(row[0], row[1]): (row[2], row[3]) for row in sums if row[0] in ids},
        reader.rows("SELECT COUNT(*) FROM purges")[0][0],
        {(board.identifier, *identity): word for board in chosen for identity, word in labels(reader, board).items()},
    )


def first_ms_after(reader: Reader, board_id: int, boot: int, seq: int) -> int:
    """Milliseconds of a start at which its first record behind number `seq` was; there must be one."""
    sql = "SELECT MIN(ms) FROM records WHERE board_id = :id AND boot = :boot AND seq > :seq"
    return int(reader.rows(sql, id=board_id, boot=boot, seq=seq)[0][0])


def change_mark(reader: Reader) -> tuple[object, ...]:
    """What differs after any program has changed the ledger: its acts, its boards and when they were last heard."""
    boards = reader.rows("SELECT id, board, name, last_seen_ms FROM boards ORDER BY id")
    return (*reader.rows("SELECT MAX(place) FROM acts"), *boards)


_ENTRY_COLUMNS = "boot, seq, ms, event, reason, score, flags, energy_log2_q8, guarded_mv, sentinel_mv, a, b"


def events_after(reader: Reader, board: KnownBoard, events: Collection[str], boot: int, seq: int, limit: int) -> list[Entry]:
    """The events of a board behind a record, oldest first, at most so many, with wall time as it is known now."""
    codes = ", ".join(str(_EVENT_CODES[name]) for name in events)
    rows = reader.integer_rows(
        f"SELECT {_ENTRY_COLUMNS} FROM records WHERE board_id = :id AND (boot > :boot OR boot = :boot AND seq > :seq) "
        f"AND event IN ({codes}) ORDER BY boot, seq LIMIT :most",
        id=board.id, boot=boot, seq=seq, most=limit,
    )  # fmt: skip
    return _entries_of(reader, board, rows)


def newest_of(reader: Reader, board: KnownBoard, event: str) -> Entry | None:
    """The newest record of a kind; None when there is none."""
    rows = reader.integer_rows(
        f"SELECT {_ENTRY_COLUMNS} FROM records WHERE board_id = :id AND event = :event ORDER BY boot DESC, seq DESC LIMIT 1",
        id=board.id, event=_EVENT_CODES[event],
    )  # fmt: skip
    return next(iter(_entries_of(reader, board, rows)), None)


def _entries_of(reader: Reader, board: KnownBoard, rows: Sequence[tuple[int, ...]]) -> list[Entry]:
    """Entries of rows of _ENTRY_COLUMNS; without the owner's word."""
    if not rows:
        return []
    clocks = LedgerClocks(reader, [board])
    return [
        Entry._make(
            (
                board.identifier,
                *row[:3],
                event_name(row[3]),
                reason_name(row[4]),
                *row[5:],
                *clocks.wall(board.id, *row[0:3:2]),
                None,
            )
        )
        for row in rows
    ]


def newest_flags(reader: Reader, board: KnownBoard) -> int | None:
    """Flags of a board's newest record; None when there is none."""
    sql = "SELECT flags FROM records WHERE board_id = :id ORDER BY boot DESC, seq DESC LIMIT 1"
    rows = reader.integer_rows(sql, id=board.id)
    return int(rows[0][0]) if rows else None


def false_openings(reader: Reader, board: KnownBoard) -> int:
    """How many openings the owner has labelled false."""
    sql = (
        "SELECT COUNT(*) FROM labels l JOIN records r ON r.board_id = l.board_id AND r.boot = l.boot AND r.seq = l.seq "
        "WHERE l.board_id = :id AND l.label = 0 AND r.event = :event"
    )
    return int(reader.rows(sql, id=board.id, event=_EVENT_CODES["open"])[0][0])
