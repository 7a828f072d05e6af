# SPDX-License-Identifier: MIT
"""Each step of the network equals its formula in reference.py: in checked integers and in the board's machine code."""

from __future__ import annotations

import io
import random
from typing import Any

import networks
import numpy as np
import pytest
import reference
from earlid.gate import blob_writer, graph, models, quantise, tflite
from earlid.gate.network import Buffer, Layer, View
from machines import SEED, as_words, halves, words
from synthetic import Block, Shape, network

SCALES = [(26 / 255, -128), (0.1, 5), (0.3, 0)]  # of the network's input: the first is microWakeWord's
LAYER_WORDS = 23  # of parameters, see kernels.py
SHAPES = {
    "three kinds of convolution": Shape(blocks=(Block(32, (5,)), Block(24, (3, 7)))),
    "odd widths": Shape(first_filters=10, blocks=(Block(14, (4,)), Block(7, (2,))), last_rows=3),
    "addition and average": Shape(first_filters=16, blocks=(Block(16, (3,), True), Block(24, (2, 4))), pool="average"),
    "maximum of one column each": Shape(stride=1, first_kernel=3, first_filters=16, pool="max", last_rows=5),
}


# -- columns -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scale", "zero"), SCALES)
def test_columns_equal_the_formula(machine: Any, rng: random.Random, scale: float, zero: int) -> None:
    scale = float(np.float32(scale))
    module = machine.module("columns")
    stride = 3
    columns = machine.buffer(bytes(module.COLUMN_BYTES * stride))
    state = machine.buffer(words([0, stride, *quantise.feature_scale(scale, zero)]))
    features = machine.buffer(bytes(80))
    near_ties = sorted(range(65536), key=lambda feature: abs(feature * 0.0390625 / scale % 1 - 0.5))[:200]
    gathered: list[list[int]] = []
    for number in range(200):
        values = [rng.choice((0, 65535, *near_ties)) if rng.random() < 0.5 else rng.randrange(65536) for _ in range(40)]
        features[:] = halves(values)
        count = module.push_column(0, features, columns, state)
        gathered.append([reference.quantised_feature(value, scale, zero) + 128 for value in values])
        assert count == len(gathered), f"column {number}, seed {SEED}"
        assert list(columns[: 40 * count]) == [byte for content in gathered for byte in content], f"column {number}, seed {SEED}"
        if count == stride:
            gathered = []


