# SPDX-License-Identifier: MIT
"""Compares one board's tables with what its records and the ledger's acts give; each difference is a sentence."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from earlid.door import brief
from earlid.ledger import rows
from earlid.ledger.boards import KnownBoard
from earlid.ledger.reader import Reader
from earlid.ledger.replay import PURGE_COLUMNS, BoardAccount
from earlid.ledger.version import FROM_IMPORT, FROM_RECORDS

LISTED = 5  # differences of a kind that are told one by one
_EXTENT = ("first_seq", "last_seq", "first_ms", "last_ms", "first_taken_ms", "last_taken_ms")
_BOOT, _SEQ, _TAKEN = rows.COLUMNS.index("boot"), rows.COLUMNS.index("seq"), rows.COLUMNS.index("taken_ms")


class TakenRecords:
    """Holds records against the runs in which acts say that they were taken, and when.

    Args:
        account: what the acts say of the board.
    """

    def __init__(self, account: BoardAccount) -> None:
        self._runs = account.runs
        self.untaken: list[int] = []  # records that no act took
        self.retimed: list[int] = []  # records taken at another time than the act says

    def feed(self, chunk: list[tuple[Any, ...]]) -> None:
        """Take the next rows in `rows.COLUMNS` order, sorted by boot and seq."""
        begin = 0
        while begin < len(chunk):
            boot = chunk[begin][_BOOT]
            end = bisect_right(chunk, boot, begin, key=lambda row: row[_BOOT])
            numbers = [row[_SEQ] for row in chunk[begin:end]]
            taken_ms = [row[_TAKEN] for row in chunk[begin:end]]
            runs = self._runs.get(boot, [])
            at = 0
            i = max(0, bisect_right(runs, (numbers[0], 1 << 62)) - 1)
            while at < len(numbers):
                while i < len(runs) and runs[i][1] < numbers[at]:
                    i += 1
                if i == len(runs) or runs[i][0] > numbers[at]:
                    stop = len(numbers) if i == len(runs) else bisect_left(numbers, runs[i][0], at)
                    self.untaken += numbers[at:stop]
                else:
                    _, last, least_ms, most_ms = runs[i]
                    stop = bisect_right(numbers, last, at)
                    if min(taken_ms[at:stop]) < least_ms or max(taken_ms[at:stop]) > most_ms:
                        self.retimed += [
                            number
                            for number, ms in zip(numbers[at:stop], taken_ms[at:stop], strict=True)
                            if not least_ms <= ms <= most_ms
                        ]
                at = stop
            begin = end


class DerivedTables:
    """Makes the tables that are derived from a board's records anew, and checks when each record is said to have been taken.

    Args:
        account: what the acts say of the board; None where there are no acts to hold the times against.
    """

    def __init__(self, account: BoardAccount | None) -> None:
        self.taken = TakenRecords(account) if account else None
        self.boots: dict[int, tuple[int, ...]] = {}
        self.tallies: dict[tuple[int, int, int, int], tuple[int, int]] = {}
        self.points: dict[tuple[int, int, int], tuple[int, int]] = {}
        self._last_points: dict[tuple[int, int], rows.Point] = {}  # (boot, source) of the start that goes on
        self.damaged = 0  # rows of which nothing can be derived

    def feed(self, chunk: list[tuple[Any, ...]]) -> None:
        """Take the next rows, sorted by boot and seq."""
        try:
            sums = rows.summarise(chunk, self._last_points)
            sound = chunk
        except (TypeError, ValueError):  # what damage put there: the chain tells which
            sound = [row for row in chunk if _is_sound(row)]
            self.damaged += len(chunk) - len(sound)
            sums = rows.summarise(sound, self._last_points)
        if self.taken:
            self.taken.feed(sound)
        for cell in sums.tallies:
            key = (cell["boot"], cell["day"], cell["event"], cell["reason"])
            count, sum_a = self.tallies.get(key, (0, 0))
            self.tallies[key] = (count + cell["count"], sum_a + cell["sum_a"])
        for extent in sums.boots:
            boot, new = extent["boot"], tuple(extent[name] for name in _EXTENT)
            old = self.boots.get(boot, new)
            self.boots[boot] = tuple((min, max)[i % 2](old[i], new[i]) for i in range(6))
        for boot, source, ms, wall_ms, unc_ms in sums.points:
            self.points[boot, ms, source] = (wall_ms, unc_ms)
            self._last_points[boot, source] = (ms, wall_ms, unc_ms)
        going_on = max(self.boots, default=0)
        self._last_points = {at: point for at, point in self._last_points.items() if at[0] == going_on}


def _is_sound(row: tuple[Any, ...]) -> bool:
    return all(type(value) is int for value in (*row[: rows.LINK], row[_TAKEN]))


def differences(reader: Reader, board: KnownBoard, derived: DerivedTables, account: BoardAccount | None) -> list[str]:
    """Sentences on every table of a board that is not what its records and the acts give.

    Args:
        account: what the acts say of the board; None where there are none: then only what records give is compared.
    """
    said = _Sentences()
    _compare_derived(reader, board, derived, said)
    points = reader.rows("SELECT boot, ms, source, wall_ms, unc_ms FROM clock_points WHERE board_id = :id", id=board.id)
    here = {(boot, ms, source): (wall_ms, unc_ms) for boot, ms, source, wall_ms, unc_ms in points}
    if account is None:
        return said.sentences
    expected = derived.points | account.points
    gone = {at for at in account.points if at[0] not in derived.boots}  # a purge takes the clocks of whole starts along
    said.compare(
        {at: value for at, value in here.items() if at not in gone or expected[at] != value},
        {at: value for at, value in expected.items() if at not in gone},
        lambda at: f"the clock of start {at[0]} at {at[1] // 1000} s ({_SOURCES.get(at[2], 'a computer')}'s word)",
        "Altered clock",
        "times near it may be shown wrong",
    )
    labels = reader.rows("SELECT boot, seq, label, at_ms FROM labels WHERE board_id = :id", id=board.id)
    said.compare(
        {(boot, seq): (label, at_ms) for boot, seq, label, at_ms in labels}, account.labels,
        lambda at: f"the label of record {at[1]} (start {at[0]})", "Altered label", "the acts have what was said",
    )  # fmt: skip
    purges = reader.rows(f"SELECT {', '.join(PURGE_COLUMNS)} FROM purges WHERE board_id = :id", id=board.id)
    said.compare(
        {(row[0], row[1]): tuple(bytes(v) if isinstance(v, bytes | memoryview) else v for v in row) for row in purges},
        account.purges,
        lambda at: f"the purge from record {at[1]} (start {at[0]}) on",
        "Altered purge",
        "what this computer purged, its acts say",
    )
    notes = reader.rows("SELECT at_ms, kind, say FROM notes WHERE board_id = :id", id=board.id)
    said.compare(
        {at_ms: (kind, say) for at_ms, kind, say in notes}, account.notes,
        lambda at: "a note of a sync", "Altered note", "the acts have it",
    )  # fmt: skip
    ((name,),) = reader.rows("SELECT name FROM boards WHERE id = :id", id=board.id)
    if name != account.name:
        said.add(f"Altered name: the board is called {brief(name)} here, by the acts it is {brief(account.name)}.")
    return said.sentences + (taken_differences(derived.taken) if derived.taken else [])


def taken_differences(taken: TakenRecords) -> list[str]:
    """Sentences on records that no act took, or took at another time."""
    said = _Sentences()
    said.records("Altered: {} came into the ledger without an act of any computer: put there past Earlid.", taken.untaken)
    said.records("Altered: the time at which {} came is another than the act says.", taken.retimed)
    return said.sentences


_SOURCES = dict.fromkeys(FROM_RECORDS, "the board") | {FROM_IMPORT: "an import"}


def _compare_derived(reader: Reader, board: KnownBoard, derived: DerivedTables, said: _Sentences) -> None:
    extents = reader.rows(f"SELECT boot, {', '.join(_EXTENT)} FROM boots WHERE board_id = :id", id=board.id)
    said.compare(
        {row[0]: tuple(row[1:]) for row in extents}, derived.boots,
        lambda boot: f"the extent of start {boot}", "Altered extent", "what `review` leaves out because of it is in the records",
    )  # fmt: skip
    tallied = reader.rows("SELECT boot, day, event, reason, count, sum_a FROM tallies WHERE board_id = :id", id=board.id)
    if {tuple(row[:4]): (row[4], row[5]) for row in tallied} != derived.tallies:
        said.add(
            "Altered sums: the ledger's table of totals does not count what its records are. The records are judged above; "
            "`earlid export`, then `earlid export --import` into a new ledger makes the sums anew."
        )
    if derived.damaged:
        said.add(f"Altered: {derived.damaged} rows hold what no record can.")


class _Sentences:
    """Collects sentences; of many of a kind, the first ones and how many more."""

    def __init__(self) -> None:
        self.sentences: list[str] = []
        self._counts: dict[str, int] = defaultdict(int)

    def add(self, text: str) -> None:
        self.sentences.append(text)

    def records(self, text: str, numbers: list[int]) -> None:
        """One sentence on records by number, if there are any."""
        if numbers:
            listed = ", ".join(map(str, numbers[:LISTED]))
            more = f" and {len(numbers) - LISTED} more" if len(numbers) > LISTED else ""
            self.add(text.format(f"record{'s' * (len(numbers) > 1)} {listed}{more}"))

    def compare(
        self,
        here: Mapping[Any, object],
        expected: Mapping[Any, object],
        name: Callable[[Any], str],
        verdict: str,
        consequence: str,
    ) -> None:
        """Sentences on what is here and should not be, is not and should, or is another."""
        faults = [
            (
                at,
                "stands here without an act or record for it"
                if at not in expected
                else "is missing"
                if at not in here
                else "differs",
            )
            for at in [*expected, *(at for at in here if at not in expected)]
            if at not in here or at not in expected or here[at] != expected[at]
        ]
        for at, fault in faults[:LISTED]:
            self.add(f"{verdict}: {name(at)} {fault}; {consequence}.")
        if len(faults) > LISTED:
            self.add(f"{verdict}: and {len(faults) - LISTED} more of the same kind.")
