# SPDX-License-Identifier: MIT
"""Asks the configured witnesses anew while `watch` collects: in a thread of its own, in nobody's way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from earlid import config_file, extras
from earlid.config_keys import ANCHOR_EVERY_H, ANCHOR_TSA, ANCHOR_WITNESS
from earlid.errors import UserError
from earlid.ledger import heads as ledger_heads
from earlid.ledger.boards import boards
from earlid.ledger.heads import BoardHead
from earlid.ledger.reader import Reader
from earlid.ledger.store import Ledger, now_ms
from earlid.witness import anchoring, host_witness
from earlid.witness.outcome import Outcome
from earlid.witness.post import check_url, place_of
from earlid.witness.roots import read_roots

EVERY_H = 24
HOUR_MS = 3_600_000
RETRY_MS = HOUR_MS  # after a witness that did not answer as it should
LOOK_S = 60.0


class Source(NamedTuple):
    """A witness to be asked: `tsa` or `host`, and its address."""

    by: str
    url: str


def configured() -> list[Source]:
    """The witnesses of the configuration; UserError code 2 for an address that is none."""
    tsa, witnesses = config_file.get(ANCHOR_TSA), config_file.get(ANCHOR_WITNESS)
    return [
        Source(by, check_url(url)) for by, url in [*([("tsa", tsa)] if tsa else []), *(("host", url) for url in witnesses or ())]
    ]


def due(
    source: Source, heads: Sequence[BoardHead], bodies: Sequence[dict[str, Any]], every_ms: int, at_ms: int
) -> list[BoardHead]:
    """The heads that a witness is to be asked about now: all that it has not seen, once its last word is old enough.

    Args:
        bodies: of the acts of witnesses, oldest first.
    """
    place = place_of(source.url)
    mine = [body for body in bodies if (body.get("by"), body.get("at")) == (source.by, place)]
    times = [body["at_ms"] for body in mine if type(body.get("at_ms")) is int]
    if times and 0 <= at_ms - max(times) < every_ms:
        return []
    seen = {(body.get("board"), body.get("link")) for body in mine if not body.get("contradicts")}
    return [head for head in heads if (head.board.identifier, head.link.hex()) not in seen]


class Renewal(threading.Thread):
    """Looks every minute whether a witness is due.

    Args:
        tell: is told, with the kind of event (`note`, `trouble`), what became of it.
    """

    def __init__(self, ledger: Ledger, sources: Sequence[Source], tell: Callable[[str, str], None]) -> None:
        super().__init__(name="witnesses", daemon=True)
        self._ledger, self._sources, self._tell = ledger, sources, tell
        self._every_ms = (config_file.get(ANCHOR_EVERY_H) or EVERY_H) * HOUR_MS
        self._stopping = threading.Event()
        self._not_before: dict[Source, int] = {}
        self._said: dict[Source, str] = {}

    def run(self) -> None:
        """Until `stop`."""
        while not self._stopping.is_set():
            for source in self._sources:
                self.renew(source)
            self._stopping.wait(LOOK_S)

    def stop(self) -> None:
        """End it; what waits for an answer is left to the end of the process."""
        self._stopping.set()

    def renew(self, source: Source) -> None:
        """Ask a witness if it is due; whatever goes wrong is told, once for as long as it is the same."""
        at_ms = now_ms()
        if self._not_before.get(source, 0) > at_ms:
            return
        try:
            outcomes = self._ask(source, at_ms)
        except Exception as error:
            lacking = extras.missing(error.name, "watch") if isinstance(error, ModuleNotFoundError) else None
            text = str(error if isinstance(error, UserError) else lacking or f"{type(error).__name__}: {error}")
            outcomes = [Outcome(None, source.by, f"{place_of(source.url)} was not asked: {text}", kept=False)]
        wrong = [outcome.say for outcome in outcomes if not outcome.kept or outcome.contradicts]
        for outcome in outcomes:
            if outcome.kept and not outcome.contradicts:
                self._tell("note", f"{outcome.board}: {outcome.say}")
        if wrong:
            self._not_before[source] = at_ms + RETRY_MS
            if self._said.get(source) != wrong[0]:
                self._tell("trouble", wrong[0])
            self._said[source] = wrong[0]
        elif outcomes:
            self._said.pop(source, None)

    def _ask(self, source: Source, at_ms: int) -> list[Outcome]:
        with Reader(self._ledger.location) as reader:
            bodies = ledger_heads.witness_bodies(reader)
            heads = due(source, ledger_heads.newest_heads(reader, boards(reader)), bodies, self._every_ms, at_ms)
        if not heads:
            return []
        if source.by == "tsa":
            return anchoring.stamp_heads(self._ledger, heads, source.url, read_roots())
        if host_witness.known(bodies, source.url).key is None:
            text = f"the witness at {place_of(source.url)} is new: `earlid anchor` says once what it will see, and asks"
            return [Outcome(None, "host", text, kept=False)]
        return host_witness.ask(self._ledger, heads, source.url)
