# SPDX-License-Identifier: MIT
"""What the firmware's gate makes of samples: the output of every inference, with its time."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earlid.errors import FAILED, UserError
from earlid.gate.models import DECISION, Model
from earlid.gate.runner import FEATURES, Pcm, run_script

HOP_MS = 10
AFTER_MS = 1000  # a detection counts for a word until so long after its end
COLD_COLUMNS = 100  # the first of a network that was reset: what it says of them counts for nothing (lid/gate/wakeword.py)
_FEATURE_MARK = 0x80000000
_INFERENCE = np.dtype(
    [
        ("hop", "<u4"),
        ("prob", "u1"),
        ("mean_q8", "u1"),
        ("hit", "u1"),
        ("spare", "u1"),
        ("energy", "<i2"),
        ("total", "<u2"),
    ]
)
_OUTPUT = np.dtype([("prob", "u1"), ("total", "<u2")])
_AT_ONCE = 1024  # inferences that are objects at the same time
_FEATURE_BYTES = 4 + 2 * FEATURES


@dataclass(frozen=True)
class Inference:
    """One run of the network."""

    t_ms: int  # end of its last hop, from the start of the sound
    prob: int  # the network's output byte
    mean_q8: int  # mean of the last outputs, 0 while the network is cold
    energy_log2_q8: int  # of its last hop
    hit: bool
    total: int  # the sum whose mean that is

    @property
    def cold(self) -> bool:
        """Whether it was in a recording's first second, of which nothing counts."""
        return self.t_ms <= (COLD_COLUMNS + 2) * HOP_MS

    def entry(self) -> dict[str, int | bool]:
        """The object that `earlid score --json` prints."""
        return {
            "t_ms": self.t_ms, "prob": self.prob, "mean_q8": self.mean_q8, "energy_log2_q8": self.energy_log2_q8, "hit": self.hit,
        }  # fmt: skip


@dataclass(frozen=True)
class Column:
    """The features of one hop."""

    hop: int  # from 0
    features: list[int]  # 40 unsigned 16-bit values

    def entry(self) -> dict[str, int | list[int]]:
        return {"hop": self.hop, "features": self.features}


def run(
    pcm: NDArray[np.int16] | Iterable[NDArray[np.int16]],
    model: Model,
    features: bool = False,
    decision: int = DECISION,
) -> Iterator[Inference | Column]:
    """Run the firmware's gate, on MicroPython, over samples from a fresh start.

    Args:
        pcm: int16 samples at 16 kHz, or blocks of them; a last part of less than 10 ms is not heard.
        model: the network.
        features: also give each hop's features, before the inference that ran in it.
        decision: 1 the look's, if the network has one; 0 microWakeWord's own.

    Yields:
        Inferences, in order of their time, and columns.
    """
    data = _run_with(model, "mp_score.py", pcm, "features" if features else "outputs", str(decision))
    yield from _columns_and_inferences(data) if features else _inferences(data)


class Scores:
    """The sliding score of every inference: `t_ms`, and `values`, the mean rounded up, which opens above a cutoff."""

    def __init__(self, t_ms: NDArray[np.int64], values: NDArray[np.int64]) -> None:
        self.t_ms, self.values = t_ms, values


def run_gate(pcm: NDArray[np.int16] | Iterable[NDArray[np.int16]], model: Model, decision: int = DECISION) -> Scores:
    """The firmware's gate over samples, on MicroPython.

    Means are rounded up because the board compares sums: a cutoff c opens when a sum is above c * window.
    """
    inferences = (item for item in run(pcm, model, decision=decision) if isinstance(item, Inference))
    values = (value for item in inferences for value in (item.t_ms, item.total))
    pairs = np.fromiter(values, np.int64).reshape(-1, 2)
    return Scores(pairs[:, 0], -(-pairs[:, 1] // model.decided(decision)[0]))


def peak_in(scores: Scores, from_ms: int, to_ms: int) -> int:
    """The highest score after one moment and up to another."""
    inside = scores.values[(scores.t_ms > from_ms) & (scores.t_ms <= to_ms)]
    return int(inside.max()) if len(inside) else 0


def over_columns(columns: NDArray[np.uint8] | Iterable[NDArray[np.uint8]], model: Model, decision: int = 0) -> NDArray[np.void]:
    """The firmware's network over columns that are bytes already, from a fresh start, without the frontend.

    Args:
        columns: uint8 array of shape (hops, 40), as `gate.quantise.quantised_features` has them, or blocks of such; a last
            part of less than the network's stride is not heard.
        decision: 1: the model's look decides, where it has one; 0: the network alone.

    Returns:
        Array of shape (inferences,) with the fields `prob`, the output byte, and `total`, which a hit is judged by
        (`Model.decided`), 0 while the network is cold.
    """
    blocks = (columns,) if isinstance(columns, np.ndarray) else columns
    data = _run_with(model, "mp_columns.py", (np.ascontiguousarray(block).tobytes() for block in blocks), str(decision))
    return np.frombuffer(data, _OUTPUT)


def _run_with(model: Model, script: str, into: Pcm, *args: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="earlid-") as folder:
        path = Path(folder) / f"{model.name}.elww"
        path.write_bytes(model.blob)
        return run_script(script, into, str(path), *args)


def _inferences(data: bytes) -> Iterator[Inference]:
    if len(data) % _INFERENCE.itemsize:
        raise UserError(f"MicroPython stopped early: {len(data)} bytes of results", FAILED)
    rows = np.frombuffer(data, _INFERENCE)
    at_once = (rows[at : at + _AT_ONCE].tolist() for at in range(0, len(rows), _AT_ONCE))
    for hop, prob, mean_q8, hit, _, energy, total in itertools.chain.from_iterable(at_once):
        yield Inference((hop + 1) * HOP_MS, prob, mean_q8, energy, bool(hit), total)


def _columns_and_inferences(data: bytes) -> Iterator[Inference | Column]:
    at = 0
    while at < len(data):
        head = int.from_bytes(data[at : at + 4], "little")
        if head & _FEATURE_MARK:
            values = np.frombuffer(data, "<u2", FEATURES, at + 4).tolist()
            yield Column(head & ~_FEATURE_MARK, values)
            at += _FEATURE_BYTES
        else:
            yield from _inferences(data[at : at + _INFERENCE.itemsize])
            at += _INFERENCE.itemsize
