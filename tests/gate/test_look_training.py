# SPDX-License-Identifier: MIT
"""The trainer of looks: it sees the gate's own rows, and what it fits tells one kind of rows from another in integers, too."""

import numpy as np
import reference
from earlid.gate import models
from earlid.gate.network import Buffer, Layer, View
from machines import SEED

from tests.bench.detection.look import rows, train
from tests.bench.detection.look.examples import Examples

NETWORK = models.load("alexa").network


def test_rows_of_whole_streams_equal_the_oracle() -> None:
    rng = np.random.default_rng(SEED)
    inferences = 24
    columns = np.maximum(rng.integers(-200, 128, (inferences * NETWORK.stride, 40)), -128).astype(np.int8)
    heard = rows.run(NETWORK, columns)
    oracle = reference.StreamingNetwork(NETWORK)
    table = rows.probability(NETWORK)
    for at in range(inferences):
        output = oracle.infer(columns[NETWORK.stride * at : NETWORK.stride * (at + 1)].tolist())
        assert output == table[int(heard[rows.LOGIT][at, 0]) + 128], at
        for source in rows.SOURCES:
            assert heard[source][at].tolist() == oracle.rows[source][-1], (at, source, SEED)


def test_fit_in_integers_tells_words_from_others() -> None:
    """Words have a channel that rises and others one that falls; in int8 nine of ten are told apart that were not learnt."""
    rng = np.random.default_rng(SEED)
    kinds = np.repeat(["clip", "spoken", "near", "negative"], 256)
    word = np.isin(kinds, ("clip", "spoken"))
    windows = rng.integers(-128, -60, (len(kinds), rows.ROWS, 128)).astype(np.int16)
    slope = np.arange(rows.ROWS)[None, :] * np.where(word, 8, -8)[:, None] + rng.integers(-60, 60, (len(kinds), rows.ROWS))
    windows[:, :, 5] = windows[:, :, 90] = np.clip(slope, -128, 127)
    examples = Examples(windows.astype(np.int8), rng.integers(-200, 200, len(kinds)), word, kinds)
    learnt = np.arange(len(kinds)) % 16 > 0
    part = Examples(*(field[learnt] for field in examples))
    layers = train.layers(train.fit(part, NETWORK, SEED), part, NETWORK)
    logits = np.array([look_logit(layers, window) for window in examples.windows[~learnt]])
    right = (logits > np.median(logits)) == examples.word[~learnt]
    assert right.mean() > 0.9, (right.mean(), SEED)


def look_logit(layers: list[dict], window: np.ndarray) -> int:
    """The last layer's byte after these rows of both sources."""
    hidden = []
    for row in window:
        parts = np.split(row, len(rows.SOURCES))
        hidden.append(
            [byte for layer, part in zip(layers[:-1], parts, strict=True) for byte in layer_output(layer, [part.tolist()])]
        )
    return layer_output(layers[-1], hidden)[0]


def layer_output(item: dict, window: list[list[int]]) -> list[int]:
    view = View(Buffer(0, len(window[0]), -128, len(window)), len(window), 0, len(window[0]))
    layer = Layer(
        item["kind"], item["where"], [view], view, [item["scale_in"]], [item["zero_in"]], item["scale_out"], item["zero_out"],
        item["lowest"], np.array(item["weights"]), np.array(item["weight_scales"], np.float32), np.array(item["bias"]),
        item["fully_connected"],
    )  # fmt: skip
    return list(reference.layer_output(layer, [window]))
