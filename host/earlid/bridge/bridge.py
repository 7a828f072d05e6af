# SPDX-License-Identifier: MIT
"""The bridge itself: carries what a ledger says to a broker, and `close` from there to the boards; decides nothing of it."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from earlid.bridge import entities, state
from earlid.bridge.client import Client
from earlid.bridge.entities import EVENTS, OFFLINE, ONLINE, Topics
from earlid.bridge.retained import Retained, announcements, taken_back
from earlid.door import is_stranger
from earlid.errors import FAILED, UserError
from earlid.host_clock import now_ms
from earlid.ledger import outbox, queries
from earlid.ledger.boards import KnownBoard, boards, pick_boards
from earlid.ledger.judge import judge_with_keys
from earlid.ledger.lid_state import HEARD_MS
from earlid.ledger.location import Location
from earlid.ledger.outbox import Progress
from earlid.ledger.queries import Entry
from earlid.ledger.reader import Reader
from earlid.ledger.store import Ledger

POLL_S = 0.5
SUMS_S = 5.0  # at most so often, and a tenth of the time, sums are made anew
BATCH = 200  # events of a board that are read at once
IN_FLIGHT = 20  # events that are sent before what the broker confirmed of them is remembered: a kill repeats no more
VERDICT_S = 6 * 3600.0
NEW_BOARDS_S = 60.0  # so often it is looked for boards without a verdict
COUNTED_S = 60.0  # at most so often it is said how much was ignored

MakeClient = Callable[["Bridge"], Client]
Messages = Sequence[tuple[str, str, bool]]
"""(topic, payload, whether it is retained)."""


class Bridge:
    """Tells a broker of the boards of a ledger.

    Args:
        location: of the ledger, which `watch` fills.
        name: under which the ledger remembers how far this bridge has told.
        names: boards, as `pick_boards` takes them; all but strangers when empty.
        make_client: makes the connection, given this.
        close_lids: closes every lid that this computer reaches; returns what came of it.
        device_based: discovery by device, not by entity.
        retained: what the broker has; one of another pace in tests.
        alive: called every few seconds while every thread of it lives.
    """

    def __init__(
        self,
        location: Location,
        name: str,
        topics: Topics,
        names: Sequence[str],
        make_client: MakeClient,
        close_lids: Callable[[], list[dict[str, Any]]],
        say: Callable[[str], None],
        *,
        device_based: bool = False,
        retained: Retained | None = None,
        alive: Callable[[], object] = lambda: None,
    ) -> None:
        self._location, self._name, self.topics, self._names = location, name, topics, list(names)
        self._close_lids, self._say, self._device_based = close_lids, say, device_based
        self._alive = alive
        self._run, self._taken_over = secrets.token_hex(8), False
        self._judge_thread = threading.Thread(target=self._judge, name="verdicts", daemon=True)
        self._end, self._wake = threading.Event(), threading.Event()
        self._closing = threading.Lock()
        self.ignored = self.closes = 0  # messages that came and were not obeyed; commands obeyed
        self._counted, self._counted_s = 0, 0.0
        self._retained = retained or Retained()
        self._chosen: list[KnownBoard] = []
        self._session = 0
        self._refused: set[str] = set()
        self._sums: dict[str, dict[str, Any]] = {}
        self._sums_due_s = 0.0
        self._verdicts: dict[str, str] = {}
        self._mark: tuple[object, ...] | None = None
        self._quick: dict[str, dict[str, Any]] = {}
        self.client = make_client(self)

    def subscriptions(self) -> list[str]:
        """Where others may write: below our base, and over our discovery."""
        return [f"{self.topics.base}/#", *(topic for board in self._chosen for topic in self.topics.others_of(board.identifier))]

    def stop(self) -> None:
        """End `run`."""
        self._end.set()
        self._wake.set()

    def wake(self) -> None:
        """Look at once."""
        self._wake.set()

    def take(self, topic: str, payload: bytes, retained: bool) -> None:
        """A message of somebody else's: `close` on the command topic is obeyed, anything else counted."""
        if self.topics.is_close(topic, payload, retained=retained):
            if self._closing.acquire(blocking=False):  # else it is being done
                threading.Thread(target=self._close, name="safe", daemon=True).start()
            return
        if payload:  # an empty one takes a message away, perhaps at our word
            self.ignored += 1
        self._retained.overwrite(topic)

    def _close(self) -> None:
        try:
            self.closes += 1
            results = self._close_lids()
            self._say(f"close was asked for: {sum(bool(item['closed']) for item in results)} of {len(results)} ports closed")
            self.client.publish(self.topics.result, json.dumps(results), retain=False)
        finally:
            self._closing.release()

    def run(self) -> None:
        """Tell what happens until `stop`; troubles of the ledger are said, and tried again.

        Raises:
            UserError: code 1 where a later run of the same bridge has claimed the ledger.
        """
        self._judge_thread.start()
        self.client.start()
        said, claimed = "", False
        try:
            while not self._end.is_set():
                try:
                    with Ledger(self._location) as ledger, Reader(self._location) as reader:
                        progress = outbox.begin(ledger, self._name)
                        if not claimed:
                            outbox.claim(ledger, self._name, self._run)
                            claimed = True
                        while not self._end.is_set():
                            self._feed()
                            self._step(ledger, reader, progress)
                            said = ""
                            self._wake.wait(POLL_S)
                            self._wake.clear()
                except UserError as error:
                    if str(error) != said:
                        said = str(error)
                        self._say(said)
                    self._feed()
                    self._end.wait(5.0)
        finally:
            number = None if self._taken_over else self.client.publish(self.topics.status, OFFLINE, retain=True)
            if number is not None:
                self.client.wait([number], self.client.session, self._feed)
            self.client.stop()
        if self._taken_over:
            raise UserError(
                f"another bridge of this ledger to {self._name} has begun: end one, or give it another --base.", FAILED
            )

    def _feed(self) -> None:
        if self._judge_thread.is_alive() and self.client.is_running:
            self._alive()

    def _choose(self, reader: Reader) -> list[KnownBoard]:
        found = pick_boards(reader, self._names) if self._names else boards(reader)
        return [board for board in found if not is_stranger(board.identifier)]

    def _step(self, ledger: Ledger, reader: Reader, progress: dict[str, Progress]) -> None:
        self._count()
        if not self.client.is_answering():
            return
        if self.client.session != self._session:
            self._taken_over = outbox.run_in_force(reader, self._name) != self._run
            if self._taken_over:  # by the broker's rules the later one of a name ended our connection; we must not end its
                self._end.set()
                return
            self._session = self.client.session
            self._retained.forget()
            self._refused.clear()
        with reader.snapshot():
            chosen = self._choose(reader)
            wanted = self._wanted(reader, chosen)
            events = {board.identifier: self._pending(reader, board, progress) for board in chosen}
        if [board.id for board in chosen] != [board.id for board in self._chosen]:
            self._chosen = chosen
            self.client.subscribe()
        if self._tell_retained(ledger, wanted, progress):
            self._tell_events(ledger, chosen, events, progress)
        if any(len(found) == BATCH for found in events.values()):
            self._wake.set()

    def _count(self) -> None:
        if self.ignored != self._counted and time.monotonic() - self._counted_s > COUNTED_S:
            self._counted, self._counted_s = self.ignored, time.monotonic()
            self._say(f"{self.ignored} messages of others were ignored so far")

    @staticmethod
    def _pending(reader: Reader, board: KnownBoard, progress: dict[str, Progress]) -> list[Entry]:
        at = progress.get(board.identifier, Progress(0, 0))
        return queries.events_after(reader, board, EVENTS, at.boot, at.seq, BATCH)

    def _wanted(self, reader: Reader, chosen: list[KnownBoard]) -> dict[str, dict[str, str]]:
        """Board -> topic -> payload, of all of theirs that the broker is to keep."""
        mark = queries.change_mark(reader)
        began_s, wall_ms = time.monotonic(), now_ms()
        if mark != self._mark or {board.identifier for board in chosen} - set(self._quick):
            self._mark, self._quick = mark, state.quick(reader, chosen)
        if began_s >= self._sums_due_s or {board.identifier for board in chosen} - set(self._sums):
            self._sums = state.today(reader, chosen, wall_ms)
            self._sums_due_s = began_s + max(SUMS_S, 10 * (time.monotonic() - began_s))
        wanted = {}
        for board in chosen:
            at = board.identifier
            heard = wall_ms - board.last_seen_ms <= HEARD_MS
            values = self._quick[at] | self._sums[at] | {"chain": self._verdicts.get(at, "not judged yet")}
            firmware = self._quick[at]["firmware"] or ""
            wanted[at] = entities.discovery(self.topics, at, board.name, firmware, device_based=self._device_based) | {
                self.topics.of(at, "status"): ONLINE if heard else OFFLINE,
                self.topics.of(at, "state"): entities.state_payload(values, heard=heard),
            }
        return wanted

    def _tell_retained(self, ledger: Ledger, wanted: dict[str, dict[str, str]], progress: dict[str, Progress]) -> bool:
        self._remember(ledger, progress, announcements(wanted, progress))
        every = {self.topics.status: ONLINE}
        for topics in wanted.values():
            every |= topics
        announced = [topic for at in progress.values() for topic in at.topics]
        events = [self.topics.of(board, "event") for board in wanted]
        news = self._retained.news(every, announced, events, time.monotonic())
        has = self._send([(topic, payload, True) for topic, payload in news])
        for topic, payload in news[:has]:
            self._retained.tell(topic, payload)
        if has < len(news):
            return False
        self._remember(ledger, progress, taken_back(wanted, progress))
        return True

    def _remember(self, ledger: Ledger, progress: dict[str, Progress], moved: Mapping[str, Progress]) -> None:
        if moved:
            outbox.confirm(ledger, self._name, moved)
            progress |= moved

    def _tell_events(
        self, ledger: Ledger, chosen: list[KnownBoard], events: dict[str, list[Entry]], progress: dict[str, Progress]
    ) -> None:
        names = {board.identifier: board.name for board in chosen}
        every = [(board, entry) for board, entries in events.items() for entry in entries]
        for first in range(0, len(every), IN_FLIGHT):
            flight = every[first : first + IN_FLIGHT]
            messages = [
                (self.topics.of(board, "event"), entities.event_payload(entry, names[board]), False) for board, entry in flight
            ]
            told = flight[: self._send(messages)]
            moved = {board: progress[board]._replace(boot=entry.boot, seq=entry.seq) for board, entry in told}
            self._remember(ledger, progress, moved)
            if len(told) < len(flight) or self._end.is_set():
                return

    def _send(self, messages: Messages) -> int:
        """Send messages and wait: so many of them, from the first on, the broker has."""
        numbers = []
        session = self._session
        for topic, payload, retain in messages:
            number = self.client.publish(topic, payload, retain=retain)
            if number is None:
                break
            numbers.append(number)
        answers = self.client.wait(numbers, session, self._feed) if numbers else []
        for count, ((topic, _, retain), answer) in enumerate(zip(messages, answers, strict=False)):
            if answer is False and topic not in self._refused:
                self._refused.add(topic)
                self._say(f"the broker refuses {topic}: this user may not write there")
            # A refused event waits for a broker that takes it; a refused state is told with the next change.
            if answer is None or (answer is False and not retain):
                return count
        return len(answers)

    def _judge(self) -> None:
        """Verdicts on the chains, of each board now and then: it reads every record."""
        judged_s: dict[str, float] = {}
        while not self._end.is_set():
            try:
                with Reader(self._location) as reader:
                    for board in self._choose(reader):
                        at = board.identifier
                        if at not in judged_s or time.monotonic() - judged_s[at] > VERDICT_S:
                            judged_s[at] = time.monotonic()
                            code = judge_with_keys(reader, board).exit_code
                            self._verdicts[at] = {0: "intact", 1: "cannot judge"}.get(code, "broken or gaps")
            except UserError as error:
                self._say(f"no verdict: {error}")
            self._end.wait(NEW_BOARDS_S)
