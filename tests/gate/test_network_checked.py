# SPDX-License-Identifier: MIT
"""The network's kernels under CPython with integers that raise outside 32 bits, over its largest sums."""

from __future__ import annotations

import io
from array import array

import checked
import networks
import numpy as np
import pytest
from earlid.gate import blob_writer, graph, models, tflite
from synthetic import Block, Shape, network

SEED = 9


def outputs(blob: bytes, columns: networks.Columns) -> list[int]:
    pieces = checked.load_checked("lid.gate.weights").read(io.BytesIO(blob), len(blob))
    layout = checked.load_checked("lid.gate.model_file").Layout(pieces)
    network = checked.load_checked("lid.gate.wakeword").WakeWord(layout)
    module = checked.load_checked("lid.gate.columns")
    content, state = module.empty(network.stride, network.feature_scale)
    probs = []
    for column in columns:
        if module.push_column(0, array("H", column.tolist()), content, state) == network.stride:
            network.infer(content)
            probs.append(network.prob)
    return probs


def loudest() -> networks.Columns:
    """Inputs at their largest, at their smallest, and back and forth between both."""
    rng = np.random.default_rng(SEED)
    ends = rng.choice(np.array([0, 665, 65535], np.uint16), (6, 40))
    return np.concatenate([np.full((6, 40), 665), np.zeros((3, 40)), ends]).astype(np.uint16)


@pytest.mark.parametrize("name", ["alexa", "okay_nabu"])
def test_published_network_stays_inside_32_bits(name: str) -> None:
    model = models.load(name)
    expected = networks.reference(model.manifest.model.read_bytes(), loudest())
    assert outputs(model.blob, loudest()) == expected, f"seed {SEED}"


@pytest.mark.parametrize("pool", ["average", "max"])
def test_addition_and_pooling_stay_inside_32_bits(pool: str) -> None:
    shape = Shape(first_filters=16, blocks=(Block(16, (3,), True), Block(16, (2, 4))), pool=pool)
    data = network(shape, SEED)
    blob = blob_writer.encode(graph.build_network(tflite.read(data)), "word", [], 5, 1000, bytes(32))
    columns = np.concatenate([loudest(), loudest()[::-1]])
    assert outputs(blob, columns) == networks.reference(data, columns), f"seed {SEED}"


def test_largest_weights_stay_inside_32_bits() -> None:
    """Every weight 127 or -128: no network has larger sums."""
    graphs = tflite.read(models.load("alexa").manifest.model.read_bytes())
    made = graph.build_network(graphs)
    for number, layer in enumerate(made.layers):
        if layer.weights is not None:
            layer.weights = np.full_like(layer.weights, 127 if number % 2 else -128)
    found = outputs(blob_writer.encode(made, "word", [], 5, 1000, bytes(32)), loudest())
    assert len(found) == len(loudest()) // made.stride
