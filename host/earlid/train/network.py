# SPDX-License-Identifier: MIT
"""The network while it is trained: all inferences of a window at once, each as the streaming network makes it.

Convolutions are valid, so an inference is made only where its whole past lies in the window. Activations lie as
[channels, rows * batch]: pointwise convolutions are one matrix product, and a depthwise kernel is one of a banded matrix
for each channel, which on a CPU takes 0.6 of the time of PyTorch's grouped convolution, forward and backward.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from earlid.train.shape import FEATURES, INPUT_SCALE, Block, Shape

NORM_EPSILON, NORM_MOMENTUM = 1e-3, 0.01  # as microWakeWord's: Keras' own
TRACK_INFERENCES, TRACK_WINDOWS = 96, 64  # at once, over a long track

Ranges = dict[str, tuple[float, float]]  # smallest and largest activation of each step


class Convolution(nn.Module):
    """A convolution over all rows of its input, and batch norm: [rows * channels, n] to [filters, n]."""

    def __init__(self, inputs: int, filters: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(filters, inputs)))
        self.norm = nn.BatchNorm1d(filters, NORM_EPSILON, NORM_MOMENTUM)

    def forward(self, rows: Tensor) -> Tensor:
        found: Tensor = self.norm((self.weight @ rows)[None])[0]
        return found

    def folded(self) -> tuple[Tensor, Tensor]:
        """(weights [filters, rows * channels], bias [filters]) with the batch norm's running figures in them."""
        assert self.norm.running_var is not None
        assert self.norm.running_mean is not None
        gain = self.norm.weight / torch.sqrt(self.norm.running_var + self.norm.eps)
        return self.weight * gain[:, None], self.norm.bias - self.norm.running_mean * gain


class Mix(nn.Module):
    """Depthwise kernels over groups of channels, the newest row last."""

    def __init__(self, block: Block, channels: int) -> None:
        super().__init__()
        self.longest = max(block.kernels)
        self.kernels = nn.ParameterList(
            torch.randn(width, kernel) / math.sqrt(kernel)
            for width, kernel in zip(block.widths(channels), block.kernels, strict=True)
        )

    def taps(self) -> Tensor:
        """[channels, longest]: shorter kernels begin with zeros."""
        return torch.cat([functional.pad(kernel, (self.longest - kernel.shape[1], 0)) for kernel in self.kernels])


class MixBlock(nn.Module):
    """A block's layers; `mix` and `beside` where it has them."""

    def __init__(self, block: Block, channels: int) -> None:
        super().__init__()
        self.mix = Mix(block, channels) if max(block.kernels) > 1 else None
        self.beside = Convolution(channels, block.filters) if block.residual else None
        self.point = Convolution(channels, block.filters)


def _depthwise(rows: Tensor, taps: Tensor) -> Tensor:
    """[channels, rows, batch] to [channels, rows - taps + 1, batch]."""
    channels, count, _ = rows.shape
    made = count - taps.shape[1] + 1
    # row r of a channel's matrix has the taps from column r on: each row of `count + 1`, read as rows of `count`
    shifted = functional.pad(taps[:, None, :].expand(channels, made, taps.shape[1]), (0, count + 1 - taps.shape[1]))
    banded = shifted.reshape(channels, -1)[:, : made * count].reshape(channels, made, count)
    return torch.bmm(banded, rows)


