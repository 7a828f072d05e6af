# SPDX-License-Identifier: MIT
"""Shapes of microWakeWord's `mixednet`: a convolution over columns, blocks of MixConv, and a dense layer over the last rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FEATURES = 40  # of a column
INPUT_SCALE, INPUT_ZERO = float(np.float32(26 / 255)), -128  # of a column's byte, as int8


@dataclass(frozen=True)
class Block:
    """Depthwise kernels over groups of channels, then a pointwise convolution.

    Attributes:
        filters: channels of the pointwise convolution.
        kernels: rows of each group's depthwise kernel; [1] has none.
        residual: whether a pointwise convolution of the block's input is added to its output.
    """

    filters: int
    kernels: tuple[int, ...]
    residual: bool = False

    def widths(self, channels: int) -> list[int]:
        """Channels of each group of a block that has so many; the first takes what does not divide."""
        part = channels // len(self.kernels)
        return [channels - part * (len(self.kernels) - 1)] + [part] * (len(self.kernels) - 1)


@dataclass(frozen=True)
class Shape:
    """A network's shape; as it stands, that of the published network for "alexa" (23,968 weights).

    Attributes:
        stride: columns between two inferences.
        first_filters, first_kernel: channels and columns of the first convolution.
        last_rows: rows that the dense layer sees.
    """

    stride: int = 3
    first_filters: int = 32
    first_kernel: int = 5
    blocks: tuple[Block, ...] = (Block(64, (5,)), Block(64, (9,)), Block(64, (13,)), Block(64, (21,)))
    last_rows: int = 5

    def __post_init__(self) -> None:
        kernels = [kernel for block in self.blocks for kernel in block.kernels]
        filters = [self.first_filters, *(block.filters for block in self.blocks)]
        if not 1 <= self.stride <= 16 or self.first_kernel < self.stride or min([self.last_rows, *filters]) < 1:
            raise ValueError(f"{self}: a stride of 1 to 16 columns, a first kernel of at least as many, and channels are needed")
        groups = [len(block.kernels) for block in self.blocks]
        if 0 in groups or min(kernels, default=1) < 1 or any(n > c for n, c in zip(groups, filters, strict=False)):
            raise ValueError(f"{self}: each block needs kernels of a row or more, and a channel for each of them")

    @property
    def receptive_hops(self) -> int:
        """Columns that one inference sees."""
        history = sum(max(block.kernels) - 1 for block in self.blocks) + self.last_rows - 1
        return self.first_kernel + self.stride * history
