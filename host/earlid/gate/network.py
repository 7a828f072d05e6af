# SPDX-License-Identifier: MIT
"""A streaming network as layers over buffers of rows: what the importer makes and the blob is written from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Buffer:
    """Rows of `channels` bytes; `rows` of them are looked at. `zero` is what an unwritten row holds (int8)."""

    index: int
    channels: int
    zero: int
    rows: int = 1
    sliding: bool = False  # True when rows older than the newest are needed


@dataclass
class View:
    """The newest `rows` rows of a buffer, channels `first` to `last` (exclusive)."""

    buffer: Buffer
    rows: int
    first: int
    last: int

    @property
    def width(self) -> int:
        return self.last - self.first

    def whole(self) -> bool:
        return self.first == 0 and self.last == self.buffer.channels


@dataclass
class Layer:
    """One arithmetic step: `kind` conv, depthwise, add, maxpool or avgpool. Zeros and `lowest` are int8's."""

    kind: str
    where: str
    inputs: list[View]
    output: View
    scales_in: list[float]
    zeros_in: list[int]
    scale_out: float
    zero_out: int
    lowest: int
    weights: np.ndarray | None = None  # conv: int8 [out, rows, in]; depthwise: int8 [taps, channels]
    weight_scales: np.ndarray | None = None  # float32 [out]
    bias: np.ndarray | None = None  # int32 [out]
    fully_connected: bool = False  # FULLY_CONNECTED: its scale is computed in another order


@dataclass
class Network:
    """A streaming network: `stride` columns of `features` features in, one byte out."""

    stride: int
    features: int  # of a column
    input_scale: float
    input_zero: int
    buffers: list[Buffer]
    layers: list[Layer]
    logit_scale: float
    logit_zero: int
    logistic_out: tuple[float, int]
    output_scale: float
    output_zero: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(layer.weights.size for layer in self.layers if layer.weights is not None)


@dataclass(frozen=True)
class Look:
    """A second network over the columns of a first, and the decision by both their logits (`lid.gate.smoothing.fused_score`).

    A score is the sum of the last `window` pairs of logit bytes (int8 + 128), less `lowest`, limited to 0 .. 255 * `scale`. A hit
    is above `cutoff`.
    """

    buffers: list[Buffer]  # numbered on from the network's
    layers: list[Layer]
    window: int
    lowest: int
    scale: int
    cutoff: int
