# SPDX-License-Identifier: MIT
"""Which retained messages a broker lacks, by what is wanted, what it has, and what others wrote over. No input or output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from earlid.ledger.outbox import Progress

REPAIR_S = 10.0  # what somebody else wrote over is written anew so often at most


class Retained:
    """The retained messages as one broker has them.

    Args:
        repair_s: REPAIR_S, shorter in tests.
    """

    def __init__(self, repair_s: float = REPAIR_S) -> None:
        self._repair_s, self._repaired_s = repair_s, float("-inf")
        self._told: dict[str, str] = {}
        self._foreign: set[str] = set()

    def forget(self) -> None:
        """Another connection: a broker may have lost what it had."""
        self._told = {}

    def tell(self, topic: str, payload: str) -> None:
        """The broker has confirmed this."""
        self._told[topic] = payload

    def overwrite(self, topic: str) -> None:
        """Somebody else has written there."""
        self._foreign.add(topic)

    def news(
        self, wanted: Mapping[str, str], announced: Iterable[str], events: Iterable[str], now_s: float
    ) -> list[tuple[str, str]]:
        """(topic, payload) of what the broker lacks; an empty payload takes a topic back.

        Args:
            wanted: what it is to have.
            announced: topics that it was ever given; those no longer wanted are taken back.
            events: topics on which nothing is ever retained, by us.
            now_s: a clock that only counts on.
        """
        emptied: list[str] = []
        if self._foreign and now_s - self._repaired_s > self._repair_s:
            self._repaired_s = now_s
            self._told = {topic: payload for topic, payload in self._told.items() if topic not in self._foreign}
            emptied = [topic for topic in events if topic in self._foreign]
            self._foreign = set()
        stale = [topic for topic in announced if topic not in wanted]
        found = {**wanted, **dict.fromkeys([*stale, *emptied], "")}
        return [(topic, payload) for topic, payload in found.items() if self._told.get(topic) != payload]


def announcements(wanted: Mapping[str, Mapping[str, str]], progress: Mapping[str, Progress]) -> dict[str, Progress]:
    """The progress that is to be remembered before these topics of boards are told, so that all can be taken back.

    Args:
        wanted: board -> topic -> payload.
    """
    found = {}
    for board, topics in wanted.items():
        before = progress.get(board, Progress(0, 0))
        if board not in progress or set(topics) - set(before.topics):
            found[board] = before._replace(topics=tuple(sorted({*before.topics, *topics})))
    return found


def taken_back(wanted: Mapping[str, Mapping[str, str]], progress: Mapping[str, Progress]) -> dict[str, Progress]:
    """The progress that is to be remembered once the broker has confirmed all `news`."""
    found = {}
    for board, before in progress.items():
        topics = tuple(topic for topic in before.topics if topic in wanted.get(board, ()))
        if topics != before.topics:
            found[board] = before._replace(topics=topics)
    return found
