# SPDX-License-Identifier: MIT
"""A published network over whole streams at once: the bytes of its buffers at every inference, exactly as the gate has them."""

from __future__ import annotations

import numpy as np
from earlid.gate.network import Layer, Network
from earlid.gate.quantise import layer_multipliers, logistic_table
from numpy.typing import NDArray

SOURCES = (9, 7)  # buffers of `alexa` that a look reads: rows before its last dense layer, and before its last depthwise one
ROWS = 18
LOGIT = 10


def run(network: Network, columns: NDArray[np.int8]) -> dict[int, NDArray[np.int8]]:
    """The newest row of each buffer at each inference, int8 [inferences, channels], from int8 [columns, 40]."""
    number = len(columns) // network.stride
    first = network.buffers[0]
    padded = np.concatenate([np.full((first.rows - network.stride, first.channels), first.zero, np.int8), columns])
    taps = network.stride * np.arange(number)[:, None] + np.arange(first.rows)
    heard = {}
    for layer in network.layers:
        view, out = layer.inputs[0], layer.output
        if view.buffer.index == 0:
            window = padded[taps]
        else:
            before = np.full((view.rows - 1, view.buffer.channels), view.buffer.zero, np.int8)
            rows = np.concatenate([before, heard[view.buffer.index]])
            window = np.lib.stride_tricks.sliding_window_view(rows, view.rows, axis=0).swapaxes(1, 2)
        row = heard.setdefault(out.buffer.index, np.zeros((number, out.buffer.channels), np.int8))
        for at in range(0, number, 8192):
            row[at : at + 8192, out.first : out.last] = _layer(layer, window[at : at + 8192, :, view.first : view.last])
    return heard


def _layer(layer: Layer, window: NDArray[np.int8]) -> NDArray[np.int8]:
    # In float32 the sums of products are exact: below 2 ** 24
    assert layer.weights is not None
    assert layer.weight_scales is not None
    values, weights = window.astype(np.float32) - layer.zeros_in[0], layer.weights.astype(np.float32)
    if layer.kind == "depthwise":
        sums = np.einsum("nrc,rc->nc", values, weights)
    else:
        sums = values.reshape(len(values), -1) @ weights.reshape(len(weights), -1).T
    total = sums.astype(np.int64) + layer.bias
    pairs = layer_multipliers(layer.scales_in[0], layer.weight_scales, layer.scale_out, layer.fully_connected)
    multiplier, shift = np.array(pairs, np.int64).T
    if layer.fully_connected:
        scaled = (total * multiplier + (1 << (30 - shift))) >> (31 - shift)
    else:
        high, down = (total * multiplier + (1 << 30)) >> 31, -shift
        scaled = np.where(down > 0, (high + (1 << np.maximum(down - 1, 0)) - (high < 0)) >> down, high)
    return np.clip(scaled + layer.zero_out, layer.lowest, 127).astype(np.int8)


def probability(network: Network) -> bytes:
    """The output byte of each logit."""
    return logistic_table(
        network.logit_scale, network.logit_zero, network.logistic_out, (network.output_scale, network.output_zero)
    )


def newest_sum(values: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """At each place the sum of so many newest values; 0 where there are not so many yet."""
    total = np.concatenate([[0], np.cumsum(values)])
    sums = np.zeros(len(values), np.int64)
    sums[number - 1 :] = total[number:] - total[:-number]
    return sums
