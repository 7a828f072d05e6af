# SPDX-License-Identifier: MIT
"""Tasks of an evaluation: each is one stream under one condition. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from earlid.evaluate.recordings import Recording
from earlid.gate.models import DECISION

FORMAT = 2  # of the results; a change makes old ones void
STREAM_S = 600.0
WORDS_IN_STREAM = 20

Role = Literal["positive", "negative"]


@dataclass(frozen=True)
class Condition:
    """Clean when `snr_db` is None. `noise`: recordings to mix in; none: pink noise."""

    snr_db: float | None = None
    noise: tuple[Recording, ...] = ()

    @property
    def name(self) -> str:
        return "clean" if self.snr_db is None else f"{self.snr_db:g} dB"


@dataclass(frozen=True)
class Task:
    """One stream to run. `model` is a name or path, `model_digest` (hex) what it must turn out to be."""

    role: Role
    kind: str
    recordings: tuple[Recording, ...]
    condition: Condition
    model: str
    model_digest: str
    code_digest: str
    seed: int
    decision: int = DECISION  # the board's setting

    @property
    def key(self) -> str:
        """Names the result: the same for the same samples, network, settings and firmware, wherever the files lie."""
        text = json.dumps(
            [
                FORMAT, self.role, self.kind, [r.digest for r in self.recordings], self.condition.snr_db,
                [r.digest for r in self.condition.noise], self.decision, self.model_digest, self.code_digest, self.seed,
            ]
        )  # fmt: skip
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def seconds(self) -> float:
        """How much audio its recordings hold."""
        return sum(recording.seconds for recording in self.recordings)

    def describe(self) -> dict[str, object]:
        """What a result line says about its task."""
        return {
            "key": self.key, "role": self.role, "kind": self.kind, "condition": self.condition.name,
            "files": [recording.name for recording in self.recordings],
        }  # fmt: skip


def cut_into_streams(recordings: Iterable[Recording], role: Role) -> list[tuple[Recording, ...]]:
    """Cut a sorted list into streams: of one kind each, so many words or so many seconds at most."""
    streams: list[tuple[Recording, ...]] = []
    stream: list[Recording] = []
    for recording in recordings:
        full = len(stream) >= WORDS_IN_STREAM if role == "positive" else sum(r.seconds for r in stream) >= STREAM_S
        if stream and (full or stream[0].kind != recording.kind):
            streams.append(tuple(stream))
            stream = []
        stream.append(recording)
    if stream:
        streams.append(tuple(stream))
    return streams


def plan_tasks(
    positives: Sequence[Recording],
    negatives: Sequence[Recording],
    conditions: Sequence[Condition],
    model: str,
    model_digest: str,
    code_digest: str,
    seed: int,
    decision: int = DECISION,
) -> list[Task]:
    """Every task of an evaluation; the order is that of the files, so that an interrupted run has whole streams."""
    tasks = []
    sides: tuple[tuple[Role, Sequence[Recording]], ...] = (("positive", positives), ("negative", negatives))
    for role, recordings in sides:
        for stream in cut_into_streams(recordings, role):
            for condition in conditions:
                tasks.append(Task(role, stream[0].kind, stream, condition, model, model_digest, code_digest, seed, decision))
    return tasks
