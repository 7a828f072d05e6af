# SPDX-License-Identifier: MIT
"""Networks of other shapes than the published ones: random ones equal the reference, others are refused by operator."""

from __future__ import annotations

import re

import networks
import numpy as np
import pytest
from earlid.errors import UserError
from earlid.flash import memory_plan
from earlid.gate import blob_writer, graph, tflite
from earlid.gate.tflite import ModelError
from synthetic import Block, Shape, network

from tests.xtensa import bench_gate
from tests.xtensa.gate import FIRMWARE, Gate

SEED = 5

README = (FIRMWARE / "README.md").read_text()
NUMBER = r" ([\d,.]*) \|"
ROW = re.compile(rf"^\| [^|]*width (\d+)[^|]*\| [\d,]+ \|{5 * NUMBER}$", re.MULTILINE)
WIDTHS = [tuple(float(cell.replace(",", "") or 0) for cell in row) for row in ROW.findall(README)]

SHAPES = {
    "plain": Shape(),
    "every column": Shape(stride=1, first_kernel=3),
    "one column": Shape(stride=1, first_kernel=1),
    "stride 2, one row at the end": Shape(stride=2, last_rows=1),
    "no history of columns": Shape(first_kernel=3),
    "three groups of uneven width": Shape(blocks=(Block(64, (5,)), Block(40, (3, 5, 9)), Block(40, (2, 11)))),
    "narrow": Shape(first_filters=10, blocks=(Block(14, (4,)), Block(7, (2,))), last_rows=3),
    "residual": Shape(blocks=(Block(32, (5,), True), Block(48, (3, 7), True), Block(48, (9,)))),
    "pointwise only": Shape(blocks=(Block(24, (1,)), Block(24, (5,)), Block(32, (1,)))),
    "maximum pooled": Shape(pool="max", last_rows=7),
    "average pooled": Shape(pool="average", last_rows=6),
    "deep": Shape(first_filters=30, blocks=tuple(Block(60, (kernel,)) for kernel in (5, 7, 9, 11, 13, 15)), last_rows=17),
}


def blob_of(data: bytes) -> bytes:
    return blob_writer.encode(graph.build_network(tflite.read(data)), "word", ["en"], 5, 1000, bytes(32))


@pytest.mark.parametrize("name", SHAPES)
def test_random_network_outputs_equal_the_reference_kernels(name: str) -> None:
    data = network(SHAPES[name], SEED)
    rng = np.random.default_rng(SEED)
    columns = np.concatenate([rng.integers(0, 700, (600, 40)), (rng.random((600, 40)) ** 3 * 900)]).astype(np.uint16)
    expected = networks.reference(data, columns)
    assert len(set(expected)) > 8, f"{name}: the network says too little to be a test, seed {SEED}"
    assert networks.outputs_on_micropython(blob_of(data), columns) == expected, f"{name}, seed {SEED}"


def test_unsupported_operator_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match=r"operator \d+ MUL \(offset \d+\) is not supported"):
        blob_of(network(Shape(multiply=True), SEED))


def test_oversized_network_error_states_the_missing_bytes() -> None:
    blob = blob_of(network(Shape(first_filters=160, blocks=(Block(256, (5,)), Block(256, (9,)))), SEED))
    with pytest.raises(
        UserError, match=r"large.elww does not fit .*: [\d,]{6,} bytes are missing. Nothing was written"
    ) as caught:
        memory_plan.check_word(blob, "large.elww")
    assert caught.value.code == 1


@pytest.mark.parametrize(("last_kernel", "size"), [(13, 44_592), (15, 51_784)])
def test_networks_with_stride_2_that_ran_on_emulated_cores_fit_the_board(last_kernel: int, size: int) -> None:
    blocks = tuple(Block(64, (kernel,)) for kernel in range(5, last_kernel + 1, 2))
    blob = blob_of(network(Shape(stride=2, first_filters=48, blocks=blocks, last_rows=17), SEED))
    assert len(blob) == size
    memory_plan.check_word(blob, "stride 2")


def mixed(width: int) -> bytes:
    """The network of the most used trainer: 26,080 weights with a width of 64, 80,832 with 128, which begin half as wide."""
    blocks = (Block(width, (5,)), Block(width, (7, 11)), Block(width, (9, 15)), Block(width, (23,)))
    return blob_of(network(Shape(stride=2, first_filters=width // 2, blocks=blocks, last_rows=37), SEED))


@pytest.mark.parametrize(("width", "size", "activations", "cost", "largest", "missing"), WIDTHS)
def test_memory_of_a_shape_is_what_the_readme_states(
    width: float, size: float, activations: float, cost: float, largest: float, missing: float
) -> None:
    blob = mixed(int(width))
    assert len(blob) == pytest.approx(size, abs=16)
    assert memory_plan.word_sizes(blob).arena == activations
    assert memory_plan.missing_bytes(blob) == pytest.approx(missing, abs=3072)
    if missing:
        with pytest.raises(UserError, match=r"bytes are missing.* It takes [\d,]+ \(file .* fits"):
            memory_plan.check_word(blob, "wide")
    else:
        assert memory_plan.predict(memory_plan.deployed(), blob)[-1].largest == pytest.approx(largest, abs=3072)


@pytest.mark.parametrize("row", [pytest.param(row, marks=[pytest.mark.soak] * (row[0] > 64)) for row in WIDTHS])
def test_cost_of_a_shape_is_what_the_readme_states(row: tuple[float, ...]) -> None:
    measured = bench_gate.whole_gate(Gate(), mixed(int(row[0])), bench_gate.speech())
    assert measured.millions_a_second == pytest.approx(row[3], rel=0.02)


def test_readme_states_the_cost_and_memory_of_four_shapes() -> None:
    assert [row[0] for row in WIDTHS] == [64, 80, 96, 128]
