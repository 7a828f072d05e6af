# SPDX-License-Identifier: MIT
"""The network of training gives, all at once, what the streaming network gives hop by hop."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
import torch
from earlid.train.network import MixBlock, Net, track_logits
from earlid.train.shape import INPUT_SCALE, Block, Shape
from numpy.typing import NDArray

SEED = 19

SHAPES = {
    "as published": Shape(),
    "every column": Shape(stride=1, first_filters=8, first_kernel=3, blocks=(Block(8, (5,)),), last_rows=3),
    "groups of uneven width": Shape(2, 17, 5, (Block(14, (3, 5, 9)), Block(8, (1, 4))), 1),
    "residual": Shape(3, 12, 3, (Block(12, (5,), True), Block(9, (1,), True)), 4),
    "no block": Shape(3, 8, 5, (), 2),
}


def network(shape: Shape) -> Net:
    """Random weights, and batch norms that have seen some columns."""
    torch.manual_seed(SEED)
    net = Net(shape)
    net(torch.rand(8, shape.receptive_hops + 60, 40) * 26)
    for parameter in net.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    net.last.data *= 0.2  # logits that LOGISTIC tells apart
    return net.eval()


def streamed(net: Net, columns: NDArray[np.float32]) -> list[float]:
    """Each logit from the newest columns and rows that were kept, as on a board; rows before the first are zeros."""
    shape = net.shape

    def kept(rows: int, width: int) -> deque[NDArray[np.float32]]:
        return deque([np.zeros(width, np.float32)] * rows, rows)

    def dense(layer: torch.nn.Module, row: NDArray[np.float32]) -> NDArray[np.float32]:
        norm, weight = layer.norm, layer.weight.numpy()
        scaled = (weight @ row - norm.running_mean.numpy()) / np.sqrt(norm.running_var.numpy() + norm.eps)
        return scaled * norm.weight.numpy() + norm.bias.numpy()

    blocks = [block for block in net.blocks if isinstance(block, MixBlock)]
    widths = [shape.first_filters, *(block.filters for block in shape.blocks)]
    history = [kept(max(block.kernels), width) for block, width in zip(shape.blocks, widths, strict=False)]
    last, newest, logits = kept(shape.last_rows, widths[-1]), kept(shape.first_kernel, 40), []
    for number, column in enumerate(columns, 1):
        newest.append(column)
        if number % shape.stride:
            continue
        row = np.maximum(dense(net.first, np.concatenate(newest)), 0)
        for block, plan, rows in zip(blocks, shape.blocks, history, strict=True):
            rows.append(row)
            first, mixed, made = 0, [], row
            if block.mix:
                for kernel, taps in zip(plan.kernels, block.mix.kernels, strict=True):
                    group = np.array(rows)[-kernel:, first : first + len(taps)]
                    mixed.append((group * taps.numpy().T).sum(0))
                    first += len(taps)
                made = np.concatenate(mixed)
            beside = dense(block.beside, row) if block.beside else 0
            row = np.maximum(dense(block.point, made) + beside, 0)
        last.append(row)
        logits.append(float(net.last.numpy()[0] @ np.concatenate(last) + net.last_bias.numpy()[0]))
    return logits


@pytest.mark.parametrize("name", SHAPES)
def test_logits_of_a_window_equal_the_streaming_form(name: str) -> None:
    with torch.no_grad():
        net = network(SHAPES[name])
        hops = net.receptive_hops // net.shape.stride * net.shape.stride + 30 * net.shape.stride
        columns = np.random.default_rng(SEED).integers(0, 256, (2, hops, 40), np.uint8)
        # the streaming form infers after each `stride` columns: the window begins where the first whole past does
        first = -net.receptive_hops % net.shape.stride
        found = net(torch.from_numpy(columns[:, first:].astype(np.float32)) * INPUT_SCALE).numpy()
        for number in range(2):
            expected = np.array(streamed(net, columns[number].astype(np.float32) * INPUT_SCALE))[-found.shape[1] :]
            assert np.ptp(expected) > 0.1, "these logits tell nothing apart"
            assert found[number] == pytest.approx(expected, abs=2e-4 * np.abs(expected).max()), f"seed {SEED}"


def test_logits_of_a_long_track_are_those_of_each_past() -> None:
    net, rng = network(SHAPES["groups of uneven width"]), np.random.default_rng(SEED)
    columns = rng.integers(0, 256, (2 * 96 * 70 + 101, 40), np.uint8)
    found = track_logits(net, columns)
    assert len(found) == (len(columns) - net.receptive_hops) // 2 + 1
    some = np.append(rng.integers(0, len(found), 60), [0, 95, 96, 64 * 96, len(found) - 1])
    pasts = np.stack([columns[2 * at : 2 * at + net.receptive_hops] for at in some]).astype(np.float32)
    with torch.no_grad():
        expected = net(torch.from_numpy(pasts) * INPUT_SCALE).numpy()[:, 0]
    assert found[some] == pytest.approx(expected, abs=1e-3)
    assert len(track_logits(net, columns[: net.receptive_hops - 1])) == 0


def test_window_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="148 columns, an inference needs 149"):
        Net(Shape())(torch.zeros(1, 148, 40))


@pytest.mark.parametrize("wrong", [{"first_kernel": 2}, {"stride": 17}, {"last_rows": 0}, {"blocks": (Block(8, (0,)),)}])
def test_shape_that_no_board_runs_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="Shape"):
        Shape(**wrong)
