# SPDX-License-Identifier: MIT
"""Small random streaming networks as TensorFlow Lite files, of the shapes that microWakeWord's training can make.

The reference kernels say what their outputs are, so a network needs no training to be a test.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from earlid.train import shape
from earlid.train.shape import Block
from earlid.train.tflite_file import Writer
from tflite import BuiltinOperator


@dataclass(frozen=True)
class Shape(shape.Shape):
    """A shape of the tests, and layers that training here does not make."""

    blocks: tuple[Block, ...] = (Block(32, (5,)), Block(48, (3, 7)))
    last_rows: int = 4
    pool: str = ""  # "max", "average"
    multiply: bool = False  # an operator that the board does not have


class RandomWriter(Writer):
    """Layers with random weights and scales."""

    def __init__(self, stride: int, rng: np.random.Generator) -> None:
        super().__init__(stride)
        self.rng = rng

    def random(self, code: int, source: int, outputs: int, relu: bool, out: tuple[float, int] | None = None) -> int:
        """A convolution over all rows; its output scale suits random weights unless given."""
        shape = self.main.tensors[source].shape
        rows, width = (shape[1], shape[3]) if len(shape) == 4 else (1, shape[1])
        scale, _ = self.scale_of(source)
        deep, dense = code == BuiltinOperator.DEPTHWISE_CONV_2D, code == BuiltinOperator.FULLY_CONNECTED
        weights = np.clip(np.round(self.rng.normal(0, 45, (outputs, rows, width))), -127, 127).astype(np.int8)
        terms = rows * (1 if deep else width)
        scales = self.rng.uniform(0.002, 0.01, 1 if dense else outputs).astype(np.float32)
        if dense:  # logits that spread over what LOGISTIC can tell apart
            out = (float(np.float32(0.06)), int(self.rng.integers(-40, 40)))
            scales = np.array([16 / (scale * 60 * 45 * np.sqrt(terms))], np.float32)
        spread = scale * 60 * float(scales.mean()) * 45 * np.sqrt(terms)
        out = out or (float(np.float32(spread * 6 / 255)), -128 if relu else int(self.rng.integers(-40, 40)))
        bias = np.round(self.rng.normal(0, 500, outputs)).astype(np.int32)
        return self.weighted(code, source, weights[0] if deep else weights, scales, bias, out, relu)

    def mixed(self, source: int, block: Block) -> int:
        kernels = block.kernels
        groups = self.groups(source, kernels, block.widths(self.width(source)))
        if len(kernels) == 1:
            return self.random(BuiltinOperator.DEPTHWISE_CONV_2D, groups[0], self.width(source), False)
        spread = self.scale_of(source)[0] * 60 * 0.006 * 45 * np.sqrt(max(kernels))
        out = (float(np.float32(spread * 6 / 255)), int(self.rng.integers(-30, 30)))
        made = [self.random(BuiltinOperator.DEPTHWISE_CONV_2D, group, self.width(group), False, out) for group in groups]
        return self.join(made, 3)

    def pool(self, source: int, kind: str) -> int:
        rows = self.rows(source)
        result = self.like(source, [1, 1, 1, self.width(source)])
        options = ("Pool2DOptions", {"Padding": 1, "FilterHeight": rows, "FilterWidth": 1, "StrideH": rows, "StrideW": 1})
        code = BuiltinOperator.MAX_POOL_2D if kind == "max" else BuiltinOperator.AVERAGE_POOL_2D
        self.operator(code, [source], [result], options)
        return result


def network(shape: Shape, seed: int) -> bytes:
    """A TensorFlow Lite file of a streaming network with random weights."""
    w = RandomWriter(shape.stride, np.random.default_rng(seed))
    now = w.columns
    if shape.first_kernel > shape.stride:
        now = w.remember(now, shape.first_kernel - shape.stride)
    now = w.random(BuiltinOperator.CONV_2D, now, shape.first_filters, True)
    for block in shape.blocks:
        beside = w.random(BuiltinOperator.CONV_2D, now, block.filters, False) if block.residual else None
        if max(block.kernels) > 1:
            now = w.mixed(now, block)
        now = w.random(BuiltinOperator.CONV_2D, now, block.filters, not block.residual)
        if beside is not None:
            largest = max(w.scale_of(now)[0], w.scale_of(beside)[0])
            now = w.add(now, beside, (float(np.float32(largest * 1.3)), -128))
    if shape.multiply:
        result = w.tensor([1, 1, 1, w.width(now)], scales=[w.scale_of(now)[0]], zero=-128)
        w.operator(BuiltinOperator.MUL, [now, now], [result], ("MulOptions", {}))
        now = result
    if shape.last_rows > 1:
        now = w.remember(now, shape.last_rows - 1)
        if shape.pool:
            now = w.pool(now, shape.pool)
    flat = w.reshape(now, [1, w.rows(now) * w.width(now)])
    return w.finish(w.random(BuiltinOperator.FULLY_CONNECTED, flat, 1, False))
