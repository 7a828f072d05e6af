# SPDX-License-Identifier: MIT
"""The bridge itself: what a ledger says goes to a broker; of what comes from there it obeys `close` alone."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from earlid.bridge import entities, state
from earlid.bridge.client import Client
from earlid.bridge.entities import Topics
from earlid.door import is_stranger
from earlid.errors import UserError
from earlid.host_clock import now_ms
from earlid.ledger import outbox
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
BATCH = 200  # events of a board at once
REPAIR_S = 10.0  # what somebody else wrote over is written anew so often at most
VERDICT_S = 6 * 3600.0

MakeClient = Callable[["Bridge"], Client]


class Bridge:
    """Tells a broker of the boards of a ledger.

    Args:
        location: of the ledger, which `watch` fills.
        name: under which the ledger remembers how far this bridge has told.
        names: boards, as `pick_boards` takes them; all but strangers when empty.
        make_client: makes the connection, given this.
        close_lids: closes every lid that this computer reaches; returns what came of it.
        device_based: discovery by device, not by entity.
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
    ) -> None:
        self._location, self._name, self.topics, self._names = location, name, topics, list(names)
        self._close_lids, self._say, self._device_based = close_lids, say, device_based
        self._end, self._wake = threading.Event(), threading.Event()
        self._closing = threading.Lock()
        self.ignored = self.closes = 0  # messages that came and were not obeyed; commands obeyed
        self._told: dict[str, str] = {}  # retained topics as the broker has them
        self._session = 0
        self._foreign: set[str] = set()
        self._repaired_s = 0.0
        self._sums: dict[str, dict[str, Any]] = {}
        self._sums_due_s = 0.0
        self._verdicts: dict[str, str] = {}
        self._mark: tuple[object, ...] | None = None
        self._quick: dict[str, dict[str, Any]] = {}
        self.client = make_client(self)

    def subscriptions(self) -> list[str]:
        """Where others may write: below our base, and over our discovery."""
        return [f"{self.topics.base}/#", *(topic for topic in list(self._told) if topic.endswith("/config"))]

    def stop(self) -> None:
        """End `run`."""
        self._end.set()
        self._wake.set()

    def wake(self) -> None:
        """Look at once."""
        self._wake.set()

    def take(self, topic: str, payload: bytes, retained: bool) -> None:
        """A message of somebody else's: `close` on the command topic is obeyed, anything else counted."""
        if topic == self.topics.safe and payload == entities.CLOSE.encode() and not retained:
            if self._closing.acquire(blocking=False):  # else it is being done
                threading.Thread(target=self._close, name="safe", daemon=True).start()
            return
        self.ignored += 1
        if not retained and topic in self._told:
            self._foreign.add(topic)

    def _close(self) -> None:
        try:
            self.closes += 1
            results = self._close_lids()
            self._say(f"close was asked for: {sum(bool(item['closed']) for item in results)} of {len(results)} ports closed")
            self.client.publish(self.topics.result, json.dumps(results), retain=False)
        finally:
            self._closing.release()

    def run(self) -> None:
        """Tell what happens until `stop`; troubles of the ledger are said, and tried again."""
        threading.Thread(target=self._judge, name="verdicts", daemon=True).start()
        self.client.start()
        said = ""
        try:
            while not self._end.is_set():
                try:
                    with Ledger(self._location) as ledger, Reader(self._location) as reader:
                        progress = outbox.begin(ledger, self._name, self._chosen(reader))
                        while not self._end.is_set():
                            self._step(ledger, reader, progress)
                            said = ""
                            self._wake.wait(POLL_S)
                            self._wake.clear()
                except UserError as error:
                    if str(error) != said:
                        said = str(error)
                        self._say(said)
                    self._end.wait(5.0)
        finally:
            if (number := self.client.publish(self.topics.status, entities.OFFLINE, retain=True)) is not None:
                self.client.wait([number], self.client.session)
            self.client.stop()

    def _chosen(self, reader: Reader) -> list[KnownBoard]:
        found = pick_boards(reader, self._names) if self._names else boards(reader)
        return [board for board in found if not is_stranger(board.identifier)]

    def _step(self, ledger: Ledger, reader: Reader, progress: dict[str, Progress]) -> None:
        if not self.client.connected:
            return
        if self.client.session != self._session:
            self._session, self._told = self.client.session, {}
        with reader.snapshot():
            chosen = self._chosen(reader)
            wanted = self._retained(reader, chosen)
            events = {board.identifier: self._pending(reader, board, progress) for board in chosen}
        self._tell_retained(ledger, chosen, wanted, progress)
        self._tell_events(ledger, chosen, events, progress)
        if any(len(found) == BATCH for found in events.values()):
            self._wake.set()

    @staticmethod
    def _pending(reader: Reader, board: KnownBoard, progress: dict[str, Progress]) -> list[Entry]:
        at = progress.get(board.identifier, Progress(0, 0))
        return outbox.pending(reader, board, at.boot, at.seq, BATCH)

    def _retained(self, reader: Reader, chosen: list[KnownBoard]) -> dict[str, str]:
        """Topic -> payload, of all that the broker is to keep."""
        mark = outbox.change_mark(reader)
        began_s, wall_ms = time.monotonic(), now_ms()
        if mark != self._mark:
            self._mark, self._quick = mark, state.quick(reader, chosen)
        if began_s >= self._sums_due_s:
            self._sums = state.today(reader, chosen, wall_ms)
            self._sums_due_s = began_s + max(SUMS_S, 10 * (time.monotonic() - began_s))
        wanted = {self.topics.status: entities.ONLINE}
        for board in chosen:
            at = board.identifier
            if at not in self._quick or at not in self._sums:  # chosen since
                self._mark, self._sums_due_s = None, 0.0
                continue
            firmware = self._quick[at]["firmware"] or ""
            wanted |= entities.discovery(self.topics, at, board.name, firmware, device_based=self._device_based)
            heard = wall_ms - board.last_seen_ms <= HEARD_MS
            wanted[self.topics.of(at, "status")] = entities.ONLINE if heard else entities.OFFLINE
            values = self._quick[at] | self._sums[at] | {"chain": self._verdicts.get(at, "not judged yet")}
            wanted[self.topics.of(at, "state")] = entities.state_payload(values)
        return wanted

    def _tell_retained(
        self, ledger: Ledger, chosen: list[KnownBoard], wanted: dict[str, str], progress: dict[str, Progress]
    ) -> None:
        gone = [board for board in progress if board not in {item.identifier for item in chosen}]
        moved = {}
        for board in chosen:
            at = board.identifier
            topics = tuple(topic for topic in wanted if at in topic)
            before = progress.get(at, Progress(0, 0))
            if set(topics) - set(before.topics) or at not in progress:
                moved[at] = before._replace(topics=tuple(sorted({*before.topics, *topics})))
        if moved:  # before they are told: what is told can then be taken back, whatever happens
            outbox.confirm(ledger, self._name, moved)
            progress |= moved
        stale = {
            topic: ""
            for board in progress.values()
            for topic in board.topics
            if topic not in wanted and self._told.get(topic) != ""
        }
        if self._foreign and time.monotonic() - self._repaired_s > REPAIR_S:
            self._repaired_s, foreign = time.monotonic(), self._foreign
            self._foreign = set()
            self._told = {topic: payload for topic, payload in self._told.items() if topic not in foreign}
        news = {topic: payload for topic, payload in (wanted | stale).items() if self._told.get(topic) != payload}
        new_subscriptions = any(topic.endswith("/config") and topic not in self._told for topic in news)
        if not self._send([(topic, payload, True) for topic, payload in news.items()], self._note_told):
            return
        if new_subscriptions:
            self.client.subscribe()
        if gone:
            outbox.confirm(ledger, self._name, {}, gone)
            for at in gone:
                del progress[at]

    def _note_told(self, message: tuple[str, str, bool]) -> None:
        self._told[message[0]] = message[1]

    def _tell_events(
        self, ledger: Ledger, chosen: list[KnownBoard], events: dict[str, list[Entry]], progress: dict[str, Progress]
    ) -> None:
        names = {board.identifier: board.name for board in chosen}
        moved = {}
        for board, entries in events.items():
            told: list[Entry] = []
            messages = [(self.topics.of(board, "event"), entities.event_payload(entry, names[board]), False) for entry in entries]
            self._send(messages, lambda _, told=told, entries=entries: told.append(entries[len(told)]))  # type: ignore[misc]
            if told:
                moved[board] = progress[board]._replace(boot=told[-1].boot, seq=told[-1].seq)
        if moved:
            outbox.confirm(ledger, self._name, moved)
            progress |= moved

    def _send(self, messages: list[tuple[str, str, bool]], confirmed: Callable[[tuple[str, str, bool]], None]) -> bool:
        """Send messages and wait; `confirmed` is called for those that the broker has, up to the first that it has not."""
        numbers = []
        session = self._session
        for topic, payload, retain in messages:
            number = self.client.publish(topic, payload, retain=retain)
            if number is None:
                break
            numbers.append(number)
        answers = self.client.wait(numbers, session) if numbers else []
        for message, answer in zip(messages, answers, strict=False):
            if not answer:
                if answer is False:
                    self._say(f"the broker refuses {message[0]}: this user may not write there")
                return False
            confirmed(message)
        return len(answers) == len(messages)

    def _judge(self) -> None:
        """Verdicts on the chains, now and then: it reads every record."""
        while not self._end.is_set():
            try:
                with Reader(self._location) as reader:
                    for board in self._chosen(reader):
                        code = judge_with_keys(reader, board).exit_code
                        self._verdicts[board.identifier] = {0: "intact", 1: "cannot judge"}.get(code, "broken or gaps")
            except UserError as error:
                self._say(f"no verdict: {error}")
            self._end.wait(VERDICT_S if self._verdicts else 60.0)
