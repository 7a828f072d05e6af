# SPDX-License-Identifier: MIT
"""One stream and the engines that hear it, in a process of its own; its results are plain values for the cache."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tests.bench.detection import conditions, count, data, engines, peers


@dataclass(frozen=True)
class Job:
    """One stream and the engines that hear it."""

    condition: str
    half: data.Half
    number: int
    quick: bool
    engines: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.condition}/{self.half}/{'quick' if self.quick else self.number}"

    def stream_key(self) -> str:
        """Names the result that says which samples it has, and how long they are."""
        return "stream " + hashlib.sha256(f"{conditions.code_digest()} {self.name}".encode()).hexdigest()


def run_key(digest: str, engine: peers.Engine) -> str:
    """Names what an engine said of samples."""
    return f"{engine.digest[:32]} {digest[:32]}"


@lru_cache(maxsize=4)
def pieces(condition: str, half: data.Half, quick: bool) -> list[conditions.Piece]:
    return conditions.named(condition).pieces(half, quick)


def run(job: Job, known: frozenset[str]) -> list[dict[str, Any]]:
    """Make a job's stream; run each engine whose result is not `known`. In a process of one processor."""
    if hasattr(os, "sched_setaffinity"):  # a runtime that starts threads of its own would be timed wrongly
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[os.getpid() % len(cores)]})
    stream = pieces(job.condition, job.half, job.quick)[job.number].build()
    digest = hashlib.sha256(stream.pcm.tobytes() + repr(stream.spans).encode()).hexdigest()
    results: list[dict[str, Any]] = [{"key": job.stream_key(), "samples": digest, "job": job.name, "audio_s": stream.seconds}]
    for name in job.engines:
        engine = engines.ENGINES[name]()
        key = run_key(digest, engine)
        if key in known:
            continue
        pcm = stream.pcm if stream.bits == 16 else conditions.to_int16(stream.pcm, engine.gain)
        scores, cpu_s = peers.timed(engine, pcm)
        result: dict[str, Any] = {
            "key": key, "engine": name, "job": job.name, "audio_s": stream.seconds, "cpu_s": round(cpu_s, 3)
        }  # fmt: skip
        if stream.spans:
            result["words"] = [count.word_steps(scores, span.start_ms, span.end_ms) for span in stream.spans]
            result["ends_ms"] = [span.speech_end_ms for span in stream.spans]
            result["names"] = [span.name for span in stream.spans]
        else:
            result["events"] = count.opening_events(scores, engine.floor)
        results.append(result)
    return results