@pytest.mark.parametrize(("scale", "zero"), SCALES)
def test_all_features_are_scaled_as_pymicro_wakeword_does_and_limited_as_esphome_does(
    machine: Any, scale: float, zero: int
) -> None:
    scale = float(np.float32(scale))
    everything = np.arange(1 << 16)
    exact = everything * 0.0390625 / scale + zero
    expected = np.minimum(np.round(exact).astype(np.int64), 127) + 128
    module = machine.module("columns")
    columns = machine.buffer(bytes(module.COLUMN_BYTES))
    state = machine.buffer(words([0, 1, *quantise.feature_scale(scale, zero)]))
    features = machine.buffer(bytes(80))
    found: list[int] = []
    for at in range(0, 1 << 16, 40):
        features[:] = halves([*everything[at : at + 40].tolist(), *[0] * 40][:40])
        module.push_column(0, features, columns, state)
        found += columns[:40]
    assert found[: 1 << 16] == expected.tolist()
    if zero == -128:  # as in all published networks: ESPHome's own sum has a scale that is 0.3 % larger
        esphome = np.clip((everything * 256 + 333) // 666, 0, 255)
        assert np.abs(esphome - expected).max() == 1
        assert np.array_equal(np.flatnonzero(exact > 127.5), np.arange(667, 1 << 16))  # what pymicro-wakeword wraps


# -- activations -------------------------------------------------------------------------------------------------------


def test_arena_rows_keep_their_history(machine: Any, rng: random.Random) -> None:
    arena = machine.module("arena")
    extra_rows = 4
    sizes = [(40, 5), (16, 3), (32, 8)]  # bytes a row and rows kept
    slides: list[int] = []
    start = 64
    for number, (row, rows) in enumerate(sizes):
        end = start + row * (rows + extra_rows)
        slides += [number, row, start, end, (rows - 1) * row]
        start = end
    memory = machine.buffer(bytes(start))
    kept = [[bytes(row) for _ in range(rows)] for row, rows in sizes]
    for number, (row, rows) in enumerate(sizes):
        memory[4 * number : 4 * number + 4] = words([slides[5 * number + 2] + (rows - 2) * row])
    columns, table = machine.buffer(bytes(3 * 40)), machine.buffer(words(slides))
    for step in range(40):
        content = [rng.randbytes(40) for _ in range(3)]
        columns[:] = b"".join(content)
        arena.advance(memory, columns, memory, table, 3, len(sizes) - 1)
        kept[0] += content
        for number in (1, 2):  # a layer writes its output where the head now is
            head = as_words(memory)[number]
            kept[number].append(rng.randbytes(sizes[number][0]))
            memory[head : head + sizes[number][0]] = kept[number][-1]
        for number, (row, rows) in enumerate(sizes):
            newest = as_words(memory)[number] + row
            assert bytes(memory[newest - row * rows : newest]) == b"".join(kept[number][-rows:]), f"step {step}, seed {SEED}"


# -- layers ------------------------------------------------------------------------------------------------------------


def plain_layer(dense: bool, relu: bool, zero_out: int) -> Layer:
    view = View(Buffer(0, 1, 0), 1, 0, 1)
    return Layer("conv", "a test", [view], view, [1.0], [0], 1.0, zero_out, zero_out if relu else -128, fully_connected=dense)


@pytest.mark.parametrize("dense", [False, True], ids=["rounded twice", "rounded once"])
@pytest.mark.parametrize("relu", [False, True], ids=["linear", "relu"])
def test_requantisation_equals_the_formula(machine: Any, rng: random.Random, dense: bool, relu: bool) -> None:
    run = machine.module("kernels").run
    arena, blob, params = machine.buffer(bytes(128)), machine.buffer(bytes(16)), machine.buffer(bytes(4 * LAYER_WORDS))
    limit = blob_writer.ACCUMULATOR_LIMIT - 1
    for _ in range(1500):
        layer = plain_layer(dense, relu, rng.randint(-128, 127))
        multiplier, shift = rng.randrange(1 << 30, 1 << 31), -rng.randint(0 if dense else 1, 18)
        total = rng.choice((limit, -limit, 0, rng.randint(-limit, limit) >> rng.randint(0, 28)))
        if rng.random() < 0.5:  # near a tie
            total = reference.clamp(
                (2 * rng.randint(-130, 130) + 1 << 30 - shift) // multiplier + rng.randint(-1, 1), -limit, limit
            )
        record = blob_writer._encode_records(layer, [0], [(multiplier, shift)], [limit])
        least, reversed_below = blob_writer._requantise_limits(layer)
        fields = {4: 1, 9: 1, 13: layer.zero_out + 128, 14: least, 15: reversed_below, 16: 64, 22: 1}  # dense, no groups
        arena[:] = bytes(128)
        arena[0:8] = words([0, 32])
        arena[64:68] = words([total + (1 << 29)])  # sums are stored with what the bias takes away again
        blob[:] = words([0]) + record[4:]
        params[:] = words([fields.get(n, 0) for n in range(LAYER_WORDS)])
        run(0, blob, arena, params, 1)
        assert arena[32] - 128 == reference.requantised(total, multiplier, shift, layer), f"{total} * {multiplier} >> {shift}"


@pytest.mark.parametrize("kind", ["maxpool", "avgpool"])
def test_pooling_equals_the_formula(machine: Any, rng: random.Random, kind: str) -> None:
    run = machine.module("kernels").run
    channels, most_rows = 24, 9
    arena = machine.buffer(bytes(64 + channels * most_rows + 5 * channels))
    blob = machine.buffer(words([blob_writer.BIAS_OFFSET, 1 << 30, 0, 0]))
    params = machine.buffer(bytes(4 * LAYER_WORDS))
    layer = plain_layer(False, False, 0)
    layer.kind = kind
    for rows in [1, 2, 3, 4, 7, most_rows] * 4:
        content = [[rng.choice((-128, 127, rng.randint(-128, 127))) for _ in range(channels)] for _ in range(rows)]
        sums_at = 64 + channels * most_rows
        fields = {4: 1, 6: rows, 7: channels, 9: channels, 16: sums_at, 18: int(kind == "avgpool"), 20: channels * (rows - 1)}
        fields[22] = {"maxpool": blob_writer.MAXPOOL, "avgpool": blob_writer.AVGPOOL}[kind]
        arena[0:8] = words([64 + channels * (rows - 1), sums_at + 4 * channels])
        arena[64 : 64 + channels * rows] = bytes(value + 128 for row in content for value in row)
        params[:] = words([fields.get(n, 0) for n in range(LAYER_WORDS)])
        run(0, blob, arena, params, 1)
        found = [byte - 128 for byte in arena[sums_at + 4 * channels :]]
        assert found == reference.layer_output(layer, [content]), f"{rows} rows, seed {SEED}"


def assert_layers_equal(machine: Any, made: Any, columns: list[list[int]]) -> None:
    """Run both over columns of uint16 features and compare every layer's output after every inference."""
    module = machine.module("columns")
    blob = blob_writer.encode(made, "word", [], 5, 1000, bytes(32))
    pieces = machine.module("weights").read(io.BytesIO(blob), len(blob))
    ours = machine.module("wakeword").WakeWord(machine.module("model_file").Layout(pieces))
    theirs = reference.StreamingNetwork(made)
    content, state = module.empty(made.stride, ours.feature_scale)
    features = machine.buffer(bytes(80))
    fresh: list[list[int]] = []
    probs: list[int] = []
    for column in columns:
        features[:] = halves(column)
        fresh.append([reference.quantised_feature(value, made.input_scale, made.input_zero) for value in column])
        if module.push_column(0, features, content, state) < made.stride:
            continue
        ours.infer(content)
        probs.append(theirs.infer(fresh))
        fresh = []
        for layer in made.layers:
            buffer = layer.output.buffer
            head = int.from_bytes(ours._arena[4 * buffer.index : 4 * buffer.index + 4], "little")
            found = [byte - 128 for byte in ours._arena[head : head + buffer.channels]]
            assert found == theirs.rows[buffer.index][-1], f"{layer.where}, inference {len(probs)}, seed {SEED}"
        assert ours.prob == probs[-1]


def columns_of(rng: random.Random, count: int) -> list[list[int]]:
    """Columns of the largest features, of none, of both mixed, and of such as speech makes."""
    ends = [[665] * 40, [0] * 40, [rng.choice((0, 665, 65535)) for _ in range(40)]]
    return [rng.choice(ends) if rng.random() < 0.3 else [rng.randrange(700) for _ in range(40)] for _ in range(count)]


@pytest.mark.parametrize("name", SHAPES)
def test_layers_of_random_networks_equal_the_formulas(machine: Any, rng: random.Random, name: str) -> None:
    made = graph.build_network(tflite.read(network(SHAPES[name], SEED)))
    assert_layers_equal(machine, made, columns_of(rng, 8 * made.stride))


def test_layers_of_a_published_network_equal_the_formulas(machine: Any, rng: random.Random) -> None:
    assert_layers_equal(machine, models.load("alexa").network, columns_of(rng, 9))


def test_formulas_equal_the_reference_kernels(rng: random.Random) -> None:
    model = models.load("hey_jarvis")
    columns = np.array(columns_of(rng, 18), np.uint16)
    theirs = reference.StreamingNetwork(model.network)
    scale, zero, stride = model.network.input_scale, model.network.input_zero, model.network.stride
    quantised = [[reference.quantised_feature(int(value), scale, zero) for value in column] for column in columns]
    outputs = [theirs.infer(quantised[at : at + stride]) for at in range(0, len(quantised), stride)]
    assert outputs == networks.reference(model.manifest.model.read_bytes(), columns), f"seed {SEED}"


# -- sliding mean ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("window", "needed"), [(1, 1), (5, 5), (255, 255), (1, 101), (5, 34), (12, 101)])
def test_sliding_mean_equals_the_formula(machine: Any, rng: random.Random, window: int, needed: int) -> None:
    sliding_mean = machine.module("smoothing").sliding_mean
    recent, state = machine.buffer(bytes(window)), machine.buffer(words([0, 0, 0, window, needed]))
    cutoff_sum = 150 * window
    outputs: list[int] = []
    hits = 0
    for number in range(3 * needed + 40):
        outputs.append(rng.randint(0, 255) if number % 97 else 255)
        found = sliding_mean(outputs[-1], 0, recent, state, cutoff_sum)
        mean, hit = reference.sliding_mean(outputs, window, cutoff_sum, needed)
        assert (found >> 1, found & 1) == (mean, hit), f"output {number}, seed {SEED}"
        hits += hit
    assert hits or window == 255