class Net(nn.Module):
    """A network of microWakeWord's family."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self._seen: Ranges | None = None
        self.first = Convolution(shape.first_kernel * FEATURES, shape.first_filters)
        widths = [shape.first_filters, *(block.filters for block in shape.blocks)]
        self.blocks = nn.ModuleList(MixBlock(block, width) for block, width in zip(shape.blocks, widths, strict=False))
        self.last = nn.Parameter(nn.init.xavier_uniform_(torch.empty(1, shape.last_rows * widths[-1])))
        self.last_bias = nn.Parameter(torch.zeros(1))

    @property
    def receptive_hops(self) -> int:
        """Columns that one inference sees."""
        return self.shape.receptive_hops

    @torch.no_grad()
    def observe(self, columns: NDArray[np.uint8], batch: int = 64) -> Ranges:
        """The ranges of activations over windows uint8 [n, hops, 40]."""
        training = self.training
        self.eval()
        self._seen = {}
        for at in range(0, len(columns), batch):
            self(torch.from_numpy(columns[at : at + batch].astype(np.float32)) * INPUT_SCALE)
        found, self._seen = self._seen, None
        self.train(training)
        return found

    def forward(self, columns: Tensor) -> Tensor:
        """The logits [batch, inferences] of columns float32 [batch, hops, 40] (bytes times `INPUT_SCALE`). The first inference
        ends with column `receptive_hops` - 1, each further one `stride` columns later."""
        batch, hops, _ = columns.shape
        shape, kernel = self.shape, self.shape.first_kernel
        if hops < shape.receptive_hops:
            raise ValueError(f"{hops} columns, an inference needs {shape.receptive_hops}")
        count = (hops - kernel) // shape.stride + 1
        by_hop = columns.permute(1, 2, 0)
        reach = shape.stride * (count - 1) + 1
        seen = torch.stack([by_hop[at : at + reach : shape.stride] for at in range(kernel)], 1)  # rows, kernel, 40, batch
        rows = seen.reshape(count, kernel * FEATURES, batch).transpose(0, 1).reshape(kernel * FEATURES, -1)
        now = self._convolve("first", self.first, rows, relu=True)
        for number, block in enumerate(self.blocks):
            assert isinstance(block, MixBlock)
            now = self._block(number, block, now, batch)
        by_row = now.reshape(now.shape[0], -1, batch)
        made = by_row.shape[1] - shape.last_rows + 1
        flat = torch.cat([by_row[:, at : at + made].flatten(1) for at in range(shape.last_rows)])
        return (self.last @ flat + self.last_bias).view(made, batch).t()

    def _block(self, number: int, block: MixBlock, now: Tensor, batch: int) -> Tensor:
        before = now
        if block.mix is not None:
            now = _depthwise(now.reshape(now.shape[0], -1, batch), block.mix.taps()).flatten(1)
            self._note(f"mix {number}", now)
        now = self._convolve(f"point {number}", block.point, now, relu=block.beside is None)
        if block.beside is None:
            return now
        beside = self._convolve(f"beside {number}", block.beside, before[:, -now.shape[1] :], relu=False)
        now = torch.relu(now + beside)
        self._note(f"sum {number}", now)
        return now

    def _convolve(self, name: str, layer: Convolution, rows: Tensor, relu: bool) -> Tensor:
        made: Tensor = torch.relu(layer(rows)) if relu else layer(rows)
        self._note(name, made)
        return made

    def _note(self, name: str, values: Tensor) -> None:
        if self._seen is not None:
            low, high = self._seen.get(name, (0.0, 0.0))
            self._seen[name] = (min(low, float(values.min())), max(high, float(values.max())))


@torch.no_grad()
def track_logits(net: Net, columns: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The logits float32 [inferences] over a track uint8 [hops, 40] of any length, the first as soon as an inference has its
    whole past."""
    stride, receptive = net.shape.stride, net.receptive_hops
    inferences = max(0, (len(columns) - receptive) // stride + 1)
    training = net.training
    net.eval()
    found = [net(windows * INPUT_SCALE).flatten() for windows in _windows(columns, inferences, stride, receptive)]
    net.train(training)
    return torch.cat(found).numpy() if found else np.zeros(0, np.float32)


def _windows(columns: NDArray[np.uint8], inferences: int, stride: int, receptive: int) -> Iterable[Tensor]:
    """Batches float32 [windows, hops, 40] that hold all inferences, each once."""
    whole, rest = divmod(inferences, TRACK_INFERENCES)
    step = TRACK_INFERENCES * stride
    hops = receptive + step - stride
    starts = [number * step for number in range(whole)]
    for at in range(0, whole, TRACK_WINDOWS):
        batch = np.stack([columns[start : start + hops] for start in starts[at : at + TRACK_WINDOWS]])
        yield torch.from_numpy(batch.astype(np.float32))
    if rest:
        yield torch.from_numpy(columns[None, whole * step : whole * step + receptive + (rest - 1) * stride].astype(np.float32))
