# SPDX-License-Identifier: MIT
"""A trained network as the integers that the board computes with: TensorFlow Lite's int8, each channel's weights with a step
of their own, batch norm folded into them (Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference")."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earlid.errors import FAILED, UserError
from earlid.train.network import MixBlock, Net
from earlid.train.shape import INPUT_SCALE, Shape

LOGIT_LIMIT = 8.0  # beyond it the output byte is 0 or 255 whatever the logit
# What the board's 32 bits hold (gate.blob_writer), with room: a layer's sums, and its steps in units of its output's.
BIAS_LIMIT = 1 << 26
MULTIPLIER_LEAST, MULTIPLIER_MOST = 2.0**-19, 0.49


@dataclass(frozen=True)
class Weighted:
    """A convolution, depthwise or not, or a dense layer.

    Attributes:
        weights: [outputs, rows, channels]; [rows, channels] of a depthwise one.
        scales: [outputs]: a weight's step; one of a dense layer.
        bias: [outputs], in steps of input times weight.
        out: (step, zero point) of the output.
    """

    weights: NDArray[np.int8]
    scales: NDArray[np.float32]
    bias: NDArray[np.int32]
    out: tuple[float, int]


@dataclass(frozen=True)
class IntegerBlock:
    """A block: `mix` has a layer for each group of channels or none, `beside` and the sum's `out` are those of a residual."""

    mix: list[Weighted]
    point: Weighted
    beside: Weighted | None
    out: tuple[float, int] | None


@dataclass(frozen=True)
class Integers:
    """A whole network."""

    shape: Shape
    first: Weighted
    blocks: list[IntegerBlock]
    last: Weighted


def quantise(net: Net, calibration: NDArray[np.uint8]) -> Integers:
    """The integers of a network.

    Args:
        calibration: windows uint8 [n, hops, 40], of words and of what lacks them, that activations get their ranges from: the
            smallest and largest ones there. The output's range is fixed: it reaches 0 and 255 whatever was seen.

    Raises:
        UserError: when its weights or activations are not numbers.
    """
    ranges = net.observe(calibration)
    ends = torch.tensor([end for pair in ranges.values() for end in pair])
    if any(not bool(torch.isfinite(value).all()) for value in (*net.parameters(), *net.buffers(), ends)):
        raise UserError(
            "the network computes what are no numbers: its training has diverged. Train again with another --seed", FAILED
        )
    weights, bias = net.first.folded()
    first = _weighted(weights, bias, INPUT_SCALE, ranges["first"], net.shape.first_kernel)
    now, blocks = first.out[0], []
    for number, block in enumerate(net.blocks):
        assert isinstance(block, MixBlock)
        mix, before = [], now
        if block.mix is not None:
            mix = _mix(block.mix.taps(), [kernel.shape for kernel in block.mix.kernels], now, ranges[f"mix {number}"])
            now = mix[0].out[0]
        point = _weighted(*block.point.folded(), now, ranges[f"point {number}"])
        now, beside, out = point.out[0], None, None
        if block.beside is not None:
            beside = _weighted(*block.beside.folded(), before, ranges[f"beside {number}"])
            step, zero = _activation_step(*ranges[f"sum {number}"])
            now = float(np.float32(max(step, max(now, beside.out[0]) / 4)))  # the board adds with no larger multiplier
            out = (now, zero)
        blocks.append(IntegerBlock(mix, point, beside, out))
    last = _weighted(net.last, net.last_bias, now, (-LOGIT_LIMIT, LOGIT_LIMIT), net.shape.last_rows)
    return Integers(net.shape, first, blocks, last)


def _weighted(weights: Tensor, bias: Tensor, step_in: float, seen: tuple[float, float], rows: int = 1) -> Weighted:
    """A layer from weights [outputs, rows * channels] and bias [outputs], its output's range given."""
    shifts = bias.detach().numpy().astype(np.float64)
    scales, out = _steps(weights, shifts, step_in, seen)
    values = np.clip(np.rint(weights.detach().numpy() / scales[:, None]), -127, 127).astype(np.int8)
    steps = scales.astype(np.float64) * step_in
    return Weighted(values.reshape(len(values), rows, -1), scales, np.rint(shifts / steps).astype(np.int32), out)


def _mix(taps: Tensor, groups: list[torch.Size], step_in: float, seen: tuple[float, float]) -> list[Weighted]:
    """The depthwise layers of groups of channels, from taps [channels, longest]; groups: (channels, rows) of each."""
    whole = _weighted(taps, torch.zeros(len(taps)), step_in, seen, taps.shape[1])
    made, first = [], 0
    for channels, rows in groups:
        part = slice(first, first + channels)
        kernel = np.ascontiguousarray(whole.weights[part, -rows:, 0].T)
        made.append(Weighted(kernel, whole.scales[part], whole.bias[part], whole.out))
        first += channels
    return made


def _steps(
    weights: Tensor, bias: NDArray[np.float64], step_in: float, seen: tuple[float, float]
) -> tuple[NDArray[np.float32], tuple[float, int]]:
    """(steps of weights, (step, zero point) of the output): as weights and range ask for, and coarser where the board's
    integers would not hold sums or multipliers: of channels that are dead, and outputs that never were."""
    scales = np.maximum(weights.detach().abs().amax(1).numpy() / 127, np.finfo(np.float32).tiny)
    step_out, zero = _activation_step(*seen)
    step_out = float(np.float32(max(step_out, float(scales.max()) * step_in / MULTIPLIER_MOST)))
    least = np.maximum(np.abs(bias) / (step_in * BIAS_LIMIT), step_out / step_in * MULTIPLIER_LEAST)
    return np.maximum(scales, least).astype(np.float32), (step_out, zero)


def _activation_step(low: float, high: float) -> tuple[float, int]:
    """(step, zero point) of int8 activations of which the smallest and largest are these, or 0."""
    low, high = min(low, 0.0), max(high, 0.0)
    step = float(np.float32(max((high - low) / 255, 1e-8)))
    return step, min(max(round(-128 - low / step), -128), 127)
