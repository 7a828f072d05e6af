"""Drives the firmware's gate on the emulated board, hop by hop, and its oracles on the same samples."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import lid
import numpy as np
from numpy.typing import NDArray
from pymicro_features import MicroFrontend

from .board import Board
from .sounds import Samples

HOP_SAMPLES = 160
_FEATURE_SCALE = 0.0390625  # pymicro-features gives 16-bit features times this
FIRMWARE = Path(lid.__path__[0]).parent


def hops_of(pcm: Samples) -> Iterator[bytes]:
    """Whole hops as the bytes that the board sees."""
    data = pcm.astype("<i2").tobytes()
    for at in range(0, len(data) - 2 * HOP_SAMPLES + 1, 2 * HOP_SAMPLES):
        yield data[at : at + 2 * HOP_SAMPLES]


class Gate:
    """The gate's parts on one emulated board."""

    def __init__(self, *, profiled: bool = False) -> None:
        self.board = Board(FIRMWARE, profiled=profiled)
        self.machine = self.board.machine
        self._hop = self.machine.memory.bytearray(2 * HOP_SAMPLES)

    def features(self, pcm: Samples) -> NDArray[np.uint16]:
        """Columns of 40 features, one a hop from the third on."""
        frontend = self.board.module("lid.gate.frontend").Frontend()
        columns = []
        for hop in hops_of(pcm):
            self._hop[:] = hop
            if frontend.push(self._hop):
                columns.append(frontend.features.tolist())
        return np.array(columns, dtype=np.uint16).reshape(-1, 40)


def reference_features(pcm: Samples) -> NDArray[np.uint16]:
    """TensorFlow Lite Micro's features, by pymicro-features."""
    frontend = MicroFrontend()
    columns = [out.features for hop in hops_of(pcm) if (out := frontend.process_samples(hop)).features]
    return np.rint(np.array(columns).reshape(-1, 40) / _FEATURE_SCALE).astype(np.uint16)
