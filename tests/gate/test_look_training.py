# SPDX-License-Identifier: MIT
"""The trainer of looks: it sees the gate's own rows, and what it fits tells one kind of rows from another in integers, too."""

import numpy as np
import pytest
import reference
from earlid.gate import models
from earlid.gate.network import Buffer, Layer, View
from machines import SEED

from tests.bench.detection.look import examples as examples_module
from tests.bench.detection.look import rows, train
from tests.bench.detection.look.examples import MEAN, MOMENTS, SPAN, Examples

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


def test_fit_in_integers_tells_words_from_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words have a channel that rises and others one that falls; in int8 nine of ten are told apart that were not learnt."""
    monkeypatch.setattr(train, "BATCH", 32)
    examples = rising_and_falling(288)
    learnt = np.arange(len(examples.kind)) % 9 > 0
    part = Examples(*(field[learnt] for field in examples))
    layers = train.layers(train.fit(part, NETWORK, SEED), part, NETWORK)
    logits = np.array([look_logit(layers, window[-rows.ROWS :]) for window in examples.windows[~learnt]])
    right = (logits > np.median(logits)) == examples.word[~learnt]
    assert right.mean() > 0.9, (right.mean(), SEED)


def test_fit_of_one_seed_is_the_same_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "BATCH", 32)
    monkeypatch.setattr(train, "EPOCHS", 1)
    examples = rising_and_falling(128)
    first, second = (train.fit(examples, NETWORK, SEED) for _ in range(2))
    assert all(first[name].tobytes() == second[name].tobytes() for name in first), SEED


def test_gradient_equals_differences_of_the_loss() -> None:
    """Without noise; in double precision."""
    rng = np.random.default_rng(SEED)
    examples = rising_and_falling(16)
    target, weights = examples.word * 0.9 + 0.05, rng.uniform(0.5, 2, 16)
    network_logits = rng.normal(0, 0.5, (16, MOMENTS))
    fitted = {
        "w": rng.normal(0, 0.02, (2, 64, train.UNITS)), "b": np.full((2, train.UNITS), 0.1), "bias": np.zeros(()),
        "out": rng.normal(0, 0.02, (rows.ROWS, 2 * train.UNITS)), "share": np.full((), 0.5),
    }  # fmt: skip

    def loss(changed: dict) -> float:
        windows = (examples.windows + 128.0) * train.UNIT
        hidden = np.concatenate([windows[..., 64 * i : 64 * i + 64] @ changed["w"][i] + changed["b"][i] for i in (0, 1)], axis=2)
        logits = [np.sum(np.maximum(hidden[:, at : at + rows.ROWS], 0) * changed["out"], axis=(1, 2)) for at in range(23)]
        bounded = np.clip(np.stack(logits, 1) + changed["bias"], -train.LIMIT, train.LIMIT)
        means = np.stack([bounded[:, at : at + MEAN].mean(1) for at in range(MOMENTS)], 1) + changed["share"] * network_logits
        powers = np.where(examples.live, np.exp(train.SHARP * means), 0).sum(1)
        likely = 1 / (1 + np.exp(-(np.log(powers) - 0.5 * np.log(examples.live.sum(1))) / train.SHARP))
        return float(np.mean(weights * -(target * np.log(likely) + (1 - target) * np.log(1 - likely))))

    gradient = train.gradient(fitted, examples, network_logits, target, weights, None)
    for name, place in (("w", (0, 5, 3)), ("w", (1, 26, 7)), ("out", (17, 3)), ("out", (2, 20)), ("bias", ()), ("share", ())):
        changed = [{key: value.copy() for key, value in fitted.items()} for _ in range(2)]
        changed[0][name][place] += 1e-5
        changed[1][name][place] -= 1e-5
        assert gradient[name][place] == pytest.approx((loss(changed[0]) - loss(changed[1])) / 2e-5, rel=1e-3), (name, place, SEED)


def test_words_count_after_their_end_and_other_sound_wherever_it_is_likely() -> None:
    rng = np.random.default_rng(SEED)
    likely = np.zeros(400, bool)
    likely[100:130] = likely[133] = likely[300] = True
    assert [first for first, _, _ in examples_module.moments("negative", [], likely, rng)] == [100, 112, 124, 300]
    ((first, begin, end),) = examples_module.moments("clip", [(2000, 2600, 3000)], likely, rng)
    assert abs(first - (2600 + 50 - 20) // 30) <= 1
    assert (begin, end) == (0, 400)
    near = list(examples_module.moments("near", [(3000, 3200, 3400)], likely, rng))
    assert near == [(105, 105, 129), (117, 105, 129)]


def rising_and_falling(number: int) -> Examples:
    rng = np.random.default_rng(SEED)
    kinds = np.resize(["clip", "spoken", "near", "negative"], number)
    word = np.isin(kinds, ("clip", "spoken"))
    windows = rng.integers(-128, -60, (number, SPAN, 128)).astype(np.int16)
    slope = (np.arange(SPAN) - SPAN // 2) * np.where(word, 8, -8)[:, None] + rng.integers(-60, 60, (number, SPAN))
    windows[:, :, 5] = windows[:, :, 90] = np.clip(slope, -128, 127)
    live = rng.random((number, MOMENTS)) < 0.7
    live[:, 0] = True
    return Examples(windows.astype(np.int8), rng.integers(-200, 200, (number, MOMENTS)), live, word, kinds)


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
